"""Checkpoints: whole or absent, in the order of the input mesh, so readable on any number of ranks.

A checkpoint belongs to a study and a mesh: their digests are in it, and others are refused.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from pxm2mesh.errors import DataError
from pxm2mesh.files import replacing
from simulations.base.domain import Domain, on_root
from simulations.base.fields import gather_nodes, node_blocks

log = logging.getLogger(__name__)
_FORMAT = 1


def save_checkpoint(
    path: Path, domain: Domain, key: str, nodes: Mapping[str, fem.Function], values: Mapping[str, Any]
) -> None:
    """Write fields and numbers; all ranks must call.

    Args:
        path: An ``.npz`` file.
        domain: Where the fields live.
        key: Digest of all that must be the same to go on.
        nodes: Name → function of degree 1.
        values: Numbers and texts.
    """
    gathered = {name: gather_nodes(domain, function) for name, function in nodes.items()}
    about = json.dumps({"format": _FORMAT, "key": key, "points": domain.point_total, "values": dict(values)})

    def write() -> None:
        with replacing(path) as part, part.open("wb") as stream:
            arrays: dict[str, Any] = {f"nodes/{name}": array for name, array in gathered.items()}
            np.savez(stream, about=np.array(about), **arrays)

    on_root(domain.comm, write)


def load_checkpoint(
    path: Path, domain: Domain, key: str, nodes: Mapping[str, fem.Function]
) -> dict[str, Any] | None:
    """Read a checkpoint into functions; all ranks must call.

    Args:
        path: An ``.npz`` file.
        domain: Where the fields live.
        key: As at `save_checkpoint`.
        nodes: Name → function to be filled, ghosts included.

    Returns:
        The numbers; None if there is no checkpoint, or it belongs to another study or mesh.

    Raises:
        DataError: The file is damaged.
    """

    def read() -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float64]]] | None:
        if not path.exists():
            return None
        try:
            with np.load(path) as file:
                about = json.loads(str(file["about"]))
                arrays = {name: file[f"nodes/{name}"] for name in nodes}
        except (OSError, ValueError, KeyError) as error:
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
        table[node_blocks(domain, space)] = arrays[name][domain.point_index].reshape(-1, table.shape[1])
    return values
