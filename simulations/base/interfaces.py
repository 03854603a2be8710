"""Zero-thickness elements on cut interfaces: integrals of what depends on the values on both sides.

DOLFINx assembles what happens in the cells of a cut mesh; the two sides of a cut are coupled here, in
numpy, into the same matrix and vector. Works the same on one and on many ranks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import basix
import numpy as np
import numpy.typing as npt
from dolfinx import fem
from petsc4py import PETSc

from pxm2mesh.errors import UsageError
from simulations.base import compat
from simulations.base.domain import Domain

Floats = npt.NDArray[np.float64]

_EDGE = np.full((4, 4), -1)
for _number, (_a, _b) in enumerate(((2, 3), (1, 3), (1, 2), (0, 3), (0, 2), (0, 1))):
    _EDGE[_a, _b] = _EDGE[_b, _a] = _number


class Interface:
    """Interface elements between the two sides of cut interfaces.

    Every field lives in one Lagrange space of degree 1 or 2, perhaps with several components.

    Args:
        domain: The domain.
        space: The space.
        names: Which cut interfaces; all of them if None.
        quadrature_degree: Exact for polynomials of that degree; twice the degree of the space if None.

    Attributes:
        weights: (n, q) µm² of each quadrature point.
        points: (n, q, 3) µm, where they are.
        normals: (n, 3) from the plus to the minus side.
        tags: (n,) which interface.
        index: (n,) number of the facet among all cut facets, for checkpoints.
    """

    def __init__(
        self,
        domain: Domain,
        space: fem.FunctionSpace,
        names: Sequence[str] | None = None,
        *,
        quadrature_degree: int | None = None,
    ) -> None:
        cuts = domain.cuts
        chosen = np.ones(len(cuts.tags), dtype=bool)
        if names is not None:
            chosen = np.isin(cuts.tags, [domain.tag(name) for name in names])
            missing = [
                n for n in names if domain.comm.allreduce(int(np.sum(cuts.tags == domain.tag(n)))) == 0
            ]
            if missing:
                raise UsageError(
                    f"the mesh is not cut at {missing[0]!r};", hint=f"cut={list(names)} cuts it there."
                )
        self.domain, self.space = domain, space
        self.degree = space.ufl_element().degree
        self.blocks = space.dofmap.index_map_bs
        corners, weights = basix.make_quadrature(
            basix.CellType.triangle, quadrature_degree or 2 * self.degree
        )
        self.shape = _shape_functions(corners, self.degree)
        cells, nodes = cuts.cells[chosen], cuts.points[chosen]
        self.tags, self.index = cuts.tags[chosen], cuts.index[chosen]
        self.cells = cells
        self.sides = np.stack([self._trace(cells[:, s], nodes[:, s]) for s in (0, 1)], axis=1)
        x = domain.mesh.geometry.x
        triangle = x[nodes[:, 0]]
        cross = np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0])
        double = np.linalg.norm(cross, axis=1)
        inside = x[compat.cell_nodes(domain.mesh)[cells[:, 0]]].mean(axis=1)
        outward = np.sign(np.einsum("ij,ij->i", triangle.mean(axis=1) - inside, cross))
        self.normals = cross * (outward / double)[:, None]
        self.weights = double[:, None] * weights
        self.points = np.einsum("qi,fij->fqj", _shape_functions(corners, 1), triangle)
        self._number_unknowns()

    def _trace(self, cells: npt.NDArray[np.int32], nodes: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """(n, 3 or 6) blocks of unknowns of the facets with these nodes."""
        geometry = compat.cell_nodes(self.space.mesh)[cells]
        blocks = np.asarray(self.space.dofmap.list)[cells]
        place = np.argmax(geometry[:, :, None] == nodes[:, None, :], axis=1)
        found = np.take_along_axis(blocks, place, axis=1)
        if self.degree == 1:
            return found
        edges = np.stack([4 + _EDGE[place[:, a], place[:, b]] for a, b in ((1, 2), (0, 2), (0, 1))], axis=1)
        return np.hstack([found, np.take_along_axis(blocks, edges, axis=1)])

    def _number_unknowns(self) -> None:
        # sizes are written out, as a rank may have no facets and -1 cannot be inferred from none
        blocks = self.sides.reshape(len(self.sides), math.prod(self.sides.shape[1:]))
        self.couplings = blocks.astype(np.int32)
        self.dofs = (blocks[:, :, None] * self.blocks + np.arange(self.blocks)).reshape(
            len(blocks), blocks.shape[1] * self.blocks
        )
        width = self.dofs.shape[1] if len(blocks) else 0
        index_map = self.space.dofmap.index_map
        self.local_size = (index_map.size_local + index_map.num_ghosts) * self.blocks
        rows = np.repeat(self.dofs, width, axis=1).ravel().astype(np.int64)
        columns = np.tile(self.dofs, (1, width)).ravel() if len(blocks) else rows
        entries, self._entry = np.unique(rows * self.local_size + columns, return_inverse=True)
        self._columns = (entries % self.local_size).astype(np.int32)
        self._rows = entries // self.local_size
        rows, counts = np.unique(self._rows, return_counts=True)
        self._row_map = rows.astype(np.int32)
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        self._kept = np.ones(len(entries))

    def constrain(self, bcs: Sequence[Any]) -> None:
        """Leave rows and columns of prescribed values out of the matrices from now on."""
        marked = np.zeros(self.local_size, dtype=bool)
        for bc in bcs:
            marked[bc.dof_indices()[0]] = True
        self._kept = np.where(marked[self._rows] | marked[self._columns], 0.0, 1.0)

    def create_matrix(self, form: Any) -> PETSc.Mat:
        """A matrix with room for a compiled bilinear form and for this interface."""
        return compat.create_matrix_with(form, [self.couplings], self.domain.comm)

    def values(self, function: fem.Function) -> tuple[Floats, Floats]:
        """Values on the plus and on the minus side, (n, q, components) each."""
        nodal = function.x.array.reshape(-1, self.blocks)
        plus, minus = (np.einsum("qi,fic->fqc", self.shape, nodal[self.sides[:, s]]) for s in (0, 1))
        return plus, minus

    def integral(self, integrand: Floats) -> float:
        """∫ of (n, q) values over the interface, on all ranks."""
        return float(self.domain.comm.allreduce(float(np.sum(self.weights * integrand))))

    def mean(self, values: Floats) -> float:
        """Of (n, q) values over the area of the interface, on all ranks."""
        return self.integral(values) / self.integral(np.ones_like(self.weights))

    def add_to_vector(self, vector: PETSc.Vec, plus: Floats, minus: Floats) -> None:
        """Add ∫ plus·v⁺ + minus·v⁻.

        Call it after the form is assembled and before ghosts are added.

        Args:
            vector: With ghosts.
            plus: (n, q, components) what is integrated against the test function on the plus side.
            minus: The same on the minus side.
        """
        both = np.stack([plus, minus], axis=1)
        local = np.einsum("fq,fsqc,qi->fsic", self.weights, both, self.shape)
        with vector.localForm() as array:
            array.array[:] += np.bincount(self.dofs.ravel(), local.ravel(), self.local_size)

    def add_to_matrix(self, matrix: PETSc.Mat, derivatives: Floats) -> None:
        """Add the derivative of what `add_to_vector` adds.

        Call it before the form is assembled: DOLFINx ends with inserting the rows of prescribed values.

        Args:
            matrix: From `create_matrix`.
            derivatives: (n, q, 2, components, 2, components): of side s, component a, with respect to the
                value on side t of component b.
        """
        block = np.einsum(
            "fq,fqsatb,qi,qj->fsiatjb", self.weights, derivatives, self.shape, self.shape, optimize=True
        )
        values = np.bincount(self._entry, block.ravel(), len(self._columns)) * self._kept
        matrix.setValuesLocalIJV(
            self._starts, self._columns, values, addv=PETSc.InsertMode.ADD_VALUES, rowmap=self._row_map
        )

    def by_tag(self, values: dict[str, float]) -> Floats:
        """(n, 1) a value for each facet by the name of its interface; 0 where none is given."""
        result = np.zeros((len(self.tags), 1))
        for name, value in values.items():
            result[self.tags == self.domain.tag(name)] = value
        return result


def jump_derivatives(stiffness: Floats, components: int = 1) -> Floats:
    """Derivatives for a flux k·(u⁺ − u⁻) out of the plus side and into the minus side.

    Args:
        stiffness: (n, q) k.
        components: Number of components, all with the same k and not coupled.
    """
    sign = np.array([[1.0, -1.0], [-1.0, 1.0]])
    return np.asarray(np.einsum("fq,st,ab->fqsatb", stiffness, sign, np.eye(components)))


def _shape_functions(points: Floats, degree: int) -> Floats:
    """(q, 3 or 6) Lagrange functions of a triangle; edge i is opposite of corner i."""
    corners = np.column_stack([1 - points.sum(axis=1), points])
    if degree == 1:
        return np.asarray(corners)
    if degree != 2:
        raise UsageError(f"interface elements have degree 1 or 2, not {degree}.")
    pairs: Callable[[int, int], Floats] = lambda a, b: 4 * corners[:, a] * corners[:, b]  # noqa: E731
    edges = (pairs(1, 2), pairs(0, 2), pairs(0, 1))
    return np.column_stack([corners * (2 * corners - 1), *edges])
