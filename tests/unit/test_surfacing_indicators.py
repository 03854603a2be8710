"""Indicator fields: what they sum to, how few there are, and what they keep."""

from __future__ import annotations

import numpy as np
import pytest

from pxm2mesh import LabelVolume, PhaseTable
from pxm2mesh.errors import UsageError
from pxm2mesh.surfacing import indicator_fields
from pxm2mesh.surfacing.indicator_kernels import sample
from pxm2mesh.surfacing.indicators import find_bodies, group_bodies

PHASES = PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2})


def noise(seed: int, size: int = 12) -> LabelVolume:
    labels = np.random.default_rng(seed).integers(0, 3, (size, size + 1, size + 2)).astype(np.uint8)
    return LabelVolume(labels, PHASES, np.ones(3))


def test_fields_sum_to_one_at_every_voxel() -> None:
    fields = indicator_fields(noise(0)).values
    assert np.abs(fields.sum(axis=0) - 1).max() < 1e-5


def test_a_field_is_twice_the_blur_minus_the_blur_of_it() -> None:
    from scipy.ndimage import gaussian_filter

    x = np.indices((24, 24, 24))[0]
    labels = (x >= 9).astype(np.uint8)
    once = gaussian_filter(labels.astype(np.float32), 1.0, mode="nearest", truncate=3)
    twice = gaussian_filter(once, 1.0, mode="nearest", truncate=3)
    fields = indicator_fields(LabelVolume(labels, PHASES, np.ones(3)))
    np.testing.assert_allclose(fields.values[1], 2 * once - twice, atol=2e-6)


def test_a_wall_of_one_voxel_stays_above_one_half() -> None:
    """At a blur of one voxel the indicator of such a wall peaks at 0.49 and no isosurface is left."""
    labels = np.zeros((15, 15, 15), np.uint8)
    labels[7] = 1
    wall = indicator_fields(LabelVolume(labels, PHASES, np.ones(3))).values[1]
    assert wall[7].min() > 0.7 and wall[6].max() < 0.3


def test_a_bump_of_one_voxel_is_smoothed_and_an_island_is_kept() -> None:
    labels = np.zeros((16, 16, 16), np.uint8)
    labels[:6] = 1
    labels[6, 8, 8] = 1
    labels[12, 8, 8] = 1
    fields = indicator_fields(LabelVolume(labels, PHASES, np.ones(3))).values[1]
    assert fields[6, 8, 8] < 0.5 < fields[12, 8, 8]


def test_five_hundred_particles_need_few_fields_and_neighbours_differ() -> None:
    i, j, k = np.indices((48, 48, 48)) // 6
    particles = (i * 64 + j * 8 + k + 1).astype(np.int32)
    volume = LabelVolume(np.ones((48, 48, 48), np.uint8), PHASES, np.ones(3), particles=particles)
    ids, phase, particle = find_bodies(volume)
    group = group_bodies(ids, len(phase))
    assert len(phase) == 512 and set(particle.tolist()) == set(range(1, 513)) and group.max() < 16
    for axis in range(3):
        a, b = np.swapaxes(ids, 0, axis)[1:], np.swapaxes(ids, 0, axis)[:-1]
        assert np.all(group[a[a != b]] != group[b[a != b]])


def test_sampling_is_trilinear_with_the_right_gradient() -> None:
    x, y, z = np.indices((6, 5, 4)) + 0.5
    field = (2 + 3 * x - y + 0.5 * z).astype(np.float32)
    grad = np.empty(3)
    assert sample(field, 3.3, 2.2, 1.7, grad) == pytest.approx(2 + 9.9 - 2.2 + 0.85, abs=1e-5)
    np.testing.assert_allclose(grad, [3, -1, 0.5], atol=1e-5)
    assert sample(field[:1], 0.2, 2.2, 1.7, grad) == pytest.approx(2 + 1.5 - 2.2 + 0.85, abs=1e-5)


def test_a_blur_must_be_positive() -> None:
    with pytest.raises(UsageError, match="positive"):
        indicator_fields(noise(0), sigma=0)
