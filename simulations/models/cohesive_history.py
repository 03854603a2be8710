"""What cycles leave in bonds: damage and accumulated energy, as one array that can be extrapolated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulations.models.cohesive import CohesiveInterfaces

Floats = npt.NDArray[np.float64]


class BondHistory:
    """The part of `simulations.models.fatigue.Cyclic` that is about bonds.

    Args:
        bonds: Whose damage and accumulated energy are extrapolated.
    """

    def __init__(self, bonds: CohesiveInterfaces) -> None:
        self.bonds = bonds

    def history(self) -> Floats:
        """Damage and accumulated energy at all points."""
        return np.concatenate([self.bonds.damage.ravel(), self.bonds.fatigue.ravel()])

    def extrapolate(self, history: Floats) -> None:
        """Take damage and accumulated energy that were not resolved; what the damage has cost is counted."""
        bonds = self.bonds
        damage, fatigue = np.split(history, 2)
        weak = bonds.weakening()
        bonds.fatigue = np.maximum(bonds.fatigue, fatigue.reshape(bonds.fatigue.shape))
        grown = np.clip(damage.reshape(bonds.damage.shape), bonds.damage, 1.0)
        bonds.spend(grown, (weak + bonds.weakening()) / 2)

    def indicator(self, history: Floats) -> Floats:
        """Damage, and the share of the toughness that is lost."""
        damage, fatigue = np.split(history, 2)
        lost = 1 - self.bonds.weakening(fatigue.reshape(self.bonds.fatigue.shape)).ravel()
        return np.concatenate([np.clip(damage, 0, 1), lost])
