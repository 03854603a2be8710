"""Mesh files: VTU, MSH, XDMF, Abaqus, Exodus, Nastran, each with its record; and the fast hand-over to the solver.

The formats that carry names are written by this package (see the modules beside this one): the usual
converters drop physical names, side sets or text fields. meshio reads meshes from elsewhere.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, UsageError, did_you_mean
from pxm2mesh.files import as_data_error, replacing, write_json
from pxm2mesh.io._mesh_groups import FacetGroups, digest, facet_groups
from pxm2mesh.phases import Phase, PhaseTable
from pxm2mesh.tetmesh import TetMesh

FORMATS = (".vtu", ".msh", ".xdmf", ".inp", ".exo", ".nas")
_ARRAYS = ("points", "cells", "cell_region", "facets", "facet_sides", "region_phase", "region_volume", "lower", "upper",
           "facet_pairs")  # fmt: skip


def write_mesh(mesh: TetMesh, path: str | os.PathLike[str]) -> None:
    """Write a mesh in the format of the suffix, and its record ``M.json`` beside it.

    Args:
        mesh: The mesh.
        path: ``M.vtu`` (and ``M_interfaces.vtu``), ``M.msh`` (gmsh 4.1), ``M.xdmf`` (and ``M.h5``,
            ``M_interfaces.xdmf``), ``M.inp`` (Abaqus), ``M.exo`` (Exodus II), ``M.nas`` (Nastran, for COMSOL).
            Lengths are in µm.

    Raises:
        UsageError: Another suffix.
        DataError: The place cannot be written.
    """
    final = Path(path)
    suffix = final.suffix.lower()
    if suffix not in FORMATS:
        remedy = did_you_mean(suffix, FORMATS) if suffix else f"use one of {', '.join(FORMATS)}."
        raise UsageError(f"a mesh cannot be written as {suffix or 'a file without suffix'!r};", hint=remedy)
    groups = facet_groups(mesh)
    try:
        _WRITERS[suffix](mesh, groups, final)
        write_json(final.with_suffix(".json"), mesh_record(mesh))
    except OSError as error:
        raise as_data_error(error, final) from error


def _write_vtu(mesh: TetMesh, groups: FacetGroups, path: Path) -> None:
    from pxm2mesh.io._vtu import write_vtu

    with replacing(path) as part:
        write_vtu(
            part, mesh.points, mesh.cells,
            point_data=mesh.point_fields,
            cell_data={"phase": mesh.cell_phase(), "region": mesh.cell_region, **mesh.cell_fields},
            fields={**_tables(mesh), "region_phase": mesh.region_phase, "region_volume": mesh.region_volume,
                    "box": np.concatenate([mesh.lower, mesh.upper])},
        )  # fmt: skip
    used, facets = np.unique(mesh.facets, return_inverse=True)
    with replacing(_interfaces(path)) as part:
        write_vtu(
            part, mesh.points[used], facets.reshape(-1, 3).astype(np.int32),
            point_data={"mesh_point": used.astype(np.int32)},
            cell_data=_facet_data(mesh, groups),
            fields={**_tables(mesh), **{f"pair {name}": np.array([i], np.int32) for i, name in enumerate(groups.names)},
                    "facet_pairs": mesh.facet_pairs.ravel()},
        )  # fmt: skip


def _write_msh(mesh: TetMesh, groups: FacetGroups, path: Path) -> None:
    from pxm2mesh.io._msh import write_msh

    with replacing(path) as part:
        write_msh(part, mesh, groups)


def _write_xdmf(mesh: TetMesh, groups: FacetGroups, path: Path) -> None:
    from pxm2mesh.io._xdmf import write_xdmf

    parts: tuple[tuple[Path, str, npt.NDArray[Any], dict[str, Any], Mapping[str, Any]], ...] = (
        (path, "mesh", mesh.cells, {"phase": mesh.cell_phase(), "region": mesh.cell_region, **mesh.cell_fields},
         mesh.point_fields),
        # in the numbers of the mesh's points, so that DOLFINx finds the facets
        (_interfaces(path), "interfaces", mesh.facets, _facet_data(mesh, groups), {}),
    )  # fmt: skip
    names = {p.name: (3, p.label) for p in mesh.phases} | {
        name: (2, i) for i, name in enumerate(groups.names)
    }
    for light, grid, cells, cell_data, point_data in parts:
        heavy = light.with_suffix(".h5")
        with replacing(light) as part, replacing(heavy) as heavy_part:
            write_xdmf(part, heavy_part, heavy.name, grid, mesh.points, cells, cell_data=cell_data,
                       point_data=point_data, names=names)  # fmt: skip


def _write_abaqus(mesh: TetMesh, groups: FacetGroups, path: Path) -> None:
    from pxm2mesh.io._abaqus import write_abaqus

    with replacing(path) as part:
        write_abaqus(part, mesh, groups)


def _write_exodus(mesh: TetMesh, groups: FacetGroups, path: Path) -> None:
    from pxm2mesh.io._exodus import write_exodus

    with replacing(path) as part:
        write_exodus(part, mesh, groups)


def _write_nastran(mesh: TetMesh, groups: FacetGroups, path: Path) -> None:
    from pxm2mesh.io._nastran import write_nastran

    with replacing(path) as part:
        write_nastran(part, mesh, groups)


_WRITERS = {
    ".vtu": _write_vtu,
    ".msh": _write_msh,
    ".xdmf": _write_xdmf,
    ".inp": _write_abaqus,
    ".exo": _write_exodus,
    ".nas": _write_nastran,
}


def _interfaces(path: Path) -> Path:
    return path.with_name(f"{path.stem}_interfaces{path.suffix}")


def _tables(mesh: TetMesh) -> dict[str, npt.NDArray[Any]]:
    """Every phase as a field array ``phase NMC`` with its label, and the whole table as JSON text in bytes."""
    table = [asdict(phase) for phase in mesh.phases]
    labels: dict[str, npt.NDArray[Any]] = {
        f"phase {p.name}": np.array([p.label], np.int32) for p in mesh.phases
    }
    return {
        **labels,
        "phase_table": np.frombuffer(json.dumps(table, ensure_ascii=False).encode("utf-8"), np.uint8),
    }


def _facet_data(mesh: TetMesh, groups: FacetGroups) -> dict[str, npt.NDArray[Any]]:
    return {"pair": groups.of, "side_0": mesh.facet_sides[:, 0], "side_1": mesh.facet_sides[:, 1]}


# ------------------------------------------------------------------ the record


def mesh_record(mesh: TetMesh) -> dict[str, Any]:
    """What ``M.json`` holds: the mesh's passport.

    Args:
        mesh: The mesh.

    Returns:
        Phases, interfaces, regions, quality, route, versions, digest, seconds and memory, as JSON.
    """
    from pxm2mesh import __version__

    known = dict(mesh.record)
    volumes = mesh.region_volumes()
    meshed = np.bincount(mesh.cell_region, minlength=len(volumes)) > 0
    record: dict[str, Any] = {
        "phases": known.pop("phases", None) or _phase_rows(mesh, volumes),
        "interfaces": [{"pair": pair, "area": area} for pair, area in mesh.pair_areas().items()],
        "regions": _region_rows(known.pop("regions", None) or _plain_regions(mesh, volumes), meshed),
        "quality": known.pop("quality", None) or _quality(mesh),
        "route": known.pop("route", {}),
    }
    versions = {"pxm2mesh": __version__, "numpy": np.__version__, **known.pop("versions", {})}
    tail: dict[str, Any] = {k: known.pop(k) for k in ("seconds", "peak_rss_mb") if k in known}
    return {**record, **known, "versions": versions, "digest": digest(mesh), **tail}


def _quality(mesh: TetMesh) -> dict[str, Any]:
    """Worst angles and ratios of a mesh that does not come from the mesher."""
    volumes = mesh.cell_volumes()
    low, high, ratio = _shape(mesh)
    return {
        "cells": len(mesh.cells),
        "vertices": len(mesh.points),
        "inverted": int(np.sum(~(volumes > 0))),
        "min_dihedral": round(float(low.min()), 3),
        "p01_dihedral": round(float(np.percentile(low, 1)), 3),
        "p05_dihedral": round(float(np.percentile(low, 5)), 3),
        "max_dihedral": round(float(high.max()), 3),
        "rr_p05": round(float(np.percentile(ratio, 5)), 4),
    }


def _shape(mesh: TetMesh) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(k,) least and greatest dihedral angle in degrees, and 3 × inscribed / circumscribed radius."""
    p = mesh.points[mesh.cells]
    normals = []
    for i, j, k in ((1, 2, 3), (0, 3, 2), (0, 1, 3), (0, 2, 1)):
        normals.append(np.cross(p[:, j] - p[:, i], p[:, k] - p[:, i]))
    areas = [np.linalg.norm(n, axis=1) for n in normals]
    angles = np.stack([
        np.degrees(np.arccos(np.clip(-np.einsum("ij,ij->i", normals[i], normals[j]) / (areas[i] * areas[j]), -1, 1)))
        for i in range(4) for j in range(i + 1, 4)
    ])  # fmt: skip
    six = 6 * mesh.cell_volumes()
    b, c, d = (p[:, i] - p[:, 0] for i in (1, 2, 3))
    centre = ((d**2).sum(1)[:, None] * np.cross(b, c) + (c**2).sum(1)[:, None] * np.cross(d, b)
              + (b**2).sum(1)[:, None] * np.cross(c, d))  # fmt: skip
    outer = np.linalg.norm(centre, axis=1) / (2 * six)
    return angles.min(axis=0), angles.max(axis=0), 3 * six / sum(areas) / outer


def _phase_rows(mesh: TetMesh, volumes: npt.NDArray[np.float64]) -> list[dict[str, Any]]:
    rows = []
    for phase in mesh.phases:
        of = mesh.region_phase == phase.label
        voxel, made = float(mesh.region_volume[of].sum()), float(volumes[of].sum())
        rows.append({"name": phase.name, "label": phase.label, "voxel_volume": voxel, "mesh_volume": made,
                     "relative_error": made / voxel - 1 if voxel > 0 else 0.0})  # fmt: skip
    return rows


def _plain_regions(mesh: TetMesh, volumes: npt.NDArray[np.float64]) -> list[dict[str, Any]]:
    names = {p.label: p.name for p in mesh.phases}
    return [
        {"id": r, "phase": names[int(mesh.region_phase[r])], "volume": float(mesh.region_volume[r]), "fate": "meshed",
         "relative_error": float(volumes[r] / mesh.region_volume[r] - 1) if mesh.region_volume[r] > 0 else None}
        for r in range(1, len(volumes))
    ]  # fmt: skip


def _region_rows(rows: list[dict[str, Any]], meshed: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Regions without cells are said to be excluded."""
    result = []
    for row in rows:
        absent = row["id"] is not None and not meshed[row["id"]]
        result.append({**row, "fate": "excluded"} if absent else dict(row))
    return result


# ------------------------------------------------------------------ reading


def read_mesh(path: str | os.PathLike[str]) -> TetMesh:
    """Read a mesh that this package wrote.

    Args:
        path: ``M.vtu`` (with ``M_interfaces.vtu`` beside it) or ``M.npz``.

    Returns:
        The mesh; what ``M.json`` holds beside it becomes its record.

    Raises:
        DataError: Missing, damaged or foreign file.
        UsageError: A format that is only written.
    """
    final = Path(path)
    suffix = final.suffix.lower()
    if suffix == ".npz":
        return load_arrays(final)
    if suffix != ".vtu":
        raise UsageError(
            f"a mesh cannot be read back from {suffix!r};", hint="write it as .vtu (or .npz) as well."
        )
    from pxm2mesh.io._vtu import read_vtu

    try:
        inner, outer = read_vtu(final), read_vtu(_interfaces(final))
        fields, faces = inner["fields"], outer["cell_data"]
        phases = PhaseTable(
            Phase(**row) for row in json.loads(fields["phase_table"].tobytes().decode("utf-8"))
        )
        number = outer["point_data"]["mesh_point"]
        record = _stored_record(final)
        return TetMesh(
            points=inner["points"]["Points"],
            cells=inner["cells"]["connectivity"].reshape(-1, 4),
            cell_region=inner["cell_data"]["region"],
            facets=number[outer["cells"]["connectivity"]].reshape(-1, 3),
            facet_sides=np.stack([faces["side_0"], faces["side_1"]], axis=1),
            region_phase=fields["region_phase"],
            region_volume=fields["region_volume"],
            phases=phases,
            lower=fields["box"][:3],
            upper=fields["box"][3:],
            facet_pairs=outer["fields"].get("facet_pairs", np.zeros(0, np.int32)).reshape(-1, 2),
            point_fields=inner["point_data"],
            cell_fields={k: v for k, v in inner["cell_data"].items() if k not in ("phase", "region")},
            record=record,
        )
    except OSError as error:
        raise as_data_error(error, final) from error
    except KeyError as error:
        raise DataError(f"{final} was not written by pxm2mesh: it has no {error};",
                        hint="mesh the labels again, or write the mesh with write_mesh.") from error  # fmt: skip


def _stored_record(path: Path) -> dict[str, Any]:
    beside = path.with_suffix(".json")
    if not beside.exists():
        return {}
    record = json.loads(beside.read_text(encoding="utf-8"))
    for computed in ("interfaces", "digest"):
        record.pop(computed, None)
    return dict(record)


def save_arrays(mesh: TetMesh, path: str | os.PathLike[str]) -> None:
    """Write a mesh as ``.npz``: the fast hand-over between processes.

    Args:
        mesh: The mesh.
        path: Where to.

    Raises:
        DataError: The place cannot be written.
    """
    text = json.dumps(
        {"phases": [asdict(phase) for phase in mesh.phases], "record": dict(mesh.record)}, ensure_ascii=False
    )
    arrays: dict[str, Any] = {name: getattr(mesh, name) for name in _ARRAYS}
    arrays |= {f"point_fields/{name}": values for name, values in mesh.point_fields.items()}
    arrays |= {f"cell_fields/{name}": values for name, values in mesh.cell_fields.items()}
    arrays["meta"] = np.frombuffer(text.encode("utf-8"), np.uint8)
    with (
        replacing(path) as part,
        part.open("wb") as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name, array in arrays.items():  # as numpy.savez, but with a fixed date: same mesh, same bytes
            entry = zipfile.ZipInfo(name.replace("/", "|") + ".npy", (1980, 1, 1, 0, 0, 0))
            with archive.open(entry, "w", force_zip64=True) as item:
                np.lib.format.write_array(item, np.ascontiguousarray(array), allow_pickle=False)


def load_arrays(path: str | os.PathLike[str]) -> TetMesh:
    """Read what `save_arrays` wrote.

    Args:
        path: The file.

    Returns:
        The mesh.

    Raises:
        DataError: Missing, damaged or foreign file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name.replace("|", "/"): stored[name] for name in stored.files}
        meta = json.loads(arrays.pop("meta").tobytes().decode("utf-8"))
        fields: dict[str, dict[str, Any]] = {"point_fields": {}, "cell_fields": {}}
        for name in [n for n in arrays if "/" in n]:
            kind, _, field = name.partition("/")
            fields[kind][field] = arrays.pop(name)
        return TetMesh(
            **{name: arrays[name] for name in _ARRAYS}, phases=PhaseTable(Phase(**row) for row in meta["phases"]),
            point_fields=fields["point_fields"], cell_fields=fields["cell_fields"], record=meta["record"],
        )  # fmt: skip
    except OSError as error:
        raise as_data_error(error, Path(path)) from error
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a mesh written by save_arrays: {error}.") from error


__all__ = ["FORMATS", "load_arrays", "mesh_record", "read_mesh", "save_arrays", "write_mesh"]
