"""Replays one vector by asyncio: what is submitted is a task, and what is cancelled is cancelled as a task is."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import selur
from conftest import PATIENCE
from replay import Replay, reply_of

CANCELLED = (selur.STATUSES["cancelled"], b"the task was cancelled")


async def carry_out(bridge: selur.AsyncBridge, frame: bytes) -> tuple[int, bytes]:
    """A frame as it is."""
    try:
        response = await asyncio.wait_for(bridge.call(frame), PATIENCE)
    except selur.SelurError as error:
        return reply_of(error)
    return response.code, response.data


async def replay(vector: dict[str, Any]) -> None:
    """Replays a vector on a fresh bridge."""
    deadline = vector.get("deadline_ms")
    async with selur.AsyncBridge(runtime="simulated", deadline=deadline and deadline / 1000) as bridge:
        # What is expected and how frames are made is the same for all ways.
        texts = Replay(cast("selur.Bridge", None), lambda *_: (0, b""))
        tasks: dict[str, asyncio.Task[tuple[int, bytes]]] = {}
        for index, step in enumerate(vector["steps"]):
            wrong = await take(bridge, texts, tasks, step)
            assert wrong is None, f"{vector['name']}, step {index + 1}: {wrong}"
        for task in tasks.values():
            task.cancel()


async def take(
    bridge: selur.AsyncBridge,
    texts: Replay,
    tasks: dict[str, asyncio.Task[tuple[int, bytes]]],
    step: dict[str, Any],
) -> str | None:
    """Does one step, and says what is wrong."""
    if "request" in step:
        return await request(bridge, texts, step)
    if "submit" in step:
        frame = texts.frame(step["submit"])
        tasks[step["as"]] = asyncio.create_task(carry_out(bridge, frame))
        # A task begins when the loop turns.
        await asyncio.sleep(0)
    elif "cancel" in step:
        tasks[step["cancel"]].cancel()
    elif "exit" in step:
        await bridge.kill_container(texts.text(step["exit"]), "SIGUSR1")
    else:
        try:
            reply = await tasks.pop(step["await"])
        except asyncio.CancelledError:
            reply = CANCELLED
        expect = dict(step["expect"])
        if reply is CANCELLED:
            # What the kernel says of it nobody hears any more.
            expect.pop("message_contains", None)
        return texts.fault(expect, reply)
    return None


async def request(bridge: selur.AsyncBridge, texts: Replay, step: dict[str, Any]) -> str | None:
    """Sends a frame, as often as the step says."""
    frame = texts.frame(step["request"])
    until = time.monotonic() + PATIENCE
    for _ in range(step.get("times", 1)):
        while (wrong := texts.fault(step["expect"], await carry_out(bridge, frame))) is not None:
            if not step.get("eventually") or time.monotonic() > until:
                return wrong
    return None
