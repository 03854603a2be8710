"""``model = "mechanics"`` from a study: plate, gap, swelling and flow; energy balance (V33); files and restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killing import Killed
from meshes import box
from study_cases import WITH_VOID, rows_of

from pxm2mesh.errors import NotConvergedError, Pxm2meshError, StudyError
from pxm2mesh.io.meshes import save_arrays
from pxm2mesh.materials import read_material
from pxm2mesh.quantities import Quantities
from pxm2mesh.study import parse_study
from pxm2mesh.study.mechanics import MechanicalLoad, parse_load
from simulations.studies.run import run

STUDY = (
    WITH_VOID
    + """
[[physics]]
model = "mechanics"
%s

[output]
folder = "."
"""
)


def prepare(folder: Path, physics: str, *, inclusion: bool = True, cells: int = 2) -> Path:
    """A cube of NMC in one corner of LPSCl, or NMC alone; 2 µm."""
    folder.mkdir(exist_ok=True)
    phase = (lambda c: np.where(np.all(c < 1.0, axis=1), 1, 2)) if inclusion else None
    save_arrays(box((cells,) * 3, (2.0, 2.0, 2.0), phase), folder / "mesh.npz")
    (folder / "study.toml").write_text(STUDY % physics)
    return folder


def test_a_plate_gives_way_and_a_gap_does_not(tmp_path: Path) -> None:
    """NMC alone between mirrors, pressed with 5 MPa, then delithiated under the plate or in the gap: Hooke's law.

    Catches a plate that is held from the start, a gap that lets go, and a strain that is not the material's.
    """
    nmc = read_material("NMC811")
    young, poisson = (float(nmc.require(f"elastic.{k}")) for k in ("youngs_modulus", "poisson_ratio"))
    confined = young * (1 - poisson) / ((1 + poisson) * (1 - 2 * poisson))
    change = nmc.require("swelling.volume_strain")
    ends = {}
    for name, loads in (("plate", '"5 MPa", "x 0.8"'), ("gap", '"5 MPa", "hold", "x 0.8"')):
        folder = prepare(tmp_path / name, f"loads = [{loads}]\ninitial = 0.85", inclusion=False)
        run(folder)
        ends[name] = rows_of(folder)[-1]
        assert rows_of(folder)[1]["closing [um]"] == pytest.approx(2 * 5 / confined, rel=1e-7)
    free = float(change(0.8) - change(0.85)) / 3
    assert ends["plate"]["pressure [MPa]"] == pytest.approx(5.0, rel=1e-8)
    along = free * (1 + poisson) / (1 - poisson)
    assert ends["plate"]["closing [um]"] == pytest.approx(2 * (5 / confined - along), rel=1e-6)
    assert ends["gap"]["closing [um]"] == pytest.approx(2 * 5 / confined, rel=1e-7)
    assert ends["gap"]["pressure [MPa]"] == pytest.approx(5.0 + confined * along, rel=1e-6)
    for row in ends.values():
        assert row["energy imbalance [1]"] < 1e-5


def test_v33_the_work_of_the_plate_is_stored_or_used_up(tmp_path: Path) -> None:
    """V33, 1 %: pressed to 2 GPa, where the electrolyte flows, and released.

    Catches plastic work left out, work taken with the force at the end of an increment, and energy of all the strain.
    """
    folder = prepare(
        tmp_path, 'loads = ["2 GPa", "5 MPa"]\nplastic = ["LPSCl"]\nsteps = 12\nwrite_every = 100'
    )
    run(folder)
    found = rows_of(folder)
    pressed = next(r for r in found if r["loads applied [1]"] == 1.0)
    assert pressed["plastic work [pJ]"] > 0.1 * pressed["elastic energy [pJ]"]
    assert pressed["mean plastic strain LPSCl [1]"] > 1e-3
    for row in (pressed, found[-1]):
        held = row["elastic energy [pJ]"] + row["plastic work [pJ]"]
        assert row["work of the plate [pJ]"] == pytest.approx(held, rel=0.01)
    assert found[-1]["elastic energy [pJ]"] < 0.2 * pressed["elastic energy [pJ]"]


def test_v33_the_work_of_swelling_is_stored(tmp_path: Path) -> None:
    """V33, 1 %: an inclusion shrinks in a matrix under a plate; catches swelling that works for nothing (100 %)."""
    folder = prepare(tmp_path, 'loads = ["5 MPa", "x 0.4"]\ninitial = 0.9\nsteps = 4')
    run(folder)
    last = rows_of(folder)[-1]
    assert last["energy imbalance [1]"] < 0.01
    assert last["work of swelling [pJ]"] > 0.5 * last["elastic energy [pJ]"]
    assert last["mean hydrostatic stress NMC [MPa]"] > 100  # a shrinking particle is pulled
    assert last["lithiation NMC [1]"] == pytest.approx(0.4)


def test_a_run_leaves_quantities_and_fields(tmp_path: Path) -> None:
    folder = prepare(tmp_path, 'loads = ["close 0.002 um"]\nsides = "free"\norder = 1')
    run(folder)
    found = Quantities.read(folder / "quantities-solve.json")
    assert found.value("closing") == pytest.approx(0.002) and found.value("stack_pressure") > 10
    assert found.value("mean_hydrostatic_stress", phase="NMC") < 0
    written = (folder / "results" / "results_000001.vtu").read_bytes()
    for name in ("displacement [um]", "stress [MPa]", "von Mises stress [MPa]", "hydrostatic stress [MPa]"):
        assert name.encode() in written
    facts = json.loads((folder / "results-record.json").read_text())["physics"][0]
    assert facts["held fraction"] == pytest.approx(1.0) and "close 0.002 um" in facts["events"][0]


def test_a_limit_load_ends_the_run_with_the_last_good_state_on_disk(tmp_path: Path) -> None:
    """Catches a load that is skipped: without hardening the electrolyte cannot carry 5 GPa on free sides."""
    soft = tmp_path / "soft.toml"
    soft.write_text(
        'name = "soft"\nelastic = { youngs_modulus = "22 GPa", poisson_ratio = 0.37 }\n'
        'plastic = { yield_stress = "300 MPa", hardening = "0 MPa" }\n'
    )
    folder = prepare(tmp_path / "run", 'loads = ["200 MPa", "5 GPa"]\nplastic = ["LPSCl"]\nsides = "free"')
    text = (folder / "study.toml").read_text().replace('LPSCl = "LPSCl"', f'LPSCl = "{soft}"')
    (folder / "study.toml").write_text(text)
    with pytest.raises(
        NotConvergedError, match=r"loads still failed after . cuts, also with a direct solver"
    ) as caught:
        run(folder)
    said = f"{caught.value.message} {caught.value.hint}"
    for part in ("residuals: forces", "µm, cell ", "of LPSCl; likely cause: LPSCl flows all around",
                 "the last good state is in checkpoints/mechanics.npz after 1."):  # fmt: skip
        assert part in said
    assert rows_of(folder)[-1]["loads applied [1]"] > 1.0  # not the last whole load
    assert (folder / "checkpoints" / "mechanics.npz").exists() and not (
        folder / "quantities-solve.json"
    ).exists()


def test_v32_a_killed_run_goes_on_to_the_same_end(tmp_path: Path, killer: Any) -> None:
    """Catches plastic strain, plate or wall that are not in the checkpoint."""
    physics = 'loads = ["500 MPa", "hold", "x 0.5"]\nplastic = ["LPSCl"]\nsteps = 6\ninitial = 0.9\nwrite_every = 100'
    whole, killed = prepare(tmp_path / "whole", physics), prepare(tmp_path / "killed", physics)
    run(whole)
    for limit in (8, 16):
        killer(limit)
        with pytest.raises(Killed):
            run(killed)
    killer(None)
    run(killed)
    assert len(rows_of(killed)) == len(rows_of(whole))
    for mine, theirs in zip(rows_of(killed), rows_of(whole), strict=True):
        for name, value in mine.items():
            if "iterations" not in name and "wall" not in name and "imbalance" not in name:
                assert value == pytest.approx(theirs[name], rel=1e-10, abs=1e-12), name


def test_loads_are_read_as_they_are_written() -> None:
    assert parse_load("380 MPa") == MechanicalLoad("pressure", 380.0)
    assert parse_load("x = 0.3") == MechanicalLoad("x", 0.3) and parse_load("hold") == MechanicalLoad("hold")
    for wrong in ("5 um", "close 3 MPa", "x 1.5", "press"):
        with pytest.raises(Pxm2meshError):
            parse_load(wrong)


@pytest.mark.parametrize("loads", [["close 1 um", "5 MPa"], ["hold", "5 MPa"], ["5 MPa", "close 1 um"]])
def test_loads_that_contradict_each_other_are_refused(loads: list[str]) -> None:
    content = {"volume": {"file": "l.tif", "phases": {"NMC": 1}}, "output": {"folder": "."}}
    with pytest.raises(StudyError, match="press with a plate"):
        parse_study({**content, "physics": [{"model": "mechanics", "loads": loads}]})
