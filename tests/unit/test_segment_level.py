"""A layer that lies askew by a known angle: the angle is found, and after turning the thickness is right."""

from __future__ import annotations

import numpy as np
import pytest

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.quantify import layer_thickness
from pxm2mesh.segment import LevelOptions, level
from pxm2mesh.segment.level import Plane, fit_plane, rotate
from pxm2mesh.volume import GreyVolume, LabelVolume

PHASES = {"void": 0, "collector": 1, "anode": 2}
SPACING = np.array([0.5, 0.6, 0.4])


def stack(rise: tuple[float, float], *, thickness: float = 8.0, shape: tuple[int, int, int] = (90, 80, 100)):
    """Collector below, an anode of ``thickness`` µm on it, void above; rising by degrees along x and y."""
    centres = np.meshgrid(
        *((np.arange(n) + 0.5 - n / 2) * s for n, s in zip(shape, SPACING, strict=True)), indexing="ij"
    )
    height = np.tensordot(Plane(rise).normal, np.stack(centres), 1)  # across the layer
    labels = np.where(height < -thickness / 2, 1, np.where(height < thickness / 2, 2, 0)).astype(np.uint8)
    return LabelVolume(labels, PHASES, SPACING)


@pytest.mark.parametrize("rise", [(0.0, 0.0), (2.3, -1.1), (-7.0, 4.0), (0.4, 15.0)])
@pytest.mark.parametrize("phase", ["anode", "collector"])
def test_the_angle_is_found_and_the_thickness_is_right_afterwards(
    rise: tuple[float, float], phase: str
) -> None:
    """The collector has one face only, its other end is cut by the box.

    Catches a fit to the middle of columns, which halves the angle of the collector, a turn the wrong way round,
    and a matrix that forgets that voxels are not cubes. Before: thickness 8/cos(tilt) in columns.
    """
    volume = stack(rise)
    turned, plane = level(volume, LevelOptions(phases=(phase,)))
    np.testing.assert_allclose(plane.rise, rise, atol=0.1)
    after = layer_thickness(turned, "anode")
    assert after.mean == pytest.approx(8.0, abs=0.1)
    assert after.tilt < 0.1
    assert after.spread < SPACING[2]
    np.testing.assert_allclose(
        turned.origin + 0.5 * np.array(turned.shape) * SPACING, 0.5 * np.array(volume.shape) * SPACING
    )


def test_cracks_and_specks_do_not_turn_the_plane() -> None:
    volume = stack((3.0, -2.0))
    labels = volume.labels.copy()
    labels[20:26] = np.where(labels[20:26] == 2, 0, labels[20:26])
    labels[60:75, 50:70] = np.where(labels[60:75, 50:70] == 2, 0, labels[60:75, 50:70])
    labels[np.random.default_rng(0).random(labels.shape) < 0.002] = 2
    plane = fit_plane(labels == 2, volume.spacing)
    np.testing.assert_allclose(plane.rise, (3.0, -2.0), atol=0.1)


def test_a_noisy_scan_is_turned_by_its_grey_values() -> None:
    volume = stack((-4.0, 1.5))
    grey = np.array([20.0, 220.0, 120.0])[volume.labels]
    grey = (grey + np.random.default_rng(1).normal(0, 25, grey.shape)).astype(np.float32)
    turned, plane = level(GreyVolume(grey, SPACING), LevelOptions(above=170))
    np.testing.assert_allclose(plane.rise, (-4.0, 1.5), atol=0.1)
    again = fit_plane(turned.values > 170, SPACING)
    assert again.tilt < 0.15


def test_a_given_rise_is_taken_as_it_is_and_there_and_back_is_the_same() -> None:
    volume = stack((0.0, 0.0))
    there, plane = level(volume, LevelOptions(rise=(5.0, 0.0), keep="all"))
    assert plane == Plane((5.0, 0.0))
    assert there.shape == volume.shape
    back = rotate(there, Plane((-5.0, 0.0)), keep="all")
    middle = (slice(25, 65), slice(25, 55), slice(25, 75))
    assert np.mean(back.labels[middle] == volume.labels[middle]) > 0.97


def test_nothing_made_up_is_kept_inside() -> None:
    """With keep = "inside" every voxel comes from the sample: the rim of a marked box must not be repeated."""
    labels = np.zeros((60, 50, 40), np.uint8)
    labels[0], labels[-1], labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1] = (1,) * 6
    volume = LabelVolume(labels, PHASES, SPACING)
    turned = rotate(volume, Plane((6.0, -3.0)))
    assert turned.voxel_counts()["collector"] < 0.01 * turned.labels.size


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"phases": ("collectr",)}, UsageError, "collectr"),
        ({"above": 3.0}, UsageError, "no grey values"),
        ({}, UsageError, "say one of"),
        ({"rise": (50.0, 0.0)}, UsageError, "beyond 40"),
        ({"rise": (20.0, 0.0)}, DataError, 'keep = "all"'),
    ],
)
def test_what_cannot_be_levelled_is_said(options: dict, error: type, told: str) -> None:
    volume = LabelVolume(np.ones((90, 10, 8), np.uint8), PHASES, "1 um")
    with pytest.raises(error) as caught:
        level(volume, LevelOptions(**options))
    assert told in f"{caught.value.message} {caught.value.hint}"


def test_a_layer_that_fills_the_box_has_no_face() -> None:
    volume = LabelVolume(np.ones((9, 9, 9), np.uint8), PHASES, "1 um")
    with pytest.raises(DataError, match="no face"):
        level(volume, LevelOptions(phases=("collector",)))


def test_the_form_of_the_command_line() -> None:
    assert LevelOptions.parse("collector, anode") == LevelOptions(phases=("collector", "anode"))
    assert LevelOptions.parse("above 12000") == LevelOptions(above=12000)
    assert LevelOptions.parse("1.5, -0.4") == LevelOptions(rise=(1.5, -0.4))
