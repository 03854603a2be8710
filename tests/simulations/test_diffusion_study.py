"""``model = "diffusion"`` from a study: protocols, events to the millivolt, files, and going on from a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killing import Killed
from study_cases import rows_of

from pxm2mesh.errors import GeometryError, Pxm2meshError, StudyError
from pxm2mesh.io.meshes import save_arrays
from pxm2mesh.materials import FARADAY, read_material
from pxm2mesh.quantities import Quantities
from pxm2mesh.study import parse_study
from pxm2mesh.study.diffusion import LithiumStep, parse_lithium_step
from pxm2mesh.volume import LabelVolume
from simulations.models.kinetics import ButlerVolmer
from simulations.shapes import ball, voxels
from simulations.studies.run import run

STUDY = """
[volume]
file = "labels.tif"
spacing = "1 um"
phases = { NMC = 1, LPSCl = 2 }

[materials]
NMC = "NMC811"

[[physics]]
model = "diffusion"
active = "NMC"
contact = "NMC | LPSCl"
%s

[output]
folder = "."
"""


def prepare(folder: Path, physics: str, cells: int = 3) -> Path:
    folder.mkdir(exist_ok=True)
    save_arrays(ball({"NMC": 2.0, "LPSCl": 0.0}, box=(2.8,) * 3, cells=cells), folder / "mesh.npz")
    (folder / "study.toml").write_text(STUDY % physics)
    return folder


def test_v14_fast_diffusion_follows_the_voltage_of_the_mean_to_the_millivolt(tmp_path: Path) -> None:
    """V14: with D → ∞ the voltage is U(x̄) + η, and the cut-off comes when that says.

    Catches a C-rate over another window (1C would take 1.56 h), η of the wrong sign (24 mV late) and the end of the
    step taken for the event (8 mV late).
    """
    physics = (
        'protocol = ["1C until 4.2 V"]\ninitial = 0.9\ndiffusivity = "1e-6 m2/s"\nlargest_step = "200 s"'
    )
    folder = prepare(tmp_path, physics)
    run(folder)
    nmc = read_material("NMC811")
    kinetics = ButlerVolmer.of(nmc)
    window = nmc.require("kinetics.open_circuit_voltage").valid
    c_max = float(nmc.require("transport.maximum_concentration"))
    mesh = ball({"NMC": 2.0, "LPSCl": 0.0}, box=(2.8,) * 3, cells=3)
    volume, area = float(mesh.phase_volumes()["NMC"]), float(mesh.pair_areas()["NMC | LPSCl"])
    density = FARADAY * 1e-6 * c_max * (window[1] - window[0]) / 3600 * volume / area
    found = rows_of(folder)
    for row in found:
        x = np.array([row["mean lithiation [1]"]])
        exchange = kinetics.exchange(x)[0]
        eta = 2 / kinetics.thermal * np.arcsinh(density / 2 / exchange)
        assert row["voltage [V]"] == pytest.approx(float((kinetics.open_circuit(x) + eta)[0]), abs=1e-3)
        assert row["mean lithiation [1]"] == pytest.approx(
            0.9 - (window[1] - window[0]) * row["time [s]"] / 3600, abs=1e-9
        )
        assert row["lithium balance [1]"] < 1e-10
        assert row["current density [A/m2]"] == pytest.approx(density, rel=1e-9)
    assert found[-1]["voltage [V]"] == pytest.approx(4.2, abs=1e-3)
    facts = json.loads((folder / "results-record.json").read_text())["physics"][0]
    assert "voltage reached 4.2 V" in facts["events"][0]
    capacity = Quantities.read(folder / "quantities-solve.json").value("capacity")
    grams = volume * 1e-18 * float(nmc.require("transport.density")) * 1e3
    assert capacity == pytest.approx(density * area * found[-1]["time [s]"] * 1e-12 / 3.6 / grams, rel=1e-9)
    assert b"lithiation [1]" in (folder / "results" / "results_000000.vtu").read_bytes()


MIXED = """
protocol = ["1e-5 mol/m2/s until x 0.8", "rest 1 min", "x 0.6 until C/2", "-1C until surface x 0.8", "C/5 for 2 min"]
first_step = "5 s"
write_every = 100
"""


def test_every_kind_of_step_ends_where_it_should(tmp_path: Path) -> None:
    """Catches a flux that is not switched off at a rest, and a surface that stays fixed in the step after it."""
    folder = prepare(tmp_path, MIXED)
    run(folder)
    found = rows_of(folder)
    last = {p: [r for r in found if r["protocol step"] == p][-1] for p in (1, 2, 3, 4, 5)}
    assert last[1]["mean lithiation [1]"] == pytest.approx(0.8, abs=1e-4)
    assert last[2]["mean lithiation [1]"] == pytest.approx(last[1]["mean lithiation [1]"], abs=1e-10)
    spread = [r["highest lithiation [1]"] - r["lowest lithiation [1]"] for r in (last[1], last[2])]
    assert spread[1] < spread[0] and last[2]["time [s]"] - last[1]["time [s]"] == pytest.approx(60.0)
    assert last[3]["highest surface lithiation [1]"] == pytest.approx(0.6, abs=1e-9)
    assert last[3]["lowest surface lithiation [1]"] == pytest.approx(0.6, abs=1e-9)
    assert last[3]["rate [C]"] == pytest.approx(0.5, abs=2e-4)
    assert last[4]["highest surface lithiation [1]"] == pytest.approx(0.8, abs=1e-3)
    assert last[4]["rate [C]"] == pytest.approx(-1.0, rel=1e-9) and last[5]["rate [C]"] == pytest.approx(0.2)
    assert all(r["lithium balance [1]"] < 1e-10 for r in found)
    events = json.loads((folder / "results-record.json").read_text())["physics"][0]["events"]
    for text, event in zip(("mean x reached 0.8", "time is over", "rate fell to 0.5 C",
                            "x at the contact reached 0.8", "time is over"), events, strict=True):  # fmt: skip
        assert text in event


@pytest.mark.parametrize("order", [1, 2])
def test_v32_a_killed_run_goes_on_to_the_same_end(tmp_path: Path, killer: Any, order: int) -> None:
    """Catches a history, a step to come or an amount that is not in the checkpoint (the end is off by 1e-4)."""
    physics = f"{MIXED}\norder = {order}"
    whole, killed = prepare(tmp_path / "whole", physics), prepare(tmp_path / "killed", physics)
    run(whole)
    for limit in (len(rows_of(whole)) * 2 // 5, len(rows_of(whole)) * 4 // 5):
        killer(limit)
        with pytest.raises(Killed):
            run(killed)
    killer(None)
    run(killed)
    timeless = [
        {k: v for k, v in r.items() if "wall" not in k and "iterations" not in k} for r in rows_of(killed)
    ]
    assert len(timeless) == len(rows_of(whole))
    for mine, theirs in zip(timeless, rows_of(whole), strict=True):
        for name, value in mine.items():
            tolerance = 1e-9 if "balance" in name else 1e-10 * max(1.0, abs(theirs[name]))
            assert value == pytest.approx(theirs[name], abs=tolerance), name


def test_steps_are_read_as_they_are_written() -> None:
    assert parse_lithium_step("C/3 until 4.3 V") == LithiumStep("rate", 1 / 3, "voltage", 4.3)
    assert parse_lithium_step("x = 0.3 until C/20 for 2 h") == LithiumStep("x", 0.3, "rate", 0.05, 7200.0)
    assert parse_lithium_step("rest for 1 min").until_time == 60.0
    for wrong in ("C/3 until 5 A", "x 1.3", "rest", "0C", "1C until C/5", "x 0.5 until 4 V", "5 MPa"):
        with pytest.raises(Pxm2meshError):
            parse_lithium_step(wrong)


def test_a_study_that_cannot_be_is_refused_where_it_stands(tmp_path: Path) -> None:
    content = {
        "volume": {"file": "l.tif", "phases": {"NMC": 1, "LPSCl": 2, "void": 3}},
        "output": {"folder": "."},
    }
    entry = {"model": "diffusion", "active": "NMC", "contact": "LPSCl | void", "protocol": ["1C"]}
    with pytest.raises(StudyError, match="not an interface of 'NMC'"):
        parse_study({**content, "physics": [entry]})
    with pytest.raises(StudyError, match="not understood"):
        parse_study({**content, "physics": [{**entry, "contact": "NMC | void", "protocol": ["fast"]}]})
    folder = prepare(tmp_path / "a", 'protocol = ["1C until 4.2 V"]')
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace('NMC = "NMC811"', 'NMC = "Si"'))
    with pytest.raises(StudyError, match="no voltage to end a step at"):
        run(folder)
    bare = prepare(tmp_path / "b", 'protocol = ["1C"]')
    alone = LabelVolume(np.ones((2, 2, 2), np.uint8), {"NMC": 1, "LPSCl": 2}, "1 um")
    save_arrays(voxels(alone), bare / "mesh.npz")
    with pytest.raises(GeometryError, match=r"no interface 'NMC \| LPSCl'"):
        run(bare)
