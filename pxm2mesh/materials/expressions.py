"""Formulas written by users: parsed, checked against a whitelist, evaluated without ``eval``.

The same formula is evaluated on floats, arrays and dual numbers here, and on UFL expressions by the
solvers, which hand in their own table of operations.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from pxm2mesh.errors import StudyError, did_you_mean

Operations = Mapping[str, Callable[..., Any]]
"""Function name → callable; besides the functions also ``where``, ``lt`` and ``le``."""

FUNCTIONS = ("exp", "log", "log10", "sqrt", "tanh", "sinh", "cosh", "sin", "cos", "atan", "abs", "min", "max")
CONSTANTS = MappingProxyType({"pi": math.pi})

NUMPY_OPERATIONS: Operations = MappingProxyType(
    {
        "exp": np.exp,
        "log": np.log,
        "log10": np.log10,
        "sqrt": np.sqrt,
        "tanh": np.tanh,
        "sinh": np.sinh,
        "cosh": np.cosh,
        "sin": np.sin,
        "cos": np.cos,
        "atan": np.arctan,
        "abs": np.abs,
        "min": np.minimum,
        "max": np.maximum,
        "where": np.where,
        "lt": np.less,
        "le": np.less_equal,
    }
)

_LONGEST = 4000
_DEEPEST = 60
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
_COMPARE: Mapping[type[ast.cmpop], tuple[str, bool]] = {
    ast.Lt: ("lt", False),
    ast.LtE: ("le", False),
    ast.Gt: ("lt", True),
    ast.GtE: ("le", True),
}


def parse_formula(text: str, variable: str = "x", *, where: str = "") -> ast.expr:
    """Parse a formula of one variable and refuse everything that is not arithmetic.

    Allowed are numbers, the variable, ``pi``, ``+ - * / **``, ``a if x < b else c`` and `FUNCTIONS`.

    Args:
        text: Such as ``"4.48 - 0.81*x + 17.6*tanh(15.9*(x - 0.312))"``.
        variable: Name of the variable.
        where: File and key, for the message.

    Returns:
        The syntax tree, to be handed to `evaluate`.

    Raises:
        StudyError: It is not such a formula.

    Example:
        >>> float(evaluate(parse_formula("2*x + 1"), 3.0))
        7.0
    """
    place = f"{where}: " if where else ""
    if len(text) > _LONGEST:
        raise StudyError(
            f"{place}a formula of {len(text)} characters; at most {_LONGEST}.", hint="use a table."
        )
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        hint = f"write arithmetic in {variable}, such as 4.5 - 0.8*{variable}."
        raise StudyError(f"{place}{text!r} is not a formula;", hint=hint) from None
    _check(tree, variable, place, text, 0)
    return tree


def _check(node: ast.AST, variable: str, place: str, text: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise StudyError(f"{place}{text[:60]!r}… is nested more than {_DEEPEST} deep.")
    known = [variable, *CONSTANTS]
    match node:
        case ast.Constant(value=bool()) | ast.Constant(value=complex()):
            pass
        case ast.Constant(value=int() | float()):
            return
        case ast.Name(id=name):
            if name in known:
                return
            hint = did_you_mean(name, [*known, *FUNCTIONS])
            raise StudyError(f"{place}unknown name {name!r} in {text!r};", hint=hint)
        case ast.BinOp(op=op) if type(op) in _BINARY:
            return _children((node.left, node.right), variable, place, text, depth)
        case ast.UnaryOp(op=ast.UAdd() | ast.USub()):
            return _check(node.operand, variable, place, text, depth + 1)
        case ast.IfExp(test=ast.Compare(ops=[op], comparators=[right], left=left)) if type(op) in _COMPARE:
            return _children((left, right, node.body, node.orelse), variable, place, text, depth)
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in FUNCTIONS:
            wanted = 2 if name in ("min", "max") else 1
            if len(node.args) != wanted:
                raise StudyError(f"{place}{name} takes {wanted} value(s), got {len(node.args)} in {text!r}.")
            return _children(tuple(node.args), variable, place, text, depth)
        case ast.Call(func=ast.Name(id=name)):
            hint = did_you_mean(name, FUNCTIONS)
            raise StudyError(f"{place}unknown function {name!r} in {text!r};", hint=hint)
        case _:
            pass
    raise StudyError(
        f"{place}{type(node).__name__} is not allowed in {text!r};",
        hint="use numbers, + - * / **, a if x < b else c, and " + ", ".join(FUNCTIONS) + ".",
    )


def _children(nodes: tuple[ast.AST, ...], variable: str, place: str, text: str, depth: int) -> None:
    for child in nodes:
        _check(child, variable, place, text, depth + 1)


def evaluate(tree: ast.expr, x: Any, operations: Operations = NUMPY_OPERATIONS) -> Any:
    """Evaluate a parsed formula.

    Args:
        tree: From `parse_formula`.
        x: Value of the variable: float, array, `Dual` or anything that ``operations`` understand.
        operations: What the functions mean for that kind of value.

    Returns:
        The value, of the kind of ``x`` (a float where the formula does not contain the variable).
    """
    match tree:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return CONSTANTS.get(name, x)
        case ast.UnaryOp(op=op, operand=operand):
            value = evaluate(operand, x, operations)
            return -value if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](evaluate(left, x, operations), evaluate(right, x, operations))
        case ast.Call(func=ast.Name(id=name), args=args):
            return operations[name](*(evaluate(a, x, operations) for a in args))
        case ast.IfExp(test=ast.Compare(left=left, ops=[op], comparators=[right]), body=body, orelse=orelse):
            name, swap = _COMPARE[type(op)]
            a, b = evaluate(left, x, operations), evaluate(right, x, operations)
            condition = operations[name](b, a) if swap else operations[name](a, b)
            return operations["where"](
                condition, evaluate(body, x, operations), evaluate(orelse, x, operations)
            )
    raise TypeError(f"unchecked formula: {ast.dump(tree)}")


class Dual:
    """A value and its derivative with respect to the variable (forward differentiation).

    Args:
        value: Float or array.
        slope: Same shape.
    """

    __array_ufunc__ = None
    __slots__ = ("slope", "value")

    def __init__(self, value: Any, slope: Any) -> None:
        self.value, self.slope = value, slope

    @staticmethod
    def of(other: Any) -> Dual:
        """``other`` itself if it is dual, else a constant."""
        return other if isinstance(other, Dual) else Dual(other, 0.0 * np.asarray(other))

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __add__(self, other: Any) -> Dual:
        o = Dual.of(other)
        return Dual(self.value + o.value, self.slope + o.slope)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Dual:
        return self + -Dual.of(other)

    def __rsub__(self, other: Any) -> Dual:
        return Dual.of(other) + -self

    def __mul__(self, other: Any) -> Dual:
        o = Dual.of(other)
        return Dual(self.value * o.value, self.slope * o.value + self.value * o.slope)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Dual:
        o = Dual.of(other)
        return Dual(self.value / o.value, (self.slope * o.value - self.value * o.slope) / o.value**2)

    def __rtruediv__(self, other: Any) -> Dual:
        return Dual.of(other) / self

    def __pow__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value**other, other * self.value ** (other - 1.0) * self.slope)
        power = self.value**other.value
        grown = other.slope * np.log(self.value) + other.value * self.slope / self.value
        return Dual(power, power * grown)

    def __rpow__(self, other: Any) -> Dual:
        power = np.asarray(other) ** self.value
        return Dual(power, power * np.log(other) * self.slope)


def _dual(function: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(a: Any) -> Any:
        return Dual(function(a.value), slope(a.value) * a.slope) if isinstance(a, Dual) else function(a)

    return apply


def _dual_where(condition: Any, a: Any, b: Any) -> Dual:
    a, b = Dual.of(a), Dual.of(b)
    return Dual(np.where(condition, a.value, b.value), np.where(condition, a.slope, b.slope))


DUAL_OPERATIONS: Operations = MappingProxyType(
    {
        "exp": _dual(np.exp, np.exp),
        "log": _dual(np.log, lambda a: 1.0 / a),
        "log10": _dual(np.log10, lambda a: 1.0 / (a * math.log(10.0))),
        "sqrt": _dual(np.sqrt, lambda a: 0.5 / np.sqrt(a)),
        "tanh": _dual(np.tanh, lambda a: 1.0 - np.tanh(a) ** 2),
        "sinh": _dual(np.sinh, np.cosh),
        "cosh": _dual(np.cosh, np.sinh),
        "sin": _dual(np.sin, np.cos),
        "cos": _dual(np.cos, lambda a: -np.sin(a)),
        "atan": _dual(np.arctan, lambda a: 1.0 / (1.0 + a**2)),
        "abs": _dual(np.abs, np.sign),
        "min": lambda a, b: _dual_where(Dual.of(a).value <= Dual.of(b).value, a, b),
        "max": lambda a, b: _dual_where(Dual.of(a).value >= Dual.of(b).value, a, b),
        "where": _dual_where,
        "lt": lambda a, b: Dual.of(a).value < Dual.of(b).value,
        "le": lambda a, b: Dual.of(a).value <= Dual.of(b).value,
    }
)
