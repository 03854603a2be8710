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
from pxm2mesh.meshing.volumes import Volumes
from pxm2mesh.surface import InterfaceSurface

log = logging.getLogger(__name__)

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
class State:
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
    near: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 4), np.int32))

    def connect(self) -> None:
        """Cells at points and colours, after the cells changed; swaps keep track of neighbours by themselves."""
        self.start, self.items = kernels.cells_of_points(self.cells, len(self.points))
        if len(self.near) != len(self.cells):
            self.near = swaps.neighbours(self.cells, self.start, self.items)
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
    volumes = Volumes(surface, unit)
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


def _prepare(made: Draft, surface: InterfaceSurface, unit: float, origin: npt.NDArray[np.float64]) -> State:
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
    state = State(
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


def _worst_angle(state: State) -> float:
    sine = np.empty(len(state.cells))
    kernels.cell_sines(state.points, state.cells, sine)
    worst = float(sine.min())
    return round(math.degrees(math.asin(min(1.0, worst))), 3) if worst > 0 else 0.0


def _newton(state: State, pull: float, keep: float) -> None:
    for todo in state.classes:
        kernels.newton_sweep(
            todo, state.points, state.cells, state.start, state.items, state.region_start, state.regions,
            state.group, state.offset, state.fields, state.to_voxel, state.frozen, pull, keep, state.flat2,
        )  # fmt: skip


def _swap(state: State, angle: float, passes: int) -> int:
    """Swap where it helps, then pack the cells (in their order)."""
    target = math.sin(math.radians(angle))
    count = len(state.cells)
    capacity = count + count // 8 + 1000
    cells = np.full((capacity, 4), -1, np.int32)
    near = np.full((capacity, 4), -1, np.int32)
    region = np.zeros(capacity, np.int32)
    sine = np.full(capacity, 2.0)
    cells[:count], region[:count] = state.cells, state.cell_region
    near[:count] = state.near
    kernels.cell_sines(state.points, state.cells, sine[:count])
    free, used = np.empty(capacity, np.int32), np.array([count, 0], np.int64)
    total = 0
    for _ in range(passes):
        todo = np.flatnonzero(sine[: used[0]] < target).astype(np.int32)
        if len(todo) * 4 < count:
            what = swaps.best_operations(state.points, cells, near, region, sine, todo)
        else:  # so many that one operation changes what the next can do: each is looked at in its turn
            what = np.full(len(todo), swaps.UNKNOWN, np.int8)
        worst = np.argsort(sine[todo], kind="stable")
        done = swaps.swap_pass(
            state.points, cells, near, region, sine, free, used, todo[worst], what[worst], target
        )
        total += done
        if done * 200 < len(todo):
            break
    if total:
        keep = np.flatnonzero(cells[: used[0], 0] >= 0)
        keep = keep[np.argsort(region[keep], kind="stable")]
        number = np.full(capacity + 1, -1, np.int32)  # the last is what -1, no neighbour, points to
        number[keep] = np.arange(len(keep), dtype=np.int32)
        state.cells, state.cell_region, state.near = cells[keep], region[keep], number[near[keep]]
        state.connect()
    return total


def _climb(state: State, options: ImproveOptions) -> int:
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
