"""Conduction on voxels against closed forms (V1-V4, V7)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from pxm2mesh import LabelVolume
from pxm2mesh.errors import NotConvergedError, UsageError
from pxm2mesh.quantify import tortuosity

PHASES = {"matrix": 0, "other": 1}


def volume(labels: npt.NDArray[np.generic], spacing: tuple[float, float, float] = (1, 1, 1)) -> LabelVolume:
    return LabelVolume(np.asarray(labels, np.uint8), PHASES, spacing)


@pytest.mark.parametrize("direction", ["x", "y", "z"])
def test_uniform_block_has_tortuosity_one(direction: str) -> None:
    """V1. Plates at the voxel centres instead of half a voxel outside would give n/(n − 1)."""
    found = tortuosity(volume(np.zeros((7, 9, 70))), "matrix", direction)
    assert found.tortuosity_factor == pytest.approx(1, abs=1e-10)
    assert found.percolating_fraction == 1


def test_straight_strip_has_tortuosity_one_whatever_the_spacing() -> None:
    """V1. An axis factor that is upside down does not show here, so laminates check it below."""
    labels = np.ones((20, 20, 20))
    labels[:, 5:9, 3:17] = 0
    found = tortuosity(volume(labels, (1, 2, 3)), "matrix", "x")
    assert found.tortuosity_factor == pytest.approx(1, abs=1e-10)


def test_dead_end_is_infinite_and_conducts_nothing() -> None:
    """V1. Never NaN, never a huge finite number."""
    labels = np.zeros((10, 10, 10))
    labels[6] = 1
    found = tortuosity(volume(labels), "matrix", "x", potential=True)
    assert (found.tortuosity_factor, found.effective_conductivity, found.percolating_fraction) == (
        np.inf,
        0,
        0,
    )
    assert found.potential is not None and np.isnan(found.potential).all()


def test_contact_across_an_edge_does_not_conduct() -> None:
    """A flood through 18 neighbours would let current pass where the finite volumes have no face."""
    labels = np.ones((4, 4, 1))
    labels[:2, :2], labels[2:, 2:] = 0, 0
    assert tortuosity(volume(labels), "matrix", "x").tortuosity_factor == np.inf


@pytest.mark.parametrize("direction", ["x", "y", "z"])
def test_laminates_conduct_as_resistors_in_parallel_and_in_series(direction: str) -> None:
    """V2, to single precision of the conductivities; arithmetic face means give 1.98 in series."""
    axis = "xyz".index(direction)
    labels = np.zeros((12, 12, 12))
    np.moveaxis(labels, axis, 0)[3:9] = 1
    values = {"matrix": 1.0, "other": 10.0}
    for other in "xyz":
        found = tortuosity(volume(labels, (1.0, 0.5, 2.0)), values, other).effective_conductivity
        assert found == pytest.approx(1 / 0.55 if other == direction else 5.5, rel=1e-7)


def test_oblique_conduction_does_not_depend_on_how_the_spacing_is_written() -> None:
    """Anisotropic voxels against the same shape on cubic ones; without the axis factors it is off by half."""
    rng = np.random.default_rng(3)
    coarse = rng.random((6, 6, 6)) < 0.3
    fine = coarse.repeat(8, 0).repeat(8, 1).repeat(8, 2)
    flat = coarse.repeat(8, 0).repeat(8, 1).repeat(4, 2)
    for direction in "xz":
        a = tortuosity(volume(fine), "matrix", direction).effective_conductivity
        b = tortuosity(volume(flat, (1, 1, 2)), "matrix", direction).effective_conductivity
        assert b == pytest.approx(a, rel=0.02)


def unit_cell(fraction: float, size: int) -> LabelVolume:
    """One sphere in a cube, an eighth in every corner; voxels share sub-samples by majority."""
    radius = (3 * fraction / (4 * np.pi)) ** (1 / 3)
    x = (np.arange(size) + 0.5) / size
    d = np.minimum(x, 1 - x) ** 2
    return volume(d[:, None, None] + d[None, :, None] + d[None, None, :] < radius**2)


@pytest.mark.parametrize(
    ("contrast", "fraction", "exact"),
    [
        (0, 0.3, 0.60566),
        (0, 0.5, 0.37374),
        (0.1, 0.3, 0.65629),
        (10, 0.3, 1.88774),
        (10, 0.4, 2.36443),
        (100, 0.3, 2.27457),
    ],
)
def test_cubic_array_of_spheres(contrast: float, fraction: float, exact: float) -> None:
    """V3 (McPhedran and McKenzie), 48 and 96 voxels per cell; the staircase is first order."""
    values = {"matrix": 1.0, "other": float(contrast)}
    results = []
    for size in (48, 96):
        cell = unit_cell(fraction, size)
        found = tortuosity(cell, values, "y", periodic=True).effective_conductivity
        results.append(found)
    assert results[1] == pytest.approx(exact, rel=0.02 if contrast <= 10 else 0.03)
    assert abs(results[1] - exact) < abs(results[0] - exact) + 0.005 * exact


@pytest.mark.parametrize("periodic", [True, False])
def test_random_mixture_lies_within_the_hashin_shtrikman_bounds(periodic: bool) -> None:
    """V4: conductivities 1 and 10, share 0.4 of the better one."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(5).normal(size=(48, 48, 48)), 2, mode="wrap")
    found = tortuosity(
        volume(field > np.quantile(field, 0.6)), {"matrix": 1, "other": 10}, "z", periodic=periodic
    )
    assert 2.2857 < found.effective_conductivity < 3.8636


def test_insulating_spheres_obey_the_lower_bound_of_tortuosity() -> None:
    """V4: τ ≥ (3 − ε)/2 for isotropic insulating obstacles."""
    cell = unit_cell(0.4, 40)
    open_share = cell.voxel_counts()["matrix"] / cell.labels.size
    assert tortuosity(cell, "matrix", "x").tortuosity_factor >= (3 - open_share) / 2


def test_checkerboard_is_the_geometric_mean() -> None:
    """V7, √(σ₁σ₂); the currents are singular at the corners, so the lattice converges slowly from below."""
    errors = []
    for size in (8, 32, 128):
        half = (np.arange(2 * size) + size // 2) // size % 2  # plates through the middle of cells
        board = (half[:, None] + half[None, :]) % 2
        found = tortuosity(volume(board[:, :, None]), {"matrix": 1, "other": 2}, "x", periodic=True)
        errors.append(found.effective_conductivity / np.sqrt(2) - 1)
    assert abs(errors[2]) < 0.02
    assert abs(errors[2]) < abs(errors[1]) < abs(errors[0])


def test_slanted_strip_has_the_published_value() -> None:
    """TauFactor's test image, N = 20: 7.51667; a plate conductance of 1 instead of 2 gives another number."""
    image = np.ones((20, 21, 21))
    for i in range(20):
        image[i, i : i + 2, i : i + 2] = 0
    assert tortuosity(volume(image), "matrix", "x", tolerance=1e-6).tortuosity_factor == pytest.approx(
        7.51667, rel=1e-5
    )


def test_potential_falls_from_one_to_zero_and_carries_the_same_current_everywhere() -> None:
    """The field, not only its energy: the current through every plane is the effective conductivity."""
    rng = np.random.default_rng(8)
    labels = rng.random((30, 20, 25)) < 0.3
    found = tortuosity(volume(labels), "matrix", "z", tolerance=1e-7, potential=True)
    field = found.potential
    assert field is not None and np.nanmax(field) <= 1 and np.nanmin(field) >= 0
    current = -np.diff(field, axis=2)
    through = np.nansum(current, axis=(0, 1)) * 25 / (30 * 20)
    np.testing.assert_allclose(through, found.effective_conductivity, rtol=2e-3)
    first_face = np.nansum(2 * (1 - field[:, :, 0])) * 25 / (30 * 20)
    assert first_face == pytest.approx(found.effective_conductivity, rel=2e-3)


def dense_reference(labels: npt.NDArray[np.bool_], values: tuple[float, float], periodic: bool) -> float:
    """The same finite volumes along x, assembled and solved directly."""
    import scipy.sparse as sp
    from scipy.sparse.linalg import spsolve

    k = np.where(labels, values[1], values[0])
    number = np.arange(k.size).reshape(k.shape)
    matrix = sp.lil_matrix((k.size, k.size))
    rhs = np.zeros(k.size)
    for axis in range(3):
        for index in np.ndindex(k.shape):
            other = list(index)
            other[axis] += 1
            if other[axis] == k.shape[axis]:
                if axis == 0 or not periodic:
                    continue
                other[axis] = 0
            a, b = number[index], number[tuple(other)]
            g = 2 / (1 / k[index] + 1 / k[tuple(other)])
            if a != b:
                matrix[a, a] += g
                matrix[b, b] += g
                matrix[a, b] -= g
                matrix[b, a] -= g
    for j in np.ndindex(k.shape[1:]):
        for end, potential in ((0, 1.0), (-1, 0.0)):
            a = number[(end, *j)]
            matrix[a, a] += 2 * k[(end, *j)]
            rhs[a] += 2 * k[(end, *j)] * potential
    phi = spsolve(matrix.tocsr(), rhs).reshape(k.shape)
    return float(np.sum(2 * k[0] * (1 - phi[0])) * k.shape[0] / k[0].size)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("values", [(1.0, 0.05), (0.3, 1.0), (1e-5, 1.0), (1.0, 1e-3)])
def test_multigrid_equals_a_direct_solve(periodic: bool, values: tuple[float, float]) -> None:
    """Odd sizes on purpose: the last block of a coarse level is then half empty."""
    labels = np.random.default_rng(11).random((9, 7, 11)) < 0.5
    found = tortuosity(
        volume(labels), dict(zip(PHASES, values, strict=True)), "x", periodic=periodic, tolerance=1e-7
    )
    assert found.effective_conductivity == pytest.approx(dense_reference(labels, values, periodic), rel=1e-5)


def test_percolation_threshold_is_solved_to_the_tolerance() -> None:
    """Near the threshold gains come in fits; stopping at the first small one would be off by percents."""
    labels = np.random.default_rng(2).random((48, 48, 48)) > 0.345
    rough = tortuosity(volume(labels), "matrix", "x", tolerance=1e-3)
    fine = tortuosity(volume(labels), "matrix", "x", tolerance=1e-7)
    assert fine.tortuosity_factor > 20
    assert rough.effective_conductivity == pytest.approx(fine.effective_conductivity, rel=2e-3)


@pytest.mark.parametrize("share", [0.32, 0.33, 0.37])
def test_percolation_threshold_takes_at_most_40_iterations(share: float) -> None:
    """Blocks that join unconnected passages take up to 120; the looser answer must be right all the same."""
    labels = np.random.default_rng(2).random((64, 64, 64)) > share
    found = tortuosity(volume(labels), "matrix", "y")
    assert found.iterations <= 40
    exact = tortuosity(volume(labels), "matrix", "y", tolerance=1e-7).tortuosity_factor
    assert found.tortuosity_factor == pytest.approx(exact, rel=2e-4)


def test_field_of_a_hard_medium_carries_the_same_current_through_every_plane() -> None:
    """The graph adds to the field that the blocks began; losing either part breaks the current."""
    labels = np.random.default_rng(2).random((40, 40, 40)) > 0.345
    found = tortuosity(volume(labels), "matrix", "x", tolerance=1e-7, potential=True)
    field = found.potential
    assert field is not None and np.nanmax(field) <= 1 and np.nanmin(field) >= 0
    through = np.nansum(-np.diff(field, axis=0), axis=(1, 2)) / 40
    np.testing.assert_allclose(through, found.effective_conductivity, rtol=2e-3)


@pytest.mark.parametrize("periodic", [True, False])
def test_strong_contrast_of_two_conductors_is_solved_to_the_tolerance(periodic: bool) -> None:
    """10⁶ near the threshold: blocks alone stop at more than twice the conductivity, believing it settled."""
    labels = np.random.default_rng(1).random((32, 32, 32)) < 0.32
    values = {"matrix": 1e-6, "other": 1.0}
    rough = tortuosity(volume(labels), values, "z", periodic=periodic)
    fine = tortuosity(volume(labels), values, "z", periodic=periodic, tolerance=1e-7)
    assert rough.iterations <= 40
    assert rough.effective_conductivity == pytest.approx(fine.effective_conductivity, rel=2e-4)


def test_running_out_of_iterations_is_an_error_with_numbers() -> None:
    labels = np.random.default_rng(2).random((48, 48, 48)) > 0.345
    with pytest.raises(NotConvergedError, match="after 3 iterations") as caught:
        tortuosity(volume(labels), "matrix", "x", tolerance=1e-6, max_iterations=3)
    assert caught.value.iterations == 3 and caught.value.residual > 1e-6


def test_result_does_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bitwise: chunks see copies of their neighbours' planes, sums are taken per plane."""
    from pxm2mesh.quantify import _parallel

    labels = np.random.default_rng(4).random((70, 64, 64)) < 0.4
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(_parallel, "thread_count", lambda n=threads: n)
        found.append(tortuosity(volume(labels), "matrix", "y", potential=True))
    for other in found[1:]:
        assert other.effective_conductivity == found[0].effective_conductivity
        np.testing.assert_array_equal(other.potential, found[0].potential)


def test_wrong_calls_say_what_to_write() -> None:
    block = volume(np.zeros((4, 4, 4)))
    with pytest.raises(UsageError, match='did you mean "matrix"'):
        tortuosity(block, "matrx", "x")
    with pytest.raises(UsageError, match="unknown direction"):
        tortuosity(block, "matrix", "w")
    with pytest.raises(UsageError, match="tolerance"):
        tortuosity(block, "matrix", "x", tolerance=1e-12)
    with pytest.raises(UsageError, match="differ by a factor"):
        tortuosity(block, {"matrix": 1.0, "other": 1e-12}, "x")
    with pytest.raises(UsageError, match="no phase conducts"):
        tortuosity(block, {"matrix": 0.0}, "x")
