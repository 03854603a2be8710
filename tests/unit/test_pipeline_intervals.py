"""Quantities of a run with intervals over other segmentations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pxm2mesh import LabelVolume, Quantities
from pxm2mesh.errors import UsageError
from pxm2mesh.io.images import write_volume
from pxm2mesh.pipeline.stages import Work, measure
from pxm2mesh.progress import SILENT
from pxm2mesh.study import read_study

STUDY = """
[volume]
file = "labels.npz"
spacing = "0.5 um"
phases = {{ void = 0, NMC = 1 }}
[quantify]
only = ["porosity", "tortuosity_factor"]
intervals = "{intervals}"
[output]
folder = "run"
"""


def work_on(folder: Path, intervals: str) -> Work:
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[3:9, 3:9, 3:9] = 1
    volume = LabelVolume(labels, {"void": 0, "NMC": 1}, "0.5 um")  # type: ignore[arg-type]
    write_volume(volume, folder / "labels.npz")
    (folder / "study.toml").write_text(STUDY.format(intervals=intervals), encoding="utf-8")
    return Work(read_study(folder / "study.toml"), folder, 1, None, labels=volume)


def test_boundary_intervals_span_a_voxel_less_and_a_voxel_more(tmp_path: Path) -> None:
    """A cube of 6 voxels thinner (4³) and thicker (6³ + 6 · 36) in 12³."""
    outcome = measure(work_on(tmp_path, "boundary"), SILENT)
    assert outcome.facts["variants"] == 2
    found = Quantities.read(outcome.files[0])
    (porosity,) = found.select("porosity")
    assert porosity.uncertainty == pytest.approx((1 - 432 / 1728, 1 - 64 / 1728))
    (tau,) = found.select("tortuosity_factor", phase="void", direction="x")
    assert isinstance(tau.uncertainty, tuple) and tau.uncertainty[0] < tau.value < tau.uncertainty[1]


def test_without_being_asked_for_there_are_none(tmp_path: Path) -> None:
    outcome = measure(work_on(tmp_path, "off"), SILENT)
    assert outcome.facts["variants"] == 0
    assert all(q.uncertainty is None for q in Quantities.read(outcome.files[0]))


def test_thresholds_of_labels_are_refused_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a scan"):
        work_on(tmp_path, "threshold")
