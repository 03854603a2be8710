"""From the arrays of a mesh to what every rank needs of them: names, tags, copies of points; without DOLFINx."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError, did_you_mean
from pxm2mesh.phases import PhaseTable
from pxm2mesh.surface import BOX_FACES
from pxm2mesh.tetmesh import TetMesh
from simulations.base import cutting

OUTSIDE_NAME = "outside"
"""Facets with nothing behind them that lie on no box face (a ball without a box, say)."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What every rank needs to know of the input arrays."""

    phases: PhaseTable
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    names: dict[str, int]
    cell_phase: npt.NDArray[np.int32]
    cell_region: npt.NDArray[np.int32]
    cell_fields: dict[str, npt.NDArray[np.float64]]
    tagged: npt.NDArray[np.int64]  # (t, 4) cell, vertex opposite of the facet, tag, no cell behind it
    cut_cells: npt.NDArray[np.int64]  # (n, 2)
    cut_points: npt.NDArray[np.int64]  # (n, 2, 3)
    cut_tags: npt.NDArray[np.int32]  # (n,)
    point_count: int


def canonical_name(phases: PhaseTable, name: str) -> str:
    """``"LPSCl|NMC"`` → ``"NMC | LPSCl"`` (lower label first); box faces stay as they are."""
    if "|" not in name:
        if name not in (*BOX_FACES, OUTSIDE_NAME):
            raise UsageError(
                f"{name!r} is neither a box face nor an interface;", hint=did_you_mean(name, BOX_FACES)
            )
        return name
    parts = [part.strip() for part in name.split("|")]
    if len(parts) == 2 and parts[0] == parts[1]:
        return f"{phases[parts[0]].name} | {phases[parts[1]].name}"
    first, second = phases.pair(name)
    return phases.pair_name(first.label, second.label)


def _facet_tags(mesh: TetMesh) -> tuple[dict[str, int], npt.NDArray[np.int32]]:
    """Names present → tag, and the tag of each facet of the mesh."""
    tags = np.zeros(len(mesh.facets), dtype=np.int32)
    names: dict[str, int] = {}

    def give(name: str, where: npt.NDArray[Any]) -> None:
        if len(where):
            names[name] = len(names) + 1
            tags[where] = names[name]

    outer = np.any(mesh.facet_sides == 0, axis=1)
    for face in BOX_FACES:
        give(face, mesh.facets_of(face))
    give(OUTSIDE_NAME, np.flatnonzero(outer & (tags == 0)))
    labels = np.sort(mesh.region_phase[mesh.facet_sides], axis=1)
    for low, high in np.unique(labels[~outer], axis=0):
        name = f"{mesh.phases.by_label(low).name} | {mesh.phases.by_label(high).name}"
        give(name, np.flatnonzero(~outer & (labels[:, 0] == low) & (labels[:, 1] == high)))
    return names, tags


def cut_names(mesh: TetMesh, cut: Iterable[str] | None) -> list[str]:
    """The interfaces to open: those asked for, or those at which the mesh is split."""
    table = mesh.phases
    if cut is None:
        labels = np.unique(mesh.region_phase[mesh.facet_sides[mesh.facet_pairs[:, 0]]], axis=0)
        cut = [f"{table.by_label(a).name} | {table.by_label(b).name}" for a, b in labels]
    return [canonical_name(table, name) for name in cut]


@dataclass(frozen=True, eq=False)
class Kept:
    """What stays on rank 0."""

    source: TetMesh
    links: cutting.Links
    broken: cutting.CutMesh


def make_plan(
    mesh: TetMesh,
    links: cutting.Links | None,
    opened: Set[str],
    phases: Sequence[str] | None,
    keep: npt.NDArray[np.bool_] | None,
    cell_fields: Mapping[str, npt.NDArray[np.float64]],
) -> tuple[Plan, Kept]:
    """Weld, restrict, cut and name a mesh, on rank 0.

    Args:
        mesh: The mesh.
        links: Its links; None if they are not known, or if it is split.
        opened: Interfaces to cut, by their canonical names.
        phases: Keep only these.
        keep: (k,) keep only these cells.
        cell_fields: More values per cell.

    Returns:
        What goes to all ranks, and what stays.
    """
    table = mesh.phases
    chosen = np.ones(len(mesh.cells), dtype=bool) if keep is None else np.asarray(keep, dtype=bool)
    if phases is not None:
        chosen = chosen & np.isin(mesh.cell_phase(), [table[name].label for name in phases])
    mesh = cutting.weld(mesh)
    mesh, links = cutting.restrict(mesh, links or cutting.Links.of(mesh), chosen)
    neighbours, owner, local = links.near, links.owner, links.local
    names, tags = _facet_tags(mesh)
    is_open = np.isin(tags, [tag for name, tag in names.items() if name in opened]) & (owner[:, 1] >= 0)
    broken = cutting.cut(mesh, neighbours, neighbours.at(owner[is_open, 0], local[is_open, 0]))
    tagged = []
    for side in (0, 1):
        there = (owner[:, side] >= 0) & (tags > 0)
        cell, face, outer = owner[there, side], local[there, side], (owner[there, 1] < 0) | is_open[there]
        tagged.append(np.stack([cell, broken.cells[cell, face], tags[there], outer], axis=1))
    cells, points = _sides(mesh, broken, owner[is_open], local[is_open])
    fields = {
        **mesh.cell_fields,
        **{k: np.asarray(v, dtype=np.float64)[chosen] for k, v in cell_fields.items()},
    }
    plan = Plan(
        table, mesh.lower, mesh.upper, names, mesh.cell_phase(), mesh.cell_region, fields,
        np.concatenate(tagged), cells, points, tags[is_open], len(broken.points),
    )  # fmt: skip
    return plan, Kept(mesh, links, broken)


def _sides(
    mesh: TetMesh, broken: cutting.CutMesh, owner: cutting.Counts, local: cutting.Corners
) -> tuple[cutting.Ints, cutting.Ints]:
    """Cells and points of cut facets, plus side (lower label, then lower region) first, points matched."""
    rank = mesh.cell_phase()[owner].astype(np.int64) * (len(mesh.region_phase) + 1) + mesh.cell_region[owner]
    swap = rank[:, 0] > rank[:, 1]
    owner[swap], local[swap] = owner[swap, ::-1], local[swap, ::-1]
    points = np.empty((len(owner), 2, 3), dtype=np.int64)
    for side in (0, 1):
        copies = np.take_along_axis(broken.cells[owner[:, side]], cutting.FACES[local[:, side]], axis=1)
        points[:, side] = np.take_along_axis(copies, np.argsort(broken.parent[copies], axis=1), axis=1)
    return owner.astype(np.int64), points
