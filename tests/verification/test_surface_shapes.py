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
    strict=True,
    reason="symmetric place of the grid at radius 5: the digital ball itself is off, see the docstring",
)
CENTRES = [
    (5, 0.02, (0.14, -0.23, -0.46)),
    (5, 0.02, (0.11, 0.23, 0.04)),
    (10, 0.01, (0.36, -0.47, 0.23)),
    pytest.param(5, 0.02, (-0.48, 0.31, 0.41), marks=pytest.mark.verify),
    pytest.param(10, 0.01, (-0.32, 0.36, 0.04), marks=pytest.mark.verify),
    pytest.param(10, 0.01, (-0.2, -0.08, -0.47), marks=pytest.mark.verify),
    pytest.param(10, 0.01, (0.17, 0.17, 0.17), marks=pytest.mark.verify),
    pytest.param(10, 0.01, (0, 0, 0), marks=pytest.mark.verify),  # a voxel's corner
    pytest.param(10, 0.01, (0.5, 0.5, 0.5), marks=pytest.mark.verify),  # a voxel's centre
]
SYMMETRIC = [pytest.param(5, 0.02, (c, c, c), marks=pytest.mark.verify) for c in (0.17, 0, 0.5)]


def area_in_the_tetrahedral_mesh(radius: int, centre: tuple[float, float, float]) -> tuple[float, float]:
    """Area of a digital ball's interface, and of the ball that has its volume."""
    n = 2 * radius + 10
    place = np.indices((n,) * 3) + 0.5 - n / 2 - np.array(centre)[:, None, None, None]
    labels = (np.sqrt((place**2).sum(axis=0)) < radius).astype(np.uint8)
    mesh = mesh_volume(LabelVolume(labels, PHASES, np.ones(3)), MeshOptions(cell_size=1))
    return mesh.pair_areas()["void | NMC"], float((36 * np.pi * float(labels.sum()) ** 2) ** (1 / 3))


@pytest.mark.parametrize(
    ("radius", "limit", "centre"),
    [*CENTRES, *(pytest.param(*c.values, marks=[pytest.mark.verify, OFF_TARGET]) for c in SYMMETRIC)],
)
def test_the_area_of_a_sphere_in_the_tetrahedral_mesh_is_four_pi_r_squared(
    radius: int, limit: float, centre: tuple[float, float, float]
) -> None:
    """Catches improvement of cells that roughens interfaces, and facets counted on both of their sides.

    Not reached at three symmetric places of the grid at radius 5, kept as expected failures: 2.2, 4.1 and -4.3 %. The
    digital ball itself has 0.8, 5.4 and -7.4 % too many voxels there. Volumes are held to those of the voxels, and no
    surface around such a volume has less than 0.6, 3.6 and -5.0 % of the area wanted: the second cannot reach 2 %, the
    third only if it is rough.
    """
    assert area_in_the_tetrahedral_mesh(radius, centre)[0] == pytest.approx(4 * np.pi * radius**2, rel=limit)


@pytest.mark.parametrize(("radius", "limit", "centre"), [*CENTRES[:3], *SYMMETRIC])
def test_the_area_of_a_sphere_in_the_tetrahedral_mesh_is_that_of_the_sphere_of_its_voxels(
    radius: int, limit: float, centre: tuple[float, float, float]
) -> None:
    """Catches the same at places where the digital ball is off by itself (measured: at most 1.7 %)."""
    area, same = area_in_the_tetrahedral_mesh(radius, centre)
    assert area == pytest.approx(same, rel=limit)
