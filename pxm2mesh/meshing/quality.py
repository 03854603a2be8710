"""How well shaped the cells of a mesh are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.tetmesh import TetMesh

_BINS = {
    "min_dihedral": np.linspace(0, 72, 37),
    "max_dihedral": np.linspace(60, 180, 41),
    "radius_ratio": np.linspace(0, 1, 41),
    "scaled_jacobian": np.linspace(0, 1, 41),
    "aspect": np.linspace(1, 11, 41),
}


@dataclass(frozen=True, eq=False)
class CellQuality:
    """One value per cell; all are scale-free.

    Attributes:
        volume: (k,) µm³.
        min_dihedral: (k,) degrees; 70.5 for a regular cell.
        max_dihedral: (k,) degrees.
        radius_ratio: (k,) 3 × inscribed / circumscribed radius, 1 for a regular cell.
        scaled_jacobian: (k,) as Verdict has it, 1 for a regular cell; the least over the corners.
        aspect: (k,) longest edge / (2√6 × inscribed radius), 1 for a regular cell.
    """

    volume: npt.NDArray[np.float32]
    min_dihedral: npt.NDArray[np.float32]
    max_dihedral: npt.NDArray[np.float32]
    radius_ratio: npt.NDArray[np.float32]
    scaled_jacobian: npt.NDArray[np.float32]
    aspect: npt.NDArray[np.float32]


def cell_quality(points: npt.NDArray[np.float64], cells: npt.NDArray[np.int32]) -> CellQuality:
    """Measure every cell.

    Args:
        points: (n, 3) µm.
        cells: (k, 4) into ``points``.

    Returns:
        Six values per cell.

    References:
        C. J. Stimpson et al., The Verdict Library Reference Manual, Sandia (2007).
    """
    from pxm2mesh.meshing.quality_kernels import measure

    out = np.empty((6, len(cells)), np.float32)
    measure(np.ascontiguousarray(points, np.float64), np.ascontiguousarray(cells, np.int32), out)
    return CellQuality(*out)


def summarize(mesh: TetMesh, quality: CellQuality | None = None) -> dict[str, Any]:
    """The ``quality`` part of ``M.json``: counts, angles in degrees, ratios, and histograms.

    Args:
        mesh: The mesh.
        quality: What `cell_quality` gave, where it is known already.

    Returns:
        Numbers rounded to what they are good for, and ``histograms``: name → ``edges``, ``counts``.
    """
    q = quality or cell_quality(mesh.points, mesh.cells)
    low = np.percentile(q.min_dihedral, [0, 1, 5, 50])
    return {
        "cells": len(mesh.cells),
        "vertices": len(mesh.points),
        "inverted": int(np.sum(~(mesh.cell_volumes() > 0))),
        "min_dihedral": round(float(low[0]), 3),
        "p01_dihedral": round(float(low[1]), 3),
        "p05_dihedral": round(float(low[2]), 3),
        "p50_dihedral": round(float(low[3]), 3),
        "max_dihedral": round(float(q.max_dihedral.max()), 3),
        "rr_min": round(float(q.radius_ratio.min()), 4),
        "rr_p05": round(float(np.percentile(q.radius_ratio, 5)), 4),
        "scaled_jacobian_min": round(float(q.scaled_jacobian.min()), 4),
        "aspect_p95": round(float(np.percentile(q.aspect, 95)), 3),
        "histograms": {name: _histogram(getattr(q, name), edges) for name, edges in _BINS.items()},
    }


def _histogram(values: npt.NDArray[np.float32], edges: npt.NDArray[np.float64]) -> dict[str, list[float]]:
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return {"edges": [round(float(e), 4) for e in edges], "counts": counts.tolist()}
