"""Study files: what they mean, and where they say a mistake is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxm2mesh.errors import StudyError, UsageError
from pxm2mesh.phases import PhaseTable
from pxm2mesh.study import (
    check_study,
    inputs_digest,
    locate,
    parse_study,
    read_study,
    with_phases,
    write_study,
)
from pxm2mesh.study.fields import Measure
from pxm2mesh.study.templates import new_study, template_names

MINIMAL = {"volume": {"file": "a.tif", "phases": {"void": 0, "NMC": 1}}, "output": {"folder": "runs/a"}}
TEXT = """\
[volume]
file = "labels.tif"
spacing = "0.4 um"
phases = { void = 0, NMC = 1, LPSCl = 2 }

[mesh]
cell_size = "800 nm"
exclude = ["void"]

[[zone]]
between = ["NMC", "void"]
thickness = "1.2 um"

[materials]
NMC = "NMC811"

[[physics]]
model = "conduction"
phases = ["LPSCl"]
conductivity = { LPSCl = "1.6 mS/cm" }

[[physics]]
model = "conduction"
phases = ["NMC", "LPSCl"]
contact_conductance = { "NMC | LPSCl" = "100 S/m2" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cathode.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_quantities_arrive_in_internal_units(file: Path) -> None:
    study = read_study(file)
    assert isinstance(study.mesh.cell_size, Measure)
    assert study.mesh.cell_size.value == pytest.approx(0.8)
    assert study.physics[0].conductivity["LPSCl"].value == pytest.approx(1.6e5)


def test_paths_start_at_the_study_file(file: Path) -> None:
    study = read_study(file)
    assert study.volume.file == str(file.parent / "labels.tif")
    assert study.folder == file.parent / "runs" / "cathode"


def test_a_dataset_inside_a_file_keeps_its_path(tmp_path: Path) -> None:
    volume = {**MINIMAL["volume"], "file": "scan.h5::/a/b"}
    study = parse_study({**MINIMAL, "volume": volume}, folder=tmp_path)
    assert study.volume.file == f"{tmp_path}/scan.h5::/a/b"


def test_a_study_survives_being_written(file: Path, tmp_path: Path) -> None:
    study = read_study(file)
    write_study(study, tmp_path / "again.toml")
    assert read_study(tmp_path / "again.toml") == study


def test_the_digest_sees_through_units_and_not_through_values(file: Path) -> None:
    digest = read_study(file).digest()
    file.write_text(TEXT.replace("800 nm", "0.8 um"), encoding="utf-8")
    assert read_study(file).digest() == digest
    file.write_text(TEXT.replace("800 nm", "900 nm"), encoding="utf-8")
    assert read_study(file).digest() != digest


def test_what_is_in_named_files_counts(tmp_path: Path) -> None:
    """Catches results that stay up to date while a material, its base or the result of an electrode has changed."""
    base, mine, result = tmp_path / "base.toml", tmp_path / "mine.toml", tmp_path / "run" / "results.pvd"
    result.parent.mkdir()
    series = '<VTKFile><Collection><DataSet timestep="0.0" file="a.vtu"/></Collection></VTKFile>'
    files = {base: '[elastic]\nyoungs_modulus = "1 GPa"', mine: 'base = "base.toml"', result: series,
             result.with_name("a.vtu"): "x", result.with_name("study.toml"): "y"}  # fmt: skip
    for path, content in files.items():
        path.write_text(content, encoding="utf-8")
    physics = {
        "model": "cracking",
        "phase": "NMC",
        "length": "1 um",
        "submodel": {"from_result": str(result)},
    }
    study = parse_study({**MINIMAL, "materials": {"NMC": str(mine)}, "physics": [physics]})
    found = [inputs_digest(study)]
    for path in (base, mine, *list(files)[2:]):
        path.write_text(files[path].replace("1 GPa", "2 GPa") + "\n ", encoding="utf-8")
        found.append(inputs_digest(study))
    assert found[2] == found[1]  # a space in a TOML file is no change
    assert len({*found}) == len(found) - 1
    assert inputs_digest(study) == found[-1]


def test_a_study_is_frozen(file: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_study(file).solver.ranks = 3  # type: ignore[misc]


MISTAKES = [
    ("cell_size", "cellsize", 7, "mesh.cellsize", 'did you mean "cell_size"?'),
    ("[mesh]", "[mehs]", 6, "mehs", 'did you mean "mesh"?'),
    ('"800 nm"', '"800 MPa"', 7, "mesh.cell_size", "length"),
    ('"800 nm"', "0.5", 7, "mesh.cell_size", "voxel"),
    ('"1.2 um"', "1.2", 12, "zone[0].thickness", "unit"),
    ('"1.2 um"', '"-1.2 um"', 12, "zone[0].thickness", "positive"),
    ('exclude = ["void"]', 'exclude = ["Void2"]', 8, "mesh.exclude[0]", 'did you mean "void"?'),
    ('between = ["NMC", "void"]', 'between = ["NMC"]', 11, "zone[0].between[1]", "missing"),
    ('model = "conduction"\nphases = ["LPSCl"]', 'model = "conductoin"\nphases = ["LPSCl"]', 18, "physics[0].model",
     'did you mean "conduction"?'),
    ('{ LPSCl = "1.6 mS/cm" }', '{ LPSCl = "1.6 m" }', 20, "physics[0].conductivity.LPSCl", "conductivity"),
    ('{ LPSCl = "1.6 mS/cm" }', '{ LPSCL = "1.6 S/m" }', 20, "physics[0].conductivity.LPSCL", 'did you mean "LPSCl"?'),
    ('"NMC | LPSCl" =', '"NMC | NMC" =', 25, "physics[1].contact_conductance.NMC | NMC", "two different phases"),
    ('NMC = "NMC811"', 'NCM = "NMC811"', 15, "materials.NCM", 'did you mean "NMC"?'),
    ("NMC = 1, LPSCl = 2", "NMC = 1, LPSCl = 1", 4, "volume.phases", "label"),
    ("[[zone]]", "[zone]", 10, "zone", "double brackets"),
    ('phases = ["LPSCl"]\nconductivity', "phases = []\nconductivity", 19, "physics[0].phases", ""),
    ('file = "labels.tif"\n', "", 1, "volume", 'phantom = "cathode"'),
    ('file = "labels.tif"', 'phantom = "cathod"', 2, "volume.phantom", 'did you mean "cathode"?'),
    ('spacing = "0.4 um"', 'spacing = "0.4, 0.4 um"', 3, "volume.spacing", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "line", "key", "hint"), MISTAKES, ids=[m[3] + m[1][:12] for m in MISTAKES]
)
def test_a_mistake_is_found_where_it_stands(
    before: str, after: str, line: int, key: str, hint: str, file: Path
) -> None:
    assert TEXT.count(before) >= 1
    file.write_text(TEXT.replace(before, after, 1), encoding="utf-8")
    study, problems = check_study(file)
    assert study is None
    assert (problems[0].line, problems[0].key) == (line, key), problems
    assert hint in problems[0].message + problems[0].hint
    assert problems[0].column >= 1


def test_all_mistakes_are_told_in_the_order_of_the_file(file: Path) -> None:
    file.write_text(TEXT.replace("cell_size", "cellsize").replace('"1.2 um"', "3"), encoding="utf-8")
    assert [p.key for p in check_study(file)[1]] == ["mesh.cellsize", "zone[0].thickness"]
    with pytest.raises(StudyError, match=r"and 1 more: pxm2mesh check"):
        read_study(file)


def test_broken_toml_says_line_and_column(file: Path) -> None:
    file.write_text('[volume]\nfile = "a\n', encoding="utf-8")
    with pytest.raises(StudyError, match=r"cathode\.toml:2:\d+: not valid TOML"):
        read_study(file)


def test_names_of_a_phantom_are_checked_when_it_is_there() -> None:
    study = parse_study(
        {"volume": {"phantom": "cathode"}, "mesh": {"exclude": ["viod"]}, "output": {"folder": "r"}}
    )
    with pytest.raises(StudyError, match=r"mesh\.exclude\[0\].*'viod'"):
        with_phases(study, PhaseTable({"void": 0, "NMC": 1}))


def test_phantoms_take_their_own_options() -> None:
    source = {"name": "cathode", "size": 32, "state": "cycled"}
    study = parse_study({"volume": {"phantom": source}, "output": {"folder": "r"}})
    assert study.volume.phantom is not None
    assert study.volume.phantom.options == {"state": "cycled"}
    with pytest.raises(
        StudyError, match="given beside the name and in options"
    ):  # one of them would be ignored
        parse_study(
            {"volume": {"phantom": {**source, "options": {"state": "pressed"}}}, "output": {"folder": "r"}}
        )


@pytest.mark.parametrize("name", template_names())
def test_templates_are_valid_studies(name: str, tmp_path: Path) -> None:
    new_study(tmp_path / "new.toml", name)
    assert read_study(tmp_path / "new.toml").physics
    with pytest.raises(UsageError, match="there already"):
        new_study(tmp_path / "new.toml", name)


def test_keys_are_located_in_nested_and_repeated_tables() -> None:
    assert locate(TEXT, ("physics", 1, "phases")) == (24, 1)
    assert locate(TEXT, ("volume", "phases", "NMC")) == (4, 22)
    assert locate(TEXT, ("nothing",)) == (0, 0)


@given(st.floats(min_value=1e-3, max_value=1e6, allow_nan=False))
def test_a_measure_is_its_text_and_its_value(number: float) -> None:
    measure = Measure(f"{number!r} nm", "length")
    assert measure == f"{number!r} nm"
    assert measure.value == pytest.approx(number * 1e-3, rel=1e-12)
