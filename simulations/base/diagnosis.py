"""Where and why a step failed: what the error at the end of a run tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from simulations.base.domain import Domain


@dataclass(frozen=True)
class Place:
    """Where a residual is largest.

    Attributes:
        point: (x, y, z) µm.
        cell: A cell that has it, by its number in the input mesh.
        phase: Of that cell.
    """

    point: tuple[float, float, float]
    cell: int
    phase: str

    def __str__(self) -> str:
        x, y, z = self.point
        return f"({x:.4g}, {y:.4g}, {z:.4g}) µm, cell {self.cell} of {self.phase}"


@dataclass(frozen=True)
class Diagnosis:
    """What the last attempt of a step was like.

    Attributes:
        residuals: Block → residual, relative to what the block is compared with.
        worst: Where the largest one is; None if nothing can be said.
        cause: What it is likely due to, as a clause: ``"lithium is used up at the surface"``.
    """

    residuals: Mapping[str, float]
    worst: Place | None = None
    cause: str = ""

    def __str__(self) -> str:
        parts = []
        if self.residuals:
            listed = ", ".join(f"{name} {value:.1e}" for name, value in self.residuals.items())
            parts.append(f"residuals: {listed}")
        if self.worst is not None:
            parts.append(f"largest at {self.worst}")
        if self.cause:
            parts.append(f"likely cause: {self.cause}")
        return "; ".join(parts)


def worst_place(domain: Domain, space: fem.FunctionSpace, residual: npt.NDArray[np.float64]) -> Place | None:
    """Where a residual is largest, a value that is not a number being the largest of all; all ranks must call.

    Args:
        domain: Where.
        space: Of the unknown.
        residual: (owned unknowns of ``space``,) values; more are ignored.

    Returns:
        The place, the same on all ranks; None where there are no unknowns or all residuals are zero.
    """
    index_map, size = space.dofmap.index_map, space.dofmap.index_map_bs
    owned = index_map.size_local
    values = np.abs(residual[: owned * size].reshape(-1, size)).max(axis=1, initial=0.0)
    values = np.where(np.isfinite(values), values, np.inf)
    block = int(np.argmax(values)) if owned else -1
    largest = float(values[block]) if owned else -1.0
    best = max(domain.comm.allgather((largest, -domain.comm.rank)))
    mine: Any = None
    if best[0] > 0 and domain.comm.rank == -best[1]:
        dofs = np.asarray(space.dofmap.list)
        cell = int(np.argmax((dofs == block).any(axis=1)))
        x, y, z = (float(v) for v in space.tabulate_dof_coordinates()[block])
        phase = domain.phases.by_label(int(domain.cell_tags.values[cell])).name
        mine = Place((x, y, z), int(domain.cell_index[cell]), phase)
    found: Place | None = domain.comm.bcast(mine, root=-best[1])
    return found
