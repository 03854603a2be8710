"""A pressed cathode over cycles with bonds that break and fatigue: time, jumps, balances, what is lost.

    .env/bin/python tests/benchmarks/bench_cycling.py --size 32 --cycles 10
    .env/bin/python tests/benchmarks/bench_cycling.py --size 64 --cycles 50 --ranks 2 --folder runs/cycling64

A run that was stopped goes on in the same folder with --resume.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_charge import REPOSITORY, make_mesh, say

STUDY = """
[volume]
file = "labels.tif"
spacing = "0.5 um"
phases = {{ void = 0, NMC = 1, LPSCl = 2 }}

[mesh]
exclude = ["void"]

[materials]
NMC = "NMC811"
LPSCl = "LPSCl"

[[physics]]
model = "half-cell"
active = "NMC"
electrolyte = "LPSCl"
initial_voltage = "3.7 V"
protocol = ["{rate} until 4.2 V", "-{rate} until 3.6 V"]
cycles = {cycles}
tolerance = 3e-3
first_step = "30 s"
write_every = 100000

[physics.mechanics]
pressure = "{pressure}"
order = 1
bonds = ["NMC | LPSCl"]
viscosity = "30 s"
spent = 0.05
{fatigue}
[output]
folder = "."
"""
FATIGUE = "\n[physics.fatigue]\nresolve = 2\nlargest_change = 0.1\nagreement = 0.3\n"
COLUMNS = (
    "cycle", "cycles jumped before", "steps", "capacity discharged [mAh/g]", "voltage hysteresis [V]",
    "effective contact fraction, charged [1]", "effective contact fraction, discharged [1]",
    "charge-transfer resistance, charged [ohm cm2]", "toughness left [1]", "lithium balance [1]",
    "energy imbalance [1]", "wall time [s]",
)  # fmt: skip


def main() -> None:
    """Mesh, cycle, print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=32, help="voxels along an edge")
    parser.add_argument("--cell-size", type=float, default=2.0)
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--rate", default="1C")
    parser.add_argument("--pressure", default="5 MPa")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--every", action="store_true", help="no fatigue, and so no jumps")
    parser.add_argument(
        "--longest", type=int, default=1000, help="cycles in one jump; 1 computes every cycle"
    )
    parser.add_argument("--folder", type=Path, help="keep the results here")
    parser.add_argument("--resume", action="store_true", help="go on in the folder")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="cycling-"))
    folder.mkdir(parents=True, exist_ok=True)
    if not given.resume:
        say(f"{make_mesh(given.size, given.cell_size, None, folder)} cells")
        fatigue = "" if given.every else f"{FATIGUE}longest = {given.longest}\n"
        study = STUDY.format(rate=given.rate, cycles=given.cycles, pressure=given.pressure, fatigue=fatigue)
        (folder / "study.toml").write_text(study)
    command = [sys.executable, "-m", "simulations", str(folder)] + ([] if given.resume else ["--fresh"])
    if given.ranks > 1:
        launcher = shutil.which("mpirun", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        command = [str(launcher), "-n", str(given.ranks), "--oversubscribe", *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    begin, before = time.perf_counter(), os.times()
    with (folder / "log.txt").open("w") as log:
        done = subprocess.run(command, stdout=log, stderr=log, env=environment, check=False)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    with (folder / "cycles.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in COLUMNS:
        say(f"{name:50s}" + " ".join(f"{float(row[name]):9.3g}" for row in rows))
    say(
        f"exit {done.returncode}, {time.perf_counter() - begin:.0f} s, {spent:.0f} CPU s, load {os.getloadavg()[0]:.0f}"
    )
    if done.returncode == 0:
        facts = json.loads((folder / "results-record.json").read_text())["physics"][0]
        say(f"{facts['ended']}; resolved {facts['cycles resolved']}; taken back {facts['jumps taken back']}")
    else:
        say((folder / "log.txt").read_text().splitlines()[-1])
    if given.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
