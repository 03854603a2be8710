"""Charging a pressed cathode with lithium, potentials and stress coupled: time, iterations, balances.

    .env/bin/python tests/benchmarks/bench_charge.py --size 64 --cells 190000 --rates C/10 C/3 1C
    .env/bin/python tests/benchmarks/bench_charge.py --size 128 --cells 1300000 --rates C/3 --ranks 2
    .env/bin/python tests/benchmarks/bench_charge.py --switch 24 32 48 64

The last one times the direct and the iterative solver of the half-cell on meshes of several sizes.
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
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
STUDY = """
[volume]
file = "labels.tif"
spacing = "0.5 um"
phases = {{ void = 0, NMC = 1, LPSCl = 2 }}

[materials]
NMC = "NMC811"
LPSCl = "LPSCl"

[[physics]]
model = "half-cell"
active = "NMC"
electrolyte = "LPSCl"
initial_voltage = "3.6 V"
protocol = ["{step}"]
first_step = "20 s"
{mechanics}

[output]
folder = "."
"""
MECHANICS = '[physics.mechanics]\npressure = "5 MPa"\norder = {order}\n'
COLUMNS = ("cells", "unknowns", "displ.", "rate", "steps", "Newton", "GMRES", "passes", "mech.", "CG", "balance",
           "currents", "V", "x", "MPa NMC", "s", "CPU s", "MB")  # fmt: skip


def make_mesh(size: int, cell_size: float, cells: int | None, folder: Path) -> int:
    """Mesh a pressed cathode in a process of its own, and say how many cells it has."""
    code = (
        "from pxm2mesh.phantoms import cathode\nfrom pxm2mesh.meshing import MeshOptions, mesh_volume\n"
        "from pxm2mesh.segment import clean\nfrom pxm2mesh.io.meshes import save_arrays\n"
        f"options = MeshOptions(cell_size={cell_size}, target_cells={cells}, exclude=('void',))\n"
        f"mesh = mesh_volume(clean(cathode('pressed', size={size}, seed=1), min_region=27), options)\n"
        f"save_arrays(mesh, {str(folder / 'mesh.npz')!r})\nprint(len(mesh.cells))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    return int(done.stdout.splitlines()[-1])


def charge(
    folder: Path, rate: str, *, order: int, ranks: int, seconds: float | None, voltage: str
) -> dict[str, Any]:
    """Charge once and gather the numbers."""
    step = f"{rate} until {voltage}" + (f" for {seconds} s" if seconds else "")
    mechanics = MECHANICS.format(order=order) if order else ""
    (folder / "study.toml").write_text(STUDY.format(step=step, mechanics=mechanics))
    launcher = shutil.which("mpirun", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    command = [sys.executable, "-m", "simulations", str(folder), "--fresh"]
    if ranks > 1:
        command = [str(launcher), "-n", str(ranks), "--oversubscribe", *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    begin, before = time.perf_counter(), os.times()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    wall, after = time.perf_counter() - begin, os.times()
    (folder / f"log-{rate.replace('/', '')}.txt").write_text(done.stdout + done.stderr)
    rows = list(csv.DictReader((folder / "scalars.csv").read_text().splitlines()))
    facts: dict[str, Any] = {}
    if done.returncode == 0:
        facts = json.loads((folder / "results-record.json").read_text())["physics"][0]
    last = rows[-1]
    get = lambda name: float(last.get(name) or "nan")  # noqa: E731
    return {
        "unknowns": facts.get("unknowns", 0), "displ.": facts.get("displacements", 0), "rate": rate,
        "steps": len(rows) - 1, "Newton": last["Newton iterations"], "GMRES": last["linear iterations"],
        "passes": last.get("passes", ""), "mech.": last.get("mechanics Newton iterations", ""),
        "CG": last.get("mechanics linear iterations", ""),
        "balance": f"{max(float(r['lithium balance [1]']) for r in rows):.1e}",
        "currents": f"{max(float(r['spread of currents [1]']) for r in rows):.1e}",
        "V": f"{get('voltage [V]'):.4f}", "x": f"{get('mean lithiation [1]'):.4f}",
        "MPa NMC": f"{get('mean hydrostatic stress in NMC [MPa]'):.0f}", "s": f"{wall:.0f}",
        "CPU s": f"{after.children_user + after.children_system - before.children_user - before.children_system:.0f}",
        "MB": peak_memory(), "failed": "" if done.returncode == 0 else done.stdout[-600:],
    }  # fmt: skip


def peak_memory() -> str:
    """Largest resident memory of any process started so far, in MB."""
    import resource

    return f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f}"


def switch(sizes: list[int]) -> None:
    """Seconds of ten steps of the half-cell alone with either solver."""
    from pxm2mesh.io.meshes import load_arrays
    from pxm2mesh.materials import read_material
    from simulations.base.domain import Domain
    from simulations.base.solvers import MUMPS
    from simulations.models.cell import Cell, HalfCellOptions, working_part
    from simulations.models.electrochemistry import SPLIT, HalfCell
    from simulations.models.kinetics import ButlerVolmer

    say(
        f"{'voxels':>6} {'unknowns':>9} {'solver':>8} {'step s':>7} {'Newton':>6} {'iterations':>10} {'s':>7}"
    )
    nmc, se = read_material("NMC811"), read_material("LPSCl")
    cell = Cell("NMC", "LPSCl", ButlerVolmer.of(nmc), nmc.require("transport.diffusivity"),
                float(nmc.require("transport.maximum_concentration")),
                float(nmc.require("transport.electronic_conductivity")),
                float(se.require("transport.ionic_conductivity")))  # fmt: skip
    for size in sizes:
        with tempfile.TemporaryDirectory() as place:
            make_mesh(size, 2, None, Path(place))
            domain, _ = working_part(Domain.from_mesh(load_arrays(Path(place) / "mesh.npz")), cell)
        for length in (10.0, 600.0):
            for name, linear in (("direct", MUMPS), ("split", SPLIT)):
                if name == "direct" and domain.point_total > 120_000:
                    continue
                half = HalfCell(domain, cell, 0.8, options=HalfCellOptions(linear=linear))
                half.hold_current(half.one_c / 3)
                half.settle()
                start, before, krylov = time.process_time(), half.iterations, half.linear_iterations
                for _ in range(5):
                    half.attempt(length)
                    half.commit()
                say(f"{size:>6} {domain.point_total * 2:>9,} {name:>8} {length:>7.0f} {half.iterations - before:>6} "
                    f"{half.linear_iterations - krylov:>10} {time.process_time() - start:>7.2f}")  # fmt: skip


def say(line: str) -> None:
    """A line of a table."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print a table; the load average stands above it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64, help="voxels along an edge")
    parser.add_argument("--cell-size", type=float, default=2, help="voxels")
    parser.add_argument("--cells", type=int, help="aim at so many cells instead")
    parser.add_argument("--rates", nargs="+", default=["C/10", "C/3", "1C"])
    parser.add_argument("--order", type=int, default=1, help="of the displacement; 0 without mechanics")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="simulated time at most, s")
    parser.add_argument("--voltage", default="4.3 V")
    parser.add_argument("--folder", type=Path, help="keep the runs here; a mesh that is there is used again")
    parser.add_argument(
        "--switch", type=int, nargs="+", help="time the solvers of the half-cell at these sizes"
    )
    given = parser.parse_args()
    say(f"load average {os.getloadavg()[0]:.1f}")
    if given.switch:
        switch(given.switch)
        return
    folder = given.folder or Path(tempfile.mkdtemp(prefix="charge-"))
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    if (folder / "mesh.npz").exists():
        from pxm2mesh.io.meshes import load_arrays

        cells = len(load_arrays(folder / "mesh.npz").cells)
    else:
        cells = make_mesh(given.size, given.cell_size, given.cells, folder)
    say(
        f"mesh: {cells:,} cells, {time.perf_counter() - start:.1f} s; order {given.order}, {given.ranks} rank(s)"
    )
    say("  ".join(COLUMNS))
    for rate in given.rates:
        found = charge(folder, rate, order=given.order, ranks=given.ranks, seconds=given.seconds,
                       voltage=given.voltage)  # fmt: skip
        say("  ".join(str({"cells": cells, **found}[name]) for name in COLUMNS))
        if found["failed"]:
            say(f"FAILED: {found['failed']}")
    if given.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
