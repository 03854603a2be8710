"""Random volumes: files give back what was written, repair and separation keep their promises."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cc3d
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pxm2mesh.io.images import open_volume, read_grey, read_volume, write_volume
from pxm2mesh.phases import PhaseTable
from pxm2mesh.quantify import quantify, quantify_blocks
from pxm2mesh.regions import find_regions
from pxm2mesh.segment import RepairOptions, clean, repair, separate_particles
from pxm2mesh.volume import GreyVolume, LabelVolume

PHASES = PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2})
SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=7)
LABELS = hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 2))
LENGTHS = st.floats(1e-3, 1e3, allow_nan=False)
SUFFIXES = st.sampled_from([".tif", ".npz", ".raw", ".h5", ".nrrd", ".nii", ".vti", ".zarr"])
DTYPES = st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])


@settings(max_examples=40, deadline=None)
@given(labels=LABELS, spacing=st.tuples(LENGTHS, LENGTHS, LENGTHS), suffix=SUFFIXES)
def test_every_file_gives_back_what_was_written(
    labels: np.ndarray, spacing: tuple[float, float, float], suffix: str
) -> None:
    volume = LabelVolume(labels, PHASES, spacing, (1.5, -2.25, 0.1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"v{suffix}"
        write_volume(volume, path)
        assert read_volume(path).digest() == volume.digest()


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, dtype=DTYPES, suffix=SUFFIXES, seed=st.integers(0, 99), data=st.data())
def test_any_part_of_any_file_is_the_part_of_what_was_written(
    shape: tuple[int, int, int], dtype: type, suffix: str, seed: int, data: st.DataObject
) -> None:
    values = (np.random.default_rng(seed).normal(0, 50, shape)).astype(dtype)
    low = [data.draw(st.integers(0, n - 1)) for n in shape]
    high = [data.draw(st.integers(a + 1, n)) for a, n in zip(low, shape, strict=True)]
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"v{suffix}"
        write_volume(GreyVolume(values, (0.5, 1, 2)), path)
        part = read_grey(path, crop=(low, high))
        assert part.values.dtype == dtype
        assert np.array_equal(part.values, values[window])
        disk = open_volume(path)
        assert np.array_equal(np.asarray(disk.crop(low, high).values), values[window])
        factor = data.draw(st.integers(1, min(shape)))
        np.testing.assert_allclose(
            disk.binned(factor).load().values,
            GreyVolume(values, "1 um").binned(factor).values,
            rtol=1e-5,
            atol=1e-4,
        )


@settings(max_examples=40, deadline=None)
@given(labels=LABELS, planes=st.integers(1, 8), axis=st.integers(0, 2))
def test_blocks_give_the_numbers_of_the_whole(labels: np.ndarray, planes: int, axis: int) -> None:
    found = quantify_blocks(labels, PHASES, "0.5, 0.6, 0.7 um", planes=planes, axis=axis)
    whole = quantify(
        LabelVolume(labels, PHASES, "0.5, 0.6, 0.7 um"), only=["fractions", "areas", "connected"]
    )
    assert [(q.name, q.subject) for q in found] == [(q.name, q.subject) for q in whole]
    np.testing.assert_allclose([q.value for q in found], [q.value for q in whole], rtol=1e-11)


@settings(max_examples=40, deadline=None)
@given(labels=LABELS, smallest=st.integers(1, 12))
def test_no_region_is_smaller_than_asked_for_unless_there_is_nothing_larger(
    labels: np.ndarray, smallest: int
) -> None:
    cleaned = clean(LabelVolume(labels, PHASES, "1 um"), min_region=smallest)
    before = find_regions(LabelVolume(labels, PHASES, "1 um")).voxels[1:]
    after = find_regions(cleaned).voxels[1:]
    assert after.sum() == labels.size
    if before.max() >= smallest:
        assert after.min() >= smallest
    else:
        assert np.array_equal(cleaned.labels, labels)


@settings(max_examples=40, deadline=None)
@given(labels=LABELS)
def test_repair_that_is_off_changes_nothing(labels: np.ndarray) -> None:
    volume = LabelVolume(labels, PHASES, "1 um")
    repaired, record = repair(volume, RepairOptions())
    assert repaired.digest() == volume.digest()
    assert not any(record.as_dict().values())


@settings(max_examples=40, deadline=None)
@given(labels=LABELS, neck=st.floats(0, 1), spacing=st.tuples(*(st.floats(0.2, 5),) * 3))
def test_particles_cover_their_phase_and_are_face_connected(
    labels: np.ndarray, neck: float, spacing: tuple[float, float, float]
) -> None:
    labels = labels.copy()
    labels[0, 0, 0] = 1
    ids = separate_particles(LabelVolume(labels, PHASES, spacing), "NMC", neck=neck, min_voxels=1).particles
    assert ids is not None
    assert np.array_equal(ids > 0, labels == 1)
    assert set(np.unique(ids)) - {0} == set(range(1, int(ids.max()) + 1))
    assert cc3d.connected_components(ids.copy(), connectivity=6).max() == ids.max()
