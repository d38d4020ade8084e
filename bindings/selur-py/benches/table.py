"""The page of a run: reads lines of program, way, size, p50, p99 and p99.9 in nanoseconds, and prints the tables."""

from __future__ import annotations

import sys

ROWS: dict[tuple[str, str], dict[int, tuple[float, float]]] = {}
for line in sys.stdin.read().splitlines():
    program, way, size, p50, p99, _p999 = line.split("\t")
    ROWS.setdefault((program, way), {})[int(size)] = (float(p50), float(p99))
ASYNCIO = {row: ROWS.pop(row) for row in list(ROWS) if row[1].startswith("asyncio")}
SIZES = sorted({size for row in ROWS.values() for size in row})


def time(nanoseconds: float) -> str:
    """A time for people."""
    if nanoseconds < 1000:
        return f"{nanoseconds:.0f} ns"
    return f"{nanoseconds / 1000:.{2 if nanoseconds < 10_000 else 0}f} µs"


def row(*cells: str) -> None:
    print("|", " | ".join(cells), "|")


row("from", "way", *(f"{size:,} B" for size in SIZES))
row("---", "---", *("---:" for _ in SIZES))
for (program, way), sizes in ROWS.items():
    row(
        program,
        way,
        *(f"{time(sizes[each][0])} ({time(sizes[each][1])})" if each in sizes else "" for each in SIZES),
    )

print("\nHow many times as long as `ping(payload)`, by p50:\n")
row("", *(f"{size:,} B" for size in SIZES))
row("---", *("---:" for _ in SIZES))
ours = ROWS["selur", "by copy: ping(payload)"]
for (program, way), sizes in ROWS.items():
    if program == "peers":
        row(way, *(f"{sizes[each][0] / ours[each][0]:.0f} ×" if each in sizes else "" for each in SIZES))

for sizes in ASYNCIO.values():
    for count, (p50, p99) in sizes.items():
        print(
            f"\nBy asyncio, {count} requests in flight that are not answered at once: {time(p50)} ({time(p99)}) each."
        )

print("\n| bar | wanted | p50 | |\n|---|---:|---:|---|")
copied, in_place = ours, ROWS["selur", "in place, one slot"]
for what, most, came in (
    ("copied ping, 100 B", 200, copied[100][0]),
    ("copied ping, 10,240 B", 700, copied[10240][0]),
    ("in place, 100 B", 600, in_place[100][0]),
    ("in place, 10,240 B", 600, in_place[10240][0]),
):
    row(what, f"{most} ns", time(came), "met" if came <= most else "missed")
