"""Tetrahedra cut into eight: what is linear on the coarse mesh is so, exactly, on the fine one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_EDGES = np.array(list(combinations(range(4), 2)))
_CORNERS = np.array([[0, 4, 5, 6], [1, 4, 7, 8], [2, 5, 7, 9], [3, 6, 8, 9]])
_DIAGONALS = {(4, 9): (5, 6, 8, 7), (5, 8): (4, 6, 9, 7), (6, 7): (4, 5, 9, 8)}
"""Opposite mid-edge nodes of the inner octahedron, and the four nodes around the line between them, in their order."""


@dataclass(frozen=True, eq=False)
class Refined:
    """A finer mesh.

    Attributes:
        points: (n, 3) µm; those of the coarse mesh first.
        cells: (k, 4).
        weights: (n, coarse points) sparse: values at the nodes of the coarse mesh → those of the fine one.
    """

    points: Floats
    cells: Ints
    weights: Any


def refined(points: Floats, cells: npt.NDArray[np.integer], times: int = 1) -> Refined:
    """Cut each tetrahedron into eight, once or several times.

    The inner octahedron is cut along its shortest diagonal, which keeps the shapes from getting worse without end.

    Args:
        points: (n, 3) µm.
        cells: (k, 4).
        times: 0 changes nothing.

    References:
        Bey, Computing 55 (1995) 355.

    Example:
        >>> found = refined(np.eye(4)[:, :3], np.array([[0, 1, 2, 3]]))
        >>> len(found.points), len(found.cells)
        (10, 8)
    """
    weights: Any = sparse.identity(len(points), format="csr")
    fine, corners = np.asarray(points, np.float64), np.asarray(cells, np.int64)
    for _ in range(times):
        fine, corners, once = _once(fine, corners)
        weights = once @ weights
    return Refined(fine, corners, weights)


def _once(points: Floats, cells: Ints) -> tuple[Floats, Ints, Any]:
    count = len(points)
    ends = np.sort(cells[:, _EDGES], axis=2).reshape(-1, 2)
    edges, place = np.unique(ends[:, 0] * count + ends[:, 1], return_inverse=True)
    first, second = edges // count, edges % count
    rows = np.concatenate([np.arange(count), np.repeat(count + np.arange(len(edges)), 2)])
    columns = np.concatenate([np.arange(count), np.stack([first, second], 1).ravel()])
    shares = np.concatenate([np.ones(count), np.full(2 * len(edges), 0.5)])
    weights = sparse.csr_matrix((shares, (rows, columns)), shape=(count + len(edges), count))
    fine = np.asarray(weights @ points)
    nodes = np.concatenate([cells, count + place.reshape(-1, 6)], axis=1)
    lengths = np.stack(
        [np.linalg.norm(fine[nodes[:, a]] - fine[nodes[:, b]], axis=1) for a, b in _DIAGONALS], axis=1
    )
    shortest = np.argmin(lengths, axis=1)
    inner = np.empty((len(cells), 4, 4), np.int64)
    for i, ((a, b), ring) in enumerate(_DIAGONALS.items()):
        here = nodes[shortest == i]
        parts = [[a, b, ring[j], ring[(j + 1) % 4]] for j in range(4)]
        inner[shortest == i] = here[:, np.array(parts)]
    return fine, np.concatenate([nodes[:, _CORNERS], inner], axis=1).reshape(-1, 4), weights
