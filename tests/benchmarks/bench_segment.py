"""How far segmented scans of the cathode phantom are from the truth: porosity, contact, and their intervals.

    python tests/benchmarks/bench_segment.py [--size 64] [--seeds 200 201 202 203 204] [--states assembled …]

Each scan is segmented as `pxm2mesh segment` does it by itself, and with thresholds and prices lower and higher.
Two processes; some 25 s per scan of 64³ on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

Row = tuple[int, str, list[float], list[float], list[tuple[float, float]], float, float]


def one(case: tuple[int, str, int]) -> Row:
    """Seed, state, truth, found and interval of (porosity, contact) in per cent; price of a leap; seconds."""
    from pxm2mesh.phantoms import cathode, grey_scan
    from pxm2mesh.quantify import quantify, quantify_with_intervals
    from pxm2mesh.segment import SegmentOptions, segment_in_steps, threshold_variants

    seed, state, size = case
    truth = cathode(state, size=size, seed=seed)
    scan = grey_scan(truth, seed=seed)
    start = time.perf_counter()
    options = SegmentOptions(order=("void", "LPSCl", "NMC"))
    found = segment_in_steps(scan, truth.phases, options)
    seconds = time.perf_counter() - start
    assert found.leap is not None
    variants = threshold_variants(scan, truth.phases, replace(options, leap=found.leap))
    only = ["porosity", "contact_fraction"]
    rows = quantify_with_intervals(found.volume, variants, only=only)
    exact = quantify(truth, only=only)
    keys = [{}, {"interface": "NMC | LPSCl"}]
    chosen = [next(iter(rows.select(n, **k))) for n, k in zip(only, keys, strict=True)]
    real = [100 * next(iter(exact.select(n, **k))).value for n, k in zip(only, keys, strict=True)]
    spans = [tuple(100 * v for v in q.uncertainty) for q in chosen]  # type: ignore[union-attr]
    return seed, state, real, [100 * q.value for q in chosen], spans, found.leap, seconds  # type: ignore[return-value]


def main() -> None:
    """Segment and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="*", default=[200, 201, 202, 203, 204])
    parser.add_argument("--states", nargs="*", default=["assembled", "pressed", "cycled"])
    chosen = parser.parse_args()
    cases = [(seed, state, chosen.size) for seed in chosen.seeds for state in chosen.states]
    print(f"{'seed':>5} {'state':<10}{'leap':>6}  {'porosity %':>10}{'off':>7}{'interval':>15}"
          f"  {'contact %':>9}{'off':>7}{'interval':>15}  inside{'s':>7}{'load':>6}")  # fmt: skip
    worst, inside = [0.0, 0.0], 0
    with ProcessPoolExecutor(2) as pool:
        for seed, state, real, seen, spans, leap, seconds in pool.map(one, cases):
            off = [s - r for s, r in zip(seen, real, strict=True)]
            within = all(a <= r <= b for (a, b), r in zip(spans, real, strict=True))
            parts = [
                f"{r:>9.2f}{o:>+8.2f}{f'{a:.1f} … {b:.1f}':>15}"
                for r, o, (a, b) in zip(real, off, spans, strict=True)
            ]
            print(f"{seed:>5} {state:<10}{leap:>6.2f} {' '.join(parts)}  {'yes' if within else 'NO':<6}"
                  f"{seconds:>7.0f}{os.getloadavg()[0]:>6.1f}", flush=True)  # fmt: skip
            worst = [max(w, abs(o)) for w, o in zip(worst, off, strict=True)]
            inside += within
    print(f"worst: porosity {worst[0]:.2f} points (limit 1), contact {worst[1]:.2f} (limit 2); "
          f"truth inside both intervals {inside} of {len(cases)}")  # fmt: skip


if __name__ == "__main__":
    main()
