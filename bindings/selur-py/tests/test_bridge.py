"""The typed requests, and containers and images as objects."""

from __future__ import annotations

import math
import signal
from typing import Any

import pytest

import selur


def test_a_container_lives_and_ends(bridge: selur.Bridge) -> None:
    web = bridge.create_container("nginx", name="web", labels={"made": "here"}, command=["serve"])
    assert len(web) == 32
    assert bridge.list_containers() == [web]
    bridge.start_container("web")
    known = bridge.inspect_container(web[:8])
    assert (known["state"], known["labels"], known["spec"].get("command")) == (
        "running",
        {"made": "here"},
        ["serve"],
    )
    bridge.pause_container(web)
    assert bridge.inspect_container(web)["state"] == "paused"
    bridge.resume_container(web)
    bridge.stop_container(web, timeout=0.5)
    assert bridge.wait_container(web) == 143
    bridge.delete_container(web)
    assert bridge.list_containers() == []


@pytest.mark.parametrize("term", ["SIGTERM", "TERM", "15", 15, signal.SIGTERM])
def test_a_signal_has_many_names(bridge: selur.Bridge, running: str, term: str | int) -> None:
    bridge.kill_container(running, term)
    assert bridge.wait_container(running) == 143


def test_a_deadline_is_in_seconds(bridge: selur.Bridge, running: str) -> None:
    with pytest.raises(TimeoutError):
        bridge.wait_container(running, deadline=0.01)
    with selur.Bridge(runtime="simulated", deadline=0.01) as hasty:
        hung = hasty.create_container("fault.test/hang:start")
        with pytest.raises(selur.Timeout):
            hasty.start_container(hung)
        with pytest.raises(selur.Timeout):
            hasty.start_container(hung, deadline=0.02)
        assert hasty.list_containers(deadline=math.inf) == [hung]


def test_a_deadline_of_0_has_passed(bridge: selur.Bridge, running: str) -> None:
    with pytest.raises(selur.Timeout):
        bridge.wait_container(running, deadline=0)
    with pytest.raises(selur.Timeout):
        bridge.containers.get(running).wait(timeout=0)
    # What waits for nothing is answered.
    assert bridge.list_containers(deadline=0) == [running]
    with selur.Bridge(runtime="simulated", deadline=0) as hasty:
        assert hasty.ping("hi") == b"hi"
        with pytest.raises(selur.Timeout):
            hasty.create_container("fault.test/hang:create")


@pytest.mark.parametrize("deadline", [-1, math.nan, -math.inf, 1e300])
def test_a_deadline_that_is_none_is_refused(bridge: selur.Bridge, deadline: float) -> None:
    with pytest.raises(selur.InvalidRequest, match="no deadline"):
        bridge.list_containers(deadline=deadline)


def test_images_and_volumes(bridge: selur.Bridge) -> None:
    image = bridge.pull_image("alpine:3")
    assert image["reference"] == "docker.io/library/alpine:3"
    bridge.tag_image("alpine:3", "mine:1")
    assert [each["reference"] for each in bridge.list_images()] == [
        "docker.io/library/alpine:3",
        "docker.io/library/mine:1",
    ]
    assert bridge.push_image("mine:1")["digest"] == image["digest"]
    bridge.delete_image("mine:1")
    assert bridge.prune_images(all=True)["references"] == ["docker.io/library/alpine:3"]
    volume = bridge.create_volume("data", labels={"a": "b"})
    assert bridge.inspect_volume("data") == volume
    assert bridge.list_volumes() == [volume]
    bridge.delete_volume("data")
    with pytest.raises(selur.VolumeNotFound):
        bridge.inspect_volume("data")


def test_a_pull_tells_how_far_it_is(bridge: selur.Bridge) -> None:
    *progress, last = bridge.pull_image_with_progress("alpine")
    assert all("progress" in item for item in progress)
    assert "pulled" in last
    assert last["pulled"]["reference"] == "docker.io/library/alpine:latest"
    with pytest.raises(selur.NetworkError):
        list(bridge.pull_image_with_progress("fault.test/pull:network_error"))


def test_a_response_is_a_frame(bridge: selur.Bridge) -> None:
    response = bridge.call(b"\0\2\0\0\0hi")
    assert (response.status, response.code, response.data, bytes(response)) == ("success", 0, b"hi", b"\0hi")
    assert bridge.call(b"").status == "invalid_request"
    assert bridge.call(bytearray(b"\0\0\0\0\0")).code == 0
    assert bridge.call(memoryview(b"xx\0\0\0\0\0yy")[2:7]).code == 0


def test_equal_requests_give_equal_digests() -> None:
    with selur.Bridge(runtime="simulated") as one, selur.Bridge(runtime="simulated") as other:
        assert one.state_digest == other.state_digest
        one.create_container("nginx")
        assert one.state_digest != other.state_digest


def test_a_guest_may_be_given(bridge: selur.Bridge) -> None:
    from conftest import ROOT

    path = ROOT / "guest/selur.wasm"
    guests: list[Any] = [path, str(path), path.read_bytes(), memoryview(path.read_bytes())]
    for guest in guests:
        with selur.Bridge(runtime="simulated", guest=guest) as other:
            assert other.ping("hi") == b"hi"
            assert other.memory_size == bridge.memory_size == 1 << 20
    with pytest.raises(selur.InvalidRequest):
        selur.Bridge(runtime="simulated", guest=b"no guest")


def test_run_gives_what_was_written(bridge: selur.Bridge) -> None:
    assert bridge.containers.run("fault.test/exit:0") == b"fault.test/exit:0 started, generation 1\n"
    assert bridge.containers.run("fault.test/exit:0", stdout=False) == b""
    assert len(bridge.containers.list(all=True)) == 2
    assert bridge.containers.list() == []


def test_run_raises_what_a_container_ended_with(bridge: selur.Bridge) -> None:
    with pytest.raises(selur.ContainerError) as raised:
        bridge.containers.run("fault.test/exit:3", ["false"], remove=True)
    error = raised.value
    assert (error.exit_status, error.command, error.image) == (3, ["false"], "fault.test/exit:3")
    assert bridge.containers.list(all=True) == []


def test_run_removes_what_could_not_start(bridge: selur.Bridge) -> None:
    with pytest.raises(selur.InternalError):
        bridge.containers.run("fault.test/start:internal_error", remove=True)
    assert bridge.list_containers() == []


def test_a_container_is_an_object(bridge: selur.Bridge) -> None:
    web = bridge.containers.run("nginx", name="web", detach=True, labels={"a": "b"})
    assert (web.status, web.name, web.short_id, web.labels) == ("running", "web", web.id[:12], {"a": "b"})
    assert bridge.containers.get("web") == web
    assert {web: 1}[bridge.containers.list()[0]] == 1
    assert web.image == "docker.io/library/nginx:latest"
    web.pause()
    web.reload()
    assert web.status == "paused"
    web.unpause()
    assert web.exec_run("echo a b") == (0, b"a b\n")
    assert [process["pid"] for process in web.top()] != []
    assert web.stats(stream=False)["pids"] >= 0
    with web.stats(interval=0.01) as samples:
        assert next(samples)["time_ns"] > 0
    assert (
        web.logs()
        == b"".join(web.logs(stream=True))
        == b"docker.io/library/nginx:latest started, generation 1\n"
    )
    assert web.logs(tail=0) == web.logs(stdout=False) == b""
    web.restart(timeout=1)
    web.reload()
    assert web.attrs["state"] == "running"
    web.kill("SIGKILL")
    assert web.wait(timeout=30) == 137
    web.remove()
    with pytest.raises(selur.ContainerNotFound):
        web.reload()


def test_list_leaves_out_what_is_deleted_meanwhile(
    bridge: selur.Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge.create_container("nginx")
    monkeypatch.setattr(selur.Bridge, "list_containers", lambda self: ["f" * 32])
    assert bridge.containers.list(all=True) == []


def test_an_image_is_an_object(bridge: selur.Bridge) -> None:
    image = bridge.images.pull("alpine", "3")
    assert (image.reference, image.short_id[:7]) == ("docker.io/library/alpine:3", "sha256:")
    image.tag("mine")
    assert [each.reference for each in bridge.images.list()] == [
        image.reference,
        "docker.io/library/mine:latest",
    ]
    bridge.images.remove("mine")
    image.remove()
    assert bridge.images.list() == []
    with pytest.raises(selur.ImageNotFound):
        image.remove()
