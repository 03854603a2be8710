"""Pieces of a body that nothing holds: found before the solver meets a singular matrix."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import GeometryError
from simulations.base import cutting
from simulations.base.domain import Domain, on_root
from simulations.models.supports import Fixed, Gap, Plate, Support, Symmetry

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]


def without_islands(domain: Domain, supports: Iterable[Support]) -> Domain:
    """The domain without the pieces that the supports leave free to move.

    A piece is what hangs together through faces. It is held if the supports on its own faces stop all
    six rigid motions. What is left out is logged.

    Args:
        domain: A body that is not cut.
        supports: How it is held.

    Returns:
        The domain itself if all of it is held.

    Raises:
        GeometryError: Nothing is held; the message says which motion of the largest piece is free.
    """
    held = list(supports)
    keep = on_root(domain.comm, lambda: _held_cells(domain, held))
    if keep.all():
        return domain
    lost = int(np.sum(~keep))
    share = on_root(domain.comm, lambda: _share(domain, keep))
    log.warning(
        "left out %d cells (%.3g %% of the volume) in pieces that no support holds", lost, 100 * share
    )
    return domain.restricted(keep=keep)


def _share(domain: Domain, keep: npt.NDArray[np.bool_]) -> float:
    assert domain.source is not None
    volumes = domain.source.cell_volumes()
    return float(volumes[~keep].sum() / volumes.sum())


def _held_cells(domain: Domain, supports: list[Support]) -> npt.NDArray[np.bool_]:
    """(k,) True for the cells of pieces that are held."""
    mesh, links = domain.source, domain.links
    assert mesh is not None and links is not None
    count, piece = cutting.components(len(mesh.cells), links.near, np.ones(len(mesh.cells), dtype=bool))
    facet_piece = piece[links.owner[:, 0]]
    rows: list[list[Floats]] = [[] for _ in range(count)]
    for support in supports:
        facets = mesh.facets_of(support.face)
        for index in np.unique(facet_piece[facets]):
            nodes = np.unique(mesh.facets[facets[facet_piece[facets] == index]])
            rows[index].append(_constraints(mesh.points[nodes], support))
    stopped = np.array([_rank(r) for r in rows])
    if not np.any(stopped == 6):
        largest = int(np.argmax(np.bincount(piece)))
        centre = np.round(mesh.points[mesh.cells[piece == largest]].mean(axis=(0, 1)), 2).tolist()
        raise GeometryError(
            f"nothing holds the body: the supports stop {stopped[largest]} of the 6 rigid motions of its largest "
            f"piece (near {centre} µm);",
            hint="fix a face, or hold three sides: symmetry('x-', 'y-', 'z-').",
        )
    return np.asarray(stopped == 6)[piece]


def _constraints(points: Floats, support: Support) -> Floats:
    """Rows over the 6 rigid motions that the support sets to zero at its points."""
    x = points
    motions = np.zeros((len(points), 3, 6))
    motions[:, :, :3] = np.eye(3)
    motions[:, 0, 4], motions[:, 0, 5] = x[:, 2], -x[:, 1]
    motions[:, 1, 3], motions[:, 1, 5] = -x[:, 2], x[:, 0]
    motions[:, 2, 3], motions[:, 2, 4] = x[:, 1], -x[:, 0]
    if isinstance(support, Fixed):
        return motions.reshape(-1, 6)
    if isinstance(support, Symmetry | Gap):
        return motions[:, "xyz".index(support.face[0])]
    if isinstance(support, Plate):  # parallel, but free to move along its axis
        along = motions[:, "xyz".index(support.face[0])]
        return np.asarray(along[1:] - along[:1])
    return np.zeros((0, 6))


def _rank(rows: list[Floats]) -> int:
    stacked = np.concatenate([np.zeros((1, 6)), *rows])
    scale = np.abs(stacked[:, 3:]).max() or 1.0
    stacked[:, 3:] /= scale
    return int(np.linalg.matrix_rank(stacked.T @ stacked, tol=1e-9 * max(len(stacked), 1)))
