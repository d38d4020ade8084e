"""Keywords that are none, and those that the Docker SDK calls otherwise."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

import selur
from conftest import ROOT
from selur import _keywords


@pytest.mark.parametrize("name", _keywords.OF_CONTAINERS)
def test_a_keyword_of_docker_is_refused_with_the_one_to_use_here(bridge: selur.Bridge, name: str) -> None:
    options: Any = {name: "anything"}
    for make in (bridge.create_container, bridge.containers.create, bridge.containers.run):
        with pytest.raises(selur.InvalidRequest, match=f"^{name} is no keyword here: ") as raised:
            make("nginx", **options)
        assert _keywords.OF_CONTAINERS[name] in str(raised.value)
    assert bridge.list_containers() == []


def test_ports_are_told_to_be_missing(bridge: selur.Bridge) -> None:
    options: Any = {"ports": {"80/tcp": 8080}}
    with pytest.raises(selur.InvalidRequest, match=r"not published yet.*network"):
        bridge.containers.run("nginx", **options)


def test_a_keyword_of_exec_run_is_refused_with_the_one_to_use_here(
    bridge: selur.Bridge, running: str
) -> None:
    web = bridge.containers.get(running)
    for name, advice in _keywords.OF_PROCESSES.items():
        options: Any = {name: True}
        with pytest.raises(selur.InvalidRequest, match=f"^{name} is no keyword here: ") as raised:
            web.exec_run("true", **options)
        assert advice in str(raised.value)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (
            lambda it, web: it.create_container("nginx", colour="red"),
            "colour is .* use one of capabilities, ",
        ),
        (lambda it, web: it.create_container("nginx", enviroment={}), "did you mean environment?"),
        (lambda it, web: it.exec(web, "true", workdir="/"), "workdir is .*working_directory"),
        (lambda it, web: it.attach(web, stdout=True), "stdout is .*replay, stdin"),
        (lambda it, web: it.logs(web, tail=3), "tail is .*tail_lines"),
        (lambda it, web: it.stats(web, interval=3), "interval is .*interval_ms"),
        (lambda it, web: it.events(until=3), "until is .*until_now"),
        (lambda it, web: it.prune_images(everything=True), "everything is .*all, dry_run"),
    ],
)
def test_a_keyword_that_is_none_is_refused_by_its_name(
    bridge: selur.Bridge, running: str, ask: Callable[[Any, str], Any], says: str
) -> None:
    with pytest.raises(selur.InvalidRequest, match=says):
        ask(bridge, running)

    async def main() -> None:
        async with selur.AsyncBridge(runtime="simulated") as other:
            with pytest.raises(selur.InvalidRequest, match=says):
                await ask(other, running)

    asyncio.run(main())


def test_a_keyword_that_says_nothing_is_as_none(bridge: selur.Bridge) -> None:
    options: Any = {"ports": None, "user": None}
    made = bridge.create_container("nginx", **options)
    assert bridge.list_containers() == [made]


def test_no_name_of_docker_is_one_of_ours() -> None:
    assert not set(_keywords.OF_CONTAINERS) & set(selur.ContainerOptions.__annotations__)
    assert not set(_keywords.OF_PROCESSES) & set(selur.ExecOptions.__annotations__)
    assert not set(_keywords.OF_LOGS) & set(selur.schemas.LogOptions.__annotations__)


def test_the_readme_has_every_name_of_docker() -> None:
    readme = (ROOT / "bindings/selur-py/README.md").read_text()
    table = readme[readme.index("| Docker SDK |") : readme.index("## What to know")]
    named = set(re.findall(r"`(\w+)", "".join(row.split("|")[1] for row in table.splitlines() if row)))
    assert {*_keywords.OF_CONTAINERS, *_keywords.OF_PROCESSES} <= named
