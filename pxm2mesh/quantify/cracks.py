"""Mud-cracks of an electrode: a network of lines seen from above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.quantify.electrode import layer_thickness
from pxm2mesh.quantify.pores import axis_of
from pxm2mesh.volume import LabelVolume

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CrackNetwork:
    """Cracks through a layer, seen along its normal.

    Attributes:
        open: (a, b) whether a column is cracked.
        skeleton: (a, b) middle lines of the cracks, one pixel wide.
        area_fraction: Share of the area that is open.
        width: µm, median over the middle lines.
        spacing: µm, mean distance between the middles of neighbouring cracks along lines in both directions;
            inf with fewer than two.
        length: µm of middle lines.
        orientation: (18,) share of the crack length per 10° of angle to the first axis, from 0° to 180°.
        polygon_areas: (p,) µm² of the pieces between the cracks, without those cut by the box.
        junctions: Places where three cracks or more meet.
    """

    open: npt.NDArray[np.bool_]
    skeleton: npt.NDArray[np.bool_]
    area_fraction: float
    width: float
    spacing: float
    length: float
    orientation: Float
    polygon_areas: Float
    junctions: int

    @property
    def polygon_diameter(self) -> float:
        """Mean diameter in µm of the circles that have the polygons' areas; NaN where all are cut."""
        if len(self.polygon_areas) == 0:
            return np.nan
        return float(np.sqrt(4 * self.polygon_areas / np.pi).mean())


def crack_network(
    volume: LabelVolume, layer: str, *, direction: str = "z", depth: float = 0.5, speck: int = 9
) -> CrackNetwork:
    """Measure the cracks of a layer.

    Args:
        volume: The sample.
        layer: Phase that is cracked.
        direction: Normal of the layer.
        depth: Share of the layer's height that must be missing for a column to count as cracked.
        speck: Open spots of fewer pixels are pores, not cracks.

    Returns:
        The network.

    Raises:
        DataError: The layer has no voxel, or the pixels across the normal are not square.
    """
    import cc3d
    from skimage.morphology import skeletonize

    axis = axis_of(direction)
    sides = [float(s) for a, s in enumerate(volume.spacing) if a != axis]
    if not np.isclose(sides[0], sides[1]):
        raise DataError(f"cracks need square pixels across {direction}, got {sides[0]:g} × {sides[1]:g} µm.")
    pixel = sides[0]
    thickness = layer_thickness(volume, layer, direction=direction)
    step = float(volume.spacing[axis])
    low = np.nanmedian(thickness.lower)
    first = round((float(low) - float(volume.origin[axis])) / step)
    last = first + round(float(np.nanmedian(thickness.map)) / step)
    solid = np.moveaxis(volume.mask(layer), axis, 2)[:, :, first:last]
    open_ = solid.mean(axis=2) <= 1 - depth
    spots = cc3d.connected_components(open_[:, :, None].view(np.uint8), connectivity=26)[:, :, 0]
    large = np.bincount(spots.ravel()) >= speck
    large[0] = False
    open_ = large[spots]
    skeleton = np.asarray(skeletonize(open_), np.bool_)  # type: ignore[no-untyped-call]
    normal = _normals(open_)
    return CrackNetwork(
        open=open_,
        skeleton=skeleton,
        area_fraction=float(open_.mean()),
        width=_width(open_, skeleton, normal) * pixel,
        spacing=_spacing(open_) * pixel,
        length=_length(skeleton) * pixel,
        orientation=_orientation(skeleton, normal),
        polygon_areas=_polygons(open_) * pixel**2,
        junctions=_junctions(skeleton),
    )


def _normals(open_: npt.NDArray[np.bool_]) -> Float:
    """(a, b, 2) unit normal of the cracks, sign free, by the structure tensor."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(open_.astype(np.float64), 1.0)
    gx, gy = np.gradient(smooth)
    xx, yy, xy = (gaussian_filter(f, 3.0) for f in (gx * gx, gy * gy, gx * gy))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _runs(open_: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(a, b) length of the run of open pixels along the second axis that each belongs to, 0 outside."""
    padded = np.pad(open_, ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(padded, axis=1).ravel()
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    out = np.zeros(change.shape, np.int64)
    np.add.at(out, starts, ends - starts)
    np.add.at(out, ends, starts - ends)
    return np.asarray(np.cumsum(out).reshape(len(open_), -1)[:, :-1])


def _width(open_: npt.NDArray[np.bool_], skeleton: npt.NDArray[np.bool_], normal: Float) -> float:
    """Median width in pixels: run along the axis nearer to the normal, projected on it."""
    if not skeleton.any():
        return 0.0
    along = np.stack([_runs(open_.T).T, _runs(open_)], axis=-1)
    steep = np.abs(normal[..., 0]) >= np.abs(normal[..., 1])
    width = np.where(steep, along[..., 0] * np.abs(normal[..., 0]), along[..., 1] * np.abs(normal[..., 1]))
    return float(np.median(width[skeleton]))


def _spacing(open_: npt.NDArray[np.bool_]) -> float:
    """Mean distance in pixels between the middles of neighbouring cracks on rows and columns."""
    total, count = 0.0, 0
    for image in (open_, open_.T):
        for row in image:
            edges = np.flatnonzero(np.diff(np.pad(row, 1).astype(np.int8)))
            middles = 0.5 * (edges[::2] + edges[1::2])
            if len(middles) > 1:
                total += middles[-1] - middles[0]
                count += len(middles) - 1
    return total / count if count else np.inf


def _length(skeleton: npt.NDArray[np.bool_]) -> float:
    """Length of the middle lines in pixels: straight links 1, diagonal ones √2 unless a corner joins them."""
    s = skeleton
    straight = np.count_nonzero(s[1:] & s[:-1]) + np.count_nonzero(s[:, 1:] & s[:, :-1])
    falling = s[1:, 1:] & s[:-1, :-1] & ~s[1:, :-1] & ~s[:-1, 1:]
    rising = s[1:, :-1] & s[:-1, 1:] & ~s[1:, 1:] & ~s[:-1, :-1]
    return float(straight + np.sqrt(2) * (np.count_nonzero(falling) + np.count_nonzero(rising)))


def _orientation(skeleton: npt.NDArray[np.bool_], normal: Float) -> Float:
    angle = (np.degrees(np.arctan2(normal[..., 1], normal[..., 0])) + 90) % 180
    # 0° and 180° are one direction: the first bin is centred on it
    bins = ((angle[skeleton] + 5) // 10).astype(int) % 18
    counts = np.bincount(bins, minlength=18)
    return counts / max(int(counts.sum()), 1)


def _polygons(open_: npt.NDArray[np.bool_]) -> Float:
    import cc3d

    ids = cc3d.connected_components((~open_)[:, :, None].view(np.uint8), connectivity=6)[:, :, 0]
    area = np.bincount(ids.ravel()).astype(np.float64)
    cut = np.unique(np.concatenate([ids[0], ids[-1], ids[:, 0], ids[:, -1]]))
    area[cut] = 0
    area[0] = 0
    return area[area > 0]


def _junctions(skeleton: npt.NDArray[np.bool_]) -> int:
    """Clusters of skeleton pixels with three neighbours or more."""
    import cc3d
    from scipy.ndimage import convolve

    around = np.ones((3, 3), np.int16)
    around[1, 1] = 0
    meet = skeleton & (convolve(skeleton.astype(np.int16), around, mode="constant") >= 3)
    return int(cc3d.connected_components(meet[:, :, None].view(np.uint8), connectivity=26).max())
