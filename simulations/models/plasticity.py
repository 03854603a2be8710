"""Plastic phases at small strain: J2 flow with linear isotropic hardening."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pxm2mesh.materials import Material, reference_x
from simulations.base.laws import parameter_on
from simulations.models import stress_laws as laws
from simulations.models.mechanics import SolidLaw, chemical_strain, moduli_of


@dataclass(frozen=True, eq=False)
class PlasticLaw:
    """J2 plasticity by the closed-form radial return, at the quadrature points.

    Attributes:
        material: With elastic and plastic parts; all of it may depend on x.
        axis: c axis of the grain, as in `simulations.models.mechanics.ElasticLaw`.
    """

    material: Material
    axis: Any = None

    @property
    def linear(self) -> bool:
        """False."""
        return False

    @property
    def history(self) -> bool:
        """True."""
        return True

    @property
    def finite(self) -> bool:
        """False."""
        return False

    def respond(self, displacement: Any, x: Any, tensor: Any, accumulated: Any) -> laws.Response:
        """Radial return from the elastic trial."""
        mechanical = laws.strain(displacement) - chemical_strain(self.material, x, self.axis)
        return laws.j2(
            mechanical, tensor, accumulated, moduli_of(self.material, x), flow_of(self.material, x)
        )


def flow_of(material: Material, x: Any) -> laws.PlasticFlow:
    """Yield stress and hardening at x; no hardening where the material does not say.

    Args:
        material: With a plastic part.
        x: State of lithiation; None for the reference.

    Raises:
        StudyError: No yield stress.
    """
    at = reference_x(material) if x is None else x
    hardening = material.get("plastic.hardening")
    return laws.PlasticFlow(
        parameter_on(material.require("plastic.yield_stress", purpose="plastic flow"), at),
        0.0 if hardening is None else parameter_on(hardening, at),
    )


def plastic_laws(
    materials: Mapping[str, Material], phases: Iterable[str] | None = None
) -> dict[str, SolidLaw]:
    """Plastic laws for the phases that flow.

    Args:
        materials: Material of each phase.
        phases: Which flow; None for all whose material has a plastic part.

    Returns:
        Phase → law, for `simulations.models.mechanics.Solid`.

    Raises:
        StudyError: A named phase has no yield stress.

    Example:
        >>> from pxm2mesh.materials import read_materials
        >>> list(plastic_laws(read_materials({"NMC": "NMC811", "SE": "LPSCl"})))
        ['SE']
    """
    chosen = [p for p, m in materials.items() if m.plastic is not None] if phases is None else list(phases)
    for phase in chosen:
        flow_of(materials[phase], None)
    return {phase: PlasticLaw(materials[phase]) for phase in chosen}
