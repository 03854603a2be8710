"""``[[physics]] model = "mechanics"``: stress under a plate or in a gap, and the loads that follow each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pxm2mesh.errors import Pxm2meshError, StudyError
from pxm2mesh.study.fields import Section, problem
from pxm2mesh.study.names import PhaseName

_FORMS = '"5 MPa", "close 0.2 um", "hold" or "x 0.3"'


@dataclass(frozen=True)
class MechanicalLoad:
    """One load, reached evenly from the state before it.

    Attributes:
        kind: ``"pressure"`` of the plate (MPa), ``"close"`` moves the wall in by so much in all (µm), ``"hold"`` keeps
            the plate where it is from here on, ``"x"`` is the state of lithiation of the phases that swell.
        value: In those units.
    """

    kind: Literal["pressure", "close", "hold", "x"]
    value: float = 0.0


def parse_load(text: str) -> MechanicalLoad:
    """Read ``"5 MPa"``, ``"close 0.2 um"``, ``"hold"`` or ``"x 0.3"``.

    Raises:
        StudyError: Another form.
        UnitError: A value without its unit.

    Example:
        >>> parse_load("close 200 nm")
        MechanicalLoad(kind='close', value=0.2)
    """
    from pxm2mesh.units import parse_quantity

    words = " ".join(text.split())
    if words == "hold":
        return MechanicalLoad("hold")
    if words.startswith("close "):
        return MechanicalLoad("close", parse_quantity(words[6:], "length", where=text))
    if words.startswith(("x ", "x=")):
        try:
            value = float(words[1:].strip().lstrip("=").strip())
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise StudyError(f"load {text!r} is not a state of lithiation;", hint='write "x 0.3".')
        return MechanicalLoad("x", value)
    try:
        return MechanicalLoad("pressure", parse_quantity(words, "pressure", where=text))
    except Pxm2meshError as error:
        raise StudyError(f"load {text!r} is not understood;", hint=f"write {_FORMS}.") from error


def _check_load(text: str) -> str:
    try:
        parse_load(text)
    except Pxm2meshError as error:
        raise problem(error.message, error.hint) from None
    return text


class Mechanics(Section):
    """Stress and deformation of the sample under stack pressure, in a gap, and by swelling.

    The face opposite to ``face`` and the four others are mirrors; with ``sides = "free"`` the four are free and the
    opposite one is clamped.

    Attributes:
        loads: One after another: ``"380 MPa"``, ``"5 MPa"`` on the plate, ``"hold"`` fixes the gap from there on,
            ``"close 0.2 um"`` moves a wall instead of a plate, ``"x 0.3"`` takes the phases that swell to that state of
            lithiation.
        face: Where the plate or wall is.
        sides: ``"mirror"``, or ``"free"``, which also clamps the face opposite to ``face``.
        initial: State of lithiation at the start; that of no strain, by the material, when absent.
        plastic: Phases that flow; the others are elastic (all of them when absent; in a half-cell and in compaction
            all that have a yield stress flow then).
        steps: Increments of each load at least; they are halved where one fails.
        order: Degree of the displacement; 1 is wrong by half where phases swell unevenly or flow.
        write_every: Fields are written after so many increments, and at the end of each load.
    """

    model: Literal["mechanics"]
    loads: tuple[Annotated[str, AfterValidator(_check_load)], ...] = Field(min_length=1)
    face: Literal["x-", "x+", "y-", "y+", "z-", "z+"] = "z+"
    sides: Literal["mirror", "free"] = "mirror"
    initial: float | None = Field(default=None, ge=0, le=1)
    plastic: tuple[PhaseName, ...] = ()
    steps: int = Field(default=1, ge=1, le=1000)
    order: Literal[1, 2] = 2
    write_every: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _plate_or_wall(self) -> Self:
        kinds = [parse_load(text).kind for text in self.loads]
        if "close" in kinds and "pressure" in kinds:
            first = "close" if kinds.index("close") < kinds.index("pressure") else "pressure"
            if first == "close" or "hold" not in kinds[: kinds.index("close")]:
                raise problem(
                    "loads press with a plate and move a wall;",
                    'put "hold" between a pressure and "close", and no pressure after it.',
                )
        if "hold" in kinds and "pressure" in kinds[kinds.index("hold") :]:
            raise problem("loads press with a plate that is held;", 'put pressures before "hold".')
        return self
