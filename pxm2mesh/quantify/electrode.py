"""Electrode scale: thickness of layers, delamination, overhang of the anode over the cathode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.quantify.pores import axis_of
from pxm2mesh.volume import LabelVolume

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerThickness:
    """Thickness of a layer over the area of the sample.

    Attributes:
        map: (a, b) µm from the lowest to the highest voxel of the layer in each column, NaN where there is none.
        lower: (a, b) µm, height of the layer's lower face.
        mean: µm.
        spread: µm, standard deviation over the columns.
        covered: Share of the columns that have the layer.
        tilt: Degrees between the layer's middle plane and the lattice; ``mean`` times its cosine is the
            thickness across the layer.
    """

    map: Float
    lower: Float
    mean: float
    spread: float
    covered: float
    tilt: float


def layer_thickness(volume: LabelVolume, *names: str, direction: str = "z") -> LayerThickness:
    """Map the thickness of a layer, pores inside included.

    Args:
        volume: The sample.
        *names: Phases that the layer is made of.
        direction: Stacking direction.

    Returns:
        The map and what it comes to.

    Raises:
        DataError: None of the phases has a voxel.
    """
    axis = axis_of(direction)
    step = float(volume.spacing[axis])
    inside = np.moveaxis(volume.mask(*names), axis, 2)
    present = inside.any(axis=2)
    if not present.any():
        raise DataError(f"{' + '.join(names)} has no voxel: there is no layer to measure.")
    first = np.argmax(inside, axis=2)
    last = inside.shape[2] - 1 - np.argmax(inside[:, :, ::-1], axis=2)
    thickness = np.where(present, (last - first + 1) * step, np.nan)
    lower = np.where(present, first * step + volume.origin[axis], np.nan)
    middle = (lower + 0.5 * thickness)[present]
    sides = [float(s) for a, s in enumerate(volume.spacing) if a != axis]
    where = np.argwhere(present) * sides
    slope = np.linalg.lstsq(np.c_[where - where.mean(axis=0), np.ones(len(where))], middle, rcond=None)[0]
    values = thickness[present]
    return LayerThickness(
        map=thickness,
        lower=lower,
        mean=float(values.mean()),
        spread=float(values.std()),
        covered=float(present.mean()),
        tilt=float(np.degrees(np.arctan(np.hypot(slope[0], slope[1])))),
    )


@dataclass(frozen=True, eq=False)
class Delamination:
    """Gaps between two layers.

    Attributes:
        opening: (a, b) µm of void between the layers in each column, 0 where closed, NaN where one of them is missing.
        area_fraction: Share of the columns with both layers in which they are apart.
        mean_opening: µm over the open columns; 0 when there is none.
        largest_opening: µm.
        largest_patch: µm², largest connected open area.
    """

    opening: Float
    area_fraction: float
    mean_opening: float
    largest_opening: float
    largest_patch: float


def delamination(volume: LabelVolume, first: str, second: str, *, direction: str = "z") -> Delamination:
    """Find where two layers have come apart.

    A column is open where nothing but void lies between the facing surfaces of the two phases.

    Args:
        volume: The sample.
        first: Phase of one layer, such as the collector.
        second: Phase of the other, such as the anode.
        direction: Stacking direction; which of the two lies lower is found out.

    Returns:
        The gaps.

    Raises:
        DataError: The two phases share no column.
    """
    import cc3d

    axis = axis_of(direction)
    step = float(volume.spacing[axis])
    a, b = (np.moveaxis(volume.mask(name), axis, 2) for name in (first, second))
    if not (a.any() and b.any()):
        raise DataError(f"{first!r} or {second!r} has no voxel: there is no interface to open.")
    height = np.arange(a.shape[2])
    if (a.sum(axis=(0, 1)) @ height) / a.sum() > (b.sum(axis=(0, 1)) @ height) / b.sum():
        a, b = b, a
    both = a.any(axis=2) & b.any(axis=2)
    if not both.any():
        raise DataError(f"{first!r} and {second!r} share no column along {direction}.")
    n = a.shape[2]
    upper = np.where(both, np.argmax(b, axis=2), 0)
    below = a & (height < upper[:, :, None])
    both &= below.any(axis=2)
    lower = n - 1 - np.argmax(below[:, :, ::-1], axis=2)
    voids = [p.name for p in volume.phases if p.role == "void"]
    void = np.moveaxis(volume.mask(*voids), axis, 2)
    filled = np.cumsum(np.pad(void, ((0, 0), (0, 0), (1, 0))), axis=2, dtype=np.int32)
    gap = upper - lower - 1
    empty = np.take_along_axis(filled, upper[:, :, None], 2) - np.take_along_axis(
        filled, lower[:, :, None] + 1, 2
    )
    open_ = both & (gap > 0) & (empty[:, :, 0] == gap)
    opening = np.where(both, np.where(open_, gap * step, 0.0), np.nan)
    patches = cc3d.connected_components(open_[:, :, None].view(np.uint8), connectivity=6)
    pixel = float(np.prod(volume.spacing)) / step
    sizes = np.bincount(patches.ravel())[1:]
    values = opening[open_]
    return Delamination(
        opening=opening,
        area_fraction=float(open_.sum() / max(int(both.sum()), 1)),
        mean_opening=float(values.mean()) if len(values) else 0.0,
        largest_opening=float(values.max()) if len(values) else 0.0,
        largest_patch=float(sizes.max() * pixel) if len(sizes) else 0.0,
    )


@dataclass(frozen=True)
class Overhang:
    """How far one layer reaches beyond another at a side of the sample.

    Attributes:
        mean: µm over the rows of that side; negative where it falls short.
        least: µm, the smallest.
    """

    mean: float
    least: float


def overhang(
    volume: LabelVolume, anode: str, cathode: str, *, direction: str = "z"
) -> Mapping[str, Overhang]:
    """Reach of the anode beyond the cathode, side by side.

    Args:
        volume: The sample.
        anode: Phase of the layer that should reach further.
        cathode: Phase of the other.
        direction: Stacking direction.

    Returns:
        By side, such as ``"x-"``. Sides where the sample ends before the cathode does are left out; where the
        anode reaches the end of the sample, the overhang is at least what is given.

    Raises:
        DataError: One of them has no voxel.
    """
    axis = axis_of(direction)
    others = [a for a in range(3) if a != axis]
    prints = [np.asarray(volume.mask(name).any(axis=axis)) for name in (anode, cathode)]
    if not all(p.any() for p in prints):
        raise DataError(f"{anode!r} or {cathode!r} has no voxel: there is no overhang.")
    found: dict[str, Overhang] = {}
    for position, side_axis in enumerate(others):
        step = float(volume.spacing[side_axis])
        wide, narrow = (np.moveaxis(p, position, 0) for p in prints)
        for sign in "-+":
            if sign == "+":
                wide, narrow = wide[::-1], narrow[::-1]
            rows = narrow.any(axis=0)
            if np.argmax(narrow[:, rows], axis=0).min() == 0:
                continue
            rows &= wide.any(axis=0)
            reach = (np.argmax(narrow[:, rows], axis=0) - np.argmax(wide[:, rows], axis=0)) * step
            found[f"{'xyz'[side_axis]}{sign}"] = Overhang(float(reach.mean()), float(reach.min()))
    return found
