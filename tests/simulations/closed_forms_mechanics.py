"""Closed forms that the mechanics is held to. Everything in consistent units."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

Floats = npt.NDArray[np.float64]

SPHERE_ROOTS = np.array(
    [
        brentq(lambda v, n=n: math.tan(v) - v, n * math.pi + 1e-6, (n + 0.5) * math.pi - 1e-9)
        for n in range(1, 60)
    ]
)
"""First roots of tan λ = λ (4.493409, 7.725252, 10.904122, …)."""


def sphere_with_constant_flux(rho: npt.ArrayLike, tau: float) -> Floats:
    """(c − c₀)·D/(J₀·R) in a sphere with inward flux J₀.

    Args:
        rho: r/R.
        tau: D·t/R².

    References:
        Crank, The Mathematics of Diffusion (1975), eq. 6.45.
    """
    r = np.asarray(rho, float)[..., None]
    lam = SPHERE_ROOTS
    shape = np.where(r < 1e-9, lam, np.sin(lam * r) / np.maximum(r, 1e-9))
    series = np.sum(shape * np.exp(-(lam**2) * tau) / (lam**2 * np.sin(lam)), axis=-1)
    return np.asarray(3 * tau + r[..., 0] ** 2 / 2 - 0.3 - 2 * series)


def mean_within(rho: npt.ArrayLike, tau: float) -> Floats:
    """3/r³·∫₀^r c·r² dr for `sphere_with_constant_flux` (Gauss quadrature)."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    r = np.asarray(rho, float)[..., None]
    s = r * (nodes + 1) / 2
    return np.asarray(
        np.sum(3 * sphere_with_constant_flux(s, tau) * (nodes + 1) ** 2 / 4 * weights / 2, axis=-1)
    )


def cheng_verbrugge(rho: npt.ArrayLike, tau: float) -> tuple[Floats, Floats]:
    """Radial and hoop stress of a free elastic sphere with constant flux, in units E·Ω·J₀·R/((1 − ν)·D).

    References:
        Cheng, Verbrugge, J. Power Sources 190 (2009) 453.
    """
    overall, within = mean_within(1.0, tau), mean_within(rho, tau)
    c = sphere_with_constant_flux(rho, tau)
    return 2 / 9 * (overall - within), (2 * overall + within - 3 * c) / 9


def bulk_and_shear(young: float, poisson: float) -> tuple[float, float]:
    """K and μ from E and ν."""
    return young / (3 * (1 - 2 * poisson)), young / (2 * (1 + poisson))


def eshelby_pressure(free_strain: float, particle: tuple[float, float], matrix: tuple[float, float]) -> float:
    """Tension in a spherical particle that would shrink by ``free_strain`` in an infinite matrix.

    Args:
        free_strain: Linear shrinkage ε* > 0.
        particle: (E, ν).
        matrix: (E, ν).
    """
    bulk, _ = bulk_and_shear(*particle)
    _, shear = bulk_and_shear(*matrix)
    return free_strain / (1 / (3 * bulk) + 1 / (4 * shear))


def coated_sphere_bulk(inner: float, outer: float, outer_shear: float, fraction: float) -> float:
    """Bulk modulus of a coated sphere (Hashin): core ``inner``, shell ``outer``, core volume ``fraction``."""
    return outer + fraction / (1 / (inner - outer) + 3 * (1 - fraction) / (3 * outer + 4 * outer_shear))


def hollow_sphere_pressure(front: float, inner: float, outer: float, yield_stress: float) -> float:
    """Internal pressure at which the plastic zone of a perfectly plastic hollow sphere reaches ``front``.

    References:
        Hill, The Mathematical Theory of Plasticity (1950), chapter V.
    """
    return yield_stress * (2 * math.log(front / inner) + 2 / 3 * (1 - (front / outer) ** 3))


def hollow_sphere_outer_displacement(
    front: float, outer: float, yield_stress: float, young: float, poisson: float
) -> float:
    """Displacement of the outer surface at that state."""
    return yield_stress * outer / young * (1 - poisson) * (front / outer) ** 3


def torre_pressure(yield_stress: float, porosity: float) -> float:
    """Pressure that keeps a hollow sphere of that porosity fully plastic (Torre)."""
    return 2 * yield_stress / 3 * math.log(1 / porosity)
