"""Conjugate gradients on a voxel lattice, preconditioned by a geometric multigrid cycle.

Vectors are single precision, sums double. The effective conductivity is followed itself: the dissipated
energy falls to it from above by exactly α (r, z) in every iteration, so the solver stops when what is
still to come is small beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.quantify import _operator_kernels as operator
from pxm2mesh.quantify import _smoother_kernels as smoother
from pxm2mesh.quantify._parallel import run_all
from pxm2mesh.quantify._stopping import Solution, iterations_to_come, remaining_error

logger = logging.getLogger(__name__)

F = np.float32
Array = npt.NDArray[np.float32]

_SWEEPS: tuple[Any, ...] = tuple(F(1 / (1.2 + 0.8 * c)) for c in np.cos(np.pi * np.array([1, 3]) / 4))
"""Weights of two damped Jacobi sweeps: Chebyshev on the upper part [0.4, 2] of the spectrum."""
_DIRECT = 300
"""Cells at which the coarsest level is solved directly."""
_PIECES = 8
"""Parts that a large level is worked on in; the same for any number of threads, and so is the result."""
_SMALL = 150_000
"""Cells below which a level is not shared between threads."""
_presmooth: Any = smoother.presmooth  # mypy cannot count the arguments of kernels called with *
_postsmooth: Any = smoother.postsmooth
_TRIAL, _PATIENCE, _WORTH = 8, 16, 12
"""A medium is hard when more than `_WORTH` iterations are still to come after `_TRIAL`, or after `_PATIENCE`."""
_CONTRAST = 200
"""Ratio of conductivities from which on blocks are not tried: their gains come in fits and end too early."""
_LARGEST_GRAPH = 40_000_000
"""Cells up to which a hard medium is solved as a graph (some 100 bytes each)."""
_NO_COUNT = np.zeros((1, 1, 1), np.uint8)
_NO_FACES = np.zeros((1, 1, 1), F)


@dataclass(eq=False)
class Operator:
    """The operator of one level, padded by one cell on every side; see the smoother for the three kinds."""

    kind: int
    shape: tuple[int, int, int]
    axis: Array
    count: npt.NDArray[np.uint8] = field(default_factory=lambda: _NO_COUNT)
    rho: Array = field(default_factory=lambda: _NO_FACES)
    kz: Array = field(default_factory=lambda: _NO_FACES)
    ky: Array = field(default_factory=lambda: _NO_FACES)
    kx: Array = field(default_factory=lambda: _NO_FACES)
    dg: Array = field(default_factory=lambda: _NO_FACES)

    @property
    def conducting(self) -> npt.NDArray[np.bool_]:
        """Padded, which cells of a finest level (kind 0 or 1) current can flow through."""
        inside = (self.count > 0) if self.kind == 0 else self.rho < smoother.LIMIT
        out = np.zeros(self.shape, np.bool_)
        out[1:-1, 1:-1, 1:-1] = inside[1:-1, 1:-1, 1:-1]
        return out

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What the smoothing kernels take."""
        return self.count, self.rho, self.axis, self.kz, self.ky, self.kx, self.dg


class Level:
    """One lattice of the hierarchy and the work of smoothing on it.

    Args:
        operator: Its operator.
        wrap: Whether the sides across the second and third axis are periodic.
        x: Unknowns to use; new zeros when None.
        b: Right-hand side to use; new zeros when None.
    """

    def __init__(
        self, operator: Operator, wrap: tuple[bool, bool], x: Array | None = None, b: Array | None = None
    ):
        self.operator = operator
        self.wrap = wrap
        self.x = np.zeros(operator.shape, F) if x is None else x
        self.b = np.zeros(operator.shape, F) if b is None else b
        planes = operator.shape[0] - 2
        pieces = 1 if self.b.size < _SMALL else _PIECES
        per = max(4, 2 * -(-planes // (2 * pieces)))
        self.chunks = [(k, min(k + per - 1, planes)) for k in range(1, planes + 1, per)]
        self.blank = np.zeros((3, *operator.shape[1:]), F)
        self.part = np.zeros(operator.shape[0])

    def _copies(self, reach: int) -> list[tuple[Array, Array]]:
        """For every chunk, copies of the ``reach`` planes before and after it."""
        if len(self.chunks) == 1:
            return [(self.blank, self.blank)]
        x, end = self.x, self.operator.shape[0]
        copies = []
        for first, last in self.chunks:
            low, high = (np.zeros((reach, *x.shape[1:]), F) for _ in range(2))
            start, stop = max(first - reach, 0), min(last + 1 + reach, end)
            low[reach - (first - start) :] = x[start:first]
            high[: stop - last - 1] = x[last + 1 : stop]
            copies.append((low, high))
        return copies

    def presmooth(self, coarse: Array, fresh: bool) -> None:
        """Two sweeps (from zero where ``fresh``); the restricted residual goes to ``coarse``."""
        copies = [(self.blank, self.blank)] * len(self.chunks) if fresh else self._copies(3)
        run_all(
            partial(
                _presmooth, first, last, self.operator.kind, fresh, *_SWEEPS, self.x, self.b,
                *self.operator.arrays, low, high, coarse, *self.wrap,
            )
            for (first, last), (low, high) in zip(self.chunks, copies, strict=True)
        )  # fmt: skip

    def postsmooth(self, coarse: Array) -> float:
        """Add the correction ``coarse`` and sweep twice in reverse order; returns b·x."""
        run_all(
            partial(
                _postsmooth, first, last, self.operator.kind, *_SWEEPS[::-1], self.x, self.b,
                *self.operator.arrays, low, high, coarse, *self.wrap, self.part,
            )
            for (first, last), (low, high) in zip(self.chunks, self._copies(2), strict=True)
        )  # fmt: skip
        return float(self.part.sum())


class Multigrid:
    """A hierarchy of lattices for one operator.

    Args:
        fine: The operator of the finest level, kind 0 or 1.
        wrap: Whether the sides across the second and third axis are periodic.
        transport: The axis between the plates.
        contrast: Largest over smallest conductivity.
    """

    def __init__(
        self, fine: Operator, wrap: tuple[bool, bool], transport: int, contrast: float = 1.0
    ) -> None:
        self.transport = transport
        self.contrast = contrast
        self.fine = Level(fine, wrap)
        self.levels: list[Level] = []
        operator_ = fine
        while True:
            operator_ = _coarser(operator_, wrap)
            self.levels.append(Level(operator_, wrap))
            active = int(np.count_nonzero(operator_.dg))
            if active <= _DIRECT or max(operator_.shape) <= 4:
                break
        self._direct = _inverse(operator_, wrap)

    def _cycle(self, depth: int) -> None:
        """Solve level ``depth`` roughly: two W-cycle turns, or directly on the coarsest."""
        level = self.levels[depth]
        if depth == len(self.levels) - 1:
            where, inverse = self._direct
            level.x[where] = operator.multiply(inverse, level.b[where])
            return
        below = self.levels[depth + 1]
        for turn in range(2):
            level.presmooth(below.b, fresh=turn == 0)
            self._cycle(depth + 1)
            level.postsmooth(below.x)

    def _precondition(self) -> float:
        """One symmetric cycle from residual ``fine.b`` to correction ``fine.x``; returns their product."""
        self.fine.presmooth(self.levels[0].b, fresh=True)
        self._cycle(0)
        return self.fine.postsmooth(self.levels[0].x)

    def solve(
        self,
        tolerance: float,
        limit: int,
        keep: bool,
        report: Callable[[int, float, float], None] = lambda iteration, energy, remaining: None,
    ) -> tuple[Solution, npt.NDArray[np.float64], Array]:
        """Iterate until the conductance has settled.

        Args:
            tolerance: Relative error of the conductance to stop at.
            limit: Most iterations.
            keep: Whether to keep the potential.
            report: Told the iteration, the conductance and the estimated error.

        Returns:
            How it ended; the (n + 1,) potential drops of the start profile; what is to be added to the
            profile's potential (padded; empty unless kept).
        """
        op = self.fine.operator
        drop, energy = self._profile()
        residual = self._start(drop)
        x = np.zeros(op.shape, F) if keep else _NO_FACES
        if residual <= 1e-20 * energy**2:
            return Solution(energy, 0, 0.0, True), drop, x
        if self.contrast > _CONTRAST and self._fits_graph():
            return self._go_on_as_graph(energy, 0, tolerance, limit, x if keep else None, report), drop, x
        p = np.zeros(op.shape, F)
        history: list[float] = []
        previous = 0.0
        remaining = np.inf
        for iteration in range(1, limit + 1):
            product = self._precondition()
            curvature = self._turn(p, product / previous if previous else 0.0)
            previous = product
            if not (product > 0 and curvature > 0):  # the residual is rounding: nothing is left to gain
                remaining = 0.0 if not history else remaining
                return Solution(energy, iteration, remaining, True), drop, x
            alpha = product / curvature
            self._advance(alpha, x, p, keep)
            energy -= alpha * product
            history.append(alpha * product / energy)
            remaining = remaining_error(history)
            report(iteration, energy, remaining)
            if not np.isfinite(energy) or energy <= 0:
                return Solution(energy, iteration, np.inf, False), drop, x
            if remaining < tolerance:
                return Solution(energy, iteration, remaining, True), drop, x
            if iteration >= _TRIAL and iteration < limit and self._is_hard(history, tolerance):
                del p
                found = self._go_on_as_graph(energy, iteration, tolerance, limit, x if keep else None, report)
                return found, drop, x
        return Solution(energy, limit, remaining, False), drop, x

    def _is_hard(self, history: list[float], tolerance: float) -> bool:
        slow = len(history) >= _PATIENCE or iterations_to_come(history, tolerance) > _WORTH
        return slow and self._fits_graph()

    def _fits_graph(self) -> bool:
        return int(np.count_nonzero(self.fine.operator.conducting)) <= _LARGEST_GRAPH

    def _go_on_as_graph(
        self, energy: float, done: int, tolerance: float, limit: int, x: Array | None,
        report: Callable[[int, float, float], None],
    ) -> Solution:  # fmt: skip
        """Finish with groups of connected cells in place of blocks."""
        from pxm2mesh.quantify._aggregation import AggregationMultigrid, matrix_of

        op = self.fine.operator
        cells = op.conducting
        self.levels.clear()  # their memory serves the graph
        residual = self.fine.b[cells].astype(np.float64)
        matrix = matrix_of(op.kind, op.count, op.rho, op.axis, self.fine.wrap, cells)
        logger.info("a hard medium for blocks of voxels: solved as a graph of %d cells", len(matrix))
        graph = AggregationMultigrid(matrix)
        found, correction = graph.solve(residual, energy, done, tolerance, limit, x is not None, report)
        if x is not None:
            x[cells] += correction.astype(F)
        return found

    def _profile(self) -> tuple[npt.NDArray[np.float64], float]:
        """Best potential that depends on the position along the axis only, and its energy."""
        op = self.fine.operator
        sums = np.zeros((op.shape[0], op.shape[self.transport] - 1))
        run_all(
            partial(operator.face_sums, a, b, op.kind, op.count, op.rho, self.transport, sums)
            for a, b in self.fine.chunks
        )
        resistance = 1 / sums.sum(axis=0)
        return resistance / resistance.sum(), float(1 / resistance.sum())

    def _start(self, drop: npt.NDArray[np.float64]) -> float:
        op, part = self.fine.operator, np.zeros(self.fine.operator.shape[0])
        axis, b = self.transport, self.fine.b
        if op.kind == 0:
            kernel: Callable[..., Any] = partial(operator.start_residual_of_one, count=op.count)
        else:
            kernel = partial(operator.start_residual, kind=op.kind, count=op.count, rho=op.rho)
        run_all(
            partial(kernel, first, last, axis=axis, drop=drop, r=b, part=part)
            for first, last in self.fine.chunks
        )
        return float(part.sum())

    def _turn(self, p: Array, beta: float) -> float:
        """``p = z + beta p``, then ``z = A p``; returns p·A p."""
        level, op = self.fine, self.fine.operator
        z, scale = level.x, F(beta)
        edges = []
        for first, last in level.chunks:
            pair = [z[k] + scale * p[k] for k in (first - 1, last + 1)]
            for plane in pair:
                _wrap(plane, level.wrap)
            edges.append(pair)
        part = np.zeros(op.shape[0])
        run_all(
            partial(
                smoother.turn_and_apply, first, last, op.kind, scale, p, z, op.count, op.rho, op.axis,
                low, high, *level.wrap, part,
            )
            for (first, last), (low, high) in zip(level.chunks, edges, strict=True)
        )  # fmt: skip
        return float(part.sum())

    def _advance(self, alpha: float, x: Array, p: Array, keep: bool) -> None:
        level, part = self.fine, np.zeros(self.fine.operator.shape[0])
        run_all(
            partial(smoother.advance, first, last, F(alpha), level.b, level.x, x, p, keep, part)
            for first, last in level.chunks
        )


def _wrap(plane: Array, wrap: tuple[bool, bool]) -> None:
    if wrap[0]:
        plane[0], plane[-1] = plane[-2], plane[1]
    if wrap[1]:
        plane[:, 0], plane[:, -1] = plane[:, -2], plane[:, 1]


def _coarser(fine: Operator, wrap: tuple[bool, bool]) -> Operator:
    nz, ny, nx = ((n - 1) // 2 + 2 for n in fine.shape)
    shape = (nz, ny, nx)
    kz, ky, kx, dg = (np.zeros(shape, F) for _ in range(4))
    pieces = 1 if dg.size < _SMALL // 8 else _PIECES
    edges = np.linspace(0, nz - 1, pieces + 1).astype(int)
    spans = [(int(a), int(b) - 1) for a, b in pairwise(edges) if b > a]
    if fine.kind == 0:
        run_all(partial(operator.coarsen_one, a, b, fine.count, kz, ky, kx) for a, b in spans)
    else:
        faces = fine.kz, fine.ky, fine.kx
        run_all(
            partial(operator.coarsen, a, b, fine.kind, fine.count, fine.rho, fine.axis, *faces, kz, ky, kx)
            for a, b in spans
        )
    run_all(partial(operator.diagonal, max(a, 1), b, kz, ky, kx, dg) for a, b in spans)
    return Operator(2, shape, fine.axis, kz=kz, ky=ky, kx=kx, dg=dg)


def _inverse(op: Operator, wrap: tuple[bool, bool]) -> tuple[tuple[npt.NDArray[np.intp], ...], Array]:
    """Where the coarsest operator acts, and its inverse there."""
    where = np.nonzero(op.dg)
    number = np.full(op.shape, -1)
    number[where] = np.arange(len(where[0]))
    periodic = (False, *wrap)
    matrix = np.diag(op.dg[where].astype(np.float64))
    for axis, faces in enumerate((op.kz, op.ky, op.kx)):
        conductance = faces[where].astype(np.float64)
        upper = [w.copy() for w in where]
        upper[axis] += 1
        if periodic[axis]:
            upper[axis][upper[axis] > op.shape[axis] - 2] = 1
        other = number[tuple(upper)]
        joined = (conductance > 0) & (other >= 0)
        own, neighbour, value = np.flatnonzero(joined), other[joined], conductance[joined]
        np.add.at(matrix, (own, neighbour), -value)
        np.add.at(matrix, (neighbour, own), -value)
    operator.invert(matrix)
    return where, matrix.astype(F)
