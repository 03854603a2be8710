"""Volumes larger than memory: fractions, areas and pieces, slab by slab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.phases import PhaseTable
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.quantify._groups import areas, connected, fractions
from pxm2mesh.quantify._parallel import sum_over_planes
from pxm2mesh.quantify.areas import face_geometry, phase_index
from pxm2mesh.quantify.connectivity import Components, find_components
from pxm2mesh.quantities import Quantities
from pxm2mesh.volume import LabelVolume, SpacingLike, parse_spacing


class LazyLabels(Protocol):
    """Labels on disk: a dask array, a numpy memory map, a zarr or an HDF5 array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(nx, ny, nz)."""

    def __getitem__(self, key: Any) -> Any:
        """A box of voxels as an array."""


def quantify_blocks(
    labels: LazyLabels,
    phases: PhaseTable,
    spacing: SpacingLike,
    *,
    planes: int = 64,
    axis: int = 0,
    progress: Progress = SILENT,
) -> Quantities:
    """Measure labels that need not fit into memory.

    Args:
        labels: (nx, ny, nz), read once, a few planes at a time.
        phases: The phase table.
        spacing: Of the voxels, as `LabelVolume` takes it.
        planes: Planes to work on at once; memory is about 14 bytes per voxel of them.
        axis: Normal of the planes: the one along which the labels are best read.
        progress: Shows one step per slab.

    Returns:
        The groups ``fractions``, ``areas`` and ``connected`` of `quantify`, the same numbers up to rounding.

    Raises:
        DataError: Not three axes, or a label without a phase.

    Example:
        >>> import numpy as np
        >>> found = quantify_blocks(np.zeros((9, 4, 4), np.uint8), PhaseTable({"void": 0}), "1 um", planes=4)
        >>> found["porosity"]
        1.0
    """
    shape = tuple(int(n) for n in labels.shape)
    if len(shape) != 3 or 0 in shape:
        raise DataError(f"labels must have three axes (x, y, z), none empty; got shape {shape}.")
    # the sums know their first axis as the one that is cut into slabs
    order = (axis, *(a for a in range(3) if a != axis))
    total = _Totals(phases, tuple(shape[a] for a in order), parse_spacing(spacing)[list(order)])
    starts = range(0, shape[axis], planes)
    with progress.task("measuring", len(starts)) as task:
        for start in starts:
            window = [slice(None)] * 3
            window[axis] = slice(start, min(start + planes, shape[axis]))
            total.add(np.asarray(labels[tuple(window)]).transpose(order))
            task.advance(note=f"planes {start} to {window[axis].stop}")
    sample: Any = total.finished(order)
    directions = ("x", "y", "z")
    measures: tuple[Callable[..., Any], ...] = (fractions, areas, connected)
    return Quantities(q for measure in measures for q in measure(sample, directions))


@dataclass(frozen=True)
class _Box:
    """What the measures ask of a volume that is not there as a whole."""

    phases: PhaseTable
    labels: Any
    voxel_volume: float


@dataclass(frozen=True)
class _Size:
    size: int


@dataclass(frozen=True, eq=False)
class _Measured:
    """Stands in for a `Sample`: sums instead of voxels."""

    volume: _Box
    counts: dict[str, int]
    table: npt.NDArray[np.float64]
    components: Components

    @property
    def present(self) -> tuple[str, ...]:
        return tuple(n for n, c in self.counts.items() if c)

    def areas(self) -> npt.NDArray[np.float64]:
        return self.table


class _Totals:
    """Sums over the slabs so far, and the pieces of phases that may go on in the next.

    Args:
        phases: The phase table.
        shape: Of the whole; slabs are cut across the first axis.
        spacing: (3,) µm.
    """

    def __init__(self, phases: PhaseTable, shape: tuple[int, ...], spacing: npt.NDArray[np.float64]) -> None:
        self.phases = phases
        self.shape = shape
        self.spacing = spacing
        self.counts = dict.fromkeys(phases.names, 0)
        self.table = np.zeros((len(phases), len(phases)))
        self._geometry = face_geometry(spacing)
        self._reach = self._geometry[0]
        self._held: npt.NDArray[Any] | None = None
        self._summed = 0
        self._pieces: list[Components] = []
        self._pairs: list[npt.NDArray[np.int64]] = []
        self._edge: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None
        self._seen = 0
        self._numbered = 0

    def add(self, planes: npt.NDArray[Any]) -> None:
        """Take in the next planes, (n, ny, nz)."""
        slab = LabelVolume(planes, self.phases, self.spacing)
        for name, count in slab.voxel_counts().items():
            self.counts[name] += count
        phase = phase_index(slab)
        self._join(find_components(slab), phase)
        self._seen += phase.shape[0]
        held = phase if self._held is None else np.concatenate([self._held, phase])
        self._add_faces(held)

    def _add_faces(self, held: npt.NDArray[Any]) -> None:
        """Faces of those planes whose windows are all here; the last ones wait for the next slab."""
        from pxm2mesh.quantify import _area_kernels as kernels

        first = self._seen - held.shape[0]
        whole = self._seen == self.shape[0]
        last = self._seen if whole else max(self._seen - self._reach, self._summed)
        begin = self._summed - first
        own, geometry = np.arange(len(self.phases)), self._geometry

        def shifted(a: int, b: int, *rest: Any) -> None:
            kernels.projected_faces(a + begin, b + begin, *rest)

        if last > self._summed:
            make = partial(np.zeros_like, self.table)
            self.table += sum_over_planes(shifted, last - self._summed, make, held, own, held, own, *geometry)
            self._summed = last
        self._held = held[max(self._summed - self._reach - first, 0) :]

    def _join(self, pieces: Components, phase: npt.NDArray[np.unsignedinteger]) -> None:
        """Number the pieces of a slab after those before, and note which go on from the slab before."""
        touches = pieces.touches.copy()
        touches[:, 0] &= self._seen == 0
        touches[:, 1] &= self._seen + phase.shape[0] == self.shape[0]
        nothing = np.zeros((0, 0, 0), np.uint32)
        self._pieces.append(Components(nothing, pieces.phase[1:], pieces.voxels[1:], touches[1:]))
        if self._edge is not None:
            same = self._edge[0] == phase[0]
            pairs = np.stack([self._edge[1][same], pieces.ids[0][same].astype(np.int64) + self._numbered])
            self._pairs.append(np.unique(pairs, axis=1))
        self._edge = phase[-1].copy(), pieces.ids[-1].astype(np.int64) + self._numbered
        self._numbered += len(pieces.voxels) - 1

    def finished(self, order: tuple[int, ...]) -> _Measured:
        """The sums, with joined pieces as one.

        Args:
            order: The axis of the sample that each of ours is.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        count = self._numbered + 1  # 0 is no piece
        below, above = np.concatenate([np.zeros((2, 0), np.int64), *self._pairs], axis=1)
        links = coo_array((np.ones(len(below), np.uint8), (below, above)), shape=(count, count))
        joined, number = connected_components(links, directed=False)
        phase = np.full(joined, -1, np.int64)
        phase[number[1:]] = np.concatenate([p.phase for p in self._pieces])
        sizes = np.concatenate([p.voxels for p in self._pieces])
        voxels = np.zeros(joined, np.int64)
        np.add.at(voxels, number[1:], sizes)
        touches = np.zeros((joined, 6), bool)
        np.logical_or.at(touches, number[1:], np.concatenate([p.touches for p in self._pieces]))
        back = np.argsort(order)
        touches = touches.reshape(-1, 3, 2)[:, back].reshape(-1, 6)
        nothing = np.zeros((0, 0, 0), np.uint32)
        box = _Box(self.phases, _Size(int(np.prod(self.shape))), float(np.prod(self.spacing)))
        return _Measured(box, self.counts, self.table, Components(nothing, phase, voxels, touches))
