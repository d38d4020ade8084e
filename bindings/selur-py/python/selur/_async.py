"""The bridge of asyncio: every request is awaited, and no thread waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from . import _items, _native, _requests
from ._async_opening import Opening
from ._async_streams import AsyncItemStream, AsyncSession, AsyncSlot
from ._options import Command, ContainerOptions, ExecOptions, Path, Runtime
from .schemas import (
    AttachOptions,
    ContainerProcess,
    EventOptions,
    Image,
    Inspection,
    LogOptions,
    Pruned,
    PruneOptions,
    Pushed,
    Stats,
    StatsOptions,
    Volume,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._async_queue import Queue
    from ._names import CommandName
    from ._native import Response
    from ._requests import Request

T = TypeVar("T")


class AsyncBridge:
    """A bridge for asyncio: the requests and streams of `Bridge`, awaited.

    It has the arguments of `Bridge`. No thread is held for what is in flight: answers come by a descriptor that the event
    loop watches. Cancelling a task cancels what it awaits: what has begun is told to end, and an abandoned create is undone.
    One event loop at a time uses a bridge.

    Where a loop runs the bridge is made beside it: `async with` and the first request wait for it, and say why it cannot be
    made. What is not awaited, such as `ping`, waits in its place.

    >>> import asyncio, selur
    >>> async def main():
    ...     async with selur.AsyncBridge(runtime="simulated") as bridge:
    ...         web = await bridge.create_container("nginx", name="web")
    ...         await bridge.start_container(web)
    ...         return (await bridge.inspect_container("web"))["state"]
    >>> asyncio.run(main())
    'running'
    """

    def __init__(
        self,
        *,
        runtime: Runtime = "auto",
        guest: Path | Buffer | None = None,
        state_root: Path | None = None,
        shim: Path | None = None,
        docker_socket: Path | None = None,
        deadline: float | None = None,
    ):
        native = _native.Opening(runtime, guest, state_root, shim, docker_socket, deadline)
        self._opening = Opening(native)

    @property
    def _queue(self) -> Queue:
        return self._opening.queue

    @property
    def _bridge(self) -> _native.Bridge:
        return self._opening.queue.native

    @property
    def runtime(self) -> str:
        """What performs the effects: `simulated`, `oci`, `docker`."""
        return self._bridge.runtime

    @property
    def memory_size(self) -> int:
        """How many bytes of memory the guest has. It never changes."""
        return self._bridge.memory_size

    @property
    def state_digest(self) -> int:
        """The kernel's digest of its logical state: equal inputs give equal digests."""
        return self._bridge.state_digest

    async def __aenter__(self) -> Self:
        await self._opening.opened()
        return self

    async def __aexit__(
        self,
        raised: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the bridge: what is in flight is answered `cancelled` and told to end, which is waited for, up to 5 s.

        Containers go on. Closing again does nothing.
        """
        if self._opening.is_pending:
            self._opening.give_up()
            return
        # The one call that waits in the library: on a thread, once in a bridge's life.
        await asyncio.to_thread(self._bridge.close)
        self._queue.drain()

    def ping(self, payload: str | Buffer = b"", /) -> bytes:
        """Answers the same bytes, which must be UTF-8: a round trip through the guest. There is nothing to await."""
        return self._bridge.ping(payload)

    async def call(self, frame: Buffer, /, *, deadline: float | None = None) -> Response:
        """Carries out a frame as it is, and gives its answer, of whatever status."""
        return await (await self._opening.opened()).answer(bytes(frame), deadline)

    async def request(
        self, command: CommandName | int, /, *fields: str | Buffer, deadline: float | None = None
    ) -> bytes:
        """Carries out a request by its command and fields, and gives what it is answered with."""
        frame = _native._frame(command, *fields)
        return await (await self._opening.opened()).data(frame, deadline)

    async def _do(self, request: Request[T], deadline: float | None) -> T:
        return request.decode(await self.request(request.command, *request.fields, deadline=deadline))

    async def _open(self, request: Request[int], deadline: float | None) -> _native.Stream:
        id = await self._do(request, deadline)
        return self._bridge._take_stream(id)

    def take_stream(self, id: int) -> AsyncItemStream[_items.StreamItem]:
        """Takes the stream that a request or a frame of your own was answered with: that decimal number.

        Each is taken once; those that are not taken go with the bridge.
        """
        return AsyncItemStream(self._queue, self._bridge._take_stream(id), _items.item_of)

    def reserve(self, bytes: int, *, deadline: float | None = None) -> AsyncSlot:
        """Reserves a slot of so many bytes, the frame's header included, for requests without a copy."""
        return AsyncSlot(self._queue, self._bridge.reserve(bytes, deadline=deadline))

    async def create_container(
        self,
        image: str,
        *,
        name: str | None = None,
        deadline: float | None = None,
        **options: Unpack[ContainerOptions],
    ) -> str:
        """Makes a container, pulling its image if need be, and gives its id. It is not started.

        An option that no container has is refused by name, as `InvalidRequest`.
        """
        return await self._do(_requests.create_container(image, name, options), deadline)

    async def start_container(self, container: str, *, deadline: float | None = None) -> None:
        """Starts a container's process. One that runs is left alone."""
        await self._do(_requests.start_container(container), deadline)

    async def stop_container(
        self, container: str, *, timeout: float | None = None, deadline: float | None = None
    ) -> None:
        """Ends a container's process: the stop signal, then SIGKILL after `timeout` seconds.

        Unless given, that is the container's own, else 10.
        """
        await self._do(_requests.stop_container(container, timeout), deadline)

    async def inspect_container(self, container: str, *, deadline: float | None = None) -> Inspection:
        """What is known of a container."""
        return await self._do(_requests.inspect_container(container), deadline)

    async def delete_container(
        self, container: str, *, force: bool = False, deadline: float | None = None
    ) -> None:
        """Removes a container and everything of it. With `force` a process of it is killed first."""
        await self._do(_requests.delete_container(container, force), deadline)

    async def list_containers(self, *, deadline: float | None = None) -> list[str]:
        """The ids of all containers, oldest first."""
        return await self._do(_requests.list_containers(), deadline)

    async def kill_container(
        self, container: str, signal: str | int | None = None, *, deadline: float | None = None
    ) -> None:
        """Sends a signal to a container's process, SIGKILL unless given: `"SIGTERM"`, `"TERM"`, `15`, `signal.SIGTERM`."""
        await self._do(_requests.kill_container(container, signal), deadline)

    async def pause_container(self, container: str, *, deadline: float | None = None) -> None:
        """Freezes every process of a container."""
        await self._do(_requests.pause_container(container), deadline)

    async def resume_container(self, container: str, *, deadline: float | None = None) -> None:
        """Thaws a paused container."""
        await self._do(_requests.resume_container(container), deadline)

    async def wait_container(self, container: str, *, deadline: float | None = None) -> int | None:
        """Waits until a container has ended for good, and gives its exit code; None if nobody knows it."""
        return await self._do(_requests.wait_container(container), deadline)

    async def top_container(self, container: str, *, deadline: float | None = None) -> list[ContainerProcess]:
        """The processes of a container."""
        return await self._do(_requests.top_container(container), deadline)

    async def exec(
        self,
        container: str,
        command: Command,
        *,
        deadline: float | None = None,
        **options: Unpack[ExecOptions],
    ) -> AsyncSession:
        """Runs a further process in a running container."""
        return AsyncSession(
            self._queue, await self._open(_requests.exec_process(container, command, options), deadline)
        )

    async def attach(
        self, container: str, *, deadline: float | None = None, **options: Unpack[AttachOptions]
    ) -> AsyncSession:
        """Connects to a container's first process: its output from now on, and its input."""
        return AsyncSession(self._queue, await self._open(_requests.attach(container, options), deadline))

    async def logs(
        self, container: str, *, deadline: float | None = None, **options: Unpack[LogOptions]
    ) -> AsyncItemStream[_items.LogEntry]:
        """Opens what a container wrote; with `follow=True` also what it will write."""
        return AsyncItemStream(
            self._queue, await self._open(_requests.logs(container, options), deadline), _items.entry_of
        )

    async def stats(
        self, container: str, *, deadline: float | None = None, **options: Unpack[StatsOptions]
    ) -> AsyncItemStream[Stats]:
        """Samples what a container uses."""
        return AsyncItemStream(
            self._queue, await self._open(_requests.stats(container, options), deadline), _items.document_of
        )

    async def events(
        self, *, deadline: float | None = None, **options: Unpack[EventOptions]
    ) -> AsyncItemStream[_items.EventItem]:
        """Opens what happens to containers, images and volumes from now on, whichever process does it."""
        return AsyncItemStream(
            self._queue, await self._open(_requests.events(options), deadline), _items.document_of
        )

    async def pull_image(self, image: str, *, deadline: float | None = None) -> Image:
        """Fetches an image from its registry, whether the store has it or not."""
        return await self._do(_requests.pull_image(image), deadline)

    async def pull_image_with_progress(
        self, image: str, *, deadline: float | None = None
    ) -> AsyncItemStream[_items.PullItem]:
        """Fetches an image, and tells how far it is. What goes wrong is told when the stream is read."""
        native = await self._open(_requests.pull_image_with_progress(image), deadline)
        return AsyncItemStream(self._queue, native, _items.document_of)

    async def list_images(self, *, deadline: float | None = None) -> list[Image]:
        """Every image of the store, ordered by reference."""
        return await self._do(_requests.list_images(), deadline)

    async def delete_image(self, image: str, *, deadline: float | None = None) -> None:
        """Removes an image's name, and the image with its last name."""
        await self._do(_requests.delete_image(image), deadline)

    async def load_image(
        self, path: Path, *, reference: str | None = None, deadline: float | None = None
    ) -> list[Image]:
        """Takes images in from an OCI layout, an archive of one, or one that `docker save` wrote.

        With a `reference` there must be one image, which gets this name.
        """
        return await self._do(_requests.load_image(path, reference), deadline)

    async def push_image(self, image: str, *, deadline: float | None = None) -> Pushed:
        """Sends an image of the store to the registry that its reference names."""
        return await self._do(_requests.push_image(image), deadline)

    async def push_image_with_progress(
        self, image: str, *, deadline: float | None = None
    ) -> AsyncItemStream[_items.PushItem]:
        """Sends an image to its registry, and tells how far it is. What goes wrong is told when the stream is read."""
        native = await self._open(_requests.push_image_with_progress(image), deadline)
        return AsyncItemStream(self._queue, native, _items.document_of)

    async def tag_image(self, image: str, name: str, *, deadline: float | None = None) -> None:
        """Gives an image of the store another name; one that another image has is taken from that."""
        await self._do(_requests.tag_image(image, name), deadline)

    async def prune_images(self, *, deadline: float | None = None, **options: Unpack[PruneOptions]) -> Pruned:
        """Removes what nothing uses from the store, and tells what that was."""
        return await self._do(_requests.prune_images(options), deadline)

    async def create_volume(
        self, name: str, *, labels: Mapping[str, str] | None = None, deadline: float | None = None
    ) -> Volume:
        """Makes a volume. One that exists with the same labels is left as it is."""
        return await self._do(_requests.create_volume(name, labels), deadline)

    async def inspect_volume(self, name: str, *, deadline: float | None = None) -> Volume:
        """What is known of a volume."""
        return await self._do(_requests.inspect_volume(name), deadline)

    async def list_volumes(self, *, deadline: float | None = None) -> list[Volume]:
        """Every volume, ordered by name."""
        return await self._do(_requests.list_volumes(), deadline)

    async def delete_volume(self, name: str, *, deadline: float | None = None) -> None:
        """Removes a volume and what is in it."""
        await self._do(_requests.delete_volume(name), deadline)
