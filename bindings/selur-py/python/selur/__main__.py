"""`python -m selur demo`: one container's whole life.

python -m selur demo [IMAGE]              a real container; IMAGE is pulled unless it is there, busybox unless given
python -m selur demo --load FILE IMAGE    IMAGE comes from an archive instead, as `docker save` writes it
python -m selur demo --simulated          a container that exists only in memory, and needs nothing
    --root FOLDER                         where real containers keep their state
python -m selur version
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TypeVar

import selur

T = TypeVar("T")
SCRIPT = "echo hello from inside; echo my pid is $$; trap 'echo got SIGTERM: goodbye; exit 0' TERM; while :; do sleep 0.1; done"


def timed(step: str, action: Callable[[], T]) -> T:
    """Does a step, and says how long it took."""
    began = time.perf_counter()
    outcome = action()
    print(f"{step:<9} {(time.perf_counter() - began) * 1e3:9.3f} ms", flush=True)
    return outcome


def demo(arguments: argparse.Namespace) -> None:
    """Shows one container's whole life."""
    with ExitStack() as stack:
        root = arguments.root
        if not arguments.simulated and root is None:
            root = stack.enter_context(tempfile.TemporaryDirectory(prefix="selur-demo-"))
        runtime: selur.Runtime = "simulated" if arguments.simulated else "oci"
        bridge = stack.enter_context(selur.Bridge(runtime=runtime, state_root=root))
        print(f"selur {selur.__version__}, runtime {bridge.runtime}, guest {selur.GUEST_SHA256[:12]}")
        if arguments.load:
            timed("load", lambda: bridge.images.load(arguments.load))
        command = None if arguments.simulated else ["sh", "-c", SCRIPT]
        container = timed("create", lambda: bridge.containers.create(arguments.image, command, name="demo"))
        stack.callback(remove, container)
        timed("start", container.start)
        first = next(iter(container.logs(stream=True, follow=True)))
        print(f"          | {first.decode().rstrip()}")
        timed("inspect", container.reload)
        print(
            f"          {container.short_id} {container.name}: {container.status}, pid {container.attrs['pid']}"
        )
        said = timed("exec", lambda: container.exec_run(["echo", "hello from a second process"]))
        print(f"          | {said.output.decode().rstrip()} (exit code {said.exit_code})")
        timed("stop", container.stop)
        print(f"          exit code {container.wait()}")
        timed("remove", container.remove)
        print(f"          {len(bridge.list_containers())} containers left")


def remove(container: selur.Container) -> None:
    """Removes what a demonstration that failed left behind."""
    with suppress(selur.ContainerNotFound):
        container.remove(force=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m selur", usage=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("demo", usage=__doc__)
    show.add_argument("image", nargs="?", default="docker.io/library/busybox:latest")
    show.add_argument("--simulated", action="store_true")
    show.add_argument("--load", metavar="FILE")
    show.add_argument("--root", metavar="FOLDER")
    commands.add_parser("version")
    arguments = parser.parse_args()
    if arguments.command == "version":
        print(selur.__version__)
        return 0
    try:
        demo(arguments)
    except selur.SelurError as error:
        print(f"selur: {error.status}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
