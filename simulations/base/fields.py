"""Values of fields in the order of the input mesh: the same on any number of ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from simulations.base import compat
from simulations.base.domain import Domain

Floats = npt.NDArray[np.float64]


def node_blocks(domain: Domain, space: fem.FunctionSpace) -> npt.NDArray[np.int64]:
    """(local geometry nodes,) the block of unknowns of ``space`` that sits on each node of the mesh."""
    blocks = np.full(len(domain.point_index), -1, dtype=np.int64)
    nodes = compat.cell_nodes(domain.mesh)
    blocks[nodes] = np.asarray(space.dofmap.list)[:, :4]  # the corners come first in Lagrange elements
    return blocks


def _gather(domain: Domain, index: npt.NDArray[np.int64], values: Floats, total: int) -> Floats | None:
    parts: Any = domain.comm.gather((index, values))
    if domain.comm.rank != 0:
        return None
    result = np.full((total, *values.shape[1:]), np.nan)
    for where, what in parts:
        result[where] = what
    return result


def gather_nodes(domain: Domain, function: fem.Function) -> Floats | None:
    """Values at the nodes of the cut mesh.

    Args:
        domain: The domain.
        function: In a Lagrange space of degree 1 or 2.

    Returns:
        On rank 0 (point_total,) values, or (point_total, components); None on the others.
    """
    space = function.function_space
    components = space.dofmap.index_map_bs
    owned = domain.mesh.geometry.index_map().size_local
    nodal = function.x.array.reshape(-1, components)[node_blocks(domain, space)[:owned]]
    return _gather(
        domain, domain.point_index[:owned], nodal[:, 0] if components == 1 else nodal, domain.point_total
    )


def gather_cells(domain: Domain, values: fem.Function | Floats) -> Floats | None:
    """Values of cells.

    Args:
        domain: The domain.
        values: A function constant in each cell, or (local cells, …).

    Returns:
        On rank 0 (cell_total, …); None on the others.
    """
    if isinstance(values, fem.Function):
        space = values.function_space
        components = space.dofmap.index_map_bs
        array = values.x.array.reshape(-1, components)[np.asarray(space.dofmap.list)[:, 0]]
        array = array[:, 0] if components == 1 else array
    else:
        array = np.asarray(values, dtype=np.float64)
    owned = domain.mesh.topology.index_map(3).size_local
    return _gather(domain, domain.cell_index[:owned], array[:owned], domain.cell_total)


def scatter_nodes(domain: Domain, function: fem.Function, values: Floats | None) -> None:
    """Fill a function of degree 1 with what `gather_nodes` gave, ghosts included; all ranks must call.

    Args:
        domain: The domain.
        function: Filled at the nodes of the mesh.
        values: (point_total,) or (point_total, components), needed on rank 0 only.
    """
    whole = np.asarray(domain.comm.bcast(values))
    space = function.function_space
    table = function.x.array.reshape(-1, space.dofmap.index_map_bs)
    table[node_blocks(domain, space)] = whole[domain.point_index].reshape(-1, table.shape[1])
