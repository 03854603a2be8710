"""HDF5 (also Data Exchange) and Zarr (also OME-Zarr)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.io._format import Format, as_stack, choose
from pxm2mesh.io._image import KEY, Image, micrometres
from pxm2mesh.io._source import Source, Window

_BLOCK = 64
"""Voxels per edge of the blocks we write."""


def _open_hdf5(path: Path, inner: str) -> Image:
    import h5py

    with h5py.File(path, "r") as file:
        found: list[str] = []
        file.visititems(lambda name, item: found.append(name) if getattr(item, "ndim", 0) == 3 else None)
        if not inner and "exchange/data" in found:  # Data Exchange
            inner = "exchange/data"
        name = choose(path, inner.strip("/"), found)
        data = file[name]
        size = data.attrs.get("element_size_um")
        spacing = None if size is None else micrometres(np.asarray(size)[::-1], "um")
        about, shape, dtype, chunk = data.attrs.get(KEY), data.shape, data.dtype, data.chunks

    def read(window: Window) -> npt.NDArray[Any]:
        with h5py.File(path, "r") as file:
            return np.asarray(file[name][window])

    return Image(Source.of_slices(str(path), shape, dtype, read, chunk=chunk), spacing).told(about)


def _write_hdf5(image: Image, path: Path) -> None:
    import h5py

    shape = image.values.shape[::-1]
    with h5py.File(path, "w", track_order=True) as file:
        data = file.create_dataset(
            "volume",
            shape=shape,
            dtype=image.dtype,
            chunks=tuple(min(_BLOCK, n) for n in shape),
            compression="gzip",
            shuffle=True,
        )
        data.attrs[KEY] = image.metadata()
        if image.spacing is not None:
            data.attrs["element_size_um"] = image.spacing[::-1]
        for which, slab in image.slabs(_BLOCK):
            data[which] = slab


def _open_zarr(path: Path, inner: str) -> Image:
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
            node = arrays[choose(path, "", list(arrays))]
    array = node
    front = (0,) * max(array.ndim - 3, 0)  # time and channel
    shape = as_stack(array.shape)
    chunk = tuple(int(n) for n in (getattr(array, "shards", None) or array.chunks))

    def read(window: Window) -> npt.NDArray[Any]:
        if array.ndim == 2:
            return np.asarray(array[window[1:]])[np.newaxis]
        return np.asarray(array[(*front, *window)])

    chunk = chunk[-3:] if array.ndim > 2 else (1, *chunk)
    return Image(Source.of_slices(str(path), shape, array.dtype, read, chunk=chunk), spacing).told(
        array.attrs.get(KEY)
    )


def _ome_zarr_spacing(scale: Mapping[str, Any], finest: Mapping[str, Any]) -> npt.NDArray[np.float64] | None:
    """Voxel size of the finest level: its own scale times the one of the whole pyramid."""
    steps = np.ones(3)
    stated = False
    for level in (finest, scale):
        for entry in level.get("coordinateTransformations", []):
            if entry.get("type") == "scale":
                steps = steps * np.asarray(entry["scale"][-3:], float)
                stated = True
    units = {axis["name"]: axis.get("unit") for axis in scale.get("axes", []) if isinstance(axis, Mapping)}
    if not stated or not all(units.get(a) for a in "xyz"):
        return None
    return micrometres(steps[::-1], [units[a] for a in "xyz"])


def _write_zarr(image: Image, path: Path) -> None:
    import zarr

    shape = image.values.shape[::-1]
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    array = group.create_array(
        "0", shape=shape, dtype=image.dtype, chunks=tuple(min(_BLOCK, n) for n in shape)
    )
    for which, slab in image.slabs(_BLOCK):
        array[which] = slab
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


HDF5 = Format(_open_hdf5, _write_hdf5)
ZARR = Format(_open_zarr, _write_zarr)
