"""A sweep of three states, three pressures and two seeds through Dask, killed twice, and what is left of it.

    .env/bin/python tests/benchmarks/bench_sweep.py --folder FOLDER [--size 12] [--workers 2] [--json FILE]

Small cathodes are pressed, charged and discharged once, 18 studies of debonding. The sweep is killed (-9) when a third
of them are done, and started again; then one study is killed while it solves. What had ended must not be done again,
and table and page must hold all. About ten minutes; in a folder that holds the sweep already, seconds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pxm2mesh.sweep import UP_TO_DATE

STUDY = """
[volume.phantom]
name = "cathode"
size = {size}
spacing = "0.6 um"
diameters = [2.0, 5.0]

[mesh]
cell_size = 2
exclude = ["void"]

[materials]
NMC = "NMC811"
LPSCl = "LPSCl"

[quantify]
only = ["fractions"]

[report]
pictures = false

[[physics]]
model = "debonding"
bonds = ["NMC | LPSCl"]
initial = 0.9
loads = ["5 MPa", "x 0.3", "x 0.9"]
steps = 2
order = 1
"""
SWEEP = """
study = "cathode.toml"

[vary]
"volume.phantom.state" = ["assembled", "pressed", "cycled"]
"physics[0].loads[0]" = ["5 MPa", "50 MPa", "150 MPa"]
"volume.phantom.seed" = [2, 4]

[report]
quantities = ["porosity", "contact_fraction", "effective_contact_fraction", "charge_transfer_resistance_ratio"]
"""
"""Seeds whose small boxes can have the porosity and contact of all three states."""
ENDED = "done"


class Watched:
    """A sweep that runs as a user starts it, and what can be seen of it from outside."""

    def __init__(self, file: Path, workers: int) -> None:
        self.folder = file.parent / "runs" / file.stem
        self._command = [
            sys.executable,
            "-m",
            "pxm2mesh.cli",
            "sweep",
            str(file),
            "-q",
            "--scheduler",
            "local",
        ]
        self._command += ["--workers", str(workers)]

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start it; it does not outlive the block."""
        with subprocess.Popen(
            self._command, cwd=self.folder.parents[1], stdout=subprocess.DEVNULL
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def states(self) -> Mapping[str, Mapping[str, object]]:
        """Of each case, by its name."""
        try:
            content = json.loads((self.folder / "sweep.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return {case["name"]: case for case in content["cases"]}

    def done(self) -> set[str]:
        """Names of the cases that have ended well."""
        return {name for name, case in self.states().items() if case["status"] == ENDED}

    def solved(self, names: set[str]) -> dict[str, int]:
        """When the fields of each case were last written, ns."""
        return {name: (self.folder / name / "loads.csv").stat().st_mtime_ns for name in names}

    def owners(self) -> dict[str, int]:
        """Process of each case that is at work."""
        found = {}
        for lock in self.folder.glob("*/.lock"):
            text = lock.read_text(encoding="utf-8").strip()
            if text.isdigit() and Path(f"/proc/{text}").exists():
                found[lock.parent.name] = int(text)
        return found

    def rows(self) -> list[dict[str, str]]:
        """Of the table."""
        with (self.folder / "sweep.csv").open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))


def until(process: subprocess.Popen[bytes], what: Callable[[], object], seconds: float = 1800) -> None:
    """Wait until ``what()`` is true."""
    end = time.monotonic() + seconds
    while not what():
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"the sweep ended too early or not at all: {process.returncode}")
        time.sleep(0.2)


def kill_the_sweep(watched: Watched, share: float) -> tuple[dict[str, int], float]:
    """End the whole sweep without a word; when what had ended was solved, and how long its cases lived on, s."""
    with watched.running() as process:
        until(process, lambda: watched.states() and len(watched.done()) >= share * len(watched.states()))
        before = watched.solved(watched.done())
        process.send_signal(signal.SIGKILL)
        process.wait()
        start = time.monotonic()
        while watched.owners() and time.monotonic() < start + 120:
            time.sleep(0.1)
        return before, time.monotonic() - start


def kill_a_case(watched: Watched) -> str:
    """Resume, kill a study that is solving, and let the sweep end; the name of the case."""
    with watched.running() as process:
        solving: list[str] = []

        def at_work() -> bool:
            solving[:] = [
                name for name in watched.owners() if (watched.folder / name / "scalars.csv").exists()
                and name not in watched.done() and not (watched.folder / name / "report.html").exists()
            ]  # fmt: skip
            return bool(solving)

        until(process, at_work)
        os.kill(watched.owners()[solving[0]], signal.SIGKILL)
        if process.wait(timeout=3600) != 0:
            raise SystemExit(f"the resumed sweep ended with code {process.returncode}")
        return solving[0]


def main() -> None:
    """Kill, resume, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--size", type=int, default=12, help="voxels along each side")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the findings there")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    (chosen.folder / "cathode.toml").write_text(STUDY.format(size=chosen.size), encoding="utf-8")
    file = chosen.folder.resolve() / "states.toml"
    file.write_text(SWEEP, encoding="utf-8")
    watched = Watched(file, chosen.workers)

    start = time.monotonic()
    before, lingered = kill_the_sweep(watched, 1 / 3)
    print(f"killed the sweep with {len(before)} done; its cases were gone after {lingered:.1f} s", flush=True)
    victim = kill_a_case(watched)
    states, rows = watched.states(), watched.rows()
    again = [name for name, when in watched.solved(set(before)).items() if when != before[name]]
    page = (watched.folder / "sweep.html").read_text(encoding="utf-8")
    findings = {
        "cases": len(states),
        "done": len(watched.done()),
        "solved again though done": len(again),
        "up to date when resumed": sum(case["message"] == UP_TO_DATE for case in states.values()),
        "killed case": victim,
        "its starts": states[victim]["starts"],
        "rows of the table": len(rows),
        "rows without a number": [row["case"] for row in rows if "" in row.values()],
        "rows over loads": sum(
            1 for _ in csv.DictReader((watched.folder / "sweep-loads.csv").open(encoding="utf-8"))
        ),
        "reports linked": page.count('/report.html"'),
        "seconds": round(time.monotonic() - start, 1),
    }
    for name, value in findings.items():
        print(f"{name:28} {value}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(findings, indent=1) + "\n", encoding="utf-8")
    sound = findings["done"] == findings["rows of the table"] == findings["reports linked"] == 18
    if not sound or again or findings["its starts"] != 2 or findings["rows without a number"]:
        raise SystemExit("something was lost or done twice")


if __name__ == "__main__":
    main()
