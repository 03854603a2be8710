"""Tetrahedra: gmsh under a ladder, improvement, checks, sizing and transition zones."""

from __future__ import annotations

from pxm2mesh.meshing.options import MeshOptions, Sizing
from pxm2mesh.meshing.quality import CellQuality, cell_quality
from pxm2mesh.meshing.route import mesh_volume, tetrahedralize

__all__ = ["CellQuality", "MeshOptions", "Sizing", "cell_quality", "mesh_volume", "tetrahedralize"]
