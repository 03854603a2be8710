"""Conduction: iterations and seconds against size and contrast (run it with .env/bin/python)."""

from __future__ import annotations

import os
import sys
import time

from simulations.base.domain import Domain
from simulations.models.conduction import effective_conductivity
from simulations.shapes import ball


def main(sizes: tuple[int, ...] = (8, 16, 28)) -> None:
    """Print a table; the load average stands in its head."""
    out = sys.stdout.write
    out(f"load average {os.getloadavg()[0]:.1f}\n{'cells':>9} {'unknowns':>9} {'order':>5} {'contrast':>8} ")
    out(f"{'iterations':>10} {'solve s':>8} {'mesh s':>7} {'all s':>6}\n")
    for order in (1, 2):
        for size in sizes if order == 1 else sizes[:-1]:
            start = time.perf_counter()
            domain = Domain.from_mesh(ball({"P": 0.4, "M": 0.0}, box=(0.5,) * 3, cells=size, octant=False))
            built = time.perf_counter() - start
            for contrast in (1.0, 1e3, 1e6):
                start = time.perf_counter()
                found = effective_conductivity(
                    domain, ["P", "M"], conductivity={"P": contrast, "M": 1.0}, directions=["x"], order=order
                )
                row, seconds = found.rows[0], time.perf_counter() - start
                out(
                    f"{domain.cell_total:>9,} {row['unknowns']:>9,} {order:>5} {contrast:>8.0e} "
                    f"{row['iterations']:>10} "
                )
                out(f"{row['wall time [s]']:>8.2f} {built:>7.1f} {seconds:>6.1f}\n")


if __name__ == "__main__":
    main()
