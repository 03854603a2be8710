"""Thin layers around particles: thickness, direct contact that is left, worst angle, time; a process for every case.

    python tests/benchmarks/bench_layers.py [--size 64] [--only TEXT] [--json FILE]

Thickness is the distance of the layer's outer facets, seen at their centres, from the coated phase, by area. Facets in
grooves, which bridge two nearly touching parts of the surface, are counted apart: there two layers run together.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

COLUMNS = ("case", "thickness", "cell", "seconds", "cells", "mean", "p05", "p50", "p95", "within 10 %", "grooves %",
           "contact left", "dmin")  # fmt: skip
SETTINGS = ((1.0, 2.0), (1.0, 1.0), (0.5, 1.0))
"""Thickness and cell size, in voxels."""


def touching(size: int) -> npt.NDArray[np.uint8]:
    """Two balls that touch, NMC 1 in LPSCl 2."""
    radius = 0.2 * size
    apart = np.array([radius, 0.3, 0.2])[:, None, None, None]
    place = np.indices((size,) * 3) + 0.5 - size / 2
    near = np.minimum(((place - apart) ** 2).sum(axis=0), ((place + apart) ** 2).sum(axis=0))
    return np.where(near < radius**2, 1, 2).astype(np.uint8)


def pressed(size: int) -> npt.NDArray[np.uint8]:
    """The cathode of `bench_mesh`: overlapping balls of NMC 1, LPSCl 2 and pores 0."""
    from bench_mesh import three_phases

    return np.array([0, 2, 1], np.uint8)[three_phases(size)]


CASES = {"touching balls": touching, "pressed cathode": pressed}


def one(case: str, size: int, thickness: float, cell_size: float) -> dict[str, Any]:
    """Coat one sample here and measure."""
    from pxm2mesh.meshing import MeshOptions, mesh_volume, warm
    from pxm2mesh.meshing.transition import TransitionZone
    from pxm2mesh.volume import LabelVolume

    volume = LabelVolume(CASES[case](size), {"void": 0, "NMC": 1, "LPSCl": 2}, "1 um")
    zone = TransitionZone(("NMC", "LPSCl"), thickness, kind="layer", name="coat")
    warm()
    start = time.perf_counter()
    mesh = mesh_volume(volume, MeshOptions(cell_size=cell_size, zones=(zone,)))
    seconds = time.perf_counter() - start
    facts = mesh.record["zones"][0]
    times = {f"p{p}": round(facts[f"thickness_p{p}_um"] / thickness, 3) for p in ("05", "50", "95")}
    return {
        "case": f"{case} {size}³", "thickness": thickness, "cell": cell_size, "seconds": round(seconds, 1),
        "cells": len(mesh.cells), "mean": round(facts["mean_thickness_um"] / thickness, 3), **times,
        "within 10 %": round(100 * facts["right_share"], 1), "grooves %": round(100 * facts["groove_share"], 1),
        "contact left": mesh.pair_areas().get("NMC | LPSCl", 0.0), "dmin": mesh.record["quality"]["min_dihedral"],
    }  # fmt: skip


def line(values: Sequence[Any]) -> str:
    """A row of the table."""
    widths = [26, *(max(len(c), 8) for c in COLUMNS[1:])]
    return "  ".join(str(v).rjust(w) for v, w in zip(values, widths, strict=True))


def main() -> None:
    """Print a row for each case as it is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--json")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        case, size, thickness, cell_size = given.one
        print(json.dumps(one(case, int(size), float(thickness), float(cell_size))))
        return
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(line(COLUMNS), flush=True)
    rows = []
    for case in (c for c in CASES if given.only in c):
        for setting in SETTINGS:
            command = [sys.executable, __file__, "--one", case, str(given.size), *map(str, setting)]
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            if run.returncode:
                sys.exit(f"{case} {setting} failed: {run.stderr.strip()[-300:]}")
            rows.append(json.loads(run.stdout.splitlines()[-1]))
            print(line([rows[-1][c] for c in COLUMNS]), flush=True)
    if given.json:
        Path(given.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
