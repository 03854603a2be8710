"""One parameter: a law with its unit, range, source and tag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import StudyError, did_you_mean
from pxm2mesh.materials.expressions import Operations
from pxm2mesh.materials.laws import Constant, Floats, Formula, Law, table_from_rows, value_of
from pxm2mesh.units import INTERNAL_UNITS, parse_quantity

Tag = Literal["source", "second-hand", "derived", "common", "assumed"]
"""How well founded: read in a public source, quoted by another text from it, worked out, guessed."""

_KEYS = (
    "value",
    "expression",
    "table",
    "interpolation",
    "beyond",
    "unit",
    "range",
    "valid",
    "source",
    "tag",
    "note",
)


@dataclass(frozen=True)
class Parameter:
    """A material parameter.

    Attributes:
        name: Path inside the material, ``"elastic.youngs_modulus"``.
        law: Constant, formula or table, in the internal unit.
        dimension: Key of `pxm2mesh.units.INTERNAL_UNITS`.
        unit: The unit it was written in.
        source: Where the number comes from: DOI, data set or derivation; empty when unknown.
        tag: How well founded it is.
        range: Lowest and highest value found in the literature, internal unit; None when not known.
        valid: Interval of x in which a function was fitted.
        note: What else to know.
    """

    name: str
    law: Law
    dimension: str
    unit: str
    source: str = ""
    tag: Tag = "assumed"
    range: tuple[float, float] | None = None
    valid: tuple[float, float] = (0.0, 1.0)
    note: str = ""

    @property
    def constant(self) -> bool:
        """Whether it does not depend on x."""
        return self.law.constant

    @property
    def sourced(self) -> bool:
        """Whether it can stand in a publication: a named source, and more than textbook knowledge."""
        return bool(self.source) and self.tag in ("source", "second-hand", "derived")

    def __call__(self, x: npt.ArrayLike) -> Floats:
        """Values at states of lithiation ``x``, internal unit, same shape."""
        return value_of(self.law, x)

    def __float__(self) -> float:
        """The value of a constant.

        Raises:
            StudyError: It depends on x.
        """
        if not self.constant:
            raise StudyError(f"{self.name} depends on x;", hint="a constant is needed here: give a value.")
        return float(value_of(self.law, 0.5))

    def derivative(self, x: npt.ArrayLike) -> Floats:
        """d/dx at states of lithiation ``x``, internal unit."""
        return self.law.derivative(x)

    def on(self, x: Any, operations: Operations) -> Any:
        """The law on another kind of value, such as a UFL expression."""
        return self.law.on(x, operations)

    def samples(self) -> Floats:
        """(101,) values over `valid`, for checks."""
        return self(np.linspace(*self.valid, 101))


def parse_parameter(entry: Any, name: str, dimension: str, *, where: str = "") -> Parameter:
    """Read one entry of a material file.

    Args:
        entry: ``{ value = 140, unit = "GPa", range = [130, 155], source = "…", tag = "…" }``, with
            ``expression`` or ``table`` in place of ``value`` for functions of x; or just ``"140 GPa"``.
        name: Path of the parameter.
        dimension: What it must be.
        where: File, for the message.

    Raises:
        StudyError: Unknown key or tag, no value, more than one.
        UnitError: A unit that is missing or of another dimension.
    """
    place = f"{where}: {name}" if where else name
    if isinstance(entry, str | int | float):
        value = parse_quantity(entry, dimension, where=place)
        return Parameter(name, Constant(value), dimension, INTERNAL_UNITS[dimension])
    if not isinstance(entry, Mapping):
        raise StudyError(f'{place}: expected {{ value = …, unit = "…" }}, got {entry!r}.')
    for key in entry:
        if key not in _KEYS:
            raise StudyError(f"{place}: unknown key {key!r};", hint=did_you_mean(key, _KEYS))
    forms = [key for key in ("value", "expression", "table") if key in entry]
    if len(forms) != 1:
        raise StudyError(f"{place}: give one of value, expression, table; got {forms or 'none'}.")
    unit = str(entry.get("unit", "1" if dimension == "dimensionless" else ""))
    factor = parse_quantity(f"1 {unit}" if unit != "1" else 1.0, dimension, where=place)
    tag = entry.get("tag", "assumed")
    if tag not in get_args(Tag):
        raise StudyError(f"{place}: unknown tag {tag!r};", hint=did_you_mean(str(tag), get_args(Tag)))
    law: Law
    if "value" in entry:
        law = Constant(factor * _number(entry["value"], place))
    elif "expression" in entry:
        law = Formula(str(entry["expression"]), factor, place)
    else:
        law = table_from_rows(
            entry["table"], factor, entry.get("interpolation", "monotone"), place, entry.get("beyond", "held")
        )
    span = _interval(entry["range"], place) if "range" in entry else None
    return Parameter(
        name=name,
        law=law,
        dimension=dimension,
        unit=unit,
        source=str(entry.get("source", "")).strip(),
        tag=tag,
        range=None if span is None else (factor * span[0], factor * span[1]),
        valid=_interval(entry.get("valid", _table_span(entry)), place),
        note=str(entry.get("note", "")).strip(),
    )


def _table_span(entry: Mapping[str, Any]) -> tuple[float, float]:
    if "table" not in entry:
        return (0.0, 1.0)
    nodes = [float(row[0]) for row in entry["table"]]
    return (min(nodes), max(nodes))


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise StudyError(
            f"{place}: value must be a finite number, got {value!r}.", hint="units go into unit."
        )
    return float(value)


def _interval(pair: Any, place: str) -> tuple[float, float]:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise StudyError(f"{place}: an interval is [low, high], got {pair!r}.")
    low, high = _number(pair[0], place), _number(pair[1], place)
    if not low <= high:
        raise StudyError(f"{place}: the interval [{low:g}, {high:g}] is the wrong way round.")
    return low, high
