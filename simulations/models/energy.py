"""Energy of a solid: what is stored, and what plastic flow has used up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ufl

from pxm2mesh.errors import UsageError
from simulations.models import stress_laws as laws
from simulations.models.finite_strain import FiniteLaw, swelling_ratio
from simulations.models.mechanics import ElasticLaw, Solid, moduli_of
from simulations.models.plasticity import PlasticLaw, flow_of


@dataclass(frozen=True)
class Energies:
    """Of a body, pJ.

    Attributes:
        elastic: Stored elastically.
        plastic: Work of plastic flow, σ_y p + H p²/2: used up, but for the hardening.
    """

    elastic: float
    plastic: float

    @property
    def total(self) -> float:
        """What the work of all loads must come to."""
        return self.elastic + self.plastic


def energies(body: Solid) -> Energies:
    """Elastic energy and plastic work of the state that was last accepted; both depend on that state alone.

    Args:
        body: At small or finite strain.

    Raises:
        UsageError: A phase has a law of another kind.
    """
    elastic, plastic = 0.0, 0.0
    for phase, law in body.laws.items():
        measure, swollen = body.domain.dx(phase, **body.quadrature), 1.0
        if isinstance(law, FiniteLaw):
            swollen = swelling_ratio(law.material, body.x)
            elastic += body.domain.integrate(swollen * _finite_density(body, phase, law, swollen) * measure)
        elif isinstance(law, ElasticLaw | PlasticLaw):
            elastic += body.domain.integrate(_density(body.responses[phase].cauchy, law, body.x) * measure)
        else:
            raise UsageError(f"the energy of {phase!r} is not known: its law is of another kind.")
        if law.history:
            flow, p = flow_of(law.material, body.x), body.accumulated_plastic_strain
            spent = flow.yield_stress * p + 0.5 * flow.hardening * p * p
            plastic += body.domain.integrate(swollen * spent * measure)
    return Energies(elastic, plastic)


def _finite_density(body: Solid, phase: str, law: FiniteLaw, swollen: Any) -> Any:
    """K/2 ((Je² − 1)/2 − ln Je) + μ/2 (tr b̄e − 3), per swollen volume; see `simulations.models.stress_laws.finite`.

    Where a phase flows, the return keeps tr b̄e of the trial, though det b̄e should stay 1: the trace is that of the b̄e
    with det b̄e = 1 and the deviator that the stress has, to the third order of the elastic strain.
    """
    moduli = moduli_of(law.material, body.x)
    deformation = ufl.Identity(3) + ufl.grad(body.displacement)
    volume = ufl.det(deformation)
    if law.history:
        deviator = ufl.dev(body.responses[phase].cauchy) * volume / (swollen * moduli.shear)
        beyond = ufl.inner(deviator, deviator) / 2 - ufl.det(deviator)
    else:
        beyond = volume ** (-2.0 / 3.0) * ufl.tr(deformation * deformation.T) - 3
    ratio = volume / swollen
    return moduli.bulk / 2 * ((ratio**2 - 1) / 2 - ufl.ln(ratio)) + moduli.shear / 2 * beyond


def _density(stress: Any, law: ElasticLaw | PlasticLaw, x: Any) -> Any:
    """σ : C⁻¹ : σ / 2 of an isotropic material."""
    moduli = moduli_of(law.material, x)
    deviator = ufl.dev(stress)
    return laws.hydrostatic(stress) ** 2 / (2 * moduli.bulk) + ufl.inner(deviator, deviator) / (
        4 * moduli.shear
    )
