"""Sweeps: every case checked first, one mesh for all that share it, what is killed is resumed, one table for all."""

from __future__ import annotations

import csv
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from pxm2mesh import Quantities, Quantity
from pxm2mesh.errors import StudyError, UsageError
from pxm2mesh.pipeline.record import Record, StageRecord, state_of
from pxm2mesh.sweep import CaseState, execute, read_sweep, write_results
from pxm2mesh.sweep.execute import _in_groups, _take_over, slurm_cluster
from pxm2mesh.sweep.plan import Case

from .conftest import PHYSICS, STUDY, Result

Command = Callable[..., Result]
SWEEP = """
study = "small.toml"
[vary]
"mesh.cell_size" = [2, 3]
"report.note" = ["first", "second"]
"""
needs_dask = pytest.mark.skipif(find_spec("distributed") is None, reason="this environment has no Dask")
needs_slurm = pytest.mark.skipif(
    find_spec("dask_jobqueue") is None, reason="this environment has no dask-jobqueue"
)


@pytest.fixture
def sweep(study: Path) -> Path:
    """Four cases of the small sample: two meshes, two reports of each."""
    file = study.with_name("cells.toml")
    file.write_text(SWEEP, encoding="utf-8")
    return file


def folder_of(sweep: Path) -> Path:
    return sweep.parent / "runs" / sweep.stem


def table_of(sweep: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder_of(sweep) / "sweep.csv").read_text(encoding="utf-8").splitlines()))


def states(sweep: Path) -> dict[str, dict[str, object]]:
    content = json.loads((folder_of(sweep) / "sweep.json").read_text(encoding="utf-8"))
    return {case["name"]: case for case in content["cases"]}


def test_all_combinations_are_cases_and_the_last_axis_is_fastest(sweep: Path) -> None:
    plan = read_sweep(sweep)
    assert plan.axes == ("cell_size", "note")
    names = [f"cell_size-{size}_note-{note}" for size in (2, 3) for note in ("first", "second")]
    assert [case.name for case in plan.cases] == names
    assert plan.cases[3].study.report.note == "second"
    assert not folder_of(sweep).exists()


def test_a_named_axis_sets_several_keys(sweep: Path) -> None:
    sweep.write_text(
        'study = "small.toml"\n[vary.size]\ncoarse = { "mesh.cell_size" = 4, "report.note" = "coarse" }\n'
        'fine = { "mesh.cell_size" = 2, "report.note" = "fine" }\n'
    )
    fine = read_sweep(sweep).cases[1]
    assert fine.parameters == {"size": "fine"}
    assert fine.study.report.note == "fine"


def test_an_axis_over_an_entry_of_a_list_is_called_after_the_list(study: Path, sweep: Path) -> None:
    study.write_text(STUDY + PHYSICS, encoding="utf-8")
    sweep.write_text('study = "small.toml"\n[vary]\n"physics[0].phases[0]" = ["LPSCl", "NMC"]\n')
    plan = read_sweep(sweep)
    assert plan.axes == ("phases",)
    assert [case.name for case in plan.cases] == ["phases-LPSCl", "phases-NMC"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('"mesh.cellsize" = [2, 3]', "with cellsize = 2: mesh.cellsize"),
        ('"physics[0].order" = [1, 2]', "the study has no [[physics]]"),
        ('"report.note" = ["a", "a"]', "two cases are called"),
        ('"report.note.text" = ["a"]', "with text = a: report.note"),
        ('"mesh.cell_size" = 3', "list"),
    ],
)
def test_a_mistake_is_told_before_anything_starts(sweep: Path, line: str, told: str) -> None:
    sweep.write_text(f'study = "small.toml"\n[vary]\n{line}\n')
    with pytest.raises(StudyError, match=told.replace("[", r"\[")):
        read_sweep(sweep)
    assert not folder_of(sweep).exists()


def test_cases_share_a_mesh_and_land_in_one_table(sweep: Path, command: Command) -> None:
    result = command("sweep", sweep, "--workers", 2, "--json")
    assert result.code == 0, result.err
    folder, found = folder_of(sweep), states(sweep)
    assert [case["status"] for case in found.values()] == ["done"] * 4
    assert found["cell_size-2_note-second"]["mesh_from"] == "cell_size-2_note-first"
    assert "mesh: up to date" in (folder / "cell_size-2_note-second" / "log.txt").read_text()
    rows = table_of(sweep)
    assert [row["cell_size"] for row in rows] == ["2", "2", "3", "3"]
    assert all(float(row["porosity (voxel count)"]) == pytest.approx(27 / 12**3) for row in rows)
    page = (folder / "sweep.html").read_text(encoding="utf-8")
    assert "4 done" in page and 'href="cell_size-3_note-first/report.html"' in page
    seconds = [case["seconds"] for case in found.values()]
    again = command("sweep", sweep)
    assert again.code == 0
    assert "4 of 4 cases were up to date already" in again.err
    assert [case["seconds"] for case in states(sweep).values()] == seconds, (
        "times of the work, not of looking"
    )
    assert "mesh: up to date" in (folder / "cell_size-3_note-first" / "log.txt").read_text()


def test_the_others_start_as_soon_as_the_mesh_is_there(sweep: Path) -> None:
    """Catches cases that wait until the first of them has also been solved."""
    started: dict[str, Future[CaseState]] = {}
    looks = itertools.count()

    def start(case: Case, donor: Case | None) -> Future[CaseState]:
        started[case.name] = future = Future()
        if donor is None:
            case.study.folder.mkdir(parents=True)
            record = Record(case.study.folder)
            record.stages["mesh"] = StageRecord("key", "identity")
            record.write()
        if len(started) == 4:  # only now does any of them end
            for name, waiting in started.items():
                waiting.set_result(CaseState(name))
        return future

    def upkeep() -> None:
        assert next(looks) < 10, f"only {list(started)} were started"

    cases = read_sweep(sweep).cases
    assert {case.name for case, _ in _in_groups(cases, start, upkeep)} == {case.name for case in cases}


def test_a_mesh_that_has_changed_is_shared_again(tmp_path: Path) -> None:
    """Catches cases that each make the same new mesh because they have an old one."""
    for name, key in (("first", "new"), ("second", "old")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mesh.npz").write_text(key)
        record = Record(folder)
        record.stages["mesh"] = StageRecord(key, key, {"mesh.npz": state_of(folder / "mesh.npz")})
        record.stages["solve"] = StageRecord("solved", "solved")
        record.write()
    _take_over(tmp_path / "first", tmp_path / "second")
    found = Record(tmp_path / "second")
    assert found.is_current("mesh", "new") and (tmp_path / "second" / "mesh.npz").read_text() == "new"
    assert "solve" in found.stages


def test_a_case_that_fails_stops_no_other_and_is_told(sweep: Path, command: Command) -> None:
    sweep.write_text('study = "small.toml"\n[vary]\n"volume.file" = ["absent.tif", "labels.tif"]\n')
    result = command("sweep", sweep)
    assert result.code == 2
    failed, done = states(sweep).values()
    assert (failed["status"], failed["exit_code"], failed["starts"]) == ("failed", 2, 1)
    assert "absent.tif" in str(failed["message"]) and done["status"] == "done"
    assert "absent.tif" in (folder_of(sweep) / "sweep.html").read_text(encoding="utf-8")


def test_a_case_that_is_killed_is_started_once_more(
    sweep: Path, command: Command, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start("sweep", sweep, "-q")
    try:
        place = folder_of(sweep) / "cell_size-2_note-first" / ".lock"
        os.kill(_owner(place), signal.SIGKILL)
        assert process.wait(timeout=600) == 0
    finally:
        process.kill()
        process.communicate()
    first = states(sweep)["cell_size-2_note-first"]
    assert (first["status"], first["starts"]) == ("done", 2)


def test_a_sweep_that_is_killed_goes_on_and_loses_nothing(
    sweep: Path, command: Command, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start("sweep", sweep, "-q")
    second = folder_of(sweep) / "cell_size-3_note-first" / ".lock"
    case = _owner(second)
    process.kill()
    process.communicate()
    end = time.monotonic() + 60
    while Path(f"/proc/{case}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{case}").exists(), "the case outlived the sweep"
    kept = (folder_of(sweep) / "cell_size-2_note-first" / "mesh.vtu").stat().st_mtime_ns
    assert command("sweep", sweep).code == 0
    assert {case["status"] for case in states(sweep).values()} == {"done"}
    assert (folder_of(sweep) / "cell_size-2_note-first" / "mesh.vtu").stat().st_mtime_ns == kept


def _owner(lock: Path) -> int:
    """The process that holds a run folder, once there is one."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if lock.exists() and (text := lock.read_text().strip()).isdigit():
            return int(text)
        time.sleep(0.02)
    raise AssertionError(f"no run in {lock.parent}")


@needs_dask
@pytest.mark.verify
@pytest.mark.filterwarnings("ignore")  # Dask's own
def test_a_dask_scheduler_gives_the_same_numbers(sweep: Path, command: Command) -> None:
    assert command("sweep", sweep).code == 0
    here = (folder_of(sweep) / "cell_size-3_note-first" / "quantities.json").read_bytes()
    other = sweep.with_name("dask.toml")
    other.write_text(SWEEP, encoding="utf-8")
    assert command("sweep", other, "--scheduler", "local", "--workers", 2).code == 0
    assert (folder_of(other) / "cell_size-3_note-first" / "quantities.json").read_bytes() == here


@needs_dask
@pytest.mark.filterwarnings("ignore")  # Dask's own
def test_a_dask_sweep_that_is_interrupted_says_so_and_leaves_nothing_running(
    sweep: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """Catches a shutdown that Dask's executor does not know: a traceback instead of the end."""
    process = start("sweep", sweep, "--scheduler", "local", "--workers", "1", "-q")
    case = _owner(folder_of(sweep) / "cell_size-2_note-first" / ".lock")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in out
    end = time.monotonic() + 60
    while Path(f"/proc/{case}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{case}").exists()


@needs_slurm
@pytest.mark.filterwarnings("ignore")  # Dask's own
def test_a_mistake_in_the_cluster_section_is_told() -> None:
    with pytest.raises(UsageError, match="cluster"):
        slurm_cluster({"queue": "long"})


SBATCH = """#!/bin/sh
for script; do :; done
cp "$script" "$0.$$"
setsid sh "$0.$$" > "$0.out" 2>&1 < /dev/null &
echo $! >> "$0.jobs"
echo "Submitted batch job $!"
"""


@needs_slurm
@pytest.mark.verify
@pytest.mark.filterwarnings("ignore")  # Dask's own
def test_a_job_whose_time_is_over_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for SLURM that starts jobs here. Catches a sweep that waits for a worker for ever, and jobs that
    do as many cases at a time as they have cores.
    """
    import dask
    from distributed import Client

    submit, cancel = tmp_path / "sbatch", tmp_path / "scancel"
    submit.write_text(SBATCH)
    cancel.write_text('#!/bin/sh\nkill -- -"$1"\n')
    for program in (submit, cancel):
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(execute, "_UPKEEP", 1.0)
    keywords = {"queue": "short", "cores": 4, "memory": "2 GB", "walltime": "00:10:00", "jobs": 1}
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}):
        cluster, upkeep = slurm_cluster(keywords)
        assert "--cpus-per-task=4" in cluster.job_script()
        with cluster, Client(cluster) as client:
            client.wait_for_workers(1, timeout=120)
            assert [worker["nthreads"] for worker in client.scheduler_info()["workers"].values()] == [1]
            case = client.submit(time.sleep, 5, retries=2)
            time.sleep(1)
            os.killpg(int(submit.with_suffix(".jobs").read_text().split()[0]), signal.SIGKILL)
            end = time.monotonic() + 180
            while not case.done() and time.monotonic() < end:
                upkeep()
                time.sleep(0.2)
            assert case.status == "finished"


@pytest.mark.skipif(find_spec("dolfinx") is None, reason="this environment has no DOLFINx")
def test_physics_varies_over_one_mesh(study: Path, sweep: Path, command: Command) -> None:
    study.write_text(STUDY + PHYSICS, encoding="utf-8")
    sweep.write_text('study = "small.toml"\n[vary]\n"physics[0].order" = [1, 2]\n')
    assert command("sweep", sweep).code == 0
    rows = table_of(sweep)
    linear, quadratic = (
        next(
            float(v)
            for h, v in row.items()
            if v and h.startswith("effective_conductivity") and "elements" in h
        )
        for row in rows
    )  # two columns: the degree is part of the method
    assert linear != quadratic
    assert linear == pytest.approx(quadratic, rel=0.1)


LOADS = "load,pressure [MPa],contact fraction NMC | LPSCl [1],stiffness [GPa]\n0,{0},0.9,1\n1,{0},{1},1\n"


def test_what_cases_did_on_their_way_is_one_table_and_drawn(sweep: Path) -> None:
    """Catches rows of one case under the name of another, and curves that are left out."""
    plan = read_sweep(sweep)
    done = [CaseState(case.name, case.parameters, status="done") for case in plan.cases]
    done[3] = replace(done[3], status="failed")
    for number, case in enumerate(plan.cases):
        case.study.folder.mkdir(parents=True)
        Quantities([Quantity("porosity", number / 10, "1", "voxel count")]).write(
            case.study.folder / "quantities.json"
        )
        text = LOADS.format(number, 0.5 + number / 100)
        (case.study.folder / "loads.csv").write_text(text, encoding="utf-8")
    table, page, loads = write_results(plan, done)
    assert loads == table.with_name("sweep-loads.csv")
    rows = list(csv.DictReader(loads.read_text(encoding="utf-8").splitlines()))
    assert [(row["case"], row["load"]) for row in rows] == [
        (s.name, str(i)) for s in done[:3] for i in (0, 1)
    ]
    assert [float(row["pressure [MPa]"]) for row in rows] == [0, 0, 1, 1, 2, 2]
    assert [row["cell_size"] for row in rows] == ["2"] * 4 + ["3"] * 2
    drawn = page.read_text(encoding="utf-8")
    assert "<h2>Loads</h2>" in drawn and "contact fraction NMC | LPSCl" in drawn
    assert "stiffness" not in drawn, "it is the same in all"
