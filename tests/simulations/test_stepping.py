"""The ladder of a step that fails: cuts, other ways to solve, and an error that says where and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pxm2mesh.errors import NotConvergedError
from simulations.base.diagnosis import Diagnosis, worst_place
from simulations.base.domain import Domain
from simulations.base.stepping import Event, StepOptions, StepStatistics, run_until
from simulations.models.diffusion import Diffusion
from simulations.shapes import ball


class Stubborn:
    """A clock that fails between two times unless it is solved in the right way."""

    def __init__(self, needs: str, *, until: float = 2.0) -> None:
        self.time, self.needs, self.until = 1.0, needs, until
        self.way: str | None = None
        self.log: list[tuple[float, str | None]] = []
        self._step = 0.0

    def attempt(self, step: float) -> None:
        self._step = step
        if self.time < self.until and self.way != self.needs:
            raise NotConvergedError("stuck;", reason="test")

    def error(self) -> float:
        return 0.0

    def commit(self) -> None:
        self.time += self._step
        self.log.append((self.time, self.way))

    def restore(self) -> None:
        """Nothing was changed."""

    def interrupt(self) -> None:
        """No history."""

    def ways(self) -> Sequence[str]:
        return ("mild", "strong")

    def solve_by(self, way: str | None) -> None:
        self.way = way

    def diagnose(self) -> Diagnosis:
        return Diagnosis({"clock": 0.5}, cause="it is stubborn")


def test_other_ways_are_tried_and_left_again_when_all_is_calm() -> None:
    """Catches a way that is kept for ever, and one that starts with the step that eight cuts have left."""
    problem, counts = Stubborn("strong"), StepStatistics()
    run_until(problem, 20.0, StepOptions(first=0.5, growth=1.2, calm=3), statistics=counts)
    ways = [way for _, way in problem.log]
    assert counts.failed == 16 and ways[0] == "strong" and problem.log[0][0] == pytest.approx(1.5)
    assert ways[-1] is None and ways.count("strong") == 3 and problem.way is None


def test_the_end_of_the_ladder_says_all_that_is_known() -> None:
    problem = Stubborn("a miracle")
    with pytest.raises(NotConvergedError) as caught:
        run_until(problem, 20.0, StepOptions(first=0.5), checkpoint=lambda: "checkpoints/x.npz at t = 1 s")
    text = str(caught.value)
    for part in ("at t = 1 s", "after 8 cuts, also with mild and with strong: stuck", "residuals: clock 5.0e-01",
                 "likely cause: it is stubborn", "the last good state is in checkpoints/x.npz at t = 1 s"):  # fmt: skip
        assert part in text
    assert caught.value.reason == "test" and problem.way is None and problem.time == 1.0


def test_a_tolerance_that_no_step_meets_ends_the_run() -> None:
    """Catches steps that shrink for ever: a run that neither goes on nor says why."""

    class Coarse(Stubborn):
        def error(self) -> float:
            return 5.0

    problem, counts = Coarse("", until=0.0), StepStatistics()
    with pytest.raises(
        NotConvergedError, match=r"60 steps in a row missed.*by a factor of 5.*no state was kept"
    ) as caught:
        run_until(problem, 20.0, StepOptions(first=0.5), statistics=counts)
    assert caught.value.reason == "tolerance" and counts.rejected == 60 and problem.time == 1.0


def test_an_event_is_found_past_a_length_that_fails() -> None:
    """Catches an error that escapes while an event is located: the run would end in the middle of a step."""

    class Fragile(Stubborn):
        tries = 0

        def attempt(self, step: float) -> None:
            super().attempt(step)
            self.tries += 1
            if self.tries == 2:
                raise NotConvergedError("once;")

    problem = Fragile("", until=0.0)
    late = Event("late", lambda: problem.time + problem._step - 3.3 if problem._step else -1.0)
    event, _ = run_until(problem, 20.0, StepOptions(first=5.0, event_width=1e-6), events=[late])
    assert event is late and problem.time == pytest.approx(3.3, abs=1e-6)


def test_an_event_is_found_where_steps_of_its_length_fail() -> None:
    """Only long steps and short ones work. Catches the same failing length tried forty times, and then an error."""
    tried: list[float] = []

    class Gap(Stubborn):
        def attempt(self, step: float) -> None:
            super().attempt(step)
            tried.append(self.time + step)
            if 1.5 < step < 4.0:
                raise NotConvergedError("neither long nor short;")

    problem = Gap("", until=0.0)
    late = Event("late", lambda: problem.time + problem._step - 3.3 if problem._step else -1.0)
    event, _ = run_until(problem, 20.0, StepOptions(first=5.0, event_width=1e-6), events=[late])
    assert event is late and problem.time == pytest.approx(3.3, abs=1e-6) and len(tried) < 20


def test_the_worst_place_is_where_the_residual_is_largest() -> None:
    """Catches a cell that does not have the node, and NaN taken for small."""
    particle = Diffusion(Domain.from_mesh(ball({"P": 1.0}, cells=3)), 1.0, 1.0, 0.5)
    space = particle.x.function_space
    places = space.tabulate_dof_coordinates()
    for index, value in ((7, -3.0), (11, np.nan)):
        residual = np.ones(len(places))
        residual[index] = value
        found = worst_place(particle.domain, space, residual)
        assert found is not None and found.point == pytest.approx(tuple(places[index])) and found.phase == "P"
        source = particle.domain.source
        assert source is not None
        corners = source.points[source.cells[found.cell]]
        assert np.abs(corners - places[index]).sum(axis=1).min() < 1e-12
    assert worst_place(particle.domain, space, np.zeros(len(places))) is None


def test_no_step_is_tried_far_beyond_an_event_that_is_seen_coming() -> None:
    """The steps double, the event is 10 s away. Catches steps into where there may be no solution."""
    tried = [1.0]

    class Watched(Stubborn):
        def attempt(self, step: float) -> None:
            tried.append(self.time + step)
            super().attempt(step)

        def restore(self) -> None:
            tried.append(self.time)

    problem = Watched("", until=0.0)
    event = Event("far enough", lambda: tried[-1] - 11.0)
    found, _ = run_until(problem, 100.0, StepOptions(first=1.0, growth=2.0, event_width=1e-6), events=[event])
    assert found is event and problem.time == pytest.approx(11.0, abs=1e-5)
    assert max(tried) < 14.0  # 16 if steps just double
