"""``[[physics]]``: one class per model; its ``model`` key says which."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pxm2mesh.study.compaction import Compaction
from pxm2mesh.study.damage import Cracking, Debonding
from pxm2mesh.study.diffusion import Diffusion
from pxm2mesh.study.fields import ArealConductance, Conductivity, Section
from pxm2mesh.study.half_cell import HalfCell as HalfCell
from pxm2mesh.study.mechanics import Mechanics
from pxm2mesh.study.names import PairName, PhaseName

Direction = Literal["x", "y", "z"]


class Conduction(Section):
    """Steady conduction: effective conductivity and tortuosity factor of the named phases together.

    Attributes:
        phases: The phases that conduct.
        directions: Along which box axes.
        conductivity: Bulk conductivity per phase; 1 for all of them (relative to bulk) where none is given.
        contact_conductance: Per interface ``"NMC | LPSCl"``; perfect contact where none is given.
        order: Polynomial degree of the potential.
    """

    model: Literal["conduction"]
    phases: tuple[PhaseName, ...] = Field(min_length=1)
    directions: tuple[Direction, ...] = Field(default=("x", "y", "z"), min_length=1)
    conductivity: dict[PhaseName, Conductivity] = Field(default_factory=dict)
    contact_conductance: dict[PairName, ArealConductance] = Field(default_factory=dict)
    order: Literal[1, 2] = 1


Physics = Annotated[
    Conduction | HalfCell | Diffusion | Mechanics | Compaction | Debonding | Cracking,
    Field(discriminator="model"),
]
"""Any of the models; ``model`` says which."""
