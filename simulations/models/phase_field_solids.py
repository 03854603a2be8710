"""Phase-field fracture of a `Domain`: materials and supports by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from dolfinx import fem

from pxm2mesh.errors import UsageError
from pxm2mesh.materials import Material
from simulations.base.domain import Domain
from simulations.models.mechanics import chemical_strain, moduli_of
from simulations.models.phase_field import Part, PhaseField, PhaseFieldOptions
from simulations.models.supports import Fixed, Gap, Support, Symmetry


def phase_field_of(
    domain: Domain,
    materials: Mapping[str, Material],
    supports: Sequence[Support],
    options: PhaseFieldOptions,
    *,
    x: fem.Function | None = None,
    breaks: Iterable[str] | None = None,
) -> PhaseField:
    """A cracking solid of several phases.

    Args:
        domain: Where; not cut.
        materials: Material of each meshed phase.
        supports: `fixed`, `symmetry` and `gap`; a rigid plate with a pressure is not for cracking bodies.
        options: The model.
        x: State of lithiation, for chemical strain and moduli.
        breaks: Phases that can crack; all whose material has a fracture energy if None.

    Raises:
        UsageError: Another support, or nothing that can break.
        GeometryError: The mesh is too coarse for ℓ.
    """
    chosen = set(
        breaks
        if breaks is not None
        else (p for p in domain.meshed if materials[p].get("fracture.fracture_energy") is not None)
    )
    if not chosen:
        raise UsageError("no phase can break;", hint="give one a fracture.fracture_energy.")
    parts = []
    for phase in domain.meshed:
        material = materials[phase]
        energy = None
        if phase in chosen:
            energy = float(material.require("fracture.fracture_energy", purpose="a phase that can break"))
        eigenstrain = None if x is None or material.swelling is None else chemical_strain(material, x)
        parts.append(Part(domain.dx(phase), moduli_of(material, x), energy, eigenstrain, domain.cells(phase)))
    wrong = [s for s in supports if not isinstance(s, Fixed | Symmetry | Gap)]
    if wrong:
        raise UsageError(
            f"{type(wrong[0]).__name__} on {wrong[0].face} cannot hold a cracking solid;",
            hint="use fixed, symmetry or gap.",
        )

    def conditions(space: fem.FunctionSpace) -> list[Any]:
        found = []
        for support in supports:
            nodes = domain.dofs_on(space, support.face)
            if isinstance(support, Fixed):
                found.append(fem.dirichletbc(np.zeros(3), nodes, space))
                continue
            axis = "xyz".index(support.face[0])
            inwards = -1.0 if support.face[1] == "+" else 1.0
            value = inwards * support.closing if isinstance(support, Gap) else 0.0
            along = fem.locate_dofs_topological(space.sub(axis), 2, domain.facets(support.face))
            constant = fem.Constant(domain.mesh, float(value))
            found.append(fem.dirichletbc(constant, along, space.sub(axis)))
        return found

    return PhaseField(domain.mesh, parts, conditions, options)
