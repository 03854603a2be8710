"""Seconds and peak memory of every group of quantities on a generated cathode-like volume of three phases.

python tests/benchmarks/bench_quantify.py [--size 128] [--groups areas pores …]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path

import numpy as np


def sample(size: int, seed: int = 0):  # type: ignore[no-untyped-def]
    """Three phases from two Gaussian fields that repeat every 128 voxels (so that 512³ is made in seconds)."""
    from scipy.ndimage import gaussian_filter

    from pxm2mesh import LabelVolume

    rng = np.random.default_rng(seed)
    edge = min(size, 128)
    a, b = (gaussian_filter(rng.normal(size=(edge,) * 3), 3, mode="wrap") for _ in range(2))
    tile = np.where(a > np.quantile(a, 0.55), 1, np.where(b > np.quantile(b, 0.3), 2, 0)).astype(np.uint8)
    repeats = -(-size // edge)
    labels = np.tile(tile, (repeats,) * 3)[:size, :size, :size]
    return LabelVolume(labels, {"void": 0, "NMC": 1, "LPSCl": 2}, "0.4 um")


def main() -> None:
    """Measure and print a table."""
    from pxm2mesh.quantify import quantify, warm
    from pxm2mesh.quantify._groups import GROUPS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--groups", nargs="*", default=[n for n, g in GROUPS.items() if g.default])
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    start = time.perf_counter()
    warm()
    print(f"compiled or loaded kernels in {time.perf_counter() - start:.1f} s")
    volume = sample(chosen.size)
    print(repr(volume))
    rows = []
    print(f"{'group':<18}{'s':>8}{'cpu s':>8}{'peak MB':>9}{'load':>6}")
    for group in chosen.groups:
        begin, cpu = time.perf_counter(), time.process_time()
        quantify(volume, only=[group])
        row = {
            "group": group,
            "size": chosen.size,
            "seconds": time.perf_counter() - begin,
            "cpu": time.process_time() - cpu,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "load": os.getloadavg()[0],
        }
        rows.append(row)
        print(
            f"{group:<18}{row['seconds']:>8.2f}{row['cpu']:>8.2f}{row['peak_mb']:>9}{row['load']:>6.1f}",
            flush=True,
        )
    print(f"{'together':<18}{sum(r['seconds'] for r in rows):>8.2f}{sum(r['cpu'] for r in rows):>8.2f}")
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
