"""Layers thinner than cells: the finished mesh is cut at the layer's thickness from the interface.

A layer that voxels could only show after every one of them was cut into 8, 64 or 512 costs little this way: points
near the level move onto it, the cells it still crosses are cut, and what arose is improved with the layer's outer
points held at their distance. Interfaces and triple lines end where they should, as the distance says, and a gap
narrower than two layers is filled.

References:
    F. Labelle, J. R. Shewchuk, Isosurface stuffing, ACM Trans. Graph. 26 (2007) 57 (moving points before cutting).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import GeometryError
from pxm2mesh.meshing import improve, layer_kernels
from pxm2mesh.meshing import improve_kernels as kernels
from pxm2mesh.meshing.assembly import Draft, draft
from pxm2mesh.meshing.transition import TransitionZone, with_layer_phase
from pxm2mesh.meshing.volumes import Volumes
from pxm2mesh.phases import PhaseTable
from pxm2mesh.surface import InterfaceSurface

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
_EDGES = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])
_SNAP = 0.35  # of an edge: cuts nearer to a point than that move the point instead
_ON = 0.02  # of an edge: points nearer to the level than that are on it
_KEEP = math.sin(math.radians(12.0))
_OUT = 0.1  # of the thickness: edges whose middle is that far outside of the layer are cut in halves
_BISECTIONS = 6
_ROUNDS = 6
_LEAN = 0.1  # of the thickness: how far points may be off it for the sake of the facets between them


@dataclass(frozen=True, eq=False)
class _Target:
    """A triangle surface that points can be held at a distance from; lengths as the points have them."""

    corners: Floats
    low: Floats
    size: float
    shape: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]

    @classmethod
    def of(cls, points: Floats, triangles: npt.NDArray[np.int32]) -> _Target:
        corners = points[triangles]
        low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
        size = 2.0 * float(np.median(np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)))
        shape = np.maximum(1, np.ceil((high - low) / size + 1e-9)).astype(np.int64)
        return cls(corners, low, size, shape, *layer_kernels.bin_triangles(corners, low, size, shape))

    def closest(self, points: Floats) -> tuple[Floats, Floats]:
        """(n, 3) nearest points of the surface, and (n,) distances."""
        found = np.empty((len(points), 3))
        layer_kernels.closest_points(
            np.ascontiguousarray(points),
            self.corners,
            self.low,
            self.size,
            self.shape,
            self.start,
            self.items,
            found,
        )
        return found, np.asarray(np.linalg.norm(points - found, axis=1))


def insert_layers(
    made: Draft, surface: InterfaceSurface, zones: Sequence[TransitionZone]
) -> tuple[Draft, InterfaceSurface, list[dict[str, Any]]]:
    """Lay thin layers into a draft.

    Args:
        made: A valid draft with every phase in it; it is not changed.
        surface: What it was made of.
        zones: Layers, laid one after the other.

    Returns:
        The new draft, the surface with the tables of its regions and phases (its triangles are the old ones), and
        what was done per layer.

    Raises:
        UsageError: A phase of that name is there already.
        GeometryError: The two phases do not touch.
    """
    facts = []
    for zone in zones:
        made, surface, done = _insert(made, surface, zone)
        facts.append(done)
    return made, surface, facts


def _insert(
    made: Draft, surface: InterfaceSurface, zone: TransitionZone
) -> tuple[Draft, InterfaceSurface, dict[str, Any]]:
    phases, label = with_layer_phase(surface.phases, zone)
    first, second = (surface.phases[name].label for name in zone.between)
    between = np.all(
        np.sort(surface.region_phase[made.facet_sides], axis=1) == np.sort([first, second]), axis=1
    )
    if not between.any():
        raise GeometryError(
            f'there is no interface "{zone.pair_name}" to lay a layer on;', hint="check the phases."
        )
    target = _Target.of(made.points, made.facets[between])
    made = _bisected(made, surface.region_phase, second, target, zone.length)
    between = np.all(
        np.sort(surface.region_phase[made.facet_sides], axis=1) == np.sort([first, second]), axis=1
    )
    mine = surface.region_phase[made.cell_region] == second
    points, distance = _moved_to_level(
        made, surface, target, np.unique(made.facets[between]), mine, zone.length
    )
    points, cells, region, layer = _cut(made, points, distance, mine, zone.length, target)
    region, phase, source = _numbered(points, cells, region, layer, surface.region_phase, label)
    result = draft(points, cells, region)
    before = _worst(result)
    state = _polish(result, surface, target, phase, (label, second), zone.length)
    surface = _with_tables(surface, result, phases, phase, source)
    _finish(result, surface, state)
    thickness = _mean_thickness(result, phase, (label, second), target)
    facts = {
        "between": list(zone.between), "kind": "layer", "name": phases.by_label(label).name, "by": "cutting cells",
        "thickness_um": zone.length, "mean_thickness_um": thickness,
        "cells_added": len(result.cells) - len(made.cells), "worst_angle_cut": before, "worst_angle": _worst(result),
    }  # fmt: skip
    log.info("layer %s: %d cells more, worst angle %.1f → %.1f degrees", facts["name"], facts["cells_added"],
             before, facts["worst_angle"])  # fmt: skip
    return result, surface, facts


def _volumes(points: Floats, cells: npt.NDArray[np.int32]) -> Floats:
    a, b, c, d = (points[cells[:, i]] for i in range(4))
    return np.asarray(np.einsum("ij,ij->i", b - a, np.cross(c - a, d - a)) / 6)


def _worst(made: Draft) -> float:
    sine = np.empty(len(made.cells))
    kernels.cell_sines(made.points, made.cells, sine)
    return round(math.degrees(math.asin(min(1.0, max(0.0, float(sine.min()))))), 3)


# ------------------------------------------------------------------ onto the level, and the cut


def _edges_of(
    cells: npt.NDArray[np.int32], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(e,) keys low × count + high of the edges, and (k, 6) the edge of each."""
    ends = np.sort(cells[:, _EDGES].astype(np.int64), axis=2)
    keys, index = np.unique(ends[:, :, 0] * count + ends[:, :, 1], return_inverse=True)
    return keys, index.reshape(-1, 6)


def _bisected(
    made: Draft, region_phase: npt.NDArray[np.int32], second: int, target: _Target, level: float
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
        inside[used] = target.closest(points[used])[1] < 0.999 * level
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


def _moved_to_level(
    made: Draft, surface: InterfaceSurface, target: _Target, on_interface: npt.NDArray[np.int32],
    mine: npt.NDArray[np.bool_], level: float,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Points with those near the level moved onto it where cells stay good, and (n,) distances less the level."""
    count, own = len(made.points), made.cells[mine]
    used = np.unique(own)
    excess = np.full(count, np.inf)
    excess[used] = target.closest(made.points[used])[1] - level
    excess[on_interface] = -level
    keys, _ = _edges_of(own, count)
    a, b = keys // count, keys % count
    length = np.linalg.norm(made.points[a] - made.points[b], axis=1)
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
    _shift(points, made.cells, wanted, move)
    moved = wanted & np.all(np.abs(points - made.points - move) < 1e-12 * np.abs(points).max(), axis=1)
    again = wanted & ~moved & np.any(points != made.points, axis=1)
    if again.any():
        excess[again] = target.closest(points[again])[1] - level
    reach = np.full(count, np.inf)
    np.minimum.at(reach, a, length)
    np.minimum.at(reach, b, length)
    excess[moved | (np.abs(excess) < _ON * reach)] = 0.0
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


def _shift(points: Floats, cells: npt.NDArray[np.int32], which: npt.NDArray[np.bool_], move: Floats) -> None:
    """Displace points, colour by colour, as far as their cells stay good."""
    start, items = kernels.cells_of_points(cells, len(points))
    colour = kernels.colour_points(cells, start, items, which)
    held = np.zeros(len(points), np.bool_)
    for c in range(int(colour.max(initial=-1)) + 1):
        todo = np.flatnonzero(colour == c).astype(np.int32)
        kernels.shift_points(todo, points, cells, start, items, move, _KEEP, held)


def _cut(
    made: Draft, points: Floats, excess: Floats, mine: npt.NDArray[np.bool_], level: float, target: _Target
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
    turned = _volumes(points, parts) < 0
    parts[turned] = parts[turned][:, [0, 1, 3, 2]]
    kept = ~crossed
    return (
        points, np.concatenate([made.cells[kept], parts]),
        np.concatenate([made.cell_region[kept], made.cell_region[origin]]),
        np.concatenate([layer[kept], (inner == 1) & mine[origin]]),
    )  # fmt: skip


def _crossings(a: Floats, b: Floats, at_a: Floats, at_b: Floats, level: float, target: _Target) -> Floats:
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


# ------------------------------------------------------------------ regions


def _numbered(
    points: Floats, cells: npt.NDArray[np.int32], region: npt.NDArray[np.int32], layer: npt.NDArray[np.bool_],
    region_phase: npt.NDArray[np.int32], label: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:  # fmt: skip
    """A region for every connected piece: (k,) region, (r + 1,) phase, and the old region of each.

    The largest piece that is left of a region keeps its number; one that the layer took whole becomes the layer's.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    from pxm2mesh.meshing.swap_kernels import neighbours

    near = neighbours(cells, *kernels.cells_of_points(cells, len(points)))
    touched = np.unique(region[layer])
    one, corner = np.nonzero((near >= 0) & np.isin(region, touched)[:, None])
    two = near[one, corner]
    same = (layer[one] == layer[two]) & (region[one] == region[two])
    graph = coo_array((np.ones(int(same.sum()), np.int8), (one[same], two[same])), shape=(len(cells),) * 2)
    piece = connected_components(graph, directed=False)[1]
    size = np.bincount(piece, _volumes(points, cells))
    pieces, first = np.unique(
        piece, return_index=True
    )  # a piece lies in one region, inside or outside of the layer
    number, phase, source = (
        np.zeros(len(pieces), np.int32),
        region_phase.tolist(),
        list(range(len(region_phase))),
    )
    for old in touched.tolist():
        mine = np.flatnonzero(region[first] == old)
        rest = mine[~layer[first[mine]]]
        taken = mine[layer[first[mine]]]
        ordered = [*rest[np.argsort(-size[rest], kind="stable")].tolist(), *taken.tolist()]
        for position, which in enumerate(ordered):
            kind = label if layer[first[which]] else int(region_phase[old])
            if position == 0:
                number[which], phase[old] = old, kind
            else:
                number[which] = len(source)
                source.append(old)
                phase.append(kind)
    result = np.where(np.isin(region, touched), number[piece], region).astype(np.int32)
    return result, np.array(phase, np.int32), np.array(source, np.int64)


def _with_tables(
    surface: InterfaceSurface, made: Draft, phases: PhaseTable, phase: npt.NDArray[np.int32],
    source: npt.NDArray[np.int64],
) -> InterfaceSurface:  # fmt: skip
    """The surface with the new regions; what a region had in the voxels is shared as its cells share it."""
    volume = np.bincount(made.cell_region, _volumes(made.points, made.cells), len(source))
    whole = np.bincount(source, volume, len(surface.region_phase))
    share = np.divide(volume, whole[source], out=np.zeros(len(source)), where=whole[source] > 0)
    lattice = surface.lattice
    if lattice is not None:
        offsets = None if lattice.offsets is None else lattice.offsets[source]
        lattice = replace(lattice, region_body=lattice.region_body[source], offsets=offsets)
    return replace(surface, phases=phases, region_phase=phase, region_volume=surface.region_volume[source] * share,
                   lattice=lattice)  # fmt: skip


def _mean_thickness(
    made: Draft, phase: npt.NDArray[np.int32], outer: tuple[int, int], target: _Target
) -> float | None:
    """µm: the distance of the layer's outer facets, seen at their centres, by area."""
    sides = np.sort(phase[made.facet_sides], axis=1)
    corners = made.points[made.facets[np.all(sides == np.sort(outer), axis=1)]]
    if len(corners) == 0:
        return None
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return float(np.average(target.closest(corners.mean(axis=1))[1], weights=area))


# ------------------------------------------------------------------ improvement


def _outer_points(made: Draft, phase: npt.NDArray[np.int32], outer: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Points of the layer's outer face that belong to nothing else than the layer and what is beyond it."""
    start, regions = improve._regions_at_points(made, len(made.points))
    of = np.repeat(np.arange(len(made.points)), np.diff(start))
    layer, rest = (np.bincount(of, phase[regions] == which, len(made.points)) for which in outer)
    free = (layer == 1) & (rest == 1) & (np.diff(start) == 2)
    return np.flatnonzero(free)


def _polish(
    made: Draft, surface: InterfaceSurface, target: _Target, phase: npt.NDArray[np.int32], sides: tuple[int, int],
    level: float,
) -> improve.State:  # fmt: skip
    """Swap cells and move points; the layer's outer points stay at their distance, all other interfaces stay.

    Facets of a curved face cut its corners: points go up to a tenth farther out, or in, for the facets around them.
    """
    unit, origin = improve._unit(surface)
    bare = replace(surface, lattice=None, region_phase=phase, region_volume=np.zeros(len(phase)))
    state = improve._prepare(made, bare, unit, origin)  # without a lattice interfaces stay
    outer = _outer_points(made, phase, sides)
    bits = np.zeros(len(made.points), np.uint8)
    for axis in range(3):
        at = (made.points[:, axis] == surface.lower[axis]) | (made.points[:, axis] == surface.upper[axis])
        bits |= at.astype(np.uint8) << axis
    state.frozen[outer] = bits[outer]
    state.connect()
    options = improve.ImproveOptions()

    def to_level(aim: Floats) -> None:
        at, far = target.closest(origin + state.points[outer] * unit)
        here = (at - origin) / unit
        away = (state.points[outer] - here) / np.maximum(far / unit, 1e-12)[:, None]
        move = np.zeros_like(state.points)
        move[outer] = here + away * (aim / unit)[:, None] - state.points[outer]
        for axis in range(3):
            move[(state.frozen >> axis) & 1 == 1, axis] = 0.0
        which = np.zeros(len(move), np.bool_)
        which[outer] = state.frozen[outer] != 7
        _shift(state.points, state.cells, which, move)

    skin = made.facets[np.all(np.sort(phase[made.facet_sides], axis=1) == np.sort(sides), axis=1)]
    share = np.maximum(np.bincount(skin.ravel(), minlength=len(made.points)), 1)
    aim = np.full(len(outer), level)
    for turn in range(_ROUNDS):
        improve._swap(state, options.swap_angle, 1)
        improve._newton(state, 0.0, _KEEP)
        to_level(aim)
        if turn >= _ROUNDS // 3:
            missing = level - target.closest(origin + state.points[skin].mean(axis=1) * unit)[1]
            around = np.bincount(skin.ravel(), np.repeat(missing, 3), len(made.points)) / share
            aim = np.clip(aim + 0.5 * around[outer], (1 - _LEAN) * level, (1 + _LEAN) * level)
        if turn == _ROUNDS - 2:
            improve._climb(state, options)
    state.frozen = bits
    _take(made, state, unit, origin)
    return state


def _take(made: Draft, state: improve.State, unit: float, origin: Floats) -> None:
    """The draft as the state has it; what is frozen stays bit for bit."""
    fixed = np.stack([(state.frozen >> a) & 1 for a in range(3)], axis=1).astype(bool)
    made.points = np.where(fixed, made.points, origin + state.points * unit)
    made.cells, made.cell_region = state.cells, state.cell_region


def _finish(made: Draft, surface: InterfaceSurface, state: improve.State) -> None:
    """The worst cells, whose points may leave their interface a little; and every region back to its volume."""
    options = improve.ImproveOptions()
    unit, origin = improve._unit(surface)
    state.connect()
    improve._climb(state, options)
    volumes = Volumes(surface, unit)
    volumes.close(state, math.sin(math.radians(options.climb_angle)))
    _take(made, state, unit, origin)


__all__ = ["insert_layers"]
