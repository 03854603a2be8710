"""Distances to interfaces: exact on meshes, smoothed on voxels; and the room in front of an interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.phases import PhaseTable
from pxm2mesh.tetmesh import TetMesh
from pxm2mesh.volume import LabelVolume

Floats = npt.NDArray[np.float64]
_NEIGHBOURS = 6  # nearest vertices whose triangles are tried
_CANDIDATES = 12  # nearest obstacles looked at for each ball
_BALLS = 20000  # facets at which the room is measured, at most


def point_triangle(points: Floats, a: Floats, b: Floats, c: Floats) -> Floats:
    """(n,) distance of each point to its triangle a-b-c.

    References:
        C. Ericson, Real-Time Collision Detection (2005), §5.1.5.
    """
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac)
    d20, d21 = _dot(ap, ab), _dot(ap, ac)
    denominator = np.maximum(d00 * d11 - d01 * d01, 1e-300)
    v, w = (d11 * d20 - d01 * d21) / denominator, (d00 * d21 - d01 * d20) / denominator
    inside = (v >= 0) & (w >= 0) & (v + w <= 1)
    plane = np.linalg.norm(ap - v[:, None] * ab - w[:, None] * ac, axis=1)
    rim = np.minimum(_point_segment(points, a, b), _point_segment(points, b, c))
    rim = np.minimum(rim, _point_segment(points, c, a))
    return np.asarray(np.where(inside, plane, rim))


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", a, b))


def _point_segment(points: Floats, a: Floats, b: Floats) -> Floats:
    along = b - a
    t = np.clip(_dot(points - a, along) / np.maximum(_dot(along, along), 1e-300), 0, 1)
    return np.asarray(np.linalg.norm(points - a - t[:, None] * along, axis=1))


def distance_to(points: Floats, corners: Floats, triangles: npt.NDArray[Any]) -> Floats:
    """(n,) distance of points to a triangle surface: to the triangles around the nearest few vertices.

    Args:
        points: (n, 3) µm.
        corners: (m, 3) vertices, µm.
        triangles: (t, 3) into ``corners``.
    """
    from scipy.spatial import cKDTree

    used, index = np.unique(triangles, return_inverse=True)
    index = index.reshape(-1, 3)
    count = min(_NEIGHBOURS, len(used))
    _, near = cKDTree(corners[used]).query(points, k=count)
    near = near.reshape(len(points), -1)
    order = np.argsort(index.ravel(), kind="stable")
    start = np.searchsorted(index.ravel()[order], np.arange(len(used) + 1))
    around = order // 3
    best = np.full(len(points), np.inf)
    p = corners[used][index]
    most = int(np.diff(start).max())
    for column in range(count):
        vertex = near[:, column]
        for turn in range(most):
            here = np.flatnonzero(start[vertex] + turn < start[vertex + 1])
            if len(here) == 0:
                break
            t = around[start[vertex[here]] + turn]
            best[here] = np.minimum(best[here], point_triangle(points[here], p[t, 0], p[t, 1], p[t, 2]))
    return best


def signed_distance(mesh: TetMesh, facets: npt.NDArray[np.int64], between: tuple[str, str]) -> Floats:
    """(n,) µm to the interface of two phases: 0 on it, positive in the first, negative in the second.

    In other phases it is the distance to the second minus that to the first.
    """
    first, second = (mesh.phases[name].label for name in between)
    phase = mesh.cell_phase()
    within = {label: _nodes(mesh, phase == label) for label in (first, second)}
    signed = np.zeros(len(mesh.points))
    own = within[first] | within[second]
    exact = distance_to(mesh.points[own], mesh.points, mesh.facets[facets])
    signed[own] = np.where(within[first][own], exact, -exact)
    signed[np.unique(mesh.facets[facets])] = 0.0
    rest = np.flatnonzero(~own)
    if len(rest):
        labels = mesh.region_phase[mesh.facet_sides]
        to = [
            distance_to(mesh.points[rest], mesh.points, mesh.facets[(labels == label).any(axis=1)])
            for label in (first, second)
        ]
        signed[rest] = to[1] - to[0]
    return signed


def _nodes(mesh: TetMesh, cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    used = np.zeros(len(mesh.points), np.bool_)
    used[mesh.cells[cells].ravel()] = True
    return used


def outside_distance(mask: npt.NDArray[np.bool_], spacing: Floats, reach: float) -> npt.NDArray[np.float32]:
    """µm from voxel centres outside of a body to its sub-voxel surface; 0 inside, infinite beyond ``reach``.

    The Euclidean distance transform leads to the nearest voxel of the body. From there on the distance is taken
    along the surface's normal, and how deep that voxel lies is read off the body's indicator. (Half a voxel instead,
    as is usual, makes layers on oblique surfaces too thick by an eighth of a voxel.)
    """
    from scipy.ndimage import distance_transform_edt

    result = np.full(mask.shape, np.inf, np.float32)
    result[mask] = 0.0
    if not mask.any() or mask.all():
        return result
    far, nearest = distance_transform_edt(~mask, sampling=[float(s) for s in spacing], return_indices=True)
    at = np.nonzero(~mask & (far < reach + 1.5 * float(np.max(spacing))))
    seed = tuple(n[at] for n in nearest)
    voxels, normal = _surface_near(mask, seed, spacing)
    way = np.stack([(a - b) * s for a, b, s in zip(at, seed, spacing.tolist(), strict=True)], axis=1)
    along = _dot(way, normal)
    straight = far[at]
    distance = np.clip(along, 0.7 * straight, straight) - voxels
    result[at] = np.where(distance < reach, np.maximum(distance, 0.0), np.inf)
    return result


def _surface_near(
    mask: npt.NDArray[np.bool_], seed: tuple[npt.NDArray[Any], ...], spacing: Floats
) -> tuple[Floats, Floats]:
    """µm from voxels just inside of a body to its surface, and (n, 3) outward unit normals there."""
    from scipy.special import ndtr

    from pxm2mesh.surfacing.indicators import indicator_fields

    volume = LabelVolume(mask.astype(np.uint8), PhaseTable({"rest": 0, "body": 1}), np.ones(3))
    field = indicator_fields(volume).values[1]
    slopes = np.zeros((len(seed[0]), 3))
    for axis, size in enumerate(mask.shape):
        ahead, back = (list(seed) for _ in range(2))
        ahead[axis], back[axis] = np.minimum(seed[axis] + 1, size - 1), np.maximum(seed[axis] - 1, 0)
        span = np.maximum(ahead[axis] - back[axis], 1)
        slopes[:, axis] = -(field[tuple(ahead)] - field[tuple(back)]) / span
    steps = np.linspace(-1.5, 1.5, 301)  # voxels from a plane surface, where 2G − G∗G goes as:
    profile = 2 * ndtr(steps) - ndtr(steps / np.sqrt(2))
    depth = np.clip(np.interp(field[seed], profile, steps), 0.0, 1.5)
    in_voxels = np.linalg.norm(slopes, axis=1)
    slopes /= spacing
    in_length = np.maximum(np.linalg.norm(slopes, axis=1), 1e-9)
    scale = np.where(in_voxels > 1e-6, in_voxels / in_length, spacing.min())
    return np.asarray(depth * scale), slopes / in_length[:, None]


def local_thickness(mesh: TetMesh, facets: npt.NDArray[np.int64], toward: Floats) -> tuple[Floats, Floats]:
    """Diameter of the largest ball that touches each facet and no other interface, on either side.

    Args:
        mesh: The mesh.
        facets: (f,) facets to measure at.
        toward: (f,) +1 where the facet's normal points to the front side, −1 where to the back.

    Returns:
        ``(behind, front)``: (f,) µm each; the box does not count, and where nothing is in reach it is the box's
        diagonal. Facets between those measured take the value of the nearest one.
    """
    from scipy.spatial import cKDTree

    step = max(1, -(-len(facets) // _BALLS))
    chosen = np.arange(0, len(facets), step)
    inside = (mesh.facet_sides > 0).all(axis=1) & (mesh.facet_sides[:, 0] != mesh.facet_sides[:, 1])
    obstacles = np.unique(mesh.facets[inside])
    p = mesh.points[mesh.facets[facets[chosen]]]
    normal = _smooth_normals(mesh, facets, toward)[chosen]
    centre = p.mean(axis=1)
    tree = cKDTree(mesh.points[obstacles])
    reach = float(np.linalg.norm(mesh.upper - mesh.lower))
    size = np.sqrt(np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1))
    sides = [_balls(tree, mesh.points[obstacles], centre, sign * normal, size, reach) for sign in (-1.0, 1.0)]
    if step > 1:
        every = mesh.points[mesh.facets[facets]].mean(axis=1)
        _, nearest = cKDTree(centre).query(every)
        sides = [side[nearest] for side in sides]
    return sides[0], sides[1]


def _smooth_normals(mesh: TetMesh, facets: npt.NDArray[np.int64], toward: Floats) -> Floats:
    """(f, 3) unit normals of facets, averaged twice over the facets around their corners."""
    corners = mesh.facets[facets]
    p = mesh.points[corners]
    normal = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]) * toward[:, None]
    for _ in range(2):
        at = np.stack(
            [np.bincount(corners.ravel(), np.repeat(normal[:, a], 3), len(mesh.points)) for a in range(3)],
            axis=1,
        )
        normal = at[corners].sum(axis=1)
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300))


def _balls(tree: Any, obstacles: Floats, touch: Floats, normal: Floats, size: Floats, reach: float) -> Floats:
    """Shrink a ball at every point until no obstacle is in it; those of the own neighbourhood do not count."""
    radius = np.full(len(touch), reach / 2)
    active = np.arange(len(touch))
    for _ in range(30):
        centre = touch[active] + radius[active, None] * normal[active]
        distance, at = tree.query(centre, k=min(_CANDIDATES, len(obstacles)))
        distance, at = distance.reshape(len(active), -1), at.reshape(len(active), -1)
        offset = obstacles[at] - touch[active, None]
        along = np.einsum("fkj,fj->fk", offset, normal[active])
        square = np.einsum("fkj,fkj->fk", offset, offset)
        # an obstacle seen at a flat angle is the rough surface itself, not the other side of a gap
        counts = (along > 0.35 * np.sqrt(square)) & (square > size[active, None] ** 2)
        fitting = np.where(counts, square / np.maximum(2 * along, 1e-300), np.inf).min(axis=1)
        smaller = fitting < radius[active] * (1 - 1e-6)
        active = active[smaller]
        if len(active) == 0:
            break
        radius[active] = fitting[smaller]
    return 2 * radius
