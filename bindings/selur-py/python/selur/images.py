"""Images as objects, in the habits of the Docker SDK for Python.

>>> import selur
>>> with selur.Bridge(runtime="simulated") as bridge:
...     bridge.images.pull("alpine")
...     bridge.images.remove("alpine")
...     bridge.images.list()
<selur.Image docker.io/library/alpine:latest>
[]
"""

from __future__ import annotations

import builtins
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import schemas
    from ._bridge import Bridge

__all__ = ["Image", "ImageCollection"]


class Image:
    """An image of the store, by one of its names."""

    def __init__(self, bridge: Bridge, attrs: schemas.Image):
        self.bridge = bridge
        """The bridge that it was got from."""
        self.attrs = attrs
        """All that is known of it: docs/schemas/image.schema.json."""

    @property
    def reference(self) -> str:
        """Its name in full."""
        return self.attrs["reference"]

    @property
    def id(self) -> str:
        """The digest of its manifest."""
        return self.attrs["digest"]

    @property
    def short_id(self) -> str:
        """The first 12 digits of that digest."""
        algorithm, _, digits = self.id.partition(":")
        return f"{algorithm}:{digits[:12]}"

    def tag(self, name: str) -> None:
        """Gives it another name; one that another image has is taken from that."""
        self.bridge.tag_image(self.reference, name)

    def remove(self) -> None:
        """Removes this name, and the image with its last name."""
        self.bridge.delete_image(self.reference)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and (self.reference, self.id) == (other.reference, other.id)

    def __hash__(self) -> int:
        return hash((self.reference, self.id))

    def __repr__(self) -> str:
        return f"<selur.Image {self.reference}>"


class ImageCollection:
    """The images of a bridge."""

    def __init__(self, bridge: Bridge):
        self._bridge = bridge

    def pull(self, repository: str, tag: str | None = None) -> Image:
        """Fetches an image from its registry, whether the store has it or not; `latest` unless a tag is given."""
        reference = repository if tag is None else f"{repository}:{tag}"
        return Image(self._bridge, self._bridge.pull_image(reference))

    def list(self) -> list[Image]:
        """Every image of the store, ordered by reference."""
        return [Image(self._bridge, attrs) for attrs in self._bridge.list_images()]

    def load(self, path: str | os.PathLike[str]) -> builtins.list[Image]:
        """Takes images in from an OCI layout, an archive of one, or one that `docker save` wrote."""
        return [Image(self._bridge, attrs) for attrs in self._bridge.load_image(path)]

    def push(self, repository: str, tag: str | None = None) -> schemas.Pushed:
        """Sends an image of the store to the registry that its name says."""
        return self._bridge.push_image(repository if tag is None else f"{repository}:{tag}")

    def remove(self, reference: str) -> None:
        """Removes a name of an image, and the image with its last name."""
        self._bridge.delete_image(reference)

    def prune(self) -> schemas.Pruned:
        """Removes what nothing uses, and tells what that was."""
        return self._bridge.prune_images()
