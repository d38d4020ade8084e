"""Every vector of conformance/vectors, by every way into a bridge."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import selur
from conftest import ROOT
from replay import Way, by_call, replay, reply_of

#: A floor, so that lost vectors are noticed; the files say how many there are.
AT_LEAST = 550


def vectors() -> list[dict[str, Any]]:
    """All vectors. A folder that is missing is a failure."""
    files = sorted((ROOT / "conformance/vectors").glob("*.json"))
    found = [vector for file in files for vector in json.loads(file.read_text())["vectors"]]
    assert len(found) >= AT_LEAST, f"{len(found)} vectors are fewer than {AT_LEAST}"
    assert len({vector["name"] for vector in found}) == len(found)
    return found


def in_place(bridge: selur.Bridge, frame: bytes) -> tuple[int, bytes]:
    """A frame that is written where the guest reads it."""
    try:
        with bridge.reserve(len(frame)) as slot:
            with slot.bytes as view:
                view[: len(frame)] = frame
            with slot.submit(len(frame)) as answer:
                return 0, bytes(answer)
    except selur.SelurError as error:
        return reply_of(error)


def by_fields(bridge: selur.Bridge, frame: bytes) -> tuple[int, bytes]:
    """A request by its command and fields. What is malformed on purpose can only go as a frame."""
    payload = frame[5:]
    is_whole = len(frame) >= 5 and int.from_bytes(frame[1:5], "little") == len(payload)
    if not is_whole or (frame[0] != 0 and not payload) or frame[0] not in selur.COMMANDS.values():
        return by_call(bridge, frame)
    try:
        if frame[0] == 0:
            return 0, bridge.ping(payload)
        return 0, bridge.request(frame[0], *payload.split(b"\0"))
    except selur.SelurError as error:
        return reply_of(error)


@pytest.mark.parametrize("way", [by_call, in_place, by_fields], ids=lambda way: way.__name__)
def test_every_vector_holds(way: Way) -> None:
    ran = 0
    all = vectors()
    for vector in all:
        replay(vector, way)
        ran += 1
    assert ran == len(all)
    print(f"{ran} vectors")


def test_every_vector_holds_when_it_is_awaited() -> None:
    """Each request of a vector, one after another, by asyncio; those that are submitted are tasks."""
    from replay_async import replay as awaited

    async def all_of_them() -> int:
        ran = 0
        for vector in vectors():
            await awaited(vector)
            ran += 1
        return ran

    assert asyncio.run(all_of_them()) >= AT_LEAST
