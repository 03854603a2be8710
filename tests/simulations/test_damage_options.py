"""Bonds of a half-cell with each of its options: degree 2, a held gap, presses, a binder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cycling_cases import BONDS, STUDY, bonded_particle, library_law, study_folder
from study_cases import rows_of
from test_charge import run

from pxm2mesh.io.meshes import save_arrays
from pxm2mesh.quantities import Quantities
from pxm2mesh.volume import LabelVolume
from simulations.base.stepping import StepOptions, run_until
from simulations.models.coupling import CoupledHalfCell
from simulations.shapes import voxels


def charged(model: CoupledHalfCell, *seconds: float) -> list[float]:
    """Share of the contact that is left at these times of a charge."""
    model.half.hold_current(model.half.one_c)
    model.settle()
    assert model.contact is not None
    found = []
    for end in seconds:
        run_until(model, end, StepOptions(first=50.0, largest=200.0))
        areas = model.contact.cohesion.areas()
        found.append(areas.effective / areas.total)
    return found


@pytest.mark.verify
def test_bonds_open_at_degree_two_a_little_later() -> None:
    """Two cells of degree 1 in a radius are too stiff: they come off a tenth earlier.

    Catches bonds that read the corners only of a displacement of degree 2, and a state of lithiation of another degree.
    """
    before, after = charged(bonded_particle(library_law(), cells=2, degree=1), 1000.0, 1100.0)
    (late,) = charged(bonded_particle(library_law(), cells=2, degree=2), 1200.0)
    assert after < late < before


def test_a_held_gap_loses_pressure_and_more_contact_than_a_pressed_stack() -> None:
    """Catches a gap that follows the particle, and bonds that are left out of the body that is pressed first."""
    pressed, held = (
        bonded_particle(library_law(), cells=2, pressure="50 MPa", hold_gap=hold) for hold in (False, True)
    )
    assert held.solid.pressure_on("z+") == pytest.approx(50.0, rel=1e-3)
    under, between = charged(pressed, 1000.0), charged(held, 1000.0)
    assert held.solid.pressure_on("z+") < 45 and pressed.solid.pressure_on("z+") == pytest.approx(
        50, rel=1e-3
    )
    assert between < under


@pytest.mark.verify
def test_pressing_an_opened_particle_closes_its_gaps(tmp_path: Path) -> None:
    """Through a study. Catches a press that the tables, the contact or the energy balance do not see."""
    folder = study_folder(tmp_path / "cell", cycles=1)
    text = (folder / "study.toml").read_text()
    changed = text.replace('"-1C until 3.75 V"', '"press 150 MPa", "-1C for 2 min"')
    assert changed != text
    (folder / "study.toml").write_text(changed)
    run(folder)
    found = rows_of(folder)
    before = [row for row in found if row["protocol step"] == 1]
    after = [row for row in found if row["protocol step"] == 3]
    assert before[-1]["stack pressure [MPa]"] == pytest.approx(5, rel=1e-3)
    assert after[0]["stack pressure [MPa]"] == pytest.approx(150, rel=1e-3)
    assert after[0]["largest gap [um]"] < before[-1]["largest gap [um]"]
    assert after[0]["open fraction [1]"] < before[-1]["open fraction [1]"]
    assert max(row["energy imbalance [1]"] for row in found) < 0.02


@pytest.mark.verify
def test_a_binder_that_comes_off_takes_its_electrons_along(tmp_path: Path) -> None:
    """NMC that only a binder joins to the collector. Catches a bond at the binder that goes on carrying electrons."""
    labels = np.full((4, 4, 6), 2, dtype=np.uint8)
    labels[1:3, 1:3, 1:4] = 1
    labels[1:3, 1:3, 4:] = 3
    volume = LabelVolume(labels, {"NMC": 1, "LPSCl": 2, "CBD": 3}, "1.5 um")
    bonds = BONDS.replace('["NMC | LPSCl"]', '["NMC | LPSCl", "NMC | CBD"]')
    text = STUDY.replace("CYCLES", "1").replace(
        "BONDS", bonds + '\nstrength = "30 MPa"\nfracture_energy = "0.05 J/m2"'
    )
    text = text.replace("LPSCl = 2 }", "LPSCl = 2, CBD = 3 }").replace(
        'LPSCl = "LPSCl"', 'LPSCl = "LPSCl"\nCBD = "CBD"'
    )
    text = text.replace('electrolyte = "LPSCl"', 'electrolyte = "LPSCl"\nbinder = "CBD"')
    text = text.replace('collector = "x-"\nseparator = "z+"', 'collector = "z+"\nseparator = "z-"')
    folder = tmp_path / "cell"
    folder.mkdir()
    (folder / "study.toml").write_text(
        text.replace('"1C until 4.17 V", "-1C until 3.75 V"', '"1C until 4.1 V"')
    )
    save_arrays(voxels(volume), folder / "mesh.npz")
    run(folder)
    found = Quantities.read(folder / "quantities-solve.json")
    row = rows_of(folder, "cycles.csv")[-1]
    assert row["lithium balance [1]"] < 1e-9 and row["energy imbalance [1]"] < 0.02
    assert 0 < found.value("effective_contact_fraction", interface="NMC | CBD") <= 1
    assert found.value("effective_contact_fraction", interface="NMC | LPSCl") < 1
