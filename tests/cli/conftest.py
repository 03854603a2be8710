"""A sample so small that a whole run of it takes seconds, and ways to call the command line on it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh.cli.app import run as run_command
from pxm2mesh.io.images import write_volume
from pxm2mesh.volume import LabelVolume

PHASES = {"void": 0, "NMC": 1, "LPSCl": 2}


def small_labels(size: int = 12) -> np.ndarray:
    """A ball of NMC (1) and a pore (0) in LPSCl (2)."""
    x, y, z = np.indices((size, size, size)) - (size - 1) / 2
    labels = np.full((size, size, size), 2, dtype=np.uint8)
    labels[x**2 + y**2 + z**2 < (size / 3.4) ** 2] = 1
    labels[:3, :3, :3] = 0
    return labels


@dataclass(frozen=True)
class Result:
    """What a call of the command line left: its exit code and both outputs."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Calls the command line in this process."""

    def call(*arguments: object) -> Result:
        code = run_command([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


def write_labels(folder: Path) -> Path:
    """The small sample as a TIFF that states its spacing."""
    path = folder / "labels.tif"
    write_volume(LabelVolume(small_labels(), PHASES, "0.5 um"), path)
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """The small sample."""
    return write_labels(tmp_path)


STUDY = """
[volume]
file = "labels.tif"
spacing = "0.5 um"
phases = { void = 0, NMC = 1, LPSCl = 2 }

[mesh]
cell_size = 2
exclude = ["void"]

[report]
pictures = false

[output]
folder = "runs/small"
"""
PHYSICS = """
[[physics]]
model = "conduction"
phases = ["LPSCl"]
"""


@pytest.fixture
def study(labels: Path) -> Path:
    """A study of the small sample without physics."""
    path = labels.with_name("small.toml")
    path.write_text(STUDY, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def _one_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    write_labels(folder)
    (folder / "small.toml").write_text(STUDY, encoding="utf-8")
    assert run_command(["run", str(folder / "small.toml"), "-q"]) == 0
    return folder


@pytest.fixture
def finished(_one_run: Path, tmp_path: Path) -> Path:
    """The study of the small sample with its finished run, each test its own copy."""
    return shutil.copytree(_one_run, tmp_path / "copy") / "small.toml"


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts the command line in a process of its own."""

    def begin(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "pxm2mesh.cli", *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return begin
