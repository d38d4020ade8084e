"""selur drives containers from inside your program.

A sealed WebAssembly kernel checks and decides, and real OCI containers start without a daemon, a socket or JSON on the way.

>>> import selur
>>> with selur.Bridge(runtime="simulated") as bridge:  # leave the argument out for real containers
...     print(bridge.ping(b"hi"))
b'hi'

- `Bridge`: blocking requests, streams as iterators, slots; `bridge.containers` and `bridge.images` in the habits of the
  Docker SDK.
- `AsyncBridge`: the same requests and streams for asyncio.
- `SelurError`: what goes wrong, with a class for each status.
- `selur.schemas`: the JSON that is sent and answered, as types.
"""

from __future__ import annotations

from . import schemas
from ._async import AsyncBridge
from ._async_streams import AsyncItemStream, AsyncSession, AsyncSlot
from ._bridge import Bridge
from ._items import Collected, LogEntry, Output, StreamItem
from ._names import CommandName, StatusName
from ._native import COMMANDS, GUEST_SHA256, STATUSES, Response, Slot
from ._native import VERSION as __version__
from ._options import ContainerOptions, ContainerSettings, ExecOptions, Runtime
from ._streams import ItemStream, Session
from .containers import Container, ContainerCollection, ExecResult
from .errors import (
    Cancelled,
    ContainerAlreadyExists,
    ContainerError,
    ContainerNotFound,
    ImageNotFound,
    InternalError,
    InvalidRequest,
    InvalidState,
    NetworkError,
    PermissionDenied,
    ResourceExhausted,
    SelurError,
    Timeout,
    UnknownError,
    Unsupported,
    VolumeNotFound,
)
from .images import Image, ImageCollection

__all__ = [
    "COMMANDS",
    "GUEST_SHA256",
    "STATUSES",
    "AsyncBridge",
    "AsyncItemStream",
    "AsyncSession",
    "AsyncSlot",
    "Bridge",
    "Cancelled",
    "Collected",
    "CommandName",
    "Container",
    "ContainerAlreadyExists",
    "ContainerCollection",
    "ContainerError",
    "ContainerNotFound",
    "ContainerOptions",
    "ContainerSettings",
    "ExecOptions",
    "ExecResult",
    "Image",
    "ImageCollection",
    "ImageNotFound",
    "InternalError",
    "InvalidRequest",
    "InvalidState",
    "ItemStream",
    "LogEntry",
    "NetworkError",
    "Output",
    "PermissionDenied",
    "ResourceExhausted",
    "Response",
    "Runtime",
    "SelurError",
    "Session",
    "Slot",
    "StatusName",
    "StreamItem",
    "Timeout",
    "UnknownError",
    "Unsupported",
    "VolumeNotFound",
    "__version__",
    "schemas",
]
