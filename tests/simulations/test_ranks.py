"""The same answers on any number of MPI ranks (V31), and the closed forms (V1 to V14) on two of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent


def mpirun(ranks: int, *command: str, timeout: float = 600) -> str:
    """Run Python on some ranks and give what rank 0 said."""
    launcher = shutil.which("mpirun") or shutil.which("mpiexec")
    assert launcher, "no mpirun on the PATH"
    keep = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_MCA_", "PRTE_MCA_")  # the rest is of the MPI we run in ourselves
    ours = ("OMPI_", "PMIX_", "PRTE_", "PMI_")
    environment = {k: v for k, v in os.environ.items() if k.startswith(keep) or not k.startswith(ours)}
    environment.update(PYTHONPATH=str(REPOSITORY), OMP_NUM_THREADS="1")
    done = subprocess.run(
        [launcher, "-n", str(ranks), sys.executable, *command],
        capture_output=True, text=True, env=environment, cwd=REPOSITORY, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def answers(ranks: int, case: str) -> dict[str, float]:
    last = mpirun(ranks, str(HERE / "rank_cases.py"), case).strip().splitlines()[-1]
    return {name: float(value) for name, value in json.loads(last).items()}


TOLERANCES = {"bonds": 1e-7, "conduction": 1e-10, "cracks": 1e-7, "diffusion": 1e-7, "half_cell": 1e-7}


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.verify)])
@pytest.mark.parametrize("case", TOLERANCES)
def test_v31_scalars_do_not_depend_on_the_number_of_ranks(case: str, ranks: int) -> None:
    """Catches facets counted on every rank that sees them, and the sides of a cut on different ranks."""
    assert answers(ranks, case) == pytest.approx(answers(1, case), rel=TOLERANCES[case])


def hold_on_two_ranks(name: str, *options: str) -> None:
    file = REPOSITORY / "tests" / "verification" / f"test_solver_{name}.py"
    said = mpirun(
        2, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", str(file), *options
    )
    assert said.count(" passed") == 2 and "failed" not in said and "skipped" not in said


CLOSED_FORMS = {
    "conduction": "v1 or v2 or v6",
    "diffusion": "v9",
    "electrochemistry": "v11 or v13 or what_does_not_reach",
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_forms_hold_on_two_ranks(name: str) -> None:
    """V1, V2, V6; V9 and V13; V11 and V13. Catches a rank without a facet of an interface: it stopped there."""
    hold_on_two_ranks(name, "-k", CLOSED_FORMS[name])


@pytest.mark.verify
@pytest.mark.parametrize(
    ("name", "which"), [("conduction", "v"), ("diffusion", "v10"), ("electrochemistry", "v12 or v14")]
)
def test_the_longer_closed_forms_hold_on_two_ranks(name: str, which: str) -> None:
    """V1 to V8 and V29 of conduction; V10; V12 and V14. (V29 in time and V30 take norms of one rank's part.)"""
    hold_on_two_ranks(name, "-k", which)
