"""Surface files: VTP for interfaces with their names, STL, PLY and OBJ for single shells. Lengths are µm."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError, did_you_mean
from pxm2mesh.files import replacing, write_json
from pxm2mesh.regions import OUTSIDE
from pxm2mesh.surface import InterfaceSurface

SHELL_FORMATS = ("stl", "ply", "obj", "vtp")


def write_surface(surface: InterfaceSurface, path: str | os.PathLike[str]) -> list[Path]:
    """Write all interfaces and box faces, with regions, phases and interface names on the triangles.

    Args:
        surface: The surface.
        path: ``.vtp``. Beside it goes ``.json`` with the names behind the numbers, areas and volumes.

    Returns:
        The files written.

    Raises:
        UsageError: Another suffix.
        DataError: The place cannot be written.
    """
    final = Path(path)
    if final.suffix.lower() != ".vtp":
        raise UsageError(
            f"{final.name}: interfaces are written as .vtp;",
            hint="for .stl and .ply write shells, one per phase.",
        )
    labels = surface.region_phase[surface.sides]
    names, index = _interface_names(surface, labels)
    data = poly_data(surface.points, surface.triangles)
    data.cell_data["region_behind"] = surface.sides[:, 0]
    data.cell_data["region_front"] = surface.sides[:, 1]
    data.cell_data["phase_behind"] = labels[:, 0]
    data.cell_data["phase_front"] = labels[:, 1]
    data.cell_data["interface"] = index
    data.field_data["interface_names"] = names
    data.field_data["length_unit"] = ["um"]
    with replacing(final) as part:
        data.save(part)
    beside = final.with_suffix(".json")
    write_json(beside, passport(surface) | {"interface_names": names})
    return [final, beside]


def _interface_names(
    surface: InterfaceSurface, labels: npt.NDArray[np.int32]
) -> tuple[list[str], npt.NDArray[np.int32]]:
    pairs = np.sort(labels, axis=1)
    unique, index = np.unique(pairs, axis=0, return_inverse=True)
    names = []
    for low, high in unique.tolist():
        inside = surface.phases.by_label(high).name
        if low == OUTSIDE:
            names.append(f"box | {inside}")
        elif low == high:
            names.append(f"{inside} | {inside}")
        else:
            names.append(surface.phases.pair_name(low, high))
    return names, index.ravel().astype(np.int32)


def poly_data(points: npt.NDArray[np.float64], triangles: npt.NDArray[Any]) -> Any:
    """The triangles as a ``pyvista.PolyData``."""
    import pyvista

    faces: Any = triangles
    return pyvista.PolyData.from_regular_faces(points, faces)


def passport(surface: InterfaceSurface) -> dict[str, Any]:
    """Areas, volumes and the record of a surface, ready for JSON; every name says its unit."""
    volumes = surface.region_volumes()
    wanted = {
        p.name: float(surface.region_volume[surface.region_phase == p.label].sum()) for p in surface.phases
    }
    return {
        "points": len(surface.points),
        "triangles": len(surface.triangles),
        "regions": len(surface.region_phase) - 1,
        "open_edges": surface.open_edges(),
        "interface_area_um2": dict(surface.pair_areas()),
        "phase_volume_um3": dict(surface.phase_volumes()),
        "phase_volume_in_voxels_um3": wanted,
        "box_volume_um3": float(-volumes[0]),
        "box_um": [surface.lower.tolist(), surface.upper.tolist()],
        "record": dict(surface.record),
    }


def write_triangles(
    path: str | os.PathLike[str], points: npt.NDArray[np.float64], triangles: npt.NDArray[Any]
) -> Path:
    """Write one triangle surface as binary ``.stl`` or ``.ply``, or as ``.obj`` or ``.vtp``.

    Raises:
        UsageError: Another suffix.
        DataError: The place cannot be written.
    """
    final = Path(path)
    suffix = final.suffix.lower().lstrip(".")
    if suffix not in SHELL_FORMATS:
        raise UsageError(f"{final.name}: unknown surface format;", hint=did_you_mean(suffix, SHELL_FORMATS))
    with replacing(final) as part:
        if suffix == "vtp":
            poly_data(points, triangles).save(part)
        else:
            import trimesh

            trimesh.Trimesh(points, triangles, process=False).export(part, file_type=suffix)
    return final


def write_lines(
    path: str | os.PathLike[str], points: npt.NDArray[np.float64], links: npt.NDArray[Any]
) -> Path:
    """Write straight lines between points, such as the middle lines of cracks.

    Args:
        path: ``.vtp``; whole or not at all.
        points: (n, 3) µm.
        links: (m, 2) numbers of the points that a line joins.

    Raises:
        UsageError: Another suffix.
        DataError: The place cannot be written.
    """
    import pyvista

    final = Path(path)
    if final.suffix.lower() != ".vtp":
        raise UsageError(f"{final.name}: lines are written as .vtp;", hint="choose that suffix.")
    lines: Any = np.column_stack([np.full(len(links), 2), links]).ravel()
    data = pyvista.PolyData(points, lines=lines) if len(links) else pyvista.PolyData(points)
    with replacing(final) as part:
        data.save(part)
    return final
