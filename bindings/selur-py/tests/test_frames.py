"""Frames of every shape: whatever comes in, a response comes out, and the bridge goes on."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import selur
from test_vectors import by_fields, in_place


@pytest.fixture(scope="module")
def shared() -> Iterator[selur.Bridge]:
    """One bridge for all examples, so that what one does to it the next one meets."""
    with selur.Bridge(runtime="simulated", deadline=5) as bridge:
        yield bridge


#: Waits would wait, and streams would stay open.
QUICK = st.sampled_from(
    [code for name, code in selur.COMMANDS.items() if name not in ("wait_container", "events")]
)
FRAMES = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda code, payload: struct.pack("<BI", code, len(payload)) + payload,
        QUICK | st.integers(min_value=0, max_value=255).filter(lambda code: code not in (0x0A, 0x10)),
        st.binary(max_size=200) | st.text(max_size=80).map(str.encode),
    ),
    st.builds(
        lambda code, length, payload: struct.pack("<BI", code, length) + payload,
        st.integers(min_value=0, max_value=255),
        st.integers(min_value=0, max_value=2**32 - 1),
        st.binary(max_size=50),
    ),
)


@settings(max_examples=400, deadline=None)
@given(frame=FRAMES)
def test_every_frame_has_a_response(shared: selur.Bridge, frame: bytes) -> None:
    if frame[:1] in (b"\x0a", b"\x10"):
        return
    response = shared.call(frame)
    assert response.code in selur.STATUSES.values()
    if response.status != "success":
        assert response.data.decode()
    assert shared.ping(b"still here") == b"still here"


@settings(max_examples=400, deadline=None)
@given(text=st.text(max_size=3000))
def test_any_text_comes_back_by_every_way(shared: selur.Bridge, text: str) -> None:
    data = text.encode()
    frame = struct.pack("<BI", 0, len(data)) + data
    assert shared.ping(text) == shared.ping(data) == shared.call(frame).data == data
    assert in_place(shared, frame) == by_fields(shared, frame) == (0, data)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=300))
def test_bytes_come_back_exactly_if_they_are_text(shared: selur.Bridge, data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError:
        with pytest.raises(selur.InvalidRequest, match="UTF-8"):
            shared.ping(data)
    else:
        assert shared.ping(data) == data


@settings(max_examples=200, deadline=None)
@given(fields=st.lists(st.text(max_size=40), max_size=4), command=QUICK)
def test_fields_are_joined_by_nul(shared: selur.Bridge, fields: list[str], command: int) -> None:
    from selur import _native

    if any("\0" in field for field in fields):
        with pytest.raises(selur.InvalidRequest, match="NUL"):
            _native._frame(command, *fields)
        return
    payload = "\0".join(fields).encode()
    assert _native._frame(command, *fields) == struct.pack("<BI", command, len(payload)) + payload
    assert _native._frame(command, *(field.encode() for field in fields)) == _native._frame(command, *fields)
