"""What a row of ``cycles.csv`` adds up, where a cycle was tried and taken back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pxm2mesh.study.protocol import Current
from simulations.studies import charge_cycles
from simulations.studies.charge_cycles import CycleNumbers


def test_a_cycle_that_is_taken_back_leaves_no_charge_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches sums that the mark shares with the cycle which is tried after it (seen: 35 for 15, and 3 steps for 2)."""
    monkeypatch.setattr(charge_cycles, "box_face_area", lambda domain, face: 1.0)
    half: Any = SimpleNamespace(domain=None, cell=SimpleNamespace(collector="z+"), one_c=1.0, current=1.0,
                                charge=0.0, voltage=4.0, time=0.0)  # fmt: skip
    numbers = CycleNumbers(half, None, "z+", per_gram=lambda charge: charge)
    numbers.settled(Current(1.0, until_time=60.0), (3.9, 0.0))
    half.charge = 10.0
    numbers.accepted(0.0)
    mark = numbers.numbers()
    half.charge, half.voltage = 30.0, 5.0
    numbers.accepted(1e-3)
    half.charge, half.voltage = 10.0, 4.0
    numbers.resume(mark)
    half.charge = 15.0
    numbers.accepted(0.0)
    row = numbers.row(1, 0, 0.0)
    assert row["capacity charged [mAh/g]"] == 15.0 and row["steps"] == 2
    assert row["mean voltage while charged [V]"] == 4.0 and row["lithium balance [1]"] == 0.0


def test_hysteresis_does_not_depend_on_the_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches the voltage at the end of a step taken for all of it: .6 V here for .1 V, more the fewer the steps."""
    monkeypatch.setattr(charge_cycles, "box_face_area", lambda domain, face: 1.0)
    half: Any = SimpleNamespace(domain=None, cell=SimpleNamespace(collector="z+"), one_c=1.0, current=1.0,
                                charge=0.0, voltage=3.0, time=0.0)  # fmt: skip
    numbers = CycleNumbers(half, None, "z+", per_gram=lambda charge: charge)
    up = (0.0, 2.0, 4.0)
    for rate, ends in ((1.0, up), (-1.0, up[::-1])):  # open circuit 3 V + charge / 4, .05 V lost
        for charge in ends:
            half.charge, half.voltage = charge, 3.0 + charge / 4 + 0.05 * rate
            if charge == ends[0]:
                numbers.settled(Current(rate, until_time=60.0), (half.voltage - 0.05 * rate, 0.0))
            else:
                numbers.accepted(0.0)
    row = numbers.row(1, 0, 0.0)
    assert row["voltage hysteresis [V]"] == pytest.approx(0.1, abs=1e-12)
    assert row["mean voltage while charged [V]"] == pytest.approx(3.55, abs=1e-12)


def test_a_resistance_is_that_of_the_state_in_which_the_current_is_switched_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Catches the resistance of the discharged cell, found as the charge begins, under the name of the charged one."""
    monkeypatch.setattr(charge_cycles, "box_face_area", lambda domain, face: 1.0)
    half: Any = SimpleNamespace(domain=None, cell=SimpleNamespace(collector="z+"), one_c=1.0, current=1.0,
                                charge=0.0, voltage=3.1, time=0.0)  # fmt: skip
    numbers = CycleNumbers(half, None, "z+", per_gram=lambda charge: charge)
    numbers.settled(Current(1.0, until_time=60.0), (3.0, 0.0))
    half.current, half.voltage = -1.0, 3.9
    numbers.settled(Current(-1.0, until_time=60.0), (4.2, 0.0))
    row = numbers.row(1, 0, 0.0)
    assert row["DC resistance, charged [ohm cm2]"] == pytest.approx(
        3 * row["DC resistance, discharged [ohm cm2]"]
    )
