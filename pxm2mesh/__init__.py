"""pxm2mesh: from X-ray tomography of battery electrodes to certified meshes and simulations.

Everything public is reached from here; what is heavy is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pxm2mesh.errors import Pxm2meshError as Pxm2meshError
    from pxm2mesh.io.images import open_volume as open_volume
    from pxm2mesh.io.images import read_grey as read_grey
    from pxm2mesh.io.images import read_volume as read_volume
    from pxm2mesh.io.images import write_volume as write_volume
    from pxm2mesh.io.lazy import VolumeOnDisk as VolumeOnDisk
    from pxm2mesh.io.meshes import read_mesh as read_mesh
    from pxm2mesh.io.meshes import write_mesh as write_mesh
    from pxm2mesh.materials import Material as Material
    from pxm2mesh.materials import library as library
    from pxm2mesh.materials import read_material as read_material
    from pxm2mesh.materials import read_materials as read_materials
    from pxm2mesh.meshing import MeshOptions as MeshOptions
    from pxm2mesh.meshing import Sizing as Sizing
    from pxm2mesh.meshing import mesh_volume as mesh_volume
    from pxm2mesh.meshing import tetrahedralize as tetrahedralize
    from pxm2mesh.meshing.transition import TransitionZone as TransitionZone
    from pxm2mesh.phantoms import PHANTOMS as PHANTOMS
    from pxm2mesh.phantoms import phantom as phantom
    from pxm2mesh.phases import Phase as Phase
    from pxm2mesh.phases import PhaseTable as PhaseTable
    from pxm2mesh.pipeline import run_study as run_study
    from pxm2mesh.quantify import quantify as quantify
    from pxm2mesh.quantities import Quantities as Quantities
    from pxm2mesh.quantities import Quantity as Quantity
    from pxm2mesh.report import write_report as write_report
    from pxm2mesh.segment import RepairOptions as RepairOptions
    from pxm2mesh.segment import clean as clean
    from pxm2mesh.segment.repair import repair as repair
    from pxm2mesh.study import Study as Study
    from pxm2mesh.study import read_study as read_study
    from pxm2mesh.surface import InterfaceSurface as InterfaceSurface
    from pxm2mesh.surfacing import SmoothOptions as SmoothOptions
    from pxm2mesh.surfacing import extract_surface as extract_surface
    from pxm2mesh.surfacing import marching_cubes_surfaces as marching_cubes_surfaces
    from pxm2mesh.surfacing.smooth import smooth as smooth
    from pxm2mesh.tetmesh import TetMesh as TetMesh
    from pxm2mesh.volume import GreyVolume as GreyVolume
    from pxm2mesh.volume import LabelVolume as LabelVolume

__version__ = "0.1.0"

_HOME = {
    "Pxm2meshError": "errors",
    "Material": "materials",
    "library": "materials",
    "read_material": "materials",
    "read_materials": "materials",
    "MeshOptions": "meshing",
    "Sizing": "meshing",
    "mesh_volume": "meshing",
    "tetrahedralize": "meshing",
    "Phase": "phases",
    "PhaseTable": "phases",
    "Quantities": "quantities",
    "Quantity": "quantities",
    "InterfaceSurface": "surface",
    "Study": "study",
    "read_study": "study",
    "SmoothOptions": "surfacing",
    "extract_surface": "surfacing",
    "marching_cubes_surfaces": "surfacing",
    "smooth": "surfacing",
    "TetMesh": "tetmesh",
    "GreyVolume": "volume",
    "LabelVolume": "volume",
    "read_mesh": "io.meshes",
    "write_mesh": "io.meshes",
    "VolumeOnDisk": "io.lazy",
    "open_volume": "io.images",
    "read_grey": "io.images",
    "read_volume": "io.images",
    "write_volume": "io.images",
    "TransitionZone": "meshing.transition",
    "PHANTOMS": "phantoms",
    "phantom": "phantoms",
    "run_study": "pipeline",
    "quantify": "quantify",
    "write_report": "report",
    "clean": "segment",
    "repair": "segment",
    "RepairOptions": "segment",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"pxm2mesh.{_HOME[name]}"), name)
    raise AttributeError(f"module 'pxm2mesh' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
