"""Pieces and Euler numbers of phases and interfaces, in the mesh and in the voxels it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.meshing.assembly import Draft
from pxm2mesh.phases import PhaseTable
from pxm2mesh.surface import InterfaceSurface

Ints = npt.NDArray[Any]
_EDGES = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])


def topology_record(made: Draft, surface: InterfaceSurface) -> dict[str, Any]:
    """What ``record["topology"]`` says of every phase and interface.

    Pieces of a phase are joined across faces and its Euler number is pieces − tunnels + closed holes of them, ended
    at the box; those of an interface are joined across edges, and its Euler number is V − E + F.

    Args:
        made: The draft, nothing excluded yet.
        surface: What it was made of.

    Returns:
        ``phases`` and ``interfaces``: name → ``pieces``, ``euler``, and, where the lattice knows the voxels,
        ``pieces_voxels``, ``euler_voxels``.
    """
    phases = _phases(made, surface)
    interfaces = _interfaces(made.facets, surface.region_phase[made.facet_sides], surface.phases)
    if surface.lattice is not None:
        from pxm2mesh.quantify import euler_number, find_components
        from pxm2mesh.surfacing import extract_surface

        volume = surface.lattice.volume
        counts = np.bincount(find_components(volume).phase[1:], minlength=max(volume.phases.labels) + 1)
        for name, facts in phases.items():
            if name in volume.phases:
                facts["pieces_voxels"] = int(counts[volume.phases[name].label])
                facts["euler_voxels"] = int(euler_number(volume, name, sides="closed"))
        net = extract_surface(volume)
        exact = _interfaces(net.triangles, net.region_phase[net.sides], volume.phases)
        for name, facts in interfaces.items():
            facts |= {f"{what}_voxels": value for what, value in exact.get(name, {}).items()}
    return {"phases": phases, "interfaces": interfaces}


def _phases(made: Draft, surface: InterfaceSurface) -> dict[str, dict[str, int]]:
    label = surface.region_phase[made.cell_region]
    sides = surface.region_phase[made.facet_sides]
    rim = sides[:, 0] != sides[:, 1]  # the boundary of some phase; the outside has a label of its own
    skin, count = made.facets[rim], len(made.points)
    inner_points = np.ones(count, np.bool_)
    inner_points[skin] = False
    point_label = np.zeros(count, np.int64)
    point_label[made.cells] = label[:, None]
    ends = np.sort(made.cells[:, _EDGES].reshape(-1, 2).astype(np.int64), axis=1)
    keys, first = np.unique(ends[:, 0] * count + ends[:, 1], return_index=True)
    ends = np.sort(
        np.concatenate([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]]).astype(np.int64), axis=1
    )
    inner = ~np.isin(keys, np.unique(ends[:, 0] * count + ends[:, 1]))
    edge_label = label[first // 6][inner]
    result = {}
    for phase in surface.phases:
        cells = int(np.sum(label == phase.label))
        if cells:
            faces = (4 * cells - int(np.sum(sides[rim] == phase.label))) // 2
            points = int(np.sum(inner_points & (point_label == phase.label)))
            euler = cells - faces + int(np.sum(edge_label == phase.label)) - points
            result[phase.name] = {"pieces": _pieces(made, surface, phase.label), "euler": euler}
    return result


def _pieces(made: Draft, surface: InterfaceSurface, label: int) -> int:
    """Regions of a phase, those that touch across faces (particles) taken as one."""
    own = np.unique(made.cell_region[surface.region_phase[made.cell_region] == label])
    touching = np.all(surface.region_phase[made.facet_sides] == label, axis=1)
    return _joined(np.searchsorted(own, made.facet_sides[touching]), len(own))


def _joined(pairs: Ints, count: int) -> int:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return int(connected_components(graph, directed=False)[0])


def _interfaces(facets: Ints, labels: Ints, phases: PhaseTable) -> dict[str, dict[str, int]]:
    """Pieces and V − E + F of the facets between each two phases; box faces are left out."""
    low, high = labels.min(axis=1), labels.max(axis=1)
    result = {}
    between = (low >= 0) & (low != high)
    for a, b in np.unique(np.stack([low[between], high[between]], axis=1), axis=0).tolist():
        mine = facets[(low == a) & (high == b)].astype(np.int64)
        ends = np.sort(np.stack([mine[:, [0, 1]], mine[:, [1, 2]], mine[:, [2, 0]]], axis=1), axis=2)
        keys, edge = np.unique(ends[:, :, 0] * (int(facets.max()) + 1) + ends[:, :, 1], return_inverse=True)
        facet_at = np.stack([np.repeat(np.arange(len(mine)), 3), len(mine) + edge.ravel()], axis=1)
        pieces = _joined(facet_at, len(mine) + len(keys))
        result[phases.pair_name(a, b)] = {
            "pieces": pieces,
            "euler": len(np.unique(mine)) - len(keys) + len(mine),
        }
    return result
