"""Pieces and Euler numbers of phases and interfaces, in the mesh and in the voxels it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.meshing import topology_kernels as kernels
from pxm2mesh.meshing.assembly import Draft
from pxm2mesh.phases import PhaseTable
from pxm2mesh.surface import InterfaceSurface
from pxm2mesh.volume import LabelVolume

Ints = npt.NDArray[Any]


def topology_record(made: Draft, surface: InterfaceSurface) -> dict[str, Any]:
    """What ``record["topology"]`` says of lines, phases and interfaces.

    ``euler_number`` is that of the boundary of each phase, half of it being that of the phase as a solid: counted by
    V − E + F on its closed skin, parts that touch by an edge or a corner touching there. Pieces of a phase
    are joined across faces and its own Euler number is pieces − tunnels + closed holes of them, ended
    at the box; those of an interface are joined across edges, and its Euler number is V − E + F.

    Args:
        made: The draft, nothing excluded yet.
        surface: What it was made of.

    Returns:
        ``triple_line_length`` (µm of edges at which three or more phases meet), ``euler_number`` by phase, and
        ``phases`` and ``interfaces``: name → ``pieces``, ``euler``, and, where the lattice knows the voxels,
        ``pieces_voxels``, ``euler_voxels``.
    """
    labels, compact = np.unique(surface.region_phase, return_inverse=True)
    sides = compact.ravel().astype(np.int64)[made.facet_sides]
    first, facet, ends = kernels.edge_runs(made.facets, len(made.points))
    inside = np.where(np.all(made.facet_sides > 0, axis=1, keepdims=True), sides, -1)
    meeting = kernels.labels_at_edges(first, facet, inside, len(labels))[0]
    lines = made.points[ends[np.flatnonzero(meeting >= 3)]]
    rim = np.where((sides[:, 0] != sides[:, 1])[:, None], sides, -1)
    skins = _skins(made, rim, kernels.labels_at_edges(first, facet, rim, len(labels))[1])
    names = {i: surface.phases.by_label(int(label)).name for i, label in enumerate(labels) if label >= 0}
    phases = _phases(made, surface, compact.ravel(), skins)
    interfaces = _interfaces(
        made.facets, surface.region_phase[made.facet_sides], surface.phases, (first, facet)
    )
    if surface.lattice is not None:
        _add_voxels(surface.lattice.volume, phases, interfaces)
    return {
        "triple_line_length": float(np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1).sum()),
        "euler_number": {name: int(skins[i] @ (1, -1, 1)) for i, name in names.items() if skins[i, 2]},
        "phases": phases,
        "interfaces": interfaces,
    }


def _skins(made: Draft, rim: Ints, edges: Ints) -> Ints:
    """(l, 3) vertices, edges and facets on the boundary of every phase."""
    skins = np.zeros((len(edges), 3), np.int64)
    skins[:, 1] = edges
    on = np.zeros(len(made.points), np.bool_)
    for label in np.unique(rim[rim >= 0]).tolist():
        mine = made.facets[(rim == label).any(axis=1)]
        on[:] = False
        on[mine] = True
        skins[label, 0], skins[label, 2] = on.sum(), len(mine)
    return skins


def _phases(made: Draft, surface: InterfaceSurface, compact: Ints, skins: Ints) -> dict[str, dict[str, int]]:
    """Every phase without its boundary: cells − faces + edges − vertices inside."""
    from pxm2mesh.meshing.improve_kernels import cells_of_points

    label, count = compact[made.cell_region], len(skins)
    start, items = cells_of_points(made.cells, len(made.points))
    edges = kernels.count_cell_edges(made.cells, start, items, label, count) - skins[:, 1]
    cells = np.bincount(label, minlength=count)
    faces = (4 * cells - skins[:, 2]) // 2
    inner = np.ones(len(made.points), np.bool_)
    sides = compact[made.facet_sides]
    inner[made.facets[sides[:, 0] != sides[:, 1]]] = False
    inner &= start[1:] > start[:-1]
    points = np.bincount(label[items[start[:-1][inner]]], minlength=count)
    pieces = _pieces(made, surface, compact, count)
    result = {}
    for i, value in enumerate(np.unique(surface.region_phase).tolist()):
        if cells[i]:
            euler = int(cells[i] - faces[i] + edges[i] - points[i])
            result[surface.phases.by_label(value).name] = {"pieces": int(pieces[i]), "euler": euler}
    return result


def _pieces(made: Draft, surface: InterfaceSurface, compact: Ints, count: int) -> Ints:
    """Regions of each phase, those that touch across faces (particles) taken as one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    sides = surface.region_phase[made.facet_sides]
    pairs = made.facet_sides[sides[:, 0] == sides[:, 1]]
    regions = len(compact)
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(regions, regions))
    piece = connected_components(graph, directed=False)[1]
    used = np.bincount(made.cell_region, minlength=regions) > 0
    keys = np.unique(piece[used].astype(np.int64) * count + compact[used])
    return np.bincount(keys % count, minlength=count)


def _interfaces(
    facets: Ints, labels: Ints, phases: PhaseTable, runs: tuple[Ints, Ints]
) -> dict[str, dict[str, int]]:
    """Pieces and V − E + F of the facets between each two phases; box faces are left out."""
    low, high = labels.min(axis=1).astype(np.int64), labels.max(axis=1).astype(np.int64)
    between = (low >= 0) & (low != high)
    base = int(high.max(initial=0)) + 1
    keys, index = np.unique(low[between] * base + high[between], return_inverse=True)
    kind = np.full(len(facets), -1)
    kind[between] = index.ravel()
    pieces, euler = kernels.count_surfaces(*runs, facets, kind, len(keys))
    return {
        phases.pair_name(*divmod(key, base)): {"pieces": int(pieces[i]), "euler": int(euler[i])}
        for i, key in enumerate(keys.tolist())
    }


def _add_voxels(
    volume: LabelVolume, phases: dict[str, dict[str, int]], interfaces: dict[str, dict[str, int]]
) -> None:
    """The same of the voxels beside it."""
    from pxm2mesh.quantify import euler_number, find_components
    from pxm2mesh.surfacing.net import net_of

    counts = np.bincount(find_components(volume).phase[1:], minlength=max(volume.phases.labels) + 1)
    for name, facts in phases.items():
        if name in volume.phases:
            facts["pieces_voxels"] = int(counts[volume.phases[name].label])
            facts["euler_voxels"] = int(euler_number(volume, name, sides="closed"))
    labels = np.array(volume.phases.labels)
    order = np.argsort(labels)
    node, quads, sides = net_of((np.searchsorted(labels[order], volume.labels) + 1).astype(np.int32))
    at_sides = np.concatenate([[-1], labels[order]])[sides]
    exact = _interfaces(quads, at_sides, volume.phases, kernels.edge_runs(quads, len(node))[:2])
    for name, facts in interfaces.items():
        facts |= {f"{what}_voxels": value for what, value in exact.get(name, {}).items()}
