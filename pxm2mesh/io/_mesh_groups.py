"""The named parts of a mesh, the same for every format: phases, interfaces, box faces, regions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.surface import BOX_FACES
from pxm2mesh.tetmesh import TetMesh

OUTSIDE_NAME = "outside"
"""Name of outer facets that lie on no box face (single regions meshed by themselves)."""


@dataclass(frozen=True, eq=False)
class FacetGroups:
    """A name for every facet.

    Attributes:
        names: Interfaces ``"NMC | LPSCl"`` in the order of labels, then box faces.
        of: (f,) int32 index into ``names``.
    """

    names: tuple[str, ...]
    of: npt.NDArray[np.int32]


def facet_groups(mesh: TetMesh) -> FacetGroups:
    """Name the facets: by the phases of their sides, or by the box face they lie on.

    Args:
        mesh: The mesh.

    Returns:
        Names that occur, and each facet's.
    """
    labels = np.sort(mesh.region_phase[mesh.facet_sides], axis=1)
    outer = (mesh.facet_sides == 0).any(axis=1)
    base = int(mesh.region_phase.max()) + 2
    code = np.where(outer, 0, (labels[:, 0].astype(np.int64) + 1) * base + labels[:, 1] + 1)
    box = np.full(len(code), len(BOX_FACES), np.int64)
    tolerance = 1e-9 * float(np.max(mesh.upper - mesh.lower))
    corners = mesh.points[mesh.facets[outer]]
    found = box[outer]
    for axis in range(3):
        for end, plane in enumerate((mesh.lower[axis], mesh.upper[axis])):
            at = np.all(np.abs(corners[:, :, axis] - plane) <= tolerance, axis=1)
            found[at & (found == len(BOX_FACES))] = 2 * axis + end
    box[outer] = found
    big = np.int64(base) * base
    code = np.where(outer, big + box, code)
    keys, of = np.unique(code, return_inverse=True)
    names = []
    for key in keys.tolist():
        if key >= big:
            names.append((*BOX_FACES, OUTSIDE_NAME)[key - int(big)])
        else:
            names.append(mesh.phases.pair_name(key // base - 1, key % base - 1))
    return FacetGroups(tuple(names), of.ravel().astype(np.int32))


def facet_cells(mesh: TetMesh) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The cell behind each facet (in front where nothing is behind), and its corner opposite the facet.

    Args:
        mesh: The mesh.

    Returns:
        ``(cell, corner)``: (f,) each.

    Raises:
        DataError: A facet is no face of a cell.
    """
    at_facet = np.zeros(len(mesh.points), np.bool_)
    at_facet[mesh.facets] = True
    marked = at_facet[mesh.cells]
    rows, cells, corners = [], [], []
    for corner in range(4):
        others = [k for k in range(4) if k != corner]
        mine = np.flatnonzero(marked[:, others].all(axis=1))
        rows.append(np.sort(mesh.cells[mine][:, others], axis=1))
        cells.append(mine)
        corners.append(np.full(len(mine), corner))
    faces, cell, corner_of = np.concatenate(rows), np.concatenate(cells), np.concatenate(corners)
    wanted = np.sort(mesh.facets, axis=1)
    both = np.concatenate([wanted, faces]).astype(np.int64)
    pair = both[:, 0] * len(mesh.points) + both[:, 1]
    is_face = np.concatenate([np.zeros(len(wanted), np.bool_), np.ones(len(faces), np.bool_)])
    order = np.lexsort((is_face, both[:, 2], pair))
    fresh = np.concatenate([[True], np.any(both[order][1:] != both[order][:-1], axis=1)])
    group = np.empty(len(both), np.int64)
    group[order] = np.cumsum(fresh) - 1
    facet_group, face_group = group[: len(wanted)], group[len(wanted) :]
    result = np.full(len(wanted), -1, np.int64)
    for side in (1, 0):  # the cell behind has the last word
        at = np.full(int(group.max()) + 1, -1, np.int64)
        wanted_region = np.full(len(at), -1, np.int64)
        wanted_region[facet_group] = mesh.facet_sides[:, side]
        fits = mesh.cell_region[cell] == wanted_region[face_group]
        at[face_group[fits]] = np.flatnonzero(fits)
        hit = at[facet_group]
        result = np.where(hit >= 0, hit, result)
    if np.any(result < 0):
        raise DataError(f"{int(np.sum(result < 0))} facets are no faces of cells of their regions.")
    return cell[result], corner_of[result]


def phase_cells(mesh: TetMesh) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Meshed phases in the order of their labels, with their cells."""
    of = mesh.cell_phase()
    found = [(p.name, np.flatnonzero(of == p.label)) for p in mesh.phases]
    return [(name, cells) for name, cells in found if len(cells)]


def digest(mesh: TetMesh) -> str:
    """SHA-256 of points, cells, facets, their regions, and the fields."""
    state = hashlib.sha256(repr((mesh.phases, mesh.lower.tolist(), mesh.upper.tolist())).encode())
    for array in (mesh.points, mesh.cells, mesh.cell_region, mesh.facets, mesh.facet_sides, mesh.region_phase,
                  mesh.region_volume, mesh.facet_pairs):  # fmt: skip
        state.update(str(array.shape).encode())
        state.update(np.ascontiguousarray(array).data)
    for fields in (mesh.point_fields, mesh.cell_fields):
        for name in sorted(fields):
            state.update(name.encode())
            state.update(np.ascontiguousarray(fields[name]).data)
    return state.hexdigest()


def safe_name(name: str) -> str:
    """A name that formats without blanks and bars accept: ``"NMC | LPSCl"`` → ``"NMC--LPSCl"``."""
    kept = "".join(c if c.isalnum() or c in "_-+" else "_" for c in name.replace(" | ", "--"))
    return kept[:80]
