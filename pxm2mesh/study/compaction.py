"""``[[physics]] model = "compaction"``: pressing until pores close, and letting go again."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pxm2mesh.study.fields import Length, problem
from pxm2mesh.study.mechanics import Mechanics, parse_load
from pxm2mesh.study.names import PhaseName


class Compaction(Mechanics):
    """Pressing a porous sample at finite strain: the electrolyte flows, pores close, contact grows.

    Pores have to be meshed: do not exclude them. The face opposite to ``face`` and the four others are walls of a die.

    Attributes:
        loads: One after another: ``"500 MPa"``, ``"5 MPa"`` on the plate, or ``"close 0.2 um"`` of a wall.
        sides: ``"mirror"`` only: it is a die.
        initial: Not here: nothing swells.
        active: Phase whose contact is counted.
        electrolyte: What it should touch.
        plastic: Phases that flow; all whose material has a yield stress when empty.
        steps: Increments of each load at least; they are halved where one fails.
        order: Degree of the displacement; 1 resists flow far too much, and is for first tries.
        voxel: Of the volumes of the pressed sample that are written; the cube root of the mean volume of a cell when
            absent.
    """

    model: Literal["compaction"]  # type: ignore[assignment]
    active: PhaseName
    electrolyte: PhaseName
    steps: int = Field(default=20, ge=1, le=1000)
    write_every: int = Field(default=5, ge=1)
    voxel: Length | None = None

    @model_validator(mode="after")
    def _in_a_die(self) -> Self:
        kinds = {parse_load(text).kind for text in self.loads}
        if kinds - {"pressure", "close"}:
            raise problem("compaction presses or closes only;", 'write "500 MPa" or "close 0.2 um".')
        if self.sides != "mirror":
            raise problem("compaction takes place in a die;", 'leave sides = "free" out.')
        if self.initial is not None:
            raise problem("nothing swells in compaction;", "leave initial out.")
        if self.active == self.electrolyte:
            raise problem(f"active and electrolyte are both {self.active!r};", "name two phases.")
        return self
