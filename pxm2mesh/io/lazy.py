"""Volumes that are larger than memory: opened, cropped and binned before they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError
from pxm2mesh.io._image import Image
from pxm2mesh.io._source import Source
from pxm2mesh.phases import PhaseTable
from pxm2mesh.volume import GreyVolume, LabelVolume, bin_majority, bin_mean, box_window

if TYPE_CHECKING:
    from dask.array import Array as DaskArray

_BLOCK_BYTES = 1 << 25
"""Size of the blocks that are read at once, where the file has smaller ones."""


@dataclass(frozen=True, eq=False)
class VolumeOnDisk:
    """Labels or grey values that stay in their file until they are asked for.

    Attributes:
        values: (nx, ny, nz) dask array; ``values[0:9].compute()`` reads and no more.
        spacing: (3,) µm.
        origin: (3,) µm, the corner of voxel (0, 0, 0).
        phases: The phase table of labels; None for grey values.
    """

    values: DaskArray
    spacing: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]
    phases: PhaseTable | None = None

    @classmethod
    def of(
        cls,
        source: Source,
        spacing: npt.NDArray[np.float64],
        origin: npt.NDArray[np.float64],
        phases: PhaseTable | None = None,
    ) -> VolumeOnDisk:
        """The volume of what a file holds."""
        import dask.array as typed

        da: Any = typed  # its own annotations are incomplete
        native = source.dtype.newbyteorder("=")
        values = da.from_array(
            source, chunks=_blocks(source), name=False, asarray=False, meta=np.empty((0, 0, 0), native)
        )
        return cls(values, spacing, origin, phases)

    @classmethod
    def of_image(cls, image: Image) -> VolumeOnDisk:
        """The volume of an opened file; voxels of 1 µm where it states no spacing."""
        values = image.values
        if isinstance(values, np.ndarray):
            held = values
            nx, ny, nz = held.shape
            values = Source("an array", (nx, ny, nz), held.dtype, (nx, ny, nz), lambda window: held[window])
        assert isinstance(values, Source)
        spacing = np.ones(3) if image.spacing is None else image.spacing
        return cls.of(values, spacing, image.origin, image.phases)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        nx, ny, nz = self.values.shape
        return nx, ny, nz

    @property
    def slow_axis(self) -> int:
        """The axis along which the file is best read piece by piece."""
        return max((2, 1, 0), key=lambda axis: len(self.values.chunks[axis]))

    def crop(self, lower: Sequence[int], upper: Sequence[int]) -> VolumeOnDisk:
        """The box of voxels ``lower`` (included) to ``upper`` (excluded), in its place in space.

        Raises:
            UsageError: The box does not fit.
        """
        window = box_window(lower, upper, self.shape)
        moved = self.origin + np.asarray(lower) * self.spacing
        return replace(self, values=self.values[window], origin=moved)

    def binned(self, factor: int) -> VolumeOnDisk:
        """One voxel for blocks of ``factor`` per axis: mean of grey values, majority of labels.

        What is left over at the upper ends is cut off.

        Raises:
            UsageError: The factor is below 1, or larger than the volume.
        """
        if factor == 1:
            return self
        kept = [n // factor * factor for n in self.shape]
        if factor < 1 or min(kept) == 0:
            raise UsageError(f"bin {factor} does not fit a volume of {self.shape} voxels.")
        cut = self.values[tuple(slice(n) for n in kept)]
        cut = cut.rechunk(tuple(_multiples(chunks, factor) for chunks in cut.chunks))
        small = tuple(tuple(c // factor for c in chunks) for chunks in cut.chunks)
        work: Callable[..., Any] = bin_mean if self.phases is None else bin_majority
        dtype = np.dtype(np.float32) if self.phases is None else cut.dtype
        values = cut.map_blocks(work, factor, chunks=small, meta=np.empty((0, 0, 0), dtype))
        return replace(self, values=values, spacing=self.spacing * factor)

    def load(self) -> LabelVolume | GreyVolume:
        """The volume in memory: labels where there are phases, else grey values.

        Raises:
            DataError: Damaged file, or values that are no labels of the phase table.
        """
        values = np.ascontiguousarray(np.asarray(self.values))
        if self.phases is None:
            return GreyVolume(values, self.spacing, self.origin)
        return LabelVolume(values, self.phases, self.spacing, self.origin)

    def __repr__(self) -> str:
        size = " × ".join(map(str, self.shape))
        steps = " × ".join(f"{s:g}" for s in self.spacing)
        what = "grey values" if self.phases is None else ", ".join(self.phases.names)
        return f"VolumeOnDisk({size} voxels of {steps} µm, {self.values.dtype}: {what})"


def _blocks(source: Source) -> tuple[int, int, int]:
    """Voxels to read at once: what the file holds together, put together along z, y, x until it is worth it."""
    block = [min(c, n) for c, n in zip(source.chunk, source.shape, strict=True)]
    order = (2, 1, 0) if source.chunk[2] < source.shape[2] else (0, 1, 2)
    if block == list(source.shape):
        order = (2, 1, 0)  # held in memory or unpacked as a whole: one block
    for axis in order:
        others = int(np.prod([b for a, b in enumerate(block) if a != axis])) * source.dtype.itemsize
        if others < _BLOCK_BYTES:
            pieces = max(1, _BLOCK_BYTES // (others * block[axis]))
            block[axis] = min(block[axis] * pieces, source.shape[axis])
            break
    return block[0], block[1], block[2]


def _multiples(chunks: tuple[int, ...], factor: int) -> tuple[int, ...]:
    """Sizes near ``chunks`` that ``factor`` divides; their sum stays."""
    ends = np.cumsum(chunks) // factor * factor
    sizes: Any = np.diff(np.unique(np.concatenate([[0], ends])))
    return tuple(int(n) for n in sizes)
