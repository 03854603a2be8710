"""Repair of labels: what is asked for is done and counted, what is not asked for is left alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxm2mesh.errors import UsageError
from pxm2mesh.regions import find_regions
from pxm2mesh.segment import RepairOptions, clean, repair
from pxm2mesh.volume import LabelVolume

PHASES = {"void": 0, "NMC": 1, "LPSCl": 2}


def sample(labels: npt.NDArray[np.uint8]) -> LabelVolume:
    return LabelVolume(labels, PHASES, "1 um")


def noise(size: int, seed: int) -> LabelVolume:
    return sample(np.random.default_rng(seed).integers(0, 3, (size,) * 3).astype(np.uint8))


def test_nothing_is_done_unless_it_is_asked_for() -> None:
    volume = noise(12, 0)
    same, record = repair(volume, RepairOptions())
    assert same.digest() == volume.digest()
    assert set(record.as_dict().values()) == {0}


def test_specks_go_to_the_phase_around_them() -> None:
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[:, :, 5:] = 2
    labels[2, 2, 2] = 1
    labels[4, 4, 7:] = 1
    labels[1:4, 5:8, 1:4] = 1
    cleaned, record = repair(sample(labels), RepairOptions(min_region=3))
    assert record.islands == 2
    assert record.changed_voxels == 3
    assert cleaned.labels[2, 2, 2] == 0
    assert cleaned.labels[4, 4, 8] == 2
    assert cleaned.voxel_counts()["NMC"] == 27


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40))
def test_no_region_is_left_below_the_limit(seed: int, limit: int) -> None:
    volume = noise(8, seed)
    regions = find_regions(clean(volume, min_region=limit))
    if find_regions(volume).voxels.max() >= limit:
        assert regions.voxels[1:].min() >= limit


def test_holes_are_filled_only_within_one_phase_and_clear_of_the_box() -> None:
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[2:10, 2:10, 2:10] = 1
    labels[4, 4, 4] = 0  # a hole
    labels[9, 6, 6] = 2  # on the rim: two phases around it
    labels[0, 6, 6] = 2  # at the box
    filled, record = repair(sample(labels), RepairOptions(max_hole=5))
    assert record.holes == 1
    assert filled.labels[4, 4, 4] == 1
    assert filled.voxel_counts()["LPSCl"] == 2


def test_a_thread_of_one_voxel_is_cut() -> None:
    labels = np.zeros((12, 7, 7), np.uint8)
    labels[:4, 1:6, 1:6] = labels[7:, 1:6, 1:6] = 1
    labels[4:7, 3, 3] = 1
    cut, record = repair(sample(labels), RepairOptions(bridges=True))
    assert record.bridges >= 1
    assert len(find_regions(cut).of("NMC")) >= 2


def test_contacts_along_edges_and_at_corners_are_parted() -> None:
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[1:4, 1:4, 1:4] = labels[4:7, 4:7, 1:4] = 1  # along an edge
    labels[7:9, 7:9, 4:6] = 1  # at a corner
    parted, record = repair(sample(labels), RepairOptions(contacts=True))
    assert record.edge_contacts >= 3
    assert record.corner_contacts >= 1
    assert contacts(parted.labels) == 0


@pytest.mark.parametrize("seed", range(3))
def test_what_cannot_be_parted_is_counted(seed: int) -> None:
    parted, record = repair(noise(10, seed), RepairOptions(contacts=True))
    assert (contacts(parted.labels) == 0) == (record.remaining_contacts == 0)


def contacts(labels: npt.NDArray[np.unsignedinteger]) -> int:
    """Edge contacts, counted in another way: 2 × 2 squares with equal diagonal and no third of that label."""
    count = 0
    for a, b in ((0, 1), (0, 2), (1, 2)):
        corner = [np.roll(labels, shift, (a, b)) for shift in ((0, 0), (-1, 0), (0, -1), (-1, -1))]
        inside = tuple(slice(None, -1) if axis in (a, b) else slice(None) for axis in range(3))
        p, q, r, s = (c[inside] for c in corner)
        count += int(np.sum((p == s) & (q != p) & (r != p)) + np.sum((q == r) & (p != q) & (s != q)))
    return count


@pytest.mark.parametrize("options", [{"min_region": 0}, {"max_hole": -1}])
def test_limits_below_one_voxel_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="not a number of voxels"):
        RepairOptions(**options)


def test_repaired_voxels_belong_to_no_particle() -> None:
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[1, 1, 1] = 1
    ids = labels.astype(np.int32) * 4
    cleaned = clean(LabelVolume(labels, PHASES, "1 um", particles=ids), min_region=2)
    assert cleaned.particles is not None
    assert cleaned.particles.max() == 0
