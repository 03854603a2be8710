"""Linear solvers: PETSc with the options that were tried on these problems, and errors that say why."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from dolfinx import fem
from petsc4py import PETSc

from pxm2mesh.errors import NotConvergedError
from simulations.base import compat

log = logging.getLogger(__name__)
_numbers = itertools.count()

Options = Mapping[str, Any]

HYPRE: Options = MappingProxyType(
    {
        "ksp_type": "cg",
        "pc_type": "hypre",
        "pc_hypre_type": "boomeramg",
        "pc_hypre_boomeramg_strong_threshold": 0.5,
        "pc_hypre_boomeramg_coarsen_type": "HMIS",
        "pc_hypre_boomeramg_interp_type": "ext+i",
        "pc_hypre_boomeramg_P_max": 4,
        "pc_hypre_boomeramg_agg_nl": 1,
    }
)
"""Scalar elliptic problems: conjugate gradients with BoomerAMG tuned for tetrahedra."""
GAMG: Options = MappingProxyType(
    {
        "ksp_type": "cg",
        "pc_type": "gamg",
        "pc_gamg_threshold": 0.01,
        "mg_levels_ksp_type": "chebyshev",
        "mg_levels_pc_type": "jacobi",
        "mg_levels_esteig_ksp_type": "cg",
        "mg_levels_ksp_chebyshev_esteig_steps": 10,
    }
)
"""Elasticity: conjugate gradients with smoothed aggregation; give it `rigid_body_modes`."""
MUMPS: Options = MappingProxyType(
    {"ksp_type": "preonly", "pc_type": "lu", "pc_factor_mat_solver_type": "mumps"}
)
"""Direct factorisation: robust, and dear above some 100,000 unknowns."""
JACOBI: Options = MappingProxyType({"ksp_type": "cg", "pc_type": "jacobi"})
"""Mass-dominated problems."""

_REASONS = {
    value: name.lower().replace("_", " ")
    for name, value in vars(PETSc.KSP.ConvergedReason).items()
    if isinstance(value, int) and not name.startswith("_")
}
_REMEDIES = {
    "diverged max it": "allow more iterations ([solver] max_iterations) or look for cells of very bad shape.",
    "diverged nanorinf": "a coefficient, a boundary value or a cell is not finite: check the inputs.",
    "diverged indefinite pc": "use another preconditioner (gamg) or a direct solver.",
    "diverged indefinite mat": "the problem is not positive definite: check coefficients and constraints.",
    "diverged pcsetup failed": "the matrix is singular or not finite: is every part held or connected?",
}


@dataclass(frozen=True)
class SolveRecord:
    """What one linear solve took.

    Attributes:
        iterations: Of the Krylov method.
        residual: Last residual norm, relative to the right-hand side.
        reason: Why it stopped.
        unknowns: Rows of the matrix.
        seconds: Wall time, set-up of the preconditioner included.
    """

    iterations: int
    residual: float
    reason: str
    unknowns: int
    seconds: float


@contextmanager
def _petsc_options(prefix: str, options: Options) -> Iterator[None]:
    database = PETSc.Options()
    for key, value in options.items():
        database[prefix + key] = value
    try:
        yield
    finally:
        for key in options:
            database.delValue(prefix + key)


class LinearSolver:
    """A matrix with a way to solve with it.

    Args:
        matrix: The operator.
        options: PETSc options without prefix, such as `HYPRE`.
        what: What is solved for, for messages: ``"potential"``.
        rtol: Relative residual at which a Krylov method stops.
        atol: Absolute residual at which it stops too.
        max_iterations: Before it is given up.
        near_nullspace: What the coarse levels of `GAMG` must represent.

    Example:
        >>> solver = LinearSolver(matrix, HYPRE, what="potential")  # doctest: +SKIP
        >>> solver.solve(right, solution).iterations  # doctest: +SKIP
        14
    """

    def __init__(
        self,
        matrix: PETSc.Mat,
        options: Options = HYPRE,
        *,
        what: str,
        rtol: float = 1e-10,
        atol: float = 1e-50,
        max_iterations: int = 1000,
        near_nullspace: PETSc.NullSpace | None = None,
    ) -> None:
        self.what = what
        self.direct = options.get("ksp_type") == "preonly"
        prefix = f"pxm2mesh_{next(_numbers)}_"
        if near_nullspace is not None:
            matrix.setNearNullSpace(near_nullspace)
        self.ksp = PETSc.KSP().create(matrix.getComm())
        self.ksp.setOptionsPrefix(prefix)
        self.ksp.setOperators(matrix)
        self.ksp.setTolerances(rtol=rtol, atol=atol, max_it=max_iterations)
        if not self.direct:  # the true residual, whatever the preconditioner
            self.ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
            self.ksp.setPCSide(
                PETSc.PC.Side.RIGHT if "gmres" in str(options.get("ksp_type")) else PETSc.PC.Side.LEFT
            )
        with _petsc_options(prefix, options):
            self.ksp.setFromOptions()
            self.ksp.getPC().setOptionsPrefix(prefix)
        self._prefix, self._options, self._ready, self._rtol = prefix, options, False, rtol

    def solve(
        self, right: PETSc.Vec, solution: PETSc.Vec, *, rtol: float | None = None, warm: bool = False
    ) -> SolveRecord:
        """Solve and check.

        Args:
            right: The right-hand side.
            solution: Result, and start value if ``warm``; ghosts are updated.
            rtol: Relative residual for this solve only.
            warm: Start from ``solution``; a direct solver does not care.

        Returns:
            What it took.

        Raises:
            NotConvergedError: With PETSc's reason and what to do.
        """
        start = time.perf_counter()
        if not self._ready:  # the levels of a multigrid read their options at set-up
            with _petsc_options(self._prefix, self._options):
                self.ksp.setUp()
            self._ready = True
        self.ksp.setTolerances(rtol=self._rtol if rtol is None else rtol)
        if not self.direct:
            self.ksp.setInitialGuessNonzero(warm)
        self.ksp.solve(right, solution)
        compat.update_ghosts(solution)
        code = self.ksp.getConvergedReason()
        reason = _REASONS.get(code, str(code))
        scale = right.norm()
        residual = self.ksp.getResidualNorm() / scale if scale > 0 else 0.0
        record = SolveRecord(
            self.ksp.getIterationNumber(), residual, reason, right.getSize(), time.perf_counter() - start
        )
        finite = bool(np.isfinite(solution.norm()))
        if code < 0 or not finite:
            raise NotConvergedError(
                f"solving for the {self.what} ({record.unknowns:,} unknowns) failed after "
                f"{record.iterations} iterations at a relative residual of {residual:.2e}: "
                f"{reason if finite else 'not a number'};",
                reason=reason,
                iterations=record.iterations,
                residual=residual,
                hint=_REMEDIES.get(reason, "check coefficients, constraints and cell shapes."),
            )
        log.debug(
            "%s: %d iterations, residual %.1e, %.2f s", self.what, record.iterations, residual, record.seconds
        )
        return record

    def keep(self, on: bool) -> None:
        """Whether the preconditioner stays as it is while the matrix changes; a direct solver does not keep it."""
        if not self.direct:
            self.ksp.getPC().setReusePreconditioner(on)

    def close(self) -> None:
        """Free what PETSc holds for the preconditioner."""
        self.ksp.destroy()


def rigid_body_modes(space: fem.FunctionSpace) -> PETSc.NullSpace:
    """Orthonormal translations and rotations of a vector space, as a near-nullspace for `GAMG`.

    Args:
        space: Three components per node.
    """
    owned = space.dofmap.index_map.size_local
    x = space.tabulate_dof_coordinates()[:owned]
    x = x - space.mesh.comm.allreduce(x.sum(axis=0)) / max(space.dofmap.index_map.size_global, 1)
    modes = np.zeros((6, owned, 3))
    for axis in range(3):
        modes[axis, :, axis] = 1.0
    for mode, (a, b) in enumerate(((0, 1), (1, 2), (2, 0)), start=3):
        modes[mode, :, a], modes[mode, :, b] = -x[:, b], x[:, a]
    vectors: list[PETSc.Vec] = []
    for mode in modes:
        vector = PETSc.Vec().createMPI((owned * 3, None), bsize=3, comm=space.mesh.comm)
        vector.array[:] = mode.ravel()
        for _ in range(2):  # twice is enough
            for other in vectors:
                vector.axpy(-vector.dot(other), other)
        vector.normalize()
        vectors.append(vector)
    return PETSc.NullSpace().create(vectors=vectors, comm=space.mesh.comm)
