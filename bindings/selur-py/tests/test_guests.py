"""Guests of one's own that misbehave: they break their bridge, and no other thread and no signal waits for them."""

from __future__ import annotations

from collections.abc import Iterator

from conftest import ROOT, ends_well


def _number(value: int) -> bytes:
    """LEB128 of a number that is not negative, as WebAssembly has unsigned ones."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _number(value >> 7)


def _signed(value: int) -> bytes:
    """The same for signed ones: bit 6 of the last byte is the sign."""
    return bytes([value]) if value < 64 else bytes([value & 127 | 128]) + _signed(value >> 7)


def _counted(content: bytes) -> bytes:
    return _number(len(content)) + content


def _many(items: list[bytes]) -> bytes:
    return _number(len(items)) + b"".join(items)


def guest(exchange: bytes) -> bytes:
    """A guest that answers every request by what stands in `selur_exchange`, and says that nothing is a ping."""
    i32, i64, zero = b"\x7f", b"\x7e", b"\x41\x00"
    functions: list[tuple[str, bytes, bytes, bytes]] = [
        ("abi_version", b"", i32, b"\x41\x01"),
        ("mailbox", b"", i32, b"\x41" + _signed(65_536)),
        ("arena", b"", i64, b"\x42" + _signed(0x20000000E0000)),
        ("ping", i64 + i32, i32, zero),
        ("reserve", i32, i64, b"\x42" + _signed(0x1000)),
        ("submit", i64 + i32 + i64 + i64, i64, b"\x42\x00"),
        ("exchange", i64 + i32 + i64 + i64, i64, exchange),
        ("cancel", i64 + i32, i32, zero),
        ("complete", i64 + i32 + i32 + i64 + i32 + i32 + i32, i32, zero),
        ("observe", i32, i32, zero),
        ("poll", b"", i32, zero),
        ("release", i64, i32, zero),
        ("digest", b"", i64, b"\x42\x00"),
    ]
    exports = [_counted(b"memory") + b"\x02\x00"]
    for index, function in enumerate(functions):
        exports.append(_counted(b"selur_" + function[0].encode()) + b"\x00" + _number(index))
    sections = {
        1: _many([b"\x60" + _counted(takes) + _counted(gives) for _, takes, gives, _ in functions]),
        3: _many([_number(index) for index in range(len(functions))]),
        5: _many([b"\x01\x10\x10"]),
        7: _many(exports),
        10: _many([_counted(b"\x00" + body + b"\x0b") for _, _, _, body in functions]),
    }
    return b"\0asm\x01\0\0\0" + b"".join(bytes([id]) + _counted(content) for id, content in sections.items())


def _numbers(content: bytes, at: int) -> tuple[int, int]:
    """The unsigned number there, and where it ends."""
    value = shift = 0
    while content[at] > 127:
        value |= (content[at] & 127) << shift
        at, shift = at + 1, shift + 7
    return value | content[at] << shift, at + 1


def _sections(module: bytes) -> Iterator[tuple[int, bytes]]:
    at = 8
    while at < len(module):
        size, begin = _numbers(module, at + 1)
        yield module[at], module[begin : begin + size]
        at = begin + size


def guest_that_loops_at_pings() -> bytes:
    """The guest of selur's, which never comes back from its `selur_ping`."""
    sections = dict(_sections((ROOT / "guest/selur.wasm").read_bytes()))
    # It imports nothing: functions are counted from 0.
    place = sections[7].index(_counted(b"selur_ping") + b"\x00") + 12
    looping, _ = _numbers(sections[7], place)
    count, at = _numbers(sections[10], 0)
    bodies = []
    for _ in range(count):
        size, begin = _numbers(sections[10], at)
        at = begin + size
        bodies.append(sections[10][begin:at])
    bodies[looping] = b"\x00\x03\x40\x0c\x00\x0b\x00\x0b"
    sections[10] = _many([_counted(body) for body in bodies])
    return b"\0asm\x01\0\0\0" + b"".join(bytes([id]) + _counted(content) for id, content in sections.items())


def test_a_guest_that_loops_holds_up_no_other_thread() -> None:
    loops = guest(b"\x03\x40\x0c\x00\x0b\x00")
    told = ends_well(
        """
import sys, threading, selur
bridge = selur.Bridge(runtime="simulated", guest=bytes.fromhex(sys.argv[1]))
turns, is_over, begun = 0, False, threading.Event()
def others():
    global turns
    while not is_over:
        turns += 1
        begun.set()
        threading.Event().wait(0.001)
thread = threading.Thread(target=others)
thread.start()
begun.wait()
before = turns
try:
    bridge.ping(b"hi")
except selur.InternalError:
    print(turns - before > 5)
is_over = True
thread.join()
""",
        loops.hex(),
    )
    assert told == "True\n"


def test_a_guest_that_never_answers_is_interrupted() -> None:
    never = guest(b"\x42" + _signed(0x6000000000000007))
    told = ends_well(
        """
import signal, sys, selur
bridge = selur.Bridge(runtime="simulated", guest=bytes.fromhex(sys.argv[1]))
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    bridge.ping(b"hi")
except KeyboardInterrupt:
    print("interrupted")
""",
        never.hex(),
    )
    assert told == "interrupted\n"


def test_a_slot_that_is_with_a_guest_at_work_holds_up_no_thread() -> None:
    told = ends_well(
        """
import sys, threading, selur
bridge = selur.Bridge(runtime="simulated", guest=bytes.fromhex(sys.argv[1]))
slot = bridge.reserve(64)
length = slot.write("ping", "hi")
turns, refused, is_over = 0, set(), threading.Event()
def submits():
    try:
        slot.submit(length)
    except selur.InternalError:
        print("broke")
    finally:
        is_over.set()
def uses():
    while not is_over.is_set():
        for use in (lambda: slot.bytes, lambda: slot.write("ping", "hi"), slot.release, lambda: slot.submit(7)):
            try:
                use()
            except (BufferError, selur.SelurError) as error:
                refused.add(str(error))
        threading.Event().wait(0.001)
submitting = threading.Thread(target=submits)
submitting.start()
using = threading.Thread(target=uses)
is_used = False
while not is_over.wait(0.001):
    turns += 1
    # Only once it is with the guest: what is submitted can no longer be written.
    if not is_used:
        try:
            slot.write("ping", "hi")
        except (BufferError, selur.SelurError):
            is_used = True
            using.start()
submitting.join()
if is_used:
    using.join()
print(turns > 5, any("another thread" in error for error in refused))
""",
        guest_that_loops_at_pings().hex(),
    )
    assert told == "broke\nTrue True\n"
