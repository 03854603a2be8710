"""Charging and discharging with bonds: what each cycle leaves, what was jumped over, going on when killed."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from cycling_cases import BONDS, bonded_particle, library_law, study_folder
from study_cases import rows_of
from test_charge import run, start_and_kill
from test_damage_studies import FATIGUE as TIRES
from test_damage_studies import cracking_folder, solve

from simulations.base.stepping import StepOptions, run_until

FATIGUE = BONDS + '\n\n[physics.fatigue]\nthreshold = "0.08 J/m2"\nresolve = 2\nlargest_change = 0.2\n'
FATIGUE += "agreement = 0.3\n"


def effective_contact(pressure: str, seconds: float = 1000.0) -> list[float]:
    """Share of the contact that is left after each step of a charge."""
    model = bonded_particle(library_law(), cells=2, pressure=pressure)
    model.half.hold_current(model.half.one_c)
    model.settle()
    assert model.contact is not None
    cohesion, found = model.contact.cohesion, []

    def accepted(length: float, following: float) -> None:
        areas = cohesion.areas()
        found.append(areas.effective / areas.total)

    run_until(model, seconds, StepOptions(first=50.0, largest=200.0), accepted=accepted)
    return found


def test_contact_falls_with_the_strain_of_the_lattice_and_rises_with_pressure() -> None:
    """Catches a pressure with the wrong sign, contact that comes back, and pressed faces that do not conduct."""
    low, high, highest = (effective_contact(f"{pressure} MPa") for pressure in (5, 50, 150))
    for left in (low, high, highest):
        assert left[0] > 0.999 and all(b <= a + 1e-3 for a, b in pairwise(left))
    assert low[-1] < 0.9 and low[-1] + 0.02 < high[-1] < highest[-1]


def test_a_cycle_loses_contact_on_charge_and_finds_a_part_of_it_again(tmp_path: Path) -> None:
    """Catches a contact of another cycle's end, energy that bonds take unnoticed, and loss without bonds."""
    folder, whole = study_folder(tmp_path / "bonds"), study_folder(tmp_path / "whole", bonds="")
    run(folder)
    run(whole)
    found = rows_of(folder, "cycles.csv")
    assert [row["cycle"] for row in found] == [1, 2]
    for row in found:
        charged = row["effective contact fraction, charged [1]"]
        assert charged < row["effective contact fraction, discharged [1]"] < 0.999
        assert row["open fraction, charged [1]"] > row["open fraction, discharged [1]"]
        shares = [row[f"{kind} fraction, charged [1]"] for kind in ("bonded", "closed", "open")]
        assert sum(shares) == pytest.approx(1.0, abs=1e-9)
        assert (
            row["charge-transfer resistance, charged [ohm cm2]"]
            > row["charge-transfer resistance, discharged [ohm cm2]"]
        )
        assert row["lithium balance [1]"] < 1e-10 and row["energy imbalance [1]"] < 0.01
        assert 0 < row["mean damage [1]"] <= 1 and row["toughness left [1]"] == 1.0
    for name in ("mean damage [1]", "fracture energy spent [pJ]"):
        assert found[1][name] >= found[0][name] > 0
    resistances = [name for name in found[0] if "transfer resistance" in name and "ohm cm2" in name]
    assert resistances == [
        f"charge-transfer resistance, {end} [ohm cm2]" for end in ("charged", "discharged")
    ]
    null = rows_of(whole, "cycles.csv")
    assert null[1]["capacity discharged [mAh/g]"] == pytest.approx(
        null[0]["capacity discharged [mAh/g]"], rel=2e-3
    )
    assert not any("contact" in name or "damage" in name for name in null[0])
    assert found[1]["voltage hysteresis [V]"] > null[1]["voltage hysteresis [V]"] + 2e-3
    assert found[0]["capacity charged [mAh/g]"] < null[0]["capacity charged [mAh/g]"]
    facts = json.loads((folder / "results-record.json").read_text())["physics"][0]
    assert facts["ended"] == "all of 2 cycle(s) are over" and "no reaction layer" in facts["damage"]


@pytest.mark.verify
def test_v31_bonded_cycles_are_the_same_on_two_ranks(tmp_path: Path) -> None:
    """Catches facets of a bond that both ranks count, and contact that does not cross from rank to rank."""
    alone, both = (study_folder(tmp_path / name) for name in ("alone", "both"))
    run(alone)
    run(both, ranks=2)
    for one, two in zip(rows_of(alone, "cycles.csv"), rows_of(both, "cycles.csv"), strict=True):
        for name in set(one) - {"wall time [s]", "lithium balance [1]"}:  # the balance is rounding
            assert two[name] == pytest.approx(one[name], rel=1e-4, abs=1e-6, nan_ok=True), name


@pytest.mark.verify
def test_v32_cycles_that_are_killed_go_on_to_the_same_end(tmp_path: Path) -> None:
    """Killed before a jump. Catches damage, energy, the pace of the last cycle or sums missing in the checkpoint."""
    whole, killed = (
        study_folder(tmp_path / name, cycles=8, bonds=FATIGUE, mild=True) for name in ("whole", "killed")
    )
    run(whole)
    start_and_kill(killed)
    assert "going on at t = " in run(killed)
    assert sum(row["cycles jumped before"] for row in rows_of(whole, "cycles.csv")) > 0
    for one, other in zip(rows_of(whole, "cycles.csv"), rows_of(killed, "cycles.csv"), strict=True):
        for name in set(one) - {"wall time [s]", "lithium balance [1]"}:  # the balance is rounding
            assert other[name] == pytest.approx(one[name], rel=1e-10, nan_ok=True), name
    for one_row, other_row in zip(rows_of(whole), rows_of(killed), strict=True):
        for name in ("time [s]", "voltage [V]", "largest gap [um]", "effective contact fraction [1]"):
            assert other_row[name] == pytest.approx(one_row[name], rel=1e-10), name


def test_v32_cycles_of_cracking_that_are_killed_go_on_to_the_same_end(tmp_path: Path) -> None:
    """Catches an accumulated energy, or which cycles were resolved, that are not in the checkpoint."""
    whole, killed = (
        cracking_folder(tmp_path / name, TIRES, rate=1, until=0.7, steps=2) for name in ("whole", "killed")
    )
    solve(whole)
    start_and_kill(killed, checkpoint="cracking.npz")
    assert "going on at t = " in solve(killed)
    for table in ("cycles.csv", "scalars.csv"):
        one, other = (
            [
                {name: value for name, value in row.items() if name != "wall time [s]"}
                for row in rows_of(folder, table)
            ]
            for folder in (whole, killed)
        )
        assert len(one) == len(other) > 3
        for wanted, found in zip(one, other, strict=True):
            assert found == pytest.approx(wanted, rel=1e-10, abs=1e-12)


@pytest.mark.verify
def test_jumps_over_cycles_end_where_all_cycles_do(tmp_path: Path) -> None:
    """Catches a jump that forgets damage or adds it twice, and rows of cycles taken back or under another number."""
    jumped = study_folder(tmp_path / "jumped", cycles=10, bonds=FATIGUE, mild=True)
    every = study_folder(tmp_path / "every", cycles=10, bonds=FATIGUE + "longest = 1\n", mild=True)
    run(jumped)
    run(every)
    facts = json.loads((jumped / "results-record.json").read_text())["physics"][0]
    resolved = facts["cycles resolved"]
    assert facts["jumps"] and resolved[-1] == 10 and len(resolved) < 8
    found, expected = rows_of(jumped, "cycles.csv"), rows_of(every, "cycles.csv")
    assert [row["cycle"] for row in found] == resolved and len(expected) == 10
    assert sum(row["cycles jumped before"] for row in found) + len(found) == 10
    for name, rel in (
        ("toughness left [1]", 0.1),
        ("mean damage [1]", 0.05),
        ("capacity discharged [mAh/g]", 0.02),
    ):
        assert found[-1][name] == pytest.approx(expected[-1][name], rel=rel), name
    for row in (*found, *expected):  # also the energy that falling toughness frees
        assert row["energy imbalance [1]"] < 0.01
    rows = rows_of(jumped)
    times = [row["time [s]"] for row in rows]
    assert times == sorted(times) and sorted({int(row["cycle"]) for row in rows}) == resolved
