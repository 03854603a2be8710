"""``[[physics]] model = "half-cell"``: charge and discharge, with or without mechanics, once or many times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from pxm2mesh.errors import StudyError
from pxm2mesh.study.bonds import Bonds
from pxm2mesh.study.damage import Fatigue
from pxm2mesh.study.fields import Measure, Pressure, Section, Temperature, Time, Voltage, problem
from pxm2mesh.study.names import PhaseName
from pxm2mesh.study.protocol import Press, Protocol, check_order, parse_steps

if TYPE_CHECKING:
    from pxm2mesh.materials import Material

Face = Literal["x-", "x+", "y-", "y+", "z-", "z+"]


class HalfCellMechanics(Bonds):
    """Strain and stress while lithium moves: ``[physics.mechanics]`` below a half-cell.

    Interfaces in ``bonds`` can come apart, and pass no current where they are open; all others hold for ever.

    Attributes:
        face: Where the stack is pressed; the collector when absent. The face opposite to it is a mirror.
        pressure: Stack pressure on it, by a rigid plate.
        hold: Whether the ``"pressure"`` stays, or the ``"gap"`` once it is pressed.
        sides: ``"mirror"``: all four sides are mirrors; ``"free"``: those at the + ends are free.
        plastic: Phases that flow; all whose material has a yield stress when absent, none with ``[]``.
        stress_free: State of lithiation without chemical strain; that of the start when absent.
        in_flux: Whether the gradient of stress drives lithium.
        in_potential: Whether stress shifts the open-circuit voltage.
        order: Degree of the displacement; 1 is some ten times cheaper, and stresses are less accurate.
        agreement: Passes between lithium and stress end when lithium would answer by less than this.
        viscosity: Time over which a bond resists its opening: turns a snap into a fast opening.
        spent: Share of the fracture energy of all bonds that a time step may spend.
    """

    face: Face | None = None
    pressure: Pressure = Field(default=Measure("5 MPa", "pressure"))
    hold: Literal["pressure", "gap"] = "pressure"
    sides: Literal["mirror", "free"] = "mirror"
    plastic: tuple[PhaseName, ...] | None = None
    stress_free: float | None = Field(default=None, ge=0, le=1)
    in_flux: bool = True
    in_potential: bool = True
    order: Literal[1, 2] = 2
    agreement: float = Field(default=1e-3, gt=0, lt=0.1)
    viscosity: Time = Field(default=Measure("10 s", "time"))
    spent: float = Field(default=0.02, gt=0, le=1)


class HalfCell(Section):
    """Charge and discharge of the sample as a half-cell: lithium, electrons, ions and charge transfer.

    Attributes:
        active: Phase of the active material.
        electrolyte: Phase of the electrolyte.
        binder: Phase that carries electrons only.
        collector: Box face held at the cell's voltage.
        separator: Box face held at the potential of the counter electrode.
        initial: State of lithiation at the start; 0.9 when neither this nor ``initial_voltage`` is given.
        initial_voltage: Instead of ``initial``: the open-circuit voltage at the start.
        protocol: Such as ``"C/3 until 4.3 V"``, ``"4.3 V until C/20"``, ``"rest 10 min"``, ``"-1C for 30 min"``; with
            mechanics also ``"press 20 MPa"``.
        cycles: So many times the protocol is gone through; each that is computed is a row of ``cycles.csv`` (with
            ``cycles`` above 1, or ``bonds``).
        tolerance: Largest error of the state of lithiation that a time step may add.
        first_step: First time step after a change of the protocol.
        largest_step: Longest time step; as long as the tolerance allows when absent.
        temperature: Of the cell.
        write_every: Fields are written after so many time steps, and at the end of each step of the protocol.
        mechanics: Strain and stress as well; lithium and potentials only when absent.
        fatigue: Bonds lose toughness in cycles, and cycles that change little are jumped over; neither when absent.
    """

    model: Literal["half-cell"]
    active: PhaseName
    electrolyte: PhaseName
    binder: PhaseName | None = None
    collector: Face = "z+"
    separator: Face = "z-"
    initial: float | None = Field(default=None, gt=0, lt=1)
    initial_voltage: Voltage | None = None
    protocol: Protocol = Field(min_length=1)
    cycles: int = Field(default=1, ge=1, le=100_000)
    tolerance: float = Field(default=1e-3, gt=0, lt=0.1)
    first_step: Time = Field(default=Measure("1 s", "time"))
    largest_step: Time | None = None
    temperature: Temperature = Field(default=Measure("298.15 K", "temperature"))
    write_every: int = Field(default=5, ge=1)
    mechanics: HalfCellMechanics | None = None
    fatigue: Fatigue | None = None

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if self.initial_voltage is not None and self.initial is not None:
            raise problem("initial and initial_voltage are both given;", "keep one of them.")
        return self

    @model_validator(mode="after")
    def _cycles(self) -> Self:
        if self.cycles > 1:
            check_order((*self.protocol, *self.protocol))
        if self.fatigue is not None and (self.mechanics is None or not self.mechanics.bonds):
            raise problem(
                "there is nothing that could fatigue;",
                "name bonds in [physics.mechanics], or take fatigue out.",
            )
        if any(isinstance(step, Press) for step in parse_steps(self.protocol)):
            if self.mechanics is None:
                raise problem("the protocol presses without mechanics;", "add [physics.mechanics].")
            if self.mechanics.hold == "gap":
                raise problem("the protocol presses on a plate that is held;", 'write hold = "pressure".')
        return self


def state_at(voltage: Measure, active: Material) -> float:
    """State of lithiation at which the open-circuit voltage is as wanted.

    Args:
        voltage: As it stands in the study.
        active: The active material.

    Raises:
        StudyError: No open-circuit voltage, or it never has this value.
    """
    curve = active.require("kinetics.open_circuit_voltage", purpose="initial_voltage")
    low, high = curve.valid
    ends = sorted(float(v) for v in curve([low, high]))
    if not ends[0] <= voltage.value <= ends[1]:
        raise StudyError(
            f"initial_voltage {str(voltage)!r} is not on the curve of {active.name!r}, which goes from "
            f"{ends[0]:.4g} V to {ends[1]:.4g} V;",
            hint="choose one in between, or give initial.",
        )
    from scipy.optimize import brentq

    return float(brentq(lambda x: float(curve(x)) - voltage.value, low, high, xtol=1e-14))
