"""``[[physics]] model = "debonding"`` and ``"cracking"``: interfaces that break, and cracks in phases."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pxm2mesh.study.bonds import Bonds
from pxm2mesh.study.fields import EnergyPerArea, FilePath, Length, Section, problem
from pxm2mesh.study.mechanics import Mechanics, parse_load
from pxm2mesh.study.names import PairName, PhaseName


class Fatigue(Section):
    """Toughness that is lost in cycles: (2α_T/(ᾱ + α_T))² of it is left once ᾱ exceeds the threshold α_T.

    ᾱ adds up the increases of the energy that drives damage. Cycles that change little are jumped over.

    Attributes:
        threshold: α_T per area of a bond; of a crack, whose energy is per volume, it is divided by ℓ. A twelfth of the
            fracture energy when absent.
        resolve: Cycles computed before each jump; the last two give the rate.
        largest_change: Most that a jump may add to the damage or take from the share of the toughness.
        agreement: Largest relative difference of the rates before and after a jump that is kept.
        longest: Cycles in one jump at most; 1 computes every cycle.
    """

    threshold: EnergyPerArea | None = None
    resolve: int = Field(default=3, ge=2)
    largest_change: float = Field(default=0.05, gt=0, lt=1)
    agreement: float = Field(default=0.1, gt=0, lt=1)
    longest: int = Field(default=1000, ge=1)

    def per_area(self, fracture_energy: float) -> float:
        """α_T of a bond in J/m².

        Args:
            fracture_energy: J/m².

        Example:
            >>> Fatigue(threshold="0.1 J/m2").per_area(3.0), Fatigue().per_area(3.0)
            (0.1, 0.25)
        """
        return fracture_energy / 12 if self.threshold is None else self.threshold.value


class Debonding(Bonds, Mechanics):
    """Interfaces that break while the sample is loaded as in ``model = "mechanics"``.

    Strength and fracture energy are those of the library's interface of the two materials unless they are given.

    Attributes:
        viscosity: Share of a load over which a bond resists its opening: turns a snap into a fast opening.
        limit: Share of the fracture energy that a point may spend in one increment.
        cycles: How often to go through the loads, those up to the last ``"hold"`` only once; once in all if absent.
        fatigue: What cycles do to the toughness; needed with ``cycles``.
    """

    model: Literal["debonding"]  # type: ignore[assignment]
    bonds: tuple[PairName, ...] = Field(min_length=1)
    viscosity: float = Field(default=0.002, ge=0, lt=1)
    limit: float = Field(default=0.2, gt=0, le=1)
    steps: int = Field(default=10, ge=1, le=1000)
    write_every: int = Field(default=5, ge=1)
    cycles: int | None = Field(default=None, ge=1)
    fatigue: Fatigue | None = None

    @model_validator(mode="after")
    def _cycles(self) -> Self:
        _check_cycles(self.cycles, self.fatigue)
        if self.cycles is not None and self.once == len(self.loads):
            raise problem('no load is left for the cycles after "hold";', "put one behind it.")
        return self

    @property
    def once(self) -> int:
        """Loads that cycles do not repeat: those up to the last ``"hold"``."""
        held = [i for i, text in enumerate(self.loads) if parse_load(text).kind == "hold"]
        return held[-1] + 1 if held else 0


class Submodel(Section):
    """One particle of an electrode, cut out of the finished result of a half-cell with mechanics.

    Its cells are those of the electrode, cut into eight as often as ℓ needs. Its lithium is that of the result; it is
    displaced as there where it touches other solids, and free where it faces void.

    Attributes:
        particle: Its number (the field ``region`` of the result), or the one whose largest principal stress, averaged
            over the particle, was the highest at any time.
        from_result: ``results.pvd`` in the folder of that run; that of the half-cell before this entry when absent.
        refine: How often each cell is cut into eight; as often as ℓ needs when absent.
    """

    particle: Annotated[int, Field(ge=1)] | Literal["most stressed"] = "most stressed"
    from_result: FilePath | None = None
    refine: Annotated[int, Field(ge=0, le=6)] | None = None


class Cracking(Section):
    """Cracks in particles that are charged or discharged: diffusion, stress and a phase field.

    The particles are those of one phase, free on all sides, unless it is a ``submodel``.

    Attributes:
        phase: What cracks.
        rate: In C of all the lithium: 1C moves x by 1 in an hour (1C of a half-cell by the window of its voltage, .64
            for NMC811); positive charges (lithium leaves).
        initial: State of lithiation at the start, which is free of stress.
        until: Mean state of lithiation at the end.
        length: ℓ, the width of a crack; it sets the strength, which the log states.
        crack_model: ``"AT1"`` (elastic up to the strength) or ``"AT2"``.
        split: Which part of the elastic energy drives cracks.
        cells_per_length: Cells that ℓ must hold; a coarser mesh is refused.
        steps: Increments from ``initial`` to ``until``.
        cycles: How often to go there and back; once there if absent.
        fatigue: What cycles do to the toughness; needed with ``cycles``, which change nothing without it.
        write_every: Fields are written after so many increments.
        submodel: One particle of a computed electrode instead, with the lithium and the displacement it had there;
            ``rate``, ``initial``, ``until`` and cycles are then those of the electrode.
    """

    model: Literal["cracking"]
    phase: PhaseName
    rate: float = 1.0
    initial: float = Field(default=0.9, gt=0, lt=1)
    until: float = Field(default=0.4, gt=0, lt=1)
    length: Length
    crack_model: Literal["AT1", "AT2"] = "AT1"
    split: Literal["none", "volumetric-deviatoric", "spectral", "star-convex"] = "volumetric-deviatoric"
    cells_per_length: float = Field(default=4.0, ge=1)
    steps: int = Field(default=20, ge=1, le=10000)
    cycles: int | None = Field(default=None, ge=1)
    fatigue: Fatigue | None = None
    write_every: int = Field(default=5, ge=1)
    submodel: Submodel | None = None

    @model_validator(mode="after")
    def _direction(self) -> Self:
        if self.submodel is not None:
            fields = type(self).model_fields
            given = [
                k for k in ("rate", "initial", "until", "cycles") if getattr(self, k) != fields[k].default
            ]
            if given:
                raise problem(f"{given[0]} is that of the electrode in a submodel;", "leave it out.")
            return self
        if self.rate == 0 or (self.until < self.initial) != (self.rate > 0):
            raise problem(
                f"a rate of {self.rate:g}C does not lead from x = {self.initial:g} to {self.until:g};",
                "a positive rate charges: x falls.",
            )
        _check_cycles(self.cycles, self.fatigue)
        return self


def _check_cycles(cycles: int | None, fatigue: Fatigue | None) -> None:
    if (cycles is None) != (fatigue is None):
        raise problem(
            "cycles and fatigue belong together;",
            "give cycles = N and a [physics.fatigue] table, or neither: without it a cycle changes nothing.",
        )
