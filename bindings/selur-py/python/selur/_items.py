"""What flows in streams: the items, and what makes them of what the native half gives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypedDict, final

if TYPE_CHECKING:
    from .schemas import Event, Image, PullProgress, Pushed

Kind: TypeAlias = Literal["stdout", "stderr", "ended", "json", "end"]
NativeItem: TypeAlias = tuple[Kind, int | None, bytes]


class Output(NamedTuple):
    """A piece of what a process wrote, cut anywhere."""

    stream: Literal["stdout", "stderr"]
    """Where it was written. A terminal has `stdout` only."""
    data: bytes
    """What was written."""


class LogEntry(NamedTuple):
    """A piece of a log: at most a line."""

    stream: Literal["stdout", "stderr"]
    """Where it was written."""
    data: bytes
    """What was written."""
    time_ns: int
    """When it was written, in nanoseconds since the Unix epoch."""


class StreamItem(NamedTuple):
    """An item of a stream that was taken by its number."""

    kind: Literal["stdout", "stderr", "json"]
    """What it is: a piece of output, or JSON."""
    value: int | None
    """Of an item of a log its moment, in nanoseconds since the Unix epoch."""
    data: bytes
    """The bytes."""


class Collected(NamedTuple):
    """What a process wrote, and how it ended."""

    stdout: bytes
    """All of its standard output."""
    stderr: bytes
    """All of its standard error."""
    exit_code: int | None
    """0 to 255, 128 + a signal, or None if nobody knows it."""


@final
class Happened(TypedDict):
    """An event."""

    event: Event


@final
class Lagged(TypedDict):
    """How many events a slow reader missed."""

    lagged: int


@final
class Progressed(TypedDict):
    """How far a transfer is."""

    progress: PullProgress


@final
class Pulled(TypedDict):
    """The image, as the last item of a pull."""

    pulled: Image


@final
class PushedItem(TypedDict):
    """What the registry has now, as the last item of a push."""

    pushed: Pushed


EventItem: TypeAlias = Happened | Lagged
PullItem: TypeAlias = Progressed | Pulled
PushItem: TypeAlias = Progressed | PushedItem


def output_of(item: NativeItem) -> Output | None:
    """A piece of output; None where the process has ended."""
    kind, _, data = item
    return Output(kind, data) if kind == "stdout" or kind == "stderr" else None


def entry_of(item: NativeItem) -> LogEntry | None:
    """An entry of a log; None at its end."""
    kind, value, data = item
    return LogEntry(kind, data, value or 0) if kind == "stdout" or kind == "stderr" else None


def item_of(item: NativeItem) -> StreamItem | None:
    """An item of any stream; None at its end."""
    kind, value, data = item
    return StreamItem(kind, value, data) if kind == "stdout" or kind == "stderr" or kind == "json" else None


def document_of(item: NativeItem) -> Any:
    """An item that is JSON; None at the end."""
    kind, _, data = item
    return json.loads(data) if kind == "json" else None
