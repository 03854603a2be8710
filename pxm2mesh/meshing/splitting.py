"""Interfaces that can open: vertices doubled, facets in pairs; and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import GeometryError, UsageError
from pxm2mesh.tetmesh import TetMesh

_FACES = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])


def split_interfaces(mesh: TetMesh, pairs: Sequence[str]) -> TetMesh:
    """Double the vertices of some interfaces, so that the two sides can move apart.

    Around every vertex of a split facet the cells fall into *fans*: cells joined through faces that are not
    split. Each fan gets a vertex of its own, also at triple lines, where three phases meet; at the rim of
    an interface, where one can walk around it, the vertex stays single.

    Args:
        mesh: A conforming mesh.
        pairs: Interface names such as ``"NMC | LPSCl"``.

    Returns:
        A mesh whose ``facet_pairs`` names the two copies of every split facet: same corners in the same
        order, the first attached to the cells of the lower region.

    Raises:
        UsageError: Unknown phase, or the mesh is split already.
        GeometryError: A named interface does not occur between meshed cells.

    Example:
        >>> import numpy as np
        >>> from pxm2mesh import PhaseTable, TetMesh
        >>> points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1.0]])
        >>> mesh = TetMesh(points, [[0, 1, 2, 3], [4, 2, 1, 3]], [1, 2], [[1, 2, 3]], [[1, 2]], [-1, 1, 2],
        ...                [0, 1 / 6, 1 / 3], PhaseTable({"A": 1, "B": 2}), [0, 0, 0], [1, 1, 1])
        >>> len(split_interfaces(mesh, ["A | B"]).points)
        8
    """
    if len(mesh.facet_pairs):
        raise UsageError(
            "this mesh is split already;", hint="name all interfaces at once, or merge_split it first."
        )
    owners = _cells_at(mesh)
    split = np.zeros(len(mesh.facets), dtype=np.bool_)
    for name in pairs:
        facets = mesh.facets_of(name) if "|" in name else _not_a_pair(mesh, name)
        facets = facets[(owners[facets] >= 0).all(axis=1)]
        if len(facets) == 0:
            raise GeometryError(
                f'there is no interface "{name}" between meshed cells;',
                hint="check the names and what is excluded.",
            )
        split[facets] = True
    chosen = np.flatnonzero(split)
    cells, copies = _open(mesh, mesh.facets[chosen])
    low_first = mesh.facet_sides[:, 0] <= mesh.facet_sides[:, 1]
    regions = mesh.cell_region[np.maximum(owners, 0)]
    behind = (owners[:, 0] >= 0) & (regions[:, 0] == mesh.facet_sides[:, 0])
    first = np.where(behind == low_first, owners[:, 0], owners[:, 1])  # the cell on the lower region's side
    first = np.where(split, first, owners.max(axis=1))
    second = np.where(split, owners.sum(axis=1) - first, -1)
    facets = _renumbered(mesh, cells, mesh.facets, first)
    extra = _renumbered(mesh, cells, mesh.facets[chosen], second[chosen])
    total = len(mesh.facets)
    twins = np.stack([chosen, total + np.arange(len(chosen))], axis=1).astype(np.int32)
    source = np.concatenate([np.arange(len(mesh.points)), copies])
    record = {
        **mesh.record,
        "split": {"interfaces": list(pairs), "facets": len(chosen), "points_added": len(copies)},
    }
    return replace(
        mesh, points=mesh.points[source], cells=cells, facets=np.concatenate([facets, extra]),
        facet_sides=np.concatenate([mesh.facet_sides, mesh.facet_sides[chosen]]), facet_pairs=twins,
        point_fields={name: values[source] for name, values in mesh.point_fields.items()}, record=record,
    )  # fmt: skip


def merge_split(mesh: TetMesh) -> TetMesh:
    """Undo `split_interfaces`: the conforming mesh it came from, bit for bit.

    Args:
        mesh: A split mesh; one that is not split comes back as it is.

    Raises:
        GeometryError: The copies of a facet have moved apart.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if len(mesh.facet_pairs) == 0:
        return mesh
    one, two = mesh.facets[mesh.facet_pairs[:, 0]].ravel(), mesh.facets[mesh.facet_pairs[:, 1]].ravel()
    apart = np.any(mesh.points[one] != mesh.points[two], axis=1)
    if apart.any():
        at = int(np.argmax(apart))
        place = np.round(mesh.points[one[at]], 3).tolist()
        raise GeometryError(f"the two copies of a split point near {place} µm have moved apart.")
    count = len(mesh.points)
    graph = coo_array((np.ones(len(one), np.int8), (one, two)), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    lowest = np.full(int(label.max()) + 1, count)
    np.minimum.at(lowest, label, np.arange(count))
    keeper = lowest[label]
    kept = np.flatnonzero(keeper == np.arange(count))
    number = np.zeros(count, np.int32)
    number[kept] = np.arange(len(kept), dtype=np.int32)
    target = number[keeper]
    stays = np.ones(len(mesh.facets), np.bool_)
    stays[mesh.facet_pairs[:, 1]] = False
    return replace(
        mesh, points=mesh.points[kept], cells=target[mesh.cells], facets=target[mesh.facets[stays]],
        facet_sides=mesh.facet_sides[stays], facet_pairs=np.zeros((0, 2), np.int32),
        point_fields={name: values[kept] for name, values in mesh.point_fields.items()},
        record={key: value for key, value in mesh.record.items() if key != "split"},
    )  # fmt: skip


def _not_a_pair(mesh: TetMesh, name: str) -> Any:
    raise UsageError(f"{name!r} is not an interface name;", hint='write two phases, "NMC | LPSCl".')


def _keys(faces: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """One number per triangle, whatever the order of its corners; exact up to two million points per 64 bits."""
    ordered = np.sort(faces, axis=1).astype(np.int64)
    if count < 2_000_000:
        return np.asarray((ordered[:, 0] * count + ordered[:, 1]) * count + ordered[:, 2])
    pair, index = np.unique(ordered[:, 0] * count + ordered[:, 1], return_inverse=True)
    del pair
    return np.asarray(index.ravel().astype(np.int64) * count + ordered[:, 2])


def _cells_at(mesh: TetMesh) -> npt.NDArray[np.int64]:
    """(f, 2) cells at each facet, −1 where there is none."""
    faces = mesh.cells[:, _FACES].reshape(-1, 3)
    keys = _keys(np.concatenate([faces, mesh.facets]), len(mesh.points))
    cell_keys, wanted = keys[: len(faces)], keys[len(faces) :]
    order = np.argsort(cell_keys, kind="stable")
    ordered = cell_keys[order]
    start, end = np.searchsorted(ordered, wanted, "left"), np.searchsorted(ordered, wanted, "right")
    owners = np.full((len(wanted), 2), -1, dtype=np.int64)
    for side in (0, 1):
        there = start + side < end
        owners[there, side] = order[start[there] + side] // 4
    return owners


def _open(mesh: TetMesh, split: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Cells with a vertex per fan, and the old vertex of each new one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    touched = np.zeros(len(mesh.points), np.bool_)
    touched[split.ravel()] = True
    faces = mesh.cells[:, _FACES].reshape(-1, 3)
    near = np.flatnonzero(touched[faces].any(axis=1))
    keys = _keys(np.concatenate([faces[near], split]), len(mesh.points))
    closed = np.isin(keys[: len(near)], keys[len(near) :])
    order = np.argsort(keys[: len(near)], kind="stable")
    same = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    one, two, opened = order[same], order[same + 1], closed[order[same]]

    corner = (np.arange(len(mesh.cells))[:, None, None] * 4 + _FACES).reshape(
        -1, 3
    )  # corner numbers of faces
    a, b = _matched(mesh.cells, corner[near[one]], corner[near[two]])
    keep = touched[mesh.cells.ravel()[a]]
    opened = np.repeat(opened, 3)
    size = 4 * len(mesh.cells)

    def fans(links: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
        graph = coo_array((np.ones(int(links.sum()), np.int8), (a[links], b[links])), shape=(size, size))
        return np.asarray(connected_components(graph, directed=False)[1])

    whole, parts = fans(keep), fans(keep & ~opened)
    corners = np.flatnonzero(touched[mesh.cells.ravel()])
    # the first fan of every piece that hung together keeps the vertex: a mere pinch is not opened further
    _, index = np.unique(whole[corners], return_index=True)
    keeps = np.zeros(int(parts.max()) + 1, np.bool_)
    keeps[parts[corners[index]]] = True
    moving = corners[~keeps[parts[corners]]]
    fresh, position, number = np.unique(parts[moving], return_index=True, return_inverse=True)
    old = mesh.cells.ravel()[moving[position]].astype(np.int64)
    rank = np.empty(len(fresh), np.int64)
    by_vertex = np.lexsort((moving[position], old))
    rank[by_vertex] = np.arange(len(fresh))
    cells = mesh.cells.copy().ravel()
    cells[moving] = (len(mesh.points) + rank[number.ravel()]).astype(np.int32)
    return cells.reshape(-1, 4), old[by_vertex]


def _matched(
    cells: npt.NDArray[np.int32], one: npt.NDArray[np.int64], two: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Corner numbers of two cells' common faces, side by side by vertex."""
    flat = cells.ravel()
    a = np.take_along_axis(one, np.argsort(flat[one], axis=1), axis=1)
    b = np.take_along_axis(two, np.argsort(flat[two], axis=1), axis=1)
    return a.ravel(), b.ravel()


def _renumbered(
    mesh: TetMesh, cells: npt.NDArray[np.int32], facets: npt.NDArray[np.int32], owner: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """Facets with the vertices that their owner has now."""
    result = facets.copy()
    there = owner >= 0
    old, new = mesh.cells[owner[there]], cells[owner[there]]
    for i in range(3):
        at = np.argmax(old == facets[there, i][:, None], axis=1)
        result[there, i] = new[np.arange(len(at)), at]
    return result
