"""Other meshers on the same volumes: gmsh alone, TetGen and CGAL (pygalmesh), where they are installed.

    python tests/benchmarks/bench_mesh_peers.py [--size 64] [--cell-size 2]

TetGen (`pip install tetgen`, AGPL) and CGAL (`python3-pygalmesh` of Debian, GPL) are for comparison only and are no
dependencies. Times leave out making the volume and compiling.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from bench_mesh import table, three_phases

COLUMNS = (
    "volume",
    "mesher",
    "seconds",
    "cells",
    "dmin",
    "p05",
    "rr5",
    "phase err %",
    "surface area",
    "MB",
    "note",
)
MESHERS = ("pxm2mesh", "gmsh alone", "TetGen", "CGAL")


def figures(points: npt.NDArray[Any], cells: npt.NDArray[Any]) -> dict[str, Any]:
    """Angles and radius ratio."""
    from pxm2mesh.meshing import cell_quality

    quality = cell_quality(points, cells)
    low = np.percentile(quality.min_dihedral, [0, 5])
    return {"cells": len(cells), "dmin": round(float(low[0]), 2), "p05": round(float(low[1]), 1),
            "rr5": round(float(np.percentile(quality.radius_ratio, 5)), 3)}  # fmt: skip


def errors(volumes: dict[int, float], labels: npt.NDArray[Any]) -> float:
    """Largest relative error of a phase, per cent."""
    counts = np.bincount(labels.ravel(), minlength=3)
    return round(100 * max(abs(volumes.get(i, 0.0) / counts[i] - 1) for i in range(3) if counts[i]), 3)


def own(labels: npt.NDArray[Any], cell_size: int) -> dict[str, Any]:
    """This package."""
    from pxm2mesh.meshing import MeshOptions, mesh_volume, warm

    volume = volume_of(labels)
    warm()
    start = time.perf_counter()
    mesh = mesh_volume(volume, MeshOptions(cell_size=cell_size))
    seconds = time.perf_counter() - start
    volumes = {volume.phases[name].label: v for name, v in mesh.phase_volumes().items()}
    return {"seconds": seconds, **figures(mesh.points, mesh.cells), "phase err %": errors(volumes, labels),
            "surface area": round(sum(mesh.pair_areas().values()))}  # fmt: skip


def volume_of(labels: npt.NDArray[Any]) -> Any:
    """The labels with names and a voxel of 1 µm."""
    from pxm2mesh.volume import LabelVolume

    return LabelVolume(labels, {"void": 0, "LPSCl": 1, "NMC": 2}, "1 um")


def gmsh_alone(labels: npt.NDArray[Any], cell_size: int) -> dict[str, Any]:
    """HXT with its own optimiser on the exact cell faces: the only conforming surface gmsh can be given without us."""
    from pxm2mesh.meshing.gmsh_mesher import fill_regions
    from pxm2mesh.surfacing import extract_surface

    start = time.perf_counter()
    surface = extract_surface(volume_of(labels), cell_size=cell_size)
    filled = fill_regions(
        surface.points, surface.triangles, surface.sides, scale=float(cell_size), optimize_threshold=0.35
    )
    seconds = time.perf_counter() - start
    p = filled.points[filled.cells]
    six = np.einsum("ij,ij->i", p[:, 1] - p[:, 0], np.cross(p[:, 2] - p[:, 0], p[:, 3] - p[:, 0]))
    phase = surface.region_phase[filled.cell_region]
    volumes = dict(enumerate(np.bincount(phase, six / 6, 3).tolist()))
    return {"seconds": seconds, **figures(filled.points, filled.cells), "phase err %": errors(volumes, labels),
            "surface area": round(sum(surface.pair_areas().values())), "note": "staircase"}  # fmt: skip


def tetgen(labels: npt.NDArray[Any], cell_size: int) -> dict[str, Any]:
    """TetGen on the exact cell faces."""
    import tetgen as package

    from pxm2mesh.surfacing import extract_surface

    start = time.perf_counter()
    surface = extract_surface(volume_of(labels), cell_size=cell_size)
    mesher = package.TetGen(surface.points.copy(), surface.triangles.astype(np.int32))
    made = mesher.tetrahedralize(
        plc=True, quality=True, minratio=1.5, mindihedral=10, nobisect=True, quiet=True
    )
    points, cells = np.asarray(made[0]), np.asarray(made[1])
    seconds = time.perf_counter() - start
    return {"seconds": seconds, **figures(points, cells), "surface area": round(sum(surface.pair_areas().values())),
            "note": "staircase"}  # fmt: skip


def cgal(labels: npt.NDArray[Any], cell_size: int) -> dict[str, Any]:
    """CGAL's Mesh_3 on the labelled image."""
    import pygalmesh

    start = time.perf_counter()
    made = pygalmesh.generate_from_array(
        (labels + 1).astype(np.uint8), (1.0, 1.0, 1.0), max_cell_circumradius=1.2 * cell_size,
        max_facet_distance=0.35 * cell_size, lloyd=False, odt=False, perturb=True, exude=True, verbose=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    cells = made.cells_dict["tetra"]
    phase = made.get_cell_data("medit:ref", "tetra") - 1
    p = made.points[cells]
    six = np.abs(np.einsum("ij,ij->i", p[:, 1] - p[:, 0], np.cross(p[:, 2] - p[:, 0], p[:, 3] - p[:, 0])))
    volumes = dict(enumerate(np.bincount(phase, six / 6, 3).tolist()))
    return {"seconds": seconds, **figures(made.points, cells), "phase err %": errors(volumes, labels)}


def one(mesher: str, size: int, cell_size: int, noise: float) -> dict[str, Any]:
    """One mesher on one volume."""
    import resource

    labels = three_phases(size, noise=noise)
    run = {"pxm2mesh": own, "gmsh alone": gmsh_alone, "TetGen": tetgen, "CGAL": cgal}[mesher]
    try:
        row = run(labels, cell_size)
    except ImportError as error:
        return {"note": f"not installed ({error.name})"}
    except Exception as error:
        return {"note": f"failed: {type(error).__name__}: {str(error)[:80]}"}
    usage = max(resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {**row, "seconds": round(row["seconds"], 1), "MB": usage // 1024}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--cell-size", type=int, default=2)
    parser.add_argument("--json")
    parser.add_argument("--one", nargs=4)
    given = parser.parse_args()
    if given.one:
        mesher, size, cell_size, noise = given.one
        print(json.dumps(one(mesher, int(size), int(cell_size), float(noise))))
        return
    rows = []
    for noise in (0.0, 0.02, 0.1):
        for mesher in MESHERS:
            arguments = [mesher, str(given.size), str(given.cell_size), str(noise)]
            run = subprocess.run(
                [sys.executable, __file__, "--one", *arguments], capture_output=True, text=True
            )
            answer = run.stdout.strip().splitlines()
            row = (
                json.loads(answer[-1])
                if run.returncode == 0 and answer
                else {"note": f"crashed ({run.returncode})"}
            )
            rows.append({"volume": f"{given.size}³, {100 * noise:g} % noise", "mesher": mesher, **row})
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(table(rows, COLUMNS))
    if given.json:
        with open(given.json, "w", encoding="utf-8") as stream:
            json.dump(rows, stream, indent=1)


if __name__ == "__main__":
    main()
