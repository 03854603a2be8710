"""Fatigue: what cycles leave of a fracture energy, and jumps over cycles with error control."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from pxm2mesh.errors import StudyError
from pxm2mesh.study.damage import Fatigue

log = logging.getLogger(__name__)
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


@dataclass(frozen=True)
class JumpOptions:
    """How cycles are jumped over.

    Attributes:
        resolve: Cycles resolved before each jump; the last two give the rate.
        largest_change: Most that a jump may add to any of the problem's `Cyclic.indicator` values.
        agreement: Largest relative difference between the rate that was extrapolated and the one found after it.
        longest: Cycles in one jump at most.
    """

    resolve: int = 3
    largest_change: float = 0.05
    agreement: float = 0.1
    longest: int = 1000

    def __post_init__(self) -> None:
        if self.resolve < 2 or not self.largest_change > 0 or not self.agreement > 0:
            raise StudyError(
                f"cycle jump: resolve = {self.resolve} must be at least 2, largest_change = {self.largest_change:g} "
                f"and agreement = {self.agreement:g} positive."
            )

    @classmethod
    def of(cls, section: Fatigue) -> JumpOptions:
        """From what a study says."""
        return cls(section.resolve, section.largest_change, section.agreement, section.longest)


class Cyclic(Protocol):
    """What goes through the same cycle many times."""

    def cycle(self) -> None:
        """Resolve one cycle and keep it."""

    def history(self) -> Floats:
        """What cycles accumulate, as one array of this rank: ᾱ, damage, plastic strain."""

    def extrapolate(self, history: Floats) -> None:
        """Take a history that was not resolved."""

    def indicator(self, history: Floats) -> Floats:
        """Values between 0 and 1 that a jump must not change by much: damage, share of the toughness lost."""

    def state(self) -> Mapping[str, Floats]:
        """Copies of all that a cycle changes."""

    def restore(self, state: Mapping[str, Floats]) -> None:
        """Go back to what `state` returned."""


@dataclass
class CycleRecord:
    """Which cycles were resolved and which were jumped over.

    It is all that `run_cycles` needs to go on, apart from the problem itself.

    Attributes:
        resolved: Numbers of the cycles that were resolved and kept.
        jumps: (cycle before, cycles jumped, relative error of the rate) of each jump that was kept.
        rejected: Jumps taken back.
        spent: Cycles resolved in all, those taken back included.
        done: Cycles that are over, those jumped over included.
        since: Cycles resolved since the last jump.
        limit: Longest jump that may be tried next; 0 before the first.
    """

    resolved: list[int] = field(default_factory=list)
    jumps: list[tuple[int, int, float]] = field(default_factory=list)
    rejected: int = 0
    spent: int = 0
    done: int = 0
    since: int = 0
    limit: int = 0


def run_cycles(
    problem: Cyclic,
    cycles: int,
    options: JumpOptions | None = None,
    *,
    comm: MPI.Comm = MPI.COMM_SELF,
    record: CycleRecord | None = None,
    accepted: Callable[[int], None] = lambda number: None,
) -> CycleRecord:
    """Go through many cycles, resolving few of them.

    After ``resolve`` cycles what accumulates is extrapolated linearly over as many cycles as change no indicator by
    more than ``largest_change``. One cycle is then resolved: if what it adds differs from what was extrapolated by
    more than ``agreement``, the jump is taken back and half as long.

    Args:
        problem: What is cycled.
        cycles: How many in all.
        options: How to jump.
        comm: The ranks of the problem.
        record: Where to go on; new if None. A copy of it, and of the problem's state, made in ``accepted`` while
            ``record.since < options.resolve`` leads to the same end.
        accepted: Called after each cycle that is kept, with its number from 1.

    Returns:
        What was resolved.

    References:
        Cojocaru, Karlsson, Int. J. Fatigue 28 (2006) 1677.
    """
    options = options or JumpOptions()
    record = CycleRecord() if record is None else record
    record.limit = record.limit or options.longest
    while record.done < cycles:
        rate = _resolve(problem, record)
        record.since += 1
        _keep(record, 1, accepted)
        if record.since < options.resolve:
            continue
        record.since = 0
        length = min(_length(problem, rate, options, comm), record.limit, cycles - record.done - 1)
        if length < 2:
            record.limit = min(2 * record.limit, options.longest)
            continue
        _jump(problem, record, rate, length, options, comm, accepted)
    return record


def _jump(
    problem: Cyclic, record: CycleRecord, rate: Floats, length: int, options: JumpOptions, comm: MPI.Comm,
    accepted: Callable[[int], None],
) -> None:  # fmt: skip
    """Extrapolate over ``length`` cycles and resolve the next; take it back where the rate is another one."""
    kept = problem.state()
    problem.extrapolate(problem.history() + length * rate)
    found = _resolve(problem, record)
    error = _norm(comm, found - rate) / max(_norm(comm, rate), 1e-300)
    if error > options.agreement:
        problem.restore(kept)
        record.rejected += 1
        record.limit = max(length // 2, 1)
        log.info("cycle %d: a jump over %d errs by %.2g and is taken back", record.done, length, error)
        return
    record.jumps.append((record.done, length, error))
    log.info("cycle %d: jumped over %d cycles (%.2g)", record.done, length, error)
    record.limit = min(2 * length, options.longest)
    _keep(record, length + 1, accepted)


def _keep(record: CycleRecord, cycles: int, accepted: Callable[[int], None]) -> None:
    record.done += cycles
    record.resolved.append(record.done)
    accepted(record.done)


def _resolve(problem: Cyclic, record: CycleRecord) -> Floats:
    """One cycle; what it adds to the history."""
    before = problem.history()
    problem.cycle()
    record.spent += 1
    return np.asarray(problem.history() - before)


def _length(problem: Cyclic, rate: Floats, options: JumpOptions, comm: MPI.Comm) -> int:
    """The most cycles over which no indicator changes too much, by bisection: indicators need not be linear."""
    history = problem.history()
    now = problem.indicator(history)

    def change(cycles: int) -> float:
        here = np.abs(problem.indicator(history + cycles * rate) - now).max(initial=0.0)
        return float(comm.allreduce(float(here), op=MPI.MAX))

    low, high = 0, options.longest
    if change(high) <= options.largest_change:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if change(middle) <= options.largest_change else (low, middle)
    return low


def _norm(comm: MPI.Comm, values: Floats) -> float:
    return float(np.sqrt(comm.allreduce(float(values @ values))))
