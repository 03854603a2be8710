"""Two threads without barriers: kernels release the GIL and take a range of planes.

Numba's own parallel loops spin at every barrier, which costs a factor of ten on a machine that others
use too, and compile several times slower. Here a kernel is compiled serially and handed ranges.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

_CHUNKS_PER_THREAD = 4


@cache
def thread_count() -> int:
    """Threads to use: ``NUMBA_NUM_THREADS`` where set, else the cores this process may run on."""
    stated = os.environ.get("NUMBA_NUM_THREADS", "")
    return max(1, int(stated)) if stated.isdigit() else len(os.sched_getaffinity(0))


@cache
def _pool(threads: int, pid: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="pxm2mesh")


def ranges(count: int, pieces: int) -> list[tuple[int, int]]:
    """``range(count)`` cut into at most ``pieces`` parts of nearly equal length."""
    pieces = max(1, min(pieces, count))
    edges = [count * p // pieces for p in range(pieces + 1)]
    return list(pairwise(edges))


def run_all(jobs: Iterable[Callable[[], object]]) -> None:
    """Run jobs that do not depend on each other, on all threads; a single one without a thread."""
    jobs = list(jobs)
    if len(jobs) == 1 or thread_count() == 1:
        for job in jobs:
            job()
        return
    pool = _pool(thread_count(), os.getpid())
    for running in [pool.submit(job) for job in jobs]:
        running.result()


def over_planes(kernel: Callable[..., Any], count: int, *arguments: Any) -> None:
    """Call ``kernel(first, last, *arguments)`` for parts of ``range(count)``, on all threads."""
    threads = thread_count()
    if threads == 1 or count < 2 * threads:
        kernel(0, count, *arguments)
        return
    pool = _pool(threads, os.getpid())
    jobs = [pool.submit(kernel, a, b, *arguments) for a, b in ranges(count, _CHUNKS_PER_THREAD * threads)]
    for job in jobs:
        job.result()


def sum_over_planes(kernel: Callable[..., Any], count: int, make: Callable[[], Any], *arguments: Any) -> Any:
    """Call ``kernel(first, last, total, *arguments)`` on parts with totals of their own, and add these up.

    The parts do not depend on the number of threads, so neither does the (rounded) sum.
    """
    parts = ranges(count, 8)
    totals = [make() for _ in parts]
    if thread_count() == 1:
        for (a, b), total in zip(parts, totals, strict=True):
            kernel(a, b, total, *arguments)
    else:
        pool = _pool(thread_count(), os.getpid())
        jobs = [pool.submit(kernel, a, b, t, *arguments) for (a, b), t in zip(parts, totals, strict=True)]
        for job in jobs:
            job.result()
    return sum(totals[1:], totals[0])
