"""Repair of labels: specks, holes, threads and point contacts, each only where it is asked for."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError
from pxm2mesh.regions import Regions, find_regions
from pxm2mesh.volume import LabelVolume

logger = logging.getLogger(__name__)

_PASSES = 20


@dataclass(frozen=True)
class RepairOptions:
    """What is repaired; everything is off by default.

    Attributes:
        min_region: Regions of fewer voxels go to the phase they share the most faces with.
        max_hole: Regions of up to so many voxels that lie within one single phase, clear of the box
            faces, go to it.
        bridges: Relabel voxels that are a thread of one voxel between two parts of a phase.
        contacts: Part voxels of one phase that meet along an edge or at a corner only.
    """

    min_region: int | None = None
    max_hole: int | None = None
    bridges: bool = False
    contacts: bool = False

    def __post_init__(self) -> None:
        for name in ("min_region", "max_hole"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(
                    f"{name} = {value} is not a number of voxels ≥ 1;", hint="leave it out to turn it off."
                )


@dataclass(frozen=True)
class RepairRecord:
    """What was done, in regions, contacts and voxels.

    Attributes:
        islands: Regions below ``min_region`` that were merged.
        holes: Enclosed regions that were filled.
        bridges: Voxels cut out of threads.
        edge_contacts: Contacts along an edge that were parted.
        corner_contacts: Contacts at a corner that were parted.
        remaining_contacts: Contacts that are left because parting them made new ones.
        changed_voxels: Voxels whose label differs in the end.
    """

    islands: int = 0
    holes: int = 0
    bridges: int = 0
    edge_contacts: int = 0
    corner_contacts: int = 0
    remaining_contacts: int = 0
    changed_voxels: int = 0

    def as_dict(self) -> dict[str, int]:
        """The JSON form."""
        return asdict(self)


def clean(volume: LabelVolume, *, min_region: int | None = None) -> LabelVolume:
    """Merge regions of fewer than ``min_region`` voxels into what surrounds them; off when None.

    Args:
        volume: The sample.
        min_region: Voxels below which a region is a speck.

    Returns:
        The sample without specks.

    Raises:
        UsageError: ``min_region`` below 1.

    Example:
        >>> from pxm2mesh import LabelVolume
        >>> labels = np.zeros((5, 5, 5), np.uint8); labels[2, 2, 2] = 1
        >>> clean(LabelVolume(labels, {"void": 0, "NMC": 1}, "1 um"), min_region=2).voxel_counts()["NMC"]
        0
    """
    return repair(volume, RepairOptions(min_region=min_region))[0]


def repair(volume: LabelVolume, options: RepairOptions) -> tuple[LabelVolume, RepairRecord]:
    """Repair labels as asked for.

    Threads and contacts go first: cutting them can leave specks, which are merged last. A repaired voxel
    belongs to no particle.

    Args:
        volume: The sample.
        options: What to repair.

    Returns:
        The repaired sample and what was done to it.

    Raises:
        UsageError: Options out of range.
    """
    from pxm2mesh.segment import _repair_kernels as kernels

    before, record = volume, RepairRecord()
    if options.bridges or options.contacts:
        labels = volume.labels.copy()
        if options.bridges:
            record = replace(record, bridges=int(kernels.cut_bridges(labels)))
        if options.contacts:
            record = _part_contacts(labels, record)
        volume = _with(volume, labels)
    if options.max_hole is not None:
        volume, count = _merge(volume, options.max_hole, holes=True)
        record = replace(record, holes=count)
    if options.min_region is not None:
        volume, count = _merge(volume, options.min_region - 1, holes=False)
        record = replace(record, islands=count)
    record = replace(record, changed_voxels=int(np.count_nonzero(volume.labels != before.labels)))
    logger.info("repaired labels: %s", record)
    return volume, record


def _part_contacts(labels: npt.NDArray[np.unsignedinteger], record: RepairRecord) -> RepairRecord:
    from pxm2mesh.segment import _repair_kernels as kernels

    edges = corners = 0
    last = (0, 0)
    for _ in range(_PASSES):
        last = kernels.part_contacts(labels)
        edges, corners = edges + int(last[0]), corners + int(last[1])
        if last == (0, 0):
            break
    left = int(sum(last))
    if left:
        logger.warning("%d contacts along edges or at corners could not be parted.", left)
    return replace(record, edge_contacts=edges, corner_contacts=corners, remaining_contacts=left)


def _with(volume: LabelVolume, labels: npt.NDArray[np.unsignedinteger]) -> LabelVolume:
    ids = volume.particles
    if ids is not None:
        ids = np.where(labels == volume.labels, ids, 0)
    return LabelVolume(labels, volume.phases, volume.spacing, volume.origin, ids)


def _merge(volume: LabelVolume, largest: int, *, holes: bool) -> tuple[LabelVolume, int]:
    """Give regions of up to ``largest`` voxels the label they share the most faces with."""
    merged = 0
    for _ in range(_PASSES):  # a speck among specks finds a place once its neighbours have theirs
        regions = find_regions(volume)
        small = regions.voxels <= largest
        small[0] = False
        if not small.any() or small[1:].all():
            break
        target = _targets(regions, small, holes=holes)
        chosen = np.flatnonzero(target >= 0)
        if len(chosen) == 0:
            break
        new = np.where(target >= 0, target, regions.phase)
        labels = new[regions.ids].astype(volume.labels.dtype)
        volume, merged = _with(volume, labels), merged + len(chosen)
    return volume, merged


def _targets(regions: Regions, small: npt.NDArray[np.bool_], *, holes: bool) -> npt.NDArray[np.int64]:
    """(n + 1,) label to take, −1 to stay as it is."""
    pairs, faces = _small_contacts(regions, small)
    target = np.full(len(regions.phase), -1, dtype=np.int64)
    if len(pairs) == 0:
        return target
    # votes per (small region, label of the neighbour); neighbours that stay count before those that go
    label = regions.phase[pairs[:, 1]].astype(np.int64)
    if holes:
        lone = np.ones(len(target), dtype=bool)
        first = np.full(len(target), -1, dtype=np.int64)
        first[pairs[:, 0]] = label
        np.logical_and.at(lone, pairs[:, 0], label == first[pairs[:, 0]])
        lone[_at_box(regions)] = False
        chosen = small & lone & (first >= 0)
        target[chosen] = first[chosen]
        return target
    settled = ~small[pairs[:, 1]]
    pairs, faces, label = pairs[settled], faces[settled], label[settled]
    keys, index = np.unique(np.stack([pairs[:, 0], label], axis=1), axis=0, return_inverse=True)
    votes = np.bincount(index.ravel(), faces, len(keys))
    order = np.lexsort((-keys[:, 1], votes, keys[:, 0]))  # the last of each region wins
    target[keys[order, 0]] = keys[order, 1]
    return target


def _small_contacts(
    regions: Regions, small: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(m, 2) pairs (small region, neighbour) and (m,) voxel faces they share."""
    found = []
    for axis in range(3):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        a, b = regions.ids[low], regions.ids[high]
        differ = a != b
        a, b = a[differ], b[differ]
        for here, there in ((a, b), (b, a)):
            mine = small[here]
            found.append(np.stack([here[mine], there[mine]], axis=1))
    pairs, faces = np.unique(np.concatenate(found), axis=0, return_counts=True)
    return pairs.astype(np.int64), faces.astype(np.int64)


def _at_box(regions: Regions) -> npt.NDArray[np.int64]:
    ids = regions.ids
    ends = [ids.take(end, axis) for axis in range(3) for end in (0, -1)]
    return np.unique(np.concatenate([end.ravel() for end in ends])).astype(np.int64)
