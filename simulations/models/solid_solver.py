"""Newton's method for solids under supports by name, rigid plates included."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from petsc4py import PETSc

from pxm2mesh.errors import NotConvergedError, UsageError
from simulations.base import compat
from simulations.base.diagnosis import Place, worst_place
from simulations.base.domain import Domain
from simulations.base.solvers import GAMG, MUMPS, LinearSolver, rigid_body_modes
from simulations.models.supports import Fixed, Gap, Plate, Support, Symmetry

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]
STALLED = 6
"""So many Newton iterations in a row that do not halve the residual, and the step is given up."""
LIMIT_LOAD = "take a smaller step; a perfectly plastic body may have reached its limit load."


DIRECT_BELOW = 60_000
"""Unknowns up to which a body with bonds is factorised: faster and surer than GMRES."""


@dataclass(frozen=True)
class SolverOptions:
    """How a displacement is found.

    Attributes:
        rtol: Residual at which Newton's method stops, relative to the largest forces in the body.
        max_iterations: Newton iterations before a step is given up.
        linear_rtol: Relative residual of each linear solve.
        max_linear_iterations: Krylov iterations before it is given up.
        direct: Factorise instead of CG with multigrid; for small or very ill-conditioned problems.
        symmetric: Whether the tangent is symmetric; else GMRES takes the place of CG.
        lazy: Keep the tangent as long as each Newton iteration gains a digit with it, and the multigrid until it has
            become twice as slow.
    """

    rtol: float = 1e-9
    max_iterations: int = 25
    linear_rtol: float = 1e-10
    max_linear_iterations: int = 1000
    direct: bool = False
    symmetric: bool = True
    lazy: bool = False

    def not_symmetric(self, points: int, degree: int) -> SolverOptions:
        """For bonds that soften and finite plastic strain: without symmetry, and factorised where the body is small.

        A tangent is not kept then: bonds open and close from one iterate to the next, and an old tangent saves a
        factorisation and costs two or three iterations (measured on a cathode of 64³ voxels).
        """
        direct = self.direct or points * 3 * (8 if degree == 2 else 1) <= DIRECT_BELOW
        return replace(self, symmetric=False, direct=direct, lazy=self.lazy and not direct)


@dataclass(frozen=True)
class SolveRecord:
    """What one balance took.

    Attributes:
        iterations: Newton iterations.
        linear_iterations: Krylov iterations in all.
        residual: Last residual, relative to the largest forces in the body.
        unknowns: Displacement components.
    """

    iterations: int
    linear_iterations: int
    residual: float
    unknowns: int


class Coupling(Protocol):
    """What couples the two sides of cuts; see `simulations.models.cohesive.CohesiveInterfaces`."""

    @property
    def couplings(self) -> npt.NDArray[np.int32]:
        """Blocks of unknowns that are coupled, for the matrix."""

    def constrain(self, bcs: list[Any]) -> None:
        """Leave prescribed values out of the matrix."""

    def add_residual(self, vector: PETSc.Vec) -> None:
        """Add to the residual, before ghosts are added."""

    def add_action(self, vector: PETSc.Vec, direction: fem.Function) -> None:
        """Add the tangent times a direction."""

    def add_tangent(self, matrix: PETSc.Mat) -> None:
        """Add to a matrix, before or after the form."""


class SolidSolver:
    """Balances a residual form; the rigid plates are unknowns of their own, eliminated exactly.

    A plate adds one unknown U (its displacement) and one equation (its force). Each Newton step solves
    twice with the same matrix, once for the residual and once for a unit displacement of the plate, and
    combines both so that the force on the plate is the wanted one.

    Args:
        domain: Where.
        displacement: The unknown; changed in place.
        residual: Internal minus external forces, linear in a test function.
        supports: How the body is held.
        linear: The matrix of the residual form never changes; it is assembled once.
        options: Tolerances and solvers.
        coupling: What acts across cuts; then the whole is not linear.

    Raises:
        UsageError: Unknown face, or supports that contradict each other.
    """

    def __init__(
        self,
        domain: Domain,
        displacement: fem.Function,
        residual: Any,
        supports: Sequence[Support],
        *,
        linear: bool,
        options: SolverOptions,
        coupling: Coupling | None = None,
    ) -> None:
        self.domain, self.displacement, self.options = domain, displacement, options
        self.linear, self._coupling = linear and coupling is None, coupling
        self._fixed_form = linear
        space = displacement.function_space
        self.space = space
        self._direction = fem.Function(space)
        tangent = ufl.derivative(residual, displacement)
        self._residual, self._tangent = fem.form(residual), fem.form(tangent)
        self._action = fem.form(ufl.action(tangent, self._direction))
        # In the order of the supports: locating is collective, and a set is ordered differently on each rank.
        self._faces = {name: domain.dofs_on(space, name) for name in dict.fromkeys(s.face for s in supports)}
        self._plates = [s for s in supports if isinstance(s, Plate)]
        self._gaps = [s for s in supports if isinstance(s, Gap)]
        self._held = self._held_components(supports)
        self._bcs = self._conditions()
        if coupling is not None:
            coupling.constrain(self._bcs)
        self.plate_values = np.zeros(len(self._plates))
        self._plate_forces = np.array([self._force(s, s.pressure) for s in self._plates])
        self._closings = {s.face: s.closing for s in self._gaps}
        self._moved = {s.face: 0.0 for s in self._gaps}
        self._b = compat.create_vector(self._residual, space)
        self._full, self._work, self._step = (self._b.duplicate() for _ in range(3))
        self._matrix: PETSc.Mat | None = None
        self._bulk: PETSc.Mat | None = None
        self._solver: LinearSolver | None = None
        self._responses: list[PETSc.Vec] = []
        self._gradients: list[PETSc.Vec] = []
        self._direct = options.direct
        self._scale = self._least_scale = 0.0  # the largest forces met so far
        self.worst: Place | None = None
        self._stale = True  # the tangent is to be assembled anew
        self._fresh_iterations = 0  # of the first solve after a set-up of the preconditioner

    # -- what is held ----------------------------------------------------------------------------

    def _held_components(self, supports: Sequence[Support]) -> npt.NDArray[np.bool_]:
        """(local nodes, 3) components whose value is prescribed or follows a plate."""
        index_map = self.space.dofmap.index_map
        held = np.zeros((index_map.size_local + index_map.num_ghosts, 3), dtype=bool)
        owner = np.full(held.shape, "", dtype=object)
        for support in supports:
            nodes = self._faces[support.face]
            if isinstance(support, Fixed):
                held[nodes] = True
            elif isinstance(support, Symmetry | Gap | Plate):
                axis = "xyz".index(support.face[0])
                clash = {str(n) for n in owner[nodes, axis]} - {"", support.face}
                if clash or (isinstance(support, Gap | Plate) and held[nodes, axis].any()):
                    other = clash.pop() if clash else "another support"
                    raise UsageError(
                        f"{support.face} and {other} hold the same nodes along {support.face[0]};",
                        hint="support each face once.",
                    )
                held[nodes, axis] = True
                owner[nodes, axis] = support.face
        return held

    def _conditions(self) -> list[Any]:
        nodes = [np.flatnonzero(self._held[:, axis]) for axis in range(3)]
        unrolled = [(3 * n + axis).astype(np.int32) for axis, n in enumerate(nodes)]
        return [fem.dirichletbc(np.float64(0.0), n, self.space.sub(a)) for a, n in enumerate(unrolled)]

    def _force(self, support: Plate, pressure: float) -> float:
        """µN along the axis of the face that the plate exerts on the body."""
        sign = 1.0 if support.face[1] == "+" else -1.0
        area = float(np.prod(np.delete(self.domain.upper - self.domain.lower, "xyz".index(support.face[0]))))
        return -sign * pressure * area

    # -- vectors ---------------------------------------------------------------------------------

    def _assemble(self, vector: PETSc.Vec, form: Any) -> None:
        compat.assemble_vector(vector, form)
        if self._coupling is not None and form is self._residual:
            self._coupling.add_residual(vector)
        if self._coupling is not None and form is self._action:
            self._coupling.add_action(vector, self._direction)
        compat.add_ghosts(vector)

    def _owned(self) -> int:
        return int(self.space.dofmap.index_map.size_local)

    def _release(self, vector: PETSc.Vec) -> None:
        """Zero the components that are held."""
        values = vector.array.reshape(-1, 3)
        values[self._held[: self._owned()]] = 0.0

    def _set_direction(self, face: str, amount: float) -> None:
        self._direction.x.array.reshape(-1, 3)[self._faces[face], "xyz".index(face[0])] = amount

    def _add(self, vector: PETSc.Vec, factor: float) -> None:
        """Add a vector to the displacement."""
        compat.update_ghosts(vector)
        with vector.localForm() as local:
            self.displacement.x.array[:] += factor * local.array

    def _sum_on(self, vector: PETSc.Vec, face: str) -> Floats:
        nodes = self._faces[face]
        values = vector.array.reshape(-1, 3)[nodes[nodes < self._owned()]].sum(axis=0)
        return np.asarray(self.domain.comm.allreduce(values))

    # -- balance ---------------------------------------------------------------------------------

    def solve(self, values: Mapping[str, float], *, time: float | None = None) -> SolveRecord:
        """Find the balance; see `Solid.solve`."""
        for face, value in values.items():
            self._set_load(face, float(value))
        displacement, before = self.displacement.x.array.copy(), self.state()
        try:
            return self._newton(time)
        except NotConvergedError as error:
            self.worst = worst_place(self.domain, self.space, np.array(self._b.array))
            self.displacement.x.array[:] = displacement
            self.restore(before)
            if error.time is None:
                error.time = time
            raise

    def state(self) -> dict[str, Floats]:
        """Where plates and walls are, and the scale of forces."""
        walls = np.array(list(self._moved.values()), float)
        return {"plates": self.plate_values.copy(), "walls": walls, "forces": np.array([self._scale])}

    def restore(self, state: Mapping[str, Floats]) -> None:
        """Go back to what `state` returned (the displacement is restored by its owner)."""
        self.plate_values[:] = state["plates"]
        self._moved = dict(zip(self._moved, state["walls"].tolist(), strict=True))
        self._scale = float(state["forces"][0])

    def forget(self) -> None:
        """Drop what earlier solves left for later ones: the next one is then the same in a continued run."""
        if self.linear:
            return  # what it keeps is the same in every run
        self._renew()
        self._stale = True
        for response in self._responses:
            response.set(0.0)

    def solve_directly(self, on: bool) -> None:
        """Factorise from now on, or do as the options said again."""
        self._direct = on or self.options.direct
        self._renew()
        self._stale = True

    def _renew(self) -> None:
        if self._solver is not None:
            self._solver.close()
        self._solver = None

    def _set_load(self, face: str, value: float) -> None:
        for i, support in enumerate(self._plates):
            if support.face == face:
                self._plate_forces[i] = self._force(support, value)
                return
        if face not in self._closings:
            known = [*(s.face for s in self._plates), *self._closings]
            raise UsageError(
                f"{face!r} carries no load that can change;", hint="known: " + ", ".join(known) + "."
            )
        self._closings[face] = value

    def _newton(self, time: float | None) -> SolveRecord:
        linear_iterations, stalled = 0, 0
        self._least_scale = self._scale
        norm = self._evaluate()
        self._least_scale = self._scale
        target = self._moving()
        for iteration in range(self.options.max_iterations + 1):
            done = norm <= self.options.rtol * self._scale and not target
            if (done and (iteration > 0 or norm == 0.0)) or (done and not self.linear):
                size = 3 * self.space.dofmap.index_map.size_global
                return SolveRecord(iteration, linear_iterations, norm / max(self._scale, 1e-300), size)
            if iteration == self.options.max_iterations or not math.isfinite(norm):
                break
            if self._stale or not self.options.lazy:
                linear_iterations += self._prepare()
                self._stale = False
            linear_iterations += self._one_step(target)
            before, free = norm, bool(target) or iteration == 0
            norm = self._search(norm, first=free)
            self._stale = not norm < 0.1 * before
            stalled = 0 if free or norm < 0.5 * before else stalled + 1
            if stalled == STALLED:
                break
            target = {}
            log.debug("solid: iteration %d, residual %.3e of %.3e", iteration + 1, norm, self._scale)
        where = "" if time is None else f" at t = {time:g} s"
        raise NotConvergedError(
            f"no balance of the solid{where}: residual {norm:.3e} µN of {self._scale:.3e} µN after "
            f"{iteration} iterations;",
            reason="not a number"
            if not math.isfinite(norm)
            else "stalled"
            if stalled
            else "too many iterations",
            iterations=iteration,
            residual=norm / max(self._scale, 1e-300),
            time=time,
            hint=LIMIT_LOAD,
        )

    def _evaluate(self) -> float:
        """Norm of the residual of free components and plates; also the scale of forces, of this iterate and the start.

        Those of iterates in between do not count: a wild one would make all that follows converge too early.
        """
        self._assemble(self._full, self._residual)
        self._full.copy(self._b)
        self._release(self._b)
        plates = self._plate_residuals()
        norm = math.hypot(self._b.norm(), float(np.linalg.norm(plates)))
        largest = float(np.abs(self._plate_forces).max(initial=0.0))
        self._scale = max(self._least_scale, self._full.norm(), norm, largest)
        return norm

    def _plate_residuals(self) -> Floats:
        return np.array(
            [
                self._sum_on(self._full, s.face)["xyz".index(s.face[0])] - force
                for s, force in zip(self._plates, self._plate_forces, strict=True)
            ]
        )

    def _moving(self) -> dict[str, float]:
        """Walls that are not yet where they should be: face → missing displacement along its axis."""
        moves = {}
        for face, closing in self._closings.items():
            wanted = -closing if face[1] == "+" else closing
            if wanted != self._moved[face]:
                moves[face] = wanted - self._moved[face]
                self._moved[face] = wanted
        return moves

    def _prepare(self) -> int:
        """Assemble the matrix (once if it never changes) and the responses to a unit plate displacement."""
        if self._matrix is not None and self.linear:
            return 0
        if self._matrix is None:
            extra = () if self._coupling is None else (self._coupling.couplings,)
            self._matrix = compat.create_matrix_with(self._tangent, extra, self.domain.comm)
            self._gradients = [self._b.duplicate() for _ in self._plates]
            self._responses = [self._b.duplicate() for _ in self._plates]
        self._assemble_tangent(self._matrix)
        if self._solver is None:
            self._solver = self._make_solver()
        iterations = 0
        for support, gradient, response in zip(self._plates, self._gradients, self._responses, strict=True):
            self._direction.x.array[:] = 0.0
            self._set_direction(support.face, 1.0)
            self._assemble(gradient, self._action)
            gradient.copy(self._work)
            self._release(self._work)
            self._work.scale(-1.0)
            held = self._direction.x.array[: 3 * self._owned()] != 0.0
            response.array[held] = 0.0
            iterations += self._solve(self._work, response, warm=True)
            response.array[held] = 1.0
        return iterations

    def _assemble_tangent(self, matrix: PETSc.Mat) -> None:
        if self._coupling is None:
            compat.assemble_matrix(matrix, self._tangent, self._bcs)
            return
        if self._bulk is None:  # both before the first assembly ends: it drops the room that nobody used
            matrix.zeroEntries()
            self._coupling.add_tangent(matrix)
            compat.assemble_matrix(matrix, self._tangent, self._bcs, add=True)
            if not self._fixed_form:
                return
            compat.assemble_matrix(matrix, self._tangent, self._bcs)
            self._bulk = matrix.copy()
        self._bulk.copy(matrix, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        self._coupling.add_tangent(matrix)
        matrix.assemble()

    def _solve(self, right: PETSc.Vec, solution: PETSc.Vec, *, warm: bool = False) -> int:
        """Solve with the tangent, and see to it that the preconditioner is still good."""
        assert self._solver is not None
        found = self._solver.solve(right, solution, warm=warm).iterations
        # a Krylov method moves what is held by its tolerance, and nothing would bring it back
        self._release(solution)
        if self.options.lazy and not self._direct:
            if not self._fresh_iterations:
                self._fresh_iterations = max(found, 5)
                self._solver.ksp.getPC().setReusePreconditioner(True)
            elif found > 2 * self._fresh_iterations:
                self._renew()
                self._solver = self._make_solver()
        return found

    def _make_solver(self) -> LinearSolver:
        self._fresh_iterations = 0
        assert self._matrix is not None
        if self._direct:
            return LinearSolver(self._matrix, MUMPS, what="displacement")
        # Blocks of 3 and three smoothing steps: P2 then takes as many iterations on any mesh (27 at 1e-8).
        options: dict[str, Any] = {**GAMG, "mg_levels_pc_type": "pbjacobi", "mg_levels_ksp_max_it": 3}
        if not self.linear:
            options["pc_gamg_reuse_interpolation"] = True
        if not self.options.symmetric:
            options |= {"ksp_type": "gmres", "ksp_gmres_restart": 100}
        return LinearSolver(
            self._matrix,
            options,
            what="displacement",
            rtol=self.options.linear_rtol,
            max_iterations=self.options.max_linear_iterations,
            near_nullspace=rigid_body_modes(self.space),
        )

    def _one_step(self, target: Mapping[str, float]) -> int:
        """Solve for the Newton step into ``self._step`` (with ``self._plate_step``)."""
        assert self._solver is not None
        right, plates = self._b, self._plate_residuals()
        self._direction.x.array[:] = 0.0
        if target:
            for face, amount in target.items():
                self._set_direction(face, amount)
            self._assemble(self._work, self._action)
            plates = plates + [self._sum_on(self._work, s.face)["xyz".index(s.face[0])] for s in self._plates]
            self._release(self._work)
            right = self._work
            right.axpy(1.0, self._b)
        wall = self._direction.x.array[: 3 * self._owned()].copy()
        right.scale(-1.0)
        iterations = self._solve(right, self._step)
        self._plate_step = np.zeros(len(self._plates))
        if self._plates:
            stiffness = np.array([[g.dot(w) for w in self._responses] for g in self._gradients])
            known = plates + [g.dot(self._step) for g in self._gradients]
            if not np.all(np.isfinite(stiffness)) or np.linalg.cond(stiffness) > 1e14:
                raise NotConvergedError(
                    f"the body does not resist the plates (stiffness {np.diag(stiffness)} µN/µm);",
                    reason="no stiffness",
                    hint=LIMIT_LOAD,
                )
            self._plate_step = np.linalg.solve(stiffness, -known)
            for amount, response in zip(self._plate_step, self._responses, strict=True):
                self._step.axpy(float(amount), response)
        self._step.array[:] += wall
        return iterations

    def _search(self, norm: float, *, first: bool) -> float:
        """Take the step, or the part of it that lowers the residual (walls are moved in one go)."""
        self._add(self._step, 1.0)
        self.plate_values += self._plate_step
        new = self._evaluate()
        if self.linear or first:
            return new
        taken = 1.0
        while not new < norm and taken > 1 / 40:
            self._add(self._step, -taken / 2)
            self.plate_values -= taken / 2 * self._plate_step
            taken /= 2
            new = self._evaluate()
        return new

    # -- results ---------------------------------------------------------------------------------

    def plate_displacement(self, face: str) -> float:
        """See `Solid.plate_displacement`."""
        for support, value in zip(self._plates, self.plate_values, strict=True):
            if support.face == face:
                return float(value)
        known = ", ".join(s.face for s in self._plates) or "none"
        raise UsageError(f"there is no plate on {face!r};", hint=f"plates: {known}.")

    def reaction(self, face: str) -> Floats:
        """See `Solid.reaction`."""
        if face not in self._faces:
            raise UsageError(f"{face!r} is not supported;", hint="known: " + ", ".join(self._faces) + ".")
        self._assemble(self._full, self._residual)
        return self._sum_on(self._full, face)
