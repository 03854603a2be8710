"""Solids that can be cycled: what `run_cycles` needs of breakable interfaces and of phase-field cracks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from simulations.base.stepping import StepOptions, StepStatistics, run_until
from simulations.models.cohesive_history import BondHistory
from simulations.models.cohesive_steps import Debonding
from simulations.models.fatigue import degradation
from simulations.models.phase_field import PhaseField

Floats = npt.NDArray[np.float64]


class BondCycles(BondHistory):
    """Cycles of a solid with breakable interfaces; the accumulated energy is extrapolated.

    Args:
        problem: Its load has the period ``period``.
        period: s.
        steps: How steps are chosen.

    Attributes:
        statistics: Steps taken in all.
    """

    def __init__(self, problem: Debonding, period: float, steps: StepOptions) -> None:
        super().__init__(problem.cohesion)
        self.problem, self.period, self.steps = problem, period, steps
        self.statistics = StepStatistics()
        self.cycles = 0

    def cycle(self) -> None:
        """Step through one period."""
        self.problem.time = 0.0
        run_until(self.problem, self.period, self.steps, statistics=self.statistics)

    def extrapolate(self, history: Floats) -> None:
        """Take an accumulated energy that was not resolved."""
        super().extrapolate(history)
        self.problem.keep()

    def state(self) -> Mapping[str, Floats]:
        """Of the solid."""
        return self.problem.solid.state()

    def restore(self, state: Mapping[str, Floats]) -> None:
        """Of the solid."""
        self.problem.solid.restore(state)
        self.problem.keep()


class CrackCycles:
    """Cycles of a phase-field solid; the accumulated energy is extrapolated, and cracks follow from it.

    Args:
        solid: With a ``fatigue_threshold``.
        loads: What is done in each cycle, one call and one balance after the other.
    """

    def __init__(self, solid: PhaseField, loads: Sequence[Callable[[], None]]) -> None:
        if solid.options.fatigue_threshold is None:
            raise ValueError("a solid without a fatigue threshold does not change in cycles")
        self.solid, self.loads = solid, tuple(loads)

    @property
    def pace(self) -> Floats:
        """What the last cycle has added to ᾱ."""
        return np.array(self.solid.pace.x.array)

    @pace.setter
    def pace(self, added: Floats) -> None:
        self.solid.pace.x.array[:] = added

    def cycle(self) -> None:
        """Balance each load of the cycle."""
        for load in self.loads:
            load()
            self.solid.solve()
            self.solid.accept()

    def history(self) -> Floats:
        """ᾱ of all cells."""
        return np.array(self.solid.fatigue.x.array)

    def extrapolate(self, history: Floats) -> None:
        """Take an ᾱ that was not resolved."""
        self.solid.fatigue.x.array[:] = np.maximum(self.solid.fatigue.x.array, history)
        self.solid.weaken()

    def indicator(self, history: Floats) -> Floats:
        """Share of the toughness that is lost."""
        assert self.solid.options.fatigue_threshold is not None
        return np.asarray(1 - degradation(history, self.solid.options.fatigue_threshold))

    def damaged(self) -> Floats:
        """Mean damage of each cell."""
        nodes = np.asarray(self.solid.damage.function_space.dofmap.list)
        return np.asarray(self.solid.damage.x.array[nodes].mean(axis=1))

    def amount(self, change: Floats) -> float:
        """The largest anywhere: what cracks is small beside the body."""
        comm = self.solid.mesh.comm
        return float(comm.allreduce(float(np.abs(change).max(initial=0.0)), op=MPI.MAX))

    def state(self) -> Mapping[str, Floats]:
        """Of the solid."""
        return self.solid.state()

    def restore(self, state: Mapping[str, Floats]) -> None:
        """Of the solid."""
        self.solid.restore(state)
