"""What cycles leave in bonds: the accumulated energy, which can be extrapolated, and damage, which follows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulations.models.cohesive import CohesiveInterfaces

Floats = npt.NDArray[np.float64]


class BondHistory:
    """The part of `simulations.models.fatigue.Cyclic` that is about bonds.

    Args:
        bonds: Whose accumulated energy is extrapolated.
    """

    def __init__(self, bonds: CohesiveInterfaces) -> None:
        self.bonds = bonds

    @property
    def pace(self) -> Floats:
        """What the last cycle has added to the accumulated energy."""
        return self.bonds.pace.ravel()

    @pace.setter
    def pace(self, added: Floats) -> None:
        self.bonds.pace = added.reshape(self.bonds.fatigue.shape)

    def history(self) -> Floats:
        """Accumulated energy at all points."""
        return self.bonds.fatigue.ravel().copy()

    def extrapolate(self, history: Floats) -> None:
        """Take an accumulated energy that was not resolved."""
        self.bonds.fatigue = np.maximum(self.bonds.fatigue, history.reshape(self.bonds.fatigue.shape))

    def indicator(self, history: Floats) -> Floats:
        """Share of the toughness that is lost."""
        return 1 - self.bonds.weakening(history.reshape(self.bonds.fatigue.shape)).ravel()

    def damaged(self) -> Floats:
        """D at all points."""
        return self.bonds.damage.ravel().copy()

    def amount(self, change: Floats) -> float:
        """Mean over the area of all bonds: single points come off in any cycle."""
        return self.bonds.interface.mean(np.abs(change).reshape(self.bonds.damage.shape))
