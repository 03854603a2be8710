"""Charging from a study file: protocols, events, and going on from a checkpoint (V32)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from study_cases import NMC_LPSCL, rows_of, values_of

from pxm2mesh.errors import Pxm2meshError
from pxm2mesh.io.meshes import save_arrays
from pxm2mesh.quantities import Quantities
from pxm2mesh.study.protocol import Current, Rest, Voltage, cccv, parse_steps
from simulations.shapes import ball

REPOSITORY = Path(__file__).parent.parent.parent
STUDY = (
    NMC_LPSCL
    + """
[[physics]]
model = "half-cell"
active = "NMC"
electrolyte = "LPSCl"
collector = "x-"
separator = "z+"
protocol = ["1C until 4.0 V", "4.0 V until C/2", "rest 1 min"]
first_step = "20 s"
largest_step = "150 s"

[output]
folder = "."
"""
)


def test_protocols_are_read_as_they_are_written() -> None:
    assert parse_steps(["C/3 until 4.3 V", "4.3 V until C/20"]) == cccv(1 / 3, 4.3, 1 / 20)
    assert parse_steps(["rest 10 min", "-2C for 90 s", "4.1 V for 1 h"]) == (
        Rest(600.0), Current(-2.0, until_time=90.0), Voltage(4.1, until_time=3600.0),
    )  # fmt: skip
    for wrong in ("4.3", "C/0", "1C until 4 A", "4.3 V until 5 V"):
        with pytest.raises(Pxm2meshError):  # a unit, or a form that is not known
            parse_steps([wrong])


def start(folder: Path, ranks: int = 1) -> subprocess.Popen[str]:
    keep = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_MCA_", "PRTE_MCA_")  # the rest is of the MPI we run in ourselves
    ours = ("OMPI_", "PMIX_", "PRTE_", "PMI_")
    environment = {k: v for k, v in os.environ.items() if k.startswith(keep) or not k.startswith(ours)}
    environment.update(OMP_NUM_THREADS="1", PYTHONPATH=str(REPOSITORY))
    launcher = shutil.which("mpirun") or shutil.which("mpiexec")
    assert launcher, "no mpirun on the PATH"
    command = [
        *([launcher, "-n", str(ranks)] if ranks > 1 else []),
        sys.executable,
        "-m",
        "simulations",
        str(folder),
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def prepare(folder: Path) -> Path:
    folder.mkdir()
    save_arrays(ball({"NMC": 2.0, "LPSCl": 0.0}, box=(2.8,) * 3, cells=3), folder / "mesh.npz")
    (folder / "study.toml").write_text(STUDY)
    return folder


def start_and_kill(folder: Path, ranks: int = 1, *, checkpoint: str = "half-cell.npz") -> None:
    """Killed as soon as there is a checkpoint."""
    running = start(folder, ranks)
    file, deadline = folder / "checkpoints" / checkpoint, time.monotonic() + 1200
    while not file.exists() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running.poll() is None, "the run ended before its first checkpoint"
    running.send_signal(signal.SIGKILL if ranks == 1 else signal.SIGTERM)  # mpirun kills its ranks then
    running.communicate(timeout=60)
    assert not (folder / "quantities-solve.json").exists()


def run(folder: Path, ranks: int = 1) -> str:
    done = start(folder, ranks)
    said, _ = done.communicate(timeout=1200)
    assert done.returncode == 0, said
    return said


ENDS = ("time [s]", "voltage [V]", "charge [pC]", "mean lithiation [1]")


def ends(folder: Path) -> list[float]:
    return [rows_of(folder)[-1][name] for name in ENDS]


def test_v32_a_killed_run_goes_on_to_the_same_end(tmp_path: Path) -> None:
    """Catches a history or a next step that is not in the checkpoint: another voltage in the fifth digit."""
    whole, killed = prepare(tmp_path / "whole"), prepare(tmp_path / "killed")
    run(whole)
    start_and_kill(killed)
    assert "going on at t = " in run(killed)
    assert ends(killed) == pytest.approx(ends(whole), rel=1e-10)
    assert [r["time [s]"] for r in rows_of(whole)] == [r["time [s]"] for r in rows_of(killed)]
    assert values_of(killed) == pytest.approx(values_of(whole), rel=1e-10, abs=1e-12)
    events = json.loads((whole / "results-record.json").read_text())["physics"][0]["events"]
    assert (
        "voltage reached 4 V" in events[0]
        and "current fell to 0.5 C" in events[1]
        and "time is over" in events[2]
    )
    reached = [r["voltage [V]"] for r in rows_of(whole) if r["protocol step"] == 1][-1]
    assert reached == pytest.approx(4.0, abs=1e-3)
    assert all(r["lithium balance [1]"] < 1e-10 for r in rows_of(whole))
    assert 0 < Quantities.read(whole / "quantities-solve.json").value("capacity") < 200


@pytest.mark.parametrize(("before", "after"), [(1, 2), pytest.param(3, 1, marks=pytest.mark.verify)])
def test_v32_a_killed_run_goes_on_on_another_number_of_ranks(tmp_path: Path, before: int, after: int) -> None:
    """Catches a checkpoint in the order of a rank's own points: lithium at the wrong places."""
    whole, killed = prepare(tmp_path / "whole"), prepare(tmp_path / "killed")
    run(whole)
    start_and_kill(killed, before)
    assert "going on at t = " in run(killed, after)
    assert ends(killed) == pytest.approx(ends(whole), rel=1e-10)
    assert len(rows_of(killed)) == len(rows_of(whole))
    assert all(r["lithium balance [1]"] < 1e-10 for r in rows_of(killed))
