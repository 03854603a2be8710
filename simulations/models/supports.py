"""How a solid is held and loaded, by the names of its faces."""

from __future__ import annotations

from dataclasses import dataclass

from pxm2mesh.errors import UsageError
from pxm2mesh.surface import BOX_FACES
from pxm2mesh.units import parse_quantity


@dataclass(frozen=True)
class Fixed:
    """No displacement at all on ``face``."""

    face: str


@dataclass(frozen=True)
class Symmetry:
    """No displacement across the box face ``face``; free to slide along it."""

    face: str


@dataclass(frozen=True)
class Gap:
    """A rigid wall at the box face ``face``, moved inwards by ``closing`` (µm); free to slide along it."""

    face: str
    closing: float = 0.0


@dataclass(frozen=True)
class Plate:
    """A rigid plate on the box face ``face``: it stays parallel and presses with ``pressure`` (MPa).

    The pressure is the force over the whole area of the face of the box, pores included.
    """

    face: str
    pressure: float


@dataclass(frozen=True)
class Pressure:
    """A pressure (MPa) on a box face or on an interface with a phase that is not meshed."""

    face: str
    pressure: float


Support = Fixed | Symmetry | Gap | Plate | Pressure


def fixed(face: str) -> Fixed:
    """Hold ``face`` (a box face or an interface with an unmeshed phase) in place."""
    return Fixed(face)


def symmetry(*faces: str) -> tuple[Symmetry, ...]:
    """Sides that may slide but not move across themselves: a representative cut-out.

    Raises:
        UsageError: Not a box face.
    """
    return tuple(Symmetry(_box_face(face)) for face in faces)


def gap(face: str, closing: str | float = 0.0) -> Gap:
    """Keep the distance to the opposite face, or close it by ``"0.5 um"``.

    Raises:
        UsageError: Not a box face.
        UnitError: Not a length.
    """
    return Gap(_box_face(face), _number(closing, "length"))


def plate(face: str, pressure: str | float) -> Plate:
    """Press with a rigid plate: ``plate("z+", "5 MPa")``.

    Raises:
        UsageError: Not a box face.
        UnitError: Not a pressure.
    """
    return Plate(_box_face(face), _number(pressure, "pressure"))


def pressure(face: str, value: str | float) -> Pressure:
    """Press on a face as a fluid does: ``pressure("void | LPSCl", "1 MPa")``.

    Raises:
        UnitError: Not a pressure.
    """
    return Pressure(face, _number(value, "pressure"))


def _number(value: str | float, dimension: str) -> float:
    """Text with a unit, or a float in the internal one."""
    return parse_quantity(value, dimension) if isinstance(value, str) else float(value)


def _box_face(face: str) -> str:
    if face not in BOX_FACES:
        raise UsageError(f"{face!r} is not a box face;", hint="use one of " + ", ".join(BOX_FACES) + ".")
    return face
