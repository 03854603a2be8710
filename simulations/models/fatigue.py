"""Fatigue: what cycles leave of a fracture energy, and jumps over cycles with error control."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def degradation(accumulated: npt.ArrayLike, threshold: float) -> Floats:
    """f(ᾱ), the share of the fracture energy that is left: 1 up to the threshold, (2α_T/(ᾱ + α_T))² beyond.

    Args:
        accumulated: ᾱ, the sum of the increases of the energy that drives the crack.
        threshold: α_T, same unit.

    References:
        Carrara, Ambati, Alessi, De Lorenzis, Comput. Methods Appl. Mech. Eng. 361 (2020) 112731.

    Example:
        >>> degradation([0.5, 1.0, 3.0], 1.0).tolist()
        [1.0, 1.0, 0.25]
    """
    a = np.maximum(np.asarray(accumulated, float), threshold)
    return np.asarray((2 * threshold / (a + threshold)) ** 2)
