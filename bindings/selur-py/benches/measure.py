"""How the benchmarks measure, and how they say it: one line for each way and size, tab-separated.

A sample is the mean of a batch of calls, for one alone is shorter than reading the clock twice; benchmarks/README.md says when
the samples are enough.
"""

from __future__ import annotations

import gc
import os
import struct
import time
from collections.abc import Callable
from typing import TypeVar

#: The payloads in bytes.
PAYLOADS = [0, 100, 1024, 10240, 102400, 262144]

MOST_NS = 1e9 * float(os.environ.get("SELUR_BENCH_SECONDS", "1"))
LEAST_SAMPLES = 100


T = TypeVar("T")


def measure(way: str, size: int, batch: int, most: int, call: Callable[[T], object], argument: T) -> None:
    """Measures a call, and prints its p50, p99 and, of samples enough, p99.9 in nanoseconds. The first samples warm up."""
    taken: list[float] = []
    warming_up = most // 10
    rounds = range(batch)
    gc.disable()
    begin = ended = time.perf_counter_ns()
    while len(taken) < most and (len(taken) < LEAST_SAMPLES or ended - begin < MOST_NS):
        began = time.perf_counter_ns()
        for _ in rounds:
            call(argument)
        ended = time.perf_counter_ns()
        if warming_up and ended - begin < MOST_NS / 10:
            warming_up -= 1
        else:
            warming_up = 0
            taken.append((ended - began) / batch)
    gc.enable()
    taken.sort()
    shown = [f"{taken[len(taken) * part // 1000]:.1f}" for part in (500, 990, 999)]
    if len(taken) < 1000:
        shown[2] = ""
    print(way, size, *shown, sep="\t", flush=True)


def ping_frame(size: int) -> bytes:
    """A ping's frame: command, length, payload."""
    return struct.pack("<BI", 0, size) + b"x" * size
