"""Interfaces that can come apart: the keys that every section with bonds has."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pxm2mesh.study.fields import EnergyPerArea, Pressure, Section
from pxm2mesh.study.names import PairName


class Bonds(Section):
    """What holds the two sides of interfaces together.

    Strength and fracture energy are those of the library's interface of the two materials unless they are given.

    Attributes:
        bonds: Interfaces that can break, ``"NMC | LPSCl"``; ``"NMC | NMC"`` for those between regions.
        law: Shape of traction against separation.
        strength: Largest tension that a bond carries.
        fracture_energy: Energy to part a unit area.
        restored: Share of the charge transfer lost to damage that faces have again where they touch.
    """

    bonds: tuple[PairName, ...] = ()
    law: Literal["bilinear", "exponential"] = "bilinear"
    strength: Pressure | None = None
    fracture_energy: EnergyPerArea | None = None
    restored: float = Field(default=1.0, ge=0, le=1)
