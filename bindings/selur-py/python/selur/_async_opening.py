"""Bridges that are made while an event loop runs, which goes on meanwhile: a daemon that does not answer is waited for."""

from __future__ import annotations

import asyncio
import os

from . import _live, _native
from ._async_queue import Queue


class Opening:
    """A bridge of asyncio, and what is in flight of it. What is made at once is held at once, as is all without a loop."""

    def __init__(self, native: _native.Opening):
        self._queue: Queue | None = None
        if native.is_prompt or not _is_looping():
            self._hold(_native.Bridge(native))
        else:
            self._native = native

    async def opened(self) -> Queue:
        """The bridge's queue, once it is there."""
        if self._queue is None:
            await _readable(self._native.descriptor())
        return self.queue

    @property
    def queue(self) -> Queue:
        """The bridge's queue. The thread waits for it."""
        # Another task may have had it meanwhile.
        return self._queue or self._hold(_native.Bridge(self._native))

    @property
    def is_pending(self) -> bool:
        """Whether the bridge is not there yet."""
        return self._queue is None

    def give_up(self) -> None:
        """Lets go of a bridge that is not there yet."""
        self._native.give_up()

    def _hold(self, native: _native.Bridge) -> Queue:
        _live.track(native)
        self._queue = Queue(native)
        return self._queue


def _is_looping() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _readable(descriptor: int) -> None:
    """Waits until something can be read. Any number of tasks can wait for one descriptor."""
    loop = asyncio.get_running_loop()
    own = os.dup(descriptor)
    try:
        readable = loop.create_future()

        def see() -> None:
            if not readable.done():
                readable.set_result(None)

        loop.add_reader(own, see)
        try:
            await readable
        finally:
            loop.remove_reader(own)
    finally:
        os.close(own)
