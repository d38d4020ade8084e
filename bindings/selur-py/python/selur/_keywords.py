"""Keywords of options, checked before anything is sent. What the Docker SDK calls otherwise is told by its name here."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any, Final

from .errors import InvalidRequest

PORTS: Final = 'ports are not published yet: network="host" gives a container those of the host'
CPUS: Final = "use cpus, in processors: cpus=1.5"

#: What of the keywords of `containers.run` and `.create` in the Docker SDK has another name, form or place here.
OF_CONTAINERS: Final[Mapping[str, str]] = {
    "auto_remove": "use run(…, remove=True), without detach",
    "cap_add": 'use capabilities={"add": ["NET_ADMIN"]}',
    "cap_drop": 'use capabilities={"drop": ["ALL"]}',
    "cpu_count": CPUS,
    "cpu_period": CPUS,
    "cpu_quota": CPUS,
    "mem_limit": 'use memory: memory="256m"',
    "nano_cpus": CPUS,
    "network_disabled": 'use network="none", which it is unless given',
    "network_mode": 'use network: network="host", or "none"',
    "pids_limit": "use pids: pids=100",
    "ports": PORTS,
    "publish_all_ports": PORTS,
    "read_only": "use read_only_root=True",
    "restart_policy": 'use restart: restart="on-failure:3"',
    "stdin_open": "use stdin=True",
    "tmpfs": 'use mounts=[{"type": "tmpfs", "target": "/run"}]',
    "tty": "use terminal=True",
    "volumes": 'use mounts=[{"type": "bind", "source": "/host", "target": "/in"}], for a named one "volume" for "bind"',
    "working_dir": "use working_directory",
}
#: The same of `exec_run`.
OF_PROCESSES: Final[Mapping[str, str]] = {
    "tty": "use terminal=True",
    "workdir": "use working_directory",
    **{
        name: "use Bridge.exec, whose session gives output as it comes and takes input"
        for name in ("demux", "detach", "socket", "stream")
    },
}
#: The same of `logs`, as far as `Bridge.logs` has other names than `Container.logs`.
OF_LOGS: Final[Mapping[str, str]] = {
    "since": "use since_ns, in nanoseconds since 1970",
    "tail": "use tail_lines",
    "timestamps": "each entry has its time_ns",
}


def check(given: Mapping[str, Any], known: Collection[str], renamed: Mapping[str, str] | None = None) -> None:
    """Refuses what is not known, by its name."""
    for name in given:
        if name not in known:
            raise InvalidRequest(f"{name} is no keyword here: {_advice(name, known, renamed or {})}")


def _advice(name: str, known: Collection[str], renamed: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    listed = f"use one of {', '.join(sorted(known))}"
    return renamed.get(name) or (f"did you mean {near[0]}?" if near else listed)
