"""Areas of smoothed spheres against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from pxm2mesh import (
    InterfaceSurface,
    LabelVolume,
    MeshOptions,
    PhaseTable,
    SmoothOptions,
    extract_surface,
    mesh_volume,
    smooth,
)

PHASES = PhaseTable({"void": 0, "NMC": 1})


def sphere(
    radius: float, centre: float, size: int, options: SmoothOptions | None = None
) -> tuple[InterfaceSurface, int]:
    n = int(2 * radius + 10)
    r = np.sqrt(((np.indices((n,) * 3) + 0.5 - n / 2 - centre) ** 2).sum(axis=0))
    labels = (r < radius).astype(np.uint8)
    return smooth(extract_surface(LabelVolume(labels, PHASES, np.ones(3)), cell_size=size), options), int(
        labels.sum()
    )


@pytest.mark.parametrize(("radius", "limit"), [(5, 0.02), (10, 0.01)])
@pytest.mark.parametrize("centre", [0.0, 0.17, 0.3, 0.5])
def test_the_area_of_a_sphere_is_that_of_the_sphere_of_its_voxels(
    radius: int, limit: float, centre: float
) -> None:
    """Catches a projection on shrinking indicators, or none.

    Voxel faces are 50 % too large, marching cubes on the labels 9 %, smoothing at the certificate 0.5 8 %. The
    digital ball itself is up to 4 % off π R², so the area is compared with that of the ball of the same volume.
    """
    surface, voxels = sphere(radius, centre, 1)
    expected = (36 * np.pi * voxels**2) ** (1 / 3)
    assert abs(surface.pair_areas()["void | NMC"] / expected - 1) < limit


def test_the_area_of_a_sphere_of_ten_voxels_is_right_within_a_per_cent() -> None:
    surface, _ = sphere(10, 0.17, 1)
    assert surface.pair_areas()["void | NMC"] == pytest.approx(400 * np.pi, rel=0.01)


def test_cells_of_two_voxels_cost_two_per_cent_at_ten_voxels() -> None:
    surface, voxels = sphere(10, 0.3, 2)
    assert surface.pair_areas()["void | NMC"] == pytest.approx((36 * np.pi * voxels**2) ** (1 / 3), rel=0.02)


def test_points_of_a_smoothed_sphere_lie_on_it() -> None:
    """Catches indicators sampled half a voxel off: the points would be 0.5 voxels from the sphere on one side."""
    surface, _ = sphere(10, 0.17, 1)
    inside = (surface.sides > 0).all(axis=1)
    points = surface.points[np.unique(surface.triangles[inside])]
    n = 2 * 10 + 10
    off = np.linalg.norm(points - n / 2 - 0.17, axis=1) - 10
    assert abs(off.mean()) < 0.1 and off.std() < 0.15


OFF_TARGET = pytest.mark.xfail(
    strict=True, reason="symmetric place of the grid: beyond the limit by up to 2.3 points"
)


@pytest.mark.parametrize(
    ("radius", "limit", "centre"),
    [
        (5, 0.02, (0.14, -0.23, -0.46)),
        (5, 0.02, (0.11, 0.23, 0.04)),
        (10, 0.01, (0.36, -0.47, 0.23)),
        pytest.param(5, 0.02, (-0.48, 0.31, 0.41), marks=pytest.mark.verify),
        pytest.param(10, 0.01, (-0.32, 0.36, 0.04), marks=pytest.mark.verify),
        pytest.param(10, 0.01, (-0.2, -0.08, -0.47), marks=pytest.mark.verify),
        pytest.param(5, 0.02, (0.17, 0.17, 0.17), marks=[pytest.mark.verify, OFF_TARGET]),
        pytest.param(5, 0.02, (0, 0, 0), marks=[pytest.mark.verify, OFF_TARGET]),  # a voxel's corner
        pytest.param(5, 0.02, (0.5, 0.5, 0.5), marks=[pytest.mark.verify, OFF_TARGET]),  # a voxel's centre
        pytest.param(10, 0.01, (0.17, 0.17, 0.17), marks=[pytest.mark.verify, OFF_TARGET]),
        pytest.param(10, 0.01, (0, 0, 0), marks=[pytest.mark.verify, OFF_TARGET]),
    ],
)
def test_the_area_of_a_sphere_in_the_tetrahedral_mesh_is_four_pi_r_squared(
    radius: int, limit: float, centre: tuple[float, float, float]
) -> None:
    """Catches improvement of cells that roughens interfaces, and facets counted on both of their sides.

    Not reached at symmetric places of the grid, kept here as expected failures: 2.25, 4.3 and -3.9 % at radius 5 (there
    the digital ball itself is 3.6 % too large at a voxel's corner, 5 % too small at its centre), 1.03 and 1.23 % at
    radius 10.
    """
    n = 2 * radius + 10
    place = np.indices((n,) * 3) + 0.5 - n / 2 - np.array(centre)[:, None, None, None]
    labels = (np.sqrt((place**2).sum(axis=0)) < radius).astype(np.uint8)
    mesh = mesh_volume(LabelVolume(labels, PHASES, np.ones(3)), MeshOptions(cell_size=1))
    assert mesh.pair_areas()["void | NMC"] == pytest.approx(4 * np.pi * radius**2, rel=limit)
    same = (36 * np.pi * float(labels.sum()) ** 2) ** (1 / 3)  # of the ball of the digital one's volume
    assert mesh.pair_areas()["void | NMC"] == pytest.approx(same, rel=limit)
