"""Other meshers on the same three volumes: gmsh alone, TetGen and CGAL, where they are installed.

    python tests/benchmarks/bench_mesh_peers.py [--size 64] [--cell-size 2] [--json FILE]
        [--tetgen-python PYTHON] [--cgal-python PYTHON]

TetGen (AGPL; `pip install tetgen`) and CGAL (GPL; `python3-pygalmesh` of Debian, or `pip install pygalmesh` with the
headers of CGAL) are for comparison only and no dependencies. They may live in Pythons of their own, which need numpy
besides; a mesher that is not there is left out, and the table says so.

gmsh alone and TetGen get the exact faces of the cells, the only conforming surface they can be given without this
package; CGAL gets the image. Errors are against what the volumes were made of: phases against the voxels, the area of
the NMC's interface against the level set (balls, less what the box cuts off), its normals against the level set's
gradient. Times leave out making the volume, compiling, and starting Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from bench_mesh import three_phases

COLUMNS = (
    "volume", "mesher", "seconds", "cells", "dmin", "p05", "rr5", "phase err %", "area err %", "normal err °", "box",
    "MB", "note",
)  # fmt: skip
MESHERS = ("pxm2mesh", "gmsh alone", "TetGen", "CGAL", "CGAL close")
NMC = 2

TETGEN = """
import sys, time, resource, numpy as np, tetgen
given = np.load(sys.argv[1])
start = time.perf_counter()
made = tetgen.TetGen(given["points"].copy(), given["triangles"].astype(np.int32)).tetrahedralize(
    plc=True, quality=True, minratio=1.5, mindihedral=10, nobisect=True, quiet=True)
seconds = time.perf_counter() - start
np.savez(sys.argv[2], points=np.asarray(made[0]), cells=np.asarray(made[1]), seconds=seconds,
         mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
FACET_DISTANCE = {"CGAL": 0.35, "CGAL close": 0.1}
"""Farthest that CGAL's facets may be from the interface, in cells."""
CGAL = """
import sys, time, resource, numpy as np, pygalmesh
given = np.load(sys.argv[1])
size = float(given["cell_size"])
start = time.perf_counter()
made = pygalmesh.generate_from_array(
    (given["labels"] + 1).astype(np.uint8), (1.0, 1.0, 1.0), max_cell_circumradius=1.2 * size,
    max_facet_distance=float(given["facet_distance"]) * size, lloyd=False, odt=False, perturb=True, exude=True,
    verbose=False)
seconds = time.perf_counter() - start
blocks = [i for i, block in enumerate(made.cells) if block.type == "tetra"]
np.savez(sys.argv[2], points=made.points, cells=np.concatenate([made.cells[i].data for i in blocks]), seconds=seconds,
         phase=np.unique(given["labels"])[np.concatenate([made.cell_data["medit:ref"][i] for i in blocks]) - 1],
         mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def balls(size: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Balls of 5 to 10 voxels that do not touch, and the distance to the nearest."""
    rng = np.random.default_rng(1)
    grid = np.indices((size,) * 3, dtype=np.float32) + 0.5
    distance = np.full((size,) * 3, np.inf, np.float32)
    placed: list[tuple[float, npt.NDArray[Any]]] = []
    for _ in range(400):
        radius, centre = rng.uniform(5, 10), rng.uniform(12, size - 12, 3)
        if all(np.linalg.norm(centre - c) > radius + r + 3 for r, c in placed):
            placed.append((radius, centre))
            distance = np.minimum(
                distance, np.linalg.norm(grid - centre[:, None, None, None], axis=0) - radius
            )
    return np.where(distance < 0, NMC, 1).astype(np.uint8), distance


def cathode(size: int, noise: float) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """The three-phase cathode of `bench_mesh`; the distance is that of its balls without noise."""
    found: list[npt.NDArray[np.float32]] = []
    labels = three_phases(size, noise=noise, distances=found)
    return labels, found[0]


VOLUMES: dict[str, Callable[[int], tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]]] = {
    "three phases": lambda size: cathode(size, 0.0),
    "10 % salt noise": lambda size: cathode(size, 0.1),
    "balls": balls,
}


def made_by(mesher: str, labels: npt.NDArray[Any], cell_size: int, pythons: dict[str, str]) -> dict[str, Any]:
    """Points, cells, phase of each cell, seconds, MB."""
    import resource

    from pxm2mesh.meshing import MeshOptions, mesh_volume, warm
    from pxm2mesh.meshing.gmsh_mesher import fill_regions
    from pxm2mesh.surfacing import extract_surface
    from pxm2mesh.volume import LabelVolume

    volume = LabelVolume(labels, {"void": 0, "LPSCl": 1, "NMC": NMC}, "1 um")
    if mesher == "pxm2mesh":
        warm()
        start = time.perf_counter()
        mesh = mesh_volume(volume, MeshOptions(cell_size=cell_size))
        return {"points": mesh.points, "cells": mesh.cells, "phase": mesh.region_phase[mesh.cell_region],
                "seconds": time.perf_counter() - start, "mb": mesh.record["peak_rss_mb"]}  # fmt: skip
    extract_surface(volume, cell_size=cell_size)
    start = time.perf_counter()
    surface = extract_surface(volume, cell_size=cell_size)
    seconds = time.perf_counter() - start
    if mesher == "gmsh alone":
        filled = fill_regions(
            surface.points, surface.triangles, surface.sides, scale=float(cell_size), optimize_threshold=0.35
        )
        usage = max(resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return {"points": filled.points, "cells": filled.cells, "mb": usage // 1024,
                "phase": surface.region_phase[filled.cell_region], "seconds": time.perf_counter() - start}  # fmt: skip
    code = TETGEN if mesher == "TetGen" else CGAL
    with tempfile.TemporaryDirectory() as folder:
        given, answer = f"{folder}/given.npz", f"{folder}/answer.npz"
        np.savez(
            given, points=surface.points, triangles=surface.triangles, labels=labels, cell_size=cell_size,
            facet_distance=FACET_DISTANCE.get(mesher, 0.0),
        )  # fmt: skip
        run = subprocess.run(
            [pythons[mesher], "-c", code, given, answer], capture_output=True, text=True, timeout=1800
        )
        if run.returncode:
            last = (run.stderr.strip().splitlines() or [f"ended with {run.returncode}"])[-1]
            raise ImportError(last) if "ModuleNotFoundError" in last else RuntimeError(last)
        with np.load(answer) as stored:
            made = dict(stored)
    made["seconds"] = float(made["seconds"]) + (seconds if mesher == "TetGen" else 0.0)
    if "phase" not in made:  # all faces of the surface are in TetGen's mesh, so a centre tells the region
        step = np.array(labels.shape) / np.array(surface.lattice.cells.shape)  # type: ignore[union-attr]
        index = (made["points"][made["cells"]].mean(axis=1) // step).astype(int)
        made["phase"] = surface.region_phase[surface.lattice.cells[tuple(index.T)]]  # type: ignore[union-attr]
    return made


def judged(
    made: dict[str, Any], labels: npt.NDArray[Any], distance: npt.NDArray[np.float32], noisy: bool
) -> dict[str, Any]:
    """Angles, and errors of volumes, area, normals and box."""
    from pxm2mesh.meshing import cell_quality
    from pxm2mesh.meshing.assembly import find_facets

    points, phase = np.asarray(made["points"], np.float64), made["phase"].astype(np.int32)
    cells = np.array(made["cells"], np.int32)
    p = points[cells]
    six = np.einsum("ij,ij->i", p[:, 1] - p[:, 0], np.cross(p[:, 2] - p[:, 0], p[:, 3] - p[:, 0]))
    cells[six < 0] = cells[six < 0][:, [0, 1, 3, 2]]
    quality = cell_quality(points, cells)
    volumes, voxels = np.bincount(phase, np.abs(six) / 6, 3), np.bincount(labels.ravel(), minlength=3)
    facets, sides = find_facets(cells, phase + 1)
    mine = ((sides == NMC + 1).sum(axis=1) == 1) & (sides > 0).all(axis=1)
    q = points[facets[mine]]
    vector = np.cross(q[:, 1] - q[:, 0], q[:, 2] - q[:, 0]) / 2
    area = np.linalg.norm(vector, axis=1)
    normal = np.stack([sampled(g, q.mean(axis=1)) for g in np.gradient(distance)], axis=1)
    cosine = np.abs(np.einsum("ij,ij->i", vector, normal)) / np.maximum(
        area * np.linalg.norm(normal, axis=1), 1e-30
    )
    outer = points[facets[(sides == 0).any(axis=1)]]
    size = labels.shape[0]
    flat = np.any([(outer[:, :, a] == end).all(axis=1) for a in range(3) for end in (0.0, size)], axis=0)
    return {
        "cells": len(cells), "dmin": round(float(quality.min_dihedral.min()), 2),
        "p05": round(float(np.percentile(quality.min_dihedral, 5)), 1),
        "rr5": round(float(np.percentile(quality.radius_ratio, 5)), 3),
        "phase err %": round(100 * max(abs(volumes[i] / voxels[i] - 1) for i in range(3) if voxels[i]), 4),
        "area err %": "" if noisy else round(100 * (area.sum() / true_area(distance) - 1), 2),
        "normal err °": "" if noisy else round(float(np.degrees(
            np.average(np.arccos(np.minimum(cosine, 1.0)), weights=area))), 1),
        "box": "exact" if flat.all() else f"{100 * (1 - flat.mean()):.0f} % off",
        "seconds": round(float(made["seconds"]), 1), "MB": int(made["mb"]),
    }  # fmt: skip


def sampled(field: npt.NDArray[Any], points: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Values between voxel centres."""
    from scipy.ndimage import map_coordinates

    return np.asarray(map_coordinates(field, points.T - 0.5, order=1, mode="nearest"), np.float64)


def true_area(distance: npt.NDArray[np.float32]) -> float:
    """Area of the level set, by marching cubes on the distance itself, extended by half a voxel to the box."""
    from skimage.measure import marching_cubes, mesh_surface_area

    points, triangles, *_ = marching_cubes(np.pad(distance, 1, mode="edge"), 0.0)
    size = distance.shape[0]
    inside = ((points[triangles].mean(axis=1) > 0.5) & (points[triangles].mean(axis=1) < size + 0.5)).all(
        axis=1
    )
    return float(mesh_surface_area(points, triangles[inside]))


def one(mesher: str, name: str, size: int, cell_size: int, pythons: dict[str, str]) -> dict[str, Any]:
    """One mesher on one volume."""
    labels, distance = VOLUMES[name](size)
    distance = np.minimum(distance, 3.0)  # unknown, and of no use, far from the balls
    try:
        return judged(made_by(mesher, labels, cell_size, pythons), labels, distance, "noise" in name)
    except ImportError as error:
        return {"note": f"not installed ({error})"}
    except subprocess.TimeoutExpired:
        return {"note": "failed: not done after 1800 s"}
    except Exception as error:
        return {"note": f"failed: {type(error).__name__}: {str(error)[:80]}"}


def table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    """Rows as aligned text."""
    cells = [[str(c) for c in columns], *[[str(r.get(c, "")) for c in columns] for r in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--cell-size", type=int, default=2)
    parser.add_argument("--only", default="", help="volumes whose name contains this")
    parser.add_argument("--tetgen-python", default=sys.executable, help="a Python that has tetgen")
    parser.add_argument("--cgal-python", default=sys.executable, help="a Python that has pygalmesh")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    pythons = {"TetGen": given.tetgen_python, **dict.fromkeys(FACET_DISTANCE, given.cgal_python)}
    if given.one:
        print(json.dumps(one(*given.one, given.size, given.cell_size, pythons)))
        return
    rows = []
    for name in (v for v in VOLUMES if given.only in v):
        for mesher in MESHERS:
            run = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--one", mesher, name],
                                 capture_output=True, text=True)  # fmt: skip
            answer = run.stdout.strip().splitlines()
            crashed = {"note": f"crashed ({run.returncode}): {run.stderr.strip()[-80:]}"}
            row = json.loads(answer[-1]) if run.returncode == 0 and answer else crashed
            rows.append({"volume": f"{given.size}³ {name}", "mesher": mesher, **row})
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(table(rows, COLUMNS))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
