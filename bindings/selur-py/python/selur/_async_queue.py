"""The completion queue of a bridge, drained by an event loop.

Requests go in by frames, answers come back by tickets. The loop watches the queue's descriptor while something is in flight,
and drains all that is there at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, NamedTuple

from . import _native
from ._items import Kind
from .errors import SelurError, error_of

SUCCESS: Final = _native.STATUSES["success"]
BATCH: Final = 256
#: So many answers at once are followed by a turn of the loop's others.
AT_ONCE: Final = 64


class Answer(NamedTuple):
    """What a ticket was answered with: of a request, or an item of a stream."""

    status: int
    kind: Kind | None
    value: int | None
    data: bytes

    def check(self) -> Answer:
        """It, unless it is a failure, which is raised."""
        if self.status == SUCCESS:
            return self
        raise error_of(self.status, self.data.decode())


class Queue:
    """What is in flight of a bridge, and who waits for it."""

    def __init__(self, native: _native.Bridge):
        #: The bridge.
        self.native: Final = native
        #: By ticket: who waits, and the command whose late success is cleared away when nobody does any more.
        self._waiters: dict[int, tuple[asyncio.Future[Answer] | None, int]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._at_once = 0

    async def data(self, frame: bytes, deadline: float | None) -> bytes:
        """The data that a frame is answered with; a failure is raised."""
        return (await self._carry_out(frame, deadline)).check().data

    async def answer(self, frame: bytes, deadline: float | None) -> _native.Response:
        """What a frame is answered with, of whatever status."""
        answer = await self._carry_out(frame, deadline)
        return _native.Response(answer.status, answer.data)

    async def _carry_out(self, frame: bytes, deadline: float | None) -> Answer:
        loop = self._use()
        begun = self.native._begin(frame, deadline)
        if not isinstance(begun, int):
            # Who asks in a loop and is answered at once lets no others have their turn: they get their answers all the same.
            if self._waiters:
                self.drain()
            answer = Answer(begun[0], None, None, begun[1])
            try:
                await self.give_turn()
            except BaseException:
                self._undo(frame[0], answer)
                raise
            return answer
        return await self.settle(begun, self.expect(loop, begun, frame[0]), frame[0])

    async def give_turn(self) -> None:
        """Lets others have their turn, now and then, after an answer that was not waited for: else a loop of such
        requests would hold up all else.
        """
        self._at_once += 1
        if self._at_once == AT_ONCE:
            self._at_once = 0
            await asyncio.sleep(0)

    async def settle(self, ticket: int, future: asyncio.Future[Answer], command: int) -> Answer:
        """Waits for an answer. Being cancelled cancels what it is the answer of."""
        try:
            return await future
        except BaseException:
            # The task was cancelled, or the coroutine closed. In the second case nobody cancelled the future.
            if future.done() and not future.cancelled():
                # It was answered just now, and nobody hears it.
                self._undo(command, future.result())
            else:
                self._abandon(ticket, command)
            raise

    def begin(self, submit: Callable[[], int]) -> tuple[int, asyncio.Future[Answer]]:
        """Begins something whose answer comes by a future."""
        loop = self._use()
        ticket = submit()
        return ticket, self.expect(loop, ticket)

    def expect(
        self, loop: asyncio.AbstractEventLoop, ticket: int, command: int = 0
    ) -> asyncio.Future[Answer]:
        """The answer that comes under a ticket that was just given."""
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiters[ticket] = (future, command)
        try:
            self._watch(loop)
        except BaseException:
            self._abandon(ticket, command)
            raise
        return future

    def drain(self) -> None:
        """Hands out every answer that is there."""
        while True:
            batch = self.native._drain(BATCH)
            for ticket, status, kind, value, data in batch:
                future, command = self._waiters.pop(ticket, (None, 0))
                answer = Answer(status, kind, value, data)
                if future is None or future.cancelled():
                    self._undo(command, answer)
                elif not future.done():
                    future.set_result(answer)
            if len(batch) < BATCH:
                break
        # A loop that watches for nothing would hold the bridge.
        if not self._waiters:
            self._watch_no_more()

    def _abandon(self, ticket: int, command: int) -> None:
        """Gives up what nobody waits for any more. Its answer comes all the same, and is cleared away then."""
        if ticket in self._waiters:
            self._waiters[ticket] = (None, command)
        self.cancel(ticket)

    def cancel(self, ticket: int) -> None:
        """Asks for an early end of what was begun. Its answer comes all the same, to whoever waits."""
        # In a child of a fork there is nothing to cancel.
        with contextlib.suppress(SelurError):
            self.native._cancel(ticket)

    def _undo(self, command: int, late: Answer) -> None:
        """Clears away what a request left behind that was cancelled too late."""
        # In a child of a fork there is nothing to undo.
        with contextlib.suppress(SelurError):
            self.native._abandon(command, late.status, late.data)

    def _use(self) -> asyncio.AbstractEventLoop:
        """The running loop, which must be the one that watches."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            if not self._loop.is_closed():
                raise RuntimeError("another event loop uses this bridge: give each loop a bridge of its own")
            # It went with those who waited.
            self._loop = None
            for ticket, (_, command) in list(self._waiters.items()):
                self._abandon(ticket, command)
        return loop

    def current(self) -> asyncio.AbstractEventLoop:
        """The loop to expect answers on."""
        return self._use()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is None:
            loop.add_reader(self.native._descriptor(), self.drain)
            self._loop = loop

    def _watch_no_more(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self.native._descriptor())
