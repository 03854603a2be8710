"""Three states x three pressures x two seeds through Dask, with a run and then the whole sweep killed on purpose.

    .env/bin/python tests/benchmarks/bench_sweep.py
    .env/bin/python tests/benchmarks/bench_sweep.py --size 16 --workers 2 --folder runs/sweep

Says what was killed, what was run again, and prints a row for each of the 18 runs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_charge import REPOSITORY, say

SWEEP = """
study = "pressed.toml"

[vary]
"volume.phantom.options.state" = ["assembled", "pressed", "cycled"]
"volume.phantom.seed" = [1, 2]
"physics[0].mechanics.pressure" = ["5 MPa", "25 MPa", "50 MPa"]
"""
COLUMNS = ("state", "pressure", "seed", "porosity", "contact_fraction", "effective contact, charged", "s")


def begin(folder: Path, workers: int) -> subprocess.Popen[bytes]:
    """Start or go on with the sweep."""
    command = [sys.executable, "-m", "pxm2mesh", "sweep", str(folder / "states.toml"), "--scheduler", "local"]
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [*command, "--workers", str(workers)], stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip


def cases(folder: Path) -> list[dict[str, object]]:
    """What the sweep says of its cases so far."""
    file = folder / "runs" / "states" / "sweep.json"
    return list(json.loads(file.read_text())["cases"]) if file.exists() else []


def done(folder: Path) -> set[str]:
    """Names of the cases that are over."""
    return {str(case["name"]) for case in cases(folder) if case["status"] == "done"}


def wait_for(folder: Path, count: int, sweep: subprocess.Popen[bytes]) -> None:
    """Until so many cases are over."""
    while len(done(folder)) < count and sweep.poll() is None:
        time.sleep(0.2)


def kill_a_run(folder: Path) -> str:
    """SIGKILL to a run in the middle; its name."""
    while True:
        for lock in (folder / "runs" / "states").glob("*/.lock"):
            text = lock.read_text().strip()
            if (
                text.isdigit()
                and (lock.parent / "scalars.csv").exists()
                and lock.parent.name not in done(folder)
            ):
                os.kill(int(text), signal.SIGKILL)
                return lock.parent.name
        time.sleep(0.2)


def times(folder: Path, names: set[str]) -> dict[str, int]:
    """When the results of some cases were written, ns."""
    place = folder / "runs" / "states"
    return {name: (place / name / "cycles.csv").stat().st_mtime_ns for name in names}


def main() -> None:
    """Sweep, kill, go on, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=12, help="voxels along an edge")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep the results here")
    given = parser.parse_args()
    say(f"load average {os.getloadavg()[0]:.1f}")
    folder = (given.folder or Path(tempfile.mkdtemp(prefix="sweep-"))).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    new = [sys.executable, "-m", "pxm2mesh", "new", str(folder / "pressed.toml"), "--template", "cycling"]
    subprocess.run(new, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    study = (folder / "pressed.toml").read_text()
    for old, to in (("size = 16", f"size = {given.size}"), ("cycles = 3", "cycles = 1")):
        assert old in study
        study = study.replace(old, to)
    (folder / "pressed.toml").write_text(study)
    (folder / "states.toml").write_text(SWEEP)
    start = time.perf_counter()
    sweep = begin(folder, given.workers)
    wait_for(folder, 2, sweep)
    killed = kill_a_run(folder)
    say(f"{time.perf_counter() - start:6.0f} s  run {killed} killed")
    wait_for(folder, 8, sweep)
    os.killpg(sweep.pid, signal.SIGKILL)
    sweep.wait()
    kept = done(folder)
    before = times(folder, kept)
    say(f"{time.perf_counter() - start:6.0f} s  the sweep killed; {len(kept)} of 18 are over")
    code = begin(folder, given.workers).wait()
    say(
        f"{time.perf_counter() - start:6.0f} s  the sweep ended with {code}; {len(done(folder))} of 18 are over"
    )
    again = [name for name, at in times(folder, kept).items() if at != before[name]]
    say(f"run again though they were over: {', '.join(again) or 'none'}")
    starts = {str(c["name"]): c["starts"] for c in cases(folder)}
    say(f"{killed} was started {starts[killed]} times in the end")
    say("  ".join(COLUMNS))
    with (folder / "runs" / "states" / "sweep.csv").open() as file:
        for row in csv.DictReader(file):
            value = lambda begin, row=row: next((v for k, v in row.items() if k.startswith(begin) and v), "")  # noqa: E731
            say("  ".join(value(name) for name in COLUMNS))
    if given.folder is None:
        shutil.rmtree(folder)
    if code or again or len(done(folder)) != 18:
        sys.exit(1)


if __name__ == "__main__":
    main()
