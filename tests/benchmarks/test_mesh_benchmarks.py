"""`make bench`: the mesher's tables, printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments], capture_output=True, text=True, check=True
    )
    print(f"\n{script} {' '.join(arguments)}\n{done.stdout}")
    return done.stdout


def test_meshing_from_64_to_256_voxels() -> None:
    assert "FAILED" not in run("bench_mesh.py", "--scaling")


def test_meshing_beside_other_meshers() -> None:
    table = run("bench_mesh_peers.py", "--size", "64")
    assert not any("pxm2mesh" in line and "failed" in line for line in table.splitlines())


def test_every_volume_of_the_corpus_ends_in_a_valid_mesh() -> None:
    table = run("bench_corpus.py")
    assert "FAILED" not in table


def test_thin_layers_leave_no_contact() -> None:
    run("bench_layers.py")
