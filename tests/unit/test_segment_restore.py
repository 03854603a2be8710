"""Labels refined until the blurred sample explains the scan, on samples that are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.phantoms import cathode, grey_scan
from pxm2mesh.segment.restore import estimate_blur, restore
from pxm2mesh.volume import GreyVolume, LabelVolume

RANK = np.array([0, 2, 1], dtype=np.uint8)
"""void=0, NMC=1, LPSCl=2 from dark to bright, and back."""


@pytest.fixture(scope="module")
def sample() -> LabelVolume:
    return cathode("pressed", size=40, seed=1)


@pytest.fixture(scope="module")
def scan(sample: LabelVolume) -> GreyVolume:
    return grey_scan(sample, seed=1)


def guess(scan: GreyVolume) -> npt.NDArray[np.uint8]:
    """By value alone, at thresholds half way between the levels: has the false shells."""
    return np.digitize(scan.values, [15000, 32000]).astype(np.uint8)


def test_most_wrong_voxels_of_plain_thresholds_are_put_right(sample: LabelVolume, scan: GreyVolume) -> None:
    truth, first = RANK[sample.labels], guess(scan)
    found = restore(scan, first)
    before, after = float(np.mean(first != truth)), float(np.mean(found.labels != truth))
    assert before > 0.085
    assert after < 0.04
    assert found.labels.shape == scan.shape


def test_the_model_of_the_scan_is_found_with_the_labels(sample: LabelVolume, scan: GreyVolume) -> None:
    found = restore(scan, RANK[sample.labels])
    assert found.blur == pytest.approx(0.8, abs=0.06)
    assert np.diff(found.levels) == pytest.approx([14000, 20000], rel=0.03)
    # shot noise: 0.06 × (42000 − 8000) × √(grey / 42000), cupping included
    assert found.noise == pytest.approx([830, 1445, 2020], rel=0.06)
    assert found.misfit == pytest.approx(1, abs=0.12)


def test_a_scan_without_flaws_keeps_its_labels(sample: LabelVolume) -> None:
    sharp = grey_scan(sample, blur=0.4, noise=0.005, rings=0, beam_hardening=0)
    found = restore(sharp, RANK[sample.labels], blur=0.4, radial=False)
    assert np.mean(found.labels != RANK[sample.labels]) < 0.001


def test_the_same_scan_gives_the_same_labels(scan: GreyVolume) -> None:
    part = GreyVolume(scan.values[:20, :20, :20], scan.spacing)
    one, two = (restore(part, guess(part), sweeps=4).labels for _ in range(2))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("width", [0.6, 0.8, 1.25])
def test_the_width_of_the_point_spread_is_estimated(sample: LabelVolume, width: float) -> None:
    scan = grey_scan(sample, blur=width, rings=0, beam_hardening=0)
    assert estimate_blur(scan.values.astype(np.float32), RANK[sample.labels]) == pytest.approx(
        width, abs=0.07
    )


def test_leaps_cost_contact_of_bright_and_dark(scan: GreyVolume) -> None:
    """Dearer leaps put the phase between bright and dark; the share of their faces falls."""
    shares = []
    for leap in (1.0, 1.5, 2.5):
        labels = restore(scan, guess(scan), leap=leap, sweeps=8).labels.astype(int)
        pairs = [np.abs(np.diff(labels, axis=a)) for a in range(3)]
        shares.append(sum(int((p == 2).sum()) for p in pairs) / sum(int((p > 0).sum()) for p in pairs))
    assert shares[0] > shares[1] > shares[2]


def test_input_that_makes_no_sense_is_refused(scan: GreyVolume) -> None:
    first = guess(scan)
    with pytest.raises(UsageError, match="blur -1"):
        restore(scan, first, blur=-1)
    with pytest.raises(DataError, match="labels have shape"):
        restore(scan, first[:-1])
    with pytest.raises(DataError, match="misses a phase"):
        restore(scan, np.where(first == 1, 2, first))


def test_one_phase_has_nothing_to_refine(scan: GreyVolume) -> None:
    found = restore(scan, np.zeros(scan.shape, np.uint8))
    assert found.labels.max() == 0
    assert found.levels[0] == pytest.approx(float(scan.values.mean()))


def test_noise_that_spans_voxels_is_not_taken_for_detail() -> None:
    """Reconstructions smooth their noise; as if independent, each of its blobs would become a grain."""
    from scipy.ndimage import gaussian_filter

    truth = np.zeros((32, 32, 32), np.uint8)
    truth[:, :, 12:] = 1
    truth[16:, :, :] = 2
    noise = gaussian_filter(np.random.default_rng(3).standard_normal(truth.shape), 1.5)
    values = gaussian_filter(np.array([80.0, 220.0, 420.0])[truth], 0.8) + 20 * noise / noise.std()
    found = restore(GreyVolume(values, "1 um"), truth, blur=0.8, radial=False)
    assert found.grain > 8
    assert np.mean(found.labels != truth) < 0.02


def test_price_of_a_leap_is_the_usual_one_where_the_scan_cannot_tell(scan: GreyVolume) -> None:
    """Too few voxels, or two grey levels: nothing is simulated."""
    from pxm2mesh.segment.calibrate import USUAL, calibrate_leap

    assert calibrate_leap(scan, guess).leap == USUAL
    flat = GreyVolume(np.repeat(scan.values, 2, axis=2), scan.spacing)
    assert calibrate_leap(flat, lambda s: (guess(s) > 0).astype(np.uint8)).tried == ()


def test_simulated_scan_has_the_levels_blur_and_noise_of_the_model(
    sample: LabelVolume, scan: GreyVolume
) -> None:
    from pxm2mesh.segment.restore import simulate_scan

    model = restore(scan, RANK[sample.labels])
    values = simulate_scan(model, seed=1)
    assert values.mean() == pytest.approx(model.levels[model.labels].mean(), rel=0.01)
    again = restore(GreyVolume(values, scan.spacing), model.labels)
    assert again.blur == pytest.approx(model.blur, abs=0.05)
    assert again.noise == pytest.approx(model.noise, rel=0.06)


@pytest.mark.verify
@pytest.mark.parametrize("state", ["assembled", "pressed", "cycled"])
def test_scans_of_the_cathode_give_porosity_within_1_and_contact_within_2_points(state: str) -> None:
    """Issue 5; the price of a leap comes from each scan itself."""
    from pxm2mesh.quantify import quantify
    from pxm2mesh.segment import SegmentOptions, segment

    truth = cathode(state, size=96, seed=7)
    found = segment(grey_scan(truth, seed=7), truth.phases, SegmentOptions(order=("void", "LPSCl", "NMC")))
    names = ["porosity", "contact_fraction"]
    seen, real = quantify(found, only=names), quantify(truth, only=names)
    contact = [q.value("contact_fraction", interface="NMC | LPSCl") for q in (seen, real)]
    assert seen["porosity"] == pytest.approx(real["porosity"], abs=0.01)
    assert contact[0] == pytest.approx(contact[1], abs=0.02)
