"""The tables of this package are those of the protocol."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any, get_args

import pytest

import selur
from conftest import ROOT
from selur import _options, errors

PROTOCOL: dict[str, Any] = json.loads((ROOT / "conformance/protocol.json").read_text())
FAILURES = [each["name"] for each in PROTOCOL["statuses"] if each["name"] != "success"]


def table(entries: list[dict[str, Any]]) -> dict[str, int]:
    return {each["name"]: each["code"] for each in entries}


def test_the_commands_are_those_of_the_protocol() -> None:
    assert table(PROTOCOL["commands"]) == selur.COMMANDS
    assert list(get_args(selur.CommandName)) == list(selur.COMMANDS)


def test_the_statuses_are_those_of_the_protocol() -> None:
    assert table(PROTOCOL["statuses"]) == selur.STATUSES
    assert [*selur.STATUSES, "unknown_error"] == list(get_args(selur.StatusName))


@pytest.mark.parametrize("status", FAILURES)
def test_each_status_has_an_exception_of_its_name(status: str) -> None:
    kind = getattr(selur, "".join(word.title() for word in status.split("_")))
    error = errors.error_of(selur.STATUSES[status], "words")
    assert type(error) is kind
    assert (error.status, str(error)) == (status, "words")
    assert isinstance(error, selur.SelurError)


def test_no_exception_has_a_status_that_is_not_there() -> None:
    assert {*FAILURES, "unknown_error"} == {kind.status for kind in selur.SelurError.__subclasses__()}


def test_a_code_that_is_not_known_is_an_unknown_error() -> None:
    for code in range(len(FAILURES) + 1, 256):
        assert type(errors.error_of(code, "words")) is selur.UnknownError


def test_a_timeout_is_a_timeout_error() -> None:
    assert issubclass(selur.Timeout, TimeoutError)


def test_exceptions_survive_pickling() -> None:
    import pickle

    for error in [
        selur.Timeout("late"),
        selur.ContainerError("ab" * 16, 3, ["false"], "alpine", b"no"),
    ]:
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)


def test_the_guest_is_the_one_that_is_recorded() -> None:
    recorded = (ROOT / "guest/selur.wasm.sha256").read_text().split()[0]
    assert recorded == selur.GUEST_SHA256


def test_every_field_of_a_specification_has_a_keyword() -> None:
    schema = json.loads((ROOT / "docs/schemas/container-spec.schema.json").read_text())
    fields = set(schema["properties"]) - {"resources", "stop_timeout_ms"} | {
        "memory",
        "cpus",
        "pids",
        "stop_timeout",
    }
    assert set(selur.ContainerOptions.__annotations__) == fields
    schema = json.loads((ROOT / "docs/schemas/exec-spec.schema.json").read_text())
    assert {*selur.ExecOptions.__annotations__, "command"} == set(schema["properties"])


def test_keywords_become_the_specification() -> None:
    spec = _options.container_spec(
        {
            "command": "sh -c 'echo a b'",
            "environment": {"A": "1", "B": "x=y"},
            "memory": "256m",
            "cpus": 1.5,
            "pids": 7,
            "stop_timeout": 0.0015,
            "extra_hosts": {"db": "10.0.0.1"},
            "labels": {"made": "here"},
            "user": None,
        }
    )
    assert spec is not None
    assert json.loads(spec) == {
        "command": ["sh", "-c", "echo a b"],
        "environment": ["A=1", "B=x=y"],
        "resources": {"memory_bytes": 256 << 20, "cpus": 1.5, "pids": 7},
        "stop_timeout_ms": 2,
        "extra_hosts": ["db:10.0.0.1"],
        "labels": {"made": "here"},
    }
    assert _options.container_spec({"user": None}) is None


@pytest.mark.parametrize(
    ("size", "bytes"),
    [
        (4096, 4096),
        ("4096", 4096),
        ("512k", 512 << 10),
        ("256M", 256 << 20),
        ("1.5g", 3 << 29),
        ("1gb", 1 << 30),
    ],
)
def test_a_size_may_have_a_unit(size: int | str, bytes: int) -> None:
    assert _options.size_of(size) == bytes


@pytest.mark.parametrize("size", ["", "much", "m", "12x", "inf", "-inf", "nan", "infm", "1e400"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(selur.InvalidRequest, match="is no size"):
        _options.size_of(size)


def test_moments_are_exact() -> None:
    moment = datetime(2026, 11, 22, 1, 2, 3, 456_789, tzinfo=UTC)
    assert _options.nanoseconds(moment) == 1_795_309_323_456_789_000
    assert _options.nanoseconds(moment.astimezone(timezone(timedelta(hours=-9)))) == 1_795_309_323_456_789_000
    assert _options.nanoseconds(moment.astimezone().replace(tzinfo=None)) == 1_795_309_323_456_789_000
    assert _options.nanoseconds(1_795_309_323) == 1_795_309_323_000_000_000
    assert _options.nanoseconds(0.5) == 500_000_000
    # Exactly the float, not one of a billion times it.
    assert _options.nanoseconds(1_795_309_323.456789) == int(Fraction(1_795_309_323.456789) * 10**9)


@pytest.mark.parametrize("moment", [math.nan, math.inf, -math.inf])
def test_a_moment_that_is_none_is_refused(moment: float) -> None:
    with pytest.raises(selur.InvalidRequest, match="no moment"):
        _options.nanoseconds(moment)
