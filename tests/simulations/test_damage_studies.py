"""Studies of debonding and of cracking: a run folder in, tables, fields and quantities out; on two ranks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dolfinx import fem
from study_cases import rows_of, values_of
from test_charge import start_and_kill
from test_ranks import mpirun

from pxm2mesh.io.meshes import save_arrays
from pxm2mesh.materials import read_material
from pxm2mesh.quantities import Quantities
from pxm2mesh.study.damage import Cracking
from pxm2mesh.volume import LabelVolume
from simulations.base.domain import Domain
from simulations.shapes import ball, layers, tet_mesh, voxels
from simulations.studies.cracking import CrackingParticles, three_points
from simulations.studies.debonding import _BondRun
from simulations.studies.run import run

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


def folder_with(path: Path, physics: str, *, bare: bool = False, radius: float = 1.5) -> Path:
    path.mkdir(exist_ok=True)
    mesh = (
        ball({"NMC": radius}, cells=4) if bare else ball({"NMC": 1.5, "LPSCl": 0.0}, box=(2.2,) * 3, cells=3)
    )
    save_arrays(mesh, path / "mesh.npz")
    text = STUDY.format(physics=physics)
    if bare:
        text = text.replace('LPSCl = "LPSCl"\n', "").replace(", LPSCl = 2", "")
    (path / "study.toml").write_text(text)
    return path


def solve(folder: Path, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "simulations", str(folder), *options], capture_output=True, text=True,
        cwd=REPOSITORY, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_particle_comes_off_and_meets_its_matrix_again(tmp_path: Path) -> None:
    """Bonded, then open, then closed; V33 and V34 of the study; the same on two ranks.

    V33 catches steps across the kinks of the traction: 1.8 % at the end without a limit on them, 1.5 % on the way where
    it is a share of what all bonds could take, and not of the energy that there is.
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
    assert max(row["energy imbalance [1]"] for row in rows) < 0.005
    loads = rows_of(whole, "loads.csv")
    assert [row["load"] for row in loads] == [0, 1, 2]
    assert [row["contact fraction NMC | LPSCl [1]"] for row in loads] == pytest.approx([1, 0, 1])
    assert loads[1]["ionically isolated fraction NMC [1]"] == 1
    assert loads[1]["porosity [1]"] * 2.2**3 == pytest.approx(
        loads[1]["gap volume NMC | LPSCl [um3]"], rel=0.05
    )
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
    assert values_of(killed) == pytest.approx(values_of(whole), rel=1e-10, abs=1e-12)


def test_particles_lose_lithium_at_their_rate() -> None:
    """1C for 36 s is a hundredth. Catches a flux through faces between grains that touch, where nothing leaves."""
    one = layers({"a": 1.0, "b": 1.0}, axis="z", cells=(2, 2, 2))
    mesh = tet_mesh(one.points, one.cells, one.cell_region, [0, 1, 1], {"NMC": 1})
    physics = Cracking(model="cracking", phase="NMC", length="2 um", rate=1.0, initial=0.9, until=0.5)
    particles = CrackingParticles(Domain.from_mesh(mesh, cut=()), read_material("NMC811"), physics)
    particles.move(36.0)
    assert particles.lithium.mean() == pytest.approx(0.89, abs=1e-6)


def test_each_free_piece_is_held_by_six_components() -> None:
    """Two particles. Catches six for all of them together, which leave one free to fly."""
    labels = np.zeros((3, 3, 7), dtype=np.uint8)
    labels[:2, :2, :2] = labels[1:, 1:, 4:] = 1
    mesh = voxels(LabelVolume(labels, {"void": 0, "NMC": 1}, "1 um"), exclude=["void"])
    domain = Domain.from_mesh(mesh, cut=())
    space = fem.functionspace(domain.mesh, ("Lagrange", 1, (3,)))
    fixed = np.concatenate([bc.dof_indices()[0] for bc in three_points(domain, space)])
    places, motions = space.tabulate_dof_coordinates(), []
    for piece in (places[:, 2] < 3, places[:, 2] > 3):
        for axis in np.eye(3):
            motions += [piece[:, None] * axis, piece[:, None] * np.cross(axis, places)]
    modes = np.array([motion.ravel() for motion in motions])
    assert len(fixed) == 12 and np.linalg.matrix_rank(modes[:, fixed]) == 12


def test_bonds_without_a_material_ask_for_their_numbers(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "a", DEBONDING.format(loads='["x 0.9"]'))
    study = (folder / "study.toml").read_text().replace('LPSCl = "LPSCl"', 'LPSCl = "Cu"')
    (folder / "study.toml").write_text(study)
    done = subprocess.run([sys.executable, "-m", "simulations", str(folder)], capture_output=True, text=True,
                          cwd=REPOSITORY, check=False)  # fmt: skip
    assert done.returncode == 2 and "give strength and fracture_energy" in done.stdout


CRACKING = """model = "cracking"
phase = "NMC"
rate = {rate}
initial = 0.9
until = {until}
length = "1.5 um"
cells_per_length = {cells}
steps = {steps}
"""
FATIGUE = """cycles = 12
fatigue = {threshold = "0.04 J/m2"}
"""


def cracking_folder(path: Path, extra: str = "", **numbers: float) -> Path:
    """An octant of a particle of 3 um, free on all sides: three points hold it."""
    values = {"rate": 8, "until": 0.5, "cells": 1.5, "steps": 20, **numbers}
    return folder_with(path, CRACKING.format(**values) + extra, bare=True, radius=3.0)


def test_a_particle_charged_fast_cracks_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    """V33, V34; V32 after kill -9. Catches damage that heals, work that is lost, and a state that is not restored."""
    folder = cracking_folder(tmp_path / "whole")
    said = solve(folder)
    assert "stands for a strength of" in said and "mean lithiation 0.5 reached" in said
    rows = rows_of(folder)
    assert rows[-1]["mean lithiation [1]"] == pytest.approx(0.5, abs=1e-6)
    damage = [row["largest damage [1]"] for row in rows]
    assert damage[0] == 0 and np.all(np.diff(damage) >= 0) and 0.5 < damage[-1] <= 1
    assert rows[-1]["surface energy [pJ]"] > rows[-1]["elastic energy [pJ]"]
    assert abs(rows[-1]["energy set free [pJ]"]) < 0.01 * rows[-1]["work of swelling [pJ]"]
    assert b"damage [1]" in (folder / "results" / "results_000001.vtu").read_bytes()
    killed = cracking_folder(tmp_path / "killed")
    start_and_kill(killed, checkpoint="cracking.npz")
    assert "going on at t = " in solve(killed)
    assert_same_rows(rows, rows_of(killed), 1e-10)
    halves = cracking_folder(tmp_path / "halves")
    mpirun(2, "-m", "simulations", str(halves))
    assert_same_rows(rows, rows_of(halves), 1e-4)


def assert_same_rows(wanted: list[dict[str, float]], found: list[dict[str, float]], tolerance: float) -> None:
    scale = max(row["work of swelling [pJ]"] for row in wanted)
    for one, two in zip(wanted, found, strict=True):
        for name, value in one.items():
            if "wall" not in name and "alternations" not in name:
                size = scale if "[pJ]" in name else 1.0
                assert two[name] == pytest.approx(value, rel=tolerance, abs=tolerance * size), name


def test_a_mesh_too_coarse_for_cracks_is_refused(tmp_path: Path) -> None:
    folder = cracking_folder(tmp_path / "a", cells=4)
    done = subprocess.run([sys.executable, "-m", "simulations", str(folder)], capture_output=True, text=True,
                          cwd=REPOSITORY, check=False)  # fmt: skip
    assert done.returncode == 4 and "too coarse for cracks" in done.stdout


def test_cycles_tire_a_particle_and_are_jumped_over(tmp_path: Path) -> None:
    """ᾱ grows by the same in each cycle: catches a jump that is not counted, and a toughness that is not lost."""
    folder = cracking_folder(tmp_path / "a", FATIGUE, rate=1, until=0.7, steps=2)
    assert "cycle 12 is over, 4 were computed" in solve(folder)
    cycles = rows_of(folder, "cycles.csv")
    assert [row["cycle"] for row in cycles] == [1, 2, 3, 12]
    assert [row["jumped over before it"] for row in cycles] == [0, 0, 0, 8]
    left = [row["least toughness left [1]"] for row in cycles]
    assert left[-1] < 1 and all(row["largest damage [1]"] <= 1 for row in cycles)
    every = cracking_folder(
        tmp_path / "every", FATIGUE.replace("}", ", longest = 1}"), rate=1, until=0.7, steps=2
    )
    assert "12 were computed" in solve(every)
    wanted = rows_of(every, "cycles.csv")[-1]["least toughness left [1]"]
    assert left[-1] == pytest.approx(wanted, rel=0.01)


def tired_folder(path: Path, cycles: int, stress: float, threshold: float, fatigue: str = "") -> Path:
    """Two layers of 1 µm between walls, pulled apart to ``stress`` (MPa) and back, again and again."""
    path.mkdir()
    save_arrays(layers({"NMC": 1.0, "LPSCl": 1.0}, axis="z", cells=(1, 1, 2)), path / "mesh.npz")
    give = 1e-6  # µm/MPa of the bond
    for name in ("NMC811", "LPSCl"):
        material = read_material(name)
        young, poisson = (
            float(material.require(f"elastic.{k}")) for k in ("youngs_modulus", "poisson_ratio")
        )
        give += (1 + poisson) * (1 - 2 * poisson) / (young * (1 - poisson))
    physics = DEBONDING.format(loads=f'["close {-stress * give!r} um", "close 0 um"]').replace(
        "steps = 4", "steps = 1"
    )
    physics += (
        f"cycles = {cycles}\nviscosity = 0\n[physics.fatigue]\nthreshold = '{threshold} J/m2'\n{fatigue}"
    )
    (path / "study.toml").write_text(STUDY.format(physics=physics))
    return path


@pytest.mark.verify
def test_v28_a_bond_in_a_study_tires_as_in_closed_form(tmp_path: Path) -> None:
    """f(N w) of its toughness is left, and damage begins once its strength, √f σ, has fallen to the amplitude.

    Catches cycles counted twice or not at all, energy of unloading that is counted, a strength that falls as f,
    and a jump that leaves the bond where it was.
    """
    stress, strength = 50.0, 100.0
    energy = stress**2 / 2 / 1e6  # J/m², of each cycle, with the stiffness of the library

    def left(cycle: float, threshold: float) -> float:
        return float((2 * threshold / (max(cycle * energy, threshold) + threshold)) ** 2)

    threshold = 0.0025
    fails = threshold * (2 * strength / stress - 1) / energy  # 6
    run(tired_folder(tmp_path / "every", 8, stress, threshold, "longest = 1"))
    rows = rows_of(tmp_path / "every", "cycles.csv")
    assert [row["cycle"] for row in rows] == list(range(1, 9))
    for row in rows[: round(fails) - 1]:
        assert row["toughness left [1]"] == pytest.approx(left(row["cycle"], threshold), rel=1e-6)
    assert abs(next(row["cycle"] for row in rows if row["mean damage [1]"] > 0.01) - 1 - fails) <= 1
    folder = tired_folder(tmp_path / "jumped", 54, stress, 0.02, "resolve = 2\nlargest_change = 0.3")
    run(folder)
    rows = rows_of(folder, "cycles.csv")
    assert len(rows) < 30 and rows[-1]["cycle"] == 54
    for row in rows:
        if row["cycle"] <= 48:
            assert row["toughness left [1]"] == pytest.approx(left(row["cycle"], 0.02), rel=1e-6)
    assert next(row["cycle"] for row in rows if row["mean damage [1]"] > 0.01) == pytest.approx(49, abs=2)
    facts = json.loads((folder / "results-record.json").read_text())["physics"][0]
    assert facts["cycles"]["jumps"] and facts["cycles"]["resolved"] == [row["cycle"] for row in rows]
    assert facts["ended"] == f"cycle 54 is over, {facts['cycles']['spent']} were computed"
    for name in ("every", "jumped"):
        steps = rows_of(tmp_path / name)
        assert max(row["energy imbalance [1]"] for row in steps) < 0.01
        assert np.all(np.diff([row["loads applied [1]"] for row in steps]) > 0)


def test_v32_cycles_of_loads_that_are_stopped_go_on_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the cycle before a jump, which is not saved, and again when all is over.

    Catches a record of the cycles, an accumulated energy (with it left out of the state of the bonds other cycles are
    computed) or a length of a table that is not in the checkpoint.
    """
    whole, stopped = (
        tired_folder(tmp_path / name, 12, 50.0, 0.005, "resolve = 2\nlargest_change = 0.3")
        for name in ("whole", "stopped")
    )
    run(whole)
    over = _BondRun._cycle_over

    def stop(self: _BondRun, number: int) -> None:
        over(self, number)
        if self.record.resolved[-2:] == [1, 2]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_BondRun, "_cycle_over", stop)
        with pytest.raises(KeyboardInterrupt):
            run(stopped)
    run(stopped)
    for _ in range(2):  # the second time nothing is left to do
        for table in ("cycles.csv", "scalars.csv", "loads.csv"):
            for one, two in zip(rows_of(whole, table), rows_of(stopped, table), strict=True):
                for name, value in one.items():
                    if "wall" not in name:
                        assert two[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
        run(stopped)
