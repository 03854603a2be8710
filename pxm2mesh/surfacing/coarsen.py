"""Labels on cells of several voxels, on a lattice that always ends at the box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError
from pxm2mesh.regions import OUTSIDE, Regions, find_regions
from pxm2mesh.surface import Indicators, RegionLedger
from pxm2mesh.surfacing.indicators import find_bodies, indicator_fields
from pxm2mesh.surfacing.votes import LARGE, Assignment, assign_cells
from pxm2mesh.units import parse_quantity
from pxm2mesh.volume import LabelVolume

CellSize = int | float | str | Sequence[int]


@dataclass(frozen=True, eq=False)
class Cells:
    """A volume joined to cells.

    Attributes:
        nodes: Three arrays of (m + 1,) planes between cells, whole numbers of voxels.
        regions: The regions of the cells; ``voxels`` counts cells.
        body: (r + 1,) int32 body of each region.
        volume: (r + 1,) float64 voxels that each region stands for; they sum to the voxels of the volume.
        ledger: What became of the regions of the voxels.
        thin: (f + 1,) bool, regions of the voxels that are thinner than the cells: they have their volume, not their
            shape.
    """

    nodes: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]
    regions: Regions
    body: npt.NDArray[np.int32]
    volume: npt.NDArray[np.float64]
    ledger: RegionLedger
    thin: npt.NDArray[np.bool_]


def parse_cell_size(cell_size: CellSize, volume: LabelVolume) -> tuple[int, int, int]:
    """Cell edges in whole voxels along x, y, z.

    Args:
        cell_size: Voxels, one number or one per axis; or text: ``"2"`` (voxels) or a length ``"0.8 um"``, which
            gives the whole number of voxels nearest to it along every axis.
        volume: The sample.

    Raises:
        UsageError: Not whole numbers from 1 to the size of the volume.
        UnitError: Text that is neither a number nor a length.
    """
    if isinstance(cell_size, str):
        try:
            cell_size = float(cell_size)
        except ValueError:
            length = parse_quantity(cell_size, "length", where="cell size")
            cell_size = [max(1, round(length / s)) for s in volume.spacing.tolist()]
    given = np.asarray(cell_size, dtype=np.float64)
    if given.shape not in ((), (3,)) or np.any(given != np.round(given)) or np.any(given < 1):
        raise UsageError(
            f"cell size {cell_size!r} must be whole voxels ≥ 1;", hint="one number, or one per axis."
        )
    sizes = np.broadcast_to(given, (3,)).astype(int)
    if np.any(sizes > volume.shape):
        raise UsageError(
            f"cells of {sizes.tolist()} voxels do not fit a volume of {list(volume.shape)} voxels."
        )
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def cell_planes(voxels: int, size: int) -> npt.NDArray[np.int64]:
    """The planes between cells of about ``size`` voxels along an axis of ``voxels``, from 0 to ``voxels``.

    Where the size does not divide the axis some cells are a voxel wider or narrower; nothing is cropped.

    Example:
        >>> cell_planes(9, 2).tolist()
        [0, 2, 4, 7, 9]
    """
    count = max(1, round(voxels / size))
    return np.round(np.linspace(0, voxels, count + 1)).astype(np.int64)


def coarsen(volume: LabelVolume, cell_size: CellSize = 1, *, indicators: Indicators | None = None) -> Cells:
    """Join voxels to cells: by majority, but so that no thin region loses its volume (see `pxm2mesh.surfacing.votes`).

    Args:
        volume: The sample.
        cell_size: Voxels per cell edge, one number or one per axis.
        indicators: The fields of ``volume``, if they are there already.

    Returns:
        The cells, their regions and the ledger of the regions of the voxels.

    Raises:
        UsageError: The cell size is not a whole number of voxels or larger than the volume.
    """
    sizes = parse_cell_size(cell_size, volume)
    ids, phase, particle = find_bodies(volume)
    fine = find_regions(volume)
    planes = [cell_planes(n, s) for n, s in zip(volume.shape, sizes, strict=True)]
    nodes = (planes[0].astype(np.float64), planes[1].astype(np.float64), planes[2].astype(np.float64))
    if sizes == (1, 1, 1):
        body = _body_of_region(fine, ids)
        thin = np.zeros(fine.count + 1, np.bool_)
        return Cells(nodes, fine, body, fine.voxels.astype(np.float64), _identity(fine), thin)
    fields = indicators if indicators is not None else indicator_fields(volume)
    made = assign_cells(fine, ids, fields, planes)
    owner = made.owner
    particles = None if volume.particles is None else particle[owner]
    labels = phase[owner].astype(volume.labels.dtype)
    joined = LabelVolume(labels, volume.phases, volume.spacing, volume.origin, particles)
    regions = find_regions(joined)
    ledger, share = _account(fine, regions, made, planes)
    return Cells(nodes, regions, _body_of_region(regions, owner), share, ledger, made.thin)


def _body_of_region(regions: Regions, bodies: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    body = np.zeros(regions.count + 1, dtype=np.int32)
    body[regions.ids.ravel()] = bodies.ravel()
    return body


def _identity(regions: Regions) -> RegionLedger:
    own = np.arange(regions.count + 1, dtype=np.int32)
    pieces = (own > 0).astype(np.int32)
    return RegionLedger(regions.phase, regions.voxels, own, pieces, np.zeros(len(own), np.bool_))


def _account(
    fine: Regions, coarse: Regions, made: Assignment, planes: list[npt.NDArray[np.int64]]
) -> tuple[RegionLedger, npt.NDArray[np.float64]]:
    """Ledger of the voxel regions, and the voxels each cell region stands for.

    A voxel region's voxels go to the cell regions in which it lies, in proportion to what it has of their cells. What
    was dropped goes to the rest of its phase: first to small regions that hold fewer voxels than their cells, then
    to all in proportion to their size, so that the phase keeps its volume; a phase that vanishes altogether goes to
    the regions whose cells cover it.
    """
    here = coarse.ids.ravel()
    stride = coarse.count + 1
    keys, entry = np.unique(made.region.astype(np.int64) * stride + here[made.cell], return_inverse=True)
    source, target = keys // stride, keys % stride
    credit, counts = np.bincount(entry, made.credit), np.bincount(entry, made.voxels)
    whole = np.bincount(source, credit, fine.count + 1)
    share = np.asarray(np.bincount(target, credit / whole[source] * fine.voxels[source], stride), np.float64)
    pieces = np.bincount(source, minlength=fine.count + 1).astype(np.int32)
    into = np.zeros(fine.count + 1, dtype=np.int32)
    order = np.lexsort((-target, counts))
    into[source[order]] = target[order]
    shared = np.zeros(fine.count + 1, dtype=np.bool_)
    shared[source] = np.bincount(target, minlength=stride)[target] > 1
    dropped = pieces == 0
    dropped[0] = False
    size = np.asarray(np.bincount(here, made.size, stride), np.float64)
    for label in np.unique(fine.phase[dropped]).tolist() if dropped.any() else []:
        lost = dropped & (fine.phase == label)
        stay = np.flatnonzero(coarse.phase == label)
        if len(stay):
            _hand_over(share, size, stay, float(fine.voxels[lost].sum()))
        else:
            cell = [np.repeat(np.arange(len(p) - 1), np.diff(p)) for p in planes]
            share += np.bincount(coarse.ids[np.ix_(*cell)][lost[fine.ids]], minlength=stride)
    if coarse.phase[0] != OUTSIDE or abs(share.sum() - fine.voxels.sum()) > 1e-6 * fine.voxels.sum():
        raise AssertionError("the ledger of regions lost voxels")
    return RegionLedger(fine.phase, fine.voxels, into, pieces, shared), share


def _hand_over(
    share: npt.NDArray[np.float64], size: npt.NDArray[np.float64], stay: npt.NDArray[np.int64], lost: float
) -> None:
    """Give ``lost`` voxels to the regions ``stay``: first to small ones that hold fewer than their cells."""
    room = np.where(share[stay] < LARGE, np.maximum(size[stay] - share[stay], 0.0), 0.0)
    taken = room * min(1.0, lost / max(float(room.sum()), 1e-300))
    share[stay] += taken
    share[stay] *= 1 + (lost - taken.sum()) / share[stay].sum()
