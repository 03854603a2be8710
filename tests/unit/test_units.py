"""Units: text in, internal floats out."""

from __future__ import annotations

import math

import pytest

from pxm2mesh.errors import UnitError, UsageError
from pxm2mesh.units import INTERNAL_UNITS, parse_quantity


@pytest.mark.parametrize(
    ("text", "dimension", "expected"),
    [
        ("0.40 um", "length", 0.4),
        ("400nm", "length", 0.4),
        ("0.4 µm", "length", 0.4),
        ("1e-14 m2/s", "diffusivity", 1e-2),
        ("4e-15 m^2/s", "diffusivity", 4e-3),
        ("1 S/m", "conductivity", 1e6),
        ("1.6 mS/cm", "conductivity", 1.6e5),
        ("140 GPa", "pressure", 1.4e5),
        ("1 J/m2", "energy_per_area", 1.0),
        ("49111 mol/m3", "concentration", 49111.0),
        ("1.27e-6 m3/mol", "molar_volume", 1.27e-6),
        ("10 A/m2", "current_density", 10.0),
        ("1e-5 mol/m2/s", "molar_flux", 10.0),
        ("25 degC", "temperature", 298.15),
        ("0 degC", "temperature", 273.15),
        ("-10 degC", "temperature", 263.15),
        ("2 h", "time", 7200.0),
        ("25 %", "dimensionless", 0.25),
        (0.3, "dimensionless", 0.3),
        ("1e18 Pa/m", "stiffness", 1e6),
        ("1 S/m2", "areal_conductance", 1.0),
        ("25.7 ohm cm2", "areal_resistance", 25.7e-4),
    ],
)
def test_common_values_arrive_in_the_internal_system(
    text: str | float, dimension: str, expected: float
) -> None:
    assert parse_quantity(text, dimension) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "dimension", "says"),
    [
        ("0.4", "length", "has no unit"),
        (0.4, "length", "has no unit"),
        ("0.4 s", "length", "is not a length"),
        ("0.4 umm", "length", "unknown unit"),
        ("um", "length", "does not start with a number"),
        ("nan um", "length", "does not start with a number"),
        (math.inf, "dimensionless", "not a finite number"),
        (True, "dimensionless", "expected text"),
        (None, "length", "expected text"),
        ("1 um; import os", "length", "unknown unit"),
    ],
)
def test_a_value_that_is_not_a_quantity_is_refused_with_an_example(
    text: object, dimension: str, says: str
) -> None:
    with pytest.raises(UnitError, match=says) as caught:
        parse_quantity(text, dimension, where="mesh.cell_size")  # type: ignore[arg-type]
    assert "mesh.cell_size" in str(caught.value)
    assert "write" in caught.value.hint


def test_an_unknown_dimension_is_refused_with_the_closest() -> None:
    with pytest.raises(UsageError, match='did you mean "pressure"'):
        parse_quantity("1 MPa", "presure")


def test_the_internal_units_are_coherent() -> None:
    """Catches a table entry of another system: µN/µm² must be MPa, pS·V must be pA, amol/µm³ must be mol/m³."""
    assert parse_quantity("1 uN/um2", "pressure") == pytest.approx(1.0)
    assert parse_quantity("1 pS V", "current") == pytest.approx(1.0)
    assert parse_quantity("1 uN um", "energy") == pytest.approx(1.0)
    assert parse_quantity("1 V pC", "energy") == pytest.approx(1.0)
    assert parse_quantity("1 mol/m3", "concentration") == pytest.approx(1.0)
    assert set(INTERNAL_UNITS) >= {"length", "time", "pressure", "conductivity"}
