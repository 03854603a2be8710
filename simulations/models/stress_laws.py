"""Stress as a function of strain and history, in UFL: elasticity, plasticity, small and finite strain.

Nothing here knows about meshes or solvers. Every function returns UFL expressions, so that the
consistent tangent is the derivative that UFL takes of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ufl

TINY = 1e-16
"""Keeps the norm of a zero stress differentiable (MPa²)."""


@dataclass(frozen=True)
class Moduli:
    """Isotropic elastic moduli, MPa: floats, coefficients or UFL expressions.

    Attributes:
        bulk: K.
        shear: μ.
    """

    bulk: Any
    shear: Any

    @classmethod
    def from_young(cls, young: Any, poisson: Any) -> Moduli:
        """From Young's modulus E (MPa) and Poisson's ratio ν."""
        return cls(young / (3 * (1 - 2 * poisson)), young / (2 * (1 + poisson)))


@dataclass(frozen=True)
class PlasticFlow:
    """J2 flow: yield stress and linear isotropic hardening, MPa."""

    yield_stress: Any
    hardening: Any


@dataclass(frozen=True)
class Response:
    """What a law returns.

    Attributes:
        stress: Cauchy stress (small strain) or first Piola-Kirchhoff stress (finite strain), MPa.
        tensor: New tensor-valued history (plastic strain, or inverse plastic metric).
        accumulated: New accumulated plastic strain.
        cauchy: Cauchy stress, MPa.
    """

    stress: Any
    tensor: Any
    accumulated: Any
    cauchy: Any


def strain(displacement: Any) -> Any:
    """Small strain, the symmetric part of the displacement gradient."""
    return ufl.sym(ufl.grad(displacement))


def von_mises(stress: Any) -> Any:
    """Von Mises equivalent of a stress, same unit."""
    s = ufl.dev(stress)
    return ufl.sqrt(1.5 * ufl.inner(s, s) + TINY)


def elastic(elastic_strain: Any, moduli: Moduli) -> Any:
    """Hooke's law for the elastic part of a small strain."""
    volumetric = moduli.bulk * ufl.tr(elastic_strain) * ufl.Identity(3)
    return volumetric + 2 * moduli.shear * ufl.dev(elastic_strain)


def j2(
    mechanical_strain: Any, plastic_strain: Any, accumulated: Any, moduli: Moduli, flow: PlasticFlow
) -> Response:
    """J2 plasticity with linear isotropic hardening, by the closed-form radial return.

    Args:
        mechanical_strain: Total minus chemical strain at the end of the step.
        plastic_strain: At its beginning; deviatoric.
        accumulated: Accumulated plastic strain at its beginning.
        moduli: Elasticity.
        flow: Yield stress and hardening.

    References:
        Simo, Hughes, Computational Inelasticity (1998), box 3.2.
    """
    trial = 2 * moduli.shear * (ufl.dev(mechanical_strain) - plastic_strain)
    equivalent = ufl.sqrt(1.5 * ufl.inner(trial, trial) + TINY)
    over = equivalent - (flow.yield_stress + flow.hardening * accumulated)
    step = ufl.max_value(over, 0.0) / (3 * moduli.shear + flow.hardening)
    direction = 1.5 * trial / equivalent
    pressure = moduli.bulk * ufl.tr(mechanical_strain) * ufl.Identity(3)
    stress = pressure + trial - 2 * moduli.shear * step * direction
    return Response(stress, plastic_strain + step * direction, accumulated + step, stress)


def finite(
    gradient: Any,
    swelling: Any,
    inverse_metric: Any,
    accumulated: Any,
    moduli: Moduli,
    flow: PlasticFlow | None = None,
) -> Response:
    """Neo-Hookean elasticity with J2 flow at finite strain and isotropic swelling, in closed form.

    F = Fe·Fp·Fc with Fc = Jc^(1/3)·I; the elastic energy per swollen volume is
    K/2·((Je² − 1)/2 − ln Je) + μ/2·(tr b̄e − 3). The return is radial in the deviatoric Kirchhoff stress.

    Args:
        gradient: Displacement gradient.
        swelling: Jc, the volume ratio of free swelling.
        inverse_metric: Ḡ = inverse of the isochoric plastic metric Cp at the beginning of the step; I when new.
        accumulated: Accumulated plastic strain at its beginning.
        moduli: Elasticity.
        flow: None for an elastic material.

    References:
        Simo, Comput. Methods Appl. Mech. Eng. 66 (1988) 199; Simo, Hughes, Computational Inelasticity (1998), box 9.1.
    """
    identity = ufl.Identity(3)
    deformation = ufl.variable(identity + gradient)
    volume = ufl.det(deformation)
    elastic_volume = volume / swelling
    isochoric = volume ** (-2.0 / 3.0)
    trial = isochoric * deformation * inverse_metric * deformation.T
    mean = ufl.tr(trial) / 3
    deviator = moduli.shear * ufl.dev(trial)
    metric, new_accumulated = inverse_metric, accumulated
    if flow is not None:
        effective = moduli.shear * mean
        norm = ufl.sqrt(ufl.inner(deviator, deviator) + TINY)
        limit = (2.0 / 3.0) ** 0.5 * (flow.yield_stress + flow.hardening * accumulated)
        step = ufl.max_value(norm - limit, 0.0) / (2 * effective + 2 * flow.hardening / 3)
        deviator = deviator * (1 - 2 * effective * step / norm)
        new_accumulated = accumulated + (2.0 / 3.0) ** 0.5 * step
        inverse = ufl.inv(deformation)
        metric = inverse * (deviator / moduli.shear + mean * identity) * inverse.T / isochoric
    pressure = 0.5 * moduli.bulk * (elastic_volume**2 - 1) * identity
    kirchhoff = swelling * (pressure + deviator)
    stress = kirchhoff * ufl.inv(deformation).T
    return Response(stress, metric, new_accumulated, kirchhoff / volume)


def hydrostatic(stress: Any) -> Any:
    """Mean normal stress, tension positive."""
    return ufl.tr(stress) / 3


def isotropic_strain(volume_strain: Any) -> Any:
    """Small chemical strain of an isotropic material whose volume changes by ΔV/V."""
    return volume_strain / 3 * ufl.Identity(3)


def lattice_strain(along_a: Any, along_c: Any, axis: Any) -> Any:
    """Small chemical strain of one grain of a layered oxide.

    Args:
        along_a: Strain of the lattice parameter a (in the layers).
        along_c: Strain of the lattice parameter c (across them).
        axis: Unit vector of the c axis.
    """
    across = ufl.outer(axis, axis)
    return along_a * (ufl.Identity(3) - across) + along_c * across
