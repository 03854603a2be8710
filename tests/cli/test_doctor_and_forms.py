"""What the command line is like: machine forms, no colours in pipes, a remedy for everything, completion, doctor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pxm2mesh.cli.app import _REMEDIES, VERBS
from pxm2mesh.errors import DataError, MeshingError, Pxm2meshError

from .conftest import Result

Command = Callable[..., Result]


def test_doctor_looks_at_everything_a_user_may_lack(command: Command) -> None:
    result = command("doctor", "--json")
    found = {row["what"]: row for row in json.loads(result.out)}
    assert {"Python", "DOLFINx", "MPI", "BLAS of the solvers", "off-screen pictures", "processors", "memory",
            "disk, here", "extra: cluster"} <= set(found)  # fmt: skip
    assert result.code == 0
    assert all(row["remedy"] for row in found.values() if not row["ok"])


def test_doctor_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util
    import shutil

    from pxm2mesh.report import doctor

    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setattr(doctor, "_version", lambda _name: "")
    monkeypatch.setattr(doctor, "_drawing", lambda: doctor.Finding("off-screen pictures", True))
    rows = {row.what: row for row in doctor.examine()}
    assert "conda install -c conda-forge fenics-dolfinx" in rows["DOLFINx"].remedy
    assert "openmpi" in rows["MPI"].remedy
    assert rows["mesher's packages"].remedy.startswith("pip install numpy")
    assert rows["extra: zeiss"].remedy == 'pip install "pxm2mesh[zeiss]"'


@pytest.mark.parametrize("kind", [DataError, MeshingError, Pxm2meshError])
def test_an_error_without_a_remedy_gets_that_of_its_kind(
    kind: type[Pxm2meshError], command: Command, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pxm2mesh.pipeline

    def fails(*_: object, **__: object) -> None:
        raise kind("something is wrong.")

    monkeypatch.setattr(pxm2mesh.pipeline, "run_study", fails)
    line = command("run", study).err.strip()
    assert line.startswith("error: something is wrong. ")
    assert line.endswith(_REMEDIES.get(kind.exit_code, "-vv says more."))


def test_machine_forms_are_json(finished: Path, command: Command, tmp_path: Path) -> None:
    folder = finished.parent / "runs" / "small"
    labels = finished.parent / "labels.tif"
    phases = ("--phases", "void=0,NMC=1,LPSCl=2")
    calls = {
        "new": (tmp_path / "new.toml",), "check": (finished,), "info": (folder,),
        "phantom": ("ball", "--size", "8", "-o", tmp_path / "ball.tif"),
        "quantify": (labels, *phases, "--only", "fractions"),
        "surface": (labels, *phases, "-o", tmp_path / "s.vtp"), "mesh": (labels, *phases, "-o", tmp_path / "m.vtu"),
        "run": (finished,), "report": (folder,), "compare": (folder, folder / "quantities-volume.json"),
        "export": (folder, "-o", tmp_path / "m.msh"), "schema": (), "doctor": (),
    }  # fmt: skip
    for verb, arguments in calls.items():
        result = command(verb, *arguments, "--json")
        assert result.code == 0, (verb, result.err)
        assert json.loads(result.out) is not None, verb
    assert set(VERBS) - set(calls) <= {"segment", "solve", "sweep", "movie"}, "these are called elsewhere"


def test_there_are_no_colours_in_a_pipe(finished: Path) -> None:
    command = [sys.executable, "-m", "pxm2mesh.cli", "run", str(finished), "-v"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "TERM": "xterm"}
    )
    assert "\x1b" not in done.stdout + done.stderr


def test_the_shell_completes_verbs() -> None:
    variables = {"_PXM2MESH_COMPLETE": "complete_bash", "COMP_WORDS": "pxm2mesh qu", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['pxm2mesh']; from pxm2mesh.cli.app import build; build()(prog_name='pxm2mesh')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          env={**os.environ, **variables})  # fmt: skip
    assert done.stdout.split() == ["quantify"]
