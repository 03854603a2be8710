"""Steps in time: accept, or restore everything and cut; events; variable-step BDF2.

A step that does not converge, is not finite or misses its tolerance leaves no trace: the state before it
is put back and a shorter one is tried.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from pxm2mesh.errors import NotConvergedError

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]


class TimeProblem(Protocol):
    """What can be stepped in time."""

    time: float

    def attempt(self, step: float) -> None:
        """Solve for the state at ``time + step``; `NotConvergedError` if that fails."""

    def error(self) -> float:
        """Estimated error of the attempted step, in units of the tolerance; 0 where there is no estimate."""

    def commit(self) -> None:
        """Keep the attempted step: it is the state now, and ``time`` has moved on."""

    def restore(self) -> None:
        """Forget the attempted step."""

    def interrupt(self) -> None:
        """Loads change abruptly here: history before this time says nothing about what follows."""


@dataclass(frozen=True)
class StepOptions:
    """How steps are chosen.

    Attributes:
        first: The first step after a change of loads, s.
        largest: s.
        smallest: Below this a failing step is given up, s.
        growth: Most that a step may exceed the one before.
        cuts: Cuts in a row before giving up.
        event_width: |event function| at which an event counts as found (0.1 mV for voltages in V).
    """

    first: float = 1.0
    largest: float = math.inf
    smallest: float = 1e-6
    growth: float = 1.8
    cuts: int = 8
    event_width: float = 1e-4


@dataclass(frozen=True)
class Event:
    """Something that ends a run when its value passes zero from below.

    Attributes:
        name: What happened, for the record: ``"voltage reached 4.3 V"``.
        value: Negative before the event, positive after; in V for voltages.
    """

    name: str
    value: Callable[[], float]


@dataclass
class StepStatistics:
    """What a run took."""

    accepted: int = 0
    rejected: int = 0
    failed: int = 0


def run_until(
    problem: TimeProblem,
    end: float,
    options: StepOptions,
    *,
    events: Sequence[Event] = (),
    accepted: Callable[[float, float], None] = lambda length, following: None,
    step: float | None = None,
    statistics: StepStatistics | None = None,
) -> tuple[Event | None, float]:
    """Step until a time or an event.

    Args:
        problem: What moves.
        end: s.
        options: How steps are chosen.
        events: What ends the run early; found to ``options.event_width``.
        accepted: Called after each accepted step with its length and that of the step to come.
        step: The first step; ``options.first`` if None.
        statistics: Counted up.

    Returns:
        The event, or None at ``end``; and the step that would come next.

    Raises:
        NotConvergedError: A step failed ``options.cuts`` times in a row; the state is the last accepted one.
    """
    counts = statistics or StepStatistics()
    step = options.first if step is None else step
    cuts = 0
    while problem.time < end * (1 - 1e-14):
        remaining = end - problem.time
        step = min(step, options.largest)
        now = (
            remaining
            if step > 0.999 * remaining
            else min(step, remaining / 2 if step > remaining / 2 else step)
        )
        try:
            problem.attempt(now)
            error = problem.error()
            failure = None if math.isfinite(error) else NotConvergedError("the step is not a number;")
        except NotConvergedError as raised:
            failure, error = raised, math.nan
        if failure is not None:
            problem.restore()
            cuts += 1
            counts.failed += 1
            _give_up(problem, failure, now, cuts, options)
            step = now / 2
            log.info(
                "t = %.6g s: step %.3g s failed (%s); cut to %.3g s", problem.time, now, failure.message, step
            )
            continue
        if not error <= 2.0:
            problem.restore()
            counts.rejected += 1
            step = now * max(0.3, 0.9 / math.sqrt(error))
            continue
        passed = [event for event in events if event.value() > options.event_width]
        if passed:
            event, last = _locate(problem, passed, events, now, options)
            counts.accepted += 1
            accepted(last, step)
            return event, step
        cuts = 0
        problem.commit()
        counts.accepted += 1
        reached = [event for event in events if abs(event.value()) <= options.event_width]
        growth = min(options.growth, max(0.5, 0.9 / math.sqrt(max(error, 1e-12))))
        step = now * growth if now >= step * 0.999 or growth < 1 else step
        accepted(now, step)
        if reached:
            return reached[0], step
    return None, step


def _give_up(
    problem: TimeProblem, failure: NotConvergedError, step: float, cuts: int, options: StepOptions
) -> None:
    if cuts < options.cuts and step / 2 >= options.smallest:
        return
    raise NotConvergedError(
        f"at t = {problem.time:.6g} s a step of {step:.3g} s still failed after {cuts} cuts: {failure.message}",
        reason=failure.reason,
        iterations=failure.iterations,
        residual=failure.residual,
        time=problem.time,
        hint=failure.hint
        or "the last good state is on disk; a lower rate or a finer mesh may carry it further.",
    ) from failure


def _locate(
    problem: TimeProblem, passed: Sequence[Event], events: Sequence[Event], step: float, options: StepOptions
) -> tuple[Event, float]:
    """Shorten a step that passed events until the first of them is met; regula falsi with safeguards."""
    high, high_value = step, max(event.value() for event in passed)
    problem.restore()
    low, low_value = 0.0, max(event.value() for event in passed)
    first = max(passed, key=lambda event: event.value())
    for trial in range(40):
        share = low_value / (low_value - high_value) if low_value < 0 < high_value else 0.5
        share = 0.5 if trial % 3 == 2 else min(max(share, 0.02), 0.98)
        now = low + share * (high - low)
        problem.attempt(now)
        value = max(event.value() for event in events)
        first = max(events, key=lambda event: event.value())
        if abs(value) <= options.event_width or high - low < 1e-12 * step:
            problem.commit()
            return first, now
        problem.restore()
        if value > 0:
            high, high_value = now, value
        else:
            low, low_value = now, value
    raise NotConvergedError(f"the event {first.name!r} near t = {problem.time:.6g} s could not be located;",
                            time=problem.time, hint="tighten the tolerance of the steps.")  # fmt: skip


class Bdf:
    """Variable-step BDF2 for one function: coefficients, history, predictor.

    The first step, and the first after `interrupt`, is backward Euler.

    Args:
        function: The unknown.

    Attributes:
        coefficients: Three constants: d/dt u ≈ a₀ u + a₁ uₙ + a₂ uₙ₋₁.
        old: uₙ.
        older: uₙ₋₁.
    """

    def __init__(self, function: fem.Function) -> None:
        self.function = function
        self.old, self.older = function.copy(), function.copy()
        self.coefficients = [fem.Constant(function.function_space.mesh, 0.0) for _ in range(3)]
        self.last_step: float | None = None
        self._step = 0.0

    def begin(self, step: float) -> None:
        """Set the coefficients for a step and start from the predicted state."""
        self._step = step
        for constant, value in zip(self.coefficients, self.weights(step), strict=True):
            constant.value = value
        self.function.x.array[:] = self.predicted()

    def weights(self, step: float) -> tuple[float, float, float]:
        """a₀, a₁, a₂ for a step."""
        if self.last_step is None:
            return 1 / step, -1 / step, 0.0
        w = step / self.last_step
        return (1 + 2 * w) / (1 + w) / step, -(1 + w) / step, w * w / (1 + w) / step

    def predicted(self) -> Floats:
        """Linear extrapolation of the history."""
        if self.last_step is None:
            return np.array(self.old.x.array)
        change = self.old.x.array - self.older.x.array
        return np.asarray(self.old.x.array + change * (self._step / self.last_step))

    def change(self) -> Floats:
        """What the solution adds to the prediction: the estimate of the error is a sixth of it."""
        if self.last_step is None:
            return np.asarray(np.zeros_like(self.function.x.array))
        return np.asarray(self.function.x.array - self.predicted())

    def commit(self) -> None:
        """Move on."""
        self.older.x.array[:] = self.old.x.array
        self.old.x.array[:] = self.function.x.array
        self.last_step = self._step

    def restore(self) -> None:
        """Go back to the last accepted state."""
        self.function.x.array[:] = self.old.x.array

    def interrupt(self) -> None:
        """Start anew with backward Euler."""
        self.last_step = None
