"""Diffusion of lithium in particles, with fluxes or fixed concentrations on named facets.

∂x/∂t = ∇·(D(x) ∇x) for the state of lithiation x = c/c_max; −c_max D ∇x·n = J on facets with a flux J out of the
particle, x given on others, nothing passes elsewhere. See docs/explanation/solvers.md.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import ufl
from dolfinx import fem
from dolfinx.fem import petsc as fem_petsc
from petsc4py import PETSc

from pxm2mesh.errors import NotConvergedError, UsageError
from pxm2mesh.materials import Parameter
from simulations.base import compat
from simulations.base.domain import Domain
from simulations.base.laws import parameter_on
from simulations.base.solvers import LinearSolver, Options
from simulations.base.stepping import Bdf

log = logging.getLogger(__name__)

_ROUNDING = 1e-13
"""Updates of x below this are rounding: the residual will not fall further."""
GMRES: Options = {"ksp_type": "gmres", "pc_type": "hypre", "pc_hypre_type": "boomeramg"}


@dataclass(frozen=True)
class DiffusionOptions:
    """How the equations are solved.

    Attributes:
        tolerance: Largest error of x that a step may add (root mean square over the nodes).
        order: 1 or 2, degree of x.
        newton_tolerance: Largest residual, as a share of the flux through all of the particle's volume.
        newton_iterations: Before a step is given up.
        linear: PETSc options.
    """

    tolerance: float = 1e-4
    order: int = 1
    newton_tolerance: float = 1e-12
    newton_iterations: int = 12
    linear: Options = None  # type: ignore[assignment]


class Diffusion:
    """Diffusion in one phase; a `simulations.base.stepping.TimeProblem`.

    Args:
        domain: The particles alone.
        diffusivity: µm²/s, a number or a material parameter that depends on x.
        maximum_concentration: c_max in mol/m³ (amol/µm³).
        initial: x at the start.
        flux: Facet name → J in amol/µm²/s, out of the particle; change with `set_flux`.
        fixed: Facet name → x.
        options: How it is solved.

    Attributes:
        x: State of lithiation.
        time: s.

    Example:
        >>> from simulations.shapes import ball
        >>> from simulations.base.stepping import StepOptions, run_until
        >>> particle = Diffusion(Domain.from_mesh(ball({"NMC": 1.0}, cells=3)), 1.0, 1.0, 0.0, flux={"outside": -0.1})
        >>> event, _ = run_until(particle, 0.1, StepOptions(first=0.01))
        >>> round(particle.mean(), 2)
        0.03
    """

    def __init__(
        self,
        domain: Domain,
        diffusivity: float | Parameter,
        maximum_concentration: float,
        initial: float,
        *,
        flux: Mapping[str, float] | None = None,
        fixed: Mapping[str, float] | None = None,
        options: DiffusionOptions | None = None,
    ) -> None:
        if not (math.isfinite(maximum_concentration) and maximum_concentration > 0):
            raise UsageError(f"maximum_concentration {maximum_concentration!r} is not positive.")
        self.options = options or DiffusionOptions()
        self.domain, self.c_max, self.time = domain, float(maximum_concentration), 0.0
        space = fem.functionspace(domain.mesh, ("Lagrange", self.options.order))
        self.x = fem.Function(space, name="x")
        self.x.x.array[:] = initial
        self.bdf = Bdf(self.x)
        self._fluxes = {name: fem.Constant(domain.mesh, float(j)) for name, j in (flux or {}).items()}
        a0, a1, a2 = self.bdf.coefficients
        test = ufl.TestFunction(space)
        rate = a0 * self.x + a1 * self.bdf.old + a2 * self.bdf.older
        d = diffusivity if isinstance(diffusivity, float | int) else parameter_on(diffusivity, self.x)
        dx = domain.dx(quadrature_degree=2 * self.options.order)  # the same for residual and derivative
        residual = (rate * test + d * ufl.inner(ufl.grad(self.x), ufl.grad(test))) * dx
        for name, constant in self._fluxes.items():
            residual += constant / self.c_max * test * domain.ds(name)
        self._residual, self._jacobian = fem.form(residual), fem.form(ufl.derivative(residual, self.x))
        self._bcs = [
            fem.dirichletbc(float(v), domain.dofs_on(space, n), space) for n, v in (fixed or {}).items()
        ]
        self._matrix = fem_petsc.create_matrix(self._jacobian)
        self._vector = compat.create_vector(self._residual, space)
        self._update = self._vector.duplicate()
        self._solver = LinearSolver(
            self._matrix, self.options.linear or GMRES, what="concentration", rtol=1e-13, atol=1e-300
        )
        self._volume = domain.volume()
        self._mean = fem.form(self.x * domain.dx())
        self._step = 0.0
        self.iterations = 0

    def set_flux(self, **fluxes: float) -> None:
        """Change fluxes that were named at the start (keys as there); call `interrupt` for a jump."""
        for name, value in fluxes.items():
            self._fluxes[name].value = float(value)

    def mean(self) -> float:
        """Mean x over the volume."""
        return float(self.domain.comm.allreduce(fem.assemble_scalar(self._mean))) / self._volume

    def amount(self) -> float:
        """Lithium in the particles, amol."""
        return self.mean() * self._volume * self.c_max

    def attempt(self, step: float) -> None:
        """Newton's method for the state at ``time + step``."""
        self._step = step
        self.bdf.begin(step)
        fem_petsc.set_bc(self.x.x.petsc_vec, self._bcs)
        self.x.x.scatter_forward()
        scale = self._scale(step)
        size, change = math.nan, math.inf
        for iteration in range(self.options.newton_iterations + 1):
            size = self._assemble()
            log.debug("t = %.6g s, Newton %d: residual %.2e", self.time + step, iteration, size / scale)
            if not math.isfinite(size):
                break
            if size <= self.options.newton_tolerance * scale or change < _ROUNDING:
                return
            if iteration == self.options.newton_iterations:
                break
            compat.assemble_matrix(self._matrix, self._jacobian, self._bcs)
            self._solver.solve(self._vector, self._update)
            self.iterations += 1
            change = float(self._update.norm(PETSc.NormType.INFINITY))
            with self._update.localForm() as local:
                self.x.x.array[:] -= local.array
        raise NotConvergedError(
            f"diffusion: Newton's method stopped at a residual of {size / scale:.1e};", reason="newton",
            iterations=self.options.newton_iterations, residual=size, time=self.time,
        )  # fmt: skip

    def _assemble(self) -> float:
        compat.assemble_vector(self._vector, self._residual)
        compat.add_ghosts(self._vector)
        fem_petsc.set_bc(self._vector, self._bcs, self.x.x.petsc_vec, -1.0)
        for bc in self._bcs:  # u − g, and zero once it holds
            dofs, owned = bc.dof_indices()
            self._vector.array[dofs[:owned]] = 0.0
        return float(self._vector.norm(1))

    def _scale(self, step: float) -> float:
        return self._volume / step

    def error(self) -> float:
        """A sixth of what the solution adds to the linear prediction, over the tolerance."""
        space = self.x.function_space
        owned = space.dofmap.index_map.size_local
        total = self.domain.comm.allreduce(float(np.sum(self.bdf.change()[:owned] ** 2)))
        return math.sqrt(total / space.dofmap.index_map.size_global) / 6 / self.options.tolerance

    def commit(self) -> None:
        """Keep the step."""
        self.bdf.commit()
        self.time += self._step

    def restore(self) -> None:
        """Forget the step."""
        self.bdf.restore()

    def interrupt(self) -> None:
        """The next step is backward Euler."""
        self.bdf.interrupt()

    def state(self) -> dict[str, Any]:
        """All that decides what follows, for a checkpoint."""
        return {"nodes": {"x": self.x, "old": self.bdf.old, "older": self.bdf.older},
                "values": {"time": self.time, "last_step": self.bdf.last_step or 0.0}}  # fmt: skip
