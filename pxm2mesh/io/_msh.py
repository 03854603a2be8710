"""Gmsh 4.1 files (binary): entities by region and pair of regions, physical groups by name."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.io._mesh_groups import FacetGroups
from pxm2mesh.tetmesh import TetMesh


def write_msh(path: Path, mesh: TetMesh, groups: FacetGroups) -> None:
    """Write the mesh.

    A volume's physical tag is the phase's label + 1 (gmsh has no tag 0); those of surfaces follow the order of
    `FacetGroups.names`, starting at 1. Volume entities are numbered as the regions are.

    Args:
        path: Where to.
        mesh: The mesh.
        groups: Names of its facets.
    """
    regions = np.unique(mesh.cell_region)
    surfaces, surface_of = _surfaces(mesh, groups)
    with path.open("wb") as stream:
        stream.write(b"$MeshFormat\n4.1 1 8\n")
        stream.write(np.array([1], "<i4").tobytes())
        stream.write(b"\n$EndMeshFormat\n$PhysicalNames\n")
        present = sorted(set(mesh.region_phase[regions].tolist()))
        names = [(2, i + 1, name) for i, name in enumerate(groups.names)]
        names += [(3, label + 1, mesh.phases.by_label(label).name) for label in present]
        stream.write(f"{len(names)}\n".encode())
        for dimension, tag, name in names:
            stream.write(f'{dimension} {tag} "{name}"\n'.encode())
        stream.write(b"$EndPhysicalNames\n$Entities\n")
        _write_entities(stream, mesh, regions, surfaces, surface_of)
        stream.write(b"\n$EndEntities\n$Nodes\n")
        _write_nodes(stream, mesh, int(regions[0]))
        stream.write(b"\n$EndNodes\n$Elements\n")
        _write_elements(stream, mesh, regions, surfaces, surface_of)
        stream.write(b"\n$EndElements\n")


def _surfaces(mesh: TetMesh, groups: FacetGroups) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(s, 3) low region, high region, group of each surface entity; (f,) the entity of each facet."""
    rows = np.column_stack([np.sort(mesh.facet_sides, axis=1), groups.of]).astype(np.int64)
    surfaces, of = np.unique(rows, axis=0, return_inverse=True)
    return surfaces, of.ravel()


def _bounds(points: npt.NDArray[np.float64]) -> bytes:
    return np.concatenate([points.min(axis=0), points.max(axis=0)]).astype("<f8").tobytes()


def _write_entities(
    stream: IO[bytes],
    mesh: TetMesh,
    regions: npt.NDArray[Any],
    surfaces: npt.NDArray[np.int64],
    surface_of: npt.NDArray[np.int64],
) -> None:
    stream.write(np.array([0, 0, len(surfaces), len(regions)], "<u8").tobytes())
    order = np.argsort(surface_of, kind="stable")
    ends = np.searchsorted(surface_of[order], np.arange(len(surfaces) + 1))
    for entity in range(len(surfaces)):
        corners = mesh.points[mesh.facets[order[ends[entity] : ends[entity + 1]]]].reshape(-1, 3)
        stream.write(np.array([entity + 1], "<i4").tobytes() + _bounds(corners))
        stream.write(np.array([1], "<u8").tobytes() + np.array([surfaces[entity, 2] + 1], "<i4").tobytes())
        stream.write(np.array([0], "<u8").tobytes())
    starts = np.searchsorted(np.sort(mesh.cell_region), regions)
    by_region = np.argsort(mesh.cell_region, kind="stable")
    stops = [*starts[1:].tolist(), len(mesh.cells)]
    for region, start, stop in zip(regions.tolist(), starts.tolist(), stops, strict=True):
        corners = mesh.points[mesh.cells[by_region[start:stop]]].reshape(-1, 3)
        stream.write(np.array([region], "<i4").tobytes() + _bounds(corners))
        label = int(mesh.region_phase[region])
        stream.write(np.array([1], "<u8").tobytes() + np.array([label + 1], "<i4").tobytes())
        around = np.flatnonzero((surfaces[:, :2] == region).any(axis=1)) + 1
        stream.write(np.array([len(around)], "<u8").tobytes() + around.astype("<i4").tobytes())


def _write_nodes(stream: IO[bytes], mesh: TetMesh, region: int) -> None:
    """All in one block on the first volume: gmsh does not need more, and readers keep the order."""
    count = len(mesh.points)
    stream.write(np.array([1, count, 1, count], "<u8").tobytes())
    stream.write(np.array([3, region, 0], "<i4").tobytes() + np.array([count], "<u8").tobytes())
    stream.write(np.arange(1, count + 1, dtype="<u8").tobytes())
    stream.write(mesh.points.astype("<f8").tobytes())


def _write_elements(
    stream: IO[bytes],
    mesh: TetMesh,
    regions: npt.NDArray[Any],
    surfaces: npt.NDArray[np.int64],
    surface_of: npt.NDArray[np.int64],
) -> None:
    total = len(mesh.facets) + len(mesh.cells)
    stream.write(np.array([len(surfaces) + len(regions), total, 1, total], "<u8").tobytes())
    tag = 1
    for dimension, kind, elements, of, entities in (
        (2, 2, mesh.facets, surface_of, np.arange(len(surfaces))),
        (3, 4, mesh.cells, mesh.cell_region, regions),
    ):
        order = np.argsort(of, kind="stable")
        ends = [*np.searchsorted(of[order], entities).tolist(), len(order)]
        for position, entity in enumerate(entities.tolist()):
            mine = order[ends[position] : ends[position + 1]]
            number = entity + 1 if dimension == 2 else entity
            stream.write(
                np.array([dimension, number, kind], "<i4").tobytes() + np.array([len(mine)], "<u8").tobytes()
            )
            rows = np.empty((len(mine), elements.shape[1] + 1), "<u8")
            rows[:, 0] = np.arange(tag, tag + len(mine))
            rows[:, 1:] = elements[mine] + 1
            stream.write(rows.tobytes())
            tag += len(mine)
