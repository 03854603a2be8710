"""What a file or folder holds, as a handful of facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pxm2mesh.errors import DataError, UsageError

_MESHES = (".vtu", ".msh", ".xdmf", ".inp", ".exo", ".e")


def describe(path: str) -> dict[str, Any]:
    """Say what a study, run folder, mesh, surface or image holds.

    Args:
        path: The file or folder; ``file.h5::/dataset`` for HDF5.

    Returns:
        Facts by name, the first of them ``"kind"``.

    Raises:
        UsageError: Nothing is there.
        DataError: It cannot be read as what its name says it is.
    """
    place = Path(path.partition("::")[0])
    if not place.exists():
        raise UsageError(f"{path}: there is no such file or folder;", hint="check the path.")
    if (place / "record.json").is_file():
        return _run(place)
    if place.suffix == ".toml":
        return _study(place)
    if place.suffix in _MESHES:
        return _mesh(place)
    if place.suffix in (".vtp", ".stl", ".ply"):
        return _surface(place)
    if place.suffix == ".json":
        return _quantities(place)
    return _image(path)


def _run(folder: Path) -> dict[str, Any]:
    from pxm2mesh.report.contents import RunContents

    run = RunContents(folder)
    facts: dict[str, Any] = {"kind": "run", "folder": str(folder), "stages": ", ".join(run.stages)}
    if run.shape:
        facts["volume"] = " × ".join(map(str, run.shape)) + " voxels"
    facts["quantities"] = len(run.quantities)
    facts["cells"] = run.quality.get("cells", 0)
    facts["seconds"] = round(sum(stage["seconds"] for stage in run.stages.values()), 1)
    return facts


def _study(file: Path) -> dict[str, Any]:
    from pxm2mesh.study import read_study

    study = read_study(file)
    return {
        "kind": "study",
        "study": str(study),
        "digest": study.digest()[:12],
        "mesh": f"cell size {study.mesh.cell_size}, without {', '.join(study.mesh.exclude) or 'nothing'}",
        "physics": ", ".join(p.model for p in study.physics) or "none",
        "folder": str(study.folder),
    }


def _mesh(file: Path) -> dict[str, Any]:
    from pxm2mesh.io.meshes import read_mesh

    mesh = read_mesh(file)
    facts: dict[str, Any] = {
        "kind": "mesh",
        "points": len(mesh.points),
        "cells": len(mesh.cells),
        "regions": len(mesh.region_phase) - 1,
    }
    facts |= {f"volume of {name} [um3]": round(volume, 6) for name, volume in mesh.phase_volumes().items()}
    facts |= {f"area of {pair} [um2]": round(area, 6) for pair, area in mesh.pair_areas().items()}
    return facts


def _surface(file: Path) -> dict[str, Any]:
    import pyvista

    surface = pyvista.read(file)
    low, high = surface.bounds[::2], surface.bounds[1::2]
    return {
        "kind": "surface",
        "points": surface.n_points,
        "triangles": surface.n_cells,
        "from [um]": [round(v, 6) for v in low],
        "to [um]": [round(v, 6) for v in high],
        "fields": ", ".join(surface.cell_data.keys()),
    }


def _quantities(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is not JSON: {error}.") from error
    if isinstance(content, list):
        return {
            "kind": "quantities",
            "rows": len(content),
            "names": ", ".join(sorted({q["name"] for q in content})),
        }
    return {"kind": "record", **{k: v for k, v in content.items() if not isinstance(v, dict | list)}}


_LOOKED_AT = 1 << 28
"""Voxels that are read to tell the values of an image; of larger ones some slices along the way."""


def _image(path: str) -> dict[str, Any]:
    import numpy as np

    from pxm2mesh.io.images import open_image
    from pxm2mesh.io.lazy import VolumeOnDisk

    image = open_image(path)
    shape = tuple(int(n) for n in image.values.shape)
    facts: dict[str, Any] = {
        "kind": "image",
        "voxels": " × ".join(map(str, shape)),
        "type": str(image.dtype),
        "size": f"{np.prod(shape, dtype=float) * image.dtype.itemsize / 1e6:.4g} MB in memory",
    }
    if image.spacing is not None:
        facts["spacing"] = " × ".join(f"{s:.6g}" for s in image.spacing) + " µm"
    if image.phases is not None:
        facts["phases"] = ", ".join(f"{p.name}={p.label}" for p in image.phases)
    disk = VolumeOnDisk.of_image(image)
    axis = disk.slow_axis
    planes = max(1, min(shape[axis], _LOOKED_AT * shape[axis] // int(np.prod(shape, dtype=np.int64))))
    counts: dict[Any, int] = {}
    for plane in np.unique(np.linspace(0, shape[axis] - 1, planes).round().astype(int)):
        window = [slice(None)] * 3
        window[axis] = slice(int(plane), int(plane) + 1)
        for value, count in zip(
            *np.unique(np.asarray(disk.values[tuple(window)]), return_counts=True), strict=True
        ):
            counts[value] = counts.get(value, 0) + int(count)
    told = f" (in {planes} of {shape[axis]} slices)" if planes < shape[axis] else ""
    values = sorted(counts)
    if len(values) <= 32:
        total = sum(counts.values())
        facts["values"] = ", ".join(f"{v} ({100 * counts[v] / total:.1f} %)" for v in values) + told
    else:
        facts["values"] = f"{values[0]} to {values[-1]}, {len(values)} different" + told
    return facts
