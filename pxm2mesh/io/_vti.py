"""VTK image data (``.vti``), written slab by slab as one uncompressed block per array."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.io._format import Format, choose
from pxm2mesh.io._image import KEY, Image
from pxm2mesh.io._source import Source, Window

_TYPES = {
    "i1": "Int8", "u1": "UInt8", "i2": "Int16", "u2": "UInt16", "i4": "Int32", "u4": "UInt32",
    "i8": "Int64", "u8": "UInt64", "f4": "Float32", "f8": "Float64",
}  # fmt: skip
_HEADER = 8
"""Bytes in front of each block that state its length."""


@dataclass(frozen=True, eq=False)
class CellArray:
    """One value per voxel.

    Attributes:
        dtype: Of the values.
        slabs: A few slices at a time, indexed (z, y, x).
    """

    dtype: np.dtype[Any]
    slabs: Iterable[npt.NDArray[Any]]

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> CellArray:
        """An array (nx, ny, nz); booleans become 0 and 1."""
        plain = values.view(np.uint8) if values.dtype == bool else values
        image = Image(plain)
        return cls(image.dtype, (slab for _, slab in image.slabs()))


def write_image_data(
    path: Path,
    shape: Sequence[int],
    arrays: Mapping[str, CellArray],
    *,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    origin: Sequence[float] = (0.0, 0.0, 0.0),
    about: str = "",
) -> None:
    """Write cell arrays on a voxel lattice; the same arrays give the same bytes.

    Args:
        path: ``.vti``, written directly.
        shape: Voxels along x, y, z.
        arrays: By name.
        spacing: (3,) µm.
        origin: (3,) µm.
        about: Our own metadata.
    """
    extent = " ".join(f"0 {n}" for n in shape)
    voxels = int(np.prod(np.asarray(shape, dtype=np.int64)))
    lines, offset = [], 0
    for name, array in arrays.items():
        kind = _TYPES[array.dtype.str[1:]]
        lines.append(
            f'<DataArray type="{kind}" Name="{escape(name)}" format="appended" offset="{offset}"/>\n'
        )
        offset += _HEADER + voxels * array.dtype.itemsize
    note = ""
    if about:
        codes = " ".join(str(b) for b in (*about.encode(), 0))
        note = (
            f'<FieldData><Array type="String" Name="{KEY}" NumberOfTuples="1" format="ascii">{codes}'
            "</Array></FieldData>\n"
        )
    first = next(iter(arrays), "")
    head = (
        '<?xml version="1.0"?>\n'
        '<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64">\n'
        f'<ImageData WholeExtent="{extent}" Origin="{_numbers(origin)}" Spacing="{_numbers(spacing)}">\n'
        f'{note}<Piece Extent="{extent}">\n<PointData/>\n<CellData Scalars="{escape(first)}">\n'
        f'{"".join(lines)}</CellData>\n</Piece>\n</ImageData>\n<AppendedData encoding="raw">\n_'
    )
    with path.open("wb") as stream:
        stream.write(head.encode())
        for array in arrays.values():
            stream.write((voxels * array.dtype.itemsize).to_bytes(_HEADER, "little"))
            for slab in array.slabs:
                little = slab.astype(slab.dtype.newbyteorder("<"), copy=False)
                stream.write(np.ascontiguousarray(little).data)
        stream.write(b"\n</AppendedData>\n</VTKFile>\n")


def _numbers(values: Sequence[float]) -> str:
    return " ".join(repr(float(v)) for v in values)


def _write_vti(image: Image, path: Path) -> None:
    name = "phase" if image.phases is not None else "grey"
    spacing = np.ones(3) if image.spacing is None else image.spacing
    array = CellArray(image.dtype, (slab for _, slab in image.slabs()))
    write_image_data(
        path,
        image.values.shape,
        {name: array},
        spacing=spacing.tolist(),
        origin=np.asarray(image.origin).tolist(),
        about=image.metadata(),
    )


def _open_vti(path: Path, inner: str) -> Image:
    mapped = _mapped(path)
    if mapped is not None and not inner:
        return mapped
    import pyvista

    grid = pyvista.read(path)
    if not isinstance(grid, pyvista.ImageData):
        raise DataError(f"{path} is no regular grid but a {type(grid).__name__}.")
    on_cells = grid.n_cells > 0 and len(grid.cell_data) > 0
    data = grid.cell_data if on_cells else grid.point_data
    shape = tuple(n - 1 for n in grid.dimensions) if on_cells else grid.dimensions
    name = choose(path, inner.strip("/"), [n for n in data if data[n].ndim == 1])
    values = np.ascontiguousarray(np.asarray(data[name]).reshape(shape, order="F"))
    about = str(grid.field_data[KEY][0]) if KEY in grid.field_data else None
    return Image(values).told(about)


def _mapped(path: Path) -> Image | None:
    """A file that `_write_vti` wrote: its one array can be read where it lies."""
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    mark = b'<AppendedData encoding="raw">\n_'
    if mark not in head:
        return None
    start = head.index(mark) + len(mark)
    text = head[:start].decode("utf-8", errors="replace")
    arrays = re.findall(r'<DataArray type="(\w+)" Name="[^"]*" format="appended" offset="0"/>', text)
    note = re.search(rf'Name="{KEY}" NumberOfTuples="1" format="ascii">([\d ]+)<', text)
    extent = re.search(r'WholeExtent="0 (\d+) 0 (\d+) 0 (\d+)"', text)
    if len(arrays) != 1 or text.count("<DataArray") != 1 or note is None or extent is None:
        return None
    nx, ny, nz = (int(n) for n in extent.groups())
    kinds = {name: code for code, name in _TYPES.items()}
    dtype = np.dtype("<" + kinds[arrays[0]])
    if path.stat().st_size < start + _HEADER + nx * ny * nz * dtype.itemsize:
        raise DataError(f"{path} ends before its last voxel;", hint="the file is cut off; copy it again.")

    def read(window: Window) -> npt.NDArray[Any]:
        values = np.memmap(path, dtype, mode="r", offset=start + _HEADER, shape=(nx, ny, nz), order="F")
        return np.asarray(values[window])

    about = bytes(int(code) for code in note.group(1).split() if code != "0").decode()
    return Image(Source(str(path), (nx, ny, nz), dtype, (nx, ny, 1), read)).told(about)


VTI = Format(_open_vti, _write_vti)
