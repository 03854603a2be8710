"""Cells of a mesh cut where the distance from a surface has a given value (see `pxm2mesh.meshing.layers`)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pxm2mesh.meshing import improve, layer_kernels
from pxm2mesh.meshing import improve_kernels as kernels
from pxm2mesh.meshing.assembly import Draft, draft
from pxm2mesh.meshing.layer_distance import Floats, Target
from pxm2mesh.surface import InterfaceSurface

_EDGES = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])
_SNAP = 0.35  # of an edge: cuts nearer to a point than that move the point instead
_ON = 0.02  # of an edge: points nearer to the level than that are on it
KEEP = math.sin(math.radians(12.0))
_OUT = 0.1  # of the thickness: edges whose middle is that far outside of the layer are cut in halves
_BISECTIONS = 6


def volumes_of(points: Floats, cells: npt.NDArray[np.int32]) -> Floats:
    """(k,) signed volumes."""
    a, b, c, d = (points[cells[:, i]] for i in range(4))
    return np.asarray(np.einsum("ij,ij->i", b - a, np.cross(c - a, d - a)) / 6)


def _edges_of(
    cells: npt.NDArray[np.int32], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(e,) keys low × count + high of the edges, and (k, 6) the edge of each."""
    ends = np.sort(cells[:, _EDGES].astype(np.int64), axis=2)
    keys, index = np.unique(ends[:, :, 0] * count + ends[:, :, 1], return_inverse=True)
    return keys, index.reshape(-1, 6)


def bisected(
    made: Draft, region_phase: npt.NDArray[np.int32], second: int, target: Target, level: float
) -> Draft:
    """Edges that begin and end in the layer, but leave it in between, cut in halves: gaps with one cell across.

    In each round at most one edge of a cell is cut, the one that leads farthest out.
    """
    points, cells, region = made.points, made.cells, made.cell_region
    for _ in range(_BISECTIONS):
        own = np.flatnonzero(region_phase[region] == second)
        keys, _ = _edges_of(cells[own], len(points))
        a, b = keys // len(points), keys % len(points)
        inside = np.zeros(len(points), np.bool_)
        used = np.unique(cells[own])
        inside[used] = target.closest(points[used], level)[1] < 0.999 * level
        excess = np.full(len(keys), -1.0)
        both = np.flatnonzero(inside[a] & inside[b])
        excess[both] = target.closest((points[a[both]] + points[b[both]]) / 2)[1] / level - 1
        marked = np.flatnonzero(excess > _OUT)
        if len(marked) == 0:
            break
        # all cells at an edge are cut with it, so it must be the first of all of them, whatever their phase
        every = np.flatnonzero(np.isin(cells, np.unique([a[marked], b[marked]])).sum(axis=1) >= 2)
        rank = np.full(len(keys), len(keys))
        rank[marked[np.argsort(-excess[marked], kind="stable")]] = np.arange(len(marked))
        names, local = _edges_of(cells[every], len(points))
        place = np.minimum(np.searchsorted(keys, names), len(keys) - 1)
        of = np.where(keys[place] == names, rank[place], len(keys))[local]
        best = of.min(axis=1)
        beaten = np.unique(of[(of < len(keys)) & (of != best[:, None])])
        cut = (best < len(keys)) & ~np.isin(best, beaten)
        rows, corner = every[cut], _EDGES[of[cut].argmin(axis=1)]
        chosen, which = np.unique(best[cut], return_inverse=True)
        ends = keys[np.argsort(rank, kind="stable")[chosen]]
        fresh = (len(points) + which.ravel()).astype(np.int32)
        middle = (points[ends // len(points)] + points[ends % len(points)]) / 2
        halves = [cells[rows].copy(), cells[rows].copy()]
        for half, end in zip(halves, corner.T, strict=True):
            half[np.arange(len(rows)), end] = fresh
        points = np.concatenate([points, middle])
        kept = np.ones(len(cells), np.bool_)
        kept[rows] = False
        cells = np.concatenate([cells[kept], *halves])
        region = np.concatenate([region[kept], region[rows], region[rows]])
    return made if len(points) == len(made.points) else draft(points, cells, region)


def moved_to_level(
    made: Draft, surface: InterfaceSurface, target: Target, on_interface: npt.NDArray[np.int32],
    mine: npt.NDArray[np.bool_], level: float,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Points with those near the level moved onto it where cells stay good, and (n,) distances less the level."""
    count, own = len(made.points), made.cells[mine]
    used = np.unique(own)
    excess = np.full(count, np.inf)
    keys, _ = _edges_of(own, count)
    a, b = keys // count, keys % count
    length = np.linalg.norm(made.points[a] - made.points[b], axis=1)
    reach = level + 1.01 * float(
        length.max(initial=0.0)
    )  # farther points have no edge that crosses the level
    excess[used] = np.minimum(target.closest(made.points[used], reach)[1], reach) - level
    excess[on_interface] = -level
    cut = excess[a] * excess[b] < 0
    a, b, length, keys = a[cut], b[cut], length[cut], keys[cut]
    share = excess[a] / (excess[a] - excess[b])
    inner = np.isin(keys, _facet_edges(made, count))
    start, regions = improve._regions_at_points(made, count)
    at_facets = np.diff(start)
    box = _box_bits(made.points, surface)
    fixed = np.zeros(count, np.bool_)
    fixed[on_interface] = True
    best, move = np.full(count, _SNAP), np.zeros((count, 3))
    for p, q, way in ((a, b, share), (b, a, 1 - share)):
        # a point of an interface or of the box may move along an edge of the same only
        same = (at_facets[p] == 0) | (inner & _contains(start, regions, q, p))
        able = ~fixed[p] & same & ((box[p] & box[q]) == box[p]) & (way < _SNAP)
        order = np.argsort(-way[able], kind="stable")
        here, there, w = p[able][order], q[able][order], way[able][order]
        nearer = w < best[here]
        here, there, w = here[nearer], there[nearer], w[nearer]
        move[here] = w[:, None] * (made.points[there] - made.points[here])  # the last, the nearest, stays
        best[here] = w
    wanted = np.any(move != 0, axis=1)
    points = made.points.copy()
    shift_points(points, made.cells, wanted, move)
    moved = wanted & np.all(np.abs(points - made.points - move) < 1e-12 * np.abs(points).max(), axis=1)
    again = wanted & ~moved & np.any(points != made.points, axis=1)
    if again.any():
        excess[again] = target.closest(points[again])[1] - level
    shortest = np.full(count, np.inf)
    np.minimum.at(shortest, a, length)
    np.minimum.at(shortest, b, length)
    excess[moved | (np.abs(excess) < _ON * shortest)] = 0.0
    return points, excess


def _facet_edges(made: Draft, count: int) -> npt.NDArray[np.int64]:
    f = made.facets.astype(np.int64)
    ends = np.sort(np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]]), axis=1)
    return np.unique(ends[:, 0] * count + ends[:, 1])


def _box_bits(points: Floats, surface: InterfaceSurface) -> npt.NDArray[np.uint8]:
    bits = np.zeros(len(points), np.uint8)
    for axis in range(3):
        bits |= (points[:, axis] == surface.lower[axis]).astype(np.uint8) << (2 * axis)
        bits |= (points[:, axis] == surface.upper[axis]).astype(np.uint8) << (2 * axis + 1)
    return bits


def _contains(
    start: npt.NDArray[np.int32], regions: npt.NDArray[np.int32], whole: npt.NDArray[np.int64],
    part: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:  # fmt: skip
    """True where the regions at point ``whole`` include those at ``part``."""
    of = np.repeat(np.arange(len(start) - 1), np.diff(start))
    base = np.int64(int(regions.max(initial=0)) + 1)
    pairs = of * base + regions
    result = np.ones(len(part), np.bool_)
    for turn in range(int(np.diff(start).max(initial=0))):
        there = np.flatnonzero(start[part] + turn < start[part + 1])
        wanted = whole[there] * base + regions[start[part[there]] + turn]
        place = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
        result[there] &= pairs[place] == wanted
    return result


def shift_points(
    points: Floats, cells: npt.NDArray[np.int32], which: npt.NDArray[np.bool_], move: Floats
) -> None:
    """Displace points, colour by colour, as far as their cells stay good."""
    start, items = kernels.cells_of_points(cells, len(points))
    colour = kernels.colour_points(cells, start, items, which)
    held = np.zeros(len(points), np.bool_)
    for c in range(int(colour.max(initial=-1)) + 1):
        todo = np.flatnonzero(colour == c).astype(np.int32)
        kernels.shift_points(todo, points, cells, start, items, move, KEEP, held)


def cut_at_level(
    made: Draft, points: Floats, excess: Floats, mine: npt.NDArray[np.bool_], level: float, target: Target
) -> tuple[Floats, npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Cells cut at the level: points, cells, the old region of each, and True for those of the layer."""
    count = len(points)
    # cells of other phases share faces with those that are cut: their own points count as on the level
    sign = np.sign(np.where(np.isfinite(excess), excess, 0.0)).astype(np.int8)
    corner = sign[made.cells]
    crossed = (corner.min(axis=1) < 0) & (corner.max(axis=1) > 0)
    layer = mine & (corner.max(axis=1) <= 0)
    flat = np.flatnonzero(layer & (corner.min(axis=1) == 0))  # all four on the level: the centre says
    if len(flat):
        layer[flat] = target.closest(points[made.cells[flat]].mean(axis=1))[1] < level
    chosen = np.flatnonzero(crossed)
    keys, edge = _edges_of(made.cells[chosen], count)
    a, b = keys // count, keys % count
    opened = np.flatnonzero(sign[a] * sign[b] < 0)
    a, b = a[opened], b[opened]
    number = np.full(len(keys), -1, np.int64)
    number[opened] = count + np.arange(len(opened))
    points = np.concatenate([points, _crossings(points[a], points[b], excess[a], excess[b], level, target)])
    parts, origin = np.empty((8 * len(chosen), 4), np.int32), np.empty(8 * len(chosen), np.int64)
    inner = np.empty(8 * len(chosen), np.uint8)
    used = layer_kernels.cut_cells(made.cells[chosen], sign, number[edge], parts, origin, inner)
    parts, origin, inner = parts[:used], chosen[origin[:used]], inner[:used]
    turned = volumes_of(points, parts) < 0
    parts[turned] = parts[turned][:, [0, 1, 3, 2]]
    kept = ~crossed
    return (
        points, np.concatenate([made.cells[kept], parts]),
        np.concatenate([made.cell_region[kept], made.cell_region[origin]]),
        np.concatenate([layer[kept], (inner == 1) & mine[origin]]),
    )  # fmt: skip


def _crossings(a: Floats, b: Floats, at_a: Floats, at_b: Floats, level: float, target: Target) -> Floats:
    """Where edges cross the level: by chord, corrected twice by the true distance."""
    low, high, f_low, f_high = np.zeros(len(a)), np.ones(len(a)), at_a.copy(), at_b.copy()
    share = at_a / (at_a - at_b)
    for _ in range(2):
        value = target.closest(a + share[:, None] * (b - a))[1] - level
        left = value * f_low > 0
        low, f_low = np.where(left, share, low), np.where(left, value, f_low)
        high, f_high = np.where(left, high, share), np.where(left, f_high, value)
        share = low + (high - low) * np.clip(f_low / np.where(f_low == f_high, 1.0, f_low - f_high), 0, 1)
    return np.asarray(a + np.clip(share, 0.02, 0.98)[:, None] * (b - a))
