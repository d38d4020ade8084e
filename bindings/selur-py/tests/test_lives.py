"""Signals, forks, and the end of the interpreter: each in a Python of its own."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from conftest import Child, ends_well, eventually

HEAD = """
import os, signal, sys, threading, time
import selur
bridge = selur.Bridge(runtime="simulated")
web = bridge.create_container("nginx", name="web", stdin=True)
bridge.start_container(web)
"""

#: What waits, and how it is seen that what it waited for has ended.
WAITS = {
    "wait": ("bridge.wait_container(web)", "bridge.kill_container(web)"),
    "effect": (
        "bridge.start_container(hung)",
        # It holds its container: what comes after it would wait for it.
        "bridge.delete_container(hung, deadline=20)",
    ),
    "create": (
        "bridge.create_container('fault.test/late:create', name='late')",
        # What it made all the same is undone.
        "gone(lambda: bridge.list_containers() == [web, hung])",
    ),
    "log": ("list(bridge.logs(web, follow=True))", "bridge.ping()"),
    "events": ("next(bridge.events())", "bridge.ping()"),
    "session": ("bridge.exec(web, 'cat', stdin=True).communicate()", "bridge.ping()"),
    "input": ("write(bridge.exec(web, 'cat', stdin=True))", "bridge.ping()"),
    "run": ("bridge.containers.run('nginx', remove=True)", "assert bridge.list_containers() == [web, hung]"),
}


@pytest.mark.parametrize("what", WAITS)
def test_ctrl_c_interrupts_whatever_waits(what: str) -> None:
    wait, seen = WAITS[what]
    source = f"""{HEAD}
hung = bridge.create_container("fault.test/hang:start")
def write(session):
    while True:
        session.write(b"x" * 100_000)
def gone(holds):
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
print("begun")
try:
    {wait}
except KeyboardInterrupt:
    {seen}
    print("interrupted")
"""
    with Child(source) as child:
        assert child.line() == "begun"
        # It may not wait yet: the signal is answered then, too.
        time.sleep(0.1)
        child.process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        assert child.line() == "interrupted"
        assert time.monotonic() - sent < 10
        code, _, err = child.end()
    assert (code, err) == (0, "")


def test_ctrl_c_interrupts_a_bridge_that_is_being_made(silent: Path) -> None:
    source = """
import sys, time, selur
print("begun")
try:
    selur.Bridge(runtime="docker", docker_socket=sys.argv[1])
except KeyboardInterrupt:
    print("interrupted")
"""
    with Child(source, str(silent)) as child:
        assert child.line() == "begun"
        time.sleep(0.1)
        child.process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        assert child.line() == "interrupted"
        assert child.end() == (0, "", "")
        # The daemon has 20 s.
        assert time.monotonic() - sent < 10


def test_a_signal_whose_handler_does_not_raise_ends_no_wait() -> None:
    source = f"""{HEAD}
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
print("begun")
print(bridge.wait_container(web))
"""
    with Child(source) as child:
        assert child.line() == "begun"
        time.sleep(0.1)
        child.process.send_signal(signal.SIGUSR1)
        assert child.line() == "handled"
        assert child.process.poll() is None


def test_another_thread_waits_while_ctrl_c_reaches_the_main_one() -> None:
    source = f"""{HEAD}
codes = []
waiting = threading.Thread(target=lambda: codes.append(bridge.wait_container(web)))
waiting.start()
print("begun")
try:
    bridge.wait_container(web)
except KeyboardInterrupt:
    bridge.kill_container(web)
    waiting.join()
    print(codes)
"""
    with Child(source) as child:
        assert child.line() == "begun"
        time.sleep(0.1)
        child.process.send_signal(signal.SIGINT)
        assert child.line() == "[137]"
        assert child.end() == (0, "", "")


def test_ctrl_c_ends_asyncio() -> None:
    source = """
import asyncio, selur
async def main():
    async with selur.AsyncBridge(runtime="simulated") as bridge:
        web = await bridge.create_container("nginx")
        await bridge.start_container(web)
        print("begun")
        await bridge.wait_container(web)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    with Child(source) as child:
        assert child.line() == "begun"
        time.sleep(0.1)
        child.process.send_signal(signal.SIGINT)
        assert child.line() == "interrupted"
        assert child.end() == (0, "", "")


def test_a_forked_child_is_refused_and_may_make_its_own() -> None:
    out = ends_well(f"""{HEAD}
slot = bridge.reserve(64)
log = bridge.logs(web, follow=True)
view = slot.bytes
waiting = threading.Thread(target=bridge.wait_container, args=(web,))
waiting.start()
child = os.fork()
if child == 0:
    refused = 0
    uses = [bridge.ping, bridge.list_containers, lambda: bridge.reserve(5), lambda: next(log), lambda: slot.submit(5),
        lambda: bridge.runtime, lambda: bridge.request("ping"), lambda: bridge.call(b""), lambda: bridge.take_stream(1)]
    for use in uses:
        try:
            use()
        except selur.InvalidRequest as error:
            assert "fork" in str(error), error
            refused += 1
        except BufferError:
            refused += 1
    assert refused == len(uses), refused
    # Nothing here waits for the parent's threads.
    bridge.close()
    log.close()
    del bridge, log, slot, view
    with selur.Bridge(runtime="simulated") as own:
        made = own.create_container("nginx")
        own.start_container(made)
        own.stop_container(made)
    print("child done", flush=True)
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
# The parent goes on as if nothing had been.
view.release()
assert bytes(slot.submit(slot.write("ping", "hi"))) == b"hi"
bridge.kill_container(web)
waiting.join()
print("parent done", flush=True)
""")
    assert out.splitlines() == ["child done", "parent done"]


def test_multiprocessing_forks_and_each_has_its_own_bridge() -> None:
    out = ends_well(f"""{HEAD}
import multiprocessing
def work(number):
    try:
        bridge.ping()
    except selur.InvalidRequest:
        with selur.Bridge(runtime="simulated") as own:
            return own.ping(str(number)).decode()
with multiprocessing.get_context("fork").Pool(4) as pool:
    print(pool.map(work, range(8)))
""")
    assert out.strip() == str([str(number) for number in range(8)])


def test_the_interpreter_ends_with_work_in_flight() -> None:
    for _ in range(5):
        out = ends_well(f"""{HEAD}
hung = bridge.create_container("fault.test/hang:start")
waits = [lambda: bridge.wait_container(web), lambda: bridge.start_container(hung), lambda: list(bridge.events()),
    lambda: list(bridge.logs(web, follow=True)), lambda: bridge.exec(web, "cat", stdin=True).communicate()]
def quietly(wait):
    try:
        wait()
    except selur.SelurError:
        pass
for wait in waits * 3:
    threading.Thread(target=quietly, args=(wait,), daemon=True).start()
slot = bridge.reserve(64)
answer = slot.submit(slot.write("ping", "hi"))
print("end")
""")
        assert out == "end\n"


def test_the_interpreter_ends_with_tasks_in_flight() -> None:
    ends_well("""
import asyncio, selur
bridge = selur.AsyncBridge(runtime="simulated")
async def main():
    web = await bridge.create_container("nginx")
    await bridge.start_container(web)
    for _ in range(100):
        asyncio.create_task(bridge.wait_container(web))
    events = await bridge.events()
    asyncio.create_task(anext(events))
    await asyncio.sleep(0)
asyncio.run(main())
""")


def test_bridges_are_closed_together() -> None:
    import selur

    bridges = [selur.Bridge(runtime="simulated") for _ in range(20)]
    for bridge in bridges:
        bridge.create_container("nginx")
    selur._native._close([*bridges, bridges[0]])
    for bridge in bridges:
        with pytest.raises(selur.InvalidRequest, match="closed"):
            bridge.list_containers()
    selur._native._close([])


def test_the_interpreter_ends_with_an_exception_and_a_bridge_in_a_cycle() -> None:
    with Child(f"""{HEAD}
class Holder: pass
holder = Holder()
holder.bridge, holder.log, holder.self = bridge, bridge.logs(web, follow=True), holder
raise SystemExit(3)
""") as child:
        assert child.end() == (3, "", "")


def test_a_thread_that_ends_leaves_the_bridge_to_others() -> None:
    ends_well(f"""{HEAD}
made = []
thread = threading.Thread(target=lambda: made.append(bridge.containers.run("nginx", detach=True)))
thread.start()
thread.join()
made[0].remove(force=True)
""")


def test_other_threads_run_while_one_waits() -> None:
    out = ends_well(f"""{HEAD}
turns = 0
def turn():
    global turns
    while turns < 1000:
        turns += 1
        time.sleep(0)
    bridge.kill_container(web)
threading.Thread(target=turn).start()
print(bridge.wait_container(web), turns)
""")
    assert out == "137 1000\n"


def test_a_program_that_is_killed_leaves_no_process() -> None:
    with Child(f"{HEAD}\nprint('begun')\nbridge.wait_container(web)\n") as child:
        assert child.line() == "begun"
        child.process.kill()
        eventually("it is gone", lambda: child.process.poll() is not None)
