import asyncio
import sys

import selur

image = sys.argv[1] if len(sys.argv) > 1 else "docker.io/library/busybox"


async def life(bridge: selur.AsyncBridge, number: int) -> int | None:
    container = await bridge.create_container(image, command=["sh", "-c", f"exit {number}"])
    await bridge.start_container(container)
    code = await bridge.wait_container(container)
    await bridge.delete_container(container)
    return code


async def main() -> None:
    async with selur.AsyncBridge() as bridge:
        print(await asyncio.gather(*(life(bridge, number) for number in range(5))))


asyncio.run(main())
