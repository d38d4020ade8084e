"""Requests without a copy."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable

import pytest

import selur


def test_a_frame_is_written_and_its_answer_read_in_place(bridge: selur.Bridge) -> None:
    with bridge.reserve(64) as slot:
        assert slot.capacity == len(slot) >= 64
        with slot.bytes as view:
            assert not view.readonly
            view[:7] = b"\0\2\0\0\0hi"
        with slot.submit(7) as answer:
            assert answer.readonly
            assert bytes(answer) == b"hi"
        assert bytes(slot.submit(slot.write("ping", "again"))) == b"again"


def test_a_payload_is_made_in_the_slot(bridge: selur.Bridge) -> None:
    with bridge.reserve(64) as slot:
        with slot.bytes as view:
            view[5:8] = b"abc"
        for command in ("ping", 0):
            assert bytes(slot.submit(slot.head(command, 3))) == b"abc"
        for length in (slot.capacity - 4, 1 << 40):
            with pytest.raises(selur.InvalidRequest, match="does not fit"):
                slot.head("ping", length)


def test_an_answer_shows_the_memory_itself(bridge: selur.Bridge) -> None:
    with bridge.reserve(64) as slot:
        with slot.submit(slot.write("ping", b"abc")) as answer, slot.bytes as view:
            view[5] = ord("X")
            assert bytes(answer) == b"Xbc"


def test_a_slot_that_is_seen_is_neither_submitted_nor_released(bridge: selur.Bridge) -> None:
    slot = bridge.reserve(64)
    count = slot.write("ping", b"abc")
    ways: list[Callable[[], memoryview]] = [
        lambda: slot.bytes,
        lambda: memoryview(slot),
        lambda: slot.submit(count),
        lambda: slot.bytes[2:5],
    ]
    for way in ways:
        view = way()
        with pytest.raises(BufferError, match="view"):
            slot.submit(count)
        with pytest.raises(BufferError, match="view"):
            slot.release()
        view.release()
    assert bytes(slot.submit(count)) == b"abc"
    slot.release()


def test_a_slot_that_was_released_is_refused(bridge: selur.Bridge) -> None:
    slot = bridge.reserve(64)
    slot.release()
    slot.release()
    with pytest.raises(selur.InvalidRequest, match="released"):
        slot.submit(5)
    with pytest.raises(selur.InvalidRequest, match="released"):
        slot.write("ping", b"")
    with pytest.raises(BufferError, match="released"):
        slot.bytes
    assert "released" in repr(slot)


def test_an_answer_of_before_is_not_shown_again(bridge: selur.Bridge) -> None:
    slot = bridge.reserve(64)
    answer = slot.submit(slot.write("ping", b"abc"))
    source = answer.obj
    answer.release()
    assert bytes(memoryview(source)) == b"abc"
    assert bytes(slot.submit(slot.write("ping", b"x"))) == b"x"
    with pytest.raises(BufferError, match="again"):
        memoryview(source)
    slot.release()
    with pytest.raises(BufferError, match="released"):
        memoryview(source)


def test_views_outlive_the_bridge(bridge: selur.Bridge) -> None:
    slot = bridge.reserve(64)
    answer = slot.submit(slot.write("ping", b"abc"))
    view = slot.bytes
    bridge.close()
    view[5:8] = b"xyz"
    assert bytes(answer) == b"xyz"
    answer.release()
    view.release()
    with pytest.raises(selur.InvalidRequest, match="closed"):
        slot.submit(8)
    slot.release()


def test_a_failure_is_raised_and_leaves_the_slot(bridge: selur.Bridge) -> None:
    # The first request that asks for containers waits until they were listed.
    bridge.list_containers()
    with bridge.reserve(300) as slot:
        with pytest.raises(selur.ContainerNotFound):
            slot.submit(slot.write("start_container", "nobody"))
        with pytest.raises(selur.InvalidRequest):
            slot.submit(slot.capacity + 1)
        with pytest.raises(selur.InvalidRequest, match="does not fit"):
            slot.write("ping", b"x" * slot.capacity)
        assert bytes(slot.submit(slot.write(0, "hi"))) == b"hi"


def test_what_is_not_answered_at_once_uses_the_slot_up(bridge: selur.Bridge) -> None:
    slot = bridge.reserve(64)
    answer = slot.submit(slot.write("create_container", "nginx"))
    assert bridge.list_containers() == [bytes(answer).decode()]
    with pytest.raises(selur.InvalidRequest, match="reserve another"):
        slot.submit(5)
    slot.release()


def test_an_exception_in_the_block_is_not_hidden(bridge: selur.Bridge) -> None:
    with pytest.raises(ZeroDivisionError), bridge.reserve(64) as slot:
        _view = slot.bytes
        1 / 0


def test_a_full_arena_is_told_at_once(bridge: selur.Bridge) -> None:
    slots = []
    with pytest.raises(selur.ResourceExhausted):
        while True:
            slots.append(bridge.reserve(100_000))
    assert slots
    for slot in slots:
        slot.release()
    bridge.reserve(100_000).release()
    with pytest.raises(selur.InvalidRequest):
        bridge.reserve(1 << 20)


def test_slots_that_are_dropped_are_given_back(bridge: selur.Bridge) -> None:
    for _ in range(100):
        bridge.reserve(100_000)


def test_a_slot_of_asyncio() -> None:
    async def main() -> None:
        async with selur.AsyncBridge(runtime="simulated") as bridge:
            with bridge.reserve(64) as slot:
                with await slot.submit(slot.write("ping", "hi")) as answer:
                    assert bytes(answer) == b"hi"
                    with pytest.raises(BufferError):
                        await slot.submit(7)
                made = await slot.submit(slot.write("create_container", "nginx"))
                assert await bridge.list_containers() == [bytes(made).decode()]
                with pytest.raises(selur.InvalidRequest, match="reserve another"):
                    await slot.submit(7)
            with bridge.reserve(64) as slot, pytest.raises(selur.ContainerNotFound):
                await slot.submit(slot.write("start_container", "nobody"))

    asyncio.run(main())


def test_threads_that_are_refused_do_not_lock_each_other_out(bridge: selur.Bridge) -> None:
    slot = bridge.reserve(64)
    view = slot.bytes
    before = sys.getswitchinterval()
    refused: list[int] = []

    def fight() -> None:
        count = 0
        for _ in range(300):
            for use in (lambda: slot.submit(9999), slot.release, lambda: slot.write("ping", b"x" * 9999)):
                try:
                    use()
                except (BufferError, selur.InvalidRequest):
                    count += 1
        refused.append(count)

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=fight, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    finally:
        sys.setswitchinterval(before)
    assert refused == [900] * 4
    view.release()
