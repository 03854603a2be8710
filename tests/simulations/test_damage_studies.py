"""Studies of debonding and of cracking: a run folder in, tables, fields and quantities out; on two ranks."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_charge import start_and_kill
from test_ranks import mpirun

from pxm2mesh.io.meshes import save_arrays
from pxm2mesh.quantities import Quantities
from simulations.shapes import ball

REPOSITORY = Path(__file__).parent.parent.parent
STUDY = """
[volume]
file = "labels.tif"
spacing = "1 um"
phases = {{ NMC = 1, LPSCl = 2 }}

[materials]
NMC = "NMC811"
LPSCl = "LPSCl"

[[physics]]
{physics}

[output]
folder = "."
"""
DEBONDING = """model = "debonding"
bonds = ["LPSCl|NMC"]
loads = {loads}
sides = "mirror"
order = 1
steps = 4
"""


def folder_with(path: Path, physics: str, *, bare: bool = False) -> Path:
    path.mkdir(exist_ok=True)
    mesh = ball({"NMC": 1.5}, cells=4) if bare else ball({"NMC": 1.5, "LPSCl": 0.0}, box=(2.2,) * 3, cells=3)
    save_arrays(mesh, path / "mesh.npz")
    text = STUDY.format(physics=physics)
    if bare:
        text = text.replace('LPSCl = "LPSCl"\n', "").replace(", LPSCl = 2", "")
    (path / "study.toml").write_text(text)
    return path


def rows_of(folder: Path, name: str = "scalars.csv") -> list[dict[str, float]]:
    text = (folder / name).read_text().splitlines()
    return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(text)]


def solve(folder: Path, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "simulations", str(folder), *options], capture_output=True, text=True,
        cwd=REPOSITORY, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_particle_comes_off_and_meets_its_matrix_again(tmp_path: Path) -> None:
    """Bonded, then open, then closed; V33 and V34 of the study; the same on two ranks.

    V33 catches the drag counted from the end of a step alone, and steps across kinks of the traction.
    """
    whole = folder_with(tmp_path / "whole", DEBONDING.format(loads='["x 0.2", "x 1.0"]'))
    said = solve(whole)
    assert "strength 100 MPa, fracture energy 1 J/m2" in said
    rows = rows_of(whole)
    kinds = ["bonded", "closed", "open"]
    areas = np.array([[row[f"{kind} area NMC | LPSCl [um2]"] for kind in kinds] for row in rows])
    assert areas.sum(axis=1) == pytest.approx(areas[0, 0], rel=1e-9)
    charged = next(i for i, row in enumerate(rows) if row["loads applied [1]"] == 1.0)
    assert areas[0, 1:].max() == 0 and areas[charged, 2] == areas[0, 0] and areas[-1, 1] == areas[0, 0]
    spent = [row["dissipated energy of bonds [pJ]"] for row in rows]
    assert np.all(np.diff(spent) >= -1e-9) and spent[-1] == pytest.approx(areas[0, 0], rel=1e-3)
    assert rows[-1]["energy imbalance [1]"] < 0.01
    loads = rows_of(whole, "loads.csv")
    assert [row["load"] for row in loads] == [0, 1, 2]
    assert [row["contact fraction NMC | LPSCl [1]"] for row in loads] == pytest.approx([1, 0, 1])
    assert loads[1]["ionically isolated fraction NMC [1]"] == 1
    assert loads[1]["porosity [1]"] * 2.2**3 == pytest.approx(loads[1]["gap volume NMC | LPSCl [um3]"], rel=0.05)
    found = Quantities.read(whole / "quantities-solve.json")
    assert found.value("closed_fraction", interface="NMC | LPSCl") == pytest.approx(1.0)
    assert b"interface damage [1]" in (whole / "results" / "results_000001.vtu").read_bytes()
    halves = folder_with(tmp_path / "halves", DEBONDING.format(loads='["x 0.2", "x 1.0"]'))
    mpirun(2, "-m", "simulations", str(halves))
    for one, two in zip(rows, rows_of(halves), strict=True):
        for name, value in one.items():
            if "wall" not in name and "iterations" not in name and "imbalance" not in name:
                assert two[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name


def test_v32_a_killed_debonding_study_goes_on_to_the_same_end(tmp_path: Path) -> None:
    """By kill -9 once there is a checkpoint. Catches bonds or works that start again from nothing."""
    physics = DEBONDING.format(loads='["1 MPa", "hold", "x 0.2", "x 0.6"]')
    whole, killed = (folder_with(tmp_path / name, physics) for name in ("whole", "killed"))
    solve(whole)
    start_and_kill(killed, checkpoint="mechanics.npz")
    assert "going on after" in solve(killed)
    for table in ("scalars.csv", "loads.csv"):
        for one, two in zip(rows_of(whole, table), rows_of(killed, table), strict=True):
            for name, value in one.items():
                if "wall" not in name:
                    assert two[name] == pytest.approx(value, rel=1e-10, abs=1e-12), name
    assert (whole / "quantities-solve.json").read_bytes() == (killed / "quantities-solve.json").read_bytes()


def test_bonds_without_a_material_ask_for_their_numbers(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "a", DEBONDING.format(loads='["x 0.9"]'))
    study = (folder / "study.toml").read_text().replace('LPSCl = "LPSCl"', 'LPSCl = "Cu"')
    (folder / "study.toml").write_text(study)
    done = subprocess.run([sys.executable, "-m", "simulations", str(folder)], capture_output=True, text=True,
                          cwd=REPOSITORY, check=False)  # fmt: skip
    assert done.returncode == 2 and "give strength and fracture_energy" in done.stdout


CRACKING = """model = "cracking"
phase = "NMC"
rate = 2
initial = 0.95
until = 0.85
length = "1.5 um"
cells_per_length = 2
steps = 2
"""


def test_a_particle_charged_fast_cracks_from_its_surface(tmp_path: Path) -> None:
    """An octant, free: three points hold it. V34; a mesh that is too coarse is refused with exit code 4."""
    folder = folder_with(tmp_path / "a", CRACKING, bare=True)
    assert "stands for a strength of" in solve(folder)
    rows = rows_of(folder)
    assert rows[-1]["mean lithiation [1]"] == pytest.approx(0.85, abs=1e-6)
    damage = [row["largest damage [1]"] for row in rows]
    assert damage[0] == 0 and np.all(np.diff(damage) >= 0) and damage[-1] <= 1
    assert rows[-1]["lowest lithiation [1]"] < 0.85 < rows[-1]["highest lithiation [1]"]
    assert b"damage [1]" in (folder / "results" / "results_000001.vtu").read_bytes()
    fine = (folder / "study.toml").read_text().replace('"1.5 um"', '"0.5 um"')
    (folder / "study.toml").write_text(fine)
    done = subprocess.run([sys.executable, "-m", "simulations", str(folder)], capture_output=True, text=True,
                          cwd=REPOSITORY, check=False)  # fmt: skip
    assert done.returncode == 4 and "too coarse for cracks" in done.stdout
