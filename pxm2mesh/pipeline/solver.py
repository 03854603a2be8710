"""The solve stage: `simulations` in a process of its own, which may be many.

DOLFINx and MPI never share a process with VTK, gmsh or pymeshlab, and a solver that is killed for its
memory takes nothing with it.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pxm2mesh.errors import (
    DataError,
    GeometryError,
    MeshingError,
    MissingDependencyError,
    NotConvergedError,
    Pxm2meshError,
    StudyError,
)
from pxm2mesh.processes import leashed
from pxm2mesh.progress import SILENT, Progress, Task

logger = logging.getLogger(__name__)

_ERRORS: Mapping[int, type[Pxm2meshError]] = {
    error.exit_code: error
    for error in (
        StudyError,
        DataError,
        GeometryError,
        MeshingError,
        NotConvergedError,
        MissingDependencyError,
    )
}
_GET_DOLFINX = (
    'run "make env", or "conda install -c conda-forge fenics-dolfinx", or "apt install python3-dolfinx" '
    "(Debian 13 or newer); everything up to the mesh is done and stays."
)


def solve(folder: Path, *, ranks: int = 1, lock: int | None = None, progress: Progress = SILENT) -> None:
    """Run the study in ``folder`` (``study.toml`` and ``mesh.npz``) with DOLFINx.

    Args:
        folder: The run folder; results are written into it.
        ranks: MPI processes.
        lock: Open lock file of the folder, which the solver keeps open as long as it lives.
        progress: Told what the solver tells.

    Raises:
        MissingDependencyError: No DOLFINx, no `simulations`, or no mpirun for more than one rank.
        Pxm2meshError: The solver's own error, with its message, hint and exit code.
    """
    command = solver_command(folder, ranks)
    logger.info("solve: %s", " ".join(command))
    environment = dict(os.environ)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment.setdefault(variable, "1")  # more make small factorisations several times slower
    process = subprocess.Popen(
        leashed(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        pass_fds=() if lock is None else (lock,),
    )
    try:
        with progress.task("solve", total=1.0) as task:
            failure, tail = _relay(process, task)
        code = process.wait()
    except BaseException:
        _end(process)
        raise
    finally:
        assert process.stdout is not None
        process.stdout.close()
    if code != 0 or failure:
        raise _error(code, failure, tail)


def ended(folder: Path) -> str:
    """Why each entry of the study in ``folder`` came to its end, as the solver's record has it."""
    record = json.loads((folder / "results-record.json").read_text(encoding="utf-8"))
    return "; ".join(f"{entry['model']} ended: {entry['ended']}" for entry in record["physics"])


def solver_command(folder: Path, ranks: int) -> list[str]:
    """The command that solves the study in ``folder``.

    Raises:
        MissingDependencyError: Something is not installed; the hint names the command that installs it.
    """
    for package in ("dolfinx", "simulations"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(
                f"solving needs {'DOLFINx' if package == 'dolfinx' else 'the package simulations'}, "
                f"which this Python ({sys.executable}) does not have;",
                hint=_GET_DOLFINX,
            )
    python = [sys.executable, "-m", "simulations", str(folder)]
    launcher = shutil.which("mpirun") or shutil.which("mpiexec")
    if launcher is None and ranks > 1:
        raise MissingDependencyError(
            f"{ranks} MPI processes need mpirun, which is not on the PATH;",
            hint='install Open MPI or MPICH ("apt install openmpi-bin"), or leave --np out.',
        )
    return python if launcher is None else [launcher, "-n", str(ranks), *python]


def _relay(process: subprocess.Popen[str], task: Task) -> tuple[dict[str, Any], list[str]]:
    """Pass on what the solver says: JSON lines are progress or its error, the rest goes into the log."""
    failure: dict[str, Any] = {}
    tail: list[str] = []
    done = 0.0
    assert process.stdout is not None
    for line in process.stdout:
        text = line.rstrip()
        message = _json_object(text)
        if "error" in message:
            failure = failure or message
        elif "progress" in message:
            fraction = _fraction(message["progress"], done)
            task.advance(max(0.0, fraction - done), str(message.get("note", "")))
            done = max(done, fraction)
        elif text:
            logger.info("%s", text)
            tail = [*tail[-19:], text]
    return failure, tail


def _json_object(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _fraction(told: Any, before: float) -> float:
    return float(told) if isinstance(told, int | float) else before


def _error(code: int, failure: Mapping[str, Any], tail: list[str]) -> Pxm2meshError:
    if failure:
        kind = _ERRORS.get(int(failure.get("exit_code", code)), Pxm2meshError)
        return kind(str(failure["error"]), hint=str(failure.get("hint", "")))
    last = tail[-1] if tail else "it said nothing"
    number = -code if code < 0 else code - 128 if code > 128 else 0
    if number == signal.SIGKILL:
        return Pxm2meshError(
            "the solver was killed from outside (signal 9), most likely for want of memory;",
            hint="use a larger cell size, a smaller crop or fewer ranks; the stages before it are kept.",
        )
    return Pxm2meshError(
        f"the solver ended with code {code}: {last};", hint="log.txt in the run folder has all it said."
    )


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
