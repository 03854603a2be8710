"""Meshes in plain numpy: restrict them, weld them, cut them open along interfaces.

A cut mesh has one copy of a point for every group of cells around it that hold together through faces
that are not cut. So a field that is continuous on it may jump across the cut, triple lines and the
rims of a cut come out right, and two grains that only touch in a point or an edge are separate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pxm2mesh.errors import GeometryError
from pxm2mesh.tetmesh import TetMesh

Ints = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int32]
Corners = npt.NDArray[np.int8]

FACES = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
"""Face i of a tetrahedron is opposite of its vertex i."""


@dataclass(frozen=True, eq=False)
class Adjacency:
    """Which faces of cells lie on each other.

    Attributes:
        cells: (m, 2) int32 the two cells of each interior face.
        local: (m, 2) int8 the number of the face in each of them.
        outer_cells: (b,) int32 cells of the faces with one cell only.
        outer_local: (b,) int8 the number of the face in it.
    """

    cells: Counts
    local: Corners
    outer_cells: Counts
    outer_local: Corners

    def at(self, cells: Counts, local: Corners) -> npt.NDArray[np.bool_]:
        """(m,) which interior faces are those with these first cells and numbers in them."""
        return np.isin(self.cells[:, 0] * 4 + self.local[:, 0], cells * 4 + local)


@dataclass(frozen=True, eq=False)
class Links:
    """How the cells and the facets of a welded mesh hang together: found once, for all who ask.

    Attributes:
        near: Which faces of cells lie on each other.
        owner: (f, 2) int32 the cells on the two sides of each facet; -1 where there is none.
        local: (f, 2) int8 the number of the facet in them; -1 likewise.
    """

    near: Adjacency
    owner: Counts
    local: Corners

    @classmethod
    def of(cls, mesh: TetMesh) -> Links:
        """Find them.

        Raises:
            GeometryError: A face has more than two cells.
        """
        near = adjacency(mesh.cells, len(mesh.points))
        return cls(near, *cells_of_facets(mesh.cells, mesh.facets, near, len(mesh.points)))

    def restricted(self, keep: npt.NDArray[np.bool_]) -> Links:
        """Those of `restrict` with the same cells, without a search."""
        near, new = self.near, (np.cumsum(keep) - 1).astype(np.int32)
        stays = keep[near.cells]
        both, outer = stays.all(axis=1), keep[near.outer_cells]
        half = np.flatnonzero(stays[:, 0] ^ stays[:, 1])
        side = stays[half, 1].astype(np.int64)  # which of the two is left
        adjacent = Adjacency(
            new[near.cells[both]], near.local[both],
            np.concatenate([new[near.outer_cells[outer]], new[near.cells[half, side]]]),
            np.concatenate([near.outer_local[outer], near.local[half, side]]),
        )  # fmt: skip
        left = (self.owner >= 0) & keep[self.owner]
        some = left.any(axis=1)
        left, owner, local = left[some], new[self.owner[some]], self.local[some]
        second = left[:, 1] & ~left[:, 0]  # the first is gone: the second takes its place
        owner[second], local[second], left[second] = owner[second, ::-1], local[second, ::-1], [True, False]
        return Links(adjacent, np.where(left, owner, -1), np.where(left, local, -1))


def face_keys(triangles: npt.NDArray[np.integer], points: int) -> Ints:
    """One number per triangle that does not depend on the order of its vertices.

    Args:
        triangles: (m, 3) vertex numbers below ``points``.
        points: Number of points.

    Returns:
        (m,) int64; equal exactly for triangles with the same vertices.
    """
    a, b, c = triangles.T
    low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    middle = a ^ b ^ c ^ low ^ high
    edges = low.astype(np.int64) * points + middle
    if points >= 2_000_000:  # points³ does not fit 63 bits
        edges = np.unique(edges, return_inverse=True)[1].astype(np.int64)
    return np.asarray(edges * points + high)


def adjacency(cells: npt.NDArray[np.integer], points: int) -> Adjacency:
    """Match the faces of a conforming mesh.

    Args:
        cells: (k, 4) tetrahedra.
        points: Number of points.

    Raises:
        GeometryError: A face has more than two cells.
    """
    keys = face_keys(np.asarray(cells)[:, FACES].reshape(-1, 3), points)
    order = np.argsort(keys)
    ordered = keys[order]
    same = ordered[1:] == ordered[:-1]
    if np.any(same[1:] & same[:-1]):
        bad = int(order[np.argmax(same[1:] & same[:-1])]) // 4
        raise GeometryError(
            f"a face of cell {bad} belongs to more than two cells;", hint="the mesh is not valid."
        )
    first = np.flatnonzero(same)
    one, other = order[first], order[first + 1]
    pairs = np.stack([np.minimum(one, other), np.maximum(one, other)], axis=1)
    alone = np.ones(len(order), dtype=bool)
    alone[first] = alone[first + 1] = False
    outer = order[alone]
    return Adjacency(
        (pairs >> 2).astype(np.int32), (pairs & 3).astype(np.int8),
        (outer >> 2).astype(np.int32), (outer & 3).astype(np.int8),
    )  # fmt: skip


def cells_of_facets(
    cells: npt.NDArray[np.integer], facets: npt.NDArray[np.integer], neighbours: Adjacency, points: int
) -> tuple[Counts, Corners]:
    """The cells on the two sides of each facet.

    Args:
        cells: (k, 4) tetrahedra.
        facets: (f, 3) triangles, each a face of a cell.
        neighbours: The adjacency of the cells.
        points: Number of points.

    Returns:
        (f, 2) cells and (f, 2) number of the face in them; -1 where there is no second cell, or none at all.
    """
    on_facet = np.zeros(points, dtype=bool)
    on_facet[facets] = True
    corners = on_facet[np.asarray(cells).T]
    candidates = np.stack([corners[face].all(axis=0) for face in FACES], axis=1)  # few of all faces
    inner = candidates[neighbours.cells[:, 0], neighbours.local[:, 0]]
    outer = candidates[neighbours.outer_cells, neighbours.outer_local]
    alone, nobody = neighbours.outer_cells[outer], np.full(int(outer.sum()), -1, dtype=np.int8)
    both = np.concatenate([neighbours.cells[inner], np.stack([alone, nobody], 1)])
    local = np.concatenate([neighbours.local[inner], np.stack([neighbours.outer_local[outer], nobody], 1)])
    faces = np.take_along_axis(np.asarray(cells)[both[:, 0]], FACES[local[:, 0]], axis=1)
    keys = face_keys(np.concatenate([faces, np.asarray(facets)]), points)
    mesh_keys, wanted = keys[: len(faces)], keys[len(faces) :]
    order = np.argsort(mesh_keys)
    place = np.minimum(np.searchsorted(mesh_keys[order], wanted), len(order) - 1)
    found = order[place]
    hit = (mesh_keys[found] == wanted)[:, None]
    return np.where(hit, both[found], -1).astype(np.int32), np.where(hit, local[found], -1).astype(np.int8)


def weld(mesh: TetMesh) -> TetMesh:
    """The mesh with the two copies of every split facet joined again; the same mesh if nothing is split."""
    if len(mesh.facet_pairs) == 0:
        return mesh
    doubled = np.unique(mesh.facets[mesh.facet_pairs.ravel()])
    _, first, inverse = np.unique(mesh.points[doubled], axis=0, return_index=True, return_inverse=True)
    target = np.arange(len(mesh.points))
    target[doubled] = doubled[first[inverse.ravel()]]
    keep = np.ones(len(mesh.facets), dtype=bool)
    keep[mesh.facet_pairs[:, 1]] = False
    used, renumbered = np.unique(target[mesh.cells], return_inverse=True)
    new = np.full(len(mesh.points), -1)
    new[used] = np.arange(len(used))
    return TetMesh(
        mesh.points[used], renumbered.reshape(-1, 4).astype(np.int32), mesh.cell_region,
        new[target[mesh.facets[keep]]].astype(np.int32), mesh.facet_sides[keep], mesh.region_phase,
        mesh.region_volume, mesh.phases, mesh.lower, mesh.upper,
        point_fields={name: values[used] for name, values in mesh.point_fields.items()},
        cell_fields=mesh.cell_fields, record=mesh.record,
    )  # fmt: skip


def restrict(mesh: TetMesh, links: Links, keep: npt.NDArray[np.bool_]) -> tuple[TetMesh, Links]:
    """The part of a welded mesh made of some cells, with the facets that bound them.

    Args:
        mesh: The mesh.
        links: Its links.
        keep: (k,) True for the cells that stay.

    Returns:
        A mesh whose facets towards what was taken away still know what was there, and its links.

    Raises:
        GeometryError: No cell stays.
    """
    if keep.all():
        return mesh, links
    if not keep.any():
        raise GeometryError(
            "no cell is left in this part of the mesh;", hint="check which phases are meshed."
        )
    used, inverse = np.unique(mesh.cells[keep], return_inverse=True)
    new = np.full(len(mesh.points), -1, dtype=np.int32)
    new[used] = np.arange(len(used))
    inside = np.any((links.owner >= 0) & keep[links.owner], axis=1)
    part = TetMesh(
        mesh.points[used], np.asarray(inverse.reshape(-1, 4), dtype=np.int32), mesh.cell_region[keep],
        new[mesh.facets[inside]], mesh.facet_sides[inside],
        mesh.region_phase, mesh.region_volume, mesh.phases, mesh.lower, mesh.upper,
        point_fields={name: values[used] for name, values in mesh.point_fields.items()},
        cell_fields={name: values[keep] for name, values in mesh.cell_fields.items()}, record=mesh.record,
    )  # fmt: skip
    return part, links.restricted(keep)


@dataclass(frozen=True, eq=False)
class CutMesh:
    """A mesh cut open.

    Attributes:
        points: (n, 3) µm, one row per copy of a point.
        cells: (k, 4) int64 into ``points``.
        parent: (n,) int64 the point of the uncut mesh that each is a copy of.
    """

    points: npt.NDArray[np.float64]
    cells: Ints
    parent: Ints


def cut(mesh: TetMesh, neighbours: Adjacency, open_faces: npt.NDArray[np.bool_]) -> CutMesh:
    """Give every group of cells that hold together around a point its own copy of that point.

    Args:
        mesh: A welded mesh.
        neighbours: Its adjacency.
        open_faces: (m,) True for the interior faces of ``neighbours`` that are cut.

    Returns:
        The cut mesh; cells keep their numbers and the order of their vertices.
    """
    cells = mesh.cells.astype(np.int64)
    opened = np.take_along_axis(
        cells[neighbours.cells[open_faces, 0]], FACES[neighbours.local[open_faces, 0]], axis=1
    )
    critical = np.zeros(len(mesh.points), dtype=bool)  # only there can cells come apart
    critical[opened] = critical[_inside_the_box(mesh, neighbours)] = True
    if not critical.any():
        return CutMesh(mesh.points, cells, np.arange(len(mesh.points)))
    near_critical = np.asarray(critical[cells.T].any(axis=0))
    closed = np.flatnonzero(~open_faces & near_critical[neighbours.cells[:, 0]])
    first = np.take_along_axis(cells[neighbours.cells[closed, 0]], FACES[neighbours.local[closed, 0]], axis=1)
    closed = closed[critical[first].any(axis=1)]
    ends = []
    for side in (0, 1):  # corners of the shared face, in the same order seen from both cells
        cell, local = neighbours.cells[closed, side], neighbours.local[closed, side]
        corner = FACES[local]
        vertex = np.take_along_axis(cells[cell], corner, axis=1)
        order = np.argsort(vertex, axis=1)
        ends.append(
            (cell[:, None] * 4 + np.take_along_axis(corner, order, 1), np.take_along_axis(vertex, order, 1))
        )
    matters = critical[ends[0][1]]
    corner_a, corner_b = ends[0][0][matters], ends[1][0][matters]
    flat = cells.ravel()
    corners = np.flatnonzero(critical[flat])
    place = np.full(cells.size, -1)
    place[corners] = np.arange(len(corners))
    graph = coo_matrix(
        (np.ones(len(corner_a), dtype=np.int8), (place[corner_a], place[corner_b])), shape=(len(corners),) * 2
    )
    groups, group = connected_components(graph, directed=False)
    copies, renumbered = np.unique(flat[corners] * (groups + 1) + group, return_inverse=True)
    owner = copies // (groups + 1)  # point of each copy, ascending
    count = np.zeros(len(mesh.points), dtype=np.int64)
    count[flat] = 1
    count[critical] = np.bincount(owner, minlength=len(mesh.points))[critical]
    start = np.cumsum(count) - count  # first copy of each point
    of_copy = start[owner] + np.arange(len(owner)) - np.searchsorted(owner, owner)
    new = start[flat]
    new[corners] = of_copy[renumbered]
    parent = np.repeat(np.arange(len(mesh.points)), count)
    return CutMesh(mesh.points[parent], new.reshape(-1, 4), parent)


def _inside_the_box(mesh: TetMesh, neighbours: Adjacency) -> npt.NDArray[np.int32]:
    """(o, 3) points of the outer faces that lie on no face of the box; around all other points there is no gap."""
    outer = np.take_along_axis(mesh.cells[neighbours.outer_cells], FACES[neighbours.outer_local], axis=1)
    places, tolerance = mesh.points[outer], 1e-9 * float(np.max(mesh.upper - mesh.lower))
    on_box = np.zeros(len(outer), dtype=bool)
    for plane in (mesh.lower, mesh.upper):
        on_box |= np.any(np.all(np.abs(places - plane) <= tolerance, axis=1), axis=1)
    return np.asarray(outer[~on_box])


def components(cell_count: int, neighbours: Adjacency, keep: npt.NDArray[np.bool_]) -> tuple[int, Ints]:
    """Face-connected components of the cells in ``keep``.

    Args:
        cell_count: Number of cells.
        neighbours: Their adjacency.
        keep: (k,) True for the cells that count.

    Returns:
        How many there are, and (k,) the component of each cell, -1 for cells that do not count.
    """
    number = np.full(cell_count, -1, dtype=np.int64)
    pairs: npt.NDArray[np.signedinteger] = neighbours.cells
    chosen = np.flatnonzero(keep)
    number[chosen] = np.arange(len(chosen))
    if len(chosen) < cell_count:
        pairs = number[pairs[np.all(keep[pairs], axis=1)]]
    graph = coo_matrix(
        (np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(chosen),) * 2
    )
    count, label = connected_components(graph, directed=False)
    number[chosen] = label
    return int(count), number


def reaches(
    mesh: TetMesh, owner: npt.NDArray[np.integer], component: Ints, names: Sequence[str]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which components have a facet on each named box face or interface.

    Args:
        mesh: The mesh.
        owner: (f, 2) cells of its facets (`cells_of_facets`).
        component: (k,) component of each cell, -1 for none.
        names: Box faces or interfaces.

    Returns:
        Name → (components,) bool.
    """
    count = int(component.max(initial=-1)) + 1
    result = {}
    for name in names:
        cells = owner[mesh.facets_of(name)].ravel()
        touched = component[cells[cells >= 0]]
        there = np.zeros(count, dtype=bool)
        there[touched[touched >= 0]] = True
        result[name] = there
    return result
