"""Fixed points of parts that answer to each other, found faster than by passing values back and forth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Mixing:
    """Anderson's mixing: the next guess of a fixed point from the last few guesses and what became of them.

    Args:
        comm: The ranks.
        owned: So many first entries of the arrays are this rank's own.
        depth: How many differences are looked back on; 0 for none.
        share: Of a correction that is taken.

    References:
        Walker, Ni, SIAM J. Numer. Anal. 49 (2011) 1715.

    Example:
        >>> from mpi4py import MPI
        >>> mixing, x = Mixing(MPI.COMM_SELF, 2), np.zeros(2)
        >>> for _ in range(3):
        ...     x = mixing.next(x, np.array([0.9, -0.8]) * x + 1)  # fixed point 10, 1/1.8
        >>> bool(abs(x - [10, 1 / 1.8]).max() < 1e-9)
        True
    """

    def __init__(self, comm: Any, owned: int, *, depth: int = 4, share: float = 1.0) -> None:
        self.comm, self.owned, self.depth, self.share = comm, owned, depth, share
        self.forget()

    def forget(self) -> None:
        """Start anew."""
        self._guesses: list[Floats] = []
        self._corrections: list[Floats] = []

    def next(self, guess: Floats, found: Floats) -> Floats:
        """The next guess.

        Args:
            guess: The last one.
            found: What it led to; equal to it at the fixed point.
        """
        self._guesses.append(guess.copy())
        self._corrections.append(found - guess)
        del self._guesses[: -self.depth - 1], self._corrections[: -self.depth - 1]
        last = self._corrections[-1]
        steps = np.array([a - b for a, b in zip(self._guesses[1:], self._guesses[:-1], strict=True)])
        turns = np.array([a - b for a, b in zip(self._corrections[1:], self._corrections[:-1], strict=True)])
        if len(turns) == 0:
            return np.asarray(guess + self.share * last)
        mine = turns[:, : self.owned]
        normal, right = self.comm.allreduce(mine @ mine.T), self.comm.allreduce(mine @ last[: self.owned])
        weights = np.linalg.lstsq(normal, right, rcond=1e-12)[0]
        return np.asarray(guess + self.share * last - weights @ (steps + self.share * turns))
