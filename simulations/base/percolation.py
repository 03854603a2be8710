"""Which conductors reach from one side of the sample to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pxm2mesh.tetmesh import TetMesh
from simulations.base import cutting


@dataclass(frozen=True, eq=False)
class Clusters:
    """What percolates where.

    Attributes:
        keep: (k,) True for cells that are part of a path along any of the directions.
        component: (k,) face-connected component of each cell, -1 for those that do not conduct.
        spans: Direction → (components,) which reach from the lower to the upper box face.
        fractions: Direction → share of the conductors' volume that does.
        volumes: Conductor → µm³ of it, whether it percolates or not.
    """

    keep: npt.NDArray[np.bool_]
    component: npt.NDArray[np.float64]
    spans: Mapping[str, npt.NDArray[np.bool_]]
    fractions: Mapping[str, float]
    volumes: Mapping[str, float]


def find_clusters(
    mesh: TetMesh,
    links: cutting.Links,
    phases: Sequence[str],
    directions: Sequence[str],
    cut: Sequence[str],
    joined: Sequence[str],
) -> Clusters:
    """Face-connected components of the conductors that reach from one box face to the opposite one.

    Args:
        mesh: The welded mesh.
        links: How it hangs together.
        phases: Which conduct.
        directions: Of ``"x"``, ``"y"``, ``"z"``.
        cut: Interfaces at which the mesh is cut.
        joined: Those of them that something passes through all the same.

    Returns:
        What percolates; with nothing that does, no cell is kept.
    """
    label, wanted = mesh.cell_phase(), {name: mesh.phases[name].label for name in phases}
    conducts = np.isin(label, list(wanted.values()))
    near, owner, local = links.near, links.owner, links.local
    separate = [f for name in cut if name not in joined for f in mesh.facets_of(name)]
    if separate:  # cut and without a contact: nothing passes
        shut = near.at(owner[separate, 0], local[separate, 0])
        near = cutting.Adjacency(near.cells[~shut], near.local[~shut], near.outer_cells, near.outer_local)
    count, component = cutting.components(len(mesh.cells), near, conducts)
    volumes = mesh.cell_volumes()
    by_label = np.bincount(label, volumes, max(mesh.phases.labels) + 1)
    by_phase = {name: float(by_label[number]) for name, number in wanted.items()}
    total = sum(by_phase.values())
    spans, fractions = {}, {}
    for axis in directions:
        ends = cutting.reaches(mesh, owner, component, [f"{axis}-", f"{axis}+"])
        spans[axis] = ends[f"{axis}-"] & ends[f"{axis}+"] if count else np.zeros(0, dtype=bool)
        inside = conducts & (spans[axis][component] if count else False)
        fractions[axis] = float(volumes[inside].sum()) / total if total else 0.0
    anywhere = np.logical_or.reduce(list(spans.values()))
    keep = conducts & (anywhere[component] if count else False)
    return Clusters(keep, component.astype(np.float64), spans, fractions, by_phase)
