"""Electrodes for homogenised battery models: what is written is what the bpx package reads."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import pytest

from pxm2mesh.cli.app import run as run_command
from pxm2mesh.errors import DataError, StudyError
from pxm2mesh.materials import read_material
from pxm2mesh.pipeline import run_study
from pxm2mesh.quantities import Quantities
from pxm2mesh.report.battery_models import FARADAY, bpx_document, electrode_of, write_bpx
from pxm2mesh.study import parse_study

with warnings.catch_warnings():  # it uses names that pyparsing has renamed
    warnings.simplefilter("ignore", DeprecationWarning)
    import bpx

ELECTRODE = "Positive electrode"
WHOLE_CELL = {
    "Header": {"BPX": "1.0.0", "Title": "a cell", "Model": "DFN"},
    "Parameterisation": {
        "Cell": {
            "Electrode area [m2]": 0.01, "Lower voltage cut-off [V]": 2.5, "Upper voltage cut-off [V]": 4.3,
            "Nominal cell capacity [A.h]": 1.0, "Number of electrode pairs connected in parallel to make a cell": 1,
        },
        "Electrolyte": {"Cation transference number": 1.0, "Diffusivity [m2.s-1]": 1e-10, "Conductivity [S.m-1]": 0.16},
        "Separator": {"Thickness [m]": 2e-5, "Porosity": 0.5, "Transport efficiency": 0.3},
    },
}  # fmt: skip
OF_AN_ELECTRODE = {
    "Thickness [m]": 8e-5, "Porosity": 0.3, "Transport efficiency": 0.2, "Conductivity [S.m-1]": 0.2,
    "Particle radius [m]": 5e-6, "Surface area per unit volume [m-1]": 4e5, "Minimum stoichiometry": 0.27,
    "Maximum stoichiometry": 0.9, "Maximum concentration [mol.m-3]": 5e4, "Diffusivity [m2.s-1]": 4e-15,
    "OCP [V]": {"x": [0, 1], "y": [4.3, 3.0]}, "Reaction rate constant [mol.m-2.s-1]": 1e-6,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cathode, measured and not meshed."""
    place = tmp_path_factory.mktemp("electrode")
    source = {"name": "cathode", "size": 32, "seed": 2, "state": "pressed"}
    study = {
        "volume": {"phantom": source}, "materials": {"NMC": "NMC811"}, "output": {"folder": str(place)},
        "quantify": {"only": ["fractions", "areas", "transport", "particles"]},
    }  # fmt: skip
    run_study(parse_study(study), until="quantify")
    return place


def test_the_electrode_is_what_was_measured(folder: Path) -> None:
    """Catches the volume per voxel, diameters for radii, and µm for m."""
    numbers, electrode = Quantities.read(folder / "quantities.json"), electrode_of(folder, along="z")
    assert electrode.thickness == pytest.approx(32 * 0.5e-6)
    assert electrode.electrolyte_fraction == numbers.value("volume_fraction", phase="LPSCl")
    assert electrode.transport_efficiency == numbers.value(
        "effective_conductivity", phase="LPSCl", direction="z"
    )
    area = numbers.value("interface_area", interface="NMC | LPSCl") * 1e-12
    assert electrode.surface_area == pytest.approx(area / 16e-6**3)
    exponent = electrode.bruggeman_exponent
    assert electrode.electrolyte_fraction**exponent == pytest.approx(electrode.transport_efficiency)


def test_the_radius_is_half_of_the_median_diameter(tmp_path: Path) -> None:
    """One ball of radius 4.8 µm in the middle, which conducts nothing from face to face."""
    study = {
        "volume": {"phantom": {"name": "ball", "size": 16}}, "output": {"folder": str(tmp_path)},
        "quantify": {"only": ["fractions", "areas", "transport", "particles"]}, "materials": {"NMC": "NMC811"},
    }  # fmt: skip
    run_study(parse_study(study), until="quantify")
    assert electrode_of(tmp_path).particle_radius == pytest.approx(4.8e-6, rel=0.02)
    with pytest.raises(DataError, match="NMC does not connect the faces across z"):
        bpx_document(tmp_path)


def test_without_a_whole_particle_the_radius_is_that_of_balls(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = Quantities.read(folder / "quantities.json")
    surface = numbers.value("specific_surface_area", phase="NMC")
    radius = 3 * numbers.value("volume_fraction", phase="NMC") / surface
    assert electrode_of(folder).particle_radius == pytest.approx(radius * 1e-6)
    assert "no particle of NMC lies wholly inside" in caplog.text


def test_one_electrode_is_read_back_by_bpx(folder: Path, tmp_path: Path) -> None:
    write_bpx(folder, tmp_path / "electrode.json")
    read = bpx.parse_bpx_file(tmp_path / "electrode.json").parameterisation.positive_electrode
    electrode, nmc = electrode_of(folder), read_material("NMC811")
    assert read.porosity == electrode.electrolyte_fraction
    assert read.transport_efficiency == electrode.transport_efficiency
    assert read.surface_area_per_unit_volume == electrode.surface_area
    assert read.particle_radius == electrode.particle_radius
    assert read.diffusivity == pytest.approx(4e-15)
    assert read.conductivity == pytest.approx(0.18 * electrode.electronic_efficiency)
    middle = len(read.ocp.x) // 2
    assert read.ocp.y[middle] == pytest.approx(
        float(nmc.require("kinetics.open_circuit_voltage")(read.ocp.x[middle])), abs=1e-6
    )
    # the exchange current at half filling, as BPX defines it, is that of the library: 10 A/m²
    assert FARADAY * read.reaction_rate_constant * math.sqrt(0.5 * 0.5) == pytest.approx(10.0)


def test_a_whole_cell_keeps_what_is_not_geometry(folder: Path, tmp_path: Path) -> None:
    cell = json.loads(json.dumps(WHOLE_CELL))
    for side in ("Negative electrode", ELECTRODE):
        cell["Parameterisation"][side] = dict(OF_AN_ELECTRODE)
    base, made = tmp_path / "base.json", tmp_path / "cell.json"
    base.write_text(json.dumps(cell), encoding="utf-8")
    bpx.parse_bpx_file(base)
    assert run_command(["export", str(folder), "-o", str(made), "--base", str(base), "-q"]) == 0
    read = bpx.parse_bpx_file(made)
    assert read.header.model == "DFN"
    changed, same = read.parameterisation.positive_electrode, read.parameterisation.negative_electrode
    assert changed.porosity == electrode_of(folder).electrolyte_fraction
    assert changed.conductivity == 0.2
    assert same.porosity == 0.3


def test_what_was_not_measured_is_asked_for(tmp_path: Path) -> None:
    study = {
        "volume": {"phantom": {"name": "cathode", "size": 16}}, "quantify": {"only": ["fractions"]},
        "output": {"folder": str(tmp_path)},
    }  # fmt: skip
    run_study(parse_study(study), until="quantify")
    with pytest.raises(DataError, match=r"conducts along z was not measured.*\[quantify\]"):
        electrode_of(tmp_path)


def test_a_phase_without_material_is_asked_for(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(folder, tmp_path / "run")
    study = (copy / "study.toml").read_text(encoding="utf-8").replace("NMC811", "unobtainium")
    (copy / "study.toml").write_text(study, encoding="utf-8")
    with pytest.raises(StudyError, match=r"\[materials\] NMC"):
        bpx_document(copy)
