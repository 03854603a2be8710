"""Separation of touching particles, against samples whose particles are known."""

from __future__ import annotations

import cc3d
import numpy as np
import pytest

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.phantoms import cathode, phantom
from pxm2mesh.segment import separate_particles
from pxm2mesh.volume import LabelVolume


@pytest.mark.parametrize("neck", [0.1, 0.3, 0.6])
def test_two_touching_balls_are_told_apart_in_the_plane_of_contact(neck: float) -> None:
    truth = phantom("touching-balls", size=40, neck=neck)
    found = separate_particles(truth, "NMC")
    assert found.particles is not None
    assert truth.particles is not None
    assert found.particles.max() == 2
    assert np.mean(found.particles != truth.particles) < 2e-3


def test_one_lengthy_particle_stays_one() -> None:
    """Catches cutting at every ridge: a bumpy rod has many peaks of nearly one height."""
    x, y, z = np.ogrid[-30:30, -12:12, -12:12]
    radius = 6 + 0.5 * np.sin(x / 2.5)
    rod = (y**2 + z**2 < radius**2) & (np.abs(x) < 25)
    found = separate_particles(LabelVolume(rod, {"void": 0, "NMC": 1}, "1 um"), "NMC")
    assert found.particles is not None
    assert found.particles.max() == 1
    every_peak = separate_particles(found, "NMC", neck=1.0, smoothing=0)
    assert every_peak.particles is not None
    assert every_peak.particles.max() > 1


def test_most_of_a_packing_is_given_back_to_its_particles() -> None:
    truth = cathode("pressed", size=64, seed=1, particles=True)
    found = separate_particles(truth, "NMC").particles
    assert found is not None
    pieces = cc3d.connected_components(truth.particles.copy(), connectivity=6)
    pairs, voxels = np.unique(np.stack([pieces, found])[:, pieces > 0], axis=1, return_counts=True)
    union = np.bincount(pieces.ravel())[pairs[0]] + np.bincount(found.ravel())[pairs[1]] - voxels
    overlap = np.zeros(pieces.max() + 1)
    np.maximum.at(overlap, pairs[0], voxels / union)
    size = np.bincount(pieces.ravel())[1:]
    assert np.average(overlap[1:], weights=size) > 0.85


def test_ids_are_face_connected_counted_from_one_and_only_in_the_phase() -> None:
    volume = cathode("pressed", size=48, seed=2)
    found = separate_particles(volume, "NMC")
    ids = found.particles
    assert ids is not None
    assert np.array_equal(ids > 0, volume.mask("NMC"))
    assert np.array_equal(np.unique(ids[ids > 0]), np.arange(1, ids.max() + 1))
    assert cc3d.connected_components(ids.copy(), connectivity=6).max() == ids.max()
    assert found.digest() == separate_particles(volume, "NMC").digest()


def test_a_second_phase_is_numbered_above_the_first() -> None:
    volume = separate_particles(cathode("pressed", size=32), "NMC")
    both = separate_particles(volume, "void")
    assert volume.particles is not None
    assert both.particles is not None
    nmc = volume.mask("NMC")
    assert np.array_equal(both.particles[nmc], volume.particles[nmc])
    assert both.particles[volume.mask("void")].min() == volume.particles.max() + 1


def test_a_particle_that_fills_the_box_is_one() -> None:
    full = LabelVolume(np.ones((6, 6, 6), int), {"NMC": 1}, "1 um")
    assert np.all(separate_particles(full, "NMC").particles == 1)


def test_bad_options_and_absent_phases_are_refused() -> None:
    volume = LabelVolume(np.ones((6, 6, 6), int), {"NMC": 1, "void": 0}, "1 um")
    with pytest.raises(UsageError, match="neck 2"):
        separate_particles(volume, "NMC", neck=2)
    with pytest.raises(DataError, match="no voxel"):
        separate_particles(volume, "void")
