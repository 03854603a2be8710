"""Reading back what `simulations.base.output` wrote: series of fields, one VTU file per time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as Xml
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.sax.saxutils import unescape

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from simulations.base.output import _TYPES

_MARK = b'<AppendedData encoding="raw">\n_'
_KINDS = {kind: np.dtype(code) for code, kind in _TYPES.items()}


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Tetrahedra with fields, at one time.

    Attributes:
        points: (n, 3) µm.
        cells: (k, 4).
        at_points: Name with unit → (n,) or (n, components).
        at_cells: Name with unit → (k,) or (k, components).
    """

    points: npt.NDArray[np.float64]
    cells: npt.NDArray[np.int64]
    at_points: Mapping[str, npt.NDArray[Any]]
    at_cells: Mapping[str, npt.NDArray[Any]]


def read_times(path: Path) -> list[tuple[float, Path]]:
    """Times (s) of a series and the file of each.

    Args:
        path: ``results.pvd``.

    Raises:
        DataError: Missing or another kind of file, or one of its files is missing.
    """
    try:
        sets = list(Xml.parse(path).getroot().iter("DataSet"))
        found = [(float(s.attrib["timestep"]), path.parent / s.attrib["file"]) for s in sets]
    except FileNotFoundError as error:
        raise DataError(f"there is no {path};", hint="name the results.pvd of a finished run.") from error
    except (OSError, Xml.ParseError, KeyError, ValueError) as error:
        raise DataError(f"{path} is not a series of results: {error}.") from error
    missing = [file for _, file in found if not file.exists()]
    if missing or not found:
        what = f"{missing[0]} is missing" if missing else "it has no times"
        raise DataError(f"{path} is not complete: {what};", hint="run its study again.")
    return found


def read_snapshot(path: Path) -> Snapshot:
    """One file of a series.

    Args:
        path: A VTU file that `simulations.base.output.write_vtu` wrote.

    Raises:
        DataError: A damaged file, or another kind.
    """
    content = path.read_bytes()
    begin = content.find(_MARK)
    if begin < 0 or b'compressor="vtkZLibDataCompressor"' not in content[:400]:
        raise DataError(
            f"{path} is a VTU file of another kind;", hint="only results of this program are read back."
        )
    head, body = content[:begin].decode("utf-8"), memoryview(content)[begin + len(_MARK) :]
    try:
        at_points, at_cells, points, cells = (
            _section(head, body, tag) for tag in ("PointData", "CellData", "Points", "Cells")
        )
        corners = np.asarray(cells["connectivity"], np.int64).reshape(-1, 4)
        return Snapshot(np.asarray(points["Points"]), corners, at_points, at_cells)
    except (ValueError, KeyError, IndexError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}.") from error


def _section(head: str, body: memoryview, tag: str) -> dict[str, npt.NDArray[Any]]:
    start = head.index(f"<{tag}>")
    arrays: dict[str, npt.NDArray[Any]] = {}
    for attributes in re.findall(r"<DataArray ([^>]*)/>", head[start : head.index(f"</{tag}>", start)]):
        given = dict(re.findall(r'(\w+)="([^"]*)"', attributes))
        values = np.frombuffer(_unpacked(body, int(given["offset"])), _KINDS[given["type"]])
        width = int(given.get("NumberOfComponents", 1))
        name = unescape(given["Name"], {"&quot;": '"'})
        arrays[name] = values.reshape(-1, width) if width > 1 else values
    return arrays


def _unpacked(body: memoryview, offset: int) -> bytes:
    count = int(np.frombuffer(body, "<u8", 1, offset)[0])
    sizes = np.frombuffer(body, "<u8", count, offset + 24)
    ends = offset + 24 + 8 * count + np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    return b"".join(zlib.decompress(body[a:b]) for a, b in pairwise(ends))
