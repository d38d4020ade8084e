"""What goes wrong: an exception for each status of the protocol.

All of them are `SelurError`s. Programs catch the class or look at `status`; the message says to people what to do.

>>> import selur
>>> with selur.Bridge(runtime="simulated") as bridge:
...     try:
...         bridge.start_container("nobody")
...     except selur.ContainerNotFound as error:
...         print(error.status)
container_not_found
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from ._names import StatusName

__all__ = [
    "Cancelled",
    "ContainerAlreadyExists",
    "ContainerError",
    "ContainerNotFound",
    "ImageNotFound",
    "InternalError",
    "InvalidRequest",
    "InvalidState",
    "NetworkError",
    "PermissionDenied",
    "ResourceExhausted",
    "SelurError",
    "Timeout",
    "UnknownError",
    "Unsupported",
    "VolumeNotFound",
]


class SelurError(Exception):
    """A request that was not carried out."""

    status: ClassVar[StatusName] = "unknown_error"
    """What happened, by name: the same in every language of selur."""


class InvalidRequest(SelurError):
    """The frame, the grammar, the UTF-8, the command or a field of the specification is wrong; or what was used is closed."""

    status = "invalid_request"


class ContainerNotFound(SelurError):
    """No container has this id, name or prefix; or several have the prefix; or it was deleted while the request waited."""

    status = "container_not_found"


class ContainerAlreadyExists(SelurError):
    """The name is taken. Two containers may share an image."""

    status = "container_already_exists"


class NetworkError(SelurError):
    """The registry cannot be reached, or a pull broke off."""

    status = "network_error"


class InternalError(SelurError):
    """The runtime failed, or the guest trapped; the message says how."""

    status = "internal_error"


class InvalidState(SelurError):
    """The container's state does not allow this; the message names the state."""

    status = "invalid_state"


class PermissionDenied(SelurError):
    """The registry refused the credentials, or the system lacks a right."""

    status = "permission_denied"


class ResourceExhausted(SelurError):
    """The container table, the tickets, the waits, the arena or the disk is full."""

    status = "resource_exhausted"


class Timeout(SelurError, TimeoutError):
    """The deadline passed; what ran was told to end."""

    status = "timeout"


class Cancelled(SelurError):
    """The caller cancelled, a forced deletion did, or the bridge was closed."""

    status = "cancelled"


class Unsupported(SelurError):
    """This backend lacks what was asked for."""

    status = "unsupported"


class ImageNotFound(SelurError):
    """The registry has no such image, or none for this platform; or it is not there and may not be pulled."""

    status = "image_not_found"


class VolumeNotFound(SelurError):
    """No volume has this name."""

    status = "volume_not_found"


class UnknownError(SelurError):
    """A status that this version does not know: newer than this package."""


class ContainerError(Exception):
    """A container that `containers.run` waited for, and that ended with another exit code than 0."""

    def __init__(
        self,
        container: str,
        exit_status: int | None,
        command: str | list[str] | None,
        image: str,
        stderr: bytes,
    ):
        self.container = container
        """Its id."""
        self.exit_status = exit_status
        """Its exit code; None if nobody knows it."""
        self.command = command
        """What it was to run; None for what the image says."""
        self.image = image
        """The image that it was made of."""
        self.stderr = stderr
        """What it wrote to its standard error."""
        said = f": {stderr.decode(errors='replace').strip()}" if stderr else ""
        code = "an exit code that nobody knows" if exit_status is None else f"exit code {exit_status}"
        super().__init__(f"the container {container[:12]} of {image} ended with {code}{said}")

    def __reduce__(self) -> tuple[type[ContainerError], tuple[object, ...]]:
        return type(self), (self.container, self.exit_status, self.command, self.image, self.stderr)


BY_STATUS: Final[dict[str, type[SelurError]]] = {each.status: each for each in SelurError.__subclasses__()}


def error_of(code: int, message: str) -> SelurError:
    """The exception of a status code."""
    from . import _native

    for name, known in _native.STATUSES.items():
        if known == code:
            return BY_STATUS.get(name, UnknownError)(message)
    return UnknownError(message)
