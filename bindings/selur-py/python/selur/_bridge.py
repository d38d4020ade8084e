"""The bridge of programs that do one thing after another, or in threads."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from . import _items, _live, _native, _requests
from ._options import Command, ContainerOptions, ExecOptions, Path, Runtime
from ._streams import ItemStream, Session
from .containers import ContainerCollection
from .images import ImageCollection
from .schemas import (
    AttachOptions,
    ContainerProcess,
    EventOptions,
    Image,
    Inspection,
    LogOptions,
    Pruned,
    PruneOptions,
    Pushed,
    Stats,
    StatsOptions,
    Volume,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._requests import Request

T = TypeVar("T")


class Bridge(_native.Bridge):
    """A bridge: a guest that decides, and a runtime that performs.

    Requests are methods that block; each takes a `deadline` in seconds, which is the bridge's own unless given and
    `math.inf` for none. All of them fail with a `SelurError`. Any number of threads may use a bridge at once. Ctrl-C
    interrupts whatever waits, and ends what it waited for. Containers go on without a bridge.

    A `container` is named by its id, its name, or at least 4 digits of its id.

    - `runtime`: what performs the effects. `oci` is runc, without a daemon; `docker` is a Docker or Podman daemon;
      `simulated` lives in memory, for tests. `auto` is real containers, and never simulated ones.
    - `guest`: a .wasm file, or its bytes; the one that the package was built with unless given.
    - `state_root`: the folder that real containers keep their state in.
    - `shim`: the program that holds a real container, selur-shim; the package has one.
    - `docker_socket`: the socket of the daemon, for the runtime `docker`.
    - `deadline`: how long a request may take until it fails with `Timeout`, in seconds; without end unless given.

    >>> with Bridge(runtime="simulated") as bridge:
    ...     web = bridge.create_container("nginx:latest", name="web", environment={"PORT": "8080"})
    ...     bridge.start_container(web)
    ...     print(bridge.inspect_container("web")["state"])
    ...     bridge.delete_container(web, force=True)
    running
    """

    def __new__(
        cls,
        *,
        runtime: Runtime = "auto",
        guest: Path | Buffer | None = None,
        state_root: Path | None = None,
        shim: Path | None = None,
        docker_socket: Path | None = None,
        deadline: float | None = None,
    ) -> Self:
        # Not kept by a name: where this is interrupted, nobody is to hold the bridge when it is made.
        self = super().__new__(
            cls, _native.Opening(runtime, guest, state_root, shim, docker_socket, deadline)
        )
        _live.track(self)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        raised: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def containers(self) -> ContainerCollection:
        """Containers as objects, in the habits of the Docker SDK."""
        return ContainerCollection(self)

    @property
    def images(self) -> ImageCollection:
        """Images as objects, in the habits of the Docker SDK."""
        return ImageCollection(self)

    def _do(self, request: Request[T], deadline: float | None) -> T:
        return request.decode(self.request(request.command, *request.fields, deadline=deadline))

    def _open(self, request: Request[int], deadline: float | None) -> _native.Stream:
        return self._open_stream(request.command, *request.fields, deadline=deadline)

    def create_container(
        self,
        image: str,
        *,
        name: str | None = None,
        deadline: float | None = None,
        **options: Unpack[ContainerOptions],
    ) -> str:
        """Makes a container, pulling its image if need be, and gives its id. It is not started.

        An option that no container has is refused by name, as `InvalidRequest`.
        """
        request = _requests.create_container(image, name, options)
        # A signal's handler may raise after any call, but not where an attribute is looked at: until then, it is undone.
        return self._make(request.command, *request.fields, deadline=deadline).id

    def start_container(self, container: str, *, deadline: float | None = None) -> None:
        """Starts a container's process. One that runs is left alone."""
        self._do(_requests.start_container(container), deadline)

    def stop_container(
        self, container: str, *, timeout: float | None = None, deadline: float | None = None
    ) -> None:
        """Ends a container's process: the stop signal, then SIGKILL after `timeout` seconds.

        Unless given, that is the container's own, else 10.
        """
        self._do(_requests.stop_container(container, timeout), deadline)

    def inspect_container(self, container: str, *, deadline: float | None = None) -> Inspection:
        """What is known of a container."""
        return self._do(_requests.inspect_container(container), deadline)

    def delete_container(self, container: str, *, force: bool = False, deadline: float | None = None) -> None:
        """Removes a container and everything of it. With `force` a process of it is killed first."""
        self._do(_requests.delete_container(container, force), deadline)

    def list_containers(self, *, deadline: float | None = None) -> list[str]:
        """The ids of all containers, oldest first."""
        return self._do(_requests.list_containers(), deadline)

    def kill_container(
        self, container: str, signal: str | int | None = None, *, deadline: float | None = None
    ) -> None:
        """Sends a signal to a container's process, SIGKILL unless given: `"SIGTERM"`, `"TERM"`, `15`, `signal.SIGTERM`."""
        self._do(_requests.kill_container(container, signal), deadline)

    def pause_container(self, container: str, *, deadline: float | None = None) -> None:
        """Freezes every process of a container."""
        self._do(_requests.pause_container(container), deadline)

    def resume_container(self, container: str, *, deadline: float | None = None) -> None:
        """Thaws a paused container."""
        self._do(_requests.resume_container(container), deadline)

    def wait_container(self, container: str, *, deadline: float | None = None) -> int | None:
        """Waits until a container has ended for good, and gives its exit code; None if nobody knows it."""
        return self._do(_requests.wait_container(container), deadline)

    def top_container(self, container: str, *, deadline: float | None = None) -> list[ContainerProcess]:
        """The processes of a container."""
        return self._do(_requests.top_container(container), deadline)

    def exec(
        self,
        container: str,
        command: Command,
        *,
        deadline: float | None = None,
        **options: Unpack[ExecOptions],
    ) -> Session:
        """Runs a further process in a running container."""
        return Session(self._open(_requests.exec_process(container, command, options), deadline))

    def attach(
        self, container: str, *, deadline: float | None = None, **options: Unpack[AttachOptions]
    ) -> Session:
        """Connects to a container's first process: its output from now on, and its input."""
        return Session(self._open(_requests.attach(container, options), deadline))

    def logs(
        self, container: str, *, deadline: float | None = None, **options: Unpack[LogOptions]
    ) -> ItemStream[_items.LogEntry]:
        """Opens what a container wrote; with `follow=True` also what it will write."""
        return ItemStream(self._open(_requests.logs(container, options), deadline), _items.entry_of)

    def stats(
        self, container: str, *, deadline: float | None = None, **options: Unpack[StatsOptions]
    ) -> ItemStream[Stats]:
        """Samples what a container uses."""
        return ItemStream(self._open(_requests.stats(container, options), deadline), _items.document_of)

    def events(
        self, *, deadline: float | None = None, **options: Unpack[EventOptions]
    ) -> ItemStream[_items.EventItem]:
        """Opens what happens to containers, images and volumes from now on, whichever process does it."""
        return ItemStream(self._open(_requests.events(options), deadline), _items.document_of)

    def take_stream(self, id: int) -> ItemStream[_items.StreamItem]:
        """Takes the stream that a request or a frame of your own was answered with: that decimal number.

        Each is taken once; those that are not taken go with the bridge.
        """
        return ItemStream(self._take_stream(id), _items.item_of)

    def pull_image(self, image: str, *, deadline: float | None = None) -> Image:
        """Fetches an image from its registry, whether the store has it or not."""
        return self._do(_requests.pull_image(image), deadline)

    def pull_image_with_progress(
        self, image: str, *, deadline: float | None = None
    ) -> ItemStream[_items.PullItem]:
        """Fetches an image, and tells how far it is. What goes wrong is told when the stream is read."""
        native = self._open(_requests.pull_image_with_progress(image), deadline)
        return ItemStream(native, _items.document_of)

    def list_images(self, *, deadline: float | None = None) -> list[Image]:
        """Every image of the store, ordered by reference."""
        return self._do(_requests.list_images(), deadline)

    def delete_image(self, image: str, *, deadline: float | None = None) -> None:
        """Removes an image's name, and the image with its last name."""
        self._do(_requests.delete_image(image), deadline)

    def load_image(
        self, path: Path, *, reference: str | None = None, deadline: float | None = None
    ) -> list[Image]:
        """Takes images in from an OCI layout, an archive of one, or one that `docker save` wrote.

        With a `reference` there must be one image, which gets this name.
        """
        return self._do(_requests.load_image(path, reference), deadline)

    def push_image(self, image: str, *, deadline: float | None = None) -> Pushed:
        """Sends an image of the store to the registry that its reference names."""
        return self._do(_requests.push_image(image), deadline)

    def push_image_with_progress(
        self, image: str, *, deadline: float | None = None
    ) -> ItemStream[_items.PushItem]:
        """Sends an image to its registry, and tells how far it is. What goes wrong is told when the stream is read."""
        native = self._open(_requests.push_image_with_progress(image), deadline)
        return ItemStream(native, _items.document_of)

    def tag_image(self, image: str, name: str, *, deadline: float | None = None) -> None:
        """Gives an image of the store another name; one that another image has is taken from that."""
        self._do(_requests.tag_image(image, name), deadline)

    def prune_images(self, *, deadline: float | None = None, **options: Unpack[PruneOptions]) -> Pruned:
        """Removes what nothing uses from the store, and tells what that was."""
        return self._do(_requests.prune_images(options), deadline)

    def create_volume(
        self, name: str, *, labels: Mapping[str, str] | None = None, deadline: float | None = None
    ) -> Volume:
        """Makes a volume. One that exists with the same labels is left as it is."""
        return self._do(_requests.create_volume(name, labels), deadline)

    def inspect_volume(self, name: str, *, deadline: float | None = None) -> Volume:
        """What is known of a volume."""
        return self._do(_requests.inspect_volume(name), deadline)

    def list_volumes(self, *, deadline: float | None = None) -> list[Volume]:
        """Every volume, ordered by name."""
        return self._do(_requests.list_volumes(), deadline)

    def delete_volume(self, name: str, *, deadline: float | None = None) -> None:
        """Removes a volume and what is in it."""
        self._do(_requests.delete_volume(name), deadline)
