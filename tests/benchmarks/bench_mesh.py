"""Meshing: time, cells, angles, volume errors and memory, from 64³ to 256³, each in a process of its own.

    python tests/benchmarks/bench_mesh.py [--sizes 64,128] [--scaling] [--noise 0.02] [--json FILE]

`--scaling` is 64³, 128³, 192³ and 256³ without noise, and says how time and memory grow with the number of cells.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

COLUMNS = (
    "volume",
    "cell size",
    "seconds",
    "cells",
    "dmin",
    "p01",
    "p05",
    "rr5",
    "phase err %",
    "region err %",
    "MB",
    "rungs",
    "s per M cells",
    "predicted cells",
    "predicted s",
    "predicted MB",
)


def three_phases(
    size: int,
    *,
    seed: int = 0,
    noise: float = 0.0,
    distances: list[npt.NDArray[np.float32]] | None = None,
) -> npt.NDArray[np.uint8]:
    """Overlapping balls (50 %), pores from a thresholded random field (15 %) and a matrix, with salt noise.

    The distance of every voxel centre to the balls is appended to ``distances``.
    """
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    distance = np.full((size,) * 3, np.inf, np.float32)
    grid = np.indices((size,) * 3, dtype=np.float32)
    while (distance < 0).mean() < 0.5:
        radius, centre = rng.uniform(6, 15), rng.uniform(0, size, 3)
        low = np.maximum(0, (centre - radius - 1).astype(int))
        box = tuple(slice(a, int(b)) for a, b in zip(low, centre + radius + 2, strict=True))
        d = np.sqrt(sum((grid[k][box] + 0.5 - centre[k]) ** 2 for k in range(3))) - radius
        distance[box] = np.minimum(distance[box], d)
    if distances is not None:
        distances.append(distance)
    labels = np.where(distance < 0, 2, 1).astype(np.uint8)
    field = ndimage.gaussian_filter(rng.standard_normal((size,) * 3).astype(np.float32), 3.0)
    rest = labels == 1
    labels[rest & (field < np.quantile(field[rest], 0.3))] = 0
    if noise:
        wrong = rng.random(labels.shape) < noise
        labels[wrong] = rng.integers(0, 3, int(wrong.sum()))
    return labels


def one(size: int, cell_size: float, noise: float) -> dict[str, Any]:
    """Mesh one volume here and measure."""
    from pxm2mesh.meshing import MeshOptions, mesh_volume, predict_cost, warm
    from pxm2mesh.volume import LabelVolume

    volume = LabelVolume(three_phases(size, noise=noise), {"void": 0, "LPSCl": 1, "NMC": 2}, "0.4 um")
    warm()
    cost = predict_cost(volume, MeshOptions(cell_size=cell_size))
    start = time.perf_counter()
    mesh = mesh_volume(volume, MeshOptions(cell_size=cell_size))
    seconds = time.perf_counter() - start
    quality, record = mesh.record["quality"], mesh.record
    large = [abs(r["relative_error"]) for r in record["regions"] if r["id"] and r["voxels"] > 64]
    return {
        "volume": f"{size}³" + (f" {100 * noise:g} %" if noise else ""), "cell size": cell_size,
        "seconds": round(seconds, 1), "cells": quality["cells"], "dmin": quality["min_dihedral"],
        "p01": quality["p01_dihedral"], "p05": quality["p05_dihedral"], "rr5": quality["rr_p05"],
        "phase err %": round(100 * max(abs(p["relative_error"]) for p in record["phases"]), 5),
        "region err %": round(100 * max(large), 3), "MB": record["peak_rss_mb"],
        "rungs": len(record["route"]["rungs"]), "s per M cells": round(1e6 * seconds / quality["cells"], 1),
        "predicted cells": cost.cells, "predicted s": cost.seconds, "predicted MB": round(1024 * cost.memory_gb),
        "parts": record["route"]["rungs"][-1]["improve"]["seconds"]
        | {"gmsh": record["route"]["rungs"][-1]["gmsh"]["seconds"]},
    }  # fmt: skip


def line(values: Sequence[Any], columns: Sequence[str]) -> str:
    """A row of the table: every column as wide as its name, and at least 9 characters."""
    return "  ".join(str(v).rjust(max(len(c), 9)) for v, c in zip(values, columns, strict=True))


def in_a_process(arguments: list[str]) -> dict[str, Any]:
    """Run this script for one case, so that memory is its own."""
    run = subprocess.run([sys.executable, __file__, "--one", *arguments], capture_output=True, text=True)
    if run.returncode:
        return {"volume": " ".join(arguments), "rungs": f"FAILED {run.stderr.strip()[-200:]}"}
    return dict(json.loads(run.stdout.splitlines()[-1]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="64,128")
    parser.add_argument("--cell-size", type=float, default=2)
    parser.add_argument("--noise", default="0,0.02")
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        size, cell_size, noise = given.one
        print(json.dumps(one(int(size), float(cell_size), float(noise))))
        return
    if given.scaling:
        given.sizes, given.noise = "64,128,192,256", "0"
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(line(COLUMNS, COLUMNS), flush=True)
    rows = []
    for size in given.sizes.split(","):
        for noise in given.noise.split(","):
            rows.append(in_a_process([size, str(given.cell_size), noise]))
            print(line([rows[-1].get(c, "") for c in COLUMNS], COLUMNS), flush=True)
    if given.scaling and all("cells" in row for row in rows):
        for name in ("seconds", "MB"):
            x, y = (np.log([row[key] for row in rows[1:]]) for key in ("cells", name))
            print(
                f"{name} grow with the number of cells to the power {np.polyfit(x, y, 1)[0]:.2f} (from 128³ on)"
            )
    if given.json:
        with open(given.json, "w", encoding="utf-8") as stream:
            json.dump(rows, stream, indent=1)


if __name__ == "__main__":
    main()
