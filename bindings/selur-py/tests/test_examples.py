"""The examples say what they should, and the README shows them as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import selur
from conftest import ROOT

EXAMPLES = ROOT / "bindings/selur-py/examples"
IMAGE = "docker.io/library/busybox"


@pytest.mark.skipif(os.getuid() != 0, reason="real containers are tested as root")
@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_says_what_it_should(example: Path, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    subprocess.run([ROOT / "scripts/busybox-image", archive, IMAGE + ":latest"], check=True)
    with selur.Bridge(state_root=tmp_path / "state") as bridge:
        bridge.images.load(archive)
        settings = {**os.environ, "SELUR_ROOT": str(tmp_path / "state")}
        said = subprocess.run(
            [sys.executable, example], env=settings, check=False, capture_output=True, text=True
        )
        left = bridge.containers.list(all=True)
        for container in left:
            container.remove(force=True)
    assert (said.returncode, said.stderr, left) == (0, "", [])
    assert said.stdout == example.with_suffix(".out").read_text()


def test_the_readme_shows_the_example_and_what_it_says() -> None:
    readme = (ROOT / "README.md").read_text()
    program = (EXAMPLES / "lifecycle.py").read_text().split("\n", 5)[-1]
    said = (EXAMPLES / "lifecycle.out").read_text()
    assert f"```text\n{said}```" in readme
    program = program.replace("image, ", '"busybox", ')
    assert f"```python\nimport selur\n\n{program}```" in readme
