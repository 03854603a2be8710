"""Scans segmented block by block give the bytes that they give as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pxm2mesh.errors import UsageError
from pxm2mesh.io.images import open_volume, read_volume, write_volume
from pxm2mesh.phases import PhaseTable
from pxm2mesh.segment import SegmentOptions, segment, segment_blocks
from pxm2mesh.volume import GreyVolume

PHASES = PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2})
BASE = SegmentOptions(
    method="threshold", thresholds=(90.0, 120.0), order=("void", "LPSCl", "NMC"), rings=False, background=None
)


@pytest.fixture(scope="module")
def scan() -> GreyVolume:
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(0).normal(size=(37, 30, 41)), 1.2)
    return GreyVolume((105 + 90 * field).astype(np.uint16), "0.5 um")


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"denoise": None},
        {"denoise": "gaussian", "strength": 1.3},
        {"denoise": "median", "strength": 2.0},
        {"bin": 2},
    ],
)
def test_blocks_give_the_bytes_of_the_whole(how: dict[str, Any], scan: GreyVolume, tmp_path: Path) -> None:
    """Catches a halo that is too narrow and sides that are mirrored instead of repeated; blocks of 9 × 8 × 7."""
    options = replace(BASE, **how)
    write_volume(scan, tmp_path / "scan.zarr")
    disk = open_volume(tmp_path / "scan.zarr")
    disk = replace(disk, values=disk.values.rechunk((9, 8, 7)))
    write_volume(segment_blocks(disk, PHASES, options), tmp_path / "labels.zarr")
    found, whole = read_volume(tmp_path / "labels.zarr"), segment(scan, PHASES, options)
    assert found.labels.dtype == whole.labels.dtype
    np.testing.assert_array_equal(found.labels, whole.labels)
    assert found.spacing.tolist() == whole.spacing.tolist() and found.phases.names == whole.phases.names


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"method": "watershed"}, "method"),
        ({"rings": True, "background": "radial"}, "background, rings"),
        ({"denoise": "bilateral"}, "denoise"),
        ({"thresholds": None}, "0 thresholds do not part 3 phases"),
    ],
)
def test_what_wants_the_whole_scan_is_refused(
    how: dict[str, Any], said: str, scan: GreyVolume, tmp_path: Path
) -> None:
    write_volume(scan, tmp_path / "scan.zarr")
    with pytest.raises(UsageError, match=said):
        segment_blocks(open_volume(tmp_path / "scan.zarr"), PHASES, replace(BASE, **how))


def test_command_line_writes_in_blocks_what_it_writes_as_a_whole(scan: GreyVolume, tmp_path: Path) -> None:
    from pxm2mesh.cli.app import run

    write_volume(scan, tmp_path / "scan.tif")
    common = ["segment", str(tmp_path / "scan.tif"), "--phases", "void,NMC,LPSCl", "--thresholds", "90,120"]
    assert run([*common, "-o", str(tmp_path / "blocks.tif"), "--blocks"]) == 0
    off = ["--method", "threshold", "--background", "off", "--no-rings"]
    assert run([*common, "-o", str(tmp_path / "whole.tif"), *off]) == 0
    blocks, whole = (read_volume(tmp_path / f"{name}.tif") for name in ("blocks", "whole"))
    np.testing.assert_array_equal(blocks.labels, whole.labels)
    assert run([*common, "-o", str(tmp_path / "b.tif"), "--blocks", "--variants"]) == 2
