"""Better cells, smooth interfaces, right volumes: vertices move and cells swap, regions stay.

Vertices take guarded Newton steps that lower a shape energy; those of interfaces are pulled to where
the indicators of their regions are equal, shifted by an offset per region that makes its volume right.
Between sweeps edges and faces are swapped inside the regions. Last, the worst cells are improved one
by one. No step makes the worst angle at a vertex worse than it was (or than a threshold), so a valid
mesh stays valid.

References:
    L. Freitag, C. Ollivier-Gooch, Tetrahedral mesh improvement using swapping and smoothing,
    Int. J. Numer. Methods Eng. 40 (1997) 3979.
    B. M. Klingner, J. R. Shewchuk, Aggressive tetrahedral mesh improvement, 16th Int. Meshing
    Roundtable (2007) 3.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.meshing import improve_kernels as kernels
from pxm2mesh.meshing import swap_kernels as swaps
from pxm2mesh.meshing.assembly import Draft
from pxm2mesh.surface import InterfaceSurface

log = logging.getLogger(__name__)

_OWN_VOLUME = 8.0  # cells: smaller regions leave their volume to their phase
_LARGEST_SHIFT = 0.08  # cells, of an interface in one round of closing volumes
_FLAT = 4e-3  # squared gradient per voxel below which an indicator does not say where its surface is


@dataclass(frozen=True)
class ImproveOptions:
    """How long and how hard to improve.

    Attributes:
        sweeps: Newton sweeps over all vertices.
        pull: Weight of the pull to the interfaces against cell shape.
        keep_angle: Degrees; interfaces may take no angle below it (or below what it was).
        swap_angle: Degrees; cells below it are swapped where that helps.
        climb_angle: Degrees; the worst cells are improved one by one up to it.
        climbs: At most so many rounds of that.
    """

    sweeps: int = 7
    pull: float = 50.0
    keep_angle: float = 12.0
    swap_angle: float = 32.0
    climb_angle: float = 13.5
    climbs: int = 40


@dataclass(eq=False)
class _State:
    """Everything the kernels need, in units of the cell size."""

    points: npt.NDArray[np.float64]
    cells: npt.NDArray[np.int32]
    cell_region: npt.NDArray[np.int32]
    facets: npt.NDArray[np.int32]
    sides: npt.NDArray[np.int32]
    frozen: npt.NDArray[np.uint8]
    region_start: npt.NDArray[np.int32]
    regions: npt.NDArray[np.int32]
    group: npt.NDArray[np.int32]
    offset: npt.NDArray[np.float64]
    fields: npt.NDArray[np.float32]
    to_voxel: npt.NDArray[np.float64]
    flat2: float
    start: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    items: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    colour: npt.NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    classes: list[npt.NDArray[np.int32]] = field(default_factory=list)

    def connect(self) -> None:
        """Cells at points and colours, after the cells changed."""
        self.start, self.items = kernels.cells_of_points(self.cells, len(self.points))
        use = (self.start[1:] > self.start[:-1]) & (self.frozen != 7)
        self.colour = kernels.colour_points(self.cells, self.start, self.items, use)
        order = np.argsort(self.colour, kind="stable").astype(np.int32)
        edges = np.searchsorted(self.colour[order], np.arange(int(self.colour.max(initial=-1)) + 2))
        self.classes = [order[a:b] for a, b in pairwise(edges.tolist())]


def improve(made: Draft, surface: InterfaceSurface, options: ImproveOptions | None = None) -> dict[str, Any]:
    """Improve a draft in place.

    Args:
        made: The draft; its points and cells change, its facets and regions stay.
        surface: The smoothed surface it was made of. Its indicators and offsets say where interfaces
            belong; without a lattice interfaces stay where they are.
        options: How long and how hard.

    Returns:
        What was done: seconds per part, swaps, worst angle before and after.
    """
    options = options or ImproveOptions()
    started = time.perf_counter()
    unit, origin = _unit(surface)
    state = _prepare(made, surface, unit, origin)
    exact = made.points.copy()
    done: dict[str, Any] = {"swaps": 0, "worst_before": _worst_angle(state)}
    clock = {"swap": 0.0, "newton": 0.0, "climb": 0.0, "close": 0.0}
    keep = math.sin(math.radians(options.keep_angle))
    volumes = _Volumes(surface, unit)
    done["swaps"] += _timed(clock, "swap", lambda: _swap(state, options.swap_angle, 2))
    for sweep in range(options.sweeps):
        _timed(clock, "newton", lambda: _newton(state, options.pull, keep))
        volumes.correct(state, last=sweep == options.sweeps - 1)
        if sweep in (1, 3, options.sweeps - 1):
            done["swaps"] += _timed(clock, "swap", lambda: _swap(state, options.swap_angle, 1))
    done["swaps"] += _timed(clock, "climb", lambda: _climb(state, options))
    _timed(clock, "close", lambda: volumes.close(state, math.sin(math.radians(options.climb_angle))))
    fixed = np.stack([(state.frozen >> a) & 1 for a in range(3)], axis=1).astype(bool)
    made.points = np.where(fixed, exact, origin + state.points * unit)
    made.cells, made.cell_region = state.cells, state.cell_region
    done |= {
        "worst_after": _worst_angle(state),
        "seconds": {k: round(v, 3) for k, v in clock.items()}
        | {"all": round(time.perf_counter() - started, 3)},
        "volume_error": volumes.worst(state),
    }
    log.info("improved: worst angle %.2f → %.2f degrees, %d swaps, %s", done["worst_before"], done["worst_after"],
             done["swaps"], done["seconds"])  # fmt: skip
    return done


def _timed(clock: dict[str, float], name: str, work: Any) -> int:
    start = time.perf_counter()
    result = work()
    clock[name] += time.perf_counter() - start
    return int(result or 0)


def _unit(surface: InterfaceSurface) -> tuple[float, npt.NDArray[np.float64]]:
    """µm per unit (the cell size), and the corner of the lattice."""
    lattice = surface.lattice
    if lattice is None:
        area = float(np.median(surface.triangle_areas()))
        return math.sqrt(2 * area), surface.lower
    edges = lattice.cell_size * lattice.volume.spacing
    return float(np.prod(edges) ** (1 / 3)), lattice.volume.origin


def _prepare(made: Draft, surface: InterfaceSurface, unit: float, origin: npt.NDArray[np.float64]) -> _State:
    count = len(surface.region_phase)
    lattice = surface.lattice
    pulled = lattice is not None and lattice.indicators is not None
    if lattice is not None and lattice.indicators is not None:
        fields, group = lattice.indicators.values, lattice.region_group()
        to_voxel = unit / lattice.volume.spacing
        offset = np.zeros(count) if lattice.offsets is None else lattice.offsets.copy()
    else:
        fields, group = np.zeros((1, 2, 2, 2), np.float32), np.zeros(count, np.int32)
        to_voxel, offset = np.ones(3), np.zeros(count)
    frozen = np.zeros(len(made.points), np.uint8)
    for axis in range(3):
        at = (made.points[:, axis] == surface.lower[axis]) | (made.points[:, axis] == surface.upper[axis])
        frozen |= at.astype(np.uint8) << axis
    region_start, regions = _regions_at_points(made, len(made.points))
    if not pulled:  # nothing says where interfaces belong: they stay
        frozen[np.diff(region_start) > 0] = 7
    state = _State(
        (made.points - origin) / unit, made.cells.copy(), made.cell_region.copy(), made.facets, made.facet_sides,
        frozen, region_start, regions, np.ascontiguousarray(group, np.int32), offset,
        np.ascontiguousarray(fields), np.asarray(to_voxel, np.float64), _FLAT * float(np.min(to_voxel)) ** 2,
    )  # fmt: skip
    state.connect()
    return state


def _regions_at_points(made: Draft, count: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Regions at each point of a facet, ascending; none for points inside."""
    points = np.repeat(made.facets.ravel(), 2).astype(np.int64)
    regions = np.repeat(made.facet_sides, 3, axis=0).ravel()
    inside = regions > 0
    base = int(regions.max()) + 1
    pairs = np.unique(points[inside] * base + regions[inside])
    start = np.searchsorted(pairs // base, np.arange(count + 1))
    return start.astype(np.int32), (pairs % base).astype(np.int32)


def _worst_angle(state: _State) -> float:
    sine = np.empty(len(state.cells))
    kernels.cell_sines(state.points, state.cells, sine)
    worst = float(sine.min())
    return round(math.degrees(math.asin(min(1.0, worst))), 3) if worst > 0 else 0.0


def _newton(state: _State, pull: float, keep: float) -> None:
    for todo in state.classes:
        kernels.newton_sweep(
            todo, state.points, state.cells, state.start, state.items, state.region_start, state.regions,
            state.group, state.offset, state.fields, state.to_voxel, state.frozen, pull, keep, state.flat2,
        )  # fmt: skip


def _swap(state: _State, angle: float, passes: int) -> int:
    """Swap where it helps, then pack the cells (in their order)."""
    target = math.sin(math.radians(angle))
    count = len(state.cells)
    capacity = count + count // 8 + 1000
    cells = np.full((capacity, 4), -1, np.int32)
    near = np.full((capacity, 4), -1, np.int32)
    region = np.zeros(capacity, np.int32)
    sine = np.full(capacity, 2.0)
    cells[:count], region[:count] = state.cells, state.cell_region
    near[:count] = swaps.neighbours(state.cells, state.start, state.items)
    kernels.cell_sines(state.points, state.cells, sine[:count])
    free, used = np.empty(capacity, np.int32), np.array([count, 0], np.int64)
    total = 0
    for _ in range(passes):
        todo = np.flatnonzero(sine[: used[0]] < target)
        todo = todo[np.argsort(sine[todo], kind="stable")].astype(np.int32)
        done = swaps.swap_pass(state.points, cells, near, region, sine, free, used, todo, target)
        total += done
        if done * 200 < len(todo):
            break
    if total:
        keep = np.flatnonzero(cells[: used[0], 0] >= 0)
        keep = keep[np.argsort(region[keep], kind="stable")]
        state.cells, state.cell_region = cells[keep], region[keep]
        state.connect()
    return total


def _climb(state: _State, options: ImproveOptions) -> int:
    """Raise the worst cells: pattern search of their vertices, swaps now and then."""
    target = math.sin(math.radians(options.climb_angle))
    sine = np.empty(len(state.cells))
    total = 0
    for turn in range(options.climbs):
        if len(sine) != len(state.cells):
            sine = np.empty(len(state.cells))
        kernels.cell_sines(state.points, state.cells, sine)
        bad = np.unique(state.cells[sine < target])
        bad = bad[state.colour[bad] >= 0]
        if len(bad) == 0:
            break
        free_below = 0.6 if turn < options.climbs // 3 else 1.01
        for colour in range(len(state.classes)):
            todo = bad[state.colour[bad] == colour]
            kernels.climb(
                todo, state.points, state.cells, state.start, state.items, state.region_start, state.regions,
                state.group, state.fields, state.to_voxel, state.frozen, target, free_below, turn + 1,
            )  # fmt: skip
        if turn in (3, 9, 19):
            total += _swap(state, options.climb_angle, 1)
    return total


class _Volumes:
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

    def _missing(self, state: _State) -> npt.NDArray[np.float64]:
        got = kernels.region_volumes(state.points, state.facets, state.sides, len(self._wanted))
        missing = self._wanted - got
        missing[self._outside] = 0.0
        return np.asarray(missing)

    def correct(self, state: _State, *, last: bool) -> None:
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

    def close(self, state: _State, keep: float, rounds: int = 10) -> None:
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
        for turn in range(rounds):
            missing = self._missing(state)
            if turn >= rounds // 2:
                missing = self._shared_out(missing)
            if np.abs(missing).max() < 1e-9 * self._wanted.sum():
                break
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

    def _close_at_lines(self, state: _State, keep: float, rounds: int = 10) -> None:
        """What is missing still: points where three and more regions meet move too.

        In noise most points are of that kind. Point p moves by Σ λr gpr, gpr being what region r gains per
        displacement of p; λ solves the linear system that says what every region lacks.
        """
        free = (np.diff(state.region_start) >= 2) & (state.frozen != 7) & (state.colour >= 0)
        held = np.zeros(len(free), np.bool_)
        for turn in range(rounds):
            missing = self._missing(state)
            if turn >= rounds // 2:
                missing = self._shared_out(missing)
            if np.abs(missing).max() < 1e-9 * self._wanted.sum():
                break
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

    def _shared_out(self, missing: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What each region shall gain: the large ones what they lack, and all of a phase what its small ones lack."""
        result = np.zeros_like(missing)
        for phase in np.unique(self._phase[~self._outside]):
            of = (self._phase == phase) & ~self._outside
            large = of & (self._wanted > _OWN_VOLUME)
            if not large.any():
                large = of
            result[large] = missing[large]
            lost = missing[of].sum() - missing[large].sum()
            result[of] += lost * self._wanted[of] / max(self._wanted[of].sum(), 1e-300)
        return result

    def worst(self, state: _State) -> float:
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
    from scipy.sparse.linalg import spsolve

    matrix, count = matrix.tocsc(), len(missing)
    tiny = 1e-7 * max(float(matrix.diagonal().max()), 1e-300)
    return np.asarray(spsolve((matrix + tiny * identity(count, format="csc")).tocsc(), missing))


def _gains(state: _State, movable: npt.NDArray[np.bool_], count: int) -> list[Any]:
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


def _region_areas(state: _State, count: int) -> npt.NDArray[np.float64]:
    p = state.points[state.facets]
    area = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1) / 2
    area[(state.sides == 0).any(axis=1)] = 0.0
    return np.asarray(
        np.bincount(state.sides[:, 0], area, count) + np.bincount(state.sides[:, 1], area, count)
    )
