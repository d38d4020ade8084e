"""The JSON that is sent and answered, as types.

Made by generate.py from docs/schemas: do not edit; `generate.py --write` makes it anew.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict, final

__all__ = [
    "AttachOptions",
    "BindMount",
    "Capabilities",
    "ContainerProcess",
    "ContainerSpec",
    "Event",
    "EventKind",
    "EventOptions",
    "ExecSpec",
    "Image",
    "Inspection",
    "LayerDone",
    "LayerDonePullProgress",
    "LogOptions",
    "Mount",
    "NetworkMode",
    "PruneOptions",
    "Pruned",
    "PullPolicy",
    "PullProgress",
    "Pushed",
    "Resolved",
    "ResolvedPullProgress",
    "Resources",
    "RestartPolicy",
    "Stats",
    "StatsOptions",
    "TerminalSize",
    "TmpfsMount",
    "Transferred",
    "TransferredPullProgress",
    "Volume",
    "VolumeMount",
    "VolumeOptions",
]


class Capabilities(TypedDict):
    """What is added to and taken from the capabilities that containers have. Names are written with or
    without `CAP_`; `ALL` stands for all that this machine has.
    """

    add: NotRequired[list[str]]
    """Given to the container. `ALL` gives all but what is in `drop`."""
    drop: NotRequired[list[str]]
    """Taken from the container. `ALL` leaves what is in `add`."""


@final
class BindMount(TypedDict):
    """A file or directory of the host, with what is mounted below it."""

    read_only: NotRequired[bool]
    """Whether the container cannot write to it."""
    source: str
    """Its absolute path on the host. It must exist."""
    target: str
    """An absolute path in the container, not `/`, without `..`."""
    type: Literal["bind"]


@final
class VolumeMount(TypedDict):
    """A named volume: a directory that outlives the container. It is made if there is none of this name."""

    read_only: NotRequired[bool]
    """Whether the container cannot write to it."""
    source: str
    """Its name, of the grammar of container names."""
    target: str
    """An absolute path in the container, not `/`, without `..`."""
    type: Literal["volume"]


@final
class TmpfsMount(TypedDict):
    """An empty directory in memory, gone when the process ends. No programs can be run from it, and no
    devices used.
    """

    mode: NotRequired[str | None]
    """The directory's mode, in octal digits; what the image's directory has unless given, else 1777."""
    read_only: NotRequired[bool]
    """Whether nobody can write to it."""
    size_bytes: NotRequired[int | None]
    """The most that it holds, in bytes; half of the machine's memory unless given."""
    target: str
    """An absolute path in the container, not `/`, without `..`."""
    type: Literal["tmpfs"]


Mount: TypeAlias = BindMount | VolumeMount | TmpfsMount
"""Something that stands at a path of the container instead of what the image has there."""


NetworkMode: TypeAlias = Literal["none", "host"]
"""Which network a container sees."""


PullPolicy: TypeAlias = Literal["missing", "always", "never"]
"""When an image is pulled."""


class Resources(TypedDict):
    """The most that a container may use. What is absent is without limit."""

    cpus: NotRequired[float | None]
    """Processors' time: 1.5 is one and a half. At most as many as the machine has."""
    memory_bytes: NotRequired[int | None]
    """Memory, in bytes; the container cannot swap beyond it. A process that needs more is killed."""
    pids: NotRequired[int | None]
    """Processes and threads."""


RestartPolicy: TypeAlias = str
"""Whether a process that ended by itself with a code other than 0 is started again: without end, or at most
n times in a row.
"""


class ContainerSpec(TypedDict):
    """How a container is to run. What is absent comes from the image, else from the defaults named here.

    An unknown field is an error that names the field.
    """

    capabilities: NotRequired[Capabilities]
    """What its processes may do as root."""
    command: NotRequired[list[str] | None]
    """Instead of the image's command."""
    entrypoint: NotRequired[list[str] | None]
    """Instead of the image's entrypoint; with it, the image's command is not used."""
    environment: NotRequired[list[str]]
    """`KEY=VALUE`, over the image's environment."""
    extra_hosts: NotRequired[list[str]]
    """`name:address`: machines whose addresses it knows without asking."""
    hostname: NotRequired[str | None]
    """The first 12 digits of the id unless given."""
    labels: NotRequired[dict[str, str]]
    """Over the image's labels."""
    mounts: NotRequired[list[Mount]]
    """What else the container sees at paths of its own."""
    network: NotRequired[NetworkMode]
    """Which network the container sees."""
    pull: NotRequired[PullPolicy]
    """When the image is pulled."""
    read_only_root: NotRequired[bool]
    """Whether its root file system cannot be written to."""
    resources: NotRequired[Resources]
    """What it may use of the machine."""
    restart: NotRequired[RestartPolicy]
    """Whether the process is started again when it ends by itself: `no`, `on-failure` or `on-failure:n`."""
    stdin: NotRequired[bool]
    """Whether the process has a standard input that can be attached to; else it is empty."""
    stop_signal: NotRequired[str | None]
    """What stop sends first; the image's, else SIGTERM."""
    stop_timeout_ms: NotRequired[int | None]
    """How long stop waits before SIGKILL, in milliseconds; 10,000 unless given."""
    terminal: NotRequired[bool]
    """Whether the process has a terminal; standard error is then part of standard output."""
    user: NotRequired[str | None]
    """`user`, `user:group`, names or numbers."""
    working_directory: NotRequired[str | None]
    """An absolute path in the container."""


class TerminalSize(TypedDict):
    """A terminal's size, in characters."""

    columns: int
    """Columns."""
    rows: int
    """Rows."""


class ExecSpec(TypedDict):
    """How a further process runs in a running container. An unknown field is an error that names the field."""

    command: NotRequired[list[str]]
    """The program, found on the container's `PATH`, and its arguments."""
    environment: NotRequired[list[str]]
    """`KEY=VALUE`, over the container's environment."""
    size: NotRequired[TerminalSize | None]
    """The terminal's size at first."""
    stdin: NotRequired[bool]
    """Whether the process gets a standard input; else it is empty."""
    terminal: NotRequired[bool]
    """Whether the process gets a terminal; standard error is then part of standard output."""
    user: NotRequired[str | None]
    """`user`, `user:group`, names or numbers; the container's own unless given."""
    working_directory: NotRequired[str | None]
    """An absolute path in the container; the container's own unless given."""


class LogOptions(TypedDict):
    """What is read of a log."""

    follow: NotRequired[bool]
    """Whether to go on as the container writes, until it has ended for good."""
    since_ns: NotRequired[int | None]
    """Only what was written at this moment or later, in nanoseconds since the Unix epoch."""
    stderr: NotRequired[bool]
    """Whether standard error is wanted."""
    stdout: NotRequired[bool]
    """Whether standard output is wanted."""
    tail_lines: NotRequired[int | None]
    """Only the last so many lines of what is there and else wanted; none is all."""


class AttachOptions(TypedDict):
    """How a container's first process is attached to."""

    replay: NotRequired[bool]
    """Whether what it wrote until now comes first."""
    stdin: NotRequired[bool]
    """Whether input is sent to it. The container's specification must say `stdin`."""


class StatsOptions(TypedDict):
    """What is sampled."""

    follow: NotRequired[bool]
    """Whether to go on, one sample an interval, until the container has ended; else there is one sample."""
    interval_ms: NotRequired[int]
    """How long from one sample to the next, in milliseconds: 10 at least."""


class EventOptions(TypedDict):
    """Which events are wanted."""

    since_ns: NotRequired[int | None]
    """Also those since this moment that are still known, in nanoseconds since the Unix epoch; else from now
    on.
    """
    until_now: NotRequired[bool]
    """Whether to end where there are no more instead of waiting for them."""


class PruneOptions(TypedDict):
    """What is pruned."""

    all: NotRequired[bool]
    """Also images that have a name, if no container uses them."""
    dry_run: NotRequired[bool]
    """Only to tell what would be removed."""


class VolumeOptions(TypedDict):
    """What a volume is made with."""

    labels: NotRequired[dict[str, str]]
    """Labels."""


class Inspection(TypedDict):
    """Everything that is known of a container. Times are RFC 3339 in UTC.

    Source: DESIGN, "Inspect".
    """

    created_at: str
    """When it was made."""
    exit_code: int | None
    """How the process ended: 0 to 255, 128 + the signal if one ended it; null while it runs or when
    unknown.
    """
    finished_at: str | None
    """When it last ended."""
    id: str
    """32 hex digits."""
    image: str
    """The image reference in full."""
    image_digest: str | None
    """The digest of the image's manifest, if the backend knows it."""
    labels: dict[str, str]
    """Labels, from the image and the specification."""
    name: str | None
    """The name, if it has one."""
    pid: int | None
    """The process's id on the host while it runs."""
    restart_count: int
    """How often the restart policy started it again."""
    spec: ContainerSpec
    """How it was asked to run."""
    started_at: str | None
    """When it was last started."""
    state: str
    """created, running, paused, restarting or stopped."""


class ContainerProcess(TypedDict):
    """A process of a container, as `top` shows it."""

    command: list[str]
    """The program and its arguments; the name in brackets where there are none."""
    cpu_ns: int
    """Processor time, in nanoseconds."""
    memory_bytes: int
    """Resident memory, in bytes."""
    parent_pid: int
    """Its parent's id on the host."""
    pid: int
    """Its id on the host."""
    state: str
    """R running, S sleeping, D waiting for a device, Z ended, T stopped…

    Source: proc_pid_stat(5).
    """
    uid: int
    """The user it runs as, by number."""


class Stats(TypedDict):
    """What a container used until a moment. Counters only grow while the container runs; null is what this
    machine does not tell.
    """

    block_read_bytes: int | None
    """Bytes read from block devices."""
    block_write_bytes: int | None
    """Bytes written to block devices."""
    cpu_ns: int
    """Processor time, in nanoseconds."""
    memory_bytes: int
    """Memory in use without the page cache that can be dropped, in bytes."""
    memory_limit_bytes: int | None
    """The most that it may use, in bytes; null is without limit."""
    network_receive_bytes: int | None
    """Bytes received by network interfaces of its own, loopback excepted; null where it has the host's
    network.
    """
    network_send_bytes: int | None
    """Bytes sent by them."""
    online_cpus: int
    """How many processors the container may run on at once."""
    pids: int
    """Processes and threads."""
    pids_limit: int | None
    """The most that it may have; null is without limit."""
    time_ns: int
    """When, in nanoseconds since the Unix epoch."""


EventKind: TypeAlias = Literal["created", "started", "paused", "resumed", "restarting", "ended", "deleted", "image_pulled", "image_loaded", "image_tagged", "image_pushed", "image_deleted", "volume_created", "volume_deleted"]
"""What can happen."""


class Event(TypedDict):
    """What happened."""

    exit_code: NotRequired[int | None]
    """`ended` and `restarting`: how the process ended, if it is known."""
    generation: NotRequired[int | None]
    """The container's generation: it grows with every start."""
    kind: EventKind
    """What."""
    name: NotRequired[str | None]
    """The container's name, if it has one."""
    subject: str
    """The container's id, the image's reference or the volume's name."""
    time_ns: int
    """When, in nanoseconds since the Unix epoch."""


class Image(TypedDict):
    """One image of the store."""

    created_at: str | None
    """When the image was built, as its configuration says: RFC 3339."""
    digest: str
    """The digest of the manifest for this platform."""
    reference: str
    """The reference in full: `docker.io/library/nginx:latest`."""
    size_bytes: int
    """The compressed size of its layers, in bytes."""


class Pushed(TypedDict):
    """What a push ended with."""

    digest: str
    """The digest of the manifest that the registry has now."""
    reference: str
    """The reference in full."""


class Pruned(TypedDict):
    """What a prune removed, or would."""

    freed_bytes: int
    """The room that is freed on the disk, in bytes."""
    layers: int
    """How many unpacked layers."""
    references: list[str]
    """The references that lost their image."""


class Resolved(TypedDict):
    """Resolved"""

    digest: str
    """The digest of the manifest for this platform."""
    layers: list[list[int | str]]
    """Digest and compressed size of each layer, bottom first."""


@final
class ResolvedPullProgress(TypedDict):
    """The manifest is known: its digest, and each layer's digest and size in bytes."""

    resolved: Resolved


class Transferred(TypedDict):
    """Transferred"""

    bytes: int
    """Bytes so far."""
    layer: str
    """Which layer."""


@final
class TransferredPullProgress(TypedDict):
    """So many bytes of a layer are transferred."""

    transferred: Transferred


class LayerDone(TypedDict):
    """LayerDone"""

    layer: str
    """Which layer."""


@final
class LayerDonePullProgress(TypedDict):
    """A layer is complete: verified and unpacked, or there already; of a push: the registry has it."""

    layer_done: LayerDone


PullProgress: TypeAlias = ResolvedPullProgress | TransferredPullProgress | LayerDonePullProgress
"""How far a pull or a push is. A reader that is slow sees fewer of them, never an older one after a newer
one.
"""


class Volume(TypedDict):
    """A named volume."""

    containers: list[str]
    """The containers that mount it."""
    created_at: str
    """When it was made: RFC 3339."""
    labels: dict[str, str]
    """Labels."""
    name: str
    """Its name; of the grammar of container names."""
    path: str | None
    """Its directory on this machine, if the backend has one."""
