"""Energy of a solid at small strain: what is stored, and what plastic flow has used up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ufl

from pxm2mesh.errors import UsageError
from simulations.models import stress_laws as laws
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
        body: At small strain.

    Raises:
        UsageError: A phase has a law of finite strain.
    """
    elastic, plastic = 0.0, 0.0
    for phase, law in body.laws.items():
        if not isinstance(law, ElasticLaw | PlasticLaw):
            raise UsageError(f"the energy of {phase!r} is not known: its law is not one of small strain.")
        measure = body.domain.dx(phase, **body.quadrature)
        elastic += body.domain.integrate(_density(body.responses[phase].cauchy, law, body.x) * measure)
        if isinstance(law, PlasticLaw):
            flow, p = flow_of(law.material, body.x), body.accumulated_plastic_strain
            plastic += body.domain.integrate((flow.yield_stress * p + 0.5 * flow.hardening * p * p) * measure)
    return Energies(elastic, plastic)


def _density(stress: Any, law: ElasticLaw | PlasticLaw, x: Any) -> Any:
    """σ : C⁻¹ : σ / 2 of an isotropic material."""
    moduli = moduli_of(law.material, x)
    deviator = ufl.dev(stress)
    return laws.hydrostatic(stress) ** 2 / (2 * moduli.bulk) + ufl.inner(deviator, deviator) / (
        4 * moduli.shear
    )
