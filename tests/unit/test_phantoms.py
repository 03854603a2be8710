"""Phantoms: the answers they promise, and the same bytes for the same seed."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import numpy as np
import pytest

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.phantoms import PHANTOMS, STATES, cathode, grey_scan, phantom
from pxm2mesh.quantify import quantify
from pxm2mesh.regions import find_regions


@pytest.mark.parametrize("name", sorted(PHANTOMS))
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(name: str) -> None:
    first, again, other = (phantom(name, size=24, seed=s) for s in (3, 3, 4))
    assert first.digest() == again.digest()
    assert first.shape == (24, 24, 24)
    assert (first.digest() != other.digest()) == (name in ("white-noise", "cathode"))


def test_a_ball_has_its_volume() -> None:
    counts = phantom("ball", size=64, radius=0.3).voxel_counts()
    assert counts["NMC"] == pytest.approx(4 / 3 * np.pi * (0.3 * 64) ** 3, rel=1e-2)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_layers_have_equal_shares_and_one_normal(axis: str) -> None:
    volume = phantom("layers", size=16, axis=axis, count=4)
    assert volume.voxel_counts()["NMC"] == volume.voxel_counts()["LPSCl"]
    assert find_regions(volume).count == 4
    across = np.moveaxis(volume.labels, "xyz".index(axis), 0)
    assert np.all(across == across[:, :1, :1])


def test_a_shell_in_a_shell_has_two_regions_of_one_phase() -> None:
    regions = find_regions(phantom("shell-in-shell", size=32))
    assert [len(regions.of(name)) for name in ("void", "NMC", "LPSCl")] == [1, 1, 2]


def test_touching_balls_are_one_region_until_their_ids_are_kept() -> None:
    volume = phantom("touching-balls", size=32)
    assert len(find_regions(volume).of("NMC")) == 2
    joined = type(volume)(volume.labels, volume.phases, volume.spacing)
    assert len(find_regions(joined).of("NMC")) == 1


def test_the_dead_end_carries_along_x_only_and_through_its_channel_only() -> None:
    volume = phantom("dead-end", size=32)
    found = quantify(volume, only=["percolating_fraction"])
    assert found.value("percolating_fraction", phase="LPSCl", direction="x") > 0.5
    assert found.value("percolating_fraction", phase="LPSCl", direction="y") == 0
    assert found.value("percolating_fraction", phase="LPSCl", direction="z") == 0


def test_a_checkerboard_has_equal_shares_and_is_the_same_all_along_z() -> None:
    labels = phantom("checkerboard", size=16, cells=4).labels
    assert np.all(labels == labels[:, :, :1])
    assert (labels == 1).mean() == 0.5
    assert labels[0, 0, 0] != labels[4, 0, 0]


@pytest.mark.parametrize(("state", "seed"), list(itertools.product(STATES, (0, 1))))
def test_the_cathode_states_have_their_porosity_and_contact(state: str, seed: int) -> None:
    """0.5 points each, by the default measurement; LPSCl leads from every face to the opposite one."""
    volume = cathode(state, size=64, seed=seed)
    found = quantify(volume, only=["porosity", "contact_fraction", "percolating_fraction"])
    assert found["porosity"] == pytest.approx(STATES[state].porosity, abs=0.005)
    contact = found.value("contact_fraction", interface="NMC | LPSCl")
    assert contact == pytest.approx(STATES[state].contact_fraction, abs=0.005)
    assert all(q.value > 0.9 for q in found.select("percolating_fraction", phase="LPSCl"))


@pytest.mark.verify
@pytest.mark.parametrize("state", STATES)
def test_the_large_cathode_states_have_their_porosity_and_contact(state: str) -> None:
    found = quantify(cathode(state, size=128), only=["porosity", "contact_fraction"])
    assert found["porosity"] == pytest.approx(STATES[state].porosity, abs=0.005)
    contact = found.value("contact_fraction", interface="NMC | LPSCl")
    assert contact == pytest.approx(STATES[state].contact_fraction, abs=0.005)


def test_a_cathode_is_made_as_asked_for() -> None:
    volume = cathode(size=48, seed=5, porosity=0.2, contact_fraction=0.8, binder=0.03, particles=True)
    counts = volume.voxel_counts()
    assert counts["void"] / 48**3 == pytest.approx(0.2, abs=1e-4)
    assert counts["binder"] / 48**3 == pytest.approx(0.03, abs=1e-4)
    assert volume.particles is not None
    assert np.array_equal(volume.particles > 0, volume.mask("NMC"))
    assert volume.particles.max() > 5


@pytest.mark.parametrize(
    "options",
    [{"state": "presed"}, {"porosity": 1.5}, {"binder": 0.6}, {"spacing": "1, 1, 2 um"}, {"size": 4}],
)
def test_a_cathode_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="cathode"):
        cathode(**options)


def test_a_contact_fraction_out_of_reach_is_refused_with_the_reachable_range() -> None:
    with pytest.raises(DataError, match="cannot be had"):
        cathode(size=32, porosity=0.02, contact_fraction=0.1)


def test_unknown_names_and_options_are_refused_with_the_closest() -> None:
    with pytest.raises(UsageError, match='did you mean "cathode"'):
        phantom("cathod")
    with pytest.raises(UsageError, match='did you mean "radius"'):
        phantom("ball", radios=0.2)


def test_the_layers_of_a_cell_have_their_thickness() -> None:
    volume = phantom("cell", size=40, thickness=(0.1, 0.2, 0.15, 0.35), overhang=0.1)
    column = volume.labels[20, 20]
    assert [int((column == k).sum()) for k in (1, 2, 3, 4)] == [4, 8, 6, 14]
    assert int((volume.labels[2, 20] == 4).sum()) == 0  # the anode reaches beyond the cathode
    assert int((volume.labels[2, 20] == 2).sum()) == 8


def test_the_gap_and_the_cracks_have_their_shares() -> None:
    gap = phantom("delaminated", size=48, area=0.25, opening=3)
    assert gap.voxel_counts()["void"] == 24 * 24 * 3 + 48 * 48 * 6
    cracked = phantom("mud-cracks", size=48, width=3, polygon=16)
    middle = cracked.labels[:, :, 20]
    assert (middle == 0).mean() == pytest.approx(1 - (1 - 3 / 16) ** 2)


def test_a_scan_is_seeded_and_keeps_the_order_of_the_phases(caplog: pytest.LogCaptureFixture) -> None:
    volume = cathode(size=32)
    with caplog.at_level(logging.WARNING):
        scan, again, other = (grey_scan(volume, seed=s) for s in (0, 0, 1))
    assert not caplog.records
    assert scan.values.dtype == np.uint16
    assert np.array_equal(scan.values, again.values)
    assert not np.array_equal(scan.values, other.values)
    means = [scan.values[volume.labels == k].mean() for k in (0, 2, 1)]
    assert means == sorted(means)
    clean = grey_scan(volume, blur=0, noise=0, rings=0, beam_hardening=0)
    assert len(np.unique(clean.values)) == 3
    with pytest.raises(UsageError, match="amounts"):
        grey_scan(volume, noise=-1)
