"""Real containers, which need root."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import selur
from conftest import ROOT, eventually

IMAGE = "example.test/busybox:1"

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="real containers are tested as root")


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of busybox, as `docker save` writes it."""
    file = tmp_path_factory.mktemp("image") / "image.tar"
    subprocess.run([ROOT / "scripts/busybox-image", file, IMAGE], check=True)
    return file


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where containers keep their state."""
    return tmp_path / "state"


@pytest.fixture
def real(archive: Path, state: Path) -> Iterator[selur.Bridge]:
    """A bridge to real containers, of which none is left."""
    with selur.Bridge(runtime="oci", state_root=state) as bridge:
        bridge.images.load(archive)
        try:
            yield bridge
        finally:
            for container in bridge.containers.list(all=True):
                container.remove(force=True)


def sleeping(bridge: selur.Bridge, name: str | None = None) -> selur.Container:
    return bridge.containers.run(IMAGE, ["sleep", "600"], name=name, detach=True)


def test_a_real_container_lives_and_ends(real: selur.Bridge) -> None:
    assert real.runtime == "oci"
    web = sleeping(real, "real")
    assert web.status == "running"
    pid = web.attrs["pid"]
    assert pid is not None
    # It is started when runc is about to become it.
    eventually("it is what it was to run", lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    assert [process["pid"] for process in web.top()] == [pid]
    assert web.stats(stream=False)["pids"] == 1
    web.pause()
    web.resume()
    web.stop(timeout=0)
    assert web.wait() == 137
    web.remove()
    assert real.list_containers() == []


def test_run_gives_the_output_or_raises(real: selur.Bridge) -> None:
    assert real.containers.run(IMAGE, "echo hello world", remove=True) == b"hello world\n"
    script = "echo out; echo err >&2; exit $CODE"
    with pytest.raises(selur.ContainerError, match="exit code 3: err") as raised:
        real.containers.run(IMAGE, ["sh", "-c", script], environment={"CODE": "3"}, remove=True)
    assert (raised.value.exit_status, raised.value.stderr) == (3, b"err\n")
    both = real.containers.run(
        IMAGE, ["sh", "-c", script], environment={"CODE": "0"}, stderr=True, remove=True
    )
    assert sorted(both.split()) == [b"err", b"out"]
    assert real.list_containers() == []


def test_a_real_exec_has_input_output_errors_and_an_exit_code(real: selur.Bridge) -> None:
    web = sleeping(real)
    megabyte = b"x" * (1 << 20)
    with real.exec(web.id, ["sh", "-c", "cat; echo wrong >&2; exit 7"], stdin=True) as session:
        assert session.communicate(megabyte) == (megabyte, b"wrong\n", 7)
    assert web.exec_run("echo hi") == (0, b"hi\n")
    assert web.exec_run(["sh", "-c", "pwd; exit 2"], working_directory="/bin") == (2, b"/bin\n")
    with pytest.raises(selur.InvalidRequest, match="127"):
        web.exec_run("no-such-program")


def test_a_real_terminal_has_the_size_that_it_is_told(real: selur.Bridge) -> None:
    web = sleeping(real)
    size: selur.schemas.TerminalSize = {"rows": 10, "columns": 20}
    with real.exec(web.id, "sh", stdin=True, terminal=True, size=size) as session:
        session.resize(33, 77)
        session.write(b"exec busybox stty size\n")
        assert b"33 77" in session.communicate().stdout


def test_limits_and_mounts_reach_the_container(real: selur.Bridge, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    said = real.containers.run(
        IMAGE,
        [
            "sh",
            "-c",
            "echo $0 $A; busybox hostname; echo in > /mnt/file; busybox id -u; echo no > /no || echo read-only",
        ],
        remove=True,
        environment={"A": "b"},
        hostname="inside",
        user="7",
        memory="64m",
        cpus=0.5,
        pids=20,
        read_only_root=True,
        mounts=[{"type": "tmpfs", "target": "/mnt"}],
        labels={"made": "here"},
    )
    assert said.splitlines()[:4] == [b"sh b", b"inside", b"7", b"read-only"]


def test_a_real_log_is_followed(real: selur.Bridge) -> None:
    script = "for i in 1 2 3; do echo $i; done; cat"
    web = real.containers.run(IMAGE, ["sh", "-c", script], stdin=True, detach=True)
    lines = web.logs(stream=True, follow=True)
    assert [next(lines) for _ in range(3)] == [b"1\n", b"2\n", b"3\n"]
    with web.attach(stdin=True) as session:
        session.write(b"more\n")
        assert next(lines) == b"more\n"
        session.end_input()
    assert list(lines) == []
    assert web.wait() == 0
    assert web.logs(tail=2) == b"3\nmore\n"


def test_a_real_exec_that_is_left_half_way_is_killed(real: selur.Bridge) -> None:
    web = sleeping(real)
    with real.exec(web.id, ["sh", "-c", "while :; do echo on; done"]) as session:
        next(session)
    eventually("the process is gone", lambda: len(web.top()) == 1)


def test_real_containers_by_asyncio(real: selur.Bridge, state: Path) -> None:
    async def life(bridge: selur.AsyncBridge, number: int) -> int | None:
        web = await bridge.create_container(IMAGE, command=["sh", "-c", f"exit {number}"])
        await bridge.start_container(web)
        code = await bridge.wait_container(web)
        await bridge.delete_container(web)
        return code

    async def main() -> list[int | None]:
        async with selur.AsyncBridge(runtime="oci", state_root=state) as bridge:
            return await asyncio.gather(*(life(bridge, number) for number in range(8)))

    assert asyncio.run(main()) == list(range(8))


def test_a_real_create_that_was_cancelled_leaves_nothing(real: selur.Bridge, state: Path) -> None:
    async def main() -> None:
        async with selur.AsyncBridge(runtime="oci", state_root=state) as bridge:
            creating = [asyncio.create_task(bridge.create_container(IMAGE)) for _ in range(8)]
            await asyncio.sleep(0)
            for task in creating:
                task.cancel()
            for made in await asyncio.gather(*creating, return_exceptions=True):
                if isinstance(made, str):
                    await bridge.delete_container(made)
            until = asyncio.get_running_loop().time() + 30
            while await bridge.list_containers():
                assert asyncio.get_running_loop().time() < until
                await asyncio.sleep(0.01)

    asyncio.run(main())
    assert real.list_containers() == []


def test_containers_outlive_the_program_that_made_them(real: selur.Bridge, state: Path) -> None:
    source = (
        "import os, sys, selur\n"
        "bridge = selur.Bridge(runtime='oci', state_root=sys.argv[1])\n"
        "bridge.containers.run(sys.argv[2], ['sleep', '600'], name='left', detach=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", source, str(state), IMAGE], check=False, capture_output=True
    )
    assert (ended.returncode, ended.stderr) == (-9, b"")
    left = real.containers.get("left")
    assert left.status == "running"
    left.stop(timeout=0)
    assert left.wait(timeout=30) == 137


def test_the_demonstration_shows_a_real_container(archive: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "selur", "demo", "--load", str(archive), IMAGE],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    for said in ("hello from inside", "demo: running", "exit code 0", "0 containers left"):
        assert said in shown.stdout
