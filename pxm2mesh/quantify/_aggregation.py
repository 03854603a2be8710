"""Multigrid on the graph of the conducting voxels, for media that blocks of voxels describe badly.

Blocks of 2×2×2 voxels join passages that have nothing to do with each other: near the percolation threshold
the geometric cycle then needs a hundred iterations and more. Here groups are grown along the strongest
conductances, so only cells that conduct to each other are ever joined, and a coarse problem is
solved by two steps of conjugate gradients of its own (K-cycle).

References:
    Y. Notay, Electron. Trans. Numer. Anal. 37, 123 (2010) (aggregation by pairwise matching);
    Y. Notay and P. Vassilevski, Numer. Linear Algebra Appl. 15, 473 (2008) (K-cycle);
    Y. Notay, SIAM J. Sci. Comput. 22, 1444 (2000) (flexible conjugate gradients).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from pxm2mesh.quantify import _aggregation_kernels as kernels
from pxm2mesh.quantify import _operator_kernels as operator
from pxm2mesh.quantify._parallel import ranges, run_all
from pxm2mesh.quantify._stopping import Solution, remaining_error

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.integer]

_PASSES = 2
"""Rounds of pairing from one level to the next: groups of four cells and some."""
_WEAKEST = 0.05
"""Strength below which cells are not joined, as long as there are stronger ties left."""
_DIRECT = 400
"""Cells at which the coarsest level is solved directly."""
_ENOUGH = 0.25
"""A coarse problem whose residual fell below this share in one step gets no second one."""


@dataclass(eq=False)
class Matrix:
    """A symmetric matrix by rows: positive conductances to other cells and the diagonal."""

    start: Index
    column: Index
    value: npt.NDArray[np.float32]
    diagonal: Float

    def __len__(self) -> int:
        return len(self.diagonal)

    @property
    def arrays(self) -> tuple[Index, Index, npt.NDArray[np.float32], Float]:
        """What the kernels take."""
        return self.start, self.column, self.value, self.diagonal


class Level:
    """One matrix of the hierarchy, and the groups that make the next."""

    def __init__(self, matrix: Matrix, group: Index) -> None:
        self.matrix = matrix
        self.group = group
        self.x = np.zeros(len(matrix))


class AggregationMultigrid:
    """A hierarchy of graphs.

    Args:
        matrix: The finest one.
    """

    def __init__(self, matrix: Matrix) -> None:
        self.levels: list[Level] = []
        weakest = _WEAKEST
        while len(matrix) > _DIRECT and weakest > 1e-12:
            group, coarse = _coarser(matrix, weakest)
            if len(coarse) > 0.8 * len(matrix):
                weakest *= 0.1
                continue
            self.levels.append(Level(matrix, group))
            matrix = coarse
        self.coarsest = matrix
        dense = np.diag(matrix.diagonal)
        rows = np.repeat(np.arange(len(matrix)), np.diff(matrix.start))
        dense[rows, matrix.column] = -matrix.value
        operator.invert(dense)
        self._inverse = dense

    def solve(
        self,
        residual: Float,
        energy: float,
        done: int,
        tolerance: float,
        limit: int,
        keep: bool,
        report: Callable[[int, float, float], None],
    ) -> tuple[Solution, Float]:
        """Flexible conjugate gradients from a given residual on.

        Args:
            residual: (n,) changed in place.
            energy: Conductance so far.
            done: Iterations so far.
            tolerance: Relative error of the conductance to stop at.
            limit: Most iterations, those done included.
            keep: Whether to sum up the correction.
            report: Told the iteration, the conductance and the estimated error.

        Returns:
            How it ended, and the (n,) correction, empty unless kept.
        """
        matrix = self.levels[0].matrix.arrays if self.levels else self.coarsest.arrays
        x = np.zeros(len(residual) if keep else 0)
        p, q = np.zeros_like(residual), np.zeros_like(residual)
        curvature, remaining = 1.0, np.inf
        history: list[float] = []
        for iteration in range(done + 1, limit + 1):
            z = self.precondition(residual)
            p *= -float(z @ q) / curvature
            p += z
            curvature = kernels.apply(*matrix, p, q)
            product = float(residual @ p)
            if not (product > 0 and curvature > 0):  # the residual is rounding: nothing is left to gain
                return Solution(energy, iteration, remaining if history else 0.0, True), x
            alpha = product / curvature
            residual -= alpha * q
            if keep:
                x += alpha * p
            energy -= alpha * product
            history.append(alpha * product / energy)
            remaining = remaining_error(history)
            report(iteration, energy, remaining)
            if not np.isfinite(energy) or energy <= 0:
                return Solution(energy, iteration, np.inf, False), x
            if remaining < tolerance:
                return Solution(energy, iteration, remaining, True), x
        return Solution(energy, limit, remaining, False), x

    def precondition(self, b: Float, depth: int = 0) -> Float:
        """Solve level ``depth`` roughly; the result is overwritten by the next call on that level."""
        if depth == len(self.levels):
            return np.asarray(operator.multiply(self._inverse, b))
        level = self.levels[depth]
        matrix = level.matrix.arrays
        below = len(self.levels[depth + 1].matrix) if depth + 1 < len(self.levels) else len(self.coarsest)
        coarse = np.empty(below)
        kernels.sweep_forward(*matrix, b, level.x)
        kernels.restrict(*matrix, b, level.x, level.group, coarse)
        kernels.sweep_backward(*matrix, b, level.x, level.group, self._inner(coarse, depth + 1))
        return level.x

    def _inner(self, b: Float, depth: int) -> Float:
        """One or two steps of flexible conjugate gradients on level ``depth``."""
        if depth == len(self.levels):
            return self.precondition(b, depth)
        matrix = self.levels[depth].matrix.arrays
        p = self.precondition(b, depth).copy()
        q = np.empty_like(b)
        curvature = kernels.apply(*matrix, p, q)
        if curvature <= 0:
            return p
        alpha = float(p @ b) / curvature
        rest = b - alpha * q
        if rest @ rest <= _ENOUGH**2 * (b @ b):
            return alpha * p
        z = self.precondition(rest, depth)
        across = float(z @ q)
        second = z - (across / curvature) * p
        w = np.empty_like(b)
        curvature = kernels.apply(*matrix, second, w)
        if curvature > 0:
            return alpha * p + float(second @ rest) / curvature * second
        return alpha * p


def _coarser(matrix: Matrix, weakest: float) -> tuple[Index, Matrix]:
    """Group of each cell, and the matrix between groups, after several rounds of pairing."""
    whole: Index | None = None
    for _ in range(_PASSES):
        degree = np.diff(matrix.start)
        order = np.argsort(degree, kind="stable").astype(np.int32)  # ends of branches choose first
        group = np.empty(len(matrix), np.int32)
        groups = kernels.pair(order, weakest, *matrix.arrays, group)
        members = np.argsort(group, kind="stable").astype(np.int32)
        first = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))])
        start = np.empty(groups + 1, np.int64)
        column = np.empty(len(matrix.column), np.int32)
        value = np.empty(len(matrix.column), np.float64)
        diagonal = np.empty(groups)
        used = kernels.merge(groups, members, first, group, *matrix.arrays, start, column, value, diagonal)
        matrix = Matrix(start, column[:used].copy(), value[:used].astype(np.float32), diagonal)
        whole = group if whole is None else group[whole]
        if groups <= _DIRECT // 2:
            break
    assert whole is not None
    return whole, matrix


def matrix_of(
    kind: int,
    count: npt.NDArray[np.uint8],
    rho: npt.NDArray[np.float32],
    axis: npt.NDArray[np.float32],
    wrap: tuple[bool, bool],
    active: npt.NDArray[np.bool_],
) -> Matrix:
    """The matrix between the conducting voxels of a padded lattice.

    Args:
        kind: How the operator is stored, 0 or 1.
        count: Operator, kind 0.
        rho: Operator, kind 1.
        axis: (3,) factors of the directions.
        wrap: Whether the second and third axis are periodic.
        active: Padded, which cells conduct; False on the padding.

    Returns:
        Rows in memory order of the cells.
    """
    cells = int(np.count_nonzero(active))
    number = np.full(active.shape, -1, np.int32)
    number[active] = np.arange(cells, dtype=np.int32)
    planes = active.shape[0] - 2
    parts = [(a + 1, b) for a, b in ranges(planes, 8)]
    length = np.zeros(cells, np.int64)
    run_all(partial(kernels.row_lengths, a, b, number, *wrap, length) for a, b in parts)
    start = np.concatenate([[0], np.cumsum(length)])
    column, value = np.empty(start[-1], np.int32), np.empty(start[-1], np.float32)
    diagonal = np.empty(cells)
    run_all(
        partial(
            kernels.fill_rows, a, b, kind, count, rho, axis, number, *wrap, start, column, value, diagonal
        )
        for a, b in parts
    )
    return Matrix(start, column, value, diagonal)
