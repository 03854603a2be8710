"""Segmentation of a measured scan, held against the labels that people drew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pxm2mesh.io.images import read_grey, read_volume
from pxm2mesh.phases import PhaseTable
from pxm2mesh.segment import SegmentOptions, segment


@pytest.mark.verify
def test_a_nickel_ysz_scan_comes_out_as_drawn_by_hand(real_data: Path) -> None:
    """1.6 % of the voxels differ; by thresholds alone it is twice as many: rims of Ni taken for YSZ."""
    phases = PhaseTable({"void": 0, "YSZ": 128, "Ni": 255})
    folder = real_data / "soc_niysz_ptycho_a"
    scan = read_grey(folder / "grey_roi.tif", spacing="18.4 nm")
    drawn = read_volume(folder / "labels_roi.tif", phases, spacing="18.4 nm")
    found = segment(scan, phases, SegmentOptions(background=None, rings=False))
    assert np.mean(found.labels != drawn.labels) < 0.025
    for name, count in drawn.voxel_counts().items():
        assert found.voxel_counts()[name] / found.labels.size == pytest.approx(
            count / found.labels.size, abs=0.0125
        )
