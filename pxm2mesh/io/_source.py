"""Arrays that stay in their file until a part of them is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, UsageError

Window = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Source:
    """An array in a file; slicing it reads that part and no more than the format makes necessary.

    Attributes:
        name: Of the file, for messages.
        shape: (nx, ny, nz).
        dtype: Of the values.
        chunk: Voxels along x, y, z that the file holds together.
        read: Function of three slices along x, y, z with ends; returns that part, indexed (x, y, z).
    """

    name: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    chunk: tuple[int, int, int]
    read: Callable[[Window], npt.NDArray[Any]]

    @property
    def ndim(self) -> int:
        """3."""
        return 3

    @classmethod
    def of_slices(
        cls,
        name: str,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        read: Callable[[Window], npt.NDArray[Any]],
        *,
        chunk: tuple[int, ...] | None = None,
    ) -> Source:
        """A source whose file is indexed (z, y, x).

        Args:
            name: Of the file.
            shape: (nz, ny, nx).
            dtype: Of the values.
            read: Function of three slices along z, y, x.
            chunk: Voxels along z, y, x that the file holds together; one whole slice when None.
        """
        nz, ny, nx = shape
        cz, cy, cx = chunk or (1, ny, nx)

        def transposed(window: Window) -> npt.NDArray[Any]:
            x, y, z = window
            return np.asarray(read((z, y, x))).transpose(2, 1, 0)

        return cls(name, (nx, ny, nz), np.dtype(dtype), (cx, cy, cz), transposed)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        """The part of a window, in native byte order and C order."""
        given = key if isinstance(key, tuple) else (key,)
        if Ellipsis in given:
            given = ()
        given = (*given, *(slice(None),) * (3 - len(given)))
        if any(not isinstance(part, slice) or part.step not in (None, 1) for part in given):
            raise IndexError(f"{key!r}: volumes on disk are read in boxes.")
        low, high = zip(
            *(part.indices(n)[:2] for part, n in zip(given, self.shape, strict=True)), strict=True
        )
        window = tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))
        try:
            values = self.read(window)  # type: ignore[arg-type]
        except (DataError, UsageError, MemoryError):
            raise
        except Exception as error:  # every reader has its own kinds of complaint about damaged files
            raise unreadable(self.name, error) from error
        return np.array(values, dtype=values.dtype.newbyteorder("="), order="C")  # never a view of the file


def unreadable(name: object, error: BaseException) -> DataError:
    """The complaint of a reader as an error of ours."""
    return DataError(f"{name} cannot be read: {error};", hint="it may be damaged or cut off.")
