"""Nastran bulk data: CTETRA cells and CTRIA3 facets, a property per phase, interface and box face. COMSOL reads it.

References:
    MSC Nastran Quick Reference Guide: GRID*, CTETRA, CTRIA3, PSOLID, PSHELL, MAT1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.io._mesh_groups import FacetGroups, phase_cells
from pxm2mesh.tetmesh import TetMesh

_ROWS = 100_000


def property_numbers(mesh: TetMesh, groups: FacetGroups) -> dict[str, int]:
    """The property number (PID) of each meshed phase and each facet group.

    Phases have label + 1, facet groups follow in their order: numbers of solids and shells must differ.

    Args:
        mesh: The mesh.
        groups: Names of its facets.

    Returns:
        Name → PID, phases first.
    """
    numbers = {name: mesh.phases[name].label + 1 for name, _ in phase_cells(mesh)}
    first = max(mesh.phases.labels) + 2
    return numbers | {name: first + i for i, name in enumerate(groups.names)}


def write_nastran(path: Path, mesh: TetMesh, groups: FacetGroups) -> None:
    """Write the mesh.

    Every phase has a material of its own (MAT1, values of no meaning), since COMSOL divides domains by material.
    The comment before each property card says its name.

    Args:
        path: Where to.
        mesh: The mesh.
        groups: Names of its facets.
    """
    numbers = property_numbers(mesh, groups)
    blocks = phase_cells(mesh)
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("$ pxm2mesh; lengths in um\nCEND\nBEGIN BULK\n")
        for name, _ in blocks:
            number = numbers[name]
            stream.write(f"$ NAME {number} {name}\nPSOLID  {number:8d}{number:8d}\n")
            stream.write(f"MAT1    {number:8d}{'1.0':>8}        {'0.3':>8}\n")
        for name in groups.names:
            stream.write(f"$ NAME {numbers[name]} {name}\nPSHELL  {numbers[name]:8d}\n")
        grid = "GRID*   %16d                %16.9E%16.9E\n*       %16.9E\n"
        _rows(stream, grid, np.arange(1, len(mesh.points) + 1)[:, None], mesh.points)
        tag = 1
        for name, cells in blocks:
            tag = _elements(stream, "CTETRA", tag, numbers[name], mesh.cells[cells])
        for index, name in enumerate(groups.names):
            tag = _elements(stream, "CTRIA3", tag, numbers[name], mesh.facets[groups.of == index])
        stream.write("ENDDATA\n")


def _elements(stream: IO[str], card: str, tag: int, number: int, corners: npt.NDArray[np.int32]) -> int:
    """Write elements of one property from ``tag`` on; returns the next tag."""
    heads = np.stack([np.arange(tag, tag + len(corners)), np.full(len(corners), number)], axis=1)
    _rows(stream, f"{card:8}%8d%8d" + "%8d" * corners.shape[1] + "\n", heads, corners + 1)
    return tag + len(corners)


def _rows(stream: IO[str], form: str, *columns: npt.NDArray[Any]) -> None:
    for start in range(0, len(columns[0]), _ROWS):
        parts: Sequence[list[list[Any]]] = [c[start : start + _ROWS].tolist() for c in columns]
        stream.write("".join([form % tuple(a + b) for a, b in zip(*parts, strict=True)]))
