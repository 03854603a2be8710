"""Brings the regions of a draft to the volumes of their voxels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.meshing import improve_kernels as kernels
from pxm2mesh.surface import InterfaceSurface

if TYPE_CHECKING:
    from pxm2mesh.meshing.improve import State

_OWN_VOLUME = 8.0  # cells: smaller regions leave their volume to their phase
_LARGEST_SHIFT = 0.08  # cells, of an interface in one round of closing volumes


class Volumes:
    """Brings phases and regions to their voxel volumes.

    During the sweeps by offsets on the indicators, at the end by shifting interfaces along their normals.

    Args:
        surface: With the voxel volumes.
        unit: µm per unit of length.
    """

    def __init__(self, surface: InterfaceSurface, unit: float) -> None:
        self._wanted = surface.region_volume / unit**3
        self._phase = np.unique(surface.region_phase, return_inverse=True)[1]
        self._outside = surface.region_phase == surface.region_phase[0]
        lattice = surface.lattice
        self._slope = 1.0
        if lattice is not None and lattice.indicators is not None:
            self._slope = (
                unit
                / float(np.mean(lattice.volume.spacing))
                / max(float(lattice.indicators.sigma.mean()), 0.7)
            )

    def _missing(self, state: State) -> npt.NDArray[np.float64]:
        got = kernels.region_volumes(state.points, state.facets, state.sides, len(self._wanted))
        missing = self._wanted - got
        missing[self._outside] = 0.0
        return np.asarray(missing)

    def correct(self, state: State, *, last: bool) -> None:
        """Shift offsets by what is missing over the area, times the slope of an indicator."""
        if last or len(state.fields) < 2:
            return
        missing, area = self._missing(state), _region_areas(state, len(self._wanted))
        sums = [np.bincount(self._phase, values) for values in (missing, area)]
        by_phase = (sums[0] / np.maximum(sums[1], 1e-12))[self._phase]
        alone = np.clip(missing / np.maximum(area, 1e-12) - by_phase, -0.1, 0.1)
        big = self._wanted > _OWN_VOLUME  # a region of a few cells has no shape to hold
        state.offset += 0.7 * self._slope * (by_phase + 0.6 * np.where(big, alone, 0.0))
        state.offset[~self._outside] -= np.average(
            state.offset[~self._outside], weights=area[~self._outside] + 1e-12
        )
        state.offset[self._outside] = 0.0

    def close(self, state: State, keep: float, rounds: int = 10) -> None:
        """Shift interfaces so that the volumes of regions, and of phases, become exact.

        The points between regions a and b move by λa − λb along their normal; λ solves the linear system
        that says what every region lacks. Points whose cells would suffer stay, and the others make up for
        it in the next round. What the smallest regions still lack in the end is given to the large ones of their phase.
        """
        counts = np.diff(state.region_start)
        free = (counts == 2) & (state.frozen != 7) & (state.colour >= 0)
        first = state.region_start[:-1][free]
        low, high = np.full(len(free), 0), np.full(len(free), 0)
        low[free], high[free] = state.regions[first], state.regions[first + 1]
        held = np.zeros(len(free), np.bool_)
        for missing in self._wants(state, rounds):
            gradient = kernels.volume_gradients(state.points, state.facets, state.sides, len(state.points))
            for axis in range(3):
                gradient[(state.frozen >> axis) & 1 == 1, axis] = 0.0
            weight = np.linalg.norm(gradient, axis=1)
            use = np.flatnonzero(free & ~held & (weight > 1e-9))
            if len(use) == 0:
                break
            shift = _solve_shifts(missing, low[use], high[use], weight[use])
            move = np.zeros_like(state.points)
            amount = np.clip(shift[low[use]] - shift[high[use]], -_LARGEST_SHIFT, _LARGEST_SHIFT)
            move[use] = gradient[use] * (amount / weight[use])[:, None]
            movable = np.zeros(len(free), np.bool_)
            movable[use] = True
            for todo in state.classes:
                kernels.shift_points(
                    todo[movable[todo]], state.points, state.cells, state.start, state.items, move, keep, held
                )
        self._close_at_lines(state, keep)

    def _close_at_lines(self, state: State, keep: float, rounds: int = 10) -> None:
        """What is missing still: points where three and more regions meet move too.

        In noise most points are of that kind. Point p moves by Σ λr gpr, gpr being what region r gains per
        displacement of p; λ solves the linear system that says what every region lacks.
        """
        free = (np.diff(state.region_start) >= 2) & (state.frozen != 7) & (state.colour >= 0)
        held = np.zeros(len(free), np.bool_)
        for missing in self._wants(state, rounds):
            movable = free & ~held
            gains = _gains(state, movable, len(self._wanted))
            size = np.sqrt(sum(g.multiply(g).sum(axis=1) for g in gains))
            if not np.any(size > 1e-9):
                break
            weight = np.where(size > 1e-9, 1.0 / np.maximum(size, 1e-9), 0.0)
            scaled = [(g.multiply(weight[:, None])).tocsr() for g in gains]
            matrix = sum(g.T @ w for g, w in zip(gains, scaled, strict=True))
            factor = _solve(matrix, missing)
            move = np.stack([w @ factor for w in scaled], axis=1)
            length = np.linalg.norm(move, axis=1)
            move *= np.minimum(1.0, _LARGEST_SHIFT / np.maximum(length, 1e-300))[:, None]
            movable &= length > 1e-12
            for todo in state.classes:
                kernels.shift_points(
                    todo[movable[todo]], state.points, state.cells, state.start, state.items, move, keep, held
                )

    def _wants(self, state: State, rounds: int) -> Iterator[npt.NDArray[np.float64]]:
        """What every region shall gain, round by round until nothing is missing; in the second half shared out."""
        for turn in range(rounds):
            missing = self._missing(state)
            if turn >= rounds // 2:
                missing = self._shared_out(missing)
            if np.abs(missing).max() < 1e-9 * self._wanted.sum():
                return
            yield missing

    def _shared_out(self, missing: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What each region shall gain: the large ones what they lack, and all of a phase what its small ones lack."""
        result = np.zeros_like(missing)
        for phase in np.unique(self._phase[~self._outside]):
            of = (self._phase == phase) & ~self._outside
            large = of & (self._wanted > _OWN_VOLUME)
            result[large] = missing[large]
            lost = missing[of].sum() - missing[large].sum()
            most = self._wanted[large].sum() > 0.9 * self._wanted[of].sum()
            able = large if most else of  # few large ones cannot make up for many small ones
            result[able] += lost * self._wanted[able] / max(self._wanted[able].sum(), 1e-300)
        return result

    def worst(self, state: State) -> float:
        """Largest relative error of a phase."""
        missing = self._missing(state)
        lacking, wanted = np.bincount(self._phase, missing), np.bincount(self._phase, self._wanted)
        known = wanted > 0
        return float(np.max(np.abs(lacking[known] / wanted[known]), initial=0.0))


def _solve_shifts(
    missing: npt.NDArray[np.float64],
    low: npt.NDArray[Any],
    high: npt.NDArray[Any],
    weight: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """λ with Σ weight (λ_low − λ_high) = missing for every region, in the sense of least squares where it must."""
    from scipy.sparse import coo_array

    count = len(missing)
    rows = np.concatenate([low, high, low, high])
    columns = np.concatenate([low, high, high, low])
    values = np.concatenate([weight, weight, -weight, -weight])
    return _solve(coo_array((values, (rows, columns)), shape=(count, count)), missing)


def _solve(matrix: Any, missing: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Solution of a symmetric system that may leave some combinations open."""
    from scipy.sparse import identity
    from scipy.sparse.linalg import splu

    matrix, count = matrix.tocsc(), len(missing)
    tiny = 1e-7 * max(float(matrix.diagonal().max()), 1e-300)
    regular = (matrix + tiny * identity(count, format="csc")).tocsc()
    factor = splu(regular, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return np.asarray(factor.solve(missing))


def _gains(state: State, movable: npt.NDArray[np.bool_], count: int) -> list[Any]:
    """Three sparse matrices (points × regions): what a region gains per displacement of a point along x, y, z."""
    from scipy.sparse import coo_array

    inner = (state.sides > 0).all(axis=1)
    facets, sides = state.facets[inner], state.sides[inner]
    p = state.points[facets]
    vector = np.tile(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]) / 6, (3, 1))
    point, low, high = facets.T.ravel(), np.tile(sides[:, 0], 3), np.tile(sides[:, 1], 3)
    gains = []
    for axis in range(3):
        able = movable[point] & ((state.frozen[point] >> axis) & 1 == 0)
        values = np.where(able, vector[:, axis], 0.0)
        where = (np.concatenate([point, point]), np.concatenate([low, high]))
        gains.append(
            coo_array((np.concatenate([values, -values]), where), shape=(len(state.points), count)).tocsr()
        )
    return gains


def _region_areas(state: State, count: int) -> npt.NDArray[np.float64]:
    p = state.points[state.facets]
    area = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1) / 2
    area[(state.sides == 0).any(axis=1)] = 0.0
    return np.asarray(
        np.bincount(state.sides[:, 0], area, count) + np.bincount(state.sides[:, 1], area, count)
    )
