"""Packings, the Boolean model and other samples whose numbers follow from a formula."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from pxm2mesh import LabelVolume
from pxm2mesh.quantify import (
    correlation_length,
    fraction_profile,
    mean_chord,
    measure_particles,
    quantify,
    representative_volume,
    two_point_correlation,
)

TWO = {"void": 0, "NMC": 1}


def volume(
    labels: npt.NDArray[np.generic], spacing: str = "1 um", ids: npt.NDArray[np.int32] | None = None
) -> LabelVolume:
    return LabelVolume(np.asarray(labels, np.uint8), TWO, spacing, particles=ids)  # type: ignore[arg-type]


def nearest(size: int, centres: npt.NDArray[np.float64], period: float | None = None) -> tuple[
    npt.NDArray[np.float64], npt.NDArray[np.int64]
]:  # fmt: skip
    """(n, n, n) distance of every voxel to the nearest centre, and its number."""
    from scipy.spatial import cKDTree

    points = np.indices((size,) * 3).reshape(3, -1).T + 0.5
    distance, number = cKDTree(centres, boxsize=period).query(points)
    return distance.reshape((size,) * 3), number.reshape((size,) * 3)


def test_cubic_array_of_balls_has_its_fraction_surface_and_sizes() -> None:
    """a = 24, R = 10: 4πR³/3a³ and 4πR²/a³. Counting the box faces as surface would add 6/96 per voxel edge."""
    period, radius, cells = 24, 10.0, 4
    places = (np.indices((cells,) * 3).reshape(3, -1).T + 0.5) * period
    distance, number = nearest(period * cells, places)
    inside = distance < radius
    sample = volume(inside, "0.5 um", np.where(inside, number + 1, 0).astype(np.int32))
    found = quantify(sample, only=["fractions", "areas", "particles"])
    assert found.value("volume_fraction", phase="NMC") == pytest.approx(
        4 / 3 * np.pi * radius**3 / period**3, rel=0.01
    )
    surface = 4 * np.pi * radius**2 / period**3 / 0.5
    assert found.value("specific_surface_area", phase="NMC") == pytest.approx(surface, rel=0.012)
    assert found.value("particle_count") == cells**3
    for share in (10, 50, 90):
        assert found.value(f"particle_diameter_d{share}") == pytest.approx(10, rel=0.004)
    assert found.value("coordination_number") == 0


@pytest.mark.parametrize(
    ("kind", "inner", "mean"), [("cubic", 6, 4.0), ("body-centred", 8, None), ("face-centred", 12, None)]
)
def test_balls_of_a_lattice_have_its_coordination(kind: str, inner: int, mean: float | None) -> None:
    """Flattened where they touch. 3 × 3 × 3 of the cubic ones have 54 contacts, 4 each on average.

    Contacts across edges and corners would make 18 or 26 of 6.
    """
    corners = np.indices((3, 3, 3)).reshape(3, -1).T.astype(float)
    more = {
        "cubic": [[0, 0, 0]],
        "body-centred": [[0, 0, 0], [0.5, 0.5, 0.5]],
        "face-centred": [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    }[kind]
    reach = {"cubic": 1.0, "body-centred": np.sqrt(3) / 2, "face-centred": np.sqrt(0.5)}[kind]
    period = 20
    centres = np.concatenate([corners + m for m in more]) * period + 16
    distance, number = nearest(96, centres)
    inside = distance < 0.5 * reach * period * 1.06
    table = measure_particles(volume(inside, ids=np.where(inside, number + 1, 0).astype(np.int32)), "NMC")
    middle = int(np.argmin(np.linalg.norm(centres - (16 + period), axis=1)))
    assert table.coordination[middle] == inner
    assert table.coordination.max() == inner
    if mean is not None:
        assert table.coordination.mean() == mean


def boolean_model(size: int, radius: float, count: int, seed: int) -> LabelVolume:
    """Balls at random places of a periodic box, overlapping as they come."""
    centres = np.random.default_rng(seed).uniform(0, size, (count, 3))
    return volume(nearest(size, centres, size)[0] < radius)


def test_boolean_model_has_the_surface_chords_and_correlation_of_its_formula() -> None:
    """n balls per volume: pores exp(−nV), surface 4πR² n exp(−nV), chords of the pores 1/(nπR²), and
    S₂(r) = exp(−nV (1 + 3r/4R − r³/16R³)) for r < 2R. Mean of four samples of 96³ with balls of 16.

    Voxel faces would give 1.5 times the surface; chords cut by the box left out would be too short. With balls
    of 8 the surface comes out 10 % too small (Crofton: 7 %), as edges where balls cut each other are rounded.
    """
    size, radius, count = 96, 16.0, 41
    density, ball = count / size**3, 4 / 3 * np.pi * radius**3
    pores = np.exp(-density * ball)
    rows = []
    for seed in range(4):
        sample = boolean_model(size, radius, count, seed)
        found = quantify(sample, only=["porosity", "specific_surface_area"])
        chords = np.mean([mean_chord(sample, "void", d) for d in "xyz"])
        lengths = np.mean([correlation_length(sample, "void", d) for d in "xyz"])
        both = np.mean([two_point_correlation(sample, "void", d)[1][:33] for d in "xyz"], axis=0)
        rows.append(
            [found["porosity"], found.value("specific_surface_area", phase="void"), chords, lengths, *both]
        )
    mean = np.mean(rows, axis=0)
    r = np.arange(33.0)
    union = ball * (1 + 3 * r / (4 * radius) - r**3 / (16 * radius**3))
    exact = np.exp(-density * union)
    scaled = (exact - pores**2) / (pores - pores**2)
    length = float(np.interp(-np.exp(-1), -scaled, r))
    assert mean[0] == pytest.approx(pores, rel=0.04)
    assert mean[1] == pytest.approx(density * 4 * np.pi * radius**2 * pores, rel=0.04)
    assert mean[2] == pytest.approx(1 / (density * np.pi * radius**2), rel=0.04)
    assert mean[3] == pytest.approx(length, rel=0.1)  # too short in small samples, whose own φ² is taken off
    np.testing.assert_allclose(mean[4:], exact, rtol=0.1)


def test_spread_of_independent_voxels_falls_with_the_root_of_their_number() -> None:
    """√(p(1 − p)/N) for subvolumes of N voxels; a spread over N in place of N − 1 pieces would be 7 % less here."""
    labels = np.random.default_rng(1).random((64, 64, 64)) < 0.3
    growth = representative_volume(
        volume(labels), lambda v: quantify(v, only=["porosity"])["porosity"], parts=(8, 4)
    )
    for edge, spread in zip(growth.edges, growth.spread, strict=True):
        assert spread == pytest.approx(np.sqrt(0.3 * 0.7 / edge**3), rel=0.15)
    assert growth.count.tolist() == [512, 64]


def test_profile_of_a_wedge_is_a_straight_line() -> None:
    """(k + ½)/n of each slice; slices counted from the wrong end or along another axis would show."""
    x, _, z = np.indices((50, 4, 50))
    position, shares = fraction_profile(volume(x < z + 0.5, "2 um"), "z")
    np.testing.assert_allclose(position, 2 * (np.arange(50) + 0.5))
    np.testing.assert_allclose(shares["NMC"], (np.arange(50) + 1) / 50)


def test_shares_that_hang_together_and_that_lead_through() -> None:
    """A strip through along x (4 × 4 × 20), a dead end of half its size, and a speck."""
    labels = np.zeros((20, 20, 20))
    labels[:, 2:6, 2:6] = 1
    labels[:10, 10:14, 10:14] = 1
    labels[18, 18, 18] = 1
    found = quantify(volume(labels), only=["connected"])
    whole = 320 + 160 + 1
    assert found.value("connectivity", phase="NMC") == 320 / whole
    assert found.value("component_count", phase="NMC") == 3
    assert found.value("percolating_fraction", phase="NMC", direction="x") == 320 / whole
    assert found.value("percolating_fraction", phase="NMC", direction="y") == 0
