"""NRRD and NIfTI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.io._format import Format
from pxm2mesh.io._image import KEY, Image, micrometres
from pxm2mesh.io._source import Source, Window

_NRRD_TYPES = {
    "int8": "i1 signed char",
    "uint8": "uchar unsigned char uint8_t",
    "int16": "short signed short int16_t",
    "uint16": "ushort unsigned short uint16_t",
    "int32": "int signed int int32_t",
    "uint32": "uint unsigned int uint32_t",
    "float32": "float",
    "float64": "double",
}
"""numpy's names, and NRRD's for the same."""


def _open_nrrd(path: Path, inner: str) -> Image:
    import nrrd

    with path.open("rb") as stream:
        header = nrrd.read_header(stream)
        offset = stream.tell()
    units = header.get("space units") or header.get("units")
    spacing = None
    if "space directions" in header:
        spacing = micrometres(np.linalg.norm(np.asarray(header["space directions"], float), axis=1), units)
    elif "spacings" in header:
        spacing = micrometres(header["spacings"], units)
    detached = any(key in header for key in ("data file", "datafile"))
    mapped = None
    if header.get("encoding") == "raw" and not detached:
        mapped = _mapped_nrrd(path, header, offset)
    values = nrrd.read(str(path), index_order="F")[0] if mapped is None else mapped
    return Image(values, spacing).told(header.get(KEY))


def _mapped_nrrd(path: Path, header: Any, offset: int) -> Source | None:
    """Uncompressed values where they lie in the file; None for types that this does not know."""
    kind = str(header["type"])
    names = [n for n, other in _NRRD_TYPES.items() if kind == n or f" {kind} " in f" {other} "]
    shape = tuple(int(n) for n in header["sizes"])
    if not names or len(shape) != 3 or header.get("line skip") or header.get("byte skip"):
        return None
    dtype = np.dtype(names[0]).newbyteorder(">" if header.get("endian") == "big" else "<")
    if path.stat().st_size - offset < int(np.prod(shape)) * dtype.itemsize:
        raise DataError(f"{path} ends before its last voxel;", hint="the file is cut off; copy it again.")

    def read(window: Window) -> npt.NDArray[Any]:
        values = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F")
        return np.asarray(values[window])

    nx, ny, nz = shape
    return Source(str(path), (nx, ny, nz), dtype, (nx, ny, 1), read)


def _write_nrrd(image: Image, path: Path) -> None:
    """Written here because pynrrd puts the date into the file: the same volume is to give the same bytes."""
    import gzip

    name = image.dtype.name
    about = {
        "type": {"float32": "float", "float64": "double"}.get(name, name),
        "dimension": "3",
        "sizes": " ".join(map(str, image.values.shape)),
        "encoding": "gzip",
        "endian": "little",
    }
    if image.spacing is not None:
        axes = [f"({','.join(repr(float(v)) for v in row)})" for row in np.diag(image.spacing)]
        origin = f"({','.join(repr(float(v)) for v in image.origin)})"
        about = {
            **about,
            "space dimension": "3",
            "space directions": " ".join(axes),
            "space units": '"um" "um" "um"',
            "space origin": origin,
        }
    head = "NRRD0004\n" + "".join(f"{key}: {value}\n" for key, value in about.items())
    with path.open("wb") as stream:
        stream.write(head.encode() + f"{KEY}:={image.metadata()}\n\n".encode())
        with gzip.GzipFile(fileobj=stream, mode="wb", filename="", mtime=0) as packed:
            for _, slab in image.slabs():
                packed.write(slab.astype(slab.dtype.newbyteorder("<"), copy=False).data)


def _open_nifti(path: Path, inner: str) -> Image:
    import nibabel

    picture: Any = nibabel.load(path)
    proxy = picture.dataobj
    extra = (0,) * (len(picture.shape) - 3)
    if len(picture.shape) < 3 or any(n != 1 for n in picture.shape[3:]):
        raise DataError(f"{path} holds an array of shape {picture.shape}, not a volume.")
    unit = picture.header.get_xyzt_units()[0]
    spacing = micrometres(picture.header.get_zooms()[:3], unit)
    notes = [e.get_content() for e in picture.header.extensions if e.get_code() == 6]
    nx, ny, nz = (int(n) for n in picture.shape[:3])
    packed = path.name.lower().endswith(".gz")  # has to be unpacked from its beginning each time
    dtype = np.asanyarray(proxy[(slice(1), slice(1), slice(1), *extra)]).dtype  # scaled where it says so

    def read(window: Window) -> npt.NDArray[Any]:
        return np.asanyarray(proxy[(*window, *extra)])

    source = Source(str(path), (nx, ny, nz), dtype, (nx, ny, nz if packed else 1), read)
    return Image(source, spacing).told(notes[0] if notes else None)


def _write_nifti(image: Image, path: Path) -> None:
    import nibabel as typed

    nibabel: Any = typed  # its own annotations are incomplete
    spacing = np.ones(3) if image.spacing is None else image.spacing
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = image.origin
    picture = nibabel.Nifti1Image(image.array, affine, dtype=image.dtype)
    picture.header.set_xyzt_units("micron" if image.spacing is not None else "unknown")
    picture.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", image.metadata().encode()))
    nibabel.save(picture, path)


NRRD = Format(_open_nrrd, _write_nrrd)
NIFTI = Format(_open_nifti, _write_nifti)
