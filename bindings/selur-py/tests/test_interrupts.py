"""What a request made is never lost to a signal's handler that raises."""

from __future__ import annotations

import pytest

import selur
from conftest import ends_well, eventually

#: Creates containers while an alarm rings at any time, most often while the answer is waited for.
HEAD = """
import random, signal, time
import selur

class Alarm(Exception): pass

def ring(number, frame):
    raise Alarm

signal.signal(signal.SIGALRM, ring)
random.seed(7)
bridge = selur.Bridge(runtime="simulated")

def within(most, make):
    # What it made, or that it was interrupted.
    made = None
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(20, most) / 1e6)
        made = make()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Alarm:
        pass
    return made

def eventually(holds):
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, bridge.list_containers()
"""


def test_a_create_that_is_interrupted_leaves_nothing() -> None:
    ends_well(f"""{HEAD}
interrupted = 0
while interrupted < 1000:
    made = within(300 + interrupted % 10 * 100, lambda: bridge.create_container("nginx"))
    if made is None:
        interrupted += 1
        eventually(lambda: bridge.list_containers() == [])
    else:
        bridge.delete_container(made)
""")


def test_a_stream_that_is_interrupted_where_it_is_opened_is_closed() -> None:
    out = ends_well(f"""{HEAD}
web = bridge.create_container("nginx")
bridge.start_container(web)
opens = [bridge.events, lambda: bridge.exec(web, "cat", stdin=True), lambda: bridge.logs(web)]
interrupted = 0
while interrupted < 1000:
    opened = within(300, opens[interrupted % 3])
    if opened is None:
        interrupted += 1
    else:
        opened.close()
# As many as a bridge may have open that nobody took.
for _ in range(1024):
    bridge.request("events")
try:
    bridge.request("events")
except selur.ResourceExhausted:
    print("full")
""")
    assert out == "full\n"


#: An answer of bytes may be lost in the moment in which Python has it and the caller has not: it takes a microsecond.
BARE = {
    "request": 'bridge.request("create_container", "nginx")',
    "call": 'bridge.call(b"\\x01\\x05\\0\\0\\0nginx").data',
    "slot": 'bytes(slot.submit(slot.write("create_container", "nginx")))',
}


@pytest.mark.parametrize("way", BARE)
def test_a_create_without_its_method_is_undone_while_it_is_waited_for(way: str) -> None:
    out = ends_well(f"""{HEAD}
interrupted = 0
while interrupted < 200:
    slot = bridge.reserve(64)
    made = within(300, lambda: {BARE[way]})
    if made is None:
        interrupted += 1
    else:
        bridge.delete_container(made.decode())
    slot.release()
# Those that are being undone are not listed.
eventually(lambda: len(bridge.list_containers()) < 20)
print(len(bridge.list_containers()))
""")
    assert int(out) < 20


class Blind(selur.Bridge):
    """A bridge that cannot say what a container is."""

    error: BaseException = selur.Timeout("too late")

    def inspect_container(self, container: str, *, deadline: float | None = None) -> selur.schemas.Inspection:
        """Fails."""
        raise self.error


@pytest.mark.parametrize("error", [selur.Timeout("too late"), KeyboardInterrupt()])
@pytest.mark.parametrize("remove", [False, True])
def test_a_container_that_cannot_be_looked_at_is_removed(error: BaseException, remove: bool) -> None:
    with Blind(runtime="simulated") as bridge:
        bridge.error = error
        with pytest.raises(type(error)):
            bridge.containers.create("nginx", name="web")
        assert bridge.list_containers() == []
        with pytest.raises(type(error)):
            bridge.containers.run("nginx", name="web", remove=remove)
        assert bridge.list_containers() == []


def test_a_container_that_cannot_be_removed_either_hides_no_error() -> None:
    class Closing(Blind):
        def inspect_container(
            self, container: str, *, deadline: float | None = None
        ) -> selur.schemas.Inspection:
            self.close()
            raise self.error

    with Closing(runtime="simulated") as bridge, pytest.raises(selur.Timeout, match="too late"):
        bridge.containers.create("nginx")


def test_what_was_made_is_undone_unless_its_id_is_looked_at(bridge: selur.Bridge) -> None:
    kept = bridge._make("create_container", "nginx", "kept")
    id = kept.id
    del kept
    dropped = bridge._make("create_container", "nginx", "dropped")
    assert len(bridge.list_containers()) == 2
    del dropped
    eventually("it is undone", lambda: bridge.list_containers() == [id])
    with pytest.raises(selur.ContainerAlreadyExists):
        bridge._make("create_container", "nginx", "kept")
    with pytest.raises(TypeError):
        selur._native.Made()
