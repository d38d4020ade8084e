"""Streams as iterators that block. Nothing is read before somebody reads: who writes is held back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from ._items import Collected, NativeItem, Output, output_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from . import _native

T = TypeVar("T")


class ItemStream(Generic[T], Iterator[T]):
    """Items that come while they are read: an iterator, and a context manager that ends it.

    Leaving it before its end is no end: close it, use it in `with`, or drop it.
    """

    def __init__(self, native: _native.Stream, item_of: Callable[[NativeItem], T | None]):
        self._native = native
        self._item_of = item_of
        self._is_over = False

    def __next__(self) -> T:
        """The next item; blocks until it is there."""
        if self._is_over:
            raise StopIteration
        native = self._native.next()
        item = self._item_of(native)
        if item is None:
            self._over(native)
            raise StopIteration
        return item

    def _over(self, last: NativeItem) -> None:
        self.close()

    def close(self) -> None:
        """Ends the stream, whoever reads it. Doing so again does nothing."""
        self._is_over = True
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        raised: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Session(ItemStream[Output]):
    """A process that was started in a container, or a container's first one that is attached to.

    Its output is what is iterated over, piece by piece; what is not read holds the process back. Ending it kills the
    process of an exec, and leaves an attached one as it is.

    >>> import selur
    >>> with selur.Bridge(runtime="simulated") as bridge:
    ...     web = bridge.create_container("nginx")
    ...     bridge.start_container(web)
    ...     with bridge.exec(web, ["cat"], stdin=True) as session:
    ...         print(session.communicate(b"42"))
    Collected(stdout=b'42', stderr=b'', exit_code=0)
    """

    def __init__(self, native: _native.Stream):
        super().__init__(native, output_of)
        self.exit_code: int | None = None
        """How the process ended: 0 to 255, or 128 + a signal. None until all output was read, and if nobody knows it."""

    def _over(self, last: NativeItem) -> None:
        if last[0] == "ended":
            self.exit_code = last[1]
        super()._over(last)

    def write(self, data: Buffer) -> None:
        """Sends bytes to the process. Blocks while it does not read what was sent before."""
        self._native.write(data)

    def end_input(self) -> None:
        """Ends the process's input. With a terminal there is no such end: write `b"\\x04"` instead."""
        self._native.end_input()

    def resize(self, rows: int, columns: int) -> None:
        """Tells the process's terminal its size, in characters. Nothing happens where there is none."""
        self._native.resize(rows, columns)

    def communicate(self, input: Buffer | None = None) -> Collected:
        """Sends input, ends it, reads all output, and gives it with the exit code."""
        writer = None
        if input is not None:
            # Who writes is held back until somebody reads: both at the same time.
            writer = threading.Thread(target=self._send, args=(bytes(input),), daemon=True)
            writer.start()
        pieces: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        for stream, data in self:
            pieces[stream].append(data)
        if writer is not None:
            writer.join()
        return Collected(b"".join(pieces["stdout"]), b"".join(pieces["stderr"]), self.exit_code)

    def _send(self, data: bytes) -> None:
        from .errors import SelurError

        try:
            self.write(data)
            self.end_input()
        except SelurError:
            # A process that ends before it has read everything is no failure: its output and exit code say more.
            pass
