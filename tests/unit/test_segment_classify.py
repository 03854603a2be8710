"""The pixel classifier and the preview picture."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh.errors import DataError, MissingDependencyError
from pxm2mesh.phantoms import cathode, grey_scan
from pxm2mesh.segment.classify import classify
from pxm2mesh.segment.preview import write_preview
from pxm2mesh.volume import GreyVolume, LabelVolume


@pytest.fixture(scope="module")
def sample() -> LabelVolume:
    return cathode("pressed", size=40, seed=1)


def test_a_few_painted_voxels_teach_most_of_the_rest(sample: LabelVolume) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn, an option, is not installed")
    painted = np.random.default_rng(0).random(sample.shape) < 0.02
    scribbles = np.where(painted, sample.labels.astype(int) + 1, 0)
    scan = grey_scan(sample, seed=1)
    found = classify(scan, scribbles, sample.phases, trees=20)
    assert np.mean(found.labels != sample.labels) < 0.08
    assert found.digest() == classify(scan, scribbles, sample.phases, trees=20).digest()


def test_without_scikit_learn_the_classifier_says_how_to_get_it(
    sample: LabelVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(MissingDependencyError, match="pip install scikit-learn"):
        classify(grey_scan(sample), sample.labels.astype(int) + 1, sample.phases)


def test_scribbles_that_do_not_fit_are_refused(sample: LabelVolume) -> None:
    scan = grey_scan(sample)
    empty = np.zeros(sample.shape, dtype=int)
    with pytest.raises(DataError, match="shape"):
        classify(scan, empty[1:], sample.phases)
    with pytest.raises(DataError, match="0 phases are painted"):
        classify(scan, empty, sample.phases)
    empty[0, 0, 0] = 9
    with pytest.raises(DataError, match="label 8, which has no phase"):
        classify(scan, empty, sample.phases)


def test_the_preview_is_a_picture_and_the_same_every_time(sample: LabelVolume, tmp_path: Path) -> None:
    scan = grey_scan(sample)
    for name in ("a.png", "b.png"):
        write_preview(scan, sample, tmp_path / name, thresholds=(15000,))
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 20_000
    assert content == (tmp_path / "b.png").read_bytes()
    with pytest.raises(DataError, match="voxels, its labels"):
        write_preview(GreyVolume(np.zeros((4, 4, 4)), "1 um"), sample, tmp_path / "c.png")
