"""Runs side by side on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pxm2mesh.cli.app import run
from pxm2mesh.quantities import Quantities, Quantity


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """Three states; one conductivity by two methods, one phase that does not percolate."""
    for state, porosity, tau in (
        ("assembled", 0.251, float("inf")),
        ("pressed", 0.138, 2.0),
        ("cycled", 0.156, 3.0),
    ):
        Quantities(
            [
                Quantity("porosity", porosity, "1", "voxel count", uncertainty=0.01),
                Quantity("tortuosity_factor", tau, "1", "finite volumes", phase="LPSCl", direction="x"),
                Quantity("tortuosity_factor", 1.5, "1", "finite elements", phase="LPSCl", direction="x"),
            ]
        ).write(tmp_path / state / "quantities.json")
    return [str(tmp_path / s) for s in ("assembled", "pressed", "cycled")]


def test_states_stand_side_by_side_and_methods_apart(
    runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Catches finite elements written over finite volumes of the same phase and direction."""
    assert run(["compare", *runs, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(r["name"], r["method"]) for r in rows] == [
        ("porosity", "voxel count"), ("tortuosity_factor", "finite volumes"), ("tortuosity_factor", "finite elements"),
    ]  # fmt: skip
    assert list(rows[0]["values"]) == ["assembled", "pressed", "cycled"]
    assert rows[1]["values"]["pressed"] == "2"


def test_table_and_figure_are_written_and_the_same_each_time(runs: list[str], tmp_path: Path) -> None:
    written = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        assert run(["compare", *runs, "-q", "-o", str(folder)]) == 0
        written.append({p.name: p.read_bytes() for p in folder.iterdir()})
    assert set(written[0]) == {"comparison.html", "comparison.csv", "comparison.svg"}
    assert written[0] == written[1]
    lines = written[0]["comparison.csv"].decode().splitlines()
    assert lines[0].startswith("name,subject,unit,method,assembled,assembled low")
    assert lines[1].startswith("porosity,,1,voxel count,0.251,0.241")
    assert b"tortuosity factor" in written[0]["comparison.svg"]
    page = written[0]["comparison.html"].decode()
    assert "0.251 → 0.156" in page
    assert "-37.8 %" in page
    assert "-100 %" not in page, "from infinite to 3 is no change in per cent"


def test_runs_with_labels_are_drawn_as_profiles_sizes_and_changes(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slab that loses a plane from one state to the next: its share of the box in the table of changes."""
    import numpy as np

    from pxm2mesh import LabelVolume
    from pxm2mesh.io.images import write_volume
    from pxm2mesh.pipeline.stages import volume_facts

    for planes, run_ in zip((8, 7, 7), runs, strict=True):
        labels = np.zeros((12, 12, 16), np.uint8)
        labels[:, :, :planes] = 1
        volume = LabelVolume(labels, {"void": 0, "NMC": 1}, "0.5 um")  # type: ignore[arg-type]
        write_volume(volume, Path(run_) / "labels.npz")
        record = {"stages": {"volume": {"facts": volume_facts(volume)}}}
        (Path(run_) / "record.json").write_text(json.dumps(record))
    out = tmp_path / "out"
    assert run(["compare", *runs, "-o", str(out)]) == 0
    assert {p.name for p in out.iterdir()} == {
        "comparison.html", "comparison.csv", "comparison.svg", "profiles.svg", "sizes.svg", "changes.csv",
    }  # fmt: skip
    rows = [line.split(",") for line in (out / "changes.csv").read_text().splitlines()]
    shares = {tuple(row[:4]): float(row[4]) for row in rows[1:]}
    assert shares["assembled", "pressed", "NMC", "void"] == pytest.approx(1 / 16)
    assert ("pressed", "cycled", "NMC", "void") not in shares
    assert "0.251 (0.241 to 0.261)" in capsys.readouterr().out, "the interval stands in the table"


def test_runs_of_one_name_are_told_apart_by_their_folders(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after following the tutorial twice. Catches the second taken for the first."""
    twin = tmp_path / "other" / "pressed"
    Quantities([Quantity("porosity", 0.5, "1", "voxel count")]).write(twin / "quantities.json")
    assert run(["compare", runs[1], str(twin), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)[0]["values"]
    assert values == {f"{tmp_path.name}/pressed": "0.138", "other/pressed": "0.5"}


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (lambda r: r[:1], 2, "needs two or more"),
        (lambda r: [r[0], r[0]], 2, "is named twice"),
        (lambda r: [r[0], r[1] + "x"], 3, "has no quantities"),
        (lambda r: [*r, "--only", "porosty"], 2, 'did you mean "porosity"'),
    ],
)
def test_what_cannot_be_compared_is_refused(
    runs: list[str], capsys: pytest.CaptureFixture[str], change, code: int, says: str
) -> None:
    assert run(["compare", *change(runs)]) == code
    assert says in capsys.readouterr().err
