"""simulations: finite elements on the meshes of pxm2mesh, with DOLFINx 0.9 to 0.11.

The only package that imports DOLFINx, PETSc and MPI. `import simulations` itself stays light; what is
public is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulations.base.domain import Domain as Domain
    from simulations.models.conduction import conduct as conduct
    from simulations.models.conduction import effective_conductivity as effective_conductivity

_HOME = {
    "Domain": "base.domain",
    "conduct": "models.conduction",
    "effective_conductivity": "models.conduction",
}

__all__ = [*_HOME]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"simulations.{_HOME[name]}"), name)
    raise AttributeError(f"module 'simulations' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
