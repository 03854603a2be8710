"""Pressing a porous body: its pores are a third medium that lets walls meet without overlapping.

A pore is meshed and filled with a hyperelastic medium that is very soft until it is squeezed flat: its stress grows
without bound as its volume goes to zero, so that opposite walls carry each other where a pore has closed. The solids
follow the laws of finite strain, elastic or plastic (`simulations.models.finite_strain`).

References:
    Wriggers, Schröder, Schwarz, Comput. Mech. 52 (2013) 837 (the third medium).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ufl

from pxm2mesh.errors import UsageError
from pxm2mesh.materials import Material, material_from
from simulations.base.domain import Domain, canonical_name
from simulations.models.mechanics import Solid

STIFFNESS = 1e-4
"""Young's modulus of an undeformed pore, relative to that of the softest solid."""
CLOSED = 0.1
"""A pore cell that is squeezed to this share of its volume, or less, counts as closed."""


def with_pores(
    materials: Mapping[str, Material], pores: Sequence[str], *, stiffness: float = STIFFNESS
) -> dict[str, Material]:
    """Materials with those of the pores added.

    Args:
        materials: Of the solids.
        pores: Phases that are pores; they have cells.
        stiffness: Young's modulus of a pore relative to that of the softest solid; Poisson's ratio is 0.

    Returns:
        For `simulations.models.finite_strain.finite_laws` and `simulations.models.mechanics.Solid`.

    Raises:
        StudyError: A solid has no elastic part.
        UsageError: No solid, a pore that is a solid too, or a stiffness that is not between 0 and 1.

    Example:
        >>> from pxm2mesh.materials import read_materials
        >>> soft = with_pores(read_materials({"SE": "LPSCl"}), ["void"])["void"]
        >>> round(float(soft.require("elastic.youngs_modulus")(0.0)), 3)  # MPa
        2.21
    """
    solid = [phase for phase in materials if phase not in pores]
    if not solid or len(solid) < len(materials):
        raise UsageError(
            f"phases {sorted(materials)} and pores {sorted(pores)} do not fit together;",
            hint="give materials of the solids, at least one, and none of a pore.",
        )
    if not 0 < stiffness < 1:
        raise UsageError(f"the stiffness of pores is {stiffness:g};", hint="choose about 1e-4.")
    young = min(
        float(materials[p].require("elastic.youngs_modulus", purpose="compaction")(0.0)) for p in solid
    )
    parts = {"youngs_modulus": f"{young * stiffness} MPa", "poisson_ratio": 0.0}
    return {**materials, **{p: material_from({"name": p, "elastic": parts}) for p in pores}}


def deformed_volume(body: Solid, *phases: str) -> float:
    """µm³ that phases fill in the deformed state: the integral of det F.

    Args:
        body: With laws of finite strain.
        phases: All meshed phases if none is given.
    """
    return body.domain.integrate(volume_ratio(body) * body.domain.dx(*phases, **body.quadrature))


def porosity(body: Solid, pores: Sequence[str]) -> float:
    """Share of pores in the deformed body, 0 to 1."""
    return deformed_volume(body, *pores) / deformed_volume(body)


def contact_fraction(
    body: Solid, phase: str, other: str, pores: Sequence[str], *, closed: float = CLOSED
) -> float:
    """Share of a phase's surface towards another phase and pores that touches a solid.

    Faces towards a pore count as touching where the pore cell behind them is closed. Whatever solid is on the other
    side of the closed pore counts; areas are those of the undeformed surface.

    Args:
        body: With laws of finite strain and meshed pores.
        phase: Whose surface.
        other: The solid that it touches from the start.
        pores: Phases that are pores.
        closed: Largest ratio of the volume of a closed pore cell to the one that it had.

    Raises:
        UsageError: The phase has no such surface.
    """
    domain = body.domain
    touching = _area(domain, phase, other)
    gaps = [canonical_name(domain.phases, f"{phase} | {pore}") for pore in pores]
    total = touching + sum(_area(domain, phase, pore) for pore in pores)
    if total == 0.0:
        raise UsageError(f"{phase!r} meets neither {other!r} nor a pore;", hint="check the names.")
    inside = domain.by_phase({p: float(p in pores) for p in domain.meshed})
    ratio: Any = volume_ratio(body)
    behind = inside("+") * ratio("+") + inside("-") * ratio("-")
    share = ufl.conditional(ufl.le(behind, closed), 1.0, 0.0)
    present = [gap for gap, pore in zip(gaps, pores, strict=True) if _area(domain, phase, pore) > 0]
    shut = domain.integrate(share * domain.dS(*present, **body.quadrature)) if present else 0.0
    return (touching + shut) / total


def volume_ratio(body: Solid) -> Any:
    """The determinant of F, for forms and expressions."""
    return ufl.det(ufl.Identity(3) + ufl.grad(body.displacement))


def _area(domain: Domain, phase: str, other: str) -> float:
    name = canonical_name(domain.phases, f"{phase} | {other}")
    return domain.area(name) if name in domain.facet_names else 0.0
