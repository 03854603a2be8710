"""The solver's process: what it says becomes progress, a log, or our own error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pxm2mesh.errors import MissingDependencyError, NotConvergedError, Pxm2meshError
from pxm2mesh.pipeline import solver
from pxm2mesh.progress import Task


class Recorder:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, str]] = []

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        self.steps.append((amount, note))

    @contextmanager
    def task(self, description: str, total: float | None = None) -> Iterator[Task]:
        yield self


def pretend(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let a few lines of Python stand for the solver."""
    monkeypatch.setattr(
        solver, "solver_command", lambda folder, ranks: [sys.executable, "-c", code, str(folder)]
    )


def test_progress_of_the_solver_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, 'print(\'{"progress": 0.25, "note": "x"}\'); print(\'{"progress": 1}\')')
    seen = Recorder()
    solver.solve(tmp_path, progress=seen)
    assert seen.steps == [(0.25, "x"), (0.75, "")]


def test_an_error_of_the_solver_keeps_its_kind_and_hint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend(monkeypatch, 'print(\'{"error": "no", "hint": "do", "exit_code": 6}\'); raise SystemExit(6)')
    with pytest.raises(NotConvergedError) as caught:
        solver.solve(tmp_path)
    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == ("no", "do", 6)


def test_a_killed_solver_is_said_to_want_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(Pxm2meshError, match=r"signal 9.*memory"):
        solver.solve(tmp_path)


def test_the_last_words_of_a_crash_are_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, "print('malloc(): corrupted'); raise SystemExit(3)")
    with pytest.raises(Pxm2meshError, match=r"code 3: malloc\(\): corrupted"):
        solver.solve(tmp_path)


def test_several_ranks_without_mpirun_name_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(solver.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(solver.shutil, "which", lambda name: None)
    assert solver.solver_command(tmp_path, 1)[0] == sys.executable
    with pytest.raises(MissingDependencyError, match="openmpi"):
        solver.solver_command(tmp_path, 2)


def test_the_solver_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Without the leash the orphan of a killed run would go on writing into the folder of the next one."""
    import os
    import signal
    import subprocess

    alive = tmp_path / "alive"
    child = f"import time\nwhile True:\n    open({str(alive)!r}, 'w').write(str(time.time()))\n    time.sleep(.05)"
    parent = (
        "import sys\nfrom pathlib import Path\nfrom pxm2mesh.pipeline import solver\n"
        f"solver.solver_command = lambda folder, ranks: [sys.executable, '-c', {child!r}]\n"
        f"solver.solve(Path({str(tmp_path)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    give_up = time.monotonic() + 60
    while not alive.exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    assert alive.exists()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1.0)
    last = alive.stat().st_mtime_ns
    time.sleep(0.5)
    assert alive.stat().st_mtime_ns == last
