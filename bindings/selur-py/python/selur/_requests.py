"""The typed requests, once for both bridges: each says what is sent and what its answer means."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import _keywords, _options, schemas

if TYPE_CHECKING:
    from ._names import CommandName
    from .schemas import ContainerProcess, Image, Inspection, Pruned, Pushed, Volume

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """What is sent, and what makes something of the answer."""

    command: CommandName
    fields: tuple[str, ...]
    decode: Callable[[bytes], T]


def request(command: CommandName, decode: Callable[[bytes], T], *fields: str | None) -> Request[T]:
    """A request, without the last fields that say nothing."""
    given = list(fields)
    while given and given[-1] is None:
        given.pop()
    return Request(command, tuple(field or "" for field in given), decode)


def nothing(data: bytes) -> None:
    """An answer that says no more than that it was done."""


def word(data: bytes) -> str:
    """An answer that is text."""
    return data.decode()


def lines(data: bytes) -> list[str]:
    """An answer of one text a line."""
    return data.decode().split("\n") if data else []


def exit_code(data: bytes) -> int | None:
    """An exit code; None if nobody knows it."""
    return int(data) if data else None


def document(data: bytes) -> Any:
    """An answer that is JSON."""
    return json.loads(data)


def create_container(image: str, name: str | None, options: Mapping[str, Any]) -> Request[str]:
    return request("create_container", word, image, name, _options.container_spec(options))


def start_container(container: str) -> Request[None]:
    return request("start_container", nothing, container)


def stop_container(container: str, timeout: float | None) -> Request[None]:
    given = None if timeout is None else str(_options.milliseconds(timeout))
    return request("stop_container", nothing, container, given)


def inspect_container(container: str) -> Request[Inspection]:
    return request("inspect_container", document, container)


def delete_container(container: str, force: bool) -> Request[None]:
    return request("delete_container", nothing, container, "force" if force else None)


def list_containers() -> Request[list[str]]:
    return request("list_containers", lines)


def kill_container(container: str, signal: str | int | None) -> Request[None]:
    return request("kill_container", nothing, container, None if signal is None else signal_of(signal))


def pause_container(container: str) -> Request[None]:
    return request("pause_container", nothing, container)


def resume_container(container: str) -> Request[None]:
    return request("resume_container", nothing, container)


def wait_container(container: str) -> Request[int | None]:
    return request("wait_container", exit_code, container)


def top_container(container: str) -> Request[list[ContainerProcess]]:
    return request("top", document, container)


def pull_image(image: str) -> Request[Image]:
    return request("pull_image", document, image)


def list_images() -> Request[list[Image]]:
    return request("list_images", document)


def delete_image(image: str) -> Request[None]:
    return request("delete_image", nothing, image)


def load_image(path: str | os.PathLike[str], reference: str | None) -> Request[list[Image]]:
    place = os.path.abspath(os.fspath(path))
    return request("load_image", document, place, _options.text({"reference": reference}))


def push_image(image: str) -> Request[Pushed]:
    return request("push_image", document, image)


def tag_image(image: str, name: str) -> Request[None]:
    return request("tag_image", nothing, image, name)


def prune_images(options: Mapping[str, Any]) -> Request[Pruned]:
    return request("prune_images", document, _options.checked(options, schemas.PruneOptions))


def create_volume(name: str, labels: Mapping[str, str] | None) -> Request[Volume]:
    return request("create_volume", document, name, _options.text({"labels": labels and dict(labels)}))


def inspect_volume(name: str) -> Request[Volume]:
    return request("inspect_volume", document, name)


def list_volumes() -> Request[list[Volume]]:
    return request("list_volumes", document)


def delete_volume(name: str) -> Request[None]:
    return request("delete_volume", nothing, name)


def exec_process(container: str, command: _options.Command, options: Mapping[str, Any]) -> Request[int]:
    return request("exec", int, container, _options.exec_spec(command, options))


def attach(container: str, options: Mapping[str, Any]) -> Request[int]:
    return request("attach", int, container, _options.checked(options, schemas.AttachOptions))


def logs(container: str, options: Mapping[str, Any]) -> Request[int]:
    return request("logs", int, container, _options.checked(options, schemas.LogOptions, _keywords.OF_LOGS))


def stats(container: str, options: Mapping[str, Any]) -> Request[int]:
    return request("stats", int, container, _options.checked(options, schemas.StatsOptions))


def events(options: Mapping[str, Any]) -> Request[int]:
    return request("events", int, _options.checked(options, schemas.EventOptions))


def pull_image_with_progress(image: str) -> Request[int]:
    return request("pull_image", int, image, _options.text({"progress": True}))


def push_image_with_progress(image: str) -> Request[int]:
    return request("push_image", int, image, _options.text({"progress": True}))


def signal_of(signal: str | int) -> str:
    """A signal as the protocol has it; `signal.SIGTERM` is a number."""
    return signal if isinstance(signal, str) else str(int(signal))
