"""TIFF stacks and PNG slices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.io._format import Format, as_stack
from pxm2mesh.io._image import Image, micrometres
from pxm2mesh.io._source import Source, Window


def _open_tiff(path: Path, inner: str) -> Image:
    import tifffile

    size = path.stat().st_size
    _refuse_cut_chain(path, size)
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        for number, page in enumerate(series.pages):
            if page is None:
                raise DataError(
                    f"{path}: page {number} is missing;", hint="the file is cut off; copy it again."
                )
            ends = [a + n for a, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
            if max(ends, default=0) > size:
                raise DataError(
                    f"{path} ends within page {number} of {len(series.pages)};",
                    hint="the file is cut off; copy it again.",
                )
        if getattr(file.pages.first, "samplesperpixel", 1) > 1:
            raise DataError(f"{path} is a colour picture;", hint="save the slices as grey values.")
        image = Image(_tiff_source(path, series), _tiff_spacing(file))
        return image.told(file.pages.first.description)


def _tiff_source(path: Path, series: Any) -> Source:
    shape = as_stack(tuple(n for n in series.shape if n > 1) if len(series.shape) > 3 else series.shape)
    offset = series.dataoffset
    by_page = len(series.pages) == shape[0] and tuple(series.pages[0].shape[-2:]) == shape[1:]

    def mapped(window: Window) -> npt.NDArray[Any]:
        stack = np.memmap(path, dtype=series.dtype.newbyteorder(order), mode="r", offset=offset, shape=shape)
        return np.asarray(stack[window])

    def decoded(window: Window) -> npt.NDArray[Any]:
        import tifffile

        z, y, x = window
        with tifffile.TiffFile(path) as file:
            key = slice(z.start, z.stop) if by_page else None
            pages = np.asarray(file.asarray(key=key, series=0)).reshape(-1, *shape[1:])
        return pages[:, y, x] if by_page else pages[window]

    if offset is not None:  # not compressed, in one piece
        order = series.keyframe.parent.byteorder
        return Source.of_slices(str(path), shape, series.dtype, mapped)
    chunk = (1, *shape[1:]) if by_page else shape
    return Source.of_slices(str(path), shape, series.dtype, decoded, chunk=chunk)


def _refuse_cut_chain(path: Path, size: int) -> None:
    """Each page names the place of the next; tifffile quietly ends a stack where that is beyond the file."""
    with path.open("rb") as stream:
        head = stream.read(16)
        order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
        big = int.from_bytes(head[2:4], order) == 43
        offset = int.from_bytes(head[8:16] if big else head[4:8], order)
        count, entry, width = (8, 20, 8) if big else (2, 12, 4)
        seen = 0
        while offset:
            stream.seek(offset)
            tags = int.from_bytes(stream.read(count), order)
            stream.seek(offset + count + tags * entry)
            following = stream.read(width)
            if offset >= size or len(following) < width:
                raise DataError(
                    f"{path} ends after {seen} pages;", hint="the file is cut off; copy it again."
                )
            offset, seen = int.from_bytes(following, order), seen + 1


def _tiff_spacing(file: Any) -> npt.NDArray[np.float64] | None:
    """From OME or ImageJ metadata; the plain resolution tags are left alone, they mostly hold 72 dpi."""
    if file.ome_metadata:
        sizes = {a: re.search(rf'PhysicalSize{a}="([^"]+)"', file.ome_metadata) for a in "XYZ"}
        units = {a: re.search(rf'PhysicalSize{a}Unit="([^"]+)"', file.ome_metadata) for a in "XYZ"}
        if all(sizes.values()):
            # the unit of OME-XML is µm where none is written
            named = [m.group(1) if (m := units[a]) else "um" for a in "XYZ"]
            return micrometres([m.group(1) for a in "XYZ" if (m := sizes[a])], named)
    about = file.imagej_metadata
    tags = file.pages.first.tags
    if about and "XResolution" in tags and "YResolution" in tags:
        (nx, dx), (ny, dy) = tags["XResolution"].value, tags["YResolution"].value
        if nx and ny:
            across = (dx / nx, dy / ny)
            return micrometres([*across, about.get("spacing", across[0])], about.get("unit"))
    return None


def _write_tiff(image: Image, path: Path) -> None:
    import tifffile

    def pages() -> Iterator[npt.NDArray[Any]]:
        for _, slab in image.slabs():
            yield from slab

    nx, ny, nz = image.values.shape
    tifffile.imwrite(
        path,
        pages(),
        shape=(nz, ny, nx),
        dtype=image.dtype,
        description=image.metadata(),
        metadata=None,
        photometric="minisblack",
        compression="zlib",
        bigtiff=nx * ny * nz * image.dtype.itemsize > 2**31,
    )


def _open_png(path: Path, inner: str) -> Image:
    from PIL import Image as Picture

    with Picture.open(path) as picture:
        if picture.mode in ("RGB", "RGBA", "P", "LA"):
            raise DataError(
                f"{path} is a colour picture ({picture.mode});", hint="save the slices as grey values."
            )
        dtype = np.asarray(picture.crop((0, 0, 1, 1))).dtype
        shape = (1, picture.height, picture.width)

    def read(window: Window) -> npt.NDArray[Any]:
        with Picture.open(path) as picture:
            return np.asarray(picture)[np.newaxis][window]

    return Image(Source.of_slices(str(path), shape, dtype, read))


TIFF = Format(_open_tiff, _write_tiff)
PNG = Format(_open_png)
