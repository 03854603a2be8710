"""Units: text with a unit in, a float in the internal system out.

The internal system is µm, s, µN, MPa, pJ, amol, pA, V, K. Common values keep their number in it
(a diffusivity in µm²/s, a concentration in mol/m³ = amol/µm³, a current density in A/m² = pA/µm²)
except conductivity: 1 S/m = 1e6 pS/µm. Parsing is left to pint.
"""

from __future__ import annotations

import math
import re
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pxm2mesh.errors import UnitError, UsageError, did_you_mean

if TYPE_CHECKING:
    import pint

INTERNAL_UNITS = MappingProxyType(
    {
        "dimensionless": "1",
        "length": "um",
        "area": "um**2",
        "volume": "um**3",
        "time": "s",
        "frequency": "1/s",
        "velocity": "um/s",
        "temperature": "K",
        "pressure": "MPa",
        "stiffness": "MPa/um",
        "force": "uN",
        "energy": "pJ",
        "energy_per_area": "pJ/um**2",
        "fracture_toughness": "MPa*um**0.5",
        "voltage": "V",
        "current": "pA",
        "current_density": "pA/um**2",
        "charge": "pC",
        "conductivity": "pS/um",
        "areal_conductance": "pS/um**2",
        "areal_resistance": "um**2/pS",
        "concentration": "amol/um**3",
        "molar_flux": "amol/um**2/s",
        "molar_volume": "um**3/amol",
        "diffusivity": "um**2/s",
        "density": "kg/m**3",
        "specific_capacity": "mA*h/g",
        "per_length": "1/um",
    }
)
"""Dimension name → unit of the internal system (pint syntax)."""

_NUMBER = re.compile(r"^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$")
_EXAMPLES = {
    "length": '"0.40 um"',
    "time": '"10 s"',
    "pressure": '"5 MPa"',
    "diffusivity": '"4e-15 m2/s"',
    "conductivity": '"1.6 mS/cm"',
    "current_density": '"10 A/m2"',
    "concentration": '"49111 mol/m3"',
    "molar_flux": '"1e-5 mol/m2/s"',
}


_PLAIN_LENGTHS = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1e3}
"""What nearly every spacing is written in; to read it, pint (26 MB, a quarter of a second) need not be loaded."""


@cache
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    return registry


@cache
def _internal(dimension: str) -> Any:
    return _registry().Unit(INTERNAL_UNITS[dimension] if dimension != "dimensionless" else "")


def _pint_syntax(unit: str) -> str:
    """What users write, such as ``m2/s`` or ``m^-2``, as pint reads it: ``m**2/s``."""
    unit = unit.replace("^", "**").replace("·", "*").replace("²", "**2").replace("³", "**3")
    return re.sub(r"(?<=[A-Za-zµμΩ%])(-?\d+)", r"**\1", unit)


def parse_quantity(text: str | float, dimension: str, *, where: str = "") -> float:
    """Convert a value with a unit to the internal system.

    Args:
        text: For example ``"0.40 um"`` or ``"1e-14 m2/s"``. A bare number is accepted for
            ``dimension="dimensionless"`` only.
        dimension: A key of `INTERNAL_UNITS`.
        where: What the value is (a key, an option), for the message.

    Returns:
        The number in the unit ``INTERNAL_UNITS[dimension]``.

    Raises:
        UnitError: No unit, an unknown one, or one of another dimension.

    Example:
        >>> parse_quantity("400 nm", "length")
        0.4
        >>> parse_quantity("1 S/m", "conductivity")
        1000000.0
    """
    if dimension not in INTERNAL_UNITS:
        raise UsageError(
            f"unknown dimension {dimension!r};",
            hint=did_you_mean(dimension, INTERNAL_UNITS),
        )
    place = f"{where}: " if where else ""
    example = _EXAMPLES.get(dimension, f'"1 {INTERNAL_UNITS[dimension]}"')
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise UnitError(
            f"{place}expected text with a unit of {dimension}, got {text!r};",
            hint=f"write {example}.",
        )
    match = _NUMBER.match(text) if isinstance(text, str) else None
    if isinstance(text, str) and match is None:
        raise UnitError(f"{place}{text!r} does not start with a number;", hint=f"write {example}.")
    number = float(match.group(1)) if match else float(text)
    unit = match.group(2) if match else ""
    if not math.isfinite(number):
        raise UnitError(f"{place}{text!r} is not a finite number;", hint=f"write {example}.")
    if not unit and dimension != "dimensionless":
        raise UnitError(
            f"{place}{text!r} has no unit;",
            hint=f"write a {dimension} such as {example}.",
        )
    if not unit:
        return number
    if dimension == "dimensionless" and unit == "%":
        return number / 100
    if dimension == "length" and unit in _PLAIN_LENGTHS:
        return number * _PLAIN_LENGTHS[unit]
    return _convert(number, unit, dimension, place, example)


def _convert(number: float, unit: str, dimension: str, place: str, example: str) -> float:
    import pint

    hint = f"write a {dimension} such as {example}."
    try:
        parsed = _registry().Unit(_pint_syntax(unit))
        return float(_registry().Quantity(number, parsed).to(_internal(dimension)).magnitude)
    except pint.DimensionalityError:
        raise UnitError(f'{place}"{number:g} {unit}" is not a {dimension};', hint=hint) from None
    except (
        pint.UndefinedUnitError,
        pint.PintError,
        ValueError,
        TypeError,
        AttributeError,
        AssertionError,
    ) as error:
        raise UnitError(f'{place}unknown unit "{unit}";', hint=hint) from error
