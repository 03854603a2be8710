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
    strain: Any, moduli: Moduli, split: Split, *, plane: bool, star: float = 5.0
) -> tuple[Any, Any]:
    """ψ⁺, which damage takes away, and ψ⁻, which stays, in MPa.

    Args:
        strain: Elastic part of the strain, 3 × 3.
        moduli: Elasticity.
        split: One of `SPLITS`.
        plane: The third direction is a principal one (two dimensions).
        star: γ* of the star-convex split: ψ⁺ = μ|dev ε|² + K/2 (⟨tr ε⟩₊² − γ*⟨tr ε⟩₋²).

    References:
        Amor, Marigo, Maurini, J. Mech. Phys. Solids 57 (2009) 1209. Miehe, Welschinger, Hofacker, Int. J. Numer.
        Methods Eng. 83 (2010) 1273. Vicentini et al., Int. J. Fract. 247 (2024) 291.
    """
    trace, deviator = ufl.tr(strain), ufl.dev(strain)
    opening, closing = ufl.max_value(trace, 0.0), ufl.min_value(trace, 0.0)
    shear = moduli.shear * ufl.inner(deviator, deviator)
    if split == "none":
        return 0.5 * moduli.bulk * trace**2 + shear, 0.0 * trace
    if split == "volumetric-deviatoric":
        return 0.5 * moduli.bulk * opening**2 + shear, 0.5 * moduli.bulk * closing**2
    if split == "star-convex":
        driving = 0.5 * moduli.bulk * (opening**2 - star * closing**2) + shear
        return driving, 0.5 * (1 + star) * moduli.bulk * closing**2
    lame = moduli.bulk - 2 * moduli.shear / 3
    plus, minus = 0.5 * lame * opening**2, 0.5 * lame * closing**2
    for value in principal(strain, plane=plane):
        plus = plus + moduli.shear * ufl.max_value(value, 0.0) ** 2
        minus = minus + moduli.shear * ufl.min_value(value, 0.0) ** 2
    return plus, minus


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
