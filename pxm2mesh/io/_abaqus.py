"""Abaqus input decks: C3D4 cells, sets by phase and region, node sets and surfaces by interface and box face."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.io._mesh_groups import FacetGroups, facet_cells, phase_cells, safe_name
from pxm2mesh.tetmesh import TetMesh

_FACE = np.array([3, 4, 2, 1])  # Abaqus face of a C3D4 opposite each corner
_ROWS = 100_000


def write_abaqus(path: Path, mesh: TetMesh, groups: FacetGroups) -> None:
    """Write the mesh; an interface's surface is seen from its first side, or from the meshed one.

    Args:
        path: Where to.
        mesh: The mesh.
        groups: Names of its facets.
    """
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("*HEADING\npxm2mesh; lengths in um\n*NODE\n")
        _rows(stream, "%d, %.17g, %.17g, %.17g\n", np.arange(1, len(mesh.points) + 1), mesh.points)
        for name, cells in phase_cells(mesh):
            stream.write(f"*ELEMENT, TYPE=C3D4, ELSET={safe_name(name)}\n")
            _rows(stream, "%d, %d, %d, %d, %d\n", cells + 1, mesh.cells[cells] + 1)
        order = np.argsort(mesh.cell_region, kind="stable")
        regions = np.unique(mesh.cell_region)
        ends = [*np.searchsorted(mesh.cell_region[order], regions).tolist(), len(order)]
        for position, region in enumerate(regions.tolist()):
            stream.write(f"*ELSET, ELSET=REGION_{region}\n")
            _list(stream, order[ends[position] : ends[position + 1]] + 1)
        cell, corner = facet_cells(mesh)
        for index, name in enumerate(groups.names):
            mine = np.flatnonzero(groups.of == index)
            stream.write(f"*NSET, NSET={safe_name(name)}\n")
            _list(stream, np.unique(mesh.facets[mine]) + 1)
            stream.write(f"*SURFACE, TYPE=ELEMENT, NAME=S_{safe_name(name)}\n")
            _rows(stream, "%d, S%d\n", cell[mine] + 1, _FACE[corner[mine]][:, None])


def _rows(stream: IO[str], form: str, first: npt.NDArray[Any], rest: npt.NDArray[Any]) -> None:
    for start in range(0, len(first), _ROWS):
        end = start + _ROWS
        heads, tails = first[start:end].tolist(), rest[start:end].tolist()
        stream.write("".join([form % (head, *tail) for head, tail in zip(heads, tails, strict=True)]))


def _list(stream: IO[str], numbers: npt.NDArray[Any]) -> None:
    """Sixteen numbers a line, the most a line may have."""
    values = numbers.tolist()
    for start in range(0, len(values), 16):
        stream.write(", ".join(map(str, values[start : start + 16])) + "\n")
