"""Denoising and scanner artefacts, against scans whose noise, rings and background are known."""

from __future__ import annotations

import numpy as np
import pytest

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.phantoms import cathode, grey_scan
from pxm2mesh.segment.artefacts import flatten_background, multi_otsu, normalise_slices, remove_rings
from pxm2mesh.segment.denoise import denoise, noise_level
from pxm2mesh.volume import GreyVolume, LabelVolume

OFF = {"noise": 0.0, "rings": 0.0, "beam_hardening": 0.0}


@pytest.fixture(scope="module")
def sample() -> LabelVolume:
    return cathode("pressed", size=48, seed=1)


@pytest.fixture(scope="module")
def still(sample: LabelVolume) -> np.ndarray:
    """The scan without noise and artefacts."""
    return grey_scan(sample, **OFF).values.astype(np.float32)


@pytest.mark.parametrize("method", ["median", "total-variation", "non-local-means", "bilateral"])
def test_denoising_brings_a_scan_closer_to_what_it_is_without_noise(
    sample: LabelVolume, still: np.ndarray, method: str
) -> None:
    noisy = grey_scan(sample, seed=2, **(OFF | {"noise": 0.06}))
    before = np.sqrt(np.mean((noisy.values - still) ** 2))
    after = np.sqrt(np.mean((denoise(noisy, method).values - still) ** 2))
    assert after < 0.85 * before


def test_a_gaussian_takes_noise_out_where_there_is_no_edge() -> None:
    noise = GreyVolume(np.random.default_rng(0).normal(100, 10, (24, 24, 24)), "1 um")
    assert denoise(noise, "gaussian").values.std() < 3


@pytest.mark.parametrize("method", ["median", "gaussian", "total-variation", "non-local-means", "bilateral"])
def test_a_constant_scan_stays_as_it_is(method: str) -> None:
    flat = GreyVolume(np.full((6, 6, 6), 7, np.uint8), "1 um")
    assert np.allclose(denoise(flat, method).values, 7)


def test_the_noise_is_measured_whatever_the_sample(sample: LabelVolume, still: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    for scatter in (500.0, 2000.0):
        noisy = (still + scatter * rng.standard_normal(still.shape)).astype(np.float32)
        assert noise_level(noisy) == pytest.approx(scatter, rel=0.05)


def test_a_dark_middle_is_lifted_and_the_sample_stays(sample: LabelVolume, still: np.ndarray) -> None:
    """Catches a fit that follows the sample: block means alone give three times the true trend here."""
    cupped = grey_scan(sample, seed=1, noise=0.06, rings=0, beam_hardening=0.05)
    truth = grey_scan(sample, **(OFF | {"beam_hardening": 0.05})).values - still
    taken = cupped.values - flatten_background(cupped).values
    left = truth - truth.mean() - taken
    assert left.std() < 0.25 * truth.std()
    assert abs(taken.mean()) < 2


def test_rings_are_taken_out_and_the_sample_stays(sample: LabelVolume, still: np.ndarray) -> None:
    ringed = grey_scan(sample, seed=1, noise=0.06, rings=0.04, beam_hardening=0)
    truth = grey_scan(sample, seed=1, **(OFF | {"rings": 0.04})).values - still
    left = truth - (ringed.values - remove_rings(ringed).values)
    assert left.std() < 0.55 * truth.std()  # what is broad counts as background


def test_a_scan_without_rings_is_hardly_touched(sample: LabelVolume) -> None:
    scan = grey_scan(sample, seed=1, noise=0.06, rings=0, beam_hardening=0)
    assert (scan.values - remove_rings(scan).values).std() < 0.2 * 0.06 * 34000


def test_slices_of_unequal_brightness_become_alike() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(100, 20, (20, 20, 6))
    uneven = GreyVolume(base * np.linspace(0.8, 1.3, 6) + np.arange(6) * 10, "1 um")
    even = normalise_slices(uneven).values
    assert np.ptp(even.mean(axis=(0, 1))) < 5 < np.ptp(uneven.values.mean(axis=(0, 1)))


def test_thresholds_part_known_levels() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(m, 3, n) for m, n in ((20, 800), (50, 3000), (90, 3000))])
    cuts = multi_otsu(values, 3)
    assert 28 < cuts[0] < 43
    assert 60 < cuts[1] < 80


def test_what_makes_no_sense_is_refused() -> None:
    flat = GreyVolume(np.full((6, 6, 6), 7, np.uint8), "1 um")
    with pytest.raises(DataError, match="all grey values are 7"):
        remove_rings(flat)
    with pytest.raises(DataError, match="grey values are all 7"):
        multi_otsu(np.full(9, 7.0), 2)
    with pytest.raises(DataError, match="2 distinct grey values do not make 3 phases"):
        multi_otsu(np.array([1.0] * 5 + [2.0] * 5), 3)
    with pytest.raises(UsageError, match='did you mean "median"'):
        denoise(flat, "medain")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="strength 0"):
        denoise(flat, strength=0)
    with pytest.raises(UsageError, match="order 9"):
        flatten_background(flat, order=9)
    with pytest.raises(UsageError, match="out of order"):
        normalise_slices(flat, low=90, high=10)
