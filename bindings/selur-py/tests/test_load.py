"""Many at once, and many one after another."""

from __future__ import annotations

import asyncio
import resource
import threading
from contextlib import suppress
from pathlib import Path

import selur


def test_eight_threads_use_one_bridge(bridge: selur.Bridge) -> None:
    failed: list[BaseException] = []
    begun = threading.Barrier(8)

    def work(number: int) -> None:
        try:
            begun.wait(30)
            for round in range(40):
                name = f"thread-{number}-{round}"
                web = bridge.create_container("nginx", name=name)
                bridge.start_container(name)
                payload = f"{name} {'x' * round}".encode()
                assert bridge.ping(payload) == payload
                with bridge.reserve(300) as slot:
                    assert bytes(slot.submit(slot.write("ping", payload))) == payload
                assert bridge.exec(web, ["echo", name]).communicate().stdout == f"{name}\n".encode()
                assert bridge.inspect_container(web)["name"] == name
                bridge.delete_container(web, force=True)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert failed == []
    assert bridge.list_containers() == []


def test_a_thousand_tasks_live_and_end() -> None:
    async def life(bridge: selur.AsyncBridge, number: int) -> None:
        name = f"task-{number}"
        web = await bridge.create_container("nginx", name=name)
        await bridge.start_container(name)
        waiting = asyncio.create_task(bridge.wait_container(web))
        assert (await bridge.inspect_container(web))["state"] == "running"
        await bridge.stop_container(web)
        assert await waiting == 143
        await bridge.delete_container(web)

    async def main() -> None:
        async with selur.AsyncBridge(runtime="simulated") as bridge:
            before = threading.active_count()
            await asyncio.gather(*(life(bridge, number) for number in range(1000)))
            # No thread waits for what is in flight.
            assert threading.active_count() == before
            assert await bridge.list_containers() == []
            assert bridge._queue._waiters == {}
            assert bridge._queue._loop is None

    asyncio.run(main())


def resident() -> int:
    """How much memory of this process is resident, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_100_000_calls_leave_memory_as_it_is(bridge: selur.Bridge) -> None:
    payload = b"x" * 1000
    slot = bridge.reserve(1100)
    frame = b"\0\xe8\3\0\0" + payload

    def calls(count: int) -> None:
        for number in range(count):
            bridge.ping(payload)
            slot.submit(slot.write("ping", payload))
            if number % 5 == 0:
                bridge.call(frame)
                with suppress(selur.ContainerNotFound):
                    bridge.inspect_container("nobody")

    calls(5_000)
    before = resident()
    calls(45_000)
    grown = resident() - before
    assert grown < 4 << 20, f"{grown} bytes more"


def test_memory_stays_with_containers_and_streams(bridge: selur.Bridge) -> None:
    def lives(count: int) -> None:
        for _ in range(count):
            web = bridge.create_container("nginx")
            bridge.start_container(web)
            list(bridge.logs(web))
            bridge.exec(web, "cat", stdin=True).communicate(b"x" * 10_000)
            bridge.delete_container(web, force=True)

    lives(100)
    before = resident()
    lives(500)
    grown = resident() - before
    assert grown < 8 << 20, f"{grown} bytes more"


def test_bridges_that_come_and_go_leave_nothing() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def come_and_go(count: int) -> None:
        for _ in range(count):
            with selur.Bridge(runtime="simulated") as bridge:
                bridge._descriptor()
                bridge.create_container("nginx")

    come_and_go(5)
    before, memory = descriptors(), resident()
    come_and_go(60)
    assert descriptors() == before
    assert resident() - memory < 16 << 20
