"""Slab by slab equals the whole at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pxm2mesh import LabelVolume, PhaseTable
from pxm2mesh.errors import DataError
from pxm2mesh.io.images import open_volume, write_volume
from pxm2mesh.quantify import quantify, quantify_blocks

PHASES = PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2})


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("planes", [1, 2, 7, 64])
def test_slabs_give_the_numbers_of_the_whole(planes: int, axis: int, tmp_path: Path) -> None:
    """Noise has pieces that join only many slabs later; windows of faces reach three planes into the next slab.

    Catches faces counted before the planes that their windows reach into are there, and box faces that keep
    the order of the slabs instead of x, y, z.
    """
    rng = np.random.default_rng(3)
    labels = rng.choice(3, size=(29, 23, 17), p=[0.35, 0.35, 0.3]).astype(np.uint8)
    np.save(tmp_path / "labels.npy", labels)
    mapped = np.load(tmp_path / "labels.npy", mmap_mode="r")
    found = quantify_blocks(mapped, PHASES, "0.5, 0.6, 1 um", planes=planes, axis=axis)
    whole = quantify(
        LabelVolume(labels, PHASES, "0.5, 0.6, 1 um"),  # type: ignore[arg-type]
        only=["fractions", "areas", "connected"],
    )
    assert [(q.name, q.subject) for q in found] == [(q.name, q.subject) for q in whole]
    np.testing.assert_allclose([q.value for q in found], [q.value for q in whole], rtol=1e-12)


@pytest.mark.parametrize("suffix", [".tif", ".h5", ".zarr", ".raw"])
def test_a_volume_on_disk_gives_the_numbers_of_the_one_in_memory(suffix: str, tmp_path: Path) -> None:
    labels = np.random.default_rng(4).choice(3, size=(70, 67, 75)).astype(np.uint8)
    volume = LabelVolume(labels, PHASES, "0.5 um")
    write_volume(volume, tmp_path / f"labels{suffix}")
    disk = open_volume(tmp_path / f"labels{suffix}")
    assert disk.phases is not None
    found = quantify_blocks(disk.values, disk.phases, disk.spacing, planes=13, axis=disk.slow_axis)
    whole = quantify(volume, only=["fractions", "areas", "connected"])  # type: ignore[operator]
    np.testing.assert_allclose([q.value for q in found], [q.value for q in whole], rtol=1e-12)


def test_serpentine_is_one_piece_however_it_is_cut() -> None:
    """It crosses every slab border many times, and its ends meet only through all of them."""
    labels = np.zeros((33, 17, 3), np.uint8)
    labels[:, ::2, 1] = 1
    labels[0, 1::4, 1] = 1
    labels[-1, 3::4, 1] = 1
    for planes in (1, 5, 33):
        found = quantify_blocks(labels, PHASES, "1 um", planes=planes)
        assert found.value("component_count", phase="NMC") == 1
        assert found.value("percolating_fraction", phase="NMC", direction="y") == 1


def test_wrong_shape_and_unknown_label_are_errors() -> None:
    with pytest.raises(DataError, match="three axes"):
        quantify_blocks(np.zeros((3, 3), np.uint8), PHASES, "1 um")
    with pytest.raises(DataError, match="label 9 has no phase"):
        quantify_blocks(np.full((3, 3, 3), 9, np.uint8), PHASES, "1 um")
