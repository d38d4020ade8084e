"""Streams and slots of asyncio. Nothing is read before somebody reads: who writes is held back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from ._items import Collected, NativeItem, Output, output_of
from .errors import InvalidRequest, SelurError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from . import _native
    from ._async_queue import Answer, Queue
    from ._names import CommandName

T = TypeVar("T")


class AsyncItemStream(Generic[T], AsyncIterator[T]):
    """Items that come while they are read: an async iterator, and a context manager that ends it.

    Leaving it before its end is no end: close it, use it in `async with`, or drop it. A read that is cancelled loses
    nothing.
    """

    def __init__(self, queue: Queue, native: _native.Stream, item_of: Callable[[NativeItem], T | None]):
        self._queue = queue
        self._native = native
        self._item_of = item_of
        self._is_over = False
        #: The read that is under way: it outlives who began it.
        self._reading: asyncio.Future[Answer] | None = None
        #: Whether somebody waits for it.
        self._is_awaited = False

    async def __anext__(self) -> T:
        """The next item."""
        if self._is_over:
            raise StopAsyncIteration
        if self._is_awaited:
            raise InvalidRequest("a read of this stream is under way: await it first")
        if self._reading is None:
            _, self._reading = self._queue.begin(self._native.submit_next)
        self._is_awaited = True
        try:
            answer = await asyncio.shield(self._reading)
        finally:
            self._is_awaited = False
        self._reading = None
        answer.check()
        native = (answer.kind or "end", answer.value, answer.data)
        item = self._item_of(native)
        if item is None:
            self._over(native)
            raise StopAsyncIteration
        return item

    def _over(self, last: NativeItem) -> None:
        self.close()

    def close(self) -> None:
        """Ends the stream, whoever reads it. Doing so again does nothing."""
        self._is_over = True
        self._native.close()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        raised: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncSession(AsyncItemStream[Output]):
    """A process that was started in a container, or a container's first one that is attached to.

    Its output is what is iterated over, piece by piece; what is not read holds the process back. Ending it kills the
    process of an exec, and leaves an attached one as it is. What is sent goes one after another.
    """

    def __init__(self, queue: Queue, native: _native.Stream):
        super().__init__(queue, native, output_of)
        #: What was sent last. It has the input until it is answered, also when who sent it was cancelled.
        self._sending: asyncio.Future[Answer] | None = None
        self.exit_code: int | None = None
        """How the process ended: 0 to 255, or 128 + a signal. None until all output was read, and if nobody knows it."""

    def _over(self, last: NativeItem) -> None:
        if last[0] == "ended":
            self.exit_code = last[1]
        super()._over(last)

    async def write(self, data: Buffer) -> None:
        """Sends bytes to the process. Waits while it does not read what was sent before."""
        await self._pass(lambda: self._native.submit_write(data))

    async def end_input(self) -> None:
        """Ends the process's input. With a terminal there is no such end: write `b"\\x04"` instead."""
        await self._pass(self._native.submit_end_input)

    async def resize(self, rows: int, columns: int) -> None:
        """Tells the process's terminal its size, in characters. Nothing happens where there is none."""
        await self._pass(lambda: self._native.submit_resize(rows, columns))

    async def _pass(self, submit: Callable[[], int]) -> None:
        """Sends something after what was sent before. Being cancelled cancels it."""
        loop = self._queue.current()
        # A loop that has ended answers nobody.
        while (before := self._sending) and before.get_loop() is loop and not before.done():
            await asyncio.wait([before])
        ticket, self._sending = self._queue.begin(submit)
        try:
            answer = await asyncio.shield(self._sending)
        except BaseException:
            self._queue.cancel(ticket)
            raise
        answer.check()

    async def communicate(self, input: Buffer | None = None) -> Collected:
        """Sends input, ends it, reads all output, and gives it with the exit code."""
        sending = None if input is None else asyncio.create_task(self._send(bytes(input)))
        try:
            pieces: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
            async for stream, data in self:
                pieces[stream].append(data)
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.wait([sending])
        return Collected(b"".join(pieces["stdout"]), b"".join(pieces["stderr"]), self.exit_code)

    async def _send(self, data: bytes) -> None:
        try:
            await self.write(data)
            await self.end_input()
        except SelurError:
            # A process that ends before it has read everything is no failure: its output and exit code say more.
            pass


class AsyncSlot:
    """A reserved part of the guest's memory, for one request frame at a time and its answer.

    As `Slot`, but for `submit`, which is awaited.

    >>> import asyncio, selur
    >>> async def main():
    ...     async with selur.AsyncBridge(runtime="simulated") as bridge:
    ...         with bridge.reserve(64) as slot:
    ...             return bytes(await slot.submit(slot.write("ping", "hi")))
    >>> asyncio.run(main())
    b'hi'
    """

    def __init__(self, queue: Queue, native: _native.Slot):
        self._queue = queue
        self._native = native

    @property
    def capacity(self) -> int:
        """How many bytes it has: at least as many as were asked for."""
        return self._native.capacity

    @property
    def bytes(self) -> memoryview:
        """A view of its bytes, to write the frame to."""
        return self._native.bytes

    def write(self, command: CommandName | int, payload: str | Buffer) -> int:
        """Writes a frame of a command and its payload into the slot, and gives the frame's length."""
        return self._native.write(command, payload)

    def head(self, command: CommandName | int, payload_length: int) -> int:
        """Writes the head of a frame whose payload is in the slot already: see `Slot.head`."""
        return self._native.head(command, payload_length)

    async def submit(self, frame_length: int) -> memoryview:
        """Hands over the frame in the slot, and gives a view of what it is answered with: see `Slot.submit`."""
        loop = self._queue.current()
        command = self._command()
        came = self._native._exchange(frame_length)
        if isinstance(came, memoryview):
            await self._queue.give_turn()
            return came
        future = self._queue.expect(loop, came, command)
        return memoryview((await self._queue.settle(came, future, command)).check().data)

    def _command(self) -> int:
        """The command that is written in the slot; any where there is no slot any more, which is told otherwise."""
        try:
            with self._native.bytes as view:
                return int(view[0])
        except BufferError:
            return 0

    def release(self) -> None:
        """Releases the slot. What it was submitted for goes on. Doing so again does nothing."""
        self._native.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        raised: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._native.__exit__(raised, value, traceback)
