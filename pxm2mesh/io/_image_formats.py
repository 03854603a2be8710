"""Readers and writers of each image format, around one type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.files import write_json
from pxm2mesh.io._image import KEY, Image, micrometres


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        read: From a path, and the path inside of the file where it has one.
        write: To a path; None for what is only read.
        write_beside: A second file that goes with it.
    """

    read: Callable[[Path, str], Image]
    write: Callable[[Image, Path], None] | None = None
    write_beside: Callable[[Image, Path], None] | None = None


def _from_slices(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(z, y, x) or (y, x) → (x, y, z)."""
    stack = array[np.newaxis] if array.ndim == 2 else array
    if stack.ndim != 3:
        raise DataError(f"holds an array of shape {array.shape}, not slices of one channel.")
    return np.ascontiguousarray(stack.transpose(2, 1, 0))


def _to_slices(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(array.transpose(2, 1, 0))


# ---- TIFF ----


def _read_tiff(path: Path, inner: str) -> Image:
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
        array = series.asarray()
        if array.ndim > 3:
            array = array.squeeze()
        image = Image(_from_slices(array), _tiff_spacing(file))
        return image.told(file.pages.first.description)


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

    tifffile.imwrite(
        path,
        _to_slices(image.values),
        description=image.metadata(),
        metadata=None,
        photometric="minisblack",
        compression="zlib",
        bigtiff=image.values.nbytes > 2**31,
    )


def _read_png(path: Path, inner: str) -> Image:
    from PIL import Image as Picture

    with Picture.open(path) as picture:
        if picture.mode in ("RGB", "RGBA", "P", "LA"):
            raise DataError(
                f"{path} is a colour picture ({picture.mode});", hint="save the slices as grey values."
            )
        return Image(_from_slices(np.asarray(picture)))


# ---- numpy, raw ----


def _read_npy(path: Path, inner: str) -> Image:
    return Image(np.load(path, allow_pickle=False))


def _write_npy(image: Image, path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, np.ascontiguousarray(image.values))


def _read_npz(path: Path, inner: str) -> Image:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
        volumes = [name for name in content.files if content[name].ndim == 3 and name != "particles"]
        name = _choose(path, inner.strip("/"), volumes)
        particles = content["particles"] if "particles" in content.files else None
        about = str(content[KEY]) if KEY in content.files else None
        return Image(content[name], particles=particles).told(about)


def _write_npz(image: Image, path: Path) -> None:
    content: dict[str, Any] = {"volume": image.values, KEY: np.array(image.metadata())}
    if image.particles is not None:
        content["particles"] = image.particles
    with path.open("wb") as stream:
        np.savez_compressed(stream, **content)


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _read_raw(path: Path, inner: str) -> Image:
    beside = next((p for p in (_sidecar(path), path.with_suffix(".json")) if p.exists()), None)
    form = '{"shape": [nx, ny, nz], "dtype": "uint8", "spacing": "0.4 um"}'
    if beside is None:
        raise UsageError(f"{path} has no sidecar {_sidecar(path).name};", hint=f"write one: {form}.")
    try:
        about = json.loads(beside.read_text(encoding="utf-8"))
        shape = tuple(int(n) for n in about["shape"])
        dtype = np.dtype(about["dtype"])
        offset = int(about.get("offset", 0))
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{beside} does not describe a volume ({error});", hint=f"write {form}.") from error
    needed, there = int(np.prod(shape)) * dtype.itemsize + offset, path.stat().st_size
    if len(shape) != 3 or needed != there:
        raise DataError(
            f"{path} has {there} bytes, but shape {shape} of {dtype} takes {needed};",
            hint=f"correct {beside.name}.",
        )
    values = np.fromfile(path, dtype=dtype, offset=offset).reshape(shape, order="F")  # x runs fastest
    image = Image(np.ascontiguousarray(values.astype(dtype.newbyteorder("="), copy=False))).told(
        json.dumps(about)
    )
    if "spacing" not in about:
        return image
    from pxm2mesh.volume import parse_spacing

    spacing = parse_spacing(about["spacing"], where=str(beside))
    return Image(image.values, spacing, image.origin, image.phases)


def _write_raw(image: Image, path: Path) -> None:
    image.values.ravel(order="F").tofile(path)


def _write_sidecar(image: Image, path: Path) -> None:
    about = {"shape": list(image.values.shape), "dtype": image.values.dtype.str, "order": "x fastest"}
    write_json(_sidecar(path), about | json.loads(image.metadata()))


# ---- containers ----


def _choose(path: Path, wanted: str, found: list[str]) -> str:
    names = [name.strip("/") for name in found]
    if wanted and wanted in names:
        return wanted
    if not wanted and len(names) == 1:
        return names[0]
    listed = ", ".join(sorted(names)) or "none"
    if wanted:
        raise DataError(f"{path} has no volume {wanted!r};", hint=f"volumes: {listed}.")
    raise DataError(
        f"{path} holds {len(names)} volumes ({listed});", hint=f'name one, "{path.name}::/{listed}".'
    )


def _read_hdf5(path: Path, inner: str) -> Image:
    import h5py

    with h5py.File(path, "r") as file:
        found: list[str] = []
        file.visititems(lambda name, item: found.append(name) if getattr(item, "ndim", 0) == 3 else None)
        if not inner and "exchange/data" in found:  # Data Exchange
            inner = "exchange/data"
        data = file[_choose(path, inner.strip("/"), found)]
        size = data.attrs.get("element_size_um")
        spacing = None if size is None else micrometres(np.asarray(size)[::-1], "um")
        return Image(_from_slices(data[()]), spacing).told(data.attrs.get(KEY))


def _write_hdf5(image: Image, path: Path) -> None:
    import h5py

    with h5py.File(path, "w", track_order=True) as file:
        data = file.create_dataset("volume", data=_to_slices(image.values), compression="gzip", shuffle=True)
        data.attrs[KEY] = image.metadata()
        if image.spacing is not None:
            data.attrs["element_size_um"] = image.spacing[::-1]


def _read_zarr(path: Path, inner: str) -> Image:
    import zarr

    node: Any = zarr.open(str(path), mode="r")
    if inner.strip("/"):
        node = node[inner.strip("/")]
    spacing = None
    if hasattr(node, "members"):
        about = dict(node.attrs)
        scales = about.get("ome", about).get("multiscales")  # OME-Zarr 0.5 has them one level down
        if scales:
            finest = scales[0]["datasets"][0]
            spacing = _ome_zarr_spacing(scales[0], finest)
            node = node[finest["path"]]
        else:
            arrays = {name: item for name, item in node.members() if getattr(item, "ndim", 0) == 3}
            node = arrays[_choose(path, "", list(arrays))]
    array = np.asarray(node[...])
    while array.ndim > 3 and array.shape[0] == 1:  # time and channel
        array = array[0]
    return Image(_from_slices(array), spacing).told(node.attrs.get(KEY))


def _ome_zarr_spacing(scale: Mapping[str, Any], finest: Mapping[str, Any]) -> npt.NDArray[np.float64] | None:
    steps = [t["scale"] for t in finest.get("coordinateTransformations", []) if t.get("type") == "scale"]
    units = {axis["name"]: axis.get("unit") for axis in scale.get("axes", []) if isinstance(axis, Mapping)}
    if not steps or not all(units.get(a) for a in "xyz"):
        return None
    return micrometres(steps[0][-3:][::-1], [units[a] for a in "xyz"])


def _write_zarr(image: Image, path: Path) -> None:
    import zarr

    slices = _to_slices(image.values)
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    array = group.create_array("0", data=slices, chunks=tuple(min(64, n) for n in slices.shape))
    array.attrs[KEY] = image.metadata()
    step = [1.0, 1.0, 1.0] if image.spacing is None else image.spacing[::-1].tolist()
    unit = {} if image.spacing is None else {"unit": "micrometer"}
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": a, "type": "space", **unit} for a in "zyx"],
            "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": step}]}],
        }
    ]


def _read_vti(path: Path, inner: str) -> Image:
    import pyvista

    grid = pyvista.read(path)
    if not isinstance(grid, pyvista.ImageData):
        raise DataError(f"{path} is no regular grid but a {type(grid).__name__}.")
    on_cells = grid.n_cells > 0 and len(grid.cell_data) > 0
    data = grid.cell_data if on_cells else grid.point_data
    shape = tuple(n - 1 for n in grid.dimensions) if on_cells else grid.dimensions
    name = _choose(path, inner.strip("/"), [n for n in data if data[n].ndim == 1])
    values = np.ascontiguousarray(np.asarray(data[name]).reshape(shape, order="F"))
    about = str(grid.field_data[KEY][0]) if KEY in grid.field_data else None
    return Image(values).told(about)


def _write_vti(image: Image, path: Path) -> None:
    import pyvista

    spacing = (1.0, 1.0, 1.0) if image.spacing is None else tuple(image.spacing)
    grid = pyvista.ImageData(
        dimensions=np.array(image.values.shape) + 1, spacing=spacing, origin=tuple(image.origin)
    )
    name = "phase" if image.phases is not None else "grey"
    grid.cell_data[name] = image.values.ravel(order="F")
    grid.field_data[KEY] = [image.metadata()]
    grid.save(path)


def _read_nrrd(path: Path, inner: str) -> Image:
    import nrrd

    values, header = nrrd.read(str(path), index_order="F")
    units = header.get("space units") or header.get("units")
    spacing = None
    if "space directions" in header:
        spacing = micrometres(np.linalg.norm(np.asarray(header["space directions"], float), axis=1), units)
    elif "spacings" in header:
        spacing = micrometres(header["spacings"], units)
    return Image(np.ascontiguousarray(values), spacing).told(header.get(KEY))


def _write_nrrd(image: Image, path: Path) -> None:
    """Written here because pynrrd puts the date into the file: the same volume is to give the same bytes."""
    import gzip

    values = image.values
    about = {
        "type": values.dtype.name.replace("float32", "float").replace("float64", "double"),
        "dimension": "3",
        "sizes": " ".join(map(str, values.shape)),
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
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    with path.open("wb") as stream:
        stream.write(head.encode() + f"{KEY}:={image.metadata()}\n\n".encode())
        with gzip.GzipFile(fileobj=stream, mode="wb", filename="", mtime=0) as packed:
            packed.write(little.tobytes(order="F"))


def _read_nifti(path: Path, inner: str) -> Image:
    import nibabel

    picture: Any = nibabel.load(path)
    values = np.asanyarray(picture.dataobj)
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    unit = picture.header.get_xyzt_units()[0]
    spacing = micrometres(picture.header.get_zooms()[:3], unit)
    notes = [e.get_content() for e in picture.header.extensions if e.get_code() == 6]
    image = Image(np.ascontiguousarray(values), spacing)
    return image.told(notes[0]) if notes else image


def _write_nifti(image: Image, path: Path) -> None:
    import nibabel as typed

    nibabel: Any = typed  # its own annotations are incomplete
    spacing = np.ones(3) if image.spacing is None else image.spacing
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = image.origin
    picture = nibabel.Nifti1Image(np.asarray(image.values), affine, dtype=image.values.dtype)
    picture.header.set_xyzt_units("micron" if image.spacing is not None else "unknown")
    picture.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", image.metadata().encode()))
    nibabel.save(picture, path)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        ".tif": Format(_read_tiff, _write_tiff),
        ".tiff": Format(_read_tiff, _write_tiff),
        ".png": Format(_read_png),
        ".npy": Format(_read_npy, _write_npy),
        ".npz": Format(_read_npz, _write_npz),
        ".raw": Format(_read_raw, _write_raw, _write_sidecar),
        ".h5": Format(_read_hdf5, _write_hdf5),
        ".hdf5": Format(_read_hdf5, _write_hdf5),
        ".vti": Format(_read_vti, _write_vti),
        ".nrrd": Format(_read_nrrd, _write_nrrd),
        ".nii": Format(_read_nifti, _write_nifti),
        ".nii.gz": Format(_read_nifti, _write_nifti),
        ".zarr": Format(_read_zarr, _write_zarr),
    }
)
"""By the end of the file name."""
