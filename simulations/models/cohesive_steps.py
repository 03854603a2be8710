"""Loading a solid with breakable interfaces in steps that the growth of the damage decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulations.models.mechanics import Solid
from simulations.models.solid_solver import SolveRecord

Load = Callable[[float], Mapping[str, float]]
"""Time (s) → loads for `Solid.solve`; may also set what the solid reads, such as its state of lithiation."""


class Debonding:
    """A solid under a load program; a `simulations.base.stepping.TimeProblem`.

    A step in which a point spends more than ``limit`` of its fracture energy is repeated shorter by `run_until`. With
    a viscosity in the law, the steps of a snap come out as a fraction of the viscosity's time; without one a snap
    has no balance to go through and the run ends with the error that says so.

    Args:
        solid: With bonds.
        load: What happens when.
        limit: Largest share of G_c that a point may spend in a step.

    Attributes:
        time: s.
        iterations: Newton iterations of all attempts.
    """

    def __init__(self, solid: Solid, load: Load, *, limit: float = 0.1) -> None:
        if solid.cohesion is None:
            raise ValueError("a solid without bonds cannot debond: give it bonds")
        self.solid, self.load, self.limit = solid, load, limit
        self.cohesion = solid.cohesion
        self.time, self.iterations = 0.0, 0
        self._step = self._anyway = 0.0
        self._fatigue = any(law.fatigue_threshold is not None for law in self.cohesion.laws.values())
        self.solid.solve(load(0.0), time=0.0)
        self.solid.accept()
        self.keep()

    def keep(self) -> None:
        """What the solid is now is what `restore` goes back to."""
        self._kept = self.solid.state()

    def attempt(self, step: float) -> None:
        """Balance the loads at ``time + step``."""
        self._step = self.cohesion.step = step
        if self._fatigue:  # toughness that has fallen breaks bonds, however short the step
            self._anyway = self.cohesion.largest_change()
        record: SolveRecord = self.solid.solve(self.load(self.time + step), time=self.time + step)
        self.iterations += record.iterations

    def error(self) -> float:
        """Square of the spent share in units of the limit, so that steps scale with it."""
        return (max(self.cohesion.largest_change() - self._anyway, 0.0) / self.limit) ** 2

    def commit(self) -> None:
        """Keep the step."""
        self.solid.accept()
        self.keep()
        self.time += self._step

    def restore(self) -> None:
        """Forget the step: displacement, damage, contact and loads are as before."""
        self.solid.restore(self._kept)
        self.load(self.time)

    def interrupt(self) -> None:
        """Loads may jump: nothing is extrapolated here."""
