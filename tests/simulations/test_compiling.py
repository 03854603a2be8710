"""Forms that are compiled by several processes, some of which are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
COMPILE = """
from dolfinx import fem
from simulations.base.domain import Domain
from simulations.shapes import layers
import os, signal, time
import ffcx.codegeneration.jit as jit
if {killed}:
    jit._compile_objects = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
domain = Domain.from_mesh(layers({{"A": 1.0}}, cells=(1, 1, 1)))
print(domain.integrate(fem.Constant(domain.mesh, 2.0) * domain.dx()))
"""


def compile_form(cache: Path, *, killed: bool) -> subprocess.Popen[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        [sys.executable, "-c", COMPILE.format(killed=killed)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=cache,
    )  # fmt: skip


def test_a_process_killed_while_it_compiles_does_not_stop_the_next(tmp_path: Path) -> None:
    """Catches the file that FFCx leaves behind: without the lock the next run ends with a TimeoutError after 10 s."""
    killed = compile_form(tmp_path, killed=True)
    killed.communicate(timeout=120)
    assert killed.returncode == -9 and list(tmp_path.rglob("libffcx_*.lock"))
    two = [compile_form(tmp_path, killed=False) for _ in range(2)]  # of the same form at the same time
    for process in two:
        said, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        assert abs(float(said) - 2.0) < 1e-12
