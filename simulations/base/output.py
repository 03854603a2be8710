"""Results as files: a VTU series with a PVD, and tables that grow row by row.

Rank 0 writes in the order of the input mesh, so files do not depend on the number of ranks and hold no
ghost cells.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TextIO
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from pxm2mesh.errors import DataError
from pxm2mesh.files import replacing
from pxm2mesh.progress import Task
from simulations.base.domain import Domain, on_root
from simulations.base.fields import gather_cells, gather_nodes

Array = npt.NDArray[Any]
_TYPES = {"f8": "Float64", "f4": "Float32", "i8": "Int64", "i4": "Int32", "u1": "UInt8"}
_BLOCK = 1 << 20
_TETRA = 10


class ResultSeries:
    """``results.pvd`` and the VTU files it lists, one per time.

    Args:
        path: The PVD file; the VTU files go into a folder of the same name beside it.
        domain: Where the fields live.
        keep_until: Go on with an existing series: keep what is not later than this time; None starts anew.
    """

    def __init__(self, path: Path, domain: Domain, *, keep_until: float | None = None) -> None:
        self.path, self.domain = path, domain
        kept = on_root(domain.comm, lambda: self._existing(keep_until))
        self._entries: list[tuple[float, str]] = kept

    def _existing(self, keep_until: float | None) -> list[tuple[float, str]]:
        if keep_until is None or not self.path.exists():
            return []
        import xml.etree.ElementTree as Xml

        sets = Xml.parse(self.path).getroot().iter("DataSet")
        entries = [(float(s.attrib["timestep"]), s.attrib["file"]) for s in sets]
        return [
            (t, f) for t, f in entries if t <= keep_until * (1 + 1e-12) and (self.path.parent / f).exists()
        ]

    def write(
        self,
        time: float,
        nodes: Mapping[str, fem.Function | Array],
        cells: Mapping[str, fem.Function | Array] | None = None,
    ) -> None:
        """Add the fields at a time, or replace what is there of that very time; all ranks must call.

        Args:
            time: In s; any increasing number for steady problems.
            nodes: Name with unit → Lagrange function (its corner values are written).
            cells: Name with unit → function constant in each cell, or (local cells, …) values. The phase and
                the region are written always.
        """
        domain = self.domain
        at_nodes = {
            k: gather_nodes(domain, v) if isinstance(v, fem.Function) else v for k, v in nodes.items()
        }
        given = {"phase": domain.cell_tags.values, "region": domain.cell_region, **(cells or {})}
        at_cells = {name: gather_cells(domain, values) for name, values in given.items()}
        on_root(domain.comm, lambda: self._write(time, at_nodes, at_cells))

    def _write(self, time: float, nodes: Mapping[str, Any], cells: Mapping[str, Any]) -> None:
        domain = self.domain
        assert domain.source is not None and domain.parent is not None and domain.nodes is not None
        if self._entries and self._entries[-1][0] == time:  # two of one time are shown on top of each other
            self._entries.pop()
        name = f"{self.path.stem}/{self.path.stem}_{len(self._entries):06d}.vtu"
        point_data = {**nodes, "point": domain.parent}
        cell_data = dict(cells)
        for key in ("phase", "region"):
            cell_data[key] = cell_data[key].astype(np.int32)
        write_vtu(
            self.path.parent / name, domain.source.points[domain.parent], domain.nodes, point_data, cell_data,
            {"phase names": [f"{p.label}={p.name}" for p in domain.phases], "time [s]": time},
        )  # fmt: skip
        self._entries.append((time, name))
        lines = [f'<DataSet timestep="{t!r}" part="0" file={quoteattr(f)}/>' for t, f in self._entries]
        body = "\n    ".join(lines)
        with replacing(self.path) as part:
            part.write_text(
                '<?xml version="1.0"?>\n<VTKFile type="Collection" version="1.0">\n  <Collection>\n'
                f"    {body}\n  </Collection>\n</VTKFile>\n",
                encoding="utf-8",
            )


def write_vtu(
    path: Path,
    points: Array,
    cells: Array,
    point_data: Mapping[str, Array],
    cell_data: Mapping[str, Array],
    field_data: Mapping[str, Any] | None = None,
) -> None:
    """Write tetrahedra as compressed VTU.

    Args:
        path: The file.
        points: (n, 3) µm.
        cells: (k, 4).
        point_data: Name with unit → (n,) or (n, components).
        cell_data: Name with unit → (k,) or (k, components).
        field_data: Name → a number, or a list of texts.
    """
    chunks: list[bytes] = []
    offset = 0

    def array(name: str, values: Array, extra: str = "") -> str:
        nonlocal offset
        values = np.ascontiguousarray(values)
        kind = _TYPES[values.dtype.str[1:]]
        components = f' NumberOfComponents="{values.shape[1]}"' if values.ndim == 2 else ""
        packed = _compress(values.tobytes())
        line = (
            f'<DataArray type="{kind}" Name={quoteattr(name)}{components}{extra} format="appended" '
            f'offset="{offset}"/>'
        )
        chunks.append(packed)
        offset += len(packed)
        return line

    fields = []
    for name, value in (field_data or {}).items():
        if isinstance(value, int | float):
            fields.append(array(name, np.array([value], dtype=np.float64), ' NumberOfTuples="1"'))
        else:
            codes = " ".join(str(b) for text in value for b in (*text.encode(), 0))
            fields.append(
                f'<DataArray type="String" Name={quoteattr(name)} NumberOfTuples="{len(value)}" '
                f'format="ascii">{codes}</DataArray>'
            )
    count = len(cells)
    sections = [
        ("PointData", [array(n, v) for n, v in point_data.items()]),
        ("CellData", [array(n, v) for n, v in cell_data.items()]),
        ("Points", [array("Points", points.astype(np.float64))]),
        ("Cells", [
            array("connectivity", cells.astype(np.int64).ravel()),
            array("offsets", np.arange(4, 4 * count + 1, 4, dtype=np.int64)),
            array("types", np.full(count, _TETRA, dtype=np.uint8)),
        ]),
    ]  # fmt: skip
    body = "".join(f"<{tag}>\n" + "\n".join(lines) + f"\n</{tag}>\n" for tag, lines in sections)
    field_text = "<FieldData>\n" + "\n".join(fields) + "\n</FieldData>\n" if fields else ""
    with replacing(path) as part, part.open("wb") as stream:
        stream.write(
            (
                '<?xml version="1.0"?>\n<VTKFile type="UnstructuredGrid" version="1.0" '
                'byte_order="LittleEndian" header_type="UInt64" compressor="vtkZLibDataCompressor">\n'
                f"<UnstructuredGrid>\n{field_text}"
                f'<Piece NumberOfPoints="{len(points)}" NumberOfCells="{count}">\n{body}</Piece>\n'
                '</UnstructuredGrid>\n<AppendedData encoding="raw">\n_'
            ).encode()
        )
        for chunk in chunks:
            stream.write(chunk)
        stream.write(b"\n</AppendedData>\n</VTKFile>\n")


def _compress(data: bytes) -> bytes:
    blocks = [zlib.compress(data[i : i + _BLOCK], 3) for i in range(0, len(data), _BLOCK)]
    last = len(data) % _BLOCK
    header = np.array([len(blocks), _BLOCK, last, *map(len, blocks)], dtype="<u8")
    return header.tobytes() + b"".join(blocks)


class ScalarTable:
    """``scalars.csv``: one row per accepted step, on disk when `append` returns.

    Args:
        path: The file.
        columns: Names with units, in their order.
        domain: Whose rank 0 writes.
        keep_rows: Go on with an existing table after this many rows; None starts anew.

    Raises:
        DataError: The table to go on with is missing, shorter, or has other columns.
    """

    def __init__(
        self, path: Path, columns: Sequence[str], domain: Domain, *, keep_rows: int | None = None
    ) -> None:
        self.path, self.columns, self.comm, self.rows = path, tuple(columns), domain.comm, keep_rows or 0
        on_root(self.comm, lambda: self._start(keep_rows))

    def _start(self, keep_rows: int | None) -> None:
        lines = [_csv_line(self.columns)]
        if keep_rows is not None:
            try:
                old = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            except OSError:
                old = []
            if old[:1] != lines or len(old) < keep_rows + 1:
                raise DataError(
                    f"{self.path} does not have the {keep_rows} rows of the checkpoint;",
                    hint="start again with --restart.",
                )
            lines = old[: keep_rows + 1]
        with replacing(self.path) as part:
            part.write_text("".join(lines), encoding="utf-8")

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; all ranks must call."""
        unknown = set(row) - set(self.columns)
        assert not unknown, f"columns {unknown} are not in the header"
        self.rows += 1
        on_root(self.comm, lambda: self._append(row))

    def _append(self, row: Mapping[str, Any]) -> None:
        line = _csv_line([_text(row.get(c, "")) for c in self.columns])
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())


def _csv_line(values: Sequence[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(values)
    return stream.getvalue()


def _text(value: Any) -> str:
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)


class JsonProgress:
    """Progress as JSON lines: ``{"progress": 0.25, "note": "…"}``, the share of all that is done.

    Args:
        stream: Where they go; None says nothing (ranks other than 0).
        span: Which part of the whole this is.
        interval: Seconds between two lines at least.
    """

    def __init__(
        self,
        stream: TextIO | None = sys.stdout,
        span: tuple[float, float] = (0.0, 1.0),
        interval: float = 0.2,
    ) -> None:
        self._stream, self._span, self._interval = stream, span, interval
        self._told = -1e9
        self._depth = 0

    def part(self, start: float, end: float) -> JsonProgress:
        """Progress for the part of the work between two shares of the whole."""
        low, high = self._span
        return JsonProgress(
            self._stream, (low + (high - low) * start, low + (high - low) * end), self._interval
        )

    def task(self, description: str, total: float | None = None) -> AbstractContextManager[Task]:
        """Open a task; only the outermost moves the share, the ones inside tell their notes."""
        return self._open(description, total)

    @contextmanager
    def _open(self, description: str, total: float | None) -> Iterator[Task]:
        self._depth += 1
        try:
            yield _JsonTask(self, description, total if self._depth == 1 else None)
        finally:
            self._depth -= 1

    def tell(self, share: float | None, note: str) -> None:
        """Write a line unless the last one is too recent."""
        now = time.monotonic()
        if self._stream is None or now - self._told < self._interval:
            return
        self._told = now
        low, high = self._span
        message: dict[str, Any] = {
            "progress": None if share is None else round(low + (high - low) * share, 4)
        }
        self._stream.write(json.dumps({**message, "note": note}, ensure_ascii=False) + "\n")
        self._stream.flush()


class _JsonTask:
    def __init__(self, owner: JsonProgress, description: str, total: float | None) -> None:
        self._owner, self._description, self._total, self._done = owner, description, total, 0.0
        owner.tell(0.0 if total else None, description)

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Report that ``amount`` more is done."""
        self._done += amount
        share = min(1.0, self._done / self._total) if self._total else None
        self._owner.tell(share, f"{self._description}: {note}" if note else self._description)
