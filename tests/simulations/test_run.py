"""``python -m simulations RUN_FOLDER``: files, messages and exit codes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh.io.meshes import save_arrays
from pxm2mesh.pipeline.solver import ended
from pxm2mesh.quantities import Quantities
from pxm2mesh.volume import LabelVolume
from simulations.shapes import voxels

REPOSITORY = Path(__file__).parent.parent.parent
STUDY = """
[volume]
file = "labels.tif"
spacing = "1 um"
phases = {{ void = 0, NMC = 1, LPSCl = 2 }}

[[physics]]
model = "conduction"
phases = ["LPSCl"]
{physics}

[output]
folder = "."
"""


def folder_with(path: Path, physics: str = "", extra: str = "", mesh: bool = True) -> Path:
    """A run folder: LPSCl percolates along x and y, not along z."""
    labels = np.ones((6, 5, 4), dtype=np.uint8)
    labels[:, :, :2] = 2
    labels[2:4, 2:3, :2] = 0
    volume = LabelVolume(labels, {"void": 0, "NMC": 1, "LPSCl": 2}, "1 um")
    if mesh:
        save_arrays(voxels(volume, exclude=["void"]), path / "mesh.npz")
    (path / "study.toml").write_text(STUDY.format(physics=physics) + extra)
    return path


def solve(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulations", str(folder)], capture_output=True, text=True, cwd=REPOSITORY
    )


def failure(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    errors = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"error"')]
    assert len(errors) == 1, done.stdout + done.stderr
    assert errors[0]["exit_code"] == done.returncode
    return errors[0]


def test_a_run_leaves_quantities_tables_and_fields(tmp_path: Path) -> None:
    done = solve(folder_with(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    found = Quantities.read(tmp_path / "quantities-solve.json")
    assert 1.0 < found.value("tortuosity_factor", phase="LPSCl", direction="x") < 1.3
    assert found.value("tortuosity_factor", phase="LPSCl", direction="z") == float("inf")
    assert "WARNING LPSCl does not percolate along z: its tortuosity factor there is inf" in done.stdout
    rows = list(csv.DictReader((tmp_path / "scalars.csv").read_text().splitlines()))
    assert [row["direction"] for row in rows] == ["x", "y", "z"]
    assert float(rows[0]["current imbalance [1]"]) < 1e-8
    assert b"potential x [V]" in (tmp_path / "results" / "results_000000.vtu").read_bytes()
    record = json.loads((tmp_path / "results-record.json").read_text())
    assert (
        record["ranks"] == 1 and record["physics"][0]["model"] == "conduction" and record["versions"]["petsc"]
    )
    assert ended(tmp_path) == "conduction ended: all that was asked for is computed"
    shares = [
        json.loads(line)["progress"] for line in done.stdout.splitlines() if line.startswith('{"progress"')
    ]
    assert shares == sorted(shares) and shares[0] == 0.0
    before = (tmp_path / "quantities-solve.json").read_bytes()
    assert solve(tmp_path).returncode == 0
    assert (tmp_path / "quantities-solve.json").read_bytes() == before


def test_results_of_an_earlier_study_do_not_stay(tmp_path: Path) -> None:
    """Catches tables and fields that a report or a sweep would take for those of this study."""
    more = '[[physics]]\nmodel = "conduction"\nphases = ["NMC"]\n'
    assert solve(folder_with(tmp_path, extra=more)).returncode == 0
    older = [tmp_path / name for name in ("scalars-2.csv", "results-2.pvd", "results-2")]
    assert all(path.exists() for path in older)
    mine = tmp_path / "scalars-of-mine.csv"
    mine.write_text("kept", encoding="utf-8")
    (tmp_path / "results" / "results_000001.vtu").write_text("of a longer series", encoding="utf-8")
    assert solve(folder_with(tmp_path, mesh=False)).returncode == 0
    assert not any(path.exists() for path in older) and mine.exists()
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["results_000000.vtu"]


def test_nothing_percolates_is_an_answer(tmp_path: Path) -> None:
    done = solve(folder_with(tmp_path, 'directions = ["z"]'))
    assert done.returncode == 0, done.stdout + done.stderr
    assert Quantities.read(tmp_path / "quantities-solve.json")["effective_conductivity"] == 0.0
    assert (tmp_path / "results.pvd").exists()


@pytest.mark.parametrize(
    ("physics", "extra", "mesh", "code", "says"),
    [
        ("", "", False, 3, "no mesh.npz"),
        ('directions = ["w"]', "", True, 2, "'w'"),
        ('contact_conductance = { "NMC | LPSCl" = "1 S/m2" }', "", True, 2, "one side does not conduct"),
        ("", "[solver]\nmax_iterations = 1\ntolerance = 1e-14\n", True, 6, "failed after 1 iterations"),
    ],
)
def test_what_cannot_be_solved_is_one_line_with_an_exit_code(
    tmp_path: Path, physics: str, extra: str, mesh: bool, code: int, says: str
) -> None:
    done = solve(folder_with(tmp_path, physics, extra, mesh))
    told = failure(done)
    assert told["exit_code"] == code and says in str(told["error"]) and "Traceback" not in done.stderr
    assert not (tmp_path / "quantities-solve.json").exists()
