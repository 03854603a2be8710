"""Parameters of materials as UFL: the same formulas and tables that numpy evaluates elsewhere."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import ufl

from pxm2mesh.materials import Parameter
from pxm2mesh.materials.expressions import Operations

UFL_OPERATIONS: Operations = MappingProxyType(
    {
        "exp": ufl.exp,
        "log": ufl.ln,
        "log10": lambda a: ufl.ln(a) / 2.302585092994046,
        "sqrt": ufl.sqrt,
        "tanh": ufl.tanh,
        "sinh": ufl.sinh,
        "cosh": ufl.cosh,
        "sin": ufl.sin,
        "cos": ufl.cos,
        "atan": ufl.atan,
        "abs": abs,
        "min": ufl.min_value,
        "max": ufl.max_value,
        "where": ufl.conditional,
        "lt": ufl.lt,
        "le": ufl.le,
    }
)
"""What the functions of a formula mean for UFL expressions."""


def parameter_on(parameter: Parameter, x: Any) -> Any:
    """A material parameter at the state of lithiation ``x``.

    Args:
        parameter: Constant, formula or table.
        x: UFL expression; not looked at where the parameter is constant.

    Returns:
        A float for a constant, else a UFL expression; internal unit.
    """
    return float(parameter) if parameter.constant else parameter.on(x, UFL_OPERATIONS)
