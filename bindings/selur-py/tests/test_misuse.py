"""What must not be done, and is refused."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from typing import Any

import pytest

import selur
from conftest import eventually


def test_a_bridge_is_closed_twice_and_refuses_then(bridge: selur.Bridge, running: str) -> None:
    bridge.close()
    bridge.close()
    for use in (
        bridge.ping,
        bridge.list_containers,
        lambda: bridge.reserve(9),
        lambda: bridge.take_stream(1),
    ):
        with pytest.raises(selur.InvalidRequest, match="closed"):
            use()
    with pytest.raises(selur.InvalidRequest, match="closed"):
        bridge.call(b"\0\0\0\0\0")


def test_closing_ends_who_waits(bridge: selur.Bridge, running: str) -> None:
    raised: list[BaseException] = []
    begun = threading.Barrier(9)

    def wait() -> None:
        begun.wait()
        try:
            bridge.wait_container(running)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    begun.wait()
    bridge.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    # Who came too late is told that the bridge is closed.
    assert {type(error) for error in raised} <= {selur.Cancelled, selur.InvalidRequest}
    assert len(raised) == 8


def test_a_bridge_that_is_dropped_is_closed() -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    gc.collect()
    gc.disable()
    try:
        before = threads()
        for _ in range(5):
            other = selur.Bridge(runtime="simulated")
            other.containers.create(other.images.pull("nginx").id)
            assert threads() > before
            # At once: nothing in it holds it, and no collector has to find it.
            del other
            eventually("its threads are gone", lambda: threads() <= before)
    finally:
        gc.enable()


@pytest.mark.parametrize("runtime", ["", "Simulated", "none"])
def test_a_runtime_that_is_none_is_refused(runtime: Any) -> None:
    with pytest.raises(selur.InvalidRequest, match="runtime"):
        selur.Bridge(runtime=runtime)


def test_a_state_root_that_cannot_be_is_told() -> None:
    with pytest.raises(selur.SelurError):
        selur.Bridge(runtime="oci", state_root="/proc/nowhere/to/be/found")


def test_wrong_types_are_type_errors(bridge: selur.Bridge) -> None:
    wrong: Any = object()
    for use in (
        lambda: bridge.ping(wrong),
        lambda: bridge.call(wrong),
        lambda: bridge.call("text"),  # type: ignore[arg-type]
        lambda: bridge.request("ping", wrong),
        lambda: bridge.list_containers(deadline=wrong),
        lambda: bridge.reserve(wrong),
        lambda: selur.Bridge(wrong),  # type: ignore[misc]
        lambda: bridge.exec("web", wrong),
    ):
        with pytest.raises(TypeError):
            use()


def test_what_is_out_of_range_is_refused(bridge: selur.Bridge) -> None:
    for bytes in (-1, 1 << 70):
        with pytest.raises(OverflowError):
            bridge.reserve(bytes)
    for command in (-1, 256, 0xF0, "no_such_command", 1 << 70):
        with pytest.raises(selur.InvalidRequest, match="no command"):
            bridge.request(command)  # type: ignore[arg-type]
    with pytest.raises(selur.InvalidRequest, match="no stream"):
        bridge.take_stream(77)


def test_a_buffer_that_is_no_row_of_bytes_is_refused(bridge: selur.Bridge) -> None:
    import array

    with pytest.raises((TypeError, BufferError)):
        bridge.ping(array.array("d", [1.0]))
    view = memoryview(bytearray(b"a-b-c-"))[::2]
    assert bridge.ping(view) == b"abc"


def test_classes_of_the_native_half_cannot_be_made_by_hand() -> None:
    for kind in (selur.Slot, selur._native.Stream, selur._native.Answer):
        with pytest.raises(TypeError):
            kind()


def test_fields_that_are_too_long_are_refused(bridge: selur.Bridge) -> None:
    with pytest.raises(selur.InvalidRequest, match="longer"):
        bridge.ping(b"x" * 262_145)
    with pytest.raises(selur.InvalidRequest, match="longer"):
        bridge.create_container("x" * 300_000)


def test_an_asyncio_bridge_outside_of_a_loop_says_so() -> None:
    bridge = selur.AsyncBridge(runtime="simulated")
    coroutine = bridge.list_containers()
    with pytest.raises(RuntimeError, match="no running event loop"):
        coroutine.send(None)
    asyncio.run(bridge.close())


def test_what_was_closed_is_refused_by_asyncio() -> None:
    async def main() -> None:
        bridge = selur.AsyncBridge(runtime="simulated")
        await bridge.close()
        await bridge.close()
        with pytest.raises(selur.InvalidRequest, match="closed"):
            await bridge.list_containers()

    asyncio.run(main())


def test_a_detached_run_cannot_remove(bridge: selur.Bridge) -> None:
    with pytest.raises(ValueError, match="no daemon"):
        bridge.containers.run("nginx", detach=True, remove=True)  # type: ignore[call-overload]
    assert bridge.list_containers() == []
