"""From a run folder with a study and a mesh to results: what ``python -m simulations`` does."""

from __future__ import annotations

import logging
import platform
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import dolfinx
import numpy as np
import petsc4py
import ufl
from dolfinx import fem
from mpi4py import MPI
from petsc4py import PETSc

from pxm2mesh.errors import DataError, StudyError
from pxm2mesh.files import write_json
from pxm2mesh.quantities import Quantities
from pxm2mesh.study import read_study
from pxm2mesh.study.physics import Conduction
from pxm2mesh.tetmesh import TetMesh
from simulations.base import compat
from simulations.base.domain import Domain, on_root
from simulations.base.output import JsonProgress, ResultSeries, ScalarTable
from simulations.base.series import read_times
from simulations.models import conduction
from simulations.studies.task import MESH, Answer, Task

log = logging.getLogger(__name__)

_RESULT = re.compile(r"(results(-\d+)?\.pvd|(scalars|cycles|loads)(-\d+)?\.csv|pressed-\d+(-\d+)?\.tif)")
STUDY, QUANTITIES, RECORD = "study.toml", "quantities-solve.json", "results-record.json"


def run(folder: Path, comm: MPI.Comm = MPI.COMM_WORLD, *, fresh: bool = False) -> Quantities:
    """Solve every ``[[physics]]`` entry of the study in ``folder``.

    Args:
        folder: With ``study.toml`` and ``mesh.npz``; results go there.
        comm: The ranks.
        fresh: Do not go on from a checkpoint.

    Returns:
        All quantities, which are also in ``quantities-solve.json``.

    Raises:
        Pxm2meshError: The study or the mesh cannot be read, names do not resolve, or a solve failed.
    """
    begin = time.perf_counter()
    study = on_root(comm, lambda: read_study(folder / STUDY))
    mesh: list[TetMesh] = []

    def load() -> None:
        from pxm2mesh.io.meshes import load_arrays

        if not (folder / MESH).exists():
            raise DataError(
                f"there is no {MESH} in {folder};", hint="pxm2mesh run makes it before it solves."
            )
        mesh.append(load_arrays(folder / MESH))
        study.check_names(mesh[0].phases)

    on_root(comm, load)
    if not study.physics:
        raise StudyError("the study names no physics;", hint="add a [[physics]] table.")
    progress = JsonProgress() if comm.rank == 0 else JsonProgress(None)
    quantities, facts, written = Quantities(), [], set[Path]()
    for i, physics in enumerate(study.physics):
        part = progress.part(i / len(study.physics), (i + 1) / len(study.physics))
        suffix = f"-{i + 1}" if i else ""
        task = Task(study, physics, mesh[0] if mesh else None, comm, folder, suffix, fresh, part)
        start = time.perf_counter()
        answer = MODELS[physics.model](task)
        quantities += answer.quantities
        written |= task.written
        seconds = round(time.perf_counter() - start, 3)
        ended = (answer.facts.get("events") or ["all that was asked for is computed"])[-1]
        facts.append({"model": physics.model, "ended": ended, **answer.facts, "seconds": seconds})
        log.info("%s ended: %s (%.2f s on %d rank(s))", physics.model, facts[-1]["ended"], seconds, comm.size)
    record = {"versions": versions(), "ranks": comm.size, "study": study.digest(), "physics": facts,
              "seconds": round(time.perf_counter() - begin, 3)}  # fmt: skip

    def write() -> None:
        write_json(folder / RECORD, record)
        quantities.write(folder / QUANTITIES)
        _remove_older(folder, written)

    on_root(comm, write)
    return quantities


def _remove_older(folder: Path, written: set[Path]) -> None:
    """Results of an earlier study in this folder: the report would take them for results of this one."""
    for path in folder.iterdir():
        if _RESULT.fullmatch(path.name) and path not in written:
            log.info("removed %s, which belongs to an earlier study", path.name)
            path.unlink()
            if path.suffix == ".pvd":
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
    for series in (path for path in written if path.suffix == ".pvd" and path.exists()):
        listed = {file for _, file in read_times(series)}
        for file in set(series.with_suffix("").glob("*.vtu")) - listed:
            file.unlink()


def versions() -> dict[str, str]:
    """Of what decides the numbers of a solve."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "dolfinx": dolfinx.__version__,
        "ufl": ufl.__version__,
        "petsc": ".".join(map(str, PETSc.Sys.getVersion())),
        "petsc4py": petsc4py.__version__,
        "mpi": MPI.Get_library_version().splitlines()[0],
    }


def _conduction(task: Task) -> Answer:
    physics: Conduction = task.physics
    sigma = {name: value.value for name, value in physics.conductivity.items()} or None
    domain = task.domain(phases=physics.phases, cut=())  # perfect contact where no conductance is given
    found = conduction.effective_conductivity(
        domain,
        physics.phases,
        conductivity=sigma,
        contact_conductance={name: value.value for name, value in physics.contact_conductance.items()},
        directions=physics.directions,
        order=physics.order,
        tolerance=task.study.solver.tolerance,
        max_iterations=task.study.solver.max_iterations,
        progress=task.progress,
    )
    unit, scale = ("[1]", 1.0) if sigma is None else ("[S/m]", 1e-6)
    named = {c: f"{c} {unit}" if "conductivity" in c else c for c in conduction.COLUMNS}
    table = ScalarTable(task.path("scalars.csv"), tuple(named.values()), domain)
    for row in found.rows:
        table.append({named[c]: value * scale if "conductivity" in c else value for c, value in row.items()})
    _write_potentials(task, domain, found, relative=sigma is None)
    return Answer(
        found.quantities, {"phases": physics.phases, "order": physics.order, "directions": found.rows}
    )


def _write_potentials(
    task: Task, whole: Domain, found: conduction.EffectiveConductivity, *, relative: bool
) -> None:
    domain = found.domain or whole
    nodes, cells = {}, {}
    space = fem.functionspace(domain.mesh, ("DG", 0, (3,)))
    for axis, potential in found.potentials.items():
        nodes[f"potential {axis} [V]"] = potential.function
        assert found.conductivity is not None
        current = fem.Function(space)
        expression = -found.conductivity * ufl.grad(potential.function)
        current.interpolate(fem.Expression(expression, compat.interpolation_points(space)))
        cells[f"current density {axis} [{'V/um' if relative else 'A/m2'}]"] = current
    ResultSeries(task.path("results.pvd"), domain).write(0.0, nodes, cells)


def _half_cell(task: Task) -> Answer:
    from simulations.studies.charge import charge

    return charge(task)


def _mechanics(task: Task) -> Answer:
    from simulations.studies.mechanics import press

    return press(task)


def _diffusion(task: Task) -> Answer:
    from simulations.studies.diffusion import diffuse

    return diffuse(task)


def _debonding(task: Task) -> Answer:
    from simulations.studies.debonding import debond

    return debond(task)


def _compaction(task: Task) -> Answer:
    from simulations.studies.compaction import compact

    return compact(task)


def _cracking(task: Task) -> Answer:
    from simulations.studies.fracture import crack

    return crack(task)


MODELS: dict[str, Callable[[Task], Answer]] = {
    "compaction": _compaction,
    "conduction": _conduction,
    "cracking": _cracking,
    "debonding": _debonding,
    "diffusion": _diffusion,
    "half-cell": _half_cell,
    "mechanics": _mechanics,
}
"""``model`` of a ``[[physics]]`` entry → what solves it."""
