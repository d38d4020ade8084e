"""How the benchmarks measure, and how they say it: one line for each way and size, tab-separated.

A sample is the mean of a batch of calls, for one alone is shorter than reading the clock twice.
"""

from __future__ import annotations

import gc
import struct
import time
from collections.abc import Callable
from typing import TypeVar

#: The payloads in bytes.
PAYLOADS = [0, 100, 1024, 10240]


T = TypeVar("T")


def measure(way: str, size: int, batch: int, samples: int, call: Callable[[T], object], argument: T) -> None:
    """Measures a call, and prints its p50 and p99 in nanoseconds. The first tenth of the samples warms up."""
    taken = []
    rounds = range(batch)
    gc.disable()
    for sample in range(-samples // 10, samples):
        began = time.perf_counter_ns()
        for _ in rounds:
            call(argument)
        nanoseconds = (time.perf_counter_ns() - began) / batch
        if sample >= 0:
            taken.append(nanoseconds)
    gc.enable()
    taken.sort()
    print(way, size, f"{taken[samples // 2]:.1f}", f"{taken[samples * 99 // 100]:.1f}", sep="\t", flush=True)


def ping_frame(size: int) -> bytes:
    """A ping's frame: command, length, payload."""
    return struct.pack("<BI", 0, size) + b"x" * size
