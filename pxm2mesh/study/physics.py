"""``[[physics]]``: one class per model; its ``model`` key says which."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pxm2mesh.study.diffusion import Diffusion
from pxm2mesh.study.fields import ArealConductance, Conductivity, Measure, Section, Temperature, Time
from pxm2mesh.study.names import PairName, PhaseName
from pxm2mesh.study.protocol import Protocol

Direction = Literal["x", "y", "z"]
Face = Literal["x-", "x+", "y-", "y+", "z-", "z+"]


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


class HalfCell(Section):
    """Charge and discharge of the sample as a half-cell: lithium, electrons, ions and charge transfer.

    Attributes:
        active: Phase of the active material.
        electrolyte: Phase of the electrolyte.
        binder: Phase that carries electrons only.
        collector: Box face held at the cell's voltage.
        separator: Box face held at the potential of the counter electrode.
        initial: State of lithiation at the start.
        protocol: Such as ``"C/3 until 4.3 V"``, ``"4.3 V until C/20"``, ``"rest 10 min"``, ``"-1C for 30 min"``.
        tolerance: Largest error of the state of lithiation that a time step may add.
        first_step: First time step after a change of the protocol.
        largest_step: Longest time step; as long as the tolerance allows when absent.
        temperature: Of the cell.
        write_every: Fields are written after so many time steps, and at the end of each step of the protocol.
    """

    model: Literal["half-cell"]
    active: PhaseName
    electrolyte: PhaseName
    binder: PhaseName | None = None
    collector: Face = "z+"
    separator: Face = "z-"
    initial: float = Field(default=0.9, gt=0, lt=1)
    protocol: Protocol = Field(min_length=1)
    tolerance: float = Field(default=1e-3, gt=0, lt=0.1)
    first_step: Time = Field(default=Measure("1 s", "time"))
    largest_step: Time | None = None
    temperature: Temperature = Field(default=Measure("298.15 K", "temperature"))
    write_every: int = Field(default=5, ge=1)


Physics = Annotated[Conduction | HalfCell | Diffusion, Field(discriminator="model")]
"""Any of the models; ``model`` says which."""
