"""How a container or a process is to run, as keywords: the fields of the specification, in Python's own types.

What is written here for convenience becomes the JSON of docs/schemas. A keyword that is none is refused here; whether its
value is right the kernel and the runtime say.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from . import _keywords
from .errors import InvalidRequest

if TYPE_CHECKING:
    from .schemas import Capabilities, Mount, NetworkMode, PullPolicy, RestartPolicy, TerminalSize

Command = str | Sequence[str]
Environment = Mapping[str, str] | Iterable[str]
Path = str | os.PathLike[str]
Runtime = Literal["auto", "oci", "docker", "simulated"]


class ContainerSettings(TypedDict, total=False):
    """How a container is to run, but for its command. What is absent comes from the image."""

    entrypoint: Command
    """Instead of the image's entrypoint; with it, the image's command is not used."""
    environment: Environment
    """Over the image's: a mapping, or `KEY=VALUE`."""
    working_directory: str
    """An absolute path in the container."""
    user: str
    """`user`, `user:group`, names or numbers."""
    hostname: str
    """The first 12 digits of the id unless given."""
    labels: Mapping[str, str]
    """Over the image's."""
    network: NetworkMode
    """`none`, which it is unless given: nothing but loopback; `host`: the host's."""
    pull: PullPolicy
    """When the image is pulled: `missing`, which it is unless given, `always`, `never`."""
    restart: RestartPolicy
    """`no`, which it is unless given, `on-failure` or `on-failure:n`."""
    stop_signal: str
    """What stop sends first; the image's unless given, else SIGTERM."""
    stop_timeout: float
    """How long stop waits before SIGKILL, in seconds; 10 unless given."""
    stdin: bool
    """Whether there is a standard input that can be attached to."""
    terminal: bool
    """Whether the process has a terminal."""
    mounts: Sequence[Mount]
    """What else the container sees at paths of its own."""
    memory: int | str
    """The most memory, in bytes, or as in `256m`."""
    cpus: float
    """The most of the processors' time: 1.5 is one and a half."""
    pids: int
    """The most processes and threads."""
    read_only_root: bool
    """Whether its root file system takes no writes."""
    capabilities: Capabilities
    """What is added to and taken from the capabilities that containers have."""
    extra_hosts: Mapping[str, str] | Iterable[str]
    """Machines whose addresses it knows: a mapping, or `name:address`."""


class ContainerOptions(ContainerSettings, total=False):
    """How a container is to run. What is absent comes from the image."""

    command: Command
    """Instead of the image's command: words, or one text that is split as a shell would."""


class ExecOptions(TypedDict, total=False):
    """How a further process runs in a container."""

    environment: Environment
    """Over the container's: a mapping, or `KEY=VALUE`."""
    working_directory: str
    """An absolute path in the container."""
    user: str
    """`user`, `user:group`, names or numbers; the container's own unless given."""
    stdin: bool
    """Whether the process gets a standard input."""
    terminal: bool
    """Whether the process gets a terminal."""
    size: TerminalSize
    """The terminal's size at first."""


def with_command(command: Command | None, settings: ContainerSettings) -> ContainerOptions:
    """Settings with a command, if there is one."""
    options = settings if command is None else {**settings, "command": command}
    return cast("ContainerOptions", options)


def container_spec(options: Mapping[str, Any]) -> str | None:
    """The specification of a container as JSON; None where nothing is given."""
    spec = given(options)
    # A specification may also be given as docs/schemas has it.
    known = {*ContainerOptions.__annotations__, "resources", "stop_timeout_ms"}
    _keywords.check(spec, known, _keywords.OF_CONTAINERS)
    resources: dict[str, Any] = dict(spec.pop("resources", {}))
    if "memory" in spec:
        resources["memory_bytes"] = size_of(spec.pop("memory"))
    for name in ("cpus", "pids"):
        if name in spec:
            resources[name] = spec.pop(name)
    if resources:
        spec["resources"] = resources
    if "stop_timeout" in spec:
        spec["stop_timeout_ms"] = milliseconds(spec.pop("stop_timeout"))
    for name in ("command", "entrypoint"):
        if name in spec:
            spec[name] = words(spec[name])
    if "environment" in spec:
        spec["environment"] = joined(spec["environment"], "=")
    if "extra_hosts" in spec:
        spec["extra_hosts"] = joined(spec["extra_hosts"], ":")
    for name in ("labels", "mounts"):
        if name in spec:
            spec[name] = dict(spec[name]) if name == "labels" else list(spec[name])
    return text(spec)


def exec_spec(command: Command, options: Mapping[str, Any]) -> str:
    """The specification of a further process as JSON."""
    spec = given(options)
    _keywords.check(spec, ExecOptions.__annotations__, _keywords.OF_PROCESSES)
    if "environment" in spec:
        spec["environment"] = joined(spec["environment"], "=")
    return text({"command": words(command), **spec}) or ""


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say something."""
    return {name: value for name, value in options.items() if value is not None}


def text(options: Mapping[str, Any]) -> str | None:
    """Options as JSON; None where none is given."""
    spec = given(options)
    return json.dumps(spec, separators=(",", ":"), ensure_ascii=False) if spec else None


def checked(options: Mapping[str, Any], kind: type, renamed: Mapping[str, str] | None = None) -> str | None:
    """Options of a command as JSON, which are the fields of a kind; None where none is given."""
    _keywords.check(given(options), kind.__annotations__, renamed)
    return text(options)


def words(command: Command) -> list[str]:
    """The words of a command."""
    return shlex.split(command) if isinstance(command, str) else list(command)


def joined(pairs: Environment, separator: str) -> list[str]:
    """A mapping as texts."""
    if isinstance(pairs, Mapping):
        return [f"{name}{separator}{value}" for name, value in pairs.items()]
    return list(pairs)


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, never fewer than that."""
    if math.isfinite(seconds):
        return math.ceil(seconds * 1000)
    raise InvalidRequest(f"{seconds} is no time: give seconds")


def nanoseconds(moment: datetime | float) -> int:
    """Nanoseconds since 1970, exactly: of a number of seconds, or of a moment, which is local unless it says its zone."""
    if isinstance(moment, datetime):
        since = moment.astimezone(UTC) - EPOCH
        return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
    try:
        return math.floor(Fraction(moment) * 1_000_000_000)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{moment} is no moment: give a datetime, or seconds since 1970") from None


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def size_of(size: int | str) -> int:
    """Bytes: a number, or one with a unit: `512k`, `256m`, `1.5g`."""
    if isinstance(size, int):
        return size
    lower = size.strip().lower().removesuffix("b") or size
    number, unit = (lower[:-1], lower[-1]) if lower[-1:] in UNITS else (lower, "b")
    try:
        return int(float(number) * UNITS[unit])
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{size!r} is no size: write bytes, or a number with k, m, g or t, such as 256m"
        ) from None
