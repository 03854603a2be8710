"""Which format a file name stands for, and the simple formats: numpy and raw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.files import write_json
from pxm2mesh.io._containers import HDF5, ZARR
from pxm2mesh.io._format import Format, choose
from pxm2mesh.io._image import KEY, Image
from pxm2mesh.io._medical import NIFTI, NRRD
from pxm2mesh.io._source import Source, Window
from pxm2mesh.io._tiff import PNG, TIFF
from pxm2mesh.io._vti import VTI
from pxm2mesh.io._zeiss import ZEISS


def _open_npy(path: Path, inner: str) -> Image:
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if found.ndim != 3:
        raise DataError(f"{path} holds an array of shape {found.shape}, not a volume.")
    nx, ny, nz = found.shape

    def read(window: Window) -> npt.NDArray[Any]:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)[window])

    chunk = (nx, ny, 1) if found.flags.f_contiguous else (1, ny, nz)
    return Image(Source(str(path), (nx, ny, nz), found.dtype, chunk, read))


def _write_npy(image: Image, path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, np.ascontiguousarray(image.array))


def _open_npz(path: Path, inner: str) -> Image:
    """Compressed as a whole: there are no parts to read."""
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
        volumes = [name for name in content.files if content[name].ndim == 3 and name != "particles"]
        name = choose(path, inner.strip("/"), volumes)
        particles = content["particles"] if "particles" in content.files else None
        about = str(content[KEY]) if KEY in content.files else None
        return Image(content[name], particles=particles).told(about)


def _write_npz(image: Image, path: Path) -> None:
    content: dict[str, Any] = {"volume": image.array, KEY: np.array(image.metadata())}
    if image.particles is not None:
        content["particles"] = image.particles
    with path.open("wb") as stream:
        np.savez_compressed(stream, **content)


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _open_raw(path: Path, inner: str) -> Image:
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

    def read(window: Window) -> npt.NDArray[Any]:
        values = np.memmap(path, dtype, mode="r", offset=offset, shape=shape, order="F")  # x runs fastest
        return np.asarray(values[window])

    nx, ny, nz = shape
    image = Image(Source(str(path), (nx, ny, nz), dtype, (nx, ny, 1), read)).told(json.dumps(about))
    if "spacing" not in about:
        return image
    from pxm2mesh.volume import parse_spacing

    spacing = parse_spacing(about["spacing"], where=str(beside))
    return Image(image.values, spacing, image.origin, image.phases)


def _write_raw(image: Image, path: Path) -> None:
    with path.open("wb") as stream:
        for _, slab in image.slabs():
            slab.tofile(stream)


def _write_sidecar(image: Image, path: Path) -> None:
    about = {"shape": list(image.values.shape), "dtype": image.dtype.str, "order": "x fastest"}
    write_json(_sidecar(path), about | json.loads(image.metadata()))


RAW = Format(_open_raw, _write_raw, _write_sidecar)
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        ".tif": TIFF,
        ".tiff": TIFF,
        ".png": PNG,
        ".npy": Format(_open_npy, _write_npy),
        ".npz": Format(_open_npz, _write_npz),
        ".raw": RAW,
        ".h5": HDF5,
        ".hdf5": HDF5,
        ".vti": VTI,
        ".nrrd": NRRD,
        ".nii": NIFTI,
        ".nii.gz": NIFTI,
        ".zarr": ZARR,
        ".txm": ZEISS,
        ".txrm": ZEISS,
        ".xrm": ZEISS,
    }
)
"""By the end of the file name."""
