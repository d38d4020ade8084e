"""What a ping costs from Python, guest included."""

from __future__ import annotations

import asyncio
import time

from measure import PAYLOADS, measure, ping_frame

import selur

SAMPLES = 2000
IN_FLIGHT = 64


def main() -> None:
    with selur.Bridge(runtime="simulated") as bridge:
        for size in PAYLOADS:
            payload, frame = b"x" * size, ping_frame(size)
            batch = 10 if size > 10240 else 200
            assert bridge.ping(payload) == payload
            measure("by copy: ping(payload)", size, batch, SAMPLES, bridge.ping, payload)
            measure("by copy: call(frame)", size, batch, SAMPLES, bridge.call, frame)
            with bridge.reserve(len(frame)) as slot:
                with slot.bytes as view:
                    view[: len(frame)] = frame
                head, submit, write, length = slot.head, slot.submit, slot.write, len(frame)
                assert bytes(submit(head(0, size))) == payload

                def written(payload: bytes) -> memoryview:
                    write(0, payload)
                    return submit(length)

                # The frame lies in the slot already: a program that uses slots makes its payload there.
                measure("in place, one slot", size, batch, SAMPLES, submit, length)
                measure("in one slot, payload written each time", size, batch, SAMPLES, written, payload)
    asyncio.run(awaited())


async def awaited() -> None:
    """What a request that is not answered at once costs an event loop: the inspection of a simulated container."""
    async with selur.AsyncBridge(runtime="simulated") as bridge:
        web = await bridge.create_container("nginx")
        taken = []
        for _ in range(100):
            began = time.perf_counter_ns()
            await asyncio.gather(*(bridge.request("inspect_container", web) for _ in range(IN_FLIGHT)))
            taken.append((time.perf_counter_ns() - began) / IN_FLIGHT)
        taken.sort()
        print(f"asyncio, {IN_FLIGHT} in flight", "", f"{taken[50]:.1f}", f"{taken[99]:.1f}", "", sep="\t")


main()
