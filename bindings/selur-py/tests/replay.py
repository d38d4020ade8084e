"""Replays one vector, as conformance/README.md says."""

from __future__ import annotations

import json
import re
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import selur
from conftest import PATIENCE

#: How frames go to a bridge: gives a status code and data.
Way = Callable[[selur.Bridge, bytes], tuple[int, bytes]]


def reply_of(error: selur.SelurError) -> tuple[int, bytes]:
    """What a failure says, as a response."""
    return selur.STATUSES[error.status], str(error).encode()


def by_call(bridge: selur.Bridge, frame: bytes) -> tuple[int, bytes]:
    """A frame as it is."""
    try:
        response = bridge.call(frame, deadline=None)
    except selur.SelurError as error:
        return reply_of(error)
    return response.code, response.data


class Open:
    """A request that was submitted: its answer comes to the completion queue."""

    def __init__(self, bridge: selur.Bridge, frame: bytes):
        self.bridge = bridge
        self.reply: tuple[int, bytes] | None = None
        begun = bridge._begin(frame, None)
        self.ticket = begun if isinstance(begun, int) else 0
        if not isinstance(begun, int):
            self.reply = begun

    def cancel(self) -> None:
        """Asks for an early end."""
        self.bridge._cancel(self.ticket)


class Replay:
    """A vector on its way."""

    def __init__(self, bridge: selur.Bridge, way: Way):
        self.bridge = bridge
        self.way = way
        self.captured: dict[str, str] = {}
        self.open: dict[str, Open] = {}

    def step(self, step: dict[str, Any]) -> None:
        """Does one step."""
        if "request" in step:
            self.request(step)
        elif "submit" in step:
            self.open[step["as"]] = Open(self.bridge, self.frame(step["submit"]))
        elif "await" in step:
            wrong = self.fault(step["expect"], self.answer(self.open.pop(step["await"])))
            assert wrong is None, wrong
        elif "cancel" in step:
            self.open[step["cancel"]].cancel()
        elif "exit" in step:
            self.bridge.kill_container(self.text(step["exit"]), "SIGUSR1")
        else:
            raise AssertionError(f"this step is none that the harness knows: {step}")

    def request(self, step: dict[str, Any]) -> None:
        frame = self.frame(step["request"])
        until = time.monotonic() + PATIENCE
        for _ in range(step.get("times", 1)):
            while True:
                wrong = self.fault(step["expect"], within(lambda: self.way(self.bridge, frame)))
                if wrong is None:
                    break
                assert step.get("eventually") and time.monotonic() < until, wrong

    def answer(self, wanted: Open) -> tuple[int, bytes]:
        """The answer of what was submitted, from the completion queue."""
        until = time.monotonic() + PATIENCE
        while wanted.reply is None:
            for ticket, status, _, _, data in self.bridge._drain(64):
                for each in [wanted, *self.open.values()]:
                    if each.ticket == ticket:
                        each.reply = (status, data)
            assert time.monotonic() < until, "no response came"
        return wanted.reply

    def text(self, text: Any) -> str:
        if isinstance(text, str):
            return self.captured[text[1:]] if text.startswith("$") else text
        if "json" in text:
            return json.dumps(self.filled(text["json"]))
        return str(text.get("before", "") + text["repeat"] * text["count"] + text.get("after", ""))

    def filled(self, value: Any) -> Any:
        """JSON with what was captured in its place."""
        if isinstance(value, str):
            return self.captured[value[1:]] if value.startswith("$") else value
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if isinstance(value, dict):
            return {name: self.filled(field) for name, field in value.items()}
        return value

    def frame(self, frame: dict[str, Any]) -> bytes:
        if "frame_hex" in frame:
            return bytes.fromhex(frame["frame_hex"])
        if "payload_hex" in frame:
            payload = bytes.fromhex(frame["payload_hex"])
        elif "payload" in frame:
            payload = self.text(frame["payload"]).encode()
        else:
            payload = "\0".join(self.text(field) for field in frame.get("fields", [])).encode()
        code = frame["code"] if "code" in frame else selur.COMMANDS[frame["command"]]
        return struct.pack("<BI", code, frame.get("length", len(payload))) + payload

    def fault(self, expect: dict[str, Any], reply: tuple[int, bytes]) -> str | None:
        """What is wrong with a response; captures what is to be captured if nothing is."""
        status, data = reply
        text = data.decode()
        came = f"it was {status}: {text[:300]}"
        if status != selur.STATUSES[expect["status"]]:
            return f"{expect['status']} was to come; {came}"
        if status != 0:
            if not text:
                return "the message is empty"
            parts = [self.text(part) for part in expect.get("message_contains", [])]
            lacking = [part for part in parts if part not in text]
            return f"the message lacks {lacking}; {came}" if lacking else None
        whole: str | None = None
        if "lines" in expect:
            whole = "\n".join(self.text(line) for line in expect["lines"])
        elif "data" in expect:
            whole = self.text(expect["data"])
        elif "data_is" not in expect and "json" not in expect:
            whole = ""
        if whole is not None and whole != text:
            return f"other data came: {came}"
        kind = expect.get("data_is")
        if kind == "container_id" and not re.fullmatch("[0-9a-f]{32}", text):
            return f"this is no id: {came}"
        if kind == "stream_id" and not (re.fullmatch("[1-9][0-9]*", text) and int(text) < 2**64):
            return f"this is no stream: {came}"
        if "json" in expect and not contains(json.loads(text), self.filled(expect["json"])):
            return f"the JSON lacks something: {came}"
        for name, length in expect.get("capture", {}).items():
            assert len(data) >= length
            self.captured[name] = data[:length].decode()
        return None


def replay(vector: dict[str, Any], way: Way) -> None:
    """Replays a vector on a fresh bridge."""
    deadline = vector.get("deadline_ms")
    assert vector["steps"]
    with selur.Bridge(runtime="simulated", deadline=deadline and deadline / 1000) as bridge:
        replayed = Replay(bridge, way)
        for index, step in enumerate(vector["steps"]):
            try:
                replayed.step(step)
            except (AssertionError, selur.SelurError) as error:
                raise AssertionError(f"{vector['name']}, step {index + 1}: {error}") from error


def within(call: Callable[[], tuple[int, bytes]]) -> tuple[int, bytes]:
    """What a call gives, which must not take too long."""
    timer = threading.Timer(PATIENCE, _too_long)
    timer.daemon = True
    timer.start()
    try:
        return call()
    finally:
        timer.cancel()


def _too_long() -> None:
    import faulthandler
    import os

    # A call that hangs would hang the harness: it says where, and ends.
    faulthandler.dump_traceback()
    os._exit(70)


def contains(whole: Any, part: Any) -> bool:
    """Whether JSON contains a value, as the vectors mean it."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            name in whole and contains(whole[name], value) for name, value in part.items()
        )
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return type(whole) is type(part) and whole == part
