"""Requests and streams by asyncio."""

from __future__ import annotations

import asyncio
import inspect
import os
import resource
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import selur
from conftest import PATIENCE


def within(test: Callable[[selur.AsyncBridge], Awaitable[None]]) -> Callable[[], None]:
    """A test with a bridge of its own, in a loop of its own that complains of what is slow or forgotten."""

    async def main() -> None:
        async with selur.AsyncBridge(runtime="simulated") as bridge:
            await asyncio.wait_for(test(bridge), 60)

    def run() -> None:
        asyncio.run(main(), debug=True)

    run.__name__ = test.__name__
    return run


async def becomes_free(bridge: selur.AsyncBridge, name: str) -> None:
    """Waits until a container can have this name: a create that is undone holds it for a moment, unlisted."""
    until = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            await bridge.create_container("nginx", name=name, deadline=PATIENCE)
            return
        except selur.ContainerAlreadyExists:
            assert asyncio.get_running_loop().time() < until


def test_both_bridges_have_the_same_requests() -> None:
    def of(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in vars(kind).items()
            if not name.startswith("_") and inspect.isfunction(method)
        }

    blocking, awaited = of(selur.Bridge), of(selur.AsyncBridge)
    others = {"close", "ping", "call", "request", "reserve"}
    assert {name: awaited[name] for name in awaited if name not in others} == blocking
    assert all(hasattr(selur.Bridge, name) for name in others)
    assert list(inspect.signature(selur.AsyncBridge).parameters) == list(
        inspect.signature(selur.Bridge).parameters
    )


@within
async def test_a_container_lives_and_ends(bridge: selur.AsyncBridge) -> None:
    web = await bridge.create_container("nginx", name="web", environment={"A": "b"})
    await bridge.start_container(web)
    assert (await bridge.inspect_container("web"))["spec"].get("environment") == ["A=b"]
    await bridge.pause_container(web)
    await bridge.resume_container(web)
    await bridge.top_container(web)
    waiting = asyncio.create_task(bridge.wait_container(web))
    await bridge.stop_container(web, timeout=1)
    assert await waiting == 143
    await bridge.delete_container(web)
    assert await bridge.list_containers() == []
    assert bridge.ping("hi") == await bridge.request("ping", b"hi") == b"hi"
    assert (await bridge.call(b"\x06\0\0\0\0")).status == "success"


@within
async def test_images_and_volumes(bridge: selur.AsyncBridge) -> None:
    image = await bridge.pull_image("alpine")
    assert await bridge.list_images() == [image]
    items = [item async for item in await bridge.pull_image_with_progress("alpine")]
    assert "pulled" in items[-1]
    volume = await bridge.create_volume("data")
    assert await bridge.list_volumes() == [volume]


@within
async def test_a_cancelled_task_cancels_its_effect(bridge: selur.AsyncBridge) -> None:
    web = await bridge.create_container("fault.test/hang:start", name="web")
    starting = asyncio.create_task(bridge.start_container(web))
    await asyncio.sleep(0)
    # It holds its container: what comes after it would wait for it.
    deleting = asyncio.create_task(bridge.delete_container(web))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await deleting
    assert await bridge.list_containers() == []


@within
async def test_a_create_that_was_cancelled_too_late_is_undone(bridge: selur.AsyncBridge) -> None:
    for rounds in range(30):
        creating = asyncio.create_task(bridge.create_container("nginx", name="web"))
        for _ in range(rounds % 4):
            await asyncio.sleep(0)
        creating.cancel()
        made = (await asyncio.gather(creating, return_exceptions=True))[0]
        if isinstance(made, str):
            await bridge.delete_container(made)
        # Its name is free again, a moment later at most.
        until = asyncio.get_running_loop().time() + 30
        while await bridge.list_containers():
            assert asyncio.get_running_loop().time() < until
    await becomes_free(bridge, "web")


@within
async def test_a_coroutine_that_is_closed_gives_up_what_it_began(bridge: selur.AsyncBridge) -> None:
    creating = bridge.create_container("fault.test/hang:pull", name="web")
    creating.send(None)
    creating.close()
    # It would hold the name for ever.
    await becomes_free(bridge, "web")
    # Nor is anything left of one that is answered after it was closed.
    creating = bridge.create_container("nginx", name="late")
    creating.send(None)
    creating.close()
    await becomes_free(bridge, "late")


def test_what_a_loop_left_behind_is_given_up_by_the_next() -> None:
    bridge = selur.AsyncBridge(runtime="simulated")
    left: list[object] = []

    async def leave() -> None:
        creating = bridge.create_container("fault.test/hang:pull", name="web")
        creating.send(None)
        left.append(creating)

    async def use() -> None:
        await becomes_free(bridge, "web")
        await bridge.close()

    asyncio.run(leave())
    asyncio.run(use())
    left.clear()


@within
async def test_answers_at_once_hold_up_no_other_task(bridge: selur.AsyncBridge) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(others())
    await bridge.list_containers()
    with bridge.reserve(64) as slot:
        for ask in (
            bridge.list_containers,
            lambda: bridge.request("ping", "hi"),
            lambda: slot.submit(slot.write("ping", "hi")),
        ):
            before = turns
            for _ in range(1000):
                await ask()
            assert turns - before >= 10
    ticking.cancel()


@within
async def test_a_deadline_and_wait_for(bridge: selur.AsyncBridge) -> None:
    web = await bridge.create_container("nginx")
    await bridge.start_container(web)
    with pytest.raises(selur.Timeout):
        await bridge.wait_container(web, deadline=0.01)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bridge.wait_container(web), 0.01)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(bridge.wait_container(web))
        group.create_task(bridge.kill_container(web))
    assert waiting.result() == 137


@within
async def test_an_exec_talks(bridge: selur.AsyncBridge) -> None:
    web = await bridge.create_container("nginx")
    await bridge.start_container(web)
    megabyte = b"x" * (1 << 20)
    async with await bridge.exec(web, "cat", stdin=True) as session:
        assert await session.communicate(megabyte) == (megabyte, b"", 0)
        assert session.exit_code == 0
    async with await bridge.exec(web, "cat", stdin=True) as session:
        await session.resize(10, 20)
        await session.write(b"one")
        await session.end_input()
        # A simulated cat tells its size, too.
        assert [piece.data async for piece in session] == [b"10 20\n", b"one"]


@within
async def test_a_read_that_is_cancelled_loses_nothing(bridge: selur.AsyncBridge) -> None:
    web = await bridge.create_container("nginx")
    await bridge.start_container(web)
    async with await bridge.exec(web, "cat", stdin=True) as session:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(session), 0.001)
        await session.write(b"one")
        await session.end_input()
        assert [piece.data async for piece in session] == [b"one"]


@within
async def test_what_is_sent_after_a_write_that_was_cancelled_is_sent(bridge: selur.AsyncBridge) -> None:
    web = await bridge.create_container("nginx")
    await bridge.start_container(web)
    piece = b"x" * 65_536
    for rounds in range(200):
        async with await bridge.exec(web, "cat", stdin=True) as session:
            # Nobody reads what comes back: at some time it waits.
            writing = asyncio.create_task(session.write(piece * 64))
            for _ in range(rounds % 5):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait([writing])
            others = [session.resize(10, 20), session.write(b"end"), session.end_input()]
            sending = [asyncio.create_task(other) for other in others]
            written = b"".join([item.data async for item in session])
            await asyncio.gather(*sending)
            assert written.endswith(b"end")
            assert session.exit_code == 0


@within
async def test_writes_of_several_tasks_go_one_after_another(bridge: selur.AsyncBridge) -> None:
    web = await bridge.create_container("nginx")
    await bridge.start_container(web)
    async with await bridge.exec(web, "cat", stdin=True) as session:
        pieces = [bytes([letter]) * 300_000 for letter in b"abc"]
        sending = [asyncio.create_task(session.write(piece)) for piece in pieces]
        sending.append(asyncio.create_task(session.end_input()))
        assert b"".join([item.data async for item in session]) == b"".join(pieces)
        await asyncio.gather(*sending)


@within
async def test_a_second_reader_is_refused_and_the_first_gets_all(bridge: selur.AsyncBridge) -> None:
    web = await bridge.create_container("nginx")
    await bridge.start_container(web)
    async with await bridge.exec(web, "cat", stdin=True) as session:
        reading = asyncio.create_task(anext(session))
        await asyncio.sleep(0)
        for _ in range(2):
            with pytest.raises(selur.InvalidRequest, match="under way"):
                await anext(session)
        await session.write(b"one")
        assert (await reading).data == b"one"
        await session.write(b"two")
        assert (await anext(session)).data == b"two"


@within
async def test_closing_a_stream_ends_who_reads(bridge: selur.AsyncBridge) -> None:
    events = await bridge.events()
    reading = asyncio.create_task(anext(events))
    await asyncio.sleep(0)
    events.close()
    with pytest.raises(selur.Cancelled):
        await reading
    assert [item async for item in events] == []


def test_closing_a_bridge_ends_who_waits() -> None:
    async def main() -> None:
        bridge = selur.AsyncBridge(runtime="simulated")
        web = await bridge.create_container("nginx")
        await bridge.start_container(web)
        waiting = [asyncio.create_task(bridge.wait_container(web)) for _ in range(50)]
        events = await bridge.events()
        reading = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        await bridge.close()
        for task in [*waiting, reading]:
            with pytest.raises(selur.Cancelled):
                await task

    asyncio.run(main())


def test_one_loop_after_another_uses_a_bridge() -> None:
    bridge = selur.AsyncBridge(runtime="simulated")
    web = asyncio.run(bridge.create_container("nginx"))

    async def give_up() -> None:
        await bridge.start_container(web)
        waiting = asyncio.create_task(bridge.wait_container(web))
        await asyncio.sleep(0)
        # What a loop leaves behind at its end is cancelled by it.
        assert not waiting.done()

    asyncio.run(give_up())
    asyncio.run(bridge.kill_container(web))
    assert asyncio.run(bridge.wait_container(web)) == 137
    asyncio.run(bridge.close())


def test_two_loops_at_once_are_refused() -> None:
    import threading

    async def main() -> None:
        async with selur.AsyncBridge(runtime="simulated") as bridge:
            web = await bridge.create_container("nginx")
            await bridge.start_container(web)
            waiting = asyncio.create_task(bridge.wait_container(web))
            await asyncio.sleep(0)
            raised: list[BaseException] = []

            def other() -> None:
                try:
                    asyncio.run(bridge.list_containers())
                except RuntimeError as error:
                    raised.append(error)

            thread = threading.Thread(target=other)
            thread.start()
            thread.join(30)
            assert "another event loop" in str(raised[0])
            await bridge.kill_container(web)
            assert await waiting == 137

    asyncio.run(main())


def test_a_process_without_a_descriptor_left_fails_one_request_alone() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    failed: list[selur.SelurError] = []

    async def with_so_many_left(room: int) -> None:
        async with selur.AsyncBridge(runtime="simulated") as bridge:
            free = os.dup(0)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + room, hard))
            try:
                await asyncio.wait_for(bridge.create_container("nginx"), PATIENCE)
            except selur.SelurError as error:
                failed.append(error)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            web = await asyncio.wait_for(bridge.create_container("nginx", name="web"), PATIENCE)
            assert (await bridge.inspect_container("web"))["id"] == web

    asyncio.run(with_so_many_left(0))
    assert failed
    asyncio.run(with_so_many_left(1))


def test_a_bridge_that_is_being_made_holds_up_no_task(silent: Path) -> None:
    async def main() -> None:
        bridge = selur.AsyncBridge(runtime="docker", docker_socket=silent)
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(others())
        asking = [asyncio.create_task(bridge.list_containers()) for _ in range(3)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asking[0], 0.3)
        assert turns > 20
        await bridge.close()
        for use in (bridge.list_containers, bridge.__aenter__):
            with pytest.raises(selur.InvalidRequest, match="closed"):
                await asyncio.wait_for(use(), PATIENCE)
        for task in (*asking, ticking):
            task.cancel()
        await asyncio.gather(*asking, ticking, return_exceptions=True)

    begun = time.monotonic()
    asyncio.run(main())
    # The daemon has 20 s.
    assert time.monotonic() - begun < 15


def test_a_bridge_that_cannot_be_made_says_so_where_it_is_awaited(tmp_path: Path) -> None:
    async def main() -> None:
        nowhere = tmp_path / "nowhere.sock"
        bridge = selur.AsyncBridge(runtime="docker", docker_socket=nowhere)
        for _ in range(2):
            with pytest.raises(selur.SelurError, match="nowhere"):
                await bridge.list_containers()
        with pytest.raises(selur.SelurError, match="nowhere"):
            async with bridge:
                raise AssertionError
        with pytest.raises(selur.SelurError, match="nowhere"):
            bridge.ping()
        with pytest.raises(selur.InvalidRequest, match="no runtime"):
            selur.AsyncBridge(runtime="none")  # type: ignore[arg-type]

    asyncio.run(main())


@pytest.mark.skipif(os.geteuid() != 0, reason="real containers are root's here")
def test_a_real_bridge_is_made_beside_its_loop(tmp_path: Path) -> None:
    async def main() -> None:
        bridge = selur.AsyncBridge(runtime="oci", state_root=tmp_path / "state")
        assert await asyncio.gather(*(bridge.list_containers() for _ in range(8))) == [[]] * 8
        assert bridge.runtime == "oci"
        await bridge.close()
        # Without a request the thread waits for it.
        async with selur.AsyncBridge(runtime="oci", state_root=tmp_path / "state") as other:
            assert other.ping("hi") == b"hi"
        waiting = selur.AsyncBridge(runtime="oci", state_root=tmp_path / "state")
        assert waiting.ping("hi") == b"hi"
        await waiting.close()

    asyncio.run(main())


def test_an_idle_bridge_holds_no_loop() -> None:
    import gc
    import weakref

    async def main() -> weakref.ref[selur._native.Bridge]:
        bridge = selur.AsyncBridge(runtime="simulated")
        await bridge.create_container("nginx")
        # What a loop would hold is not the bridge itself.
        seen = weakref.ref(bridge._bridge)
        del bridge
        gc.collect()
        assert seen() is None
        return seen

    asyncio.run(main())
