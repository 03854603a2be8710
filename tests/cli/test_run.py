"""Runs: what is up to date is skipped, what was killed goes on, and two do not work in one folder."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from .conftest import PHYSICS, STUDY, Result

Command = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[str]"]
needs_dolfinx = pytest.mark.skipif(find_spec("dolfinx") is None, reason="this environment has no DOLFINx")
STAGES = ("volume", "clean", "quantify", "surface", "mesh", "report")


def keys(folder: Path) -> dict[str, str]:
    stages = json.loads((folder / "record.json").read_text(encoding="utf-8"))["stages"]
    return {name: stage["finished"] + stage["key"] for name, stage in stages.items()}


def skipped(result: Result) -> list[str]:
    return [name for name in STAGES if f"{name}: up to date" in result.err]


def test_a_run_leaves_everything_the_contract_names(finished: Path, command: Command) -> None:
    result = command("run", finished)
    assert result.code == 0, result.err
    folder = finished.parent / "runs" / "small"
    for name in ("study.toml", "labels.npz", "surface.vtp", "mesh.vtu", "mesh.json", "quantities.json", "log.txt",
                 "record.json", "report.html"):  # fmt: skip
        assert (folder / name).stat().st_size > 0
    assert "volume_fraction" in result.out
    assert not list(folder.glob(".*.part*"))


def test_a_second_run_skips_every_stage(finished: Path, command: Command) -> None:
    folder = finished.parent / "runs" / "small"
    before = keys(folder)
    result = command("run", finished)
    assert skipped(result) == list(STAGES)
    assert keys(folder) == before


def test_a_changed_option_redoes_what_depends_on_it_and_no_more(finished: Path, command: Command) -> None:
    finished.write_text(STUDY.replace('exclude = ["void"]', "exclude = []"), encoding="utf-8")
    assert skipped(command("run", finished)) == ["volume", "clean", "quantify", "surface"]


def test_the_same_length_in_other_units_is_the_same_study(study: Path) -> None:
    from pxm2mesh.study import read_study

    study.write_text(STUDY.replace("cell_size = 2", 'cell_size = "1 um"'), encoding="utf-8")
    before = read_study(study).digest()
    study.write_text(STUDY.replace("cell_size = 2", 'cell_size = "1000 nm"'), encoding="utf-8")
    assert read_study(study).digest() == before


def test_a_changed_image_redoes_everything(finished: Path, command: Command) -> None:
    import tifffile

    labels = finished.with_name("labels.tif")
    values = tifffile.imread(labels)
    values[6:] = 2
    tifffile.imwrite(labels, values)
    assert skipped(command("run", finished)) == []


def test_a_file_that_was_damaged_is_made_again(finished: Path, command: Command) -> None:
    mesh = finished.parent / "runs" / "small" / "mesh.vtu"
    mesh.write_bytes(mesh.read_bytes()[:-1] + b"x")
    assert "mesh" not in skipped(command("run", finished))


def test_the_log_says_why_a_run_ended(study: Path, command: Command) -> None:
    """Catches a reason that only the terminal has seen."""
    study.with_name("labels.tif").unlink()
    result = command("run", study)
    told = (study.parent / "runs" / "small" / "log.txt").read_text(encoding="utf-8")
    assert result.code != 0 and "ended early: " in told and "labels.tif" in told


def test_a_phase_that_cleaning_takes_away_is_a_warning(study: Path, command: Command) -> None:
    """The pore has 27 voxels. Catches the template's min_region on a fine phase, such as a binder, without a word."""
    text = STUDY.replace('exclude = ["void"]', "") + '[quantify]\nonly = ["volume_fraction"]\n'
    for smallest, told in ((27, False), (28, True)):
        study.write_text(f"{text}[clean]\nmin_region = {smallest}\n", encoding="utf-8")
        result = command("run", study)
        assert ("clean: void loses 100 % of its 27 voxels" in result.err) is told, result.err


def test_restart_does_everything_again(finished: Path, command: Command) -> None:
    assert skipped(command("run", finished, "--restart")) == []


def test_two_runs_do_not_work_in_one_folder(study: Path, command: Command) -> None:
    from pxm2mesh.pipeline.folder import locked

    with locked(study.parent / "runs" / "small"):
        result = command("run", study)
    assert result.code == 2
    assert "another run" in result.err


def test_the_resolved_study_is_the_same_study(finished: Path, command: Command) -> None:
    from pxm2mesh.study import read_study

    command("run", finished)
    again = read_study(finished.parent / "runs" / "small" / "study.toml")
    assert again.mesh == read_study(finished).mesh
    assert again.folder == finished.parent / "runs" / "small"


def test_results_as_json_are_the_file(finished: Path, command: Command) -> None:
    result = command("run", finished, "--json")
    assert json.loads(result.out) == json.loads(
        (finished.parent / "runs/small/quantities.json").read_text("utf-8")
    )


def killed_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """Kill without warning after a while; False when the process was through before."""
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    return False


@pytest.mark.parametrize(
    "physics",
    [
        pytest.param("", id="mesher"),
        pytest.param(PHYSICS, id="solver", marks=[pytest.mark.verify, needs_dolfinx]),
    ],
)
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(physics: str, study: Path, start: Start) -> None:
    """Seconds are drawn from the time that an undisturbed run takes, so that every stage is hit now and then."""
    only = '\n[quantify]\nonly = ["volume_fraction", "tortuosity_factor"]\n'
    study.write_text(STUDY + only + physics, encoding="utf-8")
    folder = study.parent / "runs" / "small"
    begin = time.monotonic()
    whole = start("run", study)
    told = whole.communicate(timeout=300)[0]
    assert whole.returncode == 0, told
    duration = time.monotonic() - begin
    wanted = (folder / "quantities.json").read_bytes()
    shutil.rmtree(folder)

    draw = random.Random(7)
    kills = sum(killed_after(start("run", study), draw.uniform(0.3, 0.6) * duration) for _ in range(2))
    last = start("run", study)
    told = last.communicate(timeout=300)[0]
    assert last.returncode == 0, told
    assert kills > 0
    assert (folder / "quantities.json").read_bytes() == wanted
    assert not list(folder.glob(".*.part*"))


def test_a_terminated_run_says_so_and_goes_on(study: Path, start: Start) -> None:
    """SIGTERM, as from a batch system: exit code 143, nothing half-written, and the stages done so far are kept."""
    folder = study.parent / "runs" / "small"
    run = start("run", study)
    deadline = time.monotonic() + 120
    while not (folder / "record.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    run.terminate()
    told = run.communicate(timeout=60)[0]
    assert run.returncode == 143, told
    assert "the same command goes on where it stopped" in told
    assert not list(folder.glob(".*.part*"))
    again = start("run", study)
    told = again.communicate(timeout=300)[0]
    assert again.returncode == 0, told
    assert "volume: up to date" in told


def test_a_dry_run_says_what_would_be_done_and_does_nothing(study: Path, command: Command) -> None:
    result = command("run", study, "--dry-run", "--json")
    assert result.code == 0, result.err
    told = json.loads(result.out)
    assert told["stages"] == dict.fromkeys(STAGES, "to do")
    assert 100 < told["facts"]["cells"] < 10_000
    assert told["facts"]["seconds"] > 0
    assert told["facts"]["memory_gb"] > 0
    assert not (study.parent / "runs").exists()


def test_a_dry_run_knows_what_is_up_to_date(finished: Path, command: Command) -> None:
    """Catches a plan that does not pass on what is stale: the report is made from the mesh."""
    text = finished.read_text(encoding="utf-8").replace("cell_size = 2", "cell_size = 3")
    finished.write_text(text, encoding="utf-8")
    stages = json.loads(command("run", finished, "--dry-run", "--json").out)["stages"]
    assert [name for name, state in stages.items() if state == "to do"] == ["surface", "mesh", "report"]


def test_a_dry_run_of_a_wrong_study_points_at_it(study: Path, command: Command) -> None:
    study.write_text(STUDY.replace("cell_size", "cell_sise"), encoding="utf-8")
    result = command("run", study, "--dry-run")
    assert result.code == 2
    assert "8:1: mesh.cell_sise" in result.out


def test_a_run_shows_the_numbers_one_looks_for_and_where_the_others_are(
    finished: Path, command: Command
) -> None:
    short, whole = command("run", finished), command("run", finished, "-v")
    assert "volume_fraction" in short.out
    assert "mean_chord" not in short.out
    assert "more in quantities.json" in short.err
    assert "mean_chord" in whole.out
    machine = command("run", finished, "--json").out
    assert len(json.loads(machine)) == len(whole.out.splitlines()) - 1
