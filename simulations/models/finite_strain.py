"""Phases that swell a lot, such as silicon (J up to 3.8): finite strain, with or without plastic flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ufl

from pxm2mesh.materials import Material, reference_x
from simulations.base.laws import parameter_on
from simulations.models import stress_laws as laws
from simulations.models.mechanics import SolidLaw, moduli_of
from simulations.models.plasticity import flow_of


@dataclass(frozen=True, eq=False)
class FiniteLaw:
    """Neo-Hookean elasticity, J2 flow and isotropic swelling: F = Fe·Fp·Fc.

    The swelling ratio is Jc = 1 + ΔV/V(x). The stress is the first Piola-Kirchhoff stress; the history
    is the inverse of the isochoric plastic metric.

    Attributes:
        material: With an elastic part.
        plastic: Whether it flows; then a plastic part is needed.
    """

    material: Material
    plastic: bool = False

    @property
    def linear(self) -> bool:
        """False."""
        return False

    @property
    def history(self) -> bool:
        """Whether it flows."""
        return self.plastic

    @property
    def finite(self) -> bool:
        """True."""
        return True

    def respond(self, displacement: Any, x: Any, tensor: Any, accumulated: Any) -> laws.Response:
        """Closed-form return from the elastic trial of the deformation gradient."""
        flow = flow_of(self.material, x) if self.plastic else None
        metric = tensor if self.plastic else ufl.Identity(3)
        return laws.finite(
            ufl.grad(displacement),
            swelling_ratio(self.material, x),
            metric,
            accumulated,
            moduli_of(self.material, x),
            flow,
        )


def swelling_ratio(material: Material, x: Any) -> Any:
    """Jc, the volume of free swelling relative to that of the reference state.

    Args:
        material: 1 results where it has no swelling part.
        x: State of lithiation; None for no swelling.
    """
    if x is None or material.swelling is None:
        return 1.0
    volume = material.require("swelling.volume_strain", purpose="swelling")
    return (1 + parameter_on(volume, x)) / (1 + float(volume(reference_x(material))))


def finite_laws(
    materials: Mapping[str, Material], phases: Iterable[str] | None = None, *, plastic: bool | None = None
) -> dict[str, SolidLaw]:
    """Laws of finite strain.

    Args:
        materials: Material of each phase.
        phases: Which; None for all. Mixing with small strain in one body is only sound where that part rotates little.
        plastic: Whether they flow; None for those whose material has a plastic part.

    Returns:
        Phase → law, for `simulations.models.mechanics.Solid`.

    Raises:
        StudyError: A phase should flow, but its material has no yield stress.

    Example:
        >>> from pxm2mesh.materials import read_materials
        >>> finite_laws(read_materials({"Si": "Si"}))["Si"].history
        True
    """
    chosen = list(materials) if phases is None else list(phases)
    result: dict[str, SolidLaw] = {}
    for phase in chosen:
        flows = materials[phase].plastic is not None if plastic is None else plastic
        if flows:
            flow_of(materials[phase], None)
        result[phase] = FiniteLaw(materials[phase], flows)
    return result
