"""``[mesh]`` and ``[[zone]]``: tetrahedra."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pxm2mesh.study.fields import Length, Section
from pxm2mesh.study.names import PairName, PhaseName


class MeshSection(Section):
    """``[mesh]``: cell size, what is left out, where nodes are doubled."""

    cell_size: float | Length = Field(default=2.0, union_mode="left_to_right")
    exclude: tuple[PhaseName, ...] = ()
    split: tuple[PairName, ...] = ()
    method: Literal["nets", "marching-cubes"] = "nets"
    only: tuple[PhaseName, ...] = ()
    formats: tuple[Literal["vtu", "msh", "xdmf", "inp", "exo"], ...] = ("vtu",)
    seed: int = 0


class ZoneSection(Section):
    """``[[zone]]``: a transition zone between two phases."""

    between: tuple[PhaseName, PhaseName]
    thickness: Length
    kind: Literal["graded", "layer"] = "graded"
    name: str = ""
