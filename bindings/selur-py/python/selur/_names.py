"""The names of commands and statuses, for type checkers.

Made by generate.py from conformance/protocol.json: do not edit; `generate.py --write` makes it anew.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

CommandName: TypeAlias = Literal[
    "ping",
    "create_container",
    "start_container",
    "stop_container",
    "inspect_container",
    "delete_container",
    "list_containers",
    "kill_container",
    "pause_container",
    "resume_container",
    "wait_container",
    "exec",
    "logs",
    "attach",
    "stats",
    "top",
    "events",
    "pull_image",
    "list_images",
    "delete_image",
    "load_image",
    "push_image",
    "tag_image",
    "prune_images",
    "create_volume",
    "inspect_volume",
    "list_volumes",
    "delete_volume",
]
"""The name of a command. docs/API.md has the fields of each, and what it is answered with."""

StatusName: TypeAlias = Literal[
    "success",
    "invalid_request",
    "container_not_found",
    "container_already_exists",
    "network_error",
    "internal_error",
    "invalid_state",
    "permission_denied",
    "resource_exhausted",
    "timeout",
    "cancelled",
    "unsupported",
    "image_not_found",
    "volume_not_found",
    "unknown_error",
]
"""The name of a status. `unknown_error` stands for a code that this version does not know."""
