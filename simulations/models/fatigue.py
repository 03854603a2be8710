"""Fatigue: what cycles leave of a fracture energy, and jumps over cycles with error control."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from pxm2mesh.errors import StudyError
from pxm2mesh.study.damage import Fatigue

log = logging.getLogger(__name__)
_TO_SPARE = 0.8
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
        largest_change: Most by which a jump may change the problem's `Cyclic.indicator` or what is `Cyclic.damaged`,
            each measured by `Cyclic.amount`.
        agreement: Largest relative difference between the change of the indicator in a cycle that was extrapolated and
            the one found after it; for slow changes, relative to a tenth of ``largest_change`` over the whole jump.
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
    """What goes through the same cycle many times.

    Attributes:
        pace: What the last resolved cycle has added to the history, zero before the first; a part of the state.
    """

    pace: Floats

    def cycle(self) -> None:
        """Resolve one cycle and keep it."""

    def history(self) -> Floats:
        """What cycles accumulate, as one array of this rank: ᾱ."""

    def extrapolate(self, history: Floats) -> None:
        """Take a history that was not resolved."""

    def indicator(self, history: Floats) -> Floats:
        """Values between 0 and 1 that a jump must not change by much: the share of the toughness that is lost."""

    def damaged(self) -> Floats:
        """Damage, as long as the indicator: it is not extrapolated, but follows in the next cycle."""

    def amount(self, change: Floats) -> float:
        """How large a change of the indicator is, on all ranks: its largest value, or its mean over an area."""

    def state(self) -> Mapping[str, Floats]:
        """Copies of all that a cycle changes."""

    def restore(self, state: Mapping[str, Floats]) -> None:
        """Go back to what `state` returned."""


class Cycled(Protocol):
    """A run whose cycles can be tried: what steps through one, and writes it down."""

    def cycle(self) -> None:
        """Go through all of it once."""

    def mark(self) -> Mapping[str, Any]:
        """What `back_to` needs."""

    def back_to(self, mark: Mapping[str, Any]) -> None:
        """Take back what was written since; what is cycled has been restored."""


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
        since: Cycles resolved since the last jump, and the one it was judged by.
        limit: Longest jump that may be tried next; 0 before the first.
        ahead: Cycles jumped over right before the one that is going on, which may be taken back with them.
    """

    resolved: list[int] = field(default_factory=list)
    jumps: list[tuple[int, int, float]] = field(default_factory=list)
    rejected: int = 0
    spent: int = 0
    done: int = 0
    since: int = 0
    limit: int = 0
    ahead: int = 0

    @property
    def jumped(self) -> int:
        """Cycles jumped over right before the last one that was kept."""
        return self.resolved[-1] - (self.resolved[-2] if len(self.resolved) > 1 else 0) - 1


def run_cycles(
    problem: Cyclic,
    cycles: int,
    options: JumpOptions | None = None,
    *,
    record: CycleRecord | None = None,
    accepted: Callable[[int], None] = lambda number: None,
) -> CycleRecord:
    """Go through many cycles, resolving few of them.

    After ``resolve`` cycles what accumulates is extrapolated over as many cycles as change neither the indicator nor
    damage by more than ``largest_change``: by the rate r of the last cycle or, at points where the one before had a
    higher rate r₀, by r/(1 + s k) in the k-th cycle, s = 1 − r/r₀ (exact for rates that fall as 1/n, as those of bonds
    do that come off). One cycle is then resolved: if it changes the indicator otherwise than was extrapolated, by more
    than ``agreement``, or damage by more than twice ``largest_change``, the jump is taken back. The next one is as long
    as these two leave room for, with a fifth to spare, were the error proportional to the length.

    Args:
        problem: What is cycled.
        cycles: How many in all.
        options: How to jump.
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
        damage, before = problem.damaged(), problem.pace
        _resolve(problem, record)
        wear = problem.amount(problem.damaged() - damage)
        record.since += 1
        _keep(record, 1, accepted)
        if record.since < options.resolve:
            continue
        record.since = 0
        trend = _Trend(problem.pace, before)
        length = min(_length(problem, trend, wear, options), record.limit, cycles - record.done - 1)
        if length < 2:
            record.limit = min(2 * record.limit, options.longest)
            continue
        _jump(problem, record, trend, length, options, accepted)
    return record


class _Trend:
    """What each of the next cycles adds to a history, from what the last two did.

    Args:
        last: Of the last cycle.
        before: Of the one before; zero where it is not known.
    """

    def __init__(self, last: Floats, before: Floats) -> None:
        self.last = last
        self.slowing = np.clip(1 - last / np.where(before > 0, before, np.inf), 0, 1) * (before > 0)

    def of(self, cycle: int) -> Floats:
        """In the k-th cycle from now."""
        return np.asarray(self.last / (1 + self.slowing * cycle))

    def over(self, cycles: int) -> Floats:
        """In the next k cycles together."""
        inverse = 1 / np.maximum(self.slowing, 1e-6)
        harmonic = inverse * (digamma(inverse + cycles + 1) - digamma(inverse + 1))
        return np.asarray(self.last * np.where(self.slowing > 1e-6, harmonic, cycles))


def _jump(
    problem: Cyclic, record: CycleRecord, trend: _Trend, length: int, options: JumpOptions,
    accepted: Callable[[int], None],
) -> None:  # fmt: skip
    """Extrapolate over ``length`` cycles and resolve the next; take it back where the rate is another one."""
    kept, damage = problem.state(), problem.damaged()
    problem.extrapolate(problem.history() + trend.over(length))
    before = problem.history()
    now, expected = problem.indicator(before), problem.indicator(before + trend.of(length + 1))
    record.ahead = length
    _resolve(problem, record)
    record.ahead = 0
    wear = problem.amount(problem.damaged() - damage)
    wrong = problem.amount(problem.indicator(problem.history()) - expected)
    error = wrong / max(problem.amount(expected - now), 0.1 * options.largest_change / length)
    room = _TO_SPARE * min(options.agreement / max(error, 1e-9), 2 * options.largest_change / max(wear, 1e-9))
    fitting = min(max(round(room * length), length // 4, 1), 2 * length, options.longest)
    if error > options.agreement or wear > 2 * options.largest_change:
        problem.restore(kept)
        record.rejected += 1
        record.limit = max(min(fitting, length - 1), 1)
        log.info("cycle %d: a jump over %d errs by %.2g, adds %.2g of damage and is taken back",
                 record.done, length, error, wear)  # fmt: skip
        return
    record.jumps.append((record.done, length, error))
    log.info("cycle %d: jumped over %d cycles (error %.2g, damage %.2g)", record.done, length, error, wear)
    record.limit = fitting
    record.since = 1
    _keep(record, length + 1, accepted)


def _keep(record: CycleRecord, cycles: int, accepted: Callable[[int], None]) -> None:
    record.done += cycles
    record.resolved.append(record.done)
    accepted(record.done)


def _resolve(problem: Cyclic, record: CycleRecord) -> None:
    """One cycle."""
    before = problem.history()
    problem.cycle()
    record.spent += 1
    problem.pace = np.asarray(problem.history() - before)


def _length(problem: Cyclic, trend: _Trend, wear: float, options: JumpOptions) -> int:
    """The most cycles over which nothing changes too much, by bisection: the indicator need not be linear."""
    history = problem.history()
    now, pace = problem.indicator(history), problem.amount(trend.last)

    def change(cycles: int) -> float:
        more = trend.over(cycles)
        lost = problem.amount(problem.indicator(history + more) - now)
        return max(lost, wear * problem.amount(more) / pace if pace > 0 else wear * cycles)

    low, high = 0, options.longest
    if change(high) <= options.largest_change:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if change(middle) <= options.largest_change else (low, middle)
    return low
