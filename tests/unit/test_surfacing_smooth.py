"""Certified smoothing: no intersection, volumes kept, box exact, same bytes on any number of threads."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
import pytest

from pxm2mesh import InterfaceSurface, LabelVolume, PhaseTable, SmoothOptions, extract_surface, smooth
from pxm2mesh.errors import UsageError

PHASES = PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2})


def volume_of(labels: npt.ArrayLike, spacing: str = "1 um") -> LabelVolume:
    return LabelVolume(np.asarray(labels, np.uint8), PHASES, spacing)  # type: ignore[arg-type]


def cathode(size: int, seed: int = 0, noise: float = 0.0) -> npt.NDArray[np.int64]:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((size,) * 3), 2.5)
    labels = np.digitize(field, np.quantile(field, [0.2, 0.6]))
    speckle = rng.random(labels.shape) < noise
    labels[speckle] = rng.integers(0, 3, int(speckle.sum()))
    return np.asarray(labels)


def piercings(surface: InterfaceSurface) -> int:
    """Edges that pass through a triangle with which they share no corner: brute force, knows of no lattice."""
    corners, points = surface.triangles, surface.points
    edges = np.unique(
        np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), axis=1), axis=0
    )
    a, b, c = (points[corners[:, i]] for i in range(3))
    low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    found = 0
    for start, end in edges:
        p, q = points[start], points[end]
        near = np.all((low <= np.maximum(p, q)) & (high >= np.minimum(p, q)), axis=1)
        near &= ~((corners == start) | (corners == end)).any(axis=1)
        u, v, w = a[near] - p, b[near] - p, c[near] - p
        d = q - p

        def det(
            x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], z: npt.NDArray[np.float64]
        ) -> npt.NDArray[np.float64]:
            return np.asarray(np.einsum("...i,...i->...", x, np.cross(y, z)))

        side_p, side_q = det(u, v, w), det(u - d, v - d, w - d)
        s1, s2, s3 = (
            det(np.broadcast_to(d, u.shape), u, v),
            det(np.broadcast_to(d, u.shape), v, w),
            det(np.broadcast_to(d, u.shape), w, u),
        )
        through = ((s1 > 0) & (s2 > 0) & (s3 > 0)) | ((s1 < 0) & (s2 < 0) & (s3 < 0))
        found += int((through & (side_p * side_q < 0)).sum())
    return found


@pytest.mark.parametrize("certificate", [0.1, 0.2])
def test_white_noise_smooths_without_self_intersection(certificate: float) -> None:
    """Smoothing without the certificate pierces dozens of triangles on this input."""
    surface = extract_surface(volume_of(np.random.default_rng(3).integers(0, 3, (7, 7, 7))))
    made = smooth(surface, SmoothOptions(certificate=certificate))
    assert piercings(made) == 0 and made.open_edges() == 0
    assert made.record["smoothing"]["certificate"] >= certificate * (1 - 1e-9)
    assert np.abs(made.points - surface.points).max() > 0.2


def test_the_test_of_intersection_sees_one() -> None:
    surface = extract_surface(volume_of(np.random.default_rng(3).integers(0, 3, (5, 5, 5))))
    from dataclasses import replace

    rng = np.random.default_rng(0)
    moved = surface.points + rng.uniform(-0.8, 0.8, surface.points.shape)
    assert piercings(replace(surface, points=moved)) > 10


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_phases_keep_their_volume(size: int, noise: float) -> None:
    made = smooth(extract_surface(volume_of(cathode(28, noise=noise)), cell_size=size))
    errors = made.record["smoothing"]["phase_volume_error"]
    assert max(abs(e) for e in errors.values()) < 2e-4
    volumes = made.phase_volumes()
    for name, error in errors.items():
        of = made.region_phase == PHASES[name].label
        assert volumes[name] / made.region_volume[of].sum() - 1 == pytest.approx(error, abs=1e-9)


def test_large_regions_keep_theirs() -> None:
    made = smooth(extract_surface(volume_of(cathode(32, seed=2))))
    assert made.record["smoothing"]["largest_region_error"] < 0.01


def walls(kind: str) -> npt.NDArray[np.int64]:
    x, y, z = np.indices((24, 24, 24)) + 0.5
    if kind == "flat":
        return np.asarray((np.floor(x) == 11).astype(int))
    if kind == "oblique":
        return np.asarray((np.floor(x + 0.5 * y + 0.3 * z) == 20).astype(int))
    radius = np.sqrt((x - 12) ** 2 + (y - 12) ** 2 + (z - 12) ** 2)
    return np.asarray(((radius > 7.5) & (radius < 8.5)).astype(int))


@pytest.mark.parametrize("kind", ["flat", "oblique", "shell"])
def test_walls_of_one_voxel_keep_their_volume(kind: str) -> None:
    """With the blur of one voxel everywhere such walls are five per cent too thick."""
    made = smooth(extract_surface(volume_of(walls(kind))))
    assert abs(made.record["smoothing"]["phase_volume_error"]["NMC"]) < 0.01


def test_box_faces_edges_and_corners_stay_exact() -> None:
    surface = extract_surface(volume_of(cathode(16), "0.4, 0.5, 1 um"), cell_size=(2, 2, 1))
    made = smooth(surface)
    for axis in range(3):
        for plane in (surface.lower[axis], surface.upper[axis]):
            assert np.array_equal(surface.points[:, axis] == plane, made.points[:, axis] == plane)
    faces = (made.sides == 0).any(axis=1)
    lower, upper = made.lower, made.upper
    edge = upper - lower
    assert made.triangle_areas()[faces].sum() == pytest.approx(
        2 * (edge[0] * edge[1] + edge[1] * edge[2] + edge[2] * edge[0])
    )


def test_the_bytes_do_not_depend_on_the_threads() -> None:
    surface = extract_surface(volume_of(cathode(24, noise=0.02)))
    before = numba.get_num_threads()
    made = []
    try:
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(threads)
            made.append(smooth(surface))
    finally:
        numba.set_num_threads(before)
    assert made[0].points.tobytes() == made[1].points.tobytes()
    assert made[0].triangles.tobytes() == made[1].triangles.tobytes()


def test_the_stiffest_rung_is_the_exact_faces() -> None:
    surface = extract_surface(volume_of(cathode(10)))
    made = smooth(smooth(surface), SmoothOptions(certificate=1.0))
    rough = smooth(surface, SmoothOptions(certificate=1.0))
    assert np.array_equal(rough.points, surface.points) and rough.record["smoothing"]["certificate"] == 1.0
    assert made.lattice is not None and made.lattice.corners is not None


def test_stiffer_rungs_move_less_and_certify_more() -> None:
    surface = extract_surface(volume_of(cathode(16)))
    made = [smooth(surface, SmoothOptions(certificate=c)) for c in (0.2, 0.5, 0.8)]
    moved = [float(np.linalg.norm(m.points - surface.points, axis=1).mean()) for m in made]
    assert moved[0] > moved[1] > moved[2] > 0
    assert made[2].record["smoothing"]["certificate"] >= 0.8 * (1 - 1e-9)


def test_triple_lines_are_smoothed_as_curves() -> None:
    """Two half-spaces on a slab: their triple line is straight; its staircase in the voxels scatters by 0.29."""
    x, y, z = np.indices((20, 20, 20)) + 0.5
    labels = np.where(z < 10, 0, np.where(x + 0.37 * y < 13, 1, 2))
    made = smooth(extract_surface(volume_of(labels)))
    phase = np.sort(made.region_phase[made.sides], axis=1)
    flat, slope = (phase[:, 0] == 0) & (phase[:, 1] > 0), (phase == [1, 2]).all(axis=1)
    away = made.points[np.unique(made.triangles[flat])]
    away = away[np.abs(away[:, 0] + 0.37 * away[:, 1] - 13) > 4]
    assert np.abs(away[:, 2] - 10).max() < 0.05
    line = made.points[np.intersect1d(made.triangles[flat], made.triangles[slope])]
    inner = line[(line[:, 1] > 3) & (line[:, 1] < 17)]
    off = (inner[:, 0] + 0.37 * inner[:, 1] - 13) / np.hypot(1, 0.37)
    assert len(inner) >= 14 and off.std() < 0.15 and inner[:, 2].std() < 0.05
    assert np.abs(off).max() < 0.35 and np.abs(inner[:, 2] - 10).max() < 0.4


def test_five_hundred_particles_by_id_keep_their_volumes() -> None:
    from scipy.spatial import cKDTree

    size = 48
    seeds = np.random.default_rng(0).random((500, 3)) * size
    centres = np.stack(np.indices((size,) * 3), axis=-1).reshape(-1, 3) + 0.5
    distance, nearest = cKDTree(seeds).query(centres)
    solid = distance < 3.9
    labels = solid.reshape((size,) * 3).astype(np.uint8)
    ids = np.where(solid, nearest + 1, 0).reshape((size,) * 3).astype(np.int32)
    made = smooth(extract_surface(LabelVolume(labels, PHASES, np.ones(3), particles=ids)))
    assert made.lattice is not None and made.lattice.indicators is not None
    assert (
        len(made.lattice.indicators.values) < 20 and made.record["smoothing"]["largest_region_error"] < 0.01
    )
    assert made.open_edges() == 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 7), (6, 6, 6)])
def test_one_phase_alone_is_its_box(shape: tuple[int, int, int]) -> None:
    made = smooth(extract_surface(volume_of(np.ones(shape))))
    assert made.phase_volumes()["NMC"] == pytest.approx(np.prod(shape)) and made.open_edges() == 0


def test_a_surface_from_elsewhere_cannot_be_smoothed() -> None:
    from dataclasses import replace

    surface = replace(extract_surface(volume_of(np.ones((2, 2, 2)))), lattice=None)
    with pytest.raises(UsageError, match="extract_surface"):
        smooth(surface)


@pytest.mark.parametrize("wrong", [{"sweeps": -1}, {"certificate": 0}, {"relaxation": 2}, {"sigma": -1.0}])
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        SmoothOptions(**wrong)  # type: ignore[arg-type]
