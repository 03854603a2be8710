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
