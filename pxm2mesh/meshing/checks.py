"""The gate every mesh passes, and the numbers that go into its record."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import MeshingError
from pxm2mesh.meshing.assembly import Draft
from pxm2mesh.surface import BOX_FACES, InterfaceSurface

log = logging.getLogger(__name__)


class GateError(MeshingError):
    """A draft that is no valid mesh.

    Args:
        message: What is wrong.
        cells: Indices of the cells concerned.
    """

    def __init__(self, message: str, cells: npt.NDArray[np.int64] | None = None, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.cells = np.zeros(0, np.int64) if cells is None else cells


def check(made: Draft, surface: InterfaceSurface) -> None:
    """Refuse a draft unless it is a valid mesh of the surface's regions.

    Checked are: no flat or inverted cell, every face shared by at most two cells and each of its own
    facet where regions differ, every region meshed, box faces plane and whole, and the regions' volumes
    by cells equal to those by facets.

    Args:
        made: The draft, nothing excluded yet.
        surface: What it was made of.

    Raises:
        GateError: The first check that fails, with numbers and places.
    """
    p = made.points
    a = p[made.cells[:, 0]]
    volume = np.einsum("ij,ij->i", p[made.cells[:, 1]] - a,
                       np.cross(p[made.cells[:, 2]] - a, p[made.cells[:, 3]] - a)) / 6  # fmt: skip
    bad = np.flatnonzero(~(volume > 0))
    if len(bad):
        where = np.round(p[made.cells[bad[0]]].mean(axis=0), 3).tolist()
        raise GateError(
            f"{len(bad)} of {len(volume)} cells are flat or inverted, the first near {where} µm.", bad
        )
    _check_faces(made)
    count = len(surface.region_phase)
    by_cells = np.bincount(made.cell_region, volume, count)
    empty = (
        np.flatnonzero((by_cells[1:] == 0) & (np.bincount(surface.sides.ravel(), minlength=count)[1:] > 0))
        + 1
    )
    if len(empty):
        raise GateError(f"{len(empty)} regions have no cells: {empty[:8].tolist()}.")
    if surface.lattice is not None:  # shells by themselves fill no box
        _check_box(made, surface)
    by_facets = _volumes_by_facets(made, count, surface.lower)
    off = np.abs(by_cells - by_facets)[1:]
    if np.any(off > 1e-9 * by_cells.sum()):
        worst = int(np.argmax(off)) + 1
        raise GateError(
            f"region {worst} has {by_cells[worst]:.9g} µm³ by its cells and {by_facets[worst]:.9g} by its facets."
        )


def _check_faces(made: Draft) -> None:
    from pxm2mesh.meshing.improve_kernels import cells_of_points
    from pxm2mesh.meshing.swap_kernels import count_faces, neighbours

    start, items = cells_of_points(made.cells, len(made.points))
    near = neighbours(made.cells, start, items)
    lonely, between, wrong = (int(v) for v in count_faces(near, made.cell_region))
    if wrong:
        raise GateError(f"{wrong} faces are shared by more than two cells.")
    at_box = int(np.sum(made.facet_sides == 0))
    if lonely != at_box or between != len(made.facets) - at_box:
        raise GateError(
            f"{between} faces lie between regions and {lonely} at the outside, but there are "
            f"{len(made.facets) - at_box} and {at_box} facets."
        )


def _check_box(made: Draft, surface: InterfaceSurface) -> None:
    outer = made.facets[(made.facet_sides == 0).any(axis=1)]
    corners = made.points[outer]
    size = surface.upper - surface.lower
    found = 0
    for axis in range(3):
        for end, plane in enumerate((surface.lower, surface.upper)):
            at = np.all(corners[:, :, axis] == plane[axis], axis=1)
            found += int(at.sum())
            p = corners[at]
            area = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1).sum() / 2
            whole = float(np.prod(np.delete(size, axis)))
            if abs(area - whole) > 1e-9 * whole:
                raise GateError(
                    f"box face {BOX_FACES[2 * axis + end]} has {area:.9g} µm² instead of {whole:.9g}."
                )
    if found != len(outer):
        raise GateError(f"{len(outer) - found} of {len(outer)} outer facets do not lie on a box face.")


def _volumes_by_facets(made: Draft, count: int, lower: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    from pxm2mesh.meshing.improve_kernels import region_volumes

    return np.asarray(region_volumes(made.points - lower, made.facets, made.facet_sides, count))


def explain(made: Draft, cells: npt.NDArray[np.int64], folder: str | None) -> str:
    """Write the cells a gate refused as VTU and picture, and say where.

    Args:
        made: The draft.
        cells: The refused cells; the 200 with the least volume where none are named.
        folder: Where to; None makes a temporary folder that stays.

    Returns:
        A sentence with the paths.
    """
    if len(cells) == 0:
        from pxm2mesh.meshing.quality import cell_quality

        cells = np.argsort(cell_quality(made.points, made.cells).min_dihedral, kind="stable")[:200]
    place = Path(folder) if folder else Path(tempfile.mkdtemp(prefix="pxm2mesh-refused-"))
    place.mkdir(parents=True, exist_ok=True)
    try:
        from pxm2mesh.meshing.pictures import picture_of_cells, write_cells

        write_cells(made, cells, place / "bad_cells.vtu")
        picture_of_cells(made, cells, place / "bad_cells.png")
    except Exception as error:  # the explanation must never hide what it explains
        log.warning("the refused cells could not be drawn: %s", error)
    return f"the cells are in {place}."


def geometry_record(made: Draft, surface: InterfaceSurface) -> dict[str, Any]:
    """Volumes per phase and region, against the voxels.

    Args:
        made: The draft, nothing excluded yet.
        surface: What it was made of.

    Returns:
        ``phases`` and ``regions`` for the record.
    """
    count = len(surface.region_phase)
    got = _volumes_by_facets(made, count, surface.lower)
    wanted = surface.region_volume
    phases = []
    for phase in surface.phases:
        of = surface.region_phase == phase.label
        voxel, mesh = float(wanted[of].sum()), float(got[of].sum())
        error = mesh / voxel - 1 if voxel > 0 else (0.0 if mesh == 0 else float("inf"))
        phases.append({"name": phase.name, "label": phase.label, "voxel_volume": voxel, "mesh_volume": mesh,
                       "relative_error": error, "regions": int(of.sum())})  # fmt: skip
    return {
        "phases": phases,
        "regions": _regions(surface, got),
    }


def _regions(surface: InterfaceSurface, got: npt.NDArray[np.float64]) -> list[dict[str, Any]]:
    """One row per region of the mesh, then one per voxel region that has none of its own."""
    voxel = surface.lattice.volume.voxel_volume if surface.lattice else 1.0
    names = {p.label: p.name for p in surface.phases}
    rows: list[dict[str, Any]] = []
    ledger = surface.lattice.ledger if surface.lattice else None
    merged = np.zeros(len(got), np.int64)
    if ledger is not None:
        merged = np.bincount(ledger.into[1:][ledger.into[1:] > 0], minlength=len(got))
    for region in range(1, len(got)):
        wanted = float(surface.region_volume[region])
        rows.append({
            "id": region,
            "phase": names[int(surface.region_phase[region])],
            "voxels": round(wanted / voxel, 3),
            "fate": "meshed" if merged[region] <= 1 else f"meshed, {int(merged[region])} voxel regions merged",
            "relative_error": float(got[region] / wanted - 1) if wanted > 0 else None,
        })  # fmt: skip
    if ledger is not None:
        for lost in np.flatnonzero((ledger.pieces == 0) & (ledger.phase >= 0)).tolist():
            rows.append({
                "id": None, "phase": names[int(ledger.phase[lost])], "voxels": int(ledger.voxels[lost]),
                "fate": "dropped: smaller than a cell; its volume went to the rest of its phase",
                "relative_error": None,
            })  # fmt: skip
    return rows
