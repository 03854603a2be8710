"""Solvers of phase-field fracture: a Newton for the displacement, a bounded one for the damage."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from petsc4py import PETSc

from pxm2mesh.errors import NotConvergedError
from simulations.base import compat
from simulations.base.solvers import GAMG, MUMPS, LinearSolver, _petsc_options, rigid_body_modes

log = logging.getLogger(__name__)

SMALL = 40_000
"""Up to so many unknowns a direct solver is faster than multigrid."""
_FLAT = 0.1
"""Share of the slope at its beginning that is left where a Newton step ends."""
_SEARCHES = 12
"""Tries to find that place."""


class DisplacementSolver:
    """Balance of a solid whose energy is given, by Newton's method with backtracking.

    Args:
        energy: UFL, of the displacement.
        displacement: The unknown; its prescribed values are set from ``bcs``.
        bcs: Prescribed values.
        tolerance: Residual relative to the largest forces …
        energy_tolerance: … or error of the displacement in the norm of the energy, relative to the largest step.
        iterations: Newton iterations before it is given up.

    Attributes:
        scales: Largest residual (µN) and twice the largest gain of energy in a step (pJ) so far.
    """

    def __init__(
        self,
        energy: Any,
        displacement: fem.Function,
        bcs: Sequence[Any],
        *,
        tolerance: float = 1e-8,
        energy_tolerance: float = 1e-6,
        iterations: int = 80,
    ) -> None:
        space = displacement.function_space
        self.displacement, self.bcs = displacement, list(bcs)
        self.tolerance, self.energy_tolerance, self.iterations = tolerance, energy_tolerance, iterations
        residual = ufl.derivative(energy, displacement)
        self._residual = fem.form(residual)
        self._tangent = fem.form(ufl.derivative(residual, displacement))
        self._b = compat.create_vector(self._residual, space)
        self._step = self._b.duplicate()
        self._matrix = compat.create_matrix_with(self._tangent, (), space.mesh.comm)
        size = space.dofmap.index_map.size_global * space.dofmap.index_map_bs
        if space.mesh.geometry.dim == 2 or size <= SMALL:
            self._solver = LinearSolver(self._matrix, MUMPS, what="displacement")
        else:
            self._solver = LinearSolver(
                self._matrix, {**GAMG, "mg_levels_pc_type": "pbjacobi", "mg_levels_ksp_max_it": 3},
                what="displacement", rtol=1e-8, near_nullspace=rigid_body_modes(space),
            )  # fmt: skip
        held = np.zeros(len(displacement.x.array), dtype=bool)
        for bc in self.bcs:
            held[bc.dof_indices()[0]] = True
        self._held = held
        self.scales, self._least_scale = np.zeros(2), 0.0

    def forces(self) -> npt.NDArray[np.float64]:
        """(owned unknowns,) derivative of the energy, prescribed unknowns included: reactions stand there."""
        compat.assemble_vector(self._b, self._residual)
        compat.add_ghosts(self._b)
        return np.array(self._b.array)

    def _norm(self) -> float:
        """Of the free forces; the scale is that of this iterate and the start: a wild one in between must not count."""
        self.forces()
        self.scales[0] = max(self._least_scale, float(self._b.norm()))
        free = self._b.array
        free[self._held[: len(free)]] = 0.0
        self._b.array = free  # so that PETSc knows, and does not give the norm of before
        return float(self._b.norm())

    def solve(self) -> int:
        """Find the balance; gives the number of Newton iterations.

        Raises:
            NotConvergedError: None found; the displacement is what it was.
        """
        before = self.displacement.x.array.copy()
        for bc in self.bcs:
            bc.set(self.displacement.x.array)
        self._least_scale = self.scales[0]
        norm, decrement, iteration = self._norm(), math.inf, 0
        self._least_scale = self.scales[0]
        try:
            while not self._settled(norm, decrement) and iteration < self.iterations:
                iteration += 1
                compat.assemble_matrix(self._matrix, self._tangent, self.bcs)
                self._solver.solve(self._b, self._step)
                decrement = -self._slope()
                self.scales[1] = max(self.scales[1], decrement)
                norm = self._search(norm)
        except NotConvergedError:
            self.displacement.x.array[:] = before
            raise
        if self._settled(norm, decrement):
            return iteration
        self.displacement.x.array[:] = before
        raise NotConvergedError(
            f"no balance of the cracking solid: residual {norm:.2e} of {self.scales[0]:.2e} µN "
            f"after {iteration} iterations;",
            reason="newton", iterations=iteration, residual=norm / max(self.scales[0], 1e-300),
            hint="take smaller load steps, or a simpler split of the energy.",
        )  # fmt: skip

    def _settled(self, norm: float, decrement: float) -> bool:
        """Whether the residual is small, or the last step gained too little energy to matter."""
        gain = self.energy_tolerance**2 * self.scales[1]
        return math.isfinite(norm) and (norm <= self.tolerance * self.scales[0] or decrement <= gain)

    def _search(self, norm: float) -> float:
        """Take the Newton step, or the part of it at which the energy is least along it.

        The residual may grow where cells open or close; the energy is convex. False position finds where its slope
        along the step vanishes.
        """
        low, low_slope, high = 0.0, self._slope(), 1.0
        enough = _FLAT * abs(low_slope)
        taken, new = 1.0, self._moved(-1.0)
        slope = high_slope = self._slope()
        for _ in range(_SEARCHES):
            if new < norm / 2 or abs(slope) <= enough or (taken == 1.0 and slope < 0):
                break
            middle = low - low_slope * (high - low) / (high_slope - low_slope)
            new, taken = self._moved(taken - middle), middle
            slope = self._slope()
            if slope < 0:
                low, low_slope, high_slope = middle, slope, high_slope / 2
            else:
                high, high_slope, low_slope = middle, slope, low_slope / 2
        return new

    def _slope(self) -> float:
        """Of the energy along the step."""
        return -float(self._b.dot(self._step))

    def _moved(self, factor: float) -> float:
        with self._step.localForm() as local:
            self.displacement.x.array[:] += factor * local.array
        return self._norm()


class BoundedSolver:
    """Minimises an energy of a scalar field between two bounds, with PETSc's variational inequality solvers.

    Args:
        energy: UFL, of the field.
        field: The unknown.
        lower: Smallest values allowed.
        upper: Largest values allowed.
        atol: Norm of the residual at which it is small.
        method: ``"vinewtonrsls"`` (reduced space) or ``"vinewtonssls"`` (semi-smooth).
    """

    def __init__(
        self,
        energy: Any,
        field: fem.Function,
        lower: fem.Function,
        upper: fem.Function,
        *,
        atol: float,
        method: Literal["vinewtonrsls", "vinewtonssls"] = "vinewtonrsls",
    ) -> None:
        space = field.function_space
        self.field = field
        residual = ufl.derivative(energy, field)
        self._residual = fem.form(residual)
        self._tangent = fem.form(ufl.derivative(residual, field))
        self._b = compat.create_vector(self._residual, space)
        self._x = self._b.duplicate()
        self._matrix = compat.create_matrix_with(self._tangent, (), space.mesh.comm)
        self._snes = PETSc.SNES().create(space.mesh.comm)
        prefix = f"pxm2mesh_damage_{id(self)}_"
        self._snes.setOptionsPrefix(prefix)
        self._snes.setFunction(self._evaluate, self._b)
        self._snes.setJacobian(self._linearise, self._matrix)
        linear = {"ksp_type": "cg", "pc_type": "jacobi", "ksp_rtol": 1e-8}
        if method == "vinewtonssls":
            linear = {"ksp_type": "gmres", "pc_type": "jacobi", "ksp_rtol": 1e-8}
        with _petsc_options(prefix, {"snes_type": method, **linear}):
            self._snes.setFromOptions()
        self._snes.setTolerances(rtol=1e-9, atol=atol, stol=1e-14, max_it=100)
        self._snes.setVariableBounds(lower.x.petsc_vec, upper.x.petsc_vec)
        self._lower, self._upper = lower, upper

    def _take(self, x: PETSc.Vec) -> None:
        compat.update_ghosts(x)
        with x.localForm() as local:
            self.field.x.array[:] = local.array

    def _evaluate(self, _snes: Any, x: PETSc.Vec, b: PETSc.Vec) -> None:
        self._take(x)
        compat.assemble_vector(b, self._residual)
        compat.add_ghosts(b)

    def _linearise(self, _snes: Any, x: PETSc.Vec, _matrix: Any, target: PETSc.Mat) -> None:
        self._take(x)
        compat.assemble_matrix(target, self._tangent)

    def solve(self) -> int:
        """Minimise from the field as it is; gives the number of Newton iterations.

        Raises:
            NotConvergedError: PETSc gave up; the field is what it was.
        """
        before = self.field.x.array.copy()
        owned = self._x.getLocalSize()
        inside = np.clip(before, self._lower.x.array, self._upper.x.array)
        self._x.array[:] = inside[:owned]
        self._snes.solve(None, self._x)
        reason = self._snes.getConvergedReason()
        if reason < 0:
            self.field.x.array[:] = before
            raise NotConvergedError(
                f"the damage was not found within its bounds (PETSc's reason {reason} after "
                f"{self._snes.getIterationNumber()} iterations);",
                reason=str(reason), iterations=self._snes.getIterationNumber(),
                hint="take smaller load steps.",
            )  # fmt: skip
        self._take(self._x)
        np.clip(self.field.x.array, self._lower.x.array, self._upper.x.array, out=self.field.x.array)
        return int(self._snes.getIterationNumber())
