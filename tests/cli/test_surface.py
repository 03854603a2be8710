"""``pxm2mesh surface``: one file per phase or particle, with what smoothing and decimation cost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh.cli.app import run
from pxm2mesh.errors import UsageError
from pxm2mesh.io.images import write_volume
from pxm2mesh.surfacing import marching_cubes_surfaces, write_shells
from pxm2mesh.volume import LabelVolume

PHASES = "void=0,NMC=1"


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    x, y, z = np.indices((24, 12, 12))
    field = np.minimum((x - 6) ** 2, (x - 17) ** 2) + (y - 6) ** 2 + (z - 6) ** 2 < 17
    path = tmp_path_factory.mktemp("labels") / "labels.npz"
    write_volume(LabelVolume(field.astype(np.uint8), {"void": 0, "NMC": 1}, "0.5 um"), path)
    return path


@pytest.mark.parametrize("smoothing", ["projection", "taubin", "windowed-sinc"])
def test_every_smoothing_writes_a_file_per_particle_with_its_errors(
    labels: Path, tmp_path: Path, smoothing: str
) -> None:
    """Catches an option that the command takes and does not pass on: the three surfaces would be the same."""
    code = run(["surface", str(labels), "--phases", PHASES, "-o", str(tmp_path / "s.vtp"), "--stl", str(tmp_path / "p"),
                "--method", "marching-cubes", "--smoothing", smoothing, "--by", "particle", "--format", "ply",
                "-q"])  # fmt: skip
    assert code == 0
    facts = json.loads((tmp_path / "p" / "shells.json").read_text())
    assert len(facts) == 2 and {f.suffix for f in (tmp_path / "p").iterdir()} == {".ply", ".json"}
    assert {"volume_error", "hausdorff", "volume_um3"} <= set(next(iter(facts.values())))
    assert all(one["smoothing"] == smoothing for one in facts.values())


def test_remeshing_is_for_single_surfaces_only(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        ["surface", str(labels), "--phases", PHASES, "-o", str(tmp_path / "s.vtp"), "--decimate", "0.5", "-q"]
    )
    assert code == UsageError.exit_code and "--method marching-cubes" in capsys.readouterr().err
    assert not (tmp_path / "s.vtp").exists()


def test_five_hundred_particles_are_five_hundred_files(tmp_path: Path) -> None:
    """By their ids, although they touch: eight by eight by eight cubes of five voxels, all but twelve."""
    ids = 1 + np.ravel_multi_index(tuple(i // 5 for i in np.indices((40, 40, 40))), (8, 8, 8)).astype(
        np.int32
    )
    ids[ids > 500] = 0
    volume = LabelVolume((ids > 0).astype(np.uint8), {"void": 0, "NMC": 1}, np.ones(3), particles=ids)
    shells = marching_cubes_surfaces(volume, only="NMC", by="particle")
    files = write_shells(shells, tmp_path, "stl")
    assert len(shells) == 500 and len({f.name for f in files}) == 501
    assert all(shell.is_watertight() for shell in shells)
    for shell in shells:
        assert shell.volume() == pytest.approx(125, rel=0.02), shell.name
