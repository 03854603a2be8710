"""Zeiss X-ray microscopes: ``.txm`` (reconstruction), ``.txrm`` and ``.xrm`` (projections).

The files are OLE containers, a small file system: numbers about the scan lie in streams under ``ImageInfo``,
a hundred images each in ``ImageData1``, ``ImageData2``, ….
"""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, MissingDependencyError
from pxm2mesh.io._format import Format
from pxm2mesh.io._image import Image, micrometres
from pxm2mesh.io._source import Source, Window

logger = logging.getLogger(__name__)

_TYPES = {
    2: "<i1", 3: "<u1", 4: "<i2", 5: "<u2", 6: "<i4", 7: "<u4", 8: "<i8", 9: "<u8", 10: "<f4", 11: "<f8",
}  # fmt: skip
_PER_FOLDER = 100


def _opened(path: Path) -> Any:
    try:
        import olefile  # type: ignore[import-untyped]
    except ImportError:
        raise MissingDependencyError(
            f"{path}: reading {path.suffix} needs the package olefile;",
            hint='pip install "pxm2mesh[zeiss]", or export TIFF from the microscope\'s software.',
        ) from None
    if not olefile.isOleFile(path):
        raise DataError(
            f"{path} is no file of a Zeiss microscope (no OLE container);", hint="it may be damaged."
        )
    return olefile.OleFileIO(path)


def _number(ole: Any, path: Path, names: tuple[str, ...], form: str) -> float:
    for name in names:
        if ole.exists(name):
            with ole.openstream(name) as stream:
                content = stream.read(struct.calcsize(form))
            if len(content) == struct.calcsize(form):
                return float(struct.unpack(form, content)[0])
    raise DataError(
        f"{path} does not say its {names[0].rpartition('/')[2]};", hint="is it a scan (.txm, .txrm, .xrm)?"
    )


def _open_txm(path: Path, inner: str) -> Image:
    with _opened(path) as ole:
        width, height, kind = (
            int(_number(ole, path, (f"ImageInfo/{name}",), "<I"))
            for name in ("ImageWidth", "ImageHeight", "DataType")
        )
        count = int(_number(ole, path, ("ImageInfo/NoOfImages", "ImageInfo/ImagesTaken"), "<I"))
        if kind not in _TYPES:
            raise DataError(f"{path} holds values of the unknown type {kind};", hint="export TIFF instead.")
        names = [_stream(number) for number in range(1, count + 1)]
        absent = next((name for name in names if not ole.exists(name)), None)
        if absent is not None:
            raise DataError(
                f"{path} has no {absent} though it should hold {count} images;", hint="copy it again."
            )
        size = _number(ole, path, ("ImageInfo/PixelSize",), "<f") if ole.exists("ImageInfo/PixelSize") else 0
    if path.suffix.lower() != ".txm":
        logger.warning("%s holds projections, not slices of a sample: reconstruct it first.", path)
    dtype = np.dtype(_TYPES[kind])

    def read(window: Window) -> npt.NDArray[Any]:
        z, y, x = window
        out = np.empty((z.stop - z.start, y.stop - y.start, x.stop - x.start), dtype)
        with _opened(path) as ole:
            for place, name in enumerate(names[z]):
                with ole.openstream(name) as stream:
                    content = stream.read()
                if len(content) < width * height * dtype.itemsize:
                    raise DataError(
                        f"{path}: {name} is cut off: {len(content)} bytes instead of "
                        f"{width * height * dtype.itemsize};",
                        hint="copy the file again.",
                    )
                values = np.frombuffer(content, dtype, width * height)
                out[place] = values.reshape(height, width)[y, x]
        return out

    source = Source.of_slices(str(path), (count, height, width), dtype, read)
    return Image(source, micrometres([size] * 3, "um"))


def _stream(number: int) -> str:
    return f"ImageData{(number - 1) // _PER_FOLDER + 1}/Image{number}"


ZEISS = Format(_open_txm)
