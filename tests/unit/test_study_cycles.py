"""Cycles, bonds, fatigue and pressing in the section of a half-cell."""

from __future__ import annotations

from typing import Any

import pytest

from pxm2mesh.errors import StudyError
from pxm2mesh.study.damage import Debonding
from pxm2mesh.study.half_cell import HalfCell
from pxm2mesh.study.protocol import Current, Press, parse_steps

BASE: dict[str, Any] = {
    "model": "half-cell",
    "active": "NMC",
    "electrolyte": "LPSCl",
    "protocol": ["1C until 4.2 V"],
}
BONDED = {"bonds": ["NMC | LPSCl"]}


def test_a_protocol_may_press() -> None:
    assert parse_steps(["press 20 MPa", "1C for 60 s"]) == (Press(20.0), Current(1.0, until_time=60.0))
    assert HalfCell(**{**BASE, "protocol": ["press 20 MPa"], "mechanics": {}}).mechanics is not None


@pytest.mark.parametrize(
    "text",
    [
        "press 20 MPa for 10 min",
        "press 5 MPa until 4.2 V",
        "rest 10 min until 3.5 V",
        "rest 5 min for 10 min",
    ],
)
def test_no_word_of_a_step_is_dropped(text: str) -> None:
    """Catches an end that somebody asked for and that a run would not have."""
    with pytest.raises(StudyError, match="protocol step"):
        parse_steps([text])


def test_bonds_have_the_keys_of_debonding_and_time_as_their_viscosity() -> None:
    mechanics = HalfCell(**BASE, mechanics={**BONDED, "viscosity": "5 s"}, fatigue={}).mechanics
    assert mechanics is not None and mechanics.viscosity.value == 5.0 and mechanics.strength is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"fatigue": {}}, "nothing that could fatigue"),
        ({"fatigue": {}, "mechanics": {}}, "nothing that could fatigue"),
        ({"protocol": ["press 3 MPa"]}, "presses without mechanics"),
        ({"protocol": ["press 3 MPa"], "mechanics": {"hold": "gap"}}, "plate that is held"),
        ({"cycles": 2, "protocol": ["1C until 4.2 V"]}, "charges from 4.2 V to 4.2 V"),
        ({"mechanics": {**BONDED, "viscosity": "5 um"}}, "time"),
        ({"cycles": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_cycled_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        HalfCell(**{**BASE, **given})


def test_loads_up_to_the_last_hold_are_applied_once() -> None:
    section = {"model": "debonding", **BONDED, "cycles": 3, "fatigue": {}}
    assert Debonding(**section, loads=["5 MPa", "hold", "x 0.5", "x 0.9"]).once == 2
    assert Debonding(**section, loads=["x 0.5", "x 0.9"]).once == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cycles": 3}, "belong together"),
        ({"fatigue": {}}, "belong together"),
        ({"cycles": 3, "fatigue": {}, "loads": ["5 MPa", "hold"]}, "no load is left for the cycles"),
    ],
)
def test_loads_that_cannot_be_cycled_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Debonding(**{"model": "debonding", "loads": ["x 0.5", "x 0.9"], **BONDED, **given})
