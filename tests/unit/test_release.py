"""What is released hangs together: the wheel, the versions, the ways to get DOLFINx."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import pxm2mesh

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SUPPORTED = ("0.9", "0.10", "0.11")


def text(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["version"] == pxm2mesh.__version__
    assert f"version: {PROJECT['version']}\n" in text("CITATION.cff")
    assert f"## {PROJECT['version']}" in text("docs/changelog.md")


def test_conda_installs_the_python_and_the_dolfinx_that_we_support() -> None:
    """What PyPI has stays in pyproject.toml: a second list of packages would drift."""
    lines = re.findall(r"^  - (.+)$", text("environment.yml"), re.MULTILINE)
    versions = [line.rsplit(" ", 1)[-1] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    last = max(int(version.split(".")[1]) for version in versions)
    assert f"python {PROJECT['requires-python']},<3.{last + 1}" in lines
    major, minor = SUPPORTED[-1].split(".")
    assert f"fenics-dolfinx >={SUPPORTED[0]},<{major}.{int(minor) + 1}" in lines
    packages = {line.split()[0] for line in lines}
    of_pypi = {re.split(r"[\[><=]", requirement)[0] for requirement in PROJECT["dependencies"]}
    assert packages & of_pypi == set()


def test_the_container_starts_from_a_dolfinx_that_we_support() -> None:
    found = re.search(r"^FROM dolfinx/dolfinx:v(\d+\.\d+)\.\d+$", text("Dockerfile"), re.MULTILINE)
    assert found
    assert found[1] in SUPPORTED
    assert f"v{found[1]}.0" in text("docs/how-to/dolfinx.md")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel and an sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return folder


def test_the_wheel_has_everything_that_is_read_at_run_time(built: Path) -> None:
    """Catches a file that is only there in a checkout: a template, a material, the script of the report."""
    names = set(zipfile.ZipFile(next(built.glob("*.whl"))).namelist())
    here = [p for room in ("pxm2mesh", "simulations") for p in (REPOSITORY / room).rglob("*") if p.is_file()]
    needed = {
        str(p.relative_to(REPOSITORY)) for p in here if "__pycache__" not in p.parts and p.suffix != ".pyc"
    }
    assert needed - names == set()
    assert {
        "pxm2mesh/py.typed",
        "pxm2mesh/report/viewer.js",
        "pxm2mesh/study/templates/conduction.toml",
    } <= names


def test_the_sdist_has_the_tests_and_the_documents(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    top = (
        "pyproject.toml README.md LICENSE CITATION.cff CONTRIBUTING.md Dockerfile environment.yml mkdocs.yml"
    )
    assert {*top.split(), "tests/conftest.py", "docs/index.md", "data/demo/study.toml"} <= names


@pytest.mark.verify
def test_pip_alone_installs_it_into_an_empty_environment(built: Path, tmp_path: Path) -> None:
    """Meshing and measuring work there; solving names what brings DOLFINx."""
    base = getattr(sys, "_base_executable", sys.executable)
    venv = tmp_path / "venv"
    if subprocess.run([base, "-m", "venv", str(venv)], capture_output=True, check=False).returncode != 0:
        pytest.skip("this Python makes no virtual environments: ensurepip is missing")
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}

    def call(*command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        program = str(venv / "bin" / command[0])
        done = subprocess.run([program, *command[1:]], cwd=tmp_path, env=clean, capture_output=True, text=True,
                              timeout=800, check=False)  # fmt: skip
        assert done.returncode == code, f"{command}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        return done

    install = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*install, str(next(built.glob("*.whl")))], env=clean, capture_output=True, text=True,
                          timeout=800, check=False)  # fmt: skip
    if done.returncode != 0 and "NewConnectionError" in done.stderr:
        pytest.skip("pip reaches no index from here")
    assert done.returncode == 0, done.stderr[-3000:]
    assert call("pxm2mesh", "--version").stdout.split()[1] == PROJECT["version"]
    call("pxm2mesh", "phantom", "cathode", "--size", "16", "-o", "labels.tif")
    phases = ("--phases", "void=0,NMC=1,LPSCl=2")
    rows = json.loads(
        call("pxm2mesh", "quantify", "labels.tif", *phases, "--only", "fractions", "--json").stdout
    )
    assert sum(row["value"] for row in rows if row["name"] == "volume_fraction") == pytest.approx(1)
    call("pxm2mesh", "mesh", "labels.tif", *phases, "--exclude", "void", "-o", "mesh.vtu")
    assert (tmp_path / "mesh.vtu").stat().st_size > 1000
    call("pxm2mesh", "new", "study.toml")
    study = (tmp_path / "study.toml").read_text(encoding="utf-8").replace("size = 48", "size = 16")
    (tmp_path / "study.toml").write_text(study, encoding="utf-8")
    told = call("pxm2mesh", "run", "study.toml", code=7).stderr
    sdist = [*install, "--no-deps", "--force-reinstall", str(next(built.glob("*.tar.gz")))]
    subprocess.run(sdist, env=clean, check=True, capture_output=True, timeout=800)
    call("pxm2mesh", "info", "labels.tif")
    assert "conda install -c conda-forge fenics-dolfinx" in told
    assert not shutil.which("dolfinx", path=str(venv / "bin"))
