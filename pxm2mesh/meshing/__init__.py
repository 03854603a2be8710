"""Tetrahedra: gmsh under a ladder, improvement, checks, sizing and transition zones."""

from __future__ import annotations

from pxm2mesh.meshing.cost import Cost, predict_cost
from pxm2mesh.meshing.options import MeshOptions, Sizing
from pxm2mesh.meshing.quality import CellQuality, cell_quality
from pxm2mesh.meshing.route import mesh_volume, tetrahedralize

__all__ = [
    "CellQuality",
    "Cost",
    "MeshOptions",
    "Sizing",
    "cell_quality",
    "mesh_volume",
    "predict_cost",
    "tetrahedralize",
    "warm",
]


def warm() -> None:
    """Compile every kernel of the mesher on a tiny sample (gmsh is not started)."""
    import numpy as np

    from pxm2mesh.meshing.transition import TransitionZone
    from pxm2mesh.volume import LabelVolume

    labels = np.random.default_rng(0).integers(1, 4, (6, 6, 6)).astype(np.uint8)
    volume = LabelVolume(labels, {"a": 1, "b": 2, "c": 3}, "1 um")
    layer = TransitionZone(("a", "b"), 0.4, kind="layer")
    mesh_volume(volume, MeshOptions(cell_size=1, method="lattice", zones=(layer,)))
