"""``[mesh]`` and ``[[zone]]``: tetrahedra."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from pxm2mesh.study.fields import Length, Measure, Section, problem
from pxm2mesh.study.names import PairName, PhaseName


class SizingSection(Section):
    """``[mesh.sizing]``: edge lengths inside the regions; on interfaces they are those of the surface.

    Attributes:
        near: At interfaces: a number of cell sizes, or a length; 1.2 cell sizes when absent.
        far: Nowhere more than this; 6 × near when absent.
        growth: Added edge length per distance from the nearest interface.
        across: At least about so many cells across a gap or neck.
    """

    near: float | Length | None = Field(default=None, union_mode="left_to_right")
    far: float | Length | None = Field(default=None, union_mode="left_to_right")
    growth: float = Field(default=0.6, ge=0, le=5)
    across: float = Field(default=1.0, gt=0, le=20)


class MeshSection(Section):
    """``[mesh]``: cell size, what is left out, where nodes are doubled.

    Attributes:
        cell_size: Edge of the cells at interfaces, in voxels or as a length.
        target_cells: Aim at about so many tetrahedra instead.
        sizing: Edge lengths inside the regions.
        exclude: Phases that get no cells.
        split: Interfaces on which nodes are doubled.
        method: ``nets``, ``marching-cubes`` (the phases of ``only``, each by itself) or ``lattice``.
        only: With marching cubes: the phases to mesh.
        certificate: First rung of the ladder: the share of a cell that smoothing must keep.
        formats: Files for people, beside the one for the solver.
        seed: Of the mesher.
    """

    cell_size: float | Length = Field(default=2.0, union_mode="left_to_right")
    target_cells: int | None = Field(default=None, ge=100)
    sizing: SizingSection = Field(default_factory=SizingSection)
    exclude: tuple[PhaseName, ...] = ()
    split: tuple[PairName, ...] = ()
    method: Literal["nets", "marching-cubes", "lattice"] = "nets"
    only: tuple[PhaseName, ...] = ()
    certificate: float = Field(default=0.3, gt=0, le=1)
    formats: tuple[Literal["vtu", "msh", "xdmf", "inp", "exo", "nas"], ...] = ("vtu",)
    seed: int = 1

    @field_validator("cell_size")
    @classmethod
    def _at_least_a_voxel(cls, value: float | Measure) -> float | Measure:
        if isinstance(value, float) and value < 1:
            raise problem(f"cell size {value:g} is less than a voxel;", 'write voxels ≥ 1 or "0.8 um".')
        return value


class ZoneSection(Section):
    """``[[zone]]``: a transition zone between two phases.

    Attributes:
        between: Their names; a layer grows around the first, into the second.
        thickness: Of the layer, or of the graded zone from 0.1 to 0.9.
        kind: ``graded`` or ``layer``.
        mixing: How properties are mixed in a graded zone.
        name: Of the layer's phase.
    """

    between: tuple[PhaseName, PhaseName]
    thickness: Length
    kind: Literal["graded", "layer"] = "graded"
    mixing: str = "arithmetic"
    name: str = ""
