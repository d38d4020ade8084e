"""Streams as iterators."""

from __future__ import annotations

import threading

import pytest

import selur
from conftest import eventually


def test_an_exec_has_input_output_and_an_exit_code(bridge: selur.Bridge, running: str) -> None:
    with bridge.exec(running, ["cat"], stdin=True) as session:
        assert session.exit_code is None
        session.write(b"one ")
        session.write(memoryview(b"two"))
        session.end_input()
        assert b"".join(piece.data for piece in session) == b"one two"
        assert session.exit_code == 0
        assert list(session) == []


def test_more_than_fits_on_the_way_is_passed(bridge: selur.Bridge, running: str) -> None:
    megabytes = b"x" * (8 << 20)
    with bridge.exec(running, "cat", stdin=True) as session:
        assert session.communicate(megabytes) == (megabytes, b"", 0)


def test_output_and_errors_are_told_apart(bridge: selur.Bridge, running: str) -> None:
    assert bridge.exec(running, "echo hi").communicate() == (b"hi\n", b"", 0)


def test_what_cannot_be_run_is_refused(bridge: selur.Bridge, running: str) -> None:
    with pytest.raises(selur.InvalidRequest):
        bridge.exec(running, [])
    with pytest.raises(selur.ContainerNotFound):
        bridge.exec("nobody", "ls")


def test_logs_have_moments(bridge: selur.Bridge, running: str) -> None:
    entry, *rest = bridge.logs(running)
    assert (entry.stream, rest) == ("stdout", [])
    assert entry.data.endswith(b"generation 1\n")
    assert entry.time_ns > 1_700_000_000_000_000_000
    assert list(bridge.logs(running, since_ns=entry.time_ns + 1)) == []


def test_a_followed_log_ends_with_the_container(bridge: selur.Bridge, running: str) -> None:
    log = bridge.logs(running, follow=True)
    next(log)
    bridge.stop_container(running)
    list(log)


def test_events_tell_what_happens(bridge: selur.Bridge) -> None:
    with bridge.events() as events:
        web = bridge.create_container("nginx", name="web")
        kinds = []
        for item in events:
            assert "event" in item
            kinds.append(item["event"]["kind"])
            if item["event"]["subject"] == web:
                break
        assert "created" in kinds


def test_a_stream_that_was_closed_is_over(bridge: selur.Bridge, running: str) -> None:
    log = bridge.logs(running, follow=True)
    log.close()
    log.close()
    assert list(log) == []
    session = bridge.exec(running, "cat", stdin=True)
    session.close()
    with pytest.raises(selur.InvalidRequest, match="closed"):
        session.write(b"late")


def test_a_stream_that_takes_no_input_says_so(bridge: selur.Bridge, running: str) -> None:
    with bridge.logs(running) as log, pytest.raises(selur.InvalidRequest, match="no input"):
        log._native.write(b"no")


def test_closing_wakes_who_reads(bridge: selur.Bridge, running: str) -> None:
    log = bridge.logs(running, follow=True)
    next(log)
    raised: list[BaseException] = []

    def read() -> None:
        try:
            next(log)
        except BaseException as error:
            raised.append(error)

    reader = threading.Thread(target=read)
    reader.start()

    def is_read() -> bool:
        # A second read is refused while the first one is under way.
        try:
            log._native.submit_next()
        except selur.InvalidRequest as error:
            return "under way" in str(error)
        return False

    if is_read():
        log.close()
    else:
        bridge.close()
    reader.join(30)
    assert not reader.is_alive()
    assert [type(error) for error in raised] in ([selur.Cancelled], [selur.InvalidRequest])


def test_a_stream_is_taken_by_its_number_once(bridge: selur.Bridge, running: str) -> None:
    number = int(bridge.request("logs", running))
    (item,) = bridge.take_stream(number)
    assert (item.kind, item.data[-2:]) == ("stdout", b"1\n")
    assert item.value
    with pytest.raises(selur.InvalidRequest, match="taken"):
        bridge.take_stream(number)


def test_a_session_that_is_dropped_ends_its_process(bridge: selur.Bridge, running: str) -> None:
    for _ in range(50):
        bridge.exec(running, "cat", stdin=True)
    eventually("the processes are gone", lambda: len(bridge.top_container(running)) <= 1)


def test_an_attachment_sees_what_comes(bridge: selur.Bridge, running: str) -> None:
    with bridge.attach(running, replay=True, stdin=True) as session:
        assert next(session).data.endswith(b"generation 1\n")
        session.resize(10, 20)
        bridge.kill_container(running)
        list(session)
        assert session.exit_code == 137
