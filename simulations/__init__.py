"""simulations: finite elements on the meshes of pxm2mesh, with DOLFINx 0.9 to 0.11.

The only package that imports DOLFINx, PETSc and MPI. `import simulations` itself stays light; what is
public is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulations.base.domain import Domain as Domain
    from simulations.models.chemomechanics import ChemoMechanics as ChemoMechanics
    from simulations.models.chemomechanics import CouplingOptions as CouplingOptions
    from simulations.models.chemomechanics import flux as flux
    from simulations.models.conduction import conduct as conduct
    from simulations.models.conduction import effective_conductivity as effective_conductivity
    from simulations.models.diffusion import Diffusion as Diffusion
    from simulations.models.electrochemistry import HalfCell as HalfCell
    from simulations.models.finite_strain import finite_laws as finite_laws
    from simulations.models.islands import without_islands as without_islands
    from simulations.models.mechanics import Solid as Solid
    from simulations.models.mechanics import grain_axes as grain_axes
    from simulations.models.plasticity import plastic_laws as plastic_laws
    from simulations.models.supports import fixed as fixed
    from simulations.models.supports import gap as gap
    from simulations.models.supports import plate as plate
    from simulations.models.supports import pressure as pressure
    from simulations.models.supports import symmetry as symmetry

_HOME = {
    "Domain": "base.domain",
    "conduct": "models.conduction",
    "effective_conductivity": "models.conduction",
    "Diffusion": "models.diffusion",
    "HalfCell": "models.electrochemistry",
    "ChemoMechanics": "models.chemomechanics",
    "CouplingOptions": "models.chemomechanics",
    "flux": "models.chemomechanics",
    "finite_laws": "models.finite_strain",
    "Solid": "models.mechanics",
    "grain_axes": "models.mechanics",
    "plastic_laws": "models.plasticity",
    "without_islands": "models.islands",
    "fixed": "models.supports",
    "gap": "models.supports",
    "plate": "models.supports",
    "pressure": "models.supports",
    "symmetry": "models.supports",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"simulations.{_HOME[name]}"), name)
    raise AttributeError(f"module 'simulations' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
