"""VTU files (VTK XML unstructured grids), compressed.

Data stands inline as base64 text: the raw appended form is a little faster, but meshio cannot read it.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape, unescape

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError

TETRA, TRIANGLE = 10, 5
_VTK_TYPES = {
    "float64": "Float64", "float32": "Float32", "int32": "Int32", "int64": "Int64", "uint8": "UInt8", "int8": "Int8",
    "int16": "Int16", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64",
}  # fmt: skip
_BLOCK = 1 << 22
_SECTIONS = {"fields": "FieldData", "points": "Points", "cells": "Cells", "point_data": "PointData",
             "cell_data": "CellData"}  # fmt: skip


def write_vtu(
    path: Path,
    points: npt.NDArray[np.float64],
    cells: npt.NDArray[np.int32],
    *,
    point_data: Mapping[str, npt.NDArray[Any]] | None = None,
    cell_data: Mapping[str, npt.NDArray[Any]] | None = None,
    fields: Mapping[str, npt.NDArray[Any]] | None = None,
) -> None:
    """Write one kind of cells.

    Args:
        path: Where to.
        points: (n, 3).
        cells: (k, 4) tetrahedra or (k, 3) triangles.
        point_data: Name → (n,) or (n, c).
        cell_data: Name → (k,) or (k, c).
        fields: Name → array of any length; empty ones are left out. Texts are not among them: some
            readers refuse them.
    """
    count, corners = cells.shape
    kind = {4: TETRA, 3: TRIANGLE}[corners]
    with path.open("wb") as stream:
        stream.write(
            b'<?xml version="1.0"?>\n<VTKFile type="UnstructuredGrid" version="1.0" byte_order="LittleEndian" '
            b'header_type="UInt64" compressor="vtkZLibDataCompressor">\n<UnstructuredGrid>\n<FieldData>\n'
        )
        for name, array in (fields or {}).items():
            if len(array):
                _write_array(stream, name, array, f' NumberOfTuples="{len(array)}"')
        stream.write(
            f'</FieldData>\n<Piece NumberOfPoints="{len(points)}" NumberOfCells="{count}">\n<Points>\n'.encode()
        )
        _write_array(stream, "Points", points)
        stream.write(b"</Points>\n<Cells>\n")
        _write_array(stream, "connectivity", cells.ravel())
        _write_array(stream, "offsets", np.arange(1, count + 1, dtype=np.int64) * corners)
        _write_array(stream, "types", np.full(count, kind, np.uint8))
        stream.write(b"</Cells>\n")
        for tag, data in (("PointData", point_data), ("CellData", cell_data)):
            stream.write(f"<{tag}>\n".encode())
            for name, array in (data or {}).items():
                _write_array(stream, name, array)
            stream.write(f"</{tag}>\n".encode())
        stream.write(b"</Piece>\n</UnstructuredGrid>\n</VTKFile>\n")


def _write_array(stream: IO[bytes], name: str, array: npt.NDArray[Any], more: str = "") -> None:
    """VTK's block format: base64 of counts and sizes, then base64 of the zlib blocks."""
    width = f' NumberOfComponents="{array.shape[1]}"' if array.ndim == 2 else ""
    stream.write(f'<DataArray type="{_VTK_TYPES[str(array.dtype)]}" Name="{_escaped(name)}"{width}{more} '
                 f'format="binary">\n'.encode())  # fmt: skip
    raw = memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8)).cast("B")
    packed = [zlib.compress(raw[i : i + _BLOCK], 1) for i in range(0, len(raw), _BLOCK)]
    header = np.array([len(packed), _BLOCK, len(raw) % _BLOCK, *map(len, packed)], "<u8")
    stream.write(base64.b64encode(header.tobytes()))
    stream.write(base64.b64encode(b"".join(packed)))
    stream.write(b"\n</DataArray>\n")


def _escaped(name: str) -> str:
    return escape(name, {'"': "&quot;"})


def read_vtu(path: Path) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Read what `write_vtu` wrote.

    Args:
        path: The file.

    Returns:
        ``{"points": {"Points": …}, "cells": {…}, "point_data": {…}, "cell_data": {…}, "fields": {…}}``.

    Raises:
        DataError: Another kind of VTU file, or a damaged one.
    """
    content = path.read_bytes()
    head = content[:400]
    if b'header_type="UInt64" compressor="vtkZLibDataCompressor"' not in head or b"AppendedData" in content:
        raise DataError(
            f"{path} is a VTU file of another kind;", hint="only files written by pxm2mesh are read back."
        )
    result: dict[str, dict[str, npt.NDArray[Any]]] = {}
    try:
        for key, tag in _SECTIONS.items():
            start = content.index(f"<{tag}>".encode())
            result[key] = _read_section(content[start : content.index(f"</{tag}>".encode(), start)])
    except (ValueError, zlib.error, KeyError, IndexError) as error:
        raise DataError(f"{path} is damaged: {error}.") from error
    return result


def _read_section(content: bytes) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {}
    at = 0
    while (at := content.find(b"<DataArray ", at)) >= 0:
        end = content.index(b">\n", at)
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', content[at:end].decode("utf-8")))
        stop = content.index(b"\n</DataArray>", end)
        array = _unpacked(content[end + 2 : stop]).view(
            np.dtype({v: k for k, v in _VTK_TYPES.items()}[attributes["type"]])
        )
        width = int(attributes.get("NumberOfComponents", 1))
        arrays[unescape(attributes["Name"], {"&quot;": '"'})] = (
            array.reshape(-1, width) if width > 1 else array
        )
        at = stop
    return arrays


def _unpacked(text: bytes) -> npt.NDArray[np.uint8]:
    blocks = int(np.frombuffer(base64.b64decode(text[:12])[:8], "<u8")[0])
    length = -(-8 * (3 + blocks) // 3) * 4
    sizes = np.frombuffer(base64.b64decode(text[:length]), "<u8")[3 : 3 + blocks]
    packed = base64.b64decode(text[length:])
    ends = np.cumsum(sizes).astype(int).tolist()
    parts = [zlib.decompress(packed[a:b]) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    return np.frombuffer(b"".join(parts), np.uint8)
