"""Every difference between the supported DOLFINx versions (0.9 to 0.11), and nothing else.

Nobody else in `simulations` looks at the version of DOLFINx.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dolfinx
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from dolfinx.fem import petsc as fem_petsc
from mpi4py import MPI
from petsc4py import PETSc

from pxm2mesh.errors import MissingDependencyError
from simulations.base import compiling

VERSION = tuple(int(part) for part in dolfinx.__version__.split(".")[:2])
"""(major, minor) of the DOLFINx that runs."""

if VERSION < (0, 9):
    raise MissingDependencyError(
        f"DOLFINx {dolfinx.__version__} is too old, 0.9 or newer is needed;", hint="make env prepares one."
    )

compiling.install()


def create_mesh(
    comm: MPI.Comm,
    cells: npt.NDArray[np.int64],
    points: npt.NDArray[np.float64],
    element: ufl.Mesh,
    partitioner: Callable[..., Any] | None = None,
) -> dmesh.Mesh:
    """`dolfinx.mesh.create_mesh`, whose arguments changed places in 0.10."""
    if VERSION >= (0, 10):
        return dmesh.create_mesh(comm, cells, element, points, partitioner)
    return dmesh.create_mesh(comm, cells, points, element, partitioner)


def cell_partitioner(ghosts: dmesh.GhostMode) -> Callable[..., Any]:
    """The graph partitioner; 0.10 wants to know how many cells may share a facet."""
    create = dolfinx.cpp.mesh.create_cell_partitioner
    try:
        made: Callable[..., Any] = create(ghosts, 2)
    except TypeError:
        made = create(ghosts)
    return made


def destinations(ranks: npt.NDArray[np.int32], offsets: npt.NDArray[np.int32]) -> Any:
    """What a partitioner returns: the ranks of each cell, its owner first; Python wraps it since 0.10, C++ does not."""
    return dolfinx.cpp.graph.AdjacencyList_int32(ranks, offsets)


def original_cells(mesh: dmesh.Mesh) -> npt.NDArray[np.int64]:
    """Index in the input arrays of each local cell, ghosts included."""
    topology = mesh.topology
    if hasattr(topology, "original_cell_index"):
        return np.asarray(topology.original_cell_index)
    return np.asarray(topology.original_cell_indices[0])


def cell_nodes(mesh: dmesh.Mesh) -> npt.NDArray[np.int32]:
    """(local cells, 4) geometry nodes of each cell; 0.11 allows for several kinds of cell."""
    geometry = mesh.geometry
    return np.asarray(geometry.dofmaps[0] if hasattr(geometry, "dofmaps") else geometry.dofmap)


def interpolation_points(space: fem.FunctionSpace) -> npt.NDArray[np.float64]:
    """Reference points at which an expression is evaluated to be interpolated into ``space``."""
    points = space.element.interpolation_points
    return np.asarray(points() if callable(points) else points)


def create_vector(form: Any, space: fem.FunctionSpace) -> PETSc.Vec:
    """A PETSc vector for a linear form on ``space``."""
    return fem_petsc.create_vector(form) if VERSION < (0, 10) else fem_petsc.create_vector(space)


def create_matrix_with(form: Any, couplings: Sequence[npt.NDArray[np.int32]], comm: MPI.Comm) -> PETSc.Mat:
    """A PETSc matrix for a bilinear form with room for couplings that the form does not have.

    Args:
        form: A compiled bilinear form.
        couplings: Each (n, m) blocks of unknowns; those of a row are all coupled with each other.
        comm: The communicator of the mesh.
    """
    pattern = fem.create_sparsity_pattern(form)
    for table in couplings:
        for row in np.ascontiguousarray(table, dtype=np.int32):
            pattern.insert(row, row)
    pattern.finalize()
    create = getattr(dolfinx.cpp.la.petsc, "create_matrix", None) or dolfinx.cpp.fem.petsc.create_matrix
    return create(comm, pattern)


def assemble_matrix(matrix: PETSc.Mat, form: Any, bcs: Sequence[Any] = (), *, add: bool = False) -> None:
    """Assemble ``form`` into ``matrix``, adding to what is there if ``add``; the matrix is then complete."""
    if not add:
        matrix.zeroEntries()
    fem_petsc.assemble_matrix(matrix, form, bcs=list(bcs))
    matrix.assemble()


def assemble_vector(vector: PETSc.Vec, form: Any) -> None:
    """Assemble ``form`` into ``vector`` (local contributions; call `add_ghosts` when all are in)."""
    with vector.localForm() as local:
        local.set(0.0)
    fem_petsc.assemble_vector(vector, form)


def add_ghosts(vector: PETSc.Vec) -> None:
    """Add what other ranks assembled for our entries."""
    vector.ghostUpdate(PETSc.InsertMode.ADD, PETSc.ScatterMode.REVERSE)


def update_ghosts(vector: PETSc.Vec) -> None:
    """Copy the owners' values to the ghost entries."""
    vector.ghostUpdate(PETSc.InsertMode.INSERT, PETSc.ScatterMode.FORWARD)
