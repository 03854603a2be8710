"""Steps in time: accept, or restore everything and cut; events; variable-step BDF2.

A step that does not converge, is not finite or misses its tolerance leaves no trace: the state before it
is put back and a shorter one is tried. After so many cuts the ladder: more robust ways to solve, where the problem
knows some (`Rescuable`), and at last an error that says where and why (`Diagnosable`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from pxm2mesh.errors import NotConvergedError
from simulations.base.diagnosis import Diagnosis

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


@runtime_checkable
class Rescuable(Protocol):
    """A `TimeProblem` that can solve a step in other ways, more robust and dearer ones."""

    def ways(self) -> Sequence[str]:
        """Their names, the mildest first: ``("line search", "direct solver")``; each includes those before it."""

    def solve_by(self, way: str | None) -> None:
        """Attempts go this way from now on; None for the ordinary one."""


@runtime_checkable
class Diagnosable(Protocol):
    """A `TimeProblem` that can tell where an attempt went wrong."""

    def diagnose(self) -> Diagnosis:
        """About the attempt that just failed, before `TimeProblem.restore`; all ranks call."""


@dataclass(frozen=True)
class StepOptions:
    """How steps are chosen.

    Attributes:
        first: The first step after a change of loads, s.
        largest: s.
        smallest: Below this a failing step is given up, s.
        growth: Most that a step may exceed the one before.
        cuts: Cuts in a row before another way to solve is tried, and the run given up when there is none.
        calm: Steps accepted in another way before the ordinary one is taken up again.
        event_width: |event function| at which an event counts as found (0.1 mV for voltages in V).
    """

    first: float = 1.0
    largest: float = math.inf
    smallest: float = 1e-6
    growth: float = 1.8
    cuts: int = 8
    calm: int = 5
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


_REJECTIONS = 60
"""Steps in a row that miss their tolerance: the last is 1e-12 of the first, and no shorter one will do."""
_OVERSHOOT = 1.5
"""A step goes at most so much further than an event that is seen coming: far beyond one there may be no solution."""


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
    checkpoint: Callable[[], str] = lambda: "",
    unit: str = "s",
) -> tuple[Event | None, float]:
    """Step until a time or an event.

    Args:
        problem: What moves; `Rescuable` and `Diagnosable` too, if it can.
        end: s.
        options: How steps are chosen.
        events: What ends the run early; found to ``options.event_width``.
        accepted: Called after each accepted step with its length and that of the step to come.
        step: The first step; ``options.first`` if None.
        statistics: Counted up.
        checkpoint: Names the last checkpoint for the error that ends a run: ``"checkpoints/x.npz at t = 3 s"``.
        unit: Of the problem's time, for messages: ``"loads"``.

    Returns:
        The event, or None at ``end``; and the step that would come next.

    Raises:
        NotConvergedError: A step failed ``options.cuts`` times in a row in every way that the problem knows, or missed
            its tolerance however short it was; the state is the last accepted one. Says the time, the residuals, the
            worst cell and the last checkpoint.
    """
    counts = statistics or StepStatistics()
    step = options.first if step is None else step
    ladder = _Ladder(problem, options, checkpoint, unit)
    values = [event.value() for event in events]
    try:
        while problem.time < end * (1 - 1e-14):
            now = _next_length(end - problem.time, min(step, options.largest))
            error, failure = _attempt(problem, now)
            if failure is not None:
                counts.failed += 1
                step = ladder.after_failure(failure, now)
                continue
            if not error <= 2.0:
                problem.restore()
                counts.rejected += 1
                ladder.after_rejection(error, now)
                step = now * max(0.3, 0.9 / math.sqrt(error))
                continue
            passed = [event for event in events if event.value() > options.event_width]
            if passed:
                event, last = _locate(problem, passed, events, now, options)
                counts.accepted += 1
                if event is not None:
                    accepted(last, step)
                    return event, step
                step, values = last, [event.value() for event in events]
                accepted(last, step)
                continue
            problem.commit()
            ladder.after_success()
            counts.accepted += 1
            reached = [event for event in events if abs(event.value()) <= options.event_width]
            growth = min(options.growth, max(0.5, 0.9 / math.sqrt(max(error, 1e-12))))
            step = now * growth if now >= min(step, options.largest) * 0.999 or growth < 1 else step
            before, values = values, [event.value() for event in events]
            step = min(step, max(_OVERSHOOT * _ahead(before, values, now), now / 4))
            accepted(now, step)
            if reached:
                return reached[0], step
    finally:
        ladder.leave()
    return None, step


def _ahead(before: Sequence[float], values: Sequence[float], step: float) -> float:
    """How far away the first event is, if all go on as in the last step."""
    going = [-b / (b - a) * step for a, b in zip(before, values, strict=True) if a < b < 0]
    return min(going, default=math.inf)


def _next_length(remaining: float, step: float) -> float:
    """The step, stretched or halved so that no sliver is left at the end."""
    if step > 0.999 * remaining:
        return remaining
    return remaining / 2 if step > remaining / 2 else step


def _attempt(problem: TimeProblem, step: float) -> tuple[float, NotConvergedError | None]:
    """The error of a step, and why it failed if it did; NaN is a failure."""
    try:
        problem.attempt(step)
        error = problem.error()
    except NotConvergedError as raised:
        return math.nan, raised
    if math.isfinite(error):
        return error, None
    return error, NotConvergedError("the step is not a number;", reason="not a number")


class _Ladder:
    """What is tried when a step fails: shorter ones, then other ways to solve, then an error that says why."""

    def __init__(
        self, problem: TimeProblem, options: StepOptions, checkpoint: Callable[[], str], unit: str
    ) -> None:
        self.problem, self.options, self.checkpoint, self.unit = problem, options, checkpoint, unit
        self.cuts, self.first, self.calm, self.rung, self.rejections = 0, 0.0, 0, 0, 0
        self.tried: list[str] = []

    def after_rejection(self, error: float, step: float) -> None:
        """Count a step that was solved but too coarse; `NotConvergedError` where shorter ones are no better."""
        self.rejections += 1
        if self.rejections == _REJECTIONS:
            kept = last_good(self.checkpoint())
            raise NotConvergedError(
                f"at t = {self.problem.time:.6g} {self.unit} {_REJECTIONS} steps in a row missed their tolerance, the "
                f"last of {step:.3g} {self.unit} by a factor of {error:.3g};",
                reason="tolerance", time=self.problem.time,
                hint=f"{kept}; allow a larger error, or bonds and cracks to spend more in a step.",
            )  # fmt: skip

    def after_failure(self, failure: NotConvergedError, step: float) -> float:
        """Restore, and give the step to try next; `NotConvergedError` at the end of the ladder."""
        options, problem = self.options, self.problem
        self.cuts += 1
        self.first = step if self.cuts == 1 else self.first
        if self.cuts < options.cuts and step / 2 >= options.smallest:
            problem.restore()
            log.info("t = %.6g %s: step %.3g failed (%s); cut to %.3g", problem.time, self.unit, step,
                     failure.message, step / 2)  # fmt: skip
            return step / 2
        ways = problem.ways() if isinstance(problem, Rescuable) else ()
        if self.rung < len(ways) and isinstance(problem, Rescuable):
            problem.restore()
            way, cuts = ways[self.rung], self.cuts
            problem.solve_by(way)
            self.rung, self.cuts, self.calm = self.rung + 1, 0, 0
            self.tried.append(way)
            log.warning("t = %.6g %s: still failing after %d cuts (%s): trying with %s from %.3g on",
                        problem.time, self.unit, cuts, failure.message, way, self.first)  # fmt: skip
            return self.first
        found = problem.diagnose() if isinstance(problem, Diagnosable) else None
        problem.restore()
        raise self._end(failure, step, found) from failure

    def _end(self, failure: NotConvergedError, step: float, found: Diagnosis | None) -> NotConvergedError:
        ways = f", also with {' and with '.join(self.tried)}" if self.tried else ""
        about = f" {found}" if found is not None and str(found) else ""
        about = about if not about or about.endswith(";") else about + ";"
        kept = last_good(self.checkpoint())
        hint = failure.hint or "a lower rate or a finer mesh may carry it further."
        return NotConvergedError(
            f"at t = {self.problem.time:.6g} {self.unit} a step of {step:.3g} {self.unit} still failed after "
            f"{self.cuts} cuts{ways}: "
            f"{failure.message}{about}",
            reason=failure.reason, iterations=failure.iterations, residual=failure.residual,
            time=self.problem.time, hint=f"{kept}; {hint}",
        )  # fmt: skip

    def after_success(self) -> None:
        """Back to the ordinary way once all is calm."""
        self.cuts = self.rejections = 0
        self.calm += 1
        if self.rung and self.calm >= self.options.calm:
            self.leave()

    def leave(self) -> None:
        """The ordinary way."""
        if self.rung and isinstance(self.problem, Rescuable):
            self.problem.solve_by(None)
        self.rung, self.tried = 0, []


def last_good(checkpoint: str) -> str:
    """For an error that ends a run: where its last good state is, if anywhere."""
    return f"the last good state is in {checkpoint}" if checkpoint else "no state was kept yet"


def _locate(
    problem: TimeProblem, passed: Sequence[Event], events: Sequence[Event], step: float, options: StepOptions
) -> tuple[Event | None, float]:
    """Shorten a step that passed events until the first is met: regula falsi, the end that stays halved (Illinois).

    Where the length that should meet it fails, a part of the way is gone instead: no event then, but it is nearer.
    """
    high, high_value = step, max(event.value() for event in passed)
    problem.restore()
    low, low_value = 0.0, max(event.value() for event in passed)
    first, above, part = max(passed, key=lambda event: event.value()), True, 1.0
    for trial in range(40):
        share = low_value / (low_value - high_value) if low_value < 0 < high_value else 0.5
        share = 0.5 if trial % 6 == 5 else min(max(share, 0.02), 0.98)
        now = part * (low + share * (high - low))
        _, failure = _attempt(problem, now)
        if failure is not None:
            problem.restore()
            part /= 2
            continue
        value = max(event.value() for event in events)
        first = max(events, key=lambda event: event.value())
        if abs(value) <= options.event_width or high - low < 1e-12 * step:
            problem.commit()
            return first, now
        if part < 1 and value < 0:
            problem.commit()
            return None, now
        problem.restore()
        part = 1.0
        if value > 0:
            low_value = low_value / 2 if above else low_value
            high, high_value, above = now, value, True
        else:
            high_value = high_value if above else high_value / 2
            low, low_value, above = now, value, False
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
