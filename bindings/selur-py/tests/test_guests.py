"""Guests of one's own that misbehave: they break their bridge, and no other thread and no signal waits for them."""

from __future__ import annotations

from conftest import ends_well


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
