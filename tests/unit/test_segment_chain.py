"""The chain from grey values to labels, on scans whose sample is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh.errors import DataError, StudyError, UsageError
from pxm2mesh.io.images import read_grey, write_volume
from pxm2mesh.phantoms import cathode, grey_scan
from pxm2mesh.phases import PhaseTable
from pxm2mesh.segment import SegmentOptions, segment, segment_in_steps, threshold_variants
from pxm2mesh.study.reading import parse_study
from pxm2mesh.volume import GreyVolume, LabelVolume

ORDER = SegmentOptions(order=("void", "LPSCl", "NMC"))


@pytest.fixture(scope="module")
def sample() -> LabelVolume:
    return cathode("pressed", size=48, seed=1)


@pytest.fixture(scope="module")
def scan(sample: LabelVolume) -> GreyVolume:
    return grey_scan(sample, seed=1)


def shells(found: LabelVolume) -> float:
    """Share of the voxel faces of NMC beyond which void lies."""
    nmc, void = found.mask("NMC"), found.mask("void")
    faces = [(np.moveaxis(nmc, a, 0), np.moveaxis(void, a, 0)) for a in range(3)]
    both = sum(int((n[1:] & v[:-1]).sum() + (n[:-1] & v[1:]).sum()) for n, v in faces)
    every = sum(int((n[1:] & ~n[:-1]).sum() + (n[:-1] & ~n[1:]).sum()) for n, _ in faces)
    return both / every


def test_one_call_gives_porosity_and_most_voxels(sample: LabelVolume, scan: GreyVolume) -> None:
    found = segment(scan, sample.phases, ORDER)
    assert found.voxel_counts()["void"] / 48**3 == pytest.approx(0.138, abs=0.02)
    assert np.mean(found.labels != sample.labels) < 0.12
    assert found.digest() == segment(scan, sample.phases, ORDER).digest()


def test_the_rim_between_bright_and_dark_is_no_shell_of_the_phase_between(
    sample: LabelVolume, scan: GreyVolume
) -> None:
    """The classic mistake: by value alone, hardly any NMC touches void (0.5 % of its surface, not 11 %)."""
    assert shells(sample) > 0.08
    assert shells(segment(scan, sample.phases, replace(ORDER, method="threshold"))) < 0.02
    assert shells(segment(scan, sample.phases, ORDER)) > 0.06


@pytest.mark.parametrize("method", ["threshold", "hysteresis", "watershed", "random-walker"])
def test_every_method_parts_a_scan_without_blur(sample: LabelVolume, method: str) -> None:
    sharp = grey_scan(sample, blur=0, noise=0.03, rings=0, beam_hardening=0)
    plain = replace(ORDER, method=method, denoise=None, background=None, rings=False)  # type: ignore[arg-type]
    assert np.mean(segment(sharp, sample.phases, plain).labels != sample.labels) < 0.06


def test_given_thresholds_are_used_as_they_are(sample: LabelVolume, scan: GreyVolume) -> None:
    plain = replace(
        ORDER, thresholds=(15000, 32000), method="threshold", denoise=None, background=None, rings=False
    )
    found = segment_in_steps(scan, sample.phases, plain)
    assert found.thresholds == (15000, 32000)
    assert np.array_equal(found.volume.labels == 1, scan.values >= 32000)


def test_shifted_thresholds_enclose_the_nominal_bright_phase(sample: LabelVolume, scan: GreyVolume) -> None:
    options = replace(ORDER, method="threshold")
    low, high = threshold_variants(scan, sample.phases, options, shift=0.1)
    nominal = segment(scan, sample.phases, options)
    bright = [v.voxel_counts()["NMC"] for v in (high, nominal, low)]
    dark = [v.voxel_counts()["void"] for v in (low, nominal, high)]
    assert bright == sorted(set(bright))
    assert dark == sorted(set(dark))


def test_binning_and_a_band_for_a_phase_finer_than_the_voxels() -> None:
    values = np.full((20, 20, 20), 100.0)
    values[:, :, 10:] = 200
    values[:10, :, :10] = 140  # binder: pores and carbon below the resolution
    noise = np.random.default_rng(0).normal(0, 2, values.shape)
    options = SegmentOptions(
        bin=2, background=None, rings=False, bands=(("binder", 130, 150),), order=("void", "NMC")
    )
    found = segment(
        GreyVolume(values + noise, "1 um"), PhaseTable({"void": 0, "NMC": 1, "binder": 3}), options
    )
    assert found.shape == (10, 10, 10)
    assert found.spacing.tolist() == [2, 2, 2]
    assert np.mean(found.labels[:4, :, :4] == 3) > 0.9
    assert np.all(found.labels[:, :, 6:] == 1)


def test_scans_that_cannot_be_parted_are_refused(sample: LabelVolume, scan: GreyVolume) -> None:
    flat = GreyVolume(np.full((8, 8, 8), 5, np.uint16), "1 um")
    with pytest.raises(DataError, match="all grey values are 5"):
        segment(flat, sample.phases)
    two = GreyVolume(np.where(np.arange(512).reshape(8, 8, 8) % 2, 9, 5), "1 um")
    with pytest.raises(DataError, match="2 distinct grey values do not make 3 phases"):
        segment(two, sample.phases, SegmentOptions(background=None, rings=False, denoise=None))
    with pytest.raises(DataError, match="1 grey values are not finite"):
        bad = scan.values.astype(float)
        bad[1, 2, 3] = np.nan
        segment(GreyVolume(bad, "1 um"), sample.phases)
    with pytest.raises(UsageError, match="1 thresholds do not part 3 phases"):
        segment(scan, sample.phases, replace(ORDER, thresholds=(15000,)))
    with pytest.raises(DataError, match="no voxel was found for void"):
        segment(scan, sample.phases, replace(ORDER, thresholds=(1, 32000), method="threshold"))
    with pytest.raises(UsageError, match="does not name every phase once"):
        segment(scan, sample.phases, SegmentOptions(order=("void", "NMC")))
    with pytest.raises(UsageError, match='did you mean "watershed"'):
        SegmentOptions(method="watershead")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="do not ascend"):
        SegmentOptions(thresholds=(3, 2))


def test_the_study_section_means_the_same_as_the_options(tmp_path: Path, scan: GreyVolume) -> None:
    write_volume(scan, tmp_path / "scan.tif")
    content = {
        "volume": {"file": "scan.tif", "phases": {"void": 0, "NMC": 1, "LPSCl": 2}},
        "segment": {"order": ["void", "LPSCl", "NMC"], "denoise": "off", "thresholds": [15000, 32000]},
        "output": {"folder": "run"},
    }
    study = parse_study(content, folder=tmp_path)
    assert study.segment is not None
    assert study.segment.options() == replace(ORDER, denoise=None, thresholds=(15000.0, 32000.0))
    content["segment"] = {"thresholds": [3, 2]}
    with pytest.raises(StudyError, match="do not ascend"):
        parse_study(content, folder=tmp_path)
    content["segment"] = {}
    content["volume"] = {"phantom": "cathode"}
    with pytest.raises(StudyError, match="a phantom has labels already"):
        parse_study(content, folder=tmp_path)
    assert read_grey(tmp_path / "scan.tif").shape == scan.shape
