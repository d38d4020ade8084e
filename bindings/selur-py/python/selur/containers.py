"""Containers as objects, in the habits of the Docker SDK for Python.

>>> import selur
>>> with selur.Bridge(runtime="simulated") as bridge:
...     web = bridge.containers.run("nginx", name="web", detach=True)
...     print(web.status, web.name)
...     web.remove(force=True)
running web
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, Unpack, overload

from . import _options
from ._streams import ItemStream, Session
from .errors import ContainerError, ContainerNotFound, SelurError

if TYPE_CHECKING:
    from ._bridge import Bridge
    from ._items import LogEntry
    from ._options import Command, ContainerSettings, ExecOptions
    from .schemas import ContainerProcess, Inspection, LogOptions, Stats

__all__ = ["Container", "ContainerCollection", "ExecResult"]


class ExecResult(NamedTuple):
    """How a process of `exec_run` ended, and what it wrote."""

    exit_code: int | None
    """0 to 255, 128 + a signal, or None if nobody knows it."""
    output: bytes
    """Its standard output, and its standard error if that was wanted."""


class Container:
    """A container. What is known of it is what was asked for last: `reload()` asks again."""

    def __init__(self, bridge: Bridge, attrs: Inspection):
        self.bridge = bridge
        """The bridge that it was got from."""
        self.attrs = attrs
        """All that is known of it: docs/schemas/inspection.schema.json."""

    @property
    def id(self) -> str:
        """Its id: 32 digits."""
        return self.attrs["id"]

    @property
    def short_id(self) -> str:
        """The first 12 digits of its id."""
        return self.id[:12]

    @property
    def name(self) -> str | None:
        """Its name, if it has one."""
        return self.attrs["name"]

    @property
    def image(self) -> str:
        """The image that it was made of, in full."""
        return self.attrs["image"]

    @property
    def labels(self) -> dict[str, str]:
        """Its labels, from the image and the specification."""
        return self.attrs["labels"]

    @property
    def status(self) -> str:
        """`created`, `running`, `paused`, `restarting` or `stopped`, when it was last asked for."""
        return self.attrs["state"]

    def reload(self) -> None:
        """Asks again what is known of it."""
        self.attrs = self.bridge.inspect_container(self.id)

    def start(self) -> None:
        """Starts its process. One that runs is left alone."""
        self.bridge.start_container(self.id)

    def stop(self, *, timeout: float | None = None) -> None:
        """Ends its process: the stop signal, then SIGKILL after `timeout` seconds; its own unless given, else 10."""
        self.bridge.stop_container(self.id, timeout=timeout)

    def restart(self, *, timeout: float | None = None) -> None:
        """Stops it and starts it again."""
        self.stop(timeout=timeout)
        self.start()

    def kill(self, signal: str | int | None = None) -> None:
        """Sends a signal to its process, SIGKILL unless given."""
        self.bridge.kill_container(self.id, signal)

    def pause(self) -> None:
        """Freezes every process of it."""
        self.bridge.pause_container(self.id)

    def resume(self) -> None:
        """Thaws it."""
        self.bridge.resume_container(self.id)

    unpause = resume

    def wait(self, *, timeout: float | None = None) -> int | None:
        """Waits until it has ended for good, and gives its exit code; None if nobody knows it.

        After `timeout` seconds it fails with `Timeout`.
        """
        return self.bridge.wait_container(self.id, deadline=timeout)

    def remove(self, *, force: bool = False) -> None:
        """Removes it and everything of it. With `force` a process of it is killed first."""
        self.bridge.delete_container(self.id, force=force)

    def top(self) -> list[ContainerProcess]:
        """Its processes."""
        return self.bridge.top_container(self.id)

    @overload
    def logs(
        self,
        *,
        stream: Literal[False] = False,
        follow: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        tail: int | None = None,
        since: datetime | float | None = None,
    ) -> bytes: ...

    @overload
    def logs(
        self,
        *,
        stream: Literal[True],
        follow: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        tail: int | None = None,
        since: datetime | float | None = None,
    ) -> Iterator[bytes]: ...

    def logs(
        self,
        *,
        stream: bool = False,
        follow: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        tail: int | None = None,
        since: datetime | float | None = None,
    ) -> bytes | Iterator[bytes]:
        """What it wrote: all of it as bytes, or with `stream` an iterator of at most a line each.

        With `follow` until it has ended; with `tail` only the last so many lines; with `since` only what was written at
        that moment, in seconds since 1970, or later.
        """
        options: LogOptions = {"follow": follow, "stdout": stdout, "stderr": stderr}
        if tail is not None:
            options["tail_lines"] = tail
        if since is not None:
            options["since_ns"] = _options.nanoseconds(since)
        entries = self.bridge.logs(self.id, **options)
        if stream:
            return _data(entries)
        with entries:
            return b"".join(entry.data for entry in entries)

    @overload
    def stats(self, *, stream: Literal[True] = True, interval: float = 1.0) -> ItemStream[Stats]: ...

    @overload
    def stats(self, *, stream: Literal[False], interval: float = 1.0) -> Stats: ...

    def stats(self, *, stream: bool = True, interval: float = 1.0) -> ItemStream[Stats] | Stats:
        """Samples what it uses, one every `interval` seconds; without `stream` one sample."""
        samples = self.bridge.stats(self.id, follow=stream, interval_ms=_options.milliseconds(interval))
        if stream:
            return samples
        with samples:
            return next(samples)

    def attach(self, *, stdin: bool = False, logs: bool = False) -> Session:
        """Connects to its first process: its output from now on, with `logs` also that until now; and its input."""
        return self.bridge.attach(self.id, stdin=stdin, replay=logs)

    def exec_run(
        self, cmd: Command, *, stdout: bool = True, stderr: bool = True, **options: Unpack[ExecOptions]
    ) -> ExecResult:
        """Runs a further process in it, waits for its end, and gives its exit code and what it wrote."""
        wanted = {"stdout": stdout, "stderr": stderr}
        with self.bridge.exec(self.id, cmd, **options) as session:
            if options.get("stdin"):
                session.end_input()
            output = b"".join(piece.data for piece in session if wanted[piece.stream])
            return ExecResult(session.exit_code, output)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<selur.Container {self.short_id} {self.name or ''}>".replace(" >", ">")


class ContainerCollection:
    """The containers of a bridge."""

    def __init__(self, bridge: Bridge):
        self._bridge = bridge

    def create(
        self,
        image: str,
        command: Command | None = None,
        *,
        name: str | None = None,
        **options: Unpack[ContainerSettings],
    ) -> Container:
        """Makes a container, pulling its image if need be. It is not started.

        One that is made and then cannot be looked at is removed again.
        """
        id = self._bridge.create_container(image, name=name, **_options.with_command(command, options))
        try:
            return self.get(id)
        except BaseException:
            # Nobody else knows its id. That it cannot be removed either is not what is to be told.
            with contextlib.suppress(SelurError):
                self._bridge.delete_container(id, force=True)
            raise

    def get(self, container: str) -> Container:
        """The container of this id or name, or of at least 4 digits that its id begins with."""
        return Container(self._bridge, self._bridge.inspect_container(container))

    def list(self, *, all: bool = False) -> list[Container]:
        """The containers that run, oldest first; with `all` also those that do not."""
        containers = []
        for id in self._bridge.list_containers():
            try:
                container = self.get(id)
            except ContainerNotFound:
                # It was deleted meanwhile.
                continue
            if all or container.status in ("running", "paused", "restarting"):
                containers.append(container)
        return containers

    @overload
    def run(
        self,
        image: str,
        command: Command | None = None,
        *,
        detach: Literal[False] = False,
        remove: bool = False,
        stdout: bool = True,
        stderr: bool = False,
        name: str | None = None,
        **options: Unpack[ContainerSettings],
    ) -> bytes: ...

    @overload
    def run(
        self,
        image: str,
        command: Command | None = None,
        *,
        detach: Literal[True],
        remove: Literal[False] = False,
        stdout: bool = True,
        stderr: bool = False,
        name: str | None = None,
        **options: Unpack[ContainerSettings],
    ) -> Container: ...

    def run(
        self,
        image: str,
        command: Command | None = None,
        *,
        detach: bool = False,
        remove: bool = False,
        stdout: bool = True,
        stderr: bool = False,
        name: str | None = None,
        **options: Unpack[ContainerSettings],
    ) -> bytes | Container:
        """Makes a container and starts it; with `detach` that is all, and it is given.

        Else waits until it has ended, and gives what it wrote. One that ends with another exit code than 0 raises
        `ContainerError`. With `remove` it is removed at the end, whatever happened.
        """
        if detach and remove:
            # A thread of ours could do it only as long as this program runs.
            raise ValueError(
                "a detached container may outlive this program, and selur has no daemon that would remove it then: "
                "call wait() and remove() of what is given, or run it without detach"
            )
        container = self.create(image, command, name=name, **options)
        try:
            container.start()
            container.reload()
            return container if detach else _finish(container, command, stdout, stderr)
        finally:
            if remove:
                container.remove(force=True)


def _finish(container: Container, command: Command | None, stdout: bool, stderr: bool) -> bytes:
    """Waits for the end of a container, and gives what it wrote."""
    wanted, errors = [], []
    # What is not wanted is read for the error that may come.
    with container.bridge.logs(container.id, follow=True, stdout=stdout) as entries:
        for entry in entries:
            if entry.stream == "stderr":
                errors.append(entry.data)
            if stdout if entry.stream == "stdout" else stderr:
                wanted.append(entry.data)
    exit_status = container.wait()
    if exit_status != 0:
        words = command if command is None or isinstance(command, str) else list(command)
        raise ContainerError(container.id, exit_status, words, container.image, b"".join(errors))
    return b"".join(wanted)


def _data(entries: ItemStream[LogEntry]) -> Iterator[bytes]:
    with entries:
        for entry in entries:
            yield entry.data
