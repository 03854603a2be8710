"""Which cells go to which rank: recursive bisection, with the neighbours across a cut as ghosts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pxm2mesh.tetmesh import TetMesh
from simulations.base.cutting import Adjacency

Ranks = npt.NDArray[np.int32]


def bisect(points: npt.NDArray[np.float64], parts: int) -> Ranks:
    """Parts of equal size, cut at right angles to the longest extent, again and again.

    Faster than partitioning the graph, and as good for a box full of cells of similar size.

    Args:
        points: (n, 3) where things are.
        parts: How many.

    Returns:
        (n,) part of each.

    References:
        Berger, Bokhari, IEEE Trans. Comput. C-36 (1987) 570.

    Example:
        >>> bisect(np.array([[0.0, 0, 0], [3, 0, 0], [1, 0, 0], [2, 0, 0]]), 2).tolist()
        [0, 1, 0, 1]
    """
    part = np.zeros(len(points), dtype=np.int32)
    if parts == 1 or len(points) < 2:
        return part
    first = parts // 2
    axis = int(np.argmax(np.ptp(points, axis=0)))
    here = len(points) * first // parts
    order = np.argpartition(points[:, axis], here)
    low, high = order[:here], order[here:]
    part[low] = bisect(points[low], first)
    part[high] = first + bisect(points[high], parts - first)
    return part


def destinations(mesh: TetMesh, near: Adjacency, parts: int) -> tuple[Ranks, Ranks]:
    """The ranks that get each cell: its owner, then those that own a cell on another side of one of its faces.

    Args:
        mesh: The mesh, not cut.
        near: Its adjacency.
        parts: Number of ranks.

    Returns:
        The ranks one cell after the other, and (k + 1,) where those of each cell begin.
    """
    owner = bisect(mesh.points[mesh.cells].mean(axis=1), parts)
    ranks = owner[near.cells]
    across = ranks[:, 0] != ranks[:, 1]
    cells, others = near.cells[across].ravel(), ranks[across, ::-1].ravel()
    ghosts = np.unique(cells.astype(np.int64) * parts + others)
    counts = 1 + np.bincount(ghosts // parts, minlength=len(owner))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    result = np.empty(offsets[-1], dtype=np.int32)
    own = np.zeros(len(result), dtype=bool)
    own[offsets[:-1]] = True
    result[own], result[~own] = owner, ghosts % parts
    return result, offsets
