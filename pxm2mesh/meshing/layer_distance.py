"""Distance of points from the surface that a layer lies on, and how thick the layer is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pxm2mesh.meshing import layer_kernels

Floats = npt.NDArray[np.float64]
GROOVE = 0.75  # cosine: facets between corners whose nearest points lie in directions farther apart are in a groove
_RIGHT = 0.1  # of the thickness: how far off it may be


@dataclass(frozen=True, eq=False)
class Target:
    """A triangle surface that points can be held at a distance from; lengths as the points have them."""

    corners: Floats
    low: Floats
    size: float
    shape: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]

    @classmethod
    def of(cls, points: Floats, triangles: npt.NDArray[np.int32]) -> Target:
        """The surface of some triangles, sorted into boxes for look-ups."""
        corners = points[triangles]
        low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
        size = 2.0 * float(np.median(np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)))
        shape = np.maximum(1, np.ceil((high - low) / size + 1e-9)).astype(np.int64)
        return cls(corners, low, size, shape, *layer_kernels.bin_triangles(corners, low, size, shape))

    def closest(self, points: Floats, reach: float = np.inf) -> tuple[Floats, Floats]:
        """(n, 3) nearest points of the surface, and (n,) distances; infinite where nothing is within ``reach``."""
        found = np.full((len(points), 3), np.inf)
        layer_kernels.closest_points(
            np.ascontiguousarray(points),
            self.corners,
            self.low,
            self.size,
            self.shape,
            self.start,
            self.items,
            reach,
            found,
        )
        return found, np.asarray(np.linalg.norm(points - found, axis=1))

    def in_grooves(self, points: Floats, triangles: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Triangles whose corners see the surface in unlike directions: they bridge a groove between parts of it.

        There the points at a given distance form a valley with a sharp bottom, narrower than any cell.
        """
        used, local = np.unique(triangles, return_inverse=True)
        at, far = self.closest(points[used])
        way = ((points[used] - at) / np.maximum(far, 1e-300)[:, None])[local.reshape(-1, 3)]
        cosines = [np.einsum("ij,ij->i", way[:, a], way[:, b]) for a, b in ((0, 1), (1, 2), (2, 0))]
        return np.asarray(np.min(cosines, axis=0) < GROOVE)


def thickness_record(
    points: Floats, triangles: npt.NDArray[np.int32], target: Target, wanted: float
) -> dict[str, float]:
    """How thick a layer is, by area of its outer facets, each seen at its centre.

    Args:
        points: (n, 3) µm.
        triangles: (f, 3) outer facets.
        target: What the layer lies on.
        wanted: µm.

    Returns:
        ``mean_thickness_um`` of all facets; ``groove_share``, the part of the area in grooves between two parts of
        the surface (see `Target.in_grooves`), where the layer of both runs together and is thicker; and of the rest
        ``thickness_p05_um``, ``thickness_p50_um``, ``thickness_p95_um`` and ``right_share``, the part of its area that
        is within a tenth of what is wanted.
    """
    if len(triangles) == 0:
        return {}
    corners = points[triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    far = target.closest(corners.mean(axis=1))[1]
    record = {"mean_thickness_um": float(np.average(far, weights=area))}
    groove = target.in_grooves(points, triangles)
    record["groove_share"] = float(area[groove].sum() / area.sum())
    far, area = far[~groove], area[~groove]
    if len(far):
        order = np.argsort(far, kind="stable")
        below = np.cumsum(area[order]) / area.sum()
        for share in (5, 50, 95):
            place = min(int(np.searchsorted(below, share / 100)), len(far) - 1)
            record[f"thickness_p{share:02d}_um"] = float(far[order[place]])
        record["right_share"] = float(area[np.abs(far / wanted - 1) <= _RIGHT].sum() / area.sum())
    return record
