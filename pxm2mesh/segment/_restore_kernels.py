"""The label updates of `restore`, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Float = npt.NDArray[np.float32]


@njit(cache=True, nogil=True)
def relabel(
    labels: npt.NDArray[Any],
    active: npt.NDArray[np.bool_],
    residual: Float,
    weight: Float,
    power: Float,
    levels: Float,
    spread: Float,
    prices: Float,
    temperature: float,
    seed: int,
) -> int:
    """One sweep over the active voxels, in memory order: each draws its label anew.

    Half the weighted squared residual, plus the prices of unlike neighbours, is the energy. A label is
    drawn with probability exp(−energy / temperature); at temperature 0 the cheapest one is taken.

    Args:
        labels: (nx, ny, nz) index of the phase, changed in place.
        active: (nx, ny, nz) voxels that may change.
        residual: (nx, ny, nz) scan minus blurred levels, times ``weight``; kept up to date.
        weight: (nx, ny, nz) one over the variance of the noise.
        power: (nx, ny, nz) sum of spread² × weight about each voxel.
        levels: (p,) grey value of each phase.
        spread: (w, w, w) point spread, w odd, sum 1.
        prices: (p, p) of a pair of face neighbours with these labels.
        temperature: Of the choice between labels.
        seed: Of the random numbers.

    Returns:
        How many voxels changed.
    """
    nx, ny, nz = labels.shape
    count = len(levels)
    reach = spread.shape[0] // 2
    changed = 0
    price = np.zeros(count, np.float32)
    state = np.uint64(seed) * np.uint64(2654435761) + np.uint64(88172645463325252)
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                if not active[i, j, k]:
                    continue
                price[:] = 0
                for a, b, c in (
                    (i - 1, j, k),
                    (i + 1, j, k),
                    (i, j - 1, k),
                    (i, j + 1, k),
                    (i, j, k - 1),
                    (i, j, k + 1),
                ):
                    if 0 <= a < nx and 0 <= b < ny and 0 <= c < nz:
                        for p in range(count):
                            price[p] += prices[p, labels[a, b, c]]
                own = labels[i, j, k]
                x0, x1 = max(i - reach, 0), min(i + reach + 1, nx)
                y0, y1 = max(j - reach, 0), min(j + reach + 1, ny)
                z0, z1 = max(k - reach, 0), min(k + reach + 1, nz)
                pull = np.float32(0)
                for a in range(x0, x1):
                    for b in range(y0, y1):
                        for c in range(z0, z1):
                            near = spread[a - i + reach, b - j + reach, c - k + reach]
                            pull += near * residual[a, b, c]
                best, lowest = own, np.inf
                for other in range(count):
                    step = levels[other] - levels[own]
                    energy = step * (0.5 * step * power[i, j, k] - pull) + price[other]
                    if temperature > 0:
                        state ^= state << np.uint64(13)
                        state ^= state >> np.uint64(7)
                        state ^= state << np.uint64(17)
                        chance = (np.float64(state >> np.uint64(11)) + 0.5) / 9007199254740992.0
                        energy += temperature * math.log(-math.log(chance))
                    if energy < lowest or (energy == lowest and other == own):
                        best, lowest = other, energy
                if best == own:
                    continue
                step = levels[best] - levels[own]
                labels[i, j, k] = best
                changed += 1
                for a in range(x0, x1):
                    for b in range(y0, y1):
                        for c in range(z0, z1):
                            near = spread[a - i + reach, b - j + reach, c - k + reach]
                            residual[a, b, c] -= step * near * weight[a, b, c]
    return changed
