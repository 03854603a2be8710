"""What a parameter can be: a constant, a formula of the state of lithiation x, or a table of it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import StudyError
from pxm2mesh.materials.expressions import (
    DUAL_OPERATIONS,
    NUMPY_OPERATIONS,
    Dual,
    Operations,
    evaluate,
    parse_formula,
)

Floats = npt.NDArray[np.float64]
Interpolation = Literal["monotone", "akima", "linear"]
Beyond = Literal["held", "slope"]


class Law(Protocol):
    """A function of x, in the internal unit of its parameter."""

    @property
    def constant(self) -> bool:
        """Whether it is the same at every x."""

    def on(self, x: Any, operations: Operations) -> Any:
        """The value at ``x``, built with ``operations`` (numpy's, or UFL's in the solvers)."""

    def derivative(self, x: npt.ArrayLike) -> Floats:
        """d/dx at ``x``."""


@dataclass(frozen=True)
class Constant:
    """The same value at every x."""

    value: float

    @property
    def constant(self) -> bool:
        """True."""
        return True

    def on(self, x: Any, operations: Operations) -> Any:
        """The value, whatever x is."""
        return self.value

    def derivative(self, x: npt.ArrayLike) -> Floats:
        """Zero."""
        return np.zeros_like(np.asarray(x, float))


@dataclass(frozen=True)
class Formula:
    """A checked formula of x times the factor from its unit to the internal one."""

    text: str
    factor: float = 1.0
    where: str = ""
    tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", parse_formula(self.text, where=self.where))

    @property
    def constant(self) -> bool:
        """Whether x does not stand in it."""
        return not any(isinstance(n, ast.Name) and n.id == "x" for n in ast.walk(self.tree))

    def on(self, x: Any, operations: Operations) -> Any:
        """The value at ``x``."""
        return self.factor * evaluate(self.tree, x, operations)

    def derivative(self, x: npt.ArrayLike) -> Floats:
        """The exact derivative, by forward differentiation."""
        at = np.asarray(x, float)
        slope = Dual.of(evaluate(self.tree, Dual(at, np.ones_like(at)), DUAL_OPERATIONS)).slope
        return np.asarray(self.factor * np.broadcast_to(slope, at.shape), float)


@dataclass(frozen=True)
class Table:
    """Nodes joined by a piecewise cubic (or linear) curve.

    Attributes:
        nodes: Ascending x.
        values: One per node, internal unit.
        interpolation: ``"monotone"`` (PCHIP, never overshoots), ``"akima"`` or ``"linear"``.
        where: File and key, for messages.
        beyond: Beyond the ends ``"held"``, or on along the ``"slope"`` there: where the derivative drives something, a
            step in it leaves no solution.

    References:
        Fritsch, Butland, SIAM J. Sci. Stat. Comput. 5 (1984) 300; Akima, J. ACM 17 (1970) 589.
    """

    nodes: tuple[float, ...]
    values: tuple[float, ...]
    interpolation: Interpolation = "monotone"
    where: str = ""
    beyond: Beyond = "held"
    coefficients: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        place = f"{self.where}: " if self.where else ""
        x, y = np.asarray(self.nodes, float), np.asarray(self.values, float)
        if len(x) < 2 or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise StudyError(f"{place}a table needs two or more rows [x, value], all finite; got {len(x)}.")
        if not np.all(np.diff(x) > 0):
            raise StudyError(f"{place}x of the table must ascend, each once; got {list(self.nodes)}.")
        if self.beyond not in ("held", "slope"):
            raise StudyError(f"{place}beyond = {self.beyond!r} is not known;", hint='use "held" or "slope".')
        object.__setattr__(self, "coefficients", _cubics(x, y, self.interpolation, place))

    @property
    def constant(self) -> bool:
        """Whether all values are the same."""
        return len(set(self.values)) == 1

    def on(self, x: Any, operations: Operations) -> Any:
        """The value at ``x`` as nested conditions, one per interval."""
        where, less = operations["where"], operations["lt"]
        low, high = self.nodes[0], self.nodes[-1]
        inside = operations["min"](operations["max"](x, low), high)
        result = self._piece(len(self.nodes) - 2, inside)
        for i in range(len(self.nodes) - 3, -1, -1):
            result = where(less(inside, self.nodes[i + 1]), self._piece(i, inside), result)
        if self.beyond == "slope":
            first, last = (float(s) for s in self._slope(np.array([low, high])))
            result = (
                result + first * operations["min"](x - low, 0.0) + last * operations["max"](x - high, 0.0)
            )
        return result

    def _piece(self, i: int, x: Any) -> Any:
        s = x - self.nodes[i]
        c3, c2, c1, c0 = (float(c) for c in self.coefficients[:, i])
        return ((c3 * s + c2) * s + c1) * s + c0

    def derivative(self, x: npt.ArrayLike) -> Floats:
        """The slope of the curve; beyond the ends zero, or that of the end."""
        at = np.asarray(x, float)
        if self.beyond == "slope":
            return self._slope(np.clip(at, self.nodes[0], self.nodes[-1]))
        return np.where((at < self.nodes[0]) | (at > self.nodes[-1]), 0.0, self._slope(at))

    def _slope(self, at: Floats) -> Floats:
        i = np.clip(np.searchsorted(self.nodes, at, "right") - 1, 0, len(self.nodes) - 2)
        s, c = at - np.asarray(self.nodes)[i], self.coefficients[:, i]
        return np.asarray((3 * c[0] * s + 2 * c[1]) * s + c[2], float)


def _cubics(x: Floats, y: Floats, kind: str, place: str) -> Floats:
    if kind == "linear":
        slope = np.diff(y) / np.diff(x)
        return np.stack([0 * slope, 0 * slope, slope, y[:-1]])
    from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

    if kind == "akima" and len(x) >= 4:
        return np.asarray(Akima1DInterpolator(x, y).c, float)
    if kind == "monotone":
        return np.asarray(PchipInterpolator(x, y).c, float)
    hint = 'use "monotone", "akima" (four or more rows) or "linear".'
    raise StudyError(f"{place}interpolation {kind!r} with {len(x)} rows is not possible;", hint=hint)


def table_from_rows(
    rows: Sequence[Sequence[float]], factor: float, interpolation: Any, where: str, beyond: Any = "held"
) -> Table:
    """A `Table` from rows ``[x, value]`` in any order.

    Args:
        rows: As written in the file.
        factor: From the written unit to the internal one.
        interpolation: ``"monotone"``, ``"akima"`` or ``"linear"``.
        where: File and key, for messages.
        beyond: ``"held"`` or ``"slope"``.

    Raises:
        StudyError: A row is not two numbers, or the nodes repeat.
    """
    try:
        pairs = sorted((float(x), factor * float(value)) for x, value in rows)
    except (TypeError, ValueError):
        raise StudyError(f"{where}: each row of a table is [x, value].") from None
    return Table(tuple(p[0] for p in pairs), tuple(p[1] for p in pairs), interpolation, where, beyond)


def value_of(law: Law, x: npt.ArrayLike) -> Floats:
    """The law on floats: same shape as ``x``."""
    at = np.asarray(x, float)
    return np.asarray(np.broadcast_to(law.on(at, NUMPY_OPERATIONS), at.shape), float)
