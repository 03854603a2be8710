"""``pxm2mesh check`` finds seeded mistakes before anything runs: where they stand, and what to write instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pxm2mesh.study import check_study, examine_study

from .conftest import Result, write_labels

Command = Callable[..., Result]
GOOD = """\
[volume]
file = "labels.tif"
spacing = "0.5 um"
phases = { void = 0, NMC = 1, LPSCl = 2 }

[quantify]
only = ["fractions", "tortuosity_factor"]

[mesh]
cell_size = 2
exclude = ["void"]

[[zone]]
between = ["NMC", "void"]
thickness = "1.2 um"

[materials]
NMC = "NMC811"
LPSCl = "LPSCl"

[[physics]]
model = "conduction"
phases = ["LPSCl"]
conductivity = { LPSCl = "1.6 mS/cm" }

[[physics]]
model = "conduction"
phases = ["NMC", "LPSCl"]
contact_conductance = { "NMC | LPSCl" = "100 S/m2" }

[[physics]]
model = "half-cell"
active = "NMC"
electrolyte = "LPSCl"
protocol = [
    "C/3 until 4.3 V",
    "4.3 V until C/20",
]

[solver]
ranks = 1
"""
PRESSED = """\
[[physics]]
model = "mechanics"
loads = ["5 MPa"]
"""
SCAN = "thresholds = [9000, 21000]\n\n[mesh]"

# what is written, what a user wrote instead, line and column, and words of the remedy
MISTAKES = {
    # names
    "a section that is none": ("[mesh]", "[mehs]", 9, 1, 'did you mean "mesh"?'),
    "a key that is none": ("cell_size = 2", "cell_sise = 2", 10, 1, 'did you mean "cell_size"?'),
    "an unknown phase that is left out": ('exclude = ["void"]', 'exclude = ["viod"]', 11, 12, 'did you mean "void"?'),
    "an unknown phase that conducts": ('phases = ["NMC", "LPSCl"]', 'phases = ["NMC", "LPSC"]', 28, 18,
                                       'did you mean "LPSCl"?'),
    "a pair of one phase": ('"NMC | LPSCl" =', '"NMC | NMC" =', 29, 25, "two different phases"),
    "a pair with an unknown phase": ('"NMC | LPSCl" =', '"NMC | LPSI" =', 29, 25, 'did you mean "LPSCl"?'),
    "a start off the curve": ('electrolyte = "LPSCl"\n', 'electrolyte = "LPSCl"\ninitial_voltage = "5 V"\n', 35, 1,
                              "give initial"),
    "an unknown model": ('model = "half-cell"', 'model = "halfcell"', 32, 1, 'did you mean "half-cell"?'),
    "an unknown quantity": ('"tortuosity_factor"]', '"tortuosity_fator"]', 7, 22, 'did you mean "tortuosity_factor"?'),
    "an unknown material": ('NMC = "NMC811"', 'NMC = "NMC812"', 18, 1, 'did you mean "NMC811"?'),
    "an unknown phantom": ('file = "labels.tif"', 'phantom = "cathod"', 2, 1, 'did you mean "cathode"?'),
    "an unknown option of a phantom": ('file = "labels.tif"', 'phantom = { name = "cathode", stat = "pressed" }', 2, 31,
                                       'did you mean "state"?'),
    # units
    "a spacing without a unit": ('"0.5 um"', '"0.5"', 3, 1, '"0.40 um"'),
    "a spacing in seconds": ('"0.5 um"', '"0.5 s"', 3, 1, '"0.40 um"'),
    "a spacing in millimetres": ('"0.5 um"', '"0.5 mm"', 3, 1, "correct it if you meant '0.5 um'"),
    "a thickness that is a bare number": ('"1.2 um"', "1.2", 15, 1, 'write a length such as'),
    "a conductivity in metres": ('"1.6 mS/cm"', '"1.6 m"', 24, 18, "conductivity such as"),
    "text without quotes": ('"0.5 um"', "0.5 um", 3, 15, 'put text in quotes: "0.5 um"'),
    # sizes
    "a cell below a voxel": ("cell_size = 2", "cell_size = 0.5", 10, 1, 'write voxels ≥ 1 or "0.8 um"'),
    "a cell size in the wrong unit": ("cell_size = 2", 'cell_size = "2 mm"', 10, 1, 'a length from "0.5 um" on'),
    "a zone thicker than the sample": ('"1.2 um"', '"1.2 mm"', 15, 1, "thinner than half of the gaps"),
    "a negative thickness": ('"1.2 um"', '"-1.2 um"', 15, 1, "write a positive value"),
    "a crop beyond the volume": ('spacing = "0.5 um"', 'spacing = "0.5 um"\ncrop = [[0, 0, 0], [20, 12, 12]]', 4, 1,
                                 "ends up to [12, 12, 12]"),
    # tables and lists
    "two phases with one label": ("LPSCl = 2 }", "LPSCl = 1 }", 4, 1, "label"),
    "a label that the file does not have": ("LPSCl = 2 }", "LPSCl = 2, binder = 3 }", 4, 42, "take the phase out"),
    "a label without a phase": ("void = 0, NMC", "void = 5, NMC", 4, 1, "other=0"),
    "single brackets": ("[[zone]]", "[zone]", 13, 1, "double brackets"),
    "thresholds out of order": ("[mesh]", f"[segment]\n{SCAN.replace('9000, 21000', '21000, 9000')}", 10, 1,
                                "thresholds = [9000, 21000]"),
    "too few thresholds": ("[mesh]", f"[segment]\n{SCAN.replace('9000, 21000', '21000')}", 10, 1, "2 part 3 phases"),
    # physics
    "a phase that is solved on and left out": ('exclude = ["void"]', 'exclude = ["LPSCl"]', 23, 11,
                                               "take 'LPSCl' out of mesh.exclude"),
    "a negative divisor of a C-rate": ('"C/3 until', '"C/-3 until', 36, 5, '"-C/3"'),
    "a discharge that ends higher up": ('"4.3 V until C/20"', '"-C/3 until 4.5 V"', 35, 1,
                                        "change its sign or the voltage"),
    "a cut-off in ampere": ("until 4.3 V", "until 4.3 A", 36, 5, "write a voltage such as"),
    "active material as its own electrolyte": ('electrolyte = "LPSCl"', 'electrolyte = "NMC"', 34, 1,
                                               "the phase that carries ions"),
    "a material that cannot do it": ('NMC = "NMC811"', 'NMC = "Cu"', 18, 1, "transport.diffusivity"),
    "a phase that flows without a yield stress": ("[solver]", f'{PRESSED}plastic = ["NMC"]\n\n[solver]', 18, 1,
                                                  "plastic.yield_stress"),
    # the world around
    "a file that is not there": ('"labels.tif"', '"label.tif"', 2, 1, "check the path"),
    "more ranks than cores": ("ranks = 1", "ranks = 4096", 41, 1, "write ranks ="),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("check")
    write_labels(place)
    return place


def test_the_good_study_is_good(folder: Path) -> None:
    (folder / "good.toml").write_text(GOOD, encoding="utf-8")
    found = examine_study(folder / "good.toml")
    assert found.problems == []
    assert found.facts["voxels"] == [12, 12, 12]
    assert 100 < found.facts["cells"] < 10_000


def test_there_are_thirty_of_them() -> None:
    assert len(MISTAKES) >= 30


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_seeded_mistake_is_found_with_its_place_and_its_remedy(mistake: str, folder: Path) -> None:
    written, instead, line, column, remedy = MISTAKES[mistake]
    assert written in GOOD
    file = folder / "study.toml"
    file.write_text(GOOD.replace(written, instead, 1), encoding="utf-8")
    problem = examine_study(file).problems[0]
    assert (problem.line, problem.column) == (line, column), problem
    assert problem.hint, "names no remedy"
    assert remedy in f"{problem.message} {problem.hint}"


def test_a_mesh_that_does_not_fit_into_memory_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pxm2mesh.meshing import cost

    monkeypatch.setattr(cost, "free_memory_gb", lambda: 0.3)
    (folder / "study.toml").write_text(GOOD, encoding="utf-8")
    problem = examine_study(folder / "study.toml").problems[0]
    assert (problem.line, problem.column, problem.key) == (10, 1, "mesh.cell_size")
    assert "0.3 GB are free" in problem.message


def test_mechanics_of_a_half_cell_asks_for_elastic_values_of_all_that_has_cells(folder: Path) -> None:
    """Else the run ends after the mesh is made. The mistake: looking at the phases of the half-cell only."""
    ions = 'name = "ions"\n[transport]\nionic_conductivity = { value = 1.6, unit = "mS/cm" }\n'
    (folder / "ions.toml").write_text(ions, encoding="utf-8")
    good = GOOD.replace("[solver]", '[physics.mechanics]\npressure = "5 MPa"\n\n[solver]')
    for written, instead, key, remedy in (
        ('LPSCl = "LPSCl"', f'LPSCl = "{folder / "ions.toml"}"', "materials.LPSCl", "elastic.youngs_modulus"),
        ('exclude = ["void"]', "exclude = []", "physics[2].mechanics", 'exclude = ["void"]'),
    ):
        (folder / "study.toml").write_text(good.replace(written, instead), encoding="utf-8")
        found = examine_study(folder / "study.toml").problems
        assert [p.key for p in found] == [key]
        assert remedy in f"{found[0].message} {found[0].hint}"
    (folder / "study.toml").write_text(good, encoding="utf-8")
    assert examine_study(folder / "study.toml").problems == []


def test_what_needs_no_data_stops_a_run_too(folder: Path) -> None:
    """Else a misspelt material would end a run after the mesh was made."""
    (folder / "study.toml").write_text(GOOD.replace('"NMC811"', '"NMC812"'), encoding="utf-8")
    study, problems = check_study(folder / "study.toml")
    assert study is None
    assert problems[0].key == "materials.NMC"


def test_the_command_says_all_of_it_and_ends_with_two(folder: Path, command: Command) -> None:
    file = folder / "study.toml"
    file.write_text(GOOD.replace("cell_size", "cellsize").replace('"1.2 um"', "3"), encoding="utf-8")
    result = command("check", file)
    assert result.code == 2
    assert [line.split(": ")[1] for line in result.out.splitlines()] == ["mesh.cellsize", "zone[0].thickness"]
    assert f"{file}:10:1: mesh.cellsize" in result.out


def test_a_warning_does_not_keep_a_study_from_running(folder: Path, command: Command) -> None:
    file = folder / "study.toml"
    file.write_text(GOOD.replace("ranks = 1", "ranks = 4096"), encoding="utf-8")
    result = command("check", file, "--json")
    assert result.code == 0
    told = json.loads(result.out)
    assert [p["severity"] for p in told["problems"]] == ["warning"]
    assert told["facts"]["cells"] > 0
