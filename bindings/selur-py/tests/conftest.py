"""What the tests have in common: bridges, children, patience."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import selur

# What was found once is written down as a test, not kept in a folder of this machine.
settings.register_profile("selur", database=None)
settings.load_profile("selur")

#: The root of the repository.
ROOT = Path(__file__).resolve().parents[3]
#: How long anything may take, in seconds.
PATIENCE = 30.0


@pytest.fixture
def bridge() -> Iterator[selur.Bridge]:
    """A bridge whose containers live in memory."""
    with selur.Bridge(runtime="simulated") as made:
        yield made


@pytest.fixture
def running(bridge: selur.Bridge) -> str:
    """A container of that bridge that runs, and has an input."""
    container = bridge.create_container("nginx", name="web", stdin=True)
    bridge.start_container(container)
    return container


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Path]:
    """The socket of a daemon that takes every connection and says nothing."""
    place = tmp_path / "silent.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen(8)
        yield place


def eventually(what: str, holds: Callable[[], object]) -> None:
    """Waits until something holds."""
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, f"within {PATIENCE} s it was not so: {what}"
        time.sleep(0.005)


class Child:
    """A Python of its own, which runs a program."""

    def __init__(self, source: str, *arguments: str):
        self.process = subprocess.Popen(
            [sys.executable, "-c", source, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def line(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[int, str, str]:
        """Waits for its end: exit code, what it wrote, what it wrote to its standard error."""
        try:
            out, err = self.process.communicate(timeout=2 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError(f"the child did not end: {out}\n{err}") from None
        return self.process.returncode, out, err

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *raised: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def ends_well(source: str, *arguments: str) -> str:
    """Runs a program that must end with 0 and without a word of complaint, and gives what it wrote."""
    with Child(source, *arguments) as child:
        code, out, err = child.end()
    assert (code, err) == (0, ""), f"{code}: {out}\n{err}"
    return out
