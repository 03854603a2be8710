"""Steady conduction against closed forms: V1 to V8 of the verification plan, on one and on two ranks.

Every docstring names the mistake that the test catches and the number that the mistake gave when it was made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import ufl
from dolfinx import fem

from pxm2mesh.tetmesh import TetMesh
from pxm2mesh.volume import LabelVolume
from simulations.base.domain import Domain
from simulations.models.conduction import conduct, effective_conductivity
from simulations.shapes import ball, lattice, layers, tet_mesh, voxels

EXACT = {"tolerance": 1e-13}


def solve(
    mesh: TetMesh, phases: Sequence[str], sigma: dict[str, float] | None = None, axes: str = "xyz", **options
):
    """σ_eff per direction."""
    found = effective_conductivity(
        Domain.from_mesh(mesh), phases, conductivity=sigma, directions=tuple(axes), **options
    )
    return [row["effective conductivity"] for row in found.rows], found


@pytest.mark.parametrize("order", [1, 2])
def test_v1_a_uniform_block_has_tortuosity_one(order: int) -> None:
    """Catches L/A with the wrong length (2 instead of 1) or area (4): the box is 1 × 2 × 4 µm."""
    points, cells, _ = lattice(np.linspace(0, 1, 3), np.linspace(0, 2, 4), np.linspace(0, 4, 3))
    mesh = tet_mesh(points, cells, np.ones(len(cells)), [0, 1], {"A": 1})
    _, found = solve(mesh, ["A"], order=order, **EXACT)
    for axis in "xyz":
        assert found.quantities.value("tortuosity_factor", direction=axis) == pytest.approx(1, abs=1e-10)


def strip(open_end: bool) -> LabelVolume:
    """A straight channel along x, and one beside it that ends in the middle; both 2 × 2 voxels wide."""
    labels = np.zeros((8, 6, 4), dtype=np.uint8)
    labels[:, 0:2, 0:2] = 1 if open_end else 0
    labels[:5, 3:5, 1:3] = 1
    return LabelVolume(labels, {"void": 0, "S": 1}, "1 um")


def test_v1_a_straight_strip_has_tortuosity_one_and_its_dead_end_does_not_count() -> None:
    """Catches dead ends and islands counted as conductors: a percolating fraction of 1 instead of 8/13.

    The tortuosity factor is that of all the phase, ε σ₀/σ_eff: 13/8, not the 1 of the channel alone.
    """
    _, found = solve(voxels(strip(True), exclude=["void"]), ["S"], axes="x", **EXACT)
    assert found.quantities.value("percolating_fraction") == pytest.approx(8 / 13, abs=1e-12)
    assert found.quantities.value("effective_conductivity") == pytest.approx(4 / 24, abs=1e-10)
    assert found.quantities.value("tortuosity_factor") == pytest.approx(13 / 8, abs=1e-9)


def test_v1_a_dead_end_has_infinite_tortuosity() -> None:
    """Catches solving a singular system: NaN, or KSP "diverged pcsetup failed", instead of inf."""
    _, found = solve(voxels(strip(False), exclude=["void"]), ["S"])
    for axis in "xyz":
        assert found.quantities.value("tortuosity_factor", direction=axis) == math.inf
        assert found.quantities.value("effective_conductivity", direction=axis) == 0.0
    assert found.domain is None


def test_grains_that_touch_in_an_edge_do_not_conduct() -> None:
    """Catches continuity through a shared edge: σ_eff 0.28 (it depends on the mesh) instead of 0."""
    labels = np.zeros((4, 4, 2), dtype=np.uint8)
    labels[:2, :2], labels[2:, 2:] = 1, 1
    _, found = solve(
        voxels(LabelVolume(labels, {"void": 0, "S": 1}, "1 um"), exclude=["void"]), ["S"], axes="x"
    )
    assert found.quantities.value("effective_conductivity") == 0.0


@pytest.mark.parametrize("axis", "xyz")
def test_v2_laminates(axis: str) -> None:
    """Catches coefficients in the order of the input cells instead of the local ones (2.076 instead of 2.105,
    4.88 instead of 6.25)."""
    mesh = layers({"A": 0.5, "B": 0.7}, axis=axis, cells=(3, 3, 3))
    found, _ = solve(mesh, ["A", "B"], {"A": 1.0, "B": 10.0}, **EXACT)
    for direction, value in zip("xyz", found, strict=True):
        exact = 1.2 / (0.5 + 0.07) if direction == axis else (0.5 + 7.0) / 1.2
        assert value == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("order", [1, 2])
def test_v2_a_contact_conductance_adds_its_resistance(order: int) -> None:
    """Catches a contact that is left out (2.105), or has half its area (0.764), instead of 1.121."""
    mesh = layers({"A": 0.5, "B": 0.7}, cells=(3, 3, 3), width=1.3)
    sigma, contact = {"A": 1.0, "B": 10.0}, {"A | B": 2.0}
    found, _ = solve(mesh, ["A", "B"], sigma, "xy", contact_conductance=contact, order=order, **EXACT)
    assert found[0] == pytest.approx(1.2 / (0.5 + 0.07 + 0.5), rel=1e-10)
    assert found[1] == pytest.approx((0.5 + 7.0) / 1.2, rel=1e-10)


SPHERES = {  # contrast: {volume fraction: σ_eff}, cubic lattice of spheres in a matrix of conductivity 1
    1e8: {0.1: 1.33356, 0.3: 2.33288, 0.5: 5.891},
    100.0: {0.2: 1.72795, 0.4: 3.13336},
    10.0: {0.1: 1.24334, 0.3: 1.88774, 0.5: 3.1446},
    0.1: {0.3: 0.65629, 0.5: 0.45407},
    0.0: {0.1: 0.85711, 0.3: 0.60566, 0.5: 0.37374},
}


def sphere_lattice(contrast: float, fraction: float, cells: int, outer_cells: int | None = None) -> float:
    """σ_eff of an eighth of the unit cell of a cubic lattice of spheres."""
    radius = (3 * fraction / (4 * np.pi)) ** (1 / 3)
    mesh = ball({"P": radius, "M": 0.0}, box=(0.5,) * 3, cells=cells, outer_cells=outer_cells)
    phases = ["P", "M"] if contrast > 0 else ["M"]
    sigma = {"P": contrast, "M": 1.0} if contrast > 0 else None
    return float(solve(mesh, phases, sigma, "x")[0][0])


@pytest.mark.parametrize(
    ("contrast", "fraction", "exact"), [(k, f, s) for k, row in SPHERES.items() for f, s in row.items()]
)
def test_v3_a_cubic_lattice_of_spheres(contrast: float, fraction: float, exact: float) -> None:
    """Catches phases taken for each other: 6.58 instead of 1.888 at contrast 10 and 30 vol%."""
    assert sphere_lattice(contrast, fraction, 15 if fraction > 0.2 else 10) == pytest.approx(exact, rel=0.01)


def test_v3_converges_with_order_two() -> None:
    """Catches a lumped or under-integrated stiffness, and spheres that are not resolved: order 1 or less."""
    errors = [abs(sphere_lattice(10.0, 0.3, n, n // 2) - 1.88774) for n in (4, 8, 16)]
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all((rates > 1.7) & (rates < 2.4)), rates


def noise(fraction: float, size: int, seed: int) -> LabelVolume:
    """Random cubes of three voxels, exactly ``fraction`` of them B."""
    blocks = np.ones(size**3, dtype=np.uint8)
    blocks[: round(fraction * size**3)] = 2
    blocks = np.random.default_rng(seed).permutation(blocks).reshape((size,) * 3)
    labels = np.kron(blocks, np.ones((3, 3, 3), dtype=np.uint8))
    return LabelVolume(labels, {"A": 1, "B": 2}, "1 um")


def test_v4_a_random_mixture_lies_between_the_bounds_of_hashin_and_shtrikman() -> None:
    """Catches a parallel mean (4.60) or a series mean (1.56) in place of a solution."""
    volume = noise(0.4, 7, 0)
    f = volume.voxel_counts()["B"] / volume.labels.size
    found, _ = solve(voxels(volume), ["A", "B"], {"A": 1.0, "B": 10.0})
    low, high = 1 + f / (1 / 9 + (1 - f) / 3), 10 + (1 - f) / (-1 / 9 + f / 30)
    assert low < np.mean(found) < high


def outside_is_linear(function: fem.Function, domain: Domain, radius: float, length: float) -> float:
    """Largest deviation from a linear potential at the nodes outside of the sphere."""
    x = function.function_space.tabulate_dof_coordinates()
    outer = np.linalg.norm(x, axis=1) > radius * 1.001
    local = np.abs(function.x.array - x[:, 0] / length)[outer].max(initial=0.0)
    return float(max(domain.comm.allgather(local)))


def test_v5_a_coated_sphere_is_neutral_in_any_box() -> None:
    """Catches core and shell taken for each other: 2.43 instead of 1.871, a field bent outside."""
    outer, box = 0.8, (1.1, 1.3, 0.95)
    inner, matrix = outer * 0.3 ** (1 / 3), 1.870968
    mesh = ball({"core": inner, "shell": outer, "matrix": 0.0}, box=box, cells=18)
    sigma = {"core": 10.0, "shell": 1.0, "matrix": matrix}
    found, result = solve(mesh, ["core", "shell", "matrix"], sigma)
    assert found == pytest.approx([matrix] * 3, rel=0.005)
    assert result.domain is not None
    potential = result.potentials["x"].function
    assert outside_is_linear(potential, result.domain, outer, box[0]) < 0.005


@pytest.mark.parametrize("order", [1, 2])
def test_v6_a_sphere_with_an_imperfect_interface_is_neutral(order: int) -> None:
    """Catches a jump term that is left out (perfect contact: 1.43) or has half its weight (0.906), for 1."""
    a, box = 0.8, (1.2, 1.0, 1.3)
    mesh = ball({"P": a, "M": 0.0}, box=box, cells=14 if order == 1 else 7)
    contact = {"P | M": 10.0 / (a * 9.0)}
    found, result = solve(mesh, ["P", "M"], {"P": 10.0, "M": 1.0}, contact_conductance=contact, order=order)
    assert found == pytest.approx([1.0] * 3, rel=0.005)
    assert result.domain is not None
    assert outside_is_linear(result.potentials["x"].function, result.domain, a, box[0]) < 0.005


def test_v7_a_checkerboard_conducts_like_the_geometric_mean() -> None:
    """Catches arithmetic (5.5) and harmonic (1.82) averaging at cells instead of solving: √10 = 3.162."""
    graded = np.linspace(-1, 1, 49) ** 3 / 2 + 0.5  # towards the corner, where the field is singular
    points, cells, _ = lattice(graded, graded, [0.0, 0.05])
    centre = points[cells].mean(axis=1)
    region = 1 + ((centre[:, 0] > 0.5) ^ (centre[:, 1] > 0.5))
    mesh = tet_mesh(points, cells, region, [0, 1, 2], {"A": 1, "B": 2})
    found, _ = solve(mesh, ["A", "B"], {"A": 1.0, "B": 10.0}, "xy")
    assert found == pytest.approx([math.sqrt(10)] * 2, rel=0.02)


def half_space(cells: int, layers_out: int, reach: float) -> TetMesh:
    """A quarter of the half space under a disc of radius 1, in oblate spheroidal shells.

    The disc is the facet "contact | S", the last shell (sinh μ = ``reach``) "electrode | S"; the rest insulates.
    """
    n = cells
    upwards = sorted(((i, j) for i in range(n + 1) for j in range(n + 1 - i)), key=lambda ij: n - sum(ij))
    index = {ij: k for k, ij in enumerate(upwards)}  # in this order no cell at the rim of the disc is flat
    corner = np.array([[i, j, n - i - j] for i, j in index], dtype=float)
    direction = np.sin(corner * np.pi / (2 * n)) + 0.0
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    triangles = [(index[i, j], index[i + 1, j], index[i, j + 1]) for i in range(n) for j in range(n - i)]
    triangles += [
        (index[i + 1, j], index[i + 1, j + 1], index[i, j + 1])
        for i in range(n - 1)
        for j in range(n - 1 - i)
    ]
    mu = np.linspace(0, math.asinh(reach), layers_out + 1)[:, None]
    u, v, w = direction.T
    shells = [np.stack([np.cosh(m) * u, np.cosh(m) * v, np.sinh(m) * w], 1) for m in mu]
    points, count = np.concatenate(shells), len(direction)
    ordered = np.sort(np.array(triangles), axis=1)
    cells_ = [
        np.concatenate([
            np.stack([a, b, c, c + count], 1), np.stack([a, b, b + count, c + count], 1),
            np.stack([a, a + count, b + count, c + count], 1),
        ]) + k * count
        for k in range(layers_out)
        for a, b, c in [ordered.T]
    ]  # fmt: skip

    def behind(centres: npt.NDArray[np.float64]) -> npt.NDArray[np.integer]:
        disc = centres[:, 2] < 1e-9
        disc &= np.linalg.norm(centres[:, :2], axis=1) < math.cos(np.pi / (4 * n))  # of the polygon
        far = np.linalg.norm(centres, axis=1) > reach * 0.8
        return np.where(disc, 2, np.where(far, 3, 0))

    tets = np.concatenate(cells_)
    phases = {"S": 1, "contact": 2, "electrode": 3}
    return tet_mesh(points, tets, np.ones(len(tets)), [0, 1, 2, 3], phases, behind=behind)


def test_v8_the_resistance_of_a_disc_contact() -> None:
    """Catches a disc in a full space (0.63 MΩ) taken for one on a half space: 1/(4κa) = 1.25 MΩ."""
    kappa, reach = 0.2e6, 30.0  # pS/µm, that is 0.2 S/m
    domain = Domain.from_mesh(half_space(16, 40, reach))
    held = {"contact | S": 1.0, "electrode | S": 0.0}
    result = conduct(domain, {"S": kappa}, held)
    beyond = 1 / (4 * kappa) * (1 - 2 / math.pi * math.atan(reach))  # from the last shell to infinity
    resistance = 1 / (4 * result.energy) + beyond  # TΩ: four quarters in parallel
    assert resistance * 1e6 == pytest.approx(1.25, rel=0.02)
    currents = result.currents
    assert currents["contact | S"] == pytest.approx(-currents["electrode | S"], rel=1e-8)


def test_energy_current_and_gradient_agree_on_the_current() -> None:
    """Catches an energy without its contact term (0.498 instead of 0.935) and currents of the wrong sign."""
    mesh = layers({"A": 0.5, "B": 0.7}, cells=(3, 3, 3))
    domain = Domain.from_mesh(mesh, cut=["A | B"])
    result = conduct(
        domain, {"A": 1.0, "B": 10.0}, {"x-": 0.0, "x+": 1.0}, contact_conductance={"A|B": 2.0}, **EXACT
    )
    for current in (result.energy, result.currents["x+"], -result.currents["x-"], result.face_currents["x+"]):
        assert current == pytest.approx(1 / (0.5 + 0.07 + 0.5), rel=1e-9)
    plus = domain.integrate(result.function * domain.ds("A | B"))
    assert plus == pytest.approx(0.4672897 + 0.9345794, rel=1e-6)  # both sides of the cut


def test_v29_the_potential_converges_with_its_degree() -> None:
    """Catches quadrature or coefficient errors of first order: rates 2 and 3 in L², 1 and 2 in H¹, ± 0.1."""
    for order, sizes in ((1, (8, 16)), (2, (4, 8))):
        errors = []
        for n in sizes:
            points, cells, _ = lattice(*[np.linspace(0, 1, n + 1)] * 3)
            domain = Domain.from_mesh(tet_mesh(points, cells, np.ones(len(cells)), [0, 1], {"A": 1}))
            space = fem.functionspace(domain.mesh, ("Lagrange", order))
            x = ufl.SpatialCoordinate(domain.mesh)
            exact = ufl.exp(ufl.pi * x[1]) * ufl.sin(ufl.pi * x[0]) * x[2]  # harmonic
            held = fem.Function(space)
            held.interpolate(lambda p: np.exp(np.pi * p[1]) * np.sin(np.pi * p[0]) * p[2])
            result = conduct(
                domain, {"A": 1.0}, {f: held for f in ("x-", "x+", "y-", "y+", "z-", "z+")}, order=order
            )
            error = result.function - exact
            squares = (error**2, ufl.inner(ufl.grad(error), ufl.grad(error)))
            errors.append([math.sqrt(domain.integrate(s * domain.dx(quadrature_degree=6))) for s in squares])
        rates = np.log2(np.array(errors[0]) / errors[1])
        assert rates[0] == pytest.approx(order + 1, abs=0.1) and rates[1] == pytest.approx(order, abs=0.1)
