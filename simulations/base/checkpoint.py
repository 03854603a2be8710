"""Checkpoints: whole or absent, in the order of the input mesh, so readable on any number of ranks.

A checkpoint belongs to a study and a mesh: their digests are in it, and others are refused. Fields of degree 1 are
kept by node; those of any other element (degree 2, quadrature points, one value per cell) cell by cell in the order of
the element, which is that of the cell's points in the input mesh and so does not depend on ranks or versions.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from pxm2mesh.errors import DataError
from pxm2mesh.files import replacing
from simulations.base.domain import Domain, on_root
from simulations.base.fields import gather_cells, gather_nodes, node_blocks

log = logging.getLogger(__name__)
_FORMAT = 1


def save_checkpoint(
    path: Path,
    domain: Domain,
    key: str,
    nodes: Mapping[str, fem.Function],
    values: Mapping[str, Any],
    *,
    cells: Mapping[str, fem.Function] | None = None,
) -> None:
    """Write fields and numbers; all ranks must call.

    Args:
        path: An ``.npz`` file.
        domain: Where the fields live.
        key: Digest of all that must be the same to go on.
        nodes: Name → function of degree 1.
        values: Numbers and texts.
        cells: Name → function of any other element.
    """
    gathered = {f"nodes/{name}": gather_nodes(domain, function) for name, function in nodes.items()}
    for name, function in (cells or {}).items():
        gathered[f"cells/{name}"] = gather_cells(domain, _cell_table(function))
    about = json.dumps({"format": _FORMAT, "key": key, "points": domain.point_total, "values": dict(values)})

    def write() -> None:
        with replacing(path) as part, part.open("wb") as stream:
            arrays: dict[str, Any] = dict(gathered)
            np.savez(stream, about=np.array(about), **arrays)

    on_root(domain.comm, write)


def _cell_table(function: fem.Function) -> npt.NDArray[np.float64]:
    """(local cells, values of a cell)."""
    space = function.function_space
    table = function.x.array.reshape(-1, space.dofmap.index_map_bs)[np.asarray(space.dofmap.list)]
    return np.asarray(table.reshape(len(table), -1))


def load_checkpoint(
    path: Path,
    domain: Domain,
    key: str,
    nodes: Mapping[str, fem.Function],
    *,
    cells: Mapping[str, fem.Function] | None = None,
) -> dict[str, Any] | None:
    """Read a checkpoint into functions; all ranks must call.

    Args:
        path: An ``.npz`` file.
        domain: Where the fields live.
        key: As at `save_checkpoint`.
        nodes: Name → function to be filled, ghosts included.
        cells: As at `save_checkpoint`; filled likewise.

    Returns:
        The numbers; None if there is no checkpoint, or it belongs to another study or mesh.

    Raises:
        DataError: The file is damaged.
    """

    def read() -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float64]]] | None:
        if not path.exists():
            return None
        try:
            with path.open("rb") as stream, np.load(stream) as file:
                about = json.loads(str(file["about"]))
                names = [*(f"nodes/{name}" for name in nodes), *(f"cells/{name}" for name in cells or {})]
                arrays = {name: file[name] for name in names}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DataError(
                f"the checkpoint {path} is damaged: {error};", hint="remove it to start again."
            ) from error
        if about["format"] != _FORMAT or about["key"] != key or about["points"] != domain.point_total:
            log.warning("%s belongs to another study or mesh: starting anew", path.name)
            return None
        return about["values"], arrays

    found = on_root(domain.comm, read)
    if found is None:
        return None
    values, arrays = found
    for name, function in nodes.items():
        space = function.function_space
        table = function.x.array.reshape(-1, space.dofmap.index_map_bs)
        found_here = arrays[f"nodes/{name}"][domain.point_index]
        table[node_blocks(domain, space)] = found_here.reshape(-1, table.shape[1])
    for name, function in (cells or {}).items():
        space = function.function_space
        size, dofs = space.dofmap.index_map_bs, np.asarray(space.dofmap.list)
        of_cells = arrays[f"cells/{name}"][domain.cell_index].reshape(*dofs.shape, size)
        function.x.array.reshape(-1, size)[dofs] = of_cells
    return values
