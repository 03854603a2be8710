"""Which body gets a cell of several voxels: the majority, unless regions would lose their volume by that.

A wall thinner than a cell has the majority in hardly any cell, and a phase of specks in none. The voxels of such
regions get more votes, round by round, until the cells they win are together as large as they are. Among cells of
equal votes those go first in whose neighbourhood the body is densest, so that the rest of a torn wall stays together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.regions import Regions
from pxm2mesh.surface import Indicators
from pxm2mesh.surfacing import indicator_kernels as kernels

LARGE = 64  # voxels: regions from here on (and of two cells) hold their volume one by one, smaller ones as a phase
_ROUNDS = 10
_TOLERANCE = 0.1  # relative error of a volume that smoothing makes good by itself
_CLOSE = 0.05  # where votes that were changed are to end
_RANGE = (0.05, 32.0)  # of the votes of a voxel


@dataclass(frozen=True, eq=False)
class Assignment:
    """Cells and the voxels they stand for.

    Attributes:
        owner: (mx, my, mz) int32 body of each cell.
        size: (mx·my·mz,) float64 voxels in each cell.
        region: (m,) int32 region of voxels, one entry for each region in each cell of its body.
        cell: (m,) int32 flat index of that cell.
        voxels: (m,) int32 voxels of that region in that cell.
        credit: (m,) float64 the part of the cell that they stand for; sums to ``size`` over the entries of a cell.
        thin: (r + 1,) bool, the regions that got their cells by votes and not by majority.
    """

    owner: npt.NDArray[np.int32]
    size: npt.NDArray[np.float64]
    region: npt.NDArray[np.int32]
    cell: npt.NDArray[np.int32]
    voxels: npt.NDArray[np.int32]
    credit: npt.NDArray[np.float64]
    thin: npt.NDArray[np.bool_]


def assign_cells(
    fine: Regions, ids: npt.NDArray[Any], fields: Indicators, planes: list[npt.NDArray[np.int64]]
) -> Assignment:
    """Give every cell to one of the bodies in it.

    Args:
        fine: Regions of the voxels.
        ids: (nx, ny, nz) body of each voxel.
        fields: Indicators of the bodies.
        planes: First voxel of each cell along x, y and z, and the end.

    Returns:
        The cells. Where the majority keeps every volume within a tenth they are those of the majority.
    """
    size = (
        np.prod(np.stack(np.meshgrid(*(np.diff(p) for p in planes), indexing="ij")), axis=0)
        .ravel()
        .astype(float)
    )
    cell = float(size.max())
    accounts = _Accounts(fine, 2 * cell)
    votes = np.ones(len(accounts.wanted))
    low, high = np.zeros(len(votes)), np.full(len(votes), np.inf)  # too few, too many votes
    changed, best, least = np.zeros(len(votes), np.bool_), votes, np.full(len(votes), np.inf)
    for turn in range(_ROUNDS):
        made = _assign(fine, ids, fields, planes, size, votes[accounts.of])
        got = np.bincount(accounts.of[made.region], made.credit, len(votes)).astype(np.float64)
        if turn % 5 == 0:  # in between one may only give way to what another takes too much
            changed |= accounts.off(got, np.maximum(_TOLERANCE * accounts.wanted, cell))
        missed = np.abs(got - accounts.wanted)
        judged = accounts.pools_together(missed)
        best, least = np.where(judged < least, votes, best), np.minimum(judged, least)
        todo = changed & (missed > np.maximum(_CLOSE * accounts.wanted, cell))
        if not todo.any():
            return replace(made, thin=changed[accounts.of])
        low = np.where(got < accounts.wanted, np.maximum(low, votes), low)
        high = np.where(got > accounts.wanted, np.minimum(high, votes), high)
        step = votes * np.maximum(got / np.maximum(accounts.wanted, 1.0), 0.2) ** -0.6
        inside = (low > 0) & np.isfinite(high)
        stale = inside & (high < 1.02 * low)  # others have moved meanwhile
        low[stale], high[stale], inside[stale] = 0.0, np.inf, False
        step[inside] = np.sqrt(low[inside] * high[inside])
        accounts.one_pool_at_a_time(todo, missed)
        votes = np.where(todo, np.clip(step, *_RANGE), votes)
    made = _assign(fine, ids, fields, planes, size, best[accounts.of])
    return replace(made, thin=changed[accounts.of])


class _Accounts:
    """Whose volume is to be held: every large region's, and the sum of the small ones of a phase.

    Args:
        fine: Regions of the voxels.
        least: Voxels a region must have for an account of its own, if more than `LARGE`.

    Attributes:
        of: (r + 1,) account of each region.
        wanted: (a,) voxels of each.
    """

    def __init__(self, fine: Regions, least: float) -> None:
        own = fine.voxels > max(LARGE, least)
        labels, phase = np.unique(fine.phase, return_inverse=True)
        self._own = int(own.sum())
        self.of = self._own + phase.ravel().astype(np.int64)
        self.of[own] = np.arange(self._own)
        count = self._own + len(labels)
        self.wanted = np.bincount(self.of, fine.voxels.astype(np.float64), count)
        self._phase = np.zeros(count, np.int64)
        self._phase[self.of] = phase.ravel()

    def one_pool_at_a_time(self, todo: npt.NDArray[np.bool_], missed: npt.NDArray[np.float64]) -> None:
        """Keep only the worst account of small regions in ``todo``: together they would overshoot."""
        relative = np.where(todo, missed / np.maximum(self.wanted, 1.0), 0.0)[self._own :]
        todo[self._own :] &= np.arange(len(relative)) == np.argmax(relative)

    def pools_together(self, missed: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The voxels missed by every account, those of small regions added up: they win from one another."""
        together = missed.copy()
        together[self._own :] = missed[self._own :].sum()
        return together

    def off(self, got: npt.NDArray[np.float64], allowed: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Accounts that miss more than the allowed voxels; those of small regions only where their whole phase does."""
        off = np.abs(got - self.wanted) > allowed
        gained = np.bincount(self._phase, got)
        wanted = np.bincount(self._phase, self.wanted)
        of_phase = np.abs(gained - wanted) > _TOLERANCE * wanted
        off[self._own :] &= of_phase[self._phase[self._own :]]
        return np.asarray(off)


def _assign(
    fine: Regions,
    ids: npt.NDArray[Any],
    fields: Indicators,
    planes: list[npt.NDArray[np.int64]],
    size: npt.NDArray[np.float64],
    votes: npt.NDArray[np.float64],
) -> Assignment:
    owner = kernels.majority(ids, fine.ids, votes, fields.values, fields.group, *planes)
    region, cell, voxels = kernels.cell_members(ids, fine.ids, owner, *planes)
    held = np.bincount(cell, voxels, len(size))
    credit = voxels * (size / np.maximum(held, 1))[cell]
    return Assignment(owner, size, region, cell, voxels, credit, np.zeros(fine.count + 1, np.bool_))
