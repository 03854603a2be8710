"""Volumes larger than memory: fractions, areas and pieces, slab by slab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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
    """Labels on disk: a numpy memory map, a zarr or an HDF5 array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(nx, ny, nz)."""

    def __getitem__(self, key: Any) -> Any:
        """Planes ``a:b`` as an array."""


def quantify_blocks(
    labels: LazyLabels,
    phases: PhaseTable,
    spacing: SpacingLike,
    *,
    planes: int = 64,
    progress: Progress = SILENT,
) -> Quantities:
    """Measure labels that need not fit into memory.

    Args:
        labels: (nx, ny, nz), read a few planes along x at a time.
        phases: The phase table.
        spacing: Of the voxels, as `LabelVolume` takes it.
        planes: Planes to work on at once; memory is about 14 bytes per voxel of them.
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
    step = parse_spacing(spacing)
    total = _Totals(phases, shape, step)
    starts = range(0, shape[0], planes)
    with progress.task("measuring", len(starts)) as task:
        for start in starts:
            stop = min(start + planes, shape[0])
            low, high = max(start - total.reach, 0), min(stop + total.reach, shape[0])
            slab = LabelVolume(np.asarray(labels[low:high]), phases, step)
            total.add(slab, start - low, stop - low)
            task.advance(note=f"planes {start} to {stop}")
    sample: Any = total.finished()
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


@dataclass(eq=False)
class _Totals:
    """Sums over the slabs so far, and the pieces of phases that may go on in the next."""

    phases: PhaseTable
    shape: tuple[int, ...]
    spacing: npt.NDArray[np.float64]
    reach: int = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.phases)
        self.reach = face_geometry(self.spacing)[0]
        self.counts = dict.fromkeys(self.phases.names, 0)
        self.table = np.zeros((count, count))
        self.parent = np.zeros(1, np.int64)
        self.phase = np.full(1, -1, np.int64)
        self.voxels = np.zeros(1, np.int64)
        self.touches = np.zeros((1, 6), bool)
        self.edge: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None
        self.done = 0

    def add(self, slab: LabelVolume, first: int, last: int) -> None:
        """Take in planes ``first`` to ``last`` of a slab; the rest of it is seen by windows only."""
        from pxm2mesh.quantify import _area_kernels as kernels

        phase = phase_index(slab)
        own = np.arange(len(self.phases))

        def shifted(a: int, b: int, *rest: Any) -> None:
            kernels.projected_faces(a + first, b + first, *rest)

        self.table += sum_over_planes(
            shifted,
            last - first,
            lambda: np.zeros_like(self.table),
            phase,
            own,
            own,
            *face_geometry(self.spacing),
        )
        inner = slab.crop((first, 0, 0), (last, *self.shape[1:]))
        for name, count in inner.voxel_counts().items():
            self.counts[name] += count
        self._join(find_components(inner), phase[first:last])
        self.done += last - first

    def _join(self, pieces: Components, phase: npt.NDArray[np.unsignedinteger]) -> None:
        offset = len(self.parent) - 1
        touches = pieces.touches[1:].copy()
        touches[:, 0] &= self.done == 0
        touches[:, 1] &= self.done + phase.shape[0] == self.shape[0]
        self.parent = np.concatenate([self.parent, offset + np.arange(1, len(pieces.voxels))])
        self.phase = np.concatenate([self.phase, pieces.phase[1:]])
        self.voxels = np.concatenate([self.voxels, pieces.voxels[1:]])
        self.touches = np.concatenate([self.touches, touches])
        if self.edge is not None:
            same = self.edge[0] == phase[0]
            below, above = self.edge[1][same], pieces.ids[0][same].astype(np.int64) + offset
            stride = np.int64(len(self.parent))
            for pair in np.unique(below * stride + above):
                a, b = self._root(int(pair // stride)), self._root(int(pair % stride))
                self.parent[max(a, b)] = min(a, b)
        self.edge = phase[-1].copy(), pieces.ids[-1].astype(np.int64) + offset

    def _root(self, piece: int) -> int:
        while self.parent[piece] != piece:
            self.parent[piece] = self.parent[self.parent[piece]]
            piece = int(self.parent[piece])
        return piece

    def finished(self) -> _Measured:
        """The sums, with joined pieces as one."""
        root = self.parent
        while not np.array_equal(root[root], root):
            root = root[root]
        kept, number = np.unique(root, return_inverse=True)
        voxels = np.bincount(number, self.voxels, len(kept)).astype(np.int64)
        touches = np.zeros((len(kept), 6), bool)
        np.logical_or.at(touches, number, self.touches)
        pieces = Components(np.zeros((0, 0, 0), np.uint32), self.phase[kept], voxels, touches)
        box = _Box(self.phases, _Size(int(np.prod(self.shape))), float(np.prod(self.spacing)))
        return _Measured(box, self.counts, self.table, pieces)
