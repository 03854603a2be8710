"""When conjugate gradients may stop: the energy of what they follow, and what is still to come of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Solution:
    """What the iteration ended with.

    Attributes:
        energy: Conductance between the plates on the lattice.
        iterations: Iterations done.
        remaining: Estimate of the relative error of ``energy`` that is left.
        converged: Whether that is below the tolerance.
    """

    energy: float
    iterations: int
    remaining: float
    converged: bool


def remaining_error(history: list[float]) -> float:
    """Relative error still to come, if the last gains go on shrinking as they did.

    Gains of hard media (percolation threshold, slits, sheets) shrink slowly and in fits, so the rate is
    taken over up to eight iterations and the largest of the last three gains counts.
    """
    if len(history) < 2:
        return np.inf
    rate = _rate(history)
    gain = history[-1] if rate < 0.5 else max(history[-3:])
    return float(gain * rate / (1 - rate))


def iterations_to_come(history: list[float], tolerance: float) -> float:
    """How many more it takes to reach the tolerance at the present rate."""
    left = remaining_error(history)
    return math.log(left / tolerance) / -math.log(_rate(history)) if tolerance < left < np.inf else 0.0


def _rate(history: list[float]) -> float:
    span = min(8, len(history) - 1)
    rate: float = (max(history[-2:]) / max(history[-span - 1 : len(history) - span + 1])) ** (1 / span)
    if len(history) == 2:
        rate = history[-1] / history[-2]
    return min(max(rate, 0.3), 0.98)
