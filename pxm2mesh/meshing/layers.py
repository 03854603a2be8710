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
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import GeometryError
from pxm2mesh.meshing import improve
from pxm2mesh.meshing import improve_kernels as kernels
from pxm2mesh.meshing.assembly import Draft, draft
from pxm2mesh.meshing.layer_cutting import (
    KEEP,
    bisected,
    cut_at_level,
    moved_to_level,
    shift_points,
    volumes_of,
)
from pxm2mesh.meshing.layer_distance import Floats, Target, thickness_record
from pxm2mesh.meshing.transition import TransitionZone, with_layer_phase
from pxm2mesh.meshing.volumes import Volumes
from pxm2mesh.phases import PhaseTable
from pxm2mesh.surface import InterfaceSurface

log = logging.getLogger(__name__)

_ROUNDS = 6
_LEAN = 0.1  # of the thickness: how far points may be off it for the sake of the facets between them


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
    target = Target.of(made.points, made.facets[between])
    made = bisected(made, surface.region_phase, second, target, zone.length)
    between = np.all(
        np.sort(surface.region_phase[made.facet_sides], axis=1) == np.sort([first, second]), axis=1
    )
    mine = surface.region_phase[made.cell_region] == second
    points, distance = moved_to_level(
        made, surface, target, np.unique(made.facets[between]), mine, zone.length
    )
    points, cells, region, layer = cut_at_level(made, points, distance, mine, zone.length, target)
    region, phase, source = _numbered(points, cells, region, layer, surface.region_phase, label)
    result = draft(points, cells, region)
    before = _worst(result)
    state = _polish(result, surface, target, phase, (label, second), zone.length)
    surface = _with_tables(surface, result, phases, phase, source)
    _finish(result, surface, state)
    thickness = thickness_record(
        result.points, _outer_facets(result, phase, (label, second)), target, zone.length
    )
    facts = {
        "between": list(zone.between), "kind": "layer", "name": phases.by_label(label).name, "by": "cutting cells",
        "thickness_um": zone.length, **thickness,
        "cells_added": len(result.cells) - len(made.cells), "worst_angle_cut": before, "worst_angle": _worst(result),
    }  # fmt: skip
    log.info("layer %s: %d cells more, worst angle %.1f → %.1f degrees, thickness %s", facts["name"],
             facts["cells_added"], before, facts["worst_angle"], thickness)  # fmt: skip
    return result, surface, facts


def _worst(made: Draft) -> float:
    sine = np.empty(len(made.cells))
    kernels.cell_sines(made.points, made.cells, sine)
    return round(math.degrees(math.asin(min(1.0, max(0.0, float(sine.min()))))), 3)


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
    size = np.bincount(piece, volumes_of(points, cells))
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
    volume = np.bincount(made.cell_region, volumes_of(made.points, made.cells), len(source))
    whole = np.bincount(source, volume, len(surface.region_phase))
    share = np.divide(volume, whole[source], out=np.zeros(len(source)), where=whole[source] > 0)
    lattice = surface.lattice
    if lattice is not None:
        offsets = None if lattice.offsets is None else lattice.offsets[source]
        lattice = replace(lattice, region_body=lattice.region_body[source], offsets=offsets)
    return replace(surface, phases=phases, region_phase=phase, region_volume=surface.region_volume[source] * share,
                   lattice=lattice)  # fmt: skip


# ------------------------------------------------------------------ improvement


def _outer_facets(made: Draft, phase: npt.NDArray[np.int32], outer: tuple[int, int]) -> npt.NDArray[np.int32]:
    """(f, 3) facets between the layer and what is beyond it."""
    return made.facets[np.all(np.sort(phase[made.facet_sides], axis=1) == np.sort(outer), axis=1)]


def _outer_points(made: Draft, phase: npt.NDArray[np.int32], outer: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Points of the layer's outer face that belong to nothing else than the layer and what is beyond it."""
    start, regions = improve._regions_at_points(made, len(made.points))
    of = np.repeat(np.arange(len(made.points)), np.diff(start))
    layer, rest = (np.bincount(of, phase[regions] == which, len(made.points)) for which in outer)
    free = (layer == 1) & (rest == 1) & (np.diff(start) == 2)
    return np.flatnonzero(free)


def _polish(
    made: Draft, surface: InterfaceSurface, target: Target, phase: npt.NDArray[np.int32], sides: tuple[int, int],
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
        shift_points(state.points, state.cells, which, move)

    skin = _outer_facets(made, phase, sides)
    share = np.maximum(np.bincount(skin.ravel(), minlength=len(made.points)), 1)
    aim = np.full(len(outer), level)
    for turn in range(_ROUNDS):
        improve._swap(state, options.swap_angle, 1)
        improve._newton(state, 0.0, KEEP)
        to_level(aim)
        if turn >= _ROUNDS // 3:
            points = origin + state.points * unit
            missing = level - target.closest(points[skin].mean(axis=1))[1]
            missing[target.in_grooves(points, skin)] = (
                0.0  # their middle is far out however their corners lie
            )
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
