"""Exodus II files (netCDF-3, 64-bit offsets): a block per phase, side sets by interface and box face.

Written by hand because the usual converters drop side sets and names, which is what MOOSE needs.

References:
    L. A. Schoof, V. R. Yarberry, EXODUS II: a finite element data model, Sandia SAND92-2137 (1994).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.io._mesh_groups import FacetGroups, facet_cells, phase_cells
from pxm2mesh.tetmesh import TetMesh

_SIDE = np.array([2, 3, 1, 4])  # Exodus side of a TET4 opposite each corner
_NAME = 33


def write_exodus(path: Path, mesh: TetMesh, groups: FacetGroups) -> None:
    """Write the mesh; side sets list the cell behind each facet (both copies of a split one).

    The region of every cell is the element variable ``region`` of the only time step.

    Args:
        path: Where to.
        mesh: The mesh.
        groups: Names of its facets.
    """
    from scipy.io import netcdf_file

    blocks = phase_cells(mesh)
    order = np.concatenate([cells for _, cells in blocks])
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    cell, corner = facet_cells(mesh)
    with netcdf_file(str(path), "w", version=2) as file:
        attributes = {"api_version": np.float32(5.1), "version": np.float32(5.1), "title": "pxm2mesh; lengths in um",
                      "floating_point_word_size": np.int32(8), "file_size": np.int32(1)}  # fmt: skip
        for name, value in attributes.items():
            setattr(file, name, value)
        file.createDimension("time_step", None)  # must be the first
        for name, size in (
            ("len_string", _NAME), ("len_name", _NAME), ("len_line", 81), ("four", 4), ("num_dim", 3),
            ("num_nodes", len(mesh.points)), ("num_elem", len(mesh.cells)), ("num_el_blk", len(blocks)),
            ("num_side_sets", len(groups.names)), ("num_elem_var", 1),
        ):  # fmt: skip
            file.createDimension(name, size)
        for axis in range(3):
            _variable(file, "coord" + "xyz"[axis], mesh.points[:, axis], ("num_nodes",))
        _names(file, "coor_names", ["x", "y", "z"], "num_dim")
        _blocks(file, mesh, blocks)
        _side_sets(file, groups, place[cell], corner)
        file.createVariable("time_whole", "d", ("time_step",))[0] = 0.0
        _names(file, "name_elem_var", ["region"], "num_elem_var")
        for number, (_, cells) in enumerate(blocks, start=1):
            values = file.createVariable(
                f"vals_elem_var1eb{number}", "d", ("time_step", f"num_el_in_blk{number}")
            )
            values[0] = mesh.cell_region[cells].astype(np.float64)


def _variable(file: Any, name: str, values: npt.NDArray[Any], dimensions: tuple[str, ...]) -> Any:
    variable = file.createVariable(name, "d" if values.dtype.kind == "f" else "i", dimensions)
    variable[:] = values
    return variable


def _names(file: Any, name: str, texts: list[str], dimension: str) -> None:
    table = np.zeros((len(texts), _NAME), "S1")
    for row, text in enumerate(texts):
        raw = text.encode("utf-8")[: _NAME - 1]
        table[row, : len(raw)] = np.frombuffer(raw, "S1")
    variable = file.createVariable(name, "c", (dimension, "len_name"))
    variable[:] = table


def _blocks(file: Any, mesh: TetMesh, blocks: list[tuple[str, npt.NDArray[np.int64]]]) -> None:
    _names(file, "eb_names", [name for name, _ in blocks], "num_el_blk")
    _variable(file, "eb_status", np.ones(len(blocks), np.int32), ("num_el_blk",))
    # block ids are labels + 1, since Exodus ids are positive
    ids = np.array([mesh.phases[name].label + 1 for name, _ in blocks], np.int32)
    _variable(file, "eb_prop1", ids, ("num_el_blk",)).name = "ID"
    for number, (_, cells) in enumerate(blocks, start=1):
        file.createDimension(f"num_el_in_blk{number}", len(cells))
        file.createDimension(f"num_nod_per_el{number}", 4)
        dimensions = (f"num_el_in_blk{number}", f"num_nod_per_el{number}")
        _variable(file, f"connect{number}", mesh.cells[cells] + 1, dimensions).elem_type = "TETRA4"


def _side_sets(
    file: Any, groups: FacetGroups, cell: npt.NDArray[np.int64], corner: npt.NDArray[np.int64]
) -> None:
    count = len(groups.names)
    _names(file, "ss_names", list(groups.names), "num_side_sets")
    _variable(file, "ss_status", np.ones(count, np.int32), ("num_side_sets",))
    _variable(file, "ss_prop1", np.arange(1, count + 1, dtype=np.int32), ("num_side_sets",)).name = "ID"
    for number in range(1, count + 1):
        mine = np.flatnonzero(groups.of == number - 1)
        file.createDimension(f"num_side_ss{number}", len(mine))
        _variable(file, f"elem_ss{number}", (cell[mine] + 1).astype(np.int32), (f"num_side_ss{number}",))
        _variable(file, f"side_ss{number}", _SIDE[corner[mine]].astype(np.int32), (f"num_side_ss{number}",))
