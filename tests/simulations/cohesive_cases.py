"""Particles in a matrix and glued blocks, with their closed forms: shared by the tests of breakable interfaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from dolfinx import fem
from meshes import ball_sector

from pxm2mesh.materials import Material, material_from
from simulations.base.domain import Domain
from simulations.models.cohesive_laws import CohesiveLaw
from simulations.models.cohesive_steps import Debonding
from simulations.models.mechanics import Solid
from simulations.models.solid_solver import SolverOptions
from simulations.models.supports import symmetry

PAIR = "NMC | LPSCl"
DIRECT = SolverOptions(direct=True, symmetric=False)


def elastic(name: str, young: float, poisson: float, strain: float = 0.0) -> Material:
    """Young's modulus in GPa; ΔV/V at x = 1 relative to x = 0."""
    swelling = {
        "reference": 0.0,
        "volume_strain": {"table": [[0, 0], [1, strain]], "interpolation": "linear"},
    }
    parts: dict[str, object] = {"elastic": {"youngs_modulus": f"{young} GPa", "poisson_ratio": poisson}}
    return material_from({"name": name, **parts, **({"swelling": swelling} if strain else {})})


PARTICLE = elastic("particle", 140.0, 0.3, -0.05)
MATRIX = elastic("matrix", 22.1, 0.37)
OUTER = 3.0
"""Radius of the matrix in radii of the particle; its outside is free."""


def stiffness() -> float:
    """Λ of T = Λ(ε* − δ/a) in MPa for a ball in a shell with a free outside (Lamé)."""
    bulk_p, bulk_m, shear = 140e3 / 1.2, 22.1e3 / (3 * 0.26), 22.1e3 / 2.74
    f = OUTER**-3
    return 1 / (1 / (3 * bulk_p) + (1 / (4 * shear) + f / (3 * bulk_m)) / (1 - f))


@dataclass
class Embedded:
    """A shrinking particle in its matrix; ``load(t)`` shrinks it by the linear strain t·``strain``."""

    solid: Solid
    radius: float
    strain: float

    def problem(self, program: Callable[[float], float] = lambda t: t, **options: float) -> Debonding:
        """Steps through ``program``: time → share of the strain."""
        x = self.solid.x
        assert x is not None

        def load(time: float) -> Mapping[str, float]:
            x.x.array[:] = program(time) * self.strain * 3 / 0.05
            return {}

        return Debonding(self.solid, load, **options)

    def state(self) -> dict[str, float]:
        """Means over the interface."""
        assert self.solid.cohesion is not None
        found = self.solid.cohesion.averages()
        cohesion = self.solid.cohesion
        area = cohesion.interface.weights.sum(axis=1)
        total = cohesion.interface.integral(np.ones_like(cohesion.damage))
        comm = cohesion.domain.comm
        return {name: float(comm.allreduce((values * area).sum())) / total for name, values in found.items()}


def embedded(
    radius: float, strain: float, law: CohesiveLaw, *, layers: int = 4, options: SolverOptions = DIRECT
) -> Embedded:
    """A particle of ``radius`` µm in a concentric shell, one octant."""
    outside = radius * OUTER ** (np.arange(1, layers + 1) / layers)
    radii = np.concatenate([np.linspace(0, radius, layers + 1), outside])
    mesh = ball_sector(radii, ["NMC"] * layers + ["LPSCl"] * layers)
    domain = Domain.from_mesh(mesh, cut=[PAIR])
    x = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", 1)))
    solid = Solid(
        domain, {"NMC": PARTICLE, "LPSCl": MATRIX}, symmetry("x-", "y-", "z-"), x=x, bonds={PAIR: law},
        options=options,
    )  # fmt: skip
    return Embedded(solid, radius, strain)
