"""Crop, bin and level in the study file and on the command line, and in the record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh.io.images import read_volume, write_volume
from pxm2mesh.segment.level import Plane
from pxm2mesh.volume import GreyVolume, LabelVolume

from .conftest import Result

Command = Callable[..., Result]
RISE = (3.0, -2.0)


@pytest.fixture
def tilted(tmp_path: Path) -> LabelVolume:
    """An anode of 20 µm on a collector, 1 µm voxels."""
    shape = (64, 64, 72)
    centres = np.meshgrid(*(np.arange(n) + 0.5 - n / 2 for n in shape), indexing="ij")
    height = np.tensordot(Plane(RISE).normal, np.stack(centres), 1)
    labels = np.where(height < -10, 1, np.where(height < 10, 2, 0)).astype(np.uint8)
    return LabelVolume(labels, {"void": 0, "collector": 1, "anode": 2}, "1 um")


def test_a_study_turns_the_volume_and_records_the_angle(
    tilted: LabelVolume, tmp_path: Path, command: Command
) -> None:
    write_volume(tilted, tmp_path / "labels.tif")
    (tmp_path / "study.toml").write_text(
        '[volume]\nfile = "labels.tif"\nphases = { void = 0, collector = 1, anode = 2 }\n'
        'level = { phases = ["collector"] }\n[quantify]\nonly = ["thickness"]\n[surface]\nwrite = false\n'
        '[report]\npictures = false\n[mesh]\nexclude = ["void"]\ncell_size = 4\n[output]\nfolder = "run"\n',
        encoding="utf-8",
    )
    result = command("run", tmp_path / "study.toml")
    assert result.code == 0, result.err
    record = json.loads((tmp_path / "run" / "record.json").read_text("utf-8"))
    facts = record["stages"]["volume"]["facts"]["level"]
    np.testing.assert_allclose(facts["rise_deg"], RISE, atol=0.1)
    rows = json.loads((tmp_path / "run" / "quantities.json").read_text("utf-8"))
    thickness = next(q["value"] for q in rows if q["name"] == "thickness" and q.get("phase") == "anode")
    assert thickness == pytest.approx(20, abs=0.3)


def test_quantify_crops_bins_and_turns(tilted: LabelVolume, tmp_path: Path, command: Command) -> None:
    write_volume(tilted, tmp_path / "labels.h5")
    arguments = ("quantify", tmp_path / "labels.h5", "--phases", "void=0,collector=1,anode=2", "--json")
    result = command(
        *arguments, "--crop", "0:64, 0:60, 0:72", "--bin", "2", "--level", "anode", "--only", "thickness"
    )
    rows = json.loads(result.out)
    thickness = next(q["value"] for q in rows if q.get("phase") == "anode")
    assert thickness == pytest.approx(20, abs=2.0)  # one voxel
    result = command(*arguments, "--bin", "2", "--blocks")
    shares = {q["phase"]: q["value"] for q in json.loads(result.out) if q["name"] == "volume_fraction"}
    binned = tilted.binned(2)
    for name, count in binned.voxel_counts().items():
        assert shares[name] == pytest.approx(count / binned.labels.size, rel=1e-12)


def test_segment_bins_and_turns_a_scan(tilted: LabelVolume, tmp_path: Path, command: Command) -> None:
    levels = np.array([20, 220, 120])[tilted.labels]
    noise = np.random.default_rng(0).normal(0, 8, levels.shape)
    write_volume(GreyVolume((levels + noise).clip(0, 255).astype(np.uint8), "1 um"), tmp_path / "scan.tif")
    result = command(
        "segment", tmp_path / "scan.tif", "-o", tmp_path / "labels.npz", "--phases", "void=0,anode=2,collector=1",
        "--bin", "2", "--level", "above 170", "--no-rings", "--background", "off", "--no-restore", "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    facts = json.loads(result.out)
    np.testing.assert_allclose(facts["level"]["rise_deg"], RISE, atol=0.1)
    np.testing.assert_allclose(read_volume(tmp_path / "labels.npz").spacing, 2.0)
