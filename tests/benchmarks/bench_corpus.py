"""Meshing a corpus of hard volumes, generated and real: every one must end in a valid mesh.

The real tomograms are looked for in the folder PXM2MESH_REAL_DATA; without them only generated volumes run.

python tests/benchmarks/bench_corpus.py [--size 128] [--cell-size 2] [--only TEXT] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.unsignedinteger[Any]]

COLUMNS = (
    "case", "voxels", "cell", "seconds", "MB", "cells", "rung", "dmin", "p05", "rr5", "phase %", "region %", "lost",
    "thin %", "agree %", "valid", "holds",
)  # fmt: skip
REAL = {
    "nmc_ct_cbd_nrel/nmc_pore0_am1_cbd2.tif": (1, 1, 1),
    "nmc_halfcell_ebner_lbm/halfcell_labels.tif": (1, 1, 1),
    "soc_niysz_ptycho_a/labels.tif": (1, 1, 1),
    "soc_niysz_ptycho_a/labels_roi.tif": (1, 1, 1),
    "superres_energy_materials/nmc_xct_2phase_128.tif": (1, 1, 1),
    "superres_energy_materials/separator_2phase.tif": (1, 1, 1),
    "superres_energy_materials/sofc_3phase_62.tif": (1, 1, 1),
    "tf500_tortuosity_benchmark/tf500.tif": (1, 1, 1),
    "berea_sandstone_a/berea_z000-255.tif": (1, 1, 1),
    "sandstones_porespy/bentheimer_300.tif": (1, 1, 1),
    "sandstones_porespy/leopard_100.tif": (1, 1, 1),
    "carbon_fibre_puma/weave_labels_150.tif": (1, 1, 1),
    "liver_labels_cgal/liver_labels.tif": (0.617188, 0.617188, 1.33333),
    "connectomics_a/labels_256.tif": (0.032, 0.032, 0.04),
}
"""File → edges of its voxels along x, y, z, in any unit of length: only their ratio matters here."""

LIMITS = {"phase %": 0.02, "region %": 1.0}
"""Largest errors of a phase, and of a region of more than 64 voxels."""

LEAST_ANGLE, LEAST_ANGLE_OF_NOISE = 12.0, 8.0
NOISY = ("noise", "salt 10 %", "checkerboard")


def white_noise(seed: int, size: int = 20) -> Labels:
    """Three labels drawn for every voxel by itself."""
    return np.random.default_rng(seed).integers(0, 3, (size,) * 3).astype(np.uint8)


def salted(share: float, size: int = 64) -> Labels:
    """The three-phase cathode of `bench_mesh` with so much salt noise."""
    from bench_mesh import three_phases

    return three_phases(size, noise=share)


def walls(size: int = 32) -> Labels:
    """Walls of one voxel: straight, oblique, and a shell."""
    x, y, z = np.indices((size,) * 3)
    labels = np.zeros((size,) * 3, np.uint8)
    labels[(x + y // 2) % 9 == 0] = 1
    labels[z == size // 3] = 2
    radius = np.sqrt((x - size / 2) ** 2 + (y - size / 2) ** 2 + (z - 2 * size / 3) ** 2)
    labels[(radius >= 7) & (radius < 8)] = 2
    return labels


def shells(size: int = 32) -> Labels:
    """Balls in balls, and a cavity in the innermost."""
    x, y, z = np.indices((size,) * 3) - (size - 1) / 2
    return (np.sqrt(x**2 + y**2 + z**2) // (size / 12)).astype(np.uint8) % 3


def contacts(size: int = 16) -> Labels:
    """Boxes that meet in edges and corners only."""
    labels = np.zeros((size,) * 3, np.uint8)
    for i, j, k in ((0, 0, 0), (1, 1, 0), (1, 1, 1), (2, 2, 2), (0, 2, 1), (3, 3, 3), (2, 3, 3)):
        labels[4 * i : 4 * i + 4, 4 * j : 4 * j + 4, 4 * k : 4 * k + 4] = 1 + (i + j) % 2
    labels[8, 8, 8] = labels[7, 7, 7] = 1
    return labels


def checkerboard(size: int = 16) -> Labels:
    """Every voxel unlike its six neighbours."""
    return (np.indices((size,) * 3).sum(axis=0) % 2).astype(np.uint8)


def particles(size: int = 64, count: int = 500) -> npt.NDArray[np.int32]:
    """A space filled by particles with an id each: the nearest of ``count`` seeds."""
    from scipy.spatial import cKDTree

    seeds = np.random.default_rng(0).uniform(0, size, (count, 3))
    where = np.stack(np.indices((size,) * 3), axis=-1).reshape(-1, 3) + 0.5
    return (cKDTree(seeds).query(where)[1] + 1).reshape((size,) * 3).astype(np.int32)


GENERATED: dict[str, tuple[Callable[[], Any], float, tuple[float, float, float]]] = {
    "white noise a": (lambda: white_noise(1), 1, (1, 1, 1)),
    "white noise b": (lambda: white_noise(2), 1, (1, 1, 1)),
    "salt 0 %": (lambda: salted(0.0), 2, (1, 1, 1)),
    "salt 2 %": (lambda: salted(0.02), 2, (1, 1, 1)),
    "salt 5 %": (lambda: salted(0.05), 2, (1, 1, 1)),
    "salt 10 %": (lambda: salted(0.1), 2, (1, 1, 1)),
    "salt 10 % fine": (lambda: salted(0.1, 32), 1, (1, 1, 1)),
    "one-voxel walls": (walls, 1, (1, 1, 1)),
    "one-voxel walls, coarse": (walls, 2, (1, 1, 1)),
    "shells in shells": (shells, 1, (1, 1, 1)),
    "edge and corner contacts": (contacts, 1, (1, 1, 1)),
    "one phase": (lambda: np.zeros((24, 24, 24), np.uint8), 1, (1, 1, 1)),
    "checkerboard": (checkerboard, 1, (1, 1, 1)),
    "500 particles": (particles, 1, (1, 1, 1)),
    "anisotropic noise": (lambda: white_noise(3), 1, (1, 1, 3)),
    "anisotropic cathode": (lambda: salted(0.02, 48), 1, (1, 1, 2.5)),
}
"""Name → labels, cell size in voxels, edges of a voxel."""


def load(case: str, size: int, cell_size: float) -> tuple[Any, float]:
    """The volume of a case, and the cell size that goes with it."""
    from pxm2mesh.io.images import read_image
    from pxm2mesh.volume import LabelVolume

    if case in GENERATED:
        make, cell_size, edges = GENERATED[case]
        labels = make()
    else:
        edges = REAL[case]
        labels = np.asarray(read_image(Path(os.environ["PXM2MESH_REAL_DATA"]) / case).values)
        low = [max(0, (n - size) // 2) for n in labels.shape]
        labels = labels[tuple(slice(a, a + size) for a in low)]
    ids = labels if case == "500 particles" else None
    if ids is not None:
        labels = np.ones(labels.shape, np.uint8)
    phases = {f"p{label}": label for label in np.unique(labels).tolist()}
    return LabelVolume(labels, phases, edges, particles=ids), cell_size


def one(case: str, size: int, cell_size: float) -> dict[str, Any]:
    """Mesh one volume here and measure."""
    from pxm2mesh.meshing import MeshOptions, mesh_volume, warm

    volume, cell_size = load(case, size, cell_size)
    warm()
    start = time.perf_counter()
    mesh = mesh_volume(volume, MeshOptions(cell_size=cell_size))
    seconds = time.perf_counter() - start
    quality, record = mesh.record["quality"], mesh.record
    large = [abs(r["relative_error"]) for r in record["regions"] if r["id"] and r["voxels"] > 64]
    rungs = record["route"]["rungs"]
    row = {
        "case": case, "voxels": "×".join(map(str, volume.shape)), "cell": cell_size, "seconds": round(seconds, 1),
        "MB": record["peak_rss_mb"], "cells": quality["cells"], "dmin": round(quality["min_dihedral"], 1),
        "p05": round(quality["p05_dihedral"], 1), "rr5": round(quality["rr_p05"], 2),
        "rung": f"{len(rungs)}: {rungs[-1]['rung'].removeprefix('gmsh, certificate ')}",
        "phase %": round(100 * max(abs(p["relative_error"]) for p in record["phases"]), 5),
        "region %": round(100 * max(large, default=0.0), 4), "agree %": round(100 * agreement(mesh, volume), 1),
        "lost": sum(r["id"] is None and r["voxels"] > 64 for r in record["regions"]),
        "thin %": round(100 * max(record["thin"].values(), default=0.0)),
        "failed rungs": [r["failed"] for r in rungs if "failed" in r], "valid": "; ".join(faults(mesh)) or "yes",
    }  # fmt: skip
    return {**row, "holds": "; ".join(misses(row)) or "yes"}


def misses(row: dict[str, Any]) -> list[str]:
    """Which of the promised limits a mesh does not hold."""
    found = [f"{name} > {limit:g}" for name, limit in LIMITS.items() if row[name] > limit]
    least = LEAST_ANGLE_OF_NOISE if any(word in row["case"] for word in NOISY) else LEAST_ANGLE
    if row["dmin"] < least:
        found.append(f"dmin < {least:g}")
    if row["lost"]:
        found.append(f"{row['lost']} large regions lost")
    return found


def agreement(mesh: Any, volume: Any) -> float:
    """Share of the volume whose cells have the phase of the voxel at their centre."""
    centre = mesh.points[mesh.cells].mean(axis=1)
    index = (
        np.floor((centre - volume.origin) / volume.spacing).astype(int).clip(0, np.array(volume.shape) - 1)
    )
    weight = mesh.cell_volumes()
    same = volume.labels[tuple(index.T)] == mesh.region_phase[mesh.cell_region]
    return float(weight[same].sum() / weight.sum())


def faults(mesh: Any) -> list[str]:
    """What is wrong with a mesh, found without the mesher's own checks."""
    found = []
    volumes = mesh.cell_volumes()
    if not (volumes > 0).all():
        found.append(f"{int((~(volumes > 0)).sum())} cells inverted")
    corners = np.sort(mesh.cells[:, [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]].reshape(-1, 3), axis=1)
    unique, index, times = np.unique(corners, axis=0, return_inverse=True, return_counts=True)
    if times.max() > 2:
        found.append(f"{int((times > 2).sum())} faces of more than two cells")
    regions = np.repeat(mesh.cell_region, 4)
    low, high = np.full(len(unique), np.iinfo(np.int32).max), np.zeros(len(unique), np.int64)
    np.minimum.at(low, index.ravel(), regions)
    np.maximum.at(high, index.ravel(), regions)
    border = (times == 1) | (low != high)
    facets = np.sort(np.asarray(mesh.facets), axis=1)
    if not np.array_equal(unique[border], np.unique(facets, axis=0)) or len(facets) != border.sum():
        found.append("facets are not the faces between regions and at the box")
    outside = unique[times == 1]
    on_box = np.zeros(len(outside), bool)
    for axis in range(3):
        for plane in (mesh.lower[axis], mesh.upper[axis]):
            on_box |= (mesh.points[outside][:, :, axis] == plane).all(axis=1)
    if not on_box.all():
        found.append(f"{int((~on_box).sum())} outer faces not on the box")
    box = float(np.prod(mesh.upper - mesh.lower))
    if abs(volumes.sum() / box - 1) > 1e-9:
        found.append(f"{volumes.sum() / box:.9f} of the box filled")
    meshed = np.unique(mesh.cell_region)
    if not np.array_equal(meshed, np.arange(1, len(mesh.region_phase))):
        found.append(f"{len(mesh.region_phase) - 1 - len(meshed)} regions without cells")
    return found


def in_a_process(case: str, size: int, cell_size: float, limit: float) -> dict[str, Any]:
    """Run this script for one case, so that a crash is its own."""
    command = [sys.executable, __file__, "--one", case, "--size", str(size), "--cell-size", str(cell_size)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"case": case, "valid": f"FAILED: not done after {limit:g} s"}
    if run.returncode:
        return {"case": case, "valid": f"FAILED: {run.stderr.strip()[-300:]}"}
    return dict(json.loads(run.stdout.splitlines()[-1]))


def main() -> None:
    """Print a row for each case as it is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128, help="edge of the crops of real volumes, voxels")
    parser.add_argument("--cell-size", type=float, default=2, help="for real volumes, voxels")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--limit", type=float, default=900, help="seconds a case may take")
    parser.add_argument("--json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.size, given.cell_size)))
        return
    real = os.environ.get("PXM2MESH_REAL_DATA", "")
    cases = [*GENERATED, *(f for f in REAL if real and (Path(real) / f).is_file())]
    widths = (50, 11, 5, 8, 6, 9, 12, 5, 5, 5, 8, 8, 5, 7, 7, 6, 6)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("  ".join(c.rjust(w) for c, w in zip(COLUMNS, widths, strict=True)))
    rows = []
    for case in (c for c in cases if given.only in c):
        rows.append(in_a_process(case, given.size, given.cell_size, given.limit))
        print(
            "  ".join(str(rows[-1].get(c, "")).rjust(w) for c, w in zip(COLUMNS, widths, strict=True)),
            flush=True,
        )
    print(f"{sum(r['valid'] == 'yes' for r in rows)} of {len(rows)} valid, "
          f"{sum(r.get('holds') == 'yes' for r in rows)} hold all limits")  # fmt: skip
    if given.json:
        Path(given.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if any(r["valid"] != "yes" for r in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
