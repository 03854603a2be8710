"""The welded net: exact, closed, and with an account of every region."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from pxm2mesh import LabelVolume, PhaseTable, extract_surface
from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.regions import find_regions
from pxm2mesh.surfacing.coarsen import cell_planes, coarsen, parse_cell_size

PHASES = PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2})


def volume_of(labels: np.ndarray, spacing: str = "0.4, 0.5, 1 um") -> LabelVolume:  # type: ignore[type-arg]
    return LabelVolume(labels.astype(np.uint8), PHASES, spacing, np.array([0.1, -3.0, 7.0]))  # type: ignore[arg-type]


def noise(shape: tuple[int, int, int], seed: int = 0) -> LabelVolume:
    return volume_of(np.random.default_rng(seed).integers(0, 3, shape))


def test_every_region_has_exactly_the_volume_of_its_voxels() -> None:
    volume = noise((9, 8, 7))
    surface = extract_surface(volume)
    regions = find_regions(volume)
    expected = regions.voxels * volume.voxel_volume
    np.testing.assert_allclose(surface.region_volume, expected, rtol=1e-12)
    np.testing.assert_allclose(surface.region_volumes()[1:], expected[1:], rtol=1e-9)
    assert -surface.region_volumes()[0] == pytest.approx(expected.sum(), rel=1e-12)


def test_the_surface_is_closed_and_ends_exactly_on_the_box() -> None:
    surface = extract_surface(noise((6, 7, 5)))
    assert surface.open_edges() == 0
    assert np.array_equal(surface.points.min(axis=0), surface.lower)
    assert np.array_equal(surface.points.max(axis=0), surface.upper)


def test_points_are_welded_and_all_used() -> None:
    surface = extract_surface(noise((6, 6, 6)))
    assert len(np.unique(surface.points, axis=0)) == len(surface.points)
    assert np.array_equal(np.unique(surface.triangles), np.arange(len(surface.points)))


def test_areas_are_those_of_the_voxel_faces() -> None:
    volume = noise((5, 6, 7))
    labels, area = volume.labels, {0: 0.5 * 1.0, 1: 0.4 * 1.0, 2: 0.4 * 0.5}
    expected = 0.0
    for axis in range(3):
        a, b = np.swapaxes(labels, 0, axis)[1:], np.swapaxes(labels, 0, axis)[:-1]
        expected += area[axis] * int(((np.minimum(a, b) == 1) & (np.maximum(a, b) == 2)).sum())
    assert extract_surface(volume).pair_areas()["NMC | LPSCl"] == pytest.approx(expected)


@pytest.mark.parametrize(("voxels", "size"), [(9, 2), (65, 4), (3, 5), (1, 1), (10, 3), (128, 2)])
def test_cell_planes_reach_the_box_whatever_the_size(voxels: int, size: int) -> None:
    planes = cell_planes(voxels, size)
    widths = np.diff(planes)
    assert planes[0] == 0 and planes[-1] == voxels and widths.min() >= 1
    assert len(widths) == 1 or abs(widths - size).max() <= max(1, size / 2)


@pytest.mark.parametrize("size", [2, 3, (2, 2, 1), "0.8 um"])
def test_coarse_cells_stand_for_every_voxel_and_keep_the_box(
    size: object, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(1)
    labels = (np.indices((11, 12, 9)).sum(axis=0) // 8) % 3
    labels[rng.random(labels.shape) < 0.02] = 0
    volume = volume_of(labels)
    with caplog.at_level(logging.WARNING):
        surface = extract_surface(volume, cell_size=size)  # type: ignore[arg-type]
    assert np.array_equal(surface.lower, volume.box[0]) and np.array_equal(surface.upper, volume.box[1])
    assert np.array_equal(surface.points.max(axis=0), surface.upper) and surface.open_edges() == 0
    for name, count in volume.voxel_counts().items():
        of = surface.region_phase == PHASES[name].label
        assert surface.region_volume[of].sum() == pytest.approx(count * volume.voxel_volume, rel=1e-12)


def test_the_ledger_says_what_was_dropped_merged_and_split(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.full((12, 8, 8), 2)
    labels[1:5, 2:6, 2:6] = 1  # two particles of NMC with a thread of one voxel between them: one region
    labels[7:11, 2:6, 2:6] = 1
    labels[5:7, 3, 3] = 1
    labels[5, 6, 6] = 0  # a pore of one voxel
    cells = coarsen(volume_of(labels, "1 um"), 2)
    fate = cells.ledger.summary(PHASES)
    assert fate["void"] == {"meshed": 0, "merged": 0, "split": 0, "dropped": 1, "dropped_voxels": 1}
    assert fate["LPSCl"]["meshed"] == 1
    assert fate["NMC"]["meshed"] + fate["NMC"]["split"] == 1
    assert cells.volume.sum() == labels.size
    with caplog.at_level(logging.WARNING):
        extract_surface(volume_of(labels, "1 um"), cell_size=2)
    assert "void: 1 regions smaller than the cells were dropped" in caplog.text


def test_cells_thicker_than_a_phase_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.zeros((16, 16, 16), int)
    x, y, z = np.indices(labels.shape)
    labels[(x + y // 2 + z // 3) % 8 == 0] = 1
    with caplog.at_level(logging.WARNING):
        extract_surface(volume_of(labels), cell_size=3)
    assert "thinner than the cells" in caplog.text


@pytest.mark.parametrize(("size", "within"), [(2, 0.12), (3, 0.55)])
def test_a_phase_thinner_than_the_cells_keeps_its_volume_in_cells(size: int, within: float) -> None:
    """By majority neither wall nor specks would have a single cell of 3 voxels; it falls into few steps."""
    x, y, z = np.indices((24, 24, 24))
    labels = (np.floor(x + 0.5 * y + 0.3 * z) == 20).astype(int)
    specks = np.random.default_rng(0).random(labels.shape) < 0.03
    labels[specks & (labels == 0)] = 2
    surface = extract_surface(volume_of(labels), cell_size=size)
    held = surface.region_volumes()
    for name, voxels in volume_of(labels).voxel_counts().items():
        of = surface.region_phase == PHASES[name].label
        assert held[of].sum() / surface.lattice.volume.voxel_volume == pytest.approx(voxels, rel=within)
        assert surface.region_volume[of].sum() / surface.lattice.volume.voxel_volume == pytest.approx(voxels)
    assert surface.record["thin"]["NMC"] == 1.0


def test_touching_particles_are_regions_of_their_own() -> None:
    particles = np.ones((4, 4, 4), np.int32)
    particles[2:] = 2
    volume = LabelVolume(np.ones((4, 4, 4), np.uint8), PHASES, np.ones(3), particles=particles)
    surface = extract_surface(volume)
    assert len(surface.region_phase) == 3 and surface.region_volume[1:].tolist() == [32, 32]


@pytest.mark.parametrize("size", [0, 1.5, -1, 99, "fine", (1, 2), "3 S"])
def test_a_cell_size_that_makes_no_sense_is_refused(size: object) -> None:
    volume = noise((4, 4, 4))
    with pytest.raises(UsageError):
        parse_cell_size(size, volume)  # type: ignore[arg-type]


def test_a_lattice_that_does_not_fit_its_surface_is_an_error() -> None:
    from dataclasses import replace

    surface, other = extract_surface(noise((4, 4, 4))), extract_surface(noise((5, 4, 4)))
    with pytest.raises(DataError, match="lattice knows"):
        replace(surface, lattice=other.lattice)
