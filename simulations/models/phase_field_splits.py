"""Which part of the elastic energy drives a crack: splits of the energy density, in UFL.

Strains are 3 × 3 also in two dimensions (plane strain), so that chemical strain across the plane counts.
"""

from __future__ import annotations

from typing import Any, Literal

import ufl

from simulations.models.stress_laws import Moduli

Split = Literal["none", "volumetric-deviatoric", "spectral", "star-convex"]
SPLITS: tuple[Split, ...] = ("none", "volumetric-deviatoric", "spectral", "star-convex")
_TINY = 1e-20


def strain3(displacement: Any) -> Any:
    """Small strain as a 3 × 3 tensor; zero across the plane in two dimensions."""
    e = ufl.sym(ufl.grad(displacement))
    if ufl.shape(e)[0] == 3:
        return e
    return ufl.as_tensor([[e[0, 0], e[0, 1], 0.0], [e[1, 0], e[1, 1], 0.0], [0.0, 0.0, 0.0]])


def split_energy(
    strain: Any, moduli: Moduli, split: Split, *, plane: bool, star: float = 5.0, width: Any = None
) -> tuple[Any, Any]:
    """ψ⁺, which damage takes away, and ψ⁻, which stays, in MPa.

    Args:
        strain: Elastic part of the strain, 3 × 3.
        moduli: Elasticity.
        split: One of `SPLITS`.
        plane: The third direction is a principal one (two dimensions).
        star: γ* of the star-convex split: ψ⁺ = μ|dev ε|² + K/2 (⟨tr ε⟩₊² − γ*⟨tr ε⟩₋²).
        width: Strain over which tension passes into compression. Without one the stiffness of a broken cell leaps,
            and Newton's method goes back and forth between open and closed.

    References:
        Amor, Marigo, Maurini, J. Mech. Phys. Solids 57 (2009) 1209. Miehe, Welschinger, Hofacker, Int. J. Numer.
        Methods Eng. 83 (2010) 1273. Vicentini et al., Int. J. Fract. 247 (2024) 291.
    """
    trace, deviator = ufl.tr(strain), ufl.dev(strain)
    opening, closing = half_square(trace, width), half_square(-trace, width)
    shear = moduli.shear * ufl.inner(deviator, deviator)
    if split == "none":
        return 0.5 * moduli.bulk * trace**2 + shear, 0.0 * trace
    if split == "volumetric-deviatoric":
        return moduli.bulk * opening + shear, moduli.bulk * closing
    if split == "star-convex":
        return moduli.bulk * (opening - star * closing) + shear, (1 + star) * moduli.bulk * closing
    lame = moduli.bulk - 2 * moduli.shear / 3
    plus, minus = lame * opening, lame * closing
    for value in principal(strain, plane=plane):
        plus = plus + 2 * moduli.shear * half_square(value, width)
        minus = minus + 2 * moduli.shear * half_square(-value, width)
    return plus, minus


def half_square(value: Any, width: Any = None) -> Any:
    """½⟨v⟩₊², with a second derivative that rises from 0 to 1 over −width … width.

    It is 0 at v = 0, and that of v and that of −v add up to ½v²; each is off by width²/12 outside.
    """
    if width is None:
        return 0.5 * ufl.max_value(value, 0.0) ** 2
    between = (value + width) ** 3 / (12 * width)
    below = ufl.conditional(ufl.lt(value, -width), 0.0 * value, between)
    return ufl.conditional(ufl.gt(value, width), 0.5 * value**2 + width**2 / 6, below) - width**2 / 12


def principal(strain: Any, *, plane: bool) -> tuple[Any, Any, Any]:
    """Principal values of a symmetric 3 × 3 tensor, in closed form and differentiable twice.

    Args:
        strain: The tensor.
        plane: Its third direction is a principal one.
    """
    if plane:
        middle = (strain[0, 0] + strain[1, 1]) / 2
        radius = ufl.sqrt(((strain[0, 0] - strain[1, 1]) / 2) ** 2 + strain[0, 1] ** 2 + _TINY)
        return middle + radius, middle - radius, strain[2, 2]
    mean, deviator = ufl.tr(strain) / 3, ufl.dev(strain)
    size = ufl.sqrt(ufl.inner(deviator, deviator) / 6 + _TINY)
    # Two equal values make acos' infinite: keep a little away from them (values err by some 1e-4 of the deviator).
    cosine = ufl.det(deviator / size) / 2 * (1 - 1e-7)
    cosine = ufl.max_value(ufl.min_value(cosine, 1 - 1e-7), -1 + 1e-7)
    angle = ufl.acos(cosine) / 3
    third = 2.0943951023931953
    first, last = 2 * size * ufl.cos(angle), 2 * size * ufl.cos(angle + third)
    return mean + first, mean - first - last, mean + last
