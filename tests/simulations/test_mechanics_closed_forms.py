"""V15, V16, V18: elasticity against closed forms."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import ufl
from closed_forms_mechanics import (
    bulk_and_shear,
    cheng_verbrugge,
    coated_sphere_bulk,
    eshelby_pressure,
    sphere_with_constant_flux,
)
from dolfinx import fem
from meshes import ball_sector, box
from mpi4py import MPI

from pxm2mesh.materials import Material, material_from
from simulations.base import compat
from simulations.base.domain import Domain
from simulations.models.mechanics import Solid
from simulations.models.solid_solver import SolverOptions
from simulations.models.stress_laws import Moduli, elastic, strain
from simulations.models.supports import fixed, gap, plate, pressure, symmetry

DIRECT = SolverOptions(direct=True)


def material(young: float, poisson: float, swelling: str = "0", x0: float = 0.0) -> Material:
    """E in MPa; ``swelling`` is ΔV/V as a formula of x."""
    return material_from(
        {
            "name": "test",
            "elastic": {"youngs_modulus": f"{young} MPa", "poisson_ratio": poisson},
            "swelling": {"volume_strain": {"expression": swelling}, "reference": x0},
        }
    )


def constant(domain: Domain, value: float) -> fem.Function:
    function = fem.Function(fem.functionspace(domain.mesh, ("DG", 0)))
    function.x.array[:] = value
    return function


def of_radius(domain: Domain, profile: object, degree: int = 1) -> fem.Function:
    """Interpolate a function of r."""
    function = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", degree)))
    function.interpolate(lambda p: profile(np.linalg.norm(p, axis=0)))  # type: ignore[operator]
    return function


def at_points(function: fem.Function, points: object) -> np.ndarray:
    """Values of a cell-wise constant function in the cell whose centre is closest to each point (one rank)."""
    mesh = function.function_space.mesh
    centres = mesh.geometry.x[compat.cell_nodes(mesh)].mean(axis=1)
    nearest = [int(np.argmin(np.linalg.norm(centres - p, axis=1))) for p in np.atleast_2d(points)]
    size = function.function_space.dofmap.index_map_bs
    return function.x.array.reshape(len(centres), -1)[nearest] if size > 1 else function.x.array[nearest]


@pytest.mark.parametrize("degree", [1, 2])
def test_a_uniform_stress_is_reproduced_to_the_last_digits(degree: int) -> None:
    """V15. Catches any wrong factor in Hooke's law or in the load: stress and displacement are exact on any mesh."""
    domain = Domain.from_mesh(box((3, 3, 3), jitter=0.2, seed=1))
    body = Solid(
        domain,
        {"NMC": material(140e3, 0.3)},
        [*symmetry("x-", "y-", "z-"), plate("z+", 5.0)],
        degree=degree,
        options=DIRECT,
    )
    body.solve()
    stress = body.average("stress").x.array.reshape(-1, 9)
    assert np.abs(stress - np.array([0, 0, 0, 0, 0, 0, 0, 0, -5.0])).max() < 5e-12
    assert body.plate_displacement("z+") == pytest.approx(-5 / 140e3, rel=1e-12)
    expected = domain.mesh.geometry.x * np.array([0.3, 0.3, -1.0]) * 5 / 140e3
    moved = np.zeros_like(expected)
    corners = np.asarray(body.space.dofmap.list)[:, :4]
    moved[compat.cell_nodes(domain.mesh)] = body.displacement.x.array.reshape(-1, 3)[corners]
    assert np.abs(moved - expected).max() < 1e-12 * 5
    assert body.pressure_on("z-") == pytest.approx(5.0, rel=1e-12)


def test_free_swelling_leaves_no_stress() -> None:
    """V15. Catches a chemical strain that is not a third of ΔV/V, or that is not taken off the total strain."""
    domain = Domain.from_mesh(box((3, 2, 2), jitter=0.2))
    body = Solid(
        domain,
        {"NMC": material(140e3, 0.3, "0.06*x")},
        symmetry("x-", "y-", "z-"),
        x=constant(domain, -0.5),
        options=DIRECT,
    )
    body.solve()
    assert np.abs(body.average("von Mises").x.array).max() < 1e-7  # the floor of the norm is 1e-8
    assert np.abs(body.average("hydrostatic").x.array).max() < 1e-9
    assert body.displacement.x.array.min() == pytest.approx(-0.01, rel=1e-10)


def test_a_fixed_gap_and_a_constant_pressure_differ_as_they_must() -> None:
    """Uniaxial swelling ε* between rigid walls: p = E·ε*.

    Catches a gap that yields, a plate that does not, and a plate's pressure taken for its force.
    """
    domain = Domain.from_mesh(box((2, 2, 2), (1.0, 2.0, 1.0)))
    materials = {"NMC": material(100.0, 0.3, "0.03*x")}
    sides = symmetry("x-", "y-", "z-")
    x = constant(domain, 1.0)
    held = Solid(domain, materials, [*sides, gap("z+")], x=x, options=DIRECT)
    held.solve()
    assert held.pressure_on("z+") == pytest.approx(1.0, rel=1e-11)
    free = Solid(domain, materials, [*sides, plate("z+", 0.4)], x=x, options=DIRECT)
    free.solve()
    assert free.pressure_on("z+") == pytest.approx(0.4, rel=1e-10)
    assert free.plate_displacement("z+") == pytest.approx(0.01 - 0.004, rel=1e-10)
    free.solve({"z+": 0.8})
    assert free.plate_displacement("z+") == pytest.approx(0.01 - 0.008, rel=1e-10)
    held.solve({"z+": 0.01})
    assert held.pressure_on("z+") == pytest.approx(2.0, rel=1e-10)


def test_a_plate_on_a_layered_body_stays_parallel_and_carries_its_force() -> None:
    """Two columns side by side under one plate: E_eff by Voigt; catches a plate that is a soft pressure (2.6 % off)."""
    mesh = box((4, 4, 4), phase_of=lambda c: np.where(c[:, 0] < 0.5, 1, 2))
    domain = Domain.from_mesh(mesh)
    materials = {"NMC": material(140.0, 0.0), "LPSCl": material(20.0, 0.0)}
    for degree in (1, 2):
        body = Solid(domain, materials, [*symmetry("x-", "y-", "z-"), plate("z+", 2.0)], degree=degree)
        body.solve()
        assert body.plate_displacement("z+") == pytest.approx(-2.0 / 80.0, rel=1e-8)
        assert body.pressure_on("z-") == pytest.approx(2.0, rel=1e-8)


def test_a_rotated_grain_strains_along_its_own_axes() -> None:
    """Catches a lattice strain that is not rotated with the grain: c must act along the given axis."""
    from simulations.models.mechanics import ElasticLaw, grain_axes

    domain = Domain.from_mesh(box((2, 2, 2)))
    table = {"table": [[0.0, 2.0], [1.0, 2.02]], "unit": "angstrom", "interpolation": "linear"}
    tall = {"table": [[0.0, 10.0], [1.0, 9.7]], "unit": "angstrom", "interpolation": "linear"}
    grain = material_from(
        {
            "name": "grain",
            "elastic": {"youngs_modulus": "1 GPa", "poisson_ratio": 0.3},
            "swelling": {"lattice_a": table, "lattice_c": tall, "reference": 0.0},
        }
    )
    direction = np.array([1.0, 2.0, 2.0]) / 3
    law = ElasticLaw(grain, grain_axes(domain, [[0, 0, 0], 5 * direction]))
    x = constant(domain, 1.0)
    response = law.respond(fem.Function(fem.functionspace(domain.mesh, ("Lagrange", 1, (3,)))), x, None, None)
    young, poisson = 1e3, 0.3
    bulk, shear = bulk_and_shear(young, poisson)
    across = np.outer(direction, direction)
    e = 0.01 * (np.eye(3) - across) - 0.03 * across
    expected = -(bulk * np.trace(e) * np.eye(3) + 2 * shear * (e - np.trace(e) / 3 * np.eye(3)))
    for i in range(3):
        for j in range(3):
            assert domain.integrate(response.stress[i, j] * domain.dx()) == pytest.approx(
                expected[i, j], abs=1e-9
            )


def spurious_strain(degrees: float) -> float:
    """Smallest normal strain of a rigid rotation about z."""
    domain = Domain.from_mesh(box((1, 1, 1)))
    angle = math.radians(degrees)
    turn = np.array(
        [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]]
    )
    u = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", 1, (3,))))
    u.interpolate(lambda p: turn @ p - p)
    return domain.integrate(strain(u)[0, 0] * domain.dx())


@pytest.mark.xfail(
    strict=True, reason="small strain sees a rotation as a strain: use finite strain for large ones"
)
def test_a_rotation_by_ten_degrees_is_free_of_small_strain() -> None:
    """V15: the expected failure; the model must not be used where grains rotate by degrees."""
    assert abs(spurious_strain(10.0)) < 1e-3


def test_the_spurious_strain_of_a_rotation_is_the_known_one() -> None:
    """V15: cos 10° − 1 = −1.52 %."""
    assert spurious_strain(10.0) == pytest.approx(math.cos(math.radians(10.0)) - 1, rel=1e-12)


def radial_stresses(body: Solid, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radius, radial and hoop stress of every cell, averaged over it."""
    mesh = body.domain.mesh
    centres = mesh.geometry.x[compat.cell_nodes(mesh)].mean(axis=1)
    r = np.linalg.norm(centres, axis=1)
    normal = centres / r[:, None]
    stress = body.average("stress").x.array.reshape(-1, 3, 3)[: len(r)]
    radial = np.einsum("ni,nij,nj->n", normal, stress, normal)
    return r / radius, radial, (np.trace(stress, axis1=1, axis2=2) - radial) / 2


@pytest.mark.parametrize("tau", [0.05, 0.2])
def test_the_stress_of_a_particle_under_constant_flux_is_that_of_cheng_and_verbrugge(tau: float) -> None:
    """V16, 2 % of the largest stress at the centre and the surface.

    Catches Ω taken as a linear strain (three times the stress), 1 − ν written as 1 − 2ν (×1.75), and P1
    displacement (48 % off in the hydrostatic stress).
    """
    radius, young, poisson, swelling = 2.0, 140e3, 0.3, 0.06
    domain = Domain.from_mesh(ball_sector(np.linspace(0, radius, 13)))
    x = of_radius(domain, lambda r: 0.5 + 0.1 * sphere_with_constant_flux(r / radius, tau), degree=2)
    body = Solid(
        domain, {"NMC": material(young, poisson, f"{swelling}*x", 0.5)}, symmetry("x-", "y-", "z-"), x=x
    )
    record = body.solve()
    assert record.linear_iterations <= 40
    unit = young * swelling * 0.1 / (1 - poisson)
    r, radial, hoop = radial_stresses(body, radius)
    exact_radial, exact_hoop = cheng_verbrugge(r, tau)
    largest = np.abs(exact_hoop).max()
    volume = np.abs(np.asarray(domain.source.cell_volumes()))[domain.cell_index]  # type: ignore[union-attr]
    for found, exact in ((radial, exact_radial), (hoop, exact_hoop)):
        mean_error = np.sqrt(np.sum(volume * (found / unit - exact) ** 2) / volume.sum())
        assert mean_error < 0.02 * largest
    centre = r < 0.2
    assert np.average(hoop[centre], weights=volume[centre]) / unit == pytest.approx(
        np.average(exact_hoop[centre], weights=volume[centre]), rel=0.02
    )
    grown = domain.integrate(
        ufl.inner(body.displacement, ufl.FacetNormal(domain.mesh)) * domain.ds("NMC | void")
    )
    mean = domain.integrate((x - 0.5) * domain.dx()) / domain.volume()
    area = domain.area("NMC | void")
    assert grown / area == pytest.approx(swelling / 3 * mean * radius, rel=0.01)  # u(R) = ΩR·c̄/3


def concentric(box_ratio: float, n: int) -> tuple[Domain, float]:
    """A particle of radius 1 in a matrix of radius ``box_ratio``, layers growing outwards."""
    inner = np.linspace(0, 1, n + 1)
    outer = np.geomspace(1, box_ratio, n + 1)[1:]
    mesh = ball_sector([*inner, *outer], ["NMC"] * n + ["LPSCl"] * n)
    return Domain.from_mesh(mesh), float(np.abs(mesh.region_volumes()).sum())


def test_a_shrinking_particle_in_a_matrix_has_the_pressure_of_eshelby() -> None:
    """V18, 2 %: NMC in LPSCl, ΔV = −5 % gives 492.3 MPa of tension.

    Catches the matrix's bulk modulus in place of its shear modulus (+30 %) and ε* = ΔV (three times).
    """
    domain, _ = concentric(8.0, 8)
    nmc, se = (140e3, 0.3), (22.1e3, 0.37)
    body = Solid(
        domain,
        {"NMC": material(*nmc, "-0.05*x"), "LPSCl": material(*se)},
        symmetry("x-", "y-", "z-"),
        x=constant(domain, 1.0),
    )
    body.solve()
    tension = domain.integrate(_hydrostatic(body, "NMC") * domain.dx("NMC")) / domain.volume("NMC")
    expected = eshelby_pressure(0.05 / 3, nmc, se)
    assert expected == pytest.approx(492.3, abs=0.1)
    assert tension == pytest.approx(expected, rel=0.02)
    r, radial, _ = radial_stresses(body, 1.0)
    for low, high in ((1.3, 2.0), (2.0, 3.5)):  # σ_r ∝ (R/r)³ − (R/b)³, b = 8 R
        there = (r > low) & (r < high)
        exact = tension * (r[there] ** -3 - 8.0**-3) / (1 - 8.0**-3)
        assert np.mean(radial[there] / exact) == pytest.approx(1.0, rel=0.03)


def _hydrostatic(body: Solid, phase: str) -> object:
    return ufl.tr(body.responses[phase].cauchy) / 3


def test_a_coated_sphere_under_pressure_has_its_exact_bulk_modulus() -> None:
    """V18 on a finite body: K₁ = 116.67, K₂ = 28.33, μ₂ = 8.066, f = 0.3 give K₀ = 38.594 (1 %).

    Catches a pressure with the wrong sign or area, and mixed-up phases (the inverted sphere has 63.8).
    """
    core, shell = (140.0, 0.3), (22.1, 0.37)
    edge = 0.3 ** (1 / 3)
    radii = [*np.linspace(0, edge, 9), *np.linspace(edge, 1, 5)[1:]]
    domain = Domain.from_mesh(ball_sector(radii, ["NMC"] * 8 + ["LPSCl"] * 4))
    body = Solid(
        domain,
        {"NMC": material(*core), "LPSCl": material(*shell)},
        [*symmetry("x-", "y-", "z-"), pressure("LPSCl | void", 1.0)],
    )
    body.solve()
    (bulk_1, _), (bulk_2, shear_2) = bulk_and_shear(*core), bulk_and_shear(*shell)
    expected = coated_sphere_bulk(bulk_1, bulk_2, shear_2, 0.3)
    assert expected == pytest.approx(38.594, abs=0.005)
    shrink = domain.integrate(ufl.div(body.displacement) * domain.dx()) / domain.volume()
    assert -1.0 / shrink == pytest.approx(expected, rel=0.01)


def test_clamped_faces_hold_and_react() -> None:
    """Catches a reaction with the wrong sign: the base pushes back with what presses on the top."""
    domain = Domain.from_mesh(box((2, 2, 4), (1.0, 1.0, 2.0)))
    body = Solid(domain, {"NMC": material(100.0, 0.3)}, [fixed("z-"), pressure("z+", 1.0)])
    body.solve()
    assert body.reaction("z-") == pytest.approx([0, 0, 1.0], abs=1e-8)


def test_state_comes_back_after_restore() -> None:
    domain = Domain.from_mesh(box((2, 2, 2)))
    body = Solid(domain, {"NMC": material(100.0, 0.3)}, [*symmetry("x-", "y-", "z-"), plate("z+", 1.0)])
    body.solve()
    kept, before = body.state(), body.displacement.x.array.copy()
    body.solve({"z+": 2.0})
    body.restore(kept)
    assert np.array_equal(body.displacement.x.array, before)
    assert body.plate_displacement("z+") == pytest.approx(-0.01, rel=1e-8)


def test_iterations_stay_bounded_as_the_mesh_grows() -> None:
    """CG with smoothed aggregation and rigid modes: ≤ 30 iterations from 400 to 60,000 unknowns.

    Catches a lost near-nullspace (iterations then double with every refinement).
    """
    counts: Mapping[int, int] = {}
    for n in (4, 8, 13):
        domain = Domain.from_mesh(box((n, n, n), phase_of=lambda c: np.where(c[:, 2] < 0.5, 1, 2)))
        materials = {"NMC": material(140e3, 0.3), "LPSCl": material(22.1e3, 0.37)}
        options = SolverOptions(linear_rtol=1e-8, rtol=1e-6)
        body = Solid(domain, materials, [fixed("z-"), pressure("z+", 5.0)], options=options)
        counts = {**counts, n: body.solve().linear_iterations}
    assert max(counts.values()) <= 30, counts


def test_moduli_come_from_young_and_poisson() -> None:
    moduli = Moduli.from_young(140.0, 0.3)
    assert (moduli.bulk, moduli.shear) == pytest.approx(bulk_and_shear(140.0, 0.3))
    assert elastic(ufl.Identity(3), moduli).ufl_shape == (3, 3)
    assert MPI.COMM_WORLD.size >= 1
