"""Plates and bars that crack, shared by the tests of the phase field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import basix.ufl
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI

from simulations.base import compat

Floats = npt.NDArray[np.float64]


def plate(
    x: Sequence[float] | Floats, y: Sequence[float] | Floats, *, slit: float | None = None
) -> dmesh.Mesh:
    """Triangles on a rectilinear grid; each rectangle is cut alternately.

    Args:
        x: Planes, µm.
        y: Planes, µm.
        slit: The mesh is open along y = 0 up to this x.
    """
    nx, ny = len(x), len(y)
    points = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    i, j = (a.ravel() for a in np.meshgrid(np.arange(nx - 1), np.arange(ny - 1), indexing="ij"))
    a, b, c, d = i * ny + j, (i + 1) * ny + j, (i + 1) * ny + j + 1, i * ny + j + 1
    even = ((i + j) % 2 == 0)[:, None, None]
    falling = np.stack([np.stack([a, b, d], 1), np.stack([b, c, d], 1)], 1)
    rising = np.stack([np.stack([a, b, c], 1), np.stack([a, c, d], 1)], 1)
    cells = np.where(even, rising, falling).reshape(-1, 3)
    if slit is not None:
        above = points[cells].mean(axis=1)[:, 1] > 0
        doubled = np.flatnonzero((np.abs(points[:, 1]) < 1e-12) & (points[:, 0] < slit - 1e-12))
        new = np.arange(len(points))
        new[doubled] = len(points) + np.arange(len(doubled))
        cells[above] = new[cells[above]]
        points = np.concatenate([points, points[doubled]])
    comm = MPI.COMM_WORLD
    if comm.rank > 0:
        points, cells = np.zeros((0, 2)), np.zeros((0, 3), dtype=np.int64)
    element = basix.ufl.element("Lagrange", "triangle", 1, shape=(2,), dtype=np.float64)
    partition = compat.cell_partitioner(dmesh.GhostMode.shared_facet)
    mesh = compat.create_mesh(comm, cells.astype(np.int64), points, ufl.Mesh(element), partition)
    mesh.topology.create_connectivity(1, 2)
    return mesh


def held(
    mesh: dmesh.Mesh, *where: tuple[Callable[[Any], Any], int, Any]
) -> Callable[[fem.FunctionSpace], list[Any]]:
    """Conditions: (where, component, value) each; for `PhaseField`."""

    def conditions(space: fem.FunctionSpace) -> list[Any]:
        found = []
        for marker, component, value in where:
            facets = dmesh.locate_entities_boundary(mesh, mesh.topology.dim - 1, marker)
            sub = space.sub(component)
            dofs = fem.locate_dofs_topological(sub, mesh.topology.dim - 1, facets)
            constant = value if isinstance(value, fem.Constant) else fem.Constant(mesh, float(value))
            found.append(fem.dirichletbc(constant, dofs, sub))
        return found

    return conditions


def at(axis: int, value: float) -> Callable[[Any], Any]:
    """Marks where a coordinate has a value."""
    return lambda x: np.isclose(x[axis], value)


def notched(length: float, cells: float = 4.0) -> tuple[Floats, Floats]:
    """Planes of the square plate of 1 mm with a notch to the middle, refined where the crack goes (in units of mm)."""
    h = length / cells
    fine = np.arange(0, 3.2 * length + h / 2, h)
    y = np.concatenate([fine, np.geomspace(fine[-1] + 1.5 * h, 0.5, 12)])
    behind = 0.5 - 3 * length
    x = np.concatenate([np.linspace(0, behind, 14)[:-1], np.linspace(behind, 1, round((1 - behind) / h) + 1)])
    return x, np.concatenate([-y[:0:-1], y])
