"""Values at nodes and of facets from one part of a mesh to another: between a cut one and a whole one, say.

The parts are cut, restricted and distributed each in its own way. What they share is cells of one mesh, whose
corners they meet in: that says which nodes are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from pxm2mesh.tetmesh import TetMesh
from simulations.base.domain import Domain, on_root
from simulations.base.fields import gather_nodes, scatter_nodes
from simulations.base.interfaces import Interface

Floats = npt.NDArray[np.float64]
CELL = "cell [1]"
"""Cell field with the number of each cell in the mesh that all parts come from."""


def numbered(mesh: TetMesh) -> TetMesh:
    """The mesh with a number on each cell, which its parts inherit: without it no values can be handed over."""
    return replace(mesh, cell_fields={**mesh.cell_fields, CELL: np.arange(len(mesh.cells), dtype=np.float64)})


def cell_numbers(domain: Domain) -> npt.NDArray[np.int64]:
    """(cell_total,) the number of each cell in the mesh all parts come from; on rank 0."""
    assert domain.source is not None
    return domain.source.cell_fields[CELL].astype(np.int64)


class NodeTransfer:
    """Hands values at nodes over to another domain.

    A node of the target takes the mean of the nodes of the source that are the same corner of a shared cell:
    one, unless the source is cut there and the target is not.

    Args:
        source: Part of a `numbered` mesh.
        target: Another part of it.
        phases: Only cells of these count.

    Example:
        >>> from simulations.shapes import layers
        >>> whole = Domain.from_mesh(numbered(layers({"A": 1.0, "B": 1.0}, cells=(2, 1, 1))))
        >>> part = whole.restricted(phases=["A"])
        >>> a, b = (fem.Function(fem.functionspace(d.mesh, ("Lagrange", 1))) for d in (whole, part))
        >>> a.interpolate(lambda x: x[0])
        >>> NodeTransfer(whole, part, ["A"]).apply(a, b)
        >>> float(b.x.array.max())
        1.0
    """

    def __init__(self, source: Domain, target: Domain, phases: Sequence[str]) -> None:
        self.source, self.target = source, target
        self._pairs: npt.NDArray[np.int64] | None = None
        on_root(source.comm, lambda: self._match(phases))

    def _match(self, phases: Sequence[str]) -> None:
        source, target = self.source, self.target
        assert source.nodes is not None and target.nodes is not None and source.source is not None
        _, here, there = np.intersect1d(cell_numbers(source), cell_numbers(target), return_indices=True)
        labels = [source.phases[p].label for p in phases]
        right = np.isin(source.source.cell_phase()[here], labels)
        pairs = np.stack([source.nodes[here[right]].ravel(), target.nodes[there[right]].ravel()])
        keys = np.unique(pairs[0] * target.point_total + pairs[1])
        self._pairs = np.stack([keys // target.point_total, keys % target.point_total])
        self._counts = np.bincount(self._pairs[1], minlength=target.point_total)

    def gather(self, source: fem.Function) -> Floats | None:
        """Values at the nodes of the target.

        Args:
            source: Lagrange function on the source, of degree 1 or 2.

        Returns:
            On rank 0 (target nodes,) or (target nodes, components), NaN where the source knows nothing.
        """
        given = gather_nodes(self.source, source)
        if given is None or self._pairs is None:
            return None
        table = given.reshape(len(given), -1)
        sums = np.stack(
            [np.bincount(self._pairs[1], c[self._pairs[0]], len(self._counts)) for c in table.T], -1
        )
        means = sums / np.where(self._counts > 0, self._counts, np.nan)[:, None]
        return np.asarray(means[:, 0] if given.ndim == 1 else means)

    def apply(self, source: fem.Function, target: fem.Function, *, component: int = 0) -> None:
        """Fill the nodes of the target that the source knows; the others stay.

        Args:
            source: Lagrange function on the source, of degree 1 or 2.
            target: Of degree 1, one component.
            component: Of the source.
        """
        found, old = self.gather(source), gather_nodes(self.target, target)
        if found is not None and old is not None:
            values = found[:, component] if found.ndim == 2 else found
            old = np.where(np.isnan(values), old, values)
        scatter_nodes(self.target, target, old)


class FacetTransfer:
    """Hands values of facets over to the same facets of another part of the mesh.

    Args:
        source: On a part of a `numbered` mesh.
        target: On another part of it.
        default: What facets get that the source does not have.

    Attributes:
        known: (n,) which facets of the target the source has.
    """

    def __init__(self, source: Interface, target: Interface, *, default: float = 1.0) -> None:
        self.comm, self.default = source.domain.comm, default
        given = np.concatenate(self.comm.allgather(_facet_keys(source)))
        order = np.argsort(given)
        wanted = _facet_keys(target)
        place = np.minimum(np.searchsorted(given[order], wanted), max(len(given) - 1, 0))
        self.known = (given[order][place] == wanted) if len(given) else np.zeros(len(wanted), bool)
        self._from = order[place] if len(given) else place

    def apply(self, values: Floats) -> Floats:
        """Values of the facets of the target.

        Args:
            values: (m,) of the facets of the source; all ranks must call.
        """
        whole = np.concatenate(self.comm.allgather(values))
        result = np.full(len(self.known), self.default)
        result[self.known] = whole[self._from[self.known]]
        return result


def _facet_keys(interface: Interface) -> npt.NDArray[np.int64]:
    """(n,) a number for each facet that is the same in every part: that of the two cells it parts."""
    cells = np.sort(interface.domain.cell_fields[CELL][interface.cells].astype(np.int64), axis=1)
    return np.asarray(cells[:, 0] * 2**31 + cells[:, 1])
