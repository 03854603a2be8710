"""Diffusion of lithium in particles, with fluxes or fixed concentrations on named facets.

∂x/∂t = ∇·(D(x) ∇x) for the state of lithiation x = c/c_max; −c_max D ∇x·n = J on facets with a flux J out of the
particle, x given on others, nothing passes elsewhere. See docs/explanation/solvers.md.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
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
from simulations.base.diagnosis import Diagnosis, worst_place
from simulations.base.domain import Domain
from simulations.base.laws import parameter_on
from simulations.base.solvers import MUMPS, LinearSolver, Options
from simulations.base.stepping import Bdf

log = logging.getLogger(__name__)

_ROUNDING = 1e-13
"""Updates of x below this are rounding: the residual will not fall further."""
_SHORTEST = 1 / 64
"""Least part of an update that the line search takes."""
GMRES: Options = {"ksp_type": "gmres", "pc_type": "hypre", "pc_hypre_type": "boomeramg"}
_WAYS = ("a line search", "a direct solver")


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
        fixed: Facet name → x; change with `hold` and `release`.
        options: How it is solved.

    Attributes:
        x: State of lithiation.
        time: s.
        attempted: Length of the last attempt, s.

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
        self._bcs: list[Any] = []
        self._held: dict[str, tuple[fem.Constant, Any]] = {}
        for name, value in (fixed or {}).items():
            self.hold(name, value)
        self._matrix = fem_petsc.create_matrix(self._jacobian)
        self._vector = compat.create_vector(self._residual, space)
        self._update = self._vector.duplicate()
        self._searching = False
        self._solver = self._make_solver(self.options.linear or GMRES)
        self._volume = domain.volume()
        self._mean = fem.form(self.x * domain.dx())
        self.attempted = 0.0
        self.iterations, self.linear_iterations = 0, 0

    def _make_solver(self, options: Options) -> LinearSolver:
        return LinearSolver(self._matrix, options, what="concentration", rtol=1e-13, atol=1e-300)

    def hold(self, name: str, value: float) -> None:
        """Fix x on a facet from now on, or change what it is fixed at; call `interrupt` for a jump."""
        if name not in self._held:
            space, constant = self.x.function_space, fem.Constant(self.domain.mesh, 0.0)
            bc = fem.dirichletbc(constant, self.domain.dofs_on(space, name), space)
            self._held[name] = (constant, bc)
        constant, bc = self._held[name]
        constant.value = float(value)
        if bc not in self._bcs:
            self._bcs.append(bc)

    def release(self, name: str) -> None:
        """Free x on a facet from now on."""
        self._bcs.remove(self._held[name][1])

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
        self.attempted = step
        self.bdf.begin(step)
        fem_petsc.set_bc(self.x.x.petsc_vec, self._bcs)
        self.x.x.scatter_forward()
        scale = self._scale(step)
        size, change = self._assemble(), math.inf
        for iteration in range(self.options.newton_iterations + 1):
            log.debug("t = %.6g s, Newton %d: residual %.2e", self.time + step, iteration, size / scale)
            if not math.isfinite(size):
                break
            if size <= self.options.newton_tolerance * scale or change < _ROUNDING:
                return
            if iteration == self.options.newton_iterations:
                break
            compat.assemble_matrix(self._matrix, self._jacobian, self._bcs)
            self.linear_iterations += self._solver.solve(self._vector, self._update).iterations
            self.iterations += 1
            change = float(self._update.norm(PETSc.NormType.INFINITY))
            size = self._move(size)
        raise NotConvergedError(
            f"diffusion: Newton's method stopped at a residual of {size / scale:.1e};", reason="newton",
            iterations=self.options.newton_iterations, residual=size, time=self.time,
        )  # fmt: skip

    def _move(self, before: float) -> float:
        """Take the update, or the part of it that lowers the residual; the new residual."""
        taken = 1.0
        with self._update.localForm() as local:
            update = np.array(local.array)
        self.x.x.array[:] -= update
        size = self._assemble()
        while self._searching and not size < before and taken > _SHORTEST:
            taken /= 2
            self.x.x.array[:] += taken * update
            size = self._assemble()
        return size

    def _assemble(self) -> float:
        compat.assemble_vector(self._vector, self._residual)
        compat.add_ghosts(self._vector)
        for bc in self._bcs:  # the values are in the state already
            dofs, owned = bc.dof_indices()
            self._vector.array[dofs[:owned]] = 0.0
        return float(self._vector.norm(PETSc.NormType.NORM_1))

    def ways(self) -> Sequence[str]:
        """A line search, and a direct solver with it."""
        return _WAYS

    def solve_by(self, way: str | None) -> None:
        """Attempts go this way from now on; None for the ordinary one."""
        self._searching = way is not None
        self._solver.close()
        self._solver = self._make_solver(MUMPS if way == _WAYS[1] else self.options.linear or GMRES)

    def diagnose(self) -> Diagnosis:
        """Residual of the last attempt, where it is largest, and what x says about the cause."""
        size = self._assemble()
        space = self.x.function_space
        worst = worst_place(self.domain, space, np.array(self._vector.array))
        low, high = self.extent()
        cause = "the step is too long for D(x)" if math.isfinite(size) else "a value is not a number"
        if low < -0.05 or high > 1.05:  # less is the overshoot of a coarse mesh
            cause = (
                f"x leaves 0 … 1 ({low:.3g} to {high:.3g}): more lithium is moved than diffusion can bring"
            )
        return Diagnosis({"lithium": size / self._scale(self.attempted)}, worst, cause)

    def extent(self) -> tuple[float, float]:
        """Smallest and largest x at the nodes."""
        values = self.x.x.array
        both = self.domain.comm.allgather((values.min(initial=math.inf), values.max(initial=-math.inf)))
        return float(min(low for low, _ in both)), float(max(high for _, high in both))

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
        self.time += self.attempted

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
