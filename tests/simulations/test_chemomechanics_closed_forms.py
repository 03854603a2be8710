"""V17: lithium and stress coupled both ways."""

from __future__ import annotations

import basix.ufl
import numpy as np
import pytest
import ufl
from dolfinx import fem
from meshes import ball_sector, box
from petsc4py import PETSc

from pxm2mesh.errors import StudyError, UsageError
from pxm2mesh.materials import GAS_CONSTANT, Material, material_from, read_material
from simulations.base import compat
from simulations.base.domain import Domain
from simulations.base.stepping import StepOptions, run_until
from simulations.models.chemomechanics import (
    ChemoMechanics,
    CouplingOptions,
    flux,
    free_sphere_slope,
    voltage_shift,
)
from simulations.models.supports import plate, symmetry

HELD = symmetry("x-", "y-", "z-")
YOUNG, POISSON, C_MAX, DIFFUSIVITY, TEMPERATURE = 140e3, 0.3, 49111.0, 4e-3, 298.15
OMEGA = 1.27e-6
SWELLING = OMEGA * C_MAX
RT = GAS_CONSTANT * TEMPERATURE * 1e-6
THETA = 2 * OMEGA**2 * YOUNG / (9 * (1 - POISSON) * RT) * C_MAX  # D_eff = D(1 + θ·c_max·x)


def material() -> Material:
    return material_from(
        {
            "name": "dilute",
            "elastic": {"youngs_modulus": f"{YOUNG} MPa", "poisson_ratio": POISSON},
            "transport": {"diffusivity": f"{DIFFUSIVITY} um2/s", "maximum_concentration": f"{C_MAX} mol/m3"},
            "swelling": {
                "volume_strain": {"expression": f"{SWELLING}*x"},
                "molar_volume": f"{OMEGA} m3/mol",
                "reference": 0.0,
            },
        }
    )


def radial_reference(radius: float, x0: float, inward: float, end: float, theta: float) -> np.ndarray:
    """x(r) of a sphere with D(1 + θx): finite volumes in r, backward Euler with tiny steps."""
    n, steps = 200, 800
    edges = np.linspace(0, radius, n + 1)
    volume, area = np.diff(edges**3) / 3, edges**2
    x, dt, h = np.full(n, x0), end / steps, radius / n
    from scipy.linalg import solve_banded

    for _ in range(steps):
        old = x.copy()
        for _ in range(3):
            conductance = DIFFUSIVITY * (1 + theta * (x[1:] + x[:-1]) / 2) * area[1:-1] / h
            bands = np.zeros((3, n))
            bands[1] = volume / dt
            bands[1, :-1] += conductance
            bands[1, 1:] += conductance
            bands[0, 1:] = bands[2, :-1] = -conductance
            right = volume / dt * old
            right[-1] += inward / C_MAX * area[-1]
            x = solve_banded((1, 1), bands, right)
    return x


def test_the_strength_of_the_coupling_is_the_known_one() -> None:
    """θ·c_max = 1.43 for NMC811, and 13.2 mV per GPa."""
    assert pytest.approx(1.43, abs=0.01) == THETA
    assert voltage_shift(OMEGA, 1000.0) == pytest.approx(13.2e-3, abs=5e-5)
    assert free_sphere_slope(material()) * OMEGA / RT == pytest.approx(THETA, rel=1e-9)


def test_stress_in_a_free_sphere_acts_as_a_larger_diffusivity() -> None:
    """V17, 1 %: Larché–Cahn (dilute) in a free sphere is D(1 + θx) exactly.

    Catches: no stress in the flux (the rise from centre to surface is 30 % too large), Ω taken as linear
    strain (θ ninefold), the naive staggering (diverges), P1 displacement (its ∇σ_h vanishes).
    """
    radius, x0, end = 1.0, 0.3, 40.0
    inward = 0.35 * C_MAX * DIFFUSIVITY / radius
    domain = Domain.from_mesh(ball_sector(np.linspace(0, radius, 9)))
    options = CouplingOptions(mixing="dilute", tolerance=3e-4)
    problem = ChemoMechanics(
        domain, {"NMC": material()}, [*HELD, flux("NMC | void", inward)], initial=x0, options=options
    )
    start = problem.amount()
    run_until(problem, end, StepOptions(first=1.0))
    entered = inward * domain.area("NMC | void") * end
    assert problem.amount() - start == pytest.approx(entered, rel=1e-10)  # no lithium is lost
    exact = radial_reference(radius, x0, inward * domain.area("NMC | void") / (np.pi / 2), end, THETA)
    without = radial_reference(radius, x0, inward, end, 0.0)
    rise = exact.max() - x0
    centre = np.linalg.norm(problem.x.function_space.tabulate_dof_coordinates(), axis=1) < 1e-9
    assert problem.x.x.array[centre][0] == pytest.approx(exact[0], abs=0.01 * rise)
    surface = domain.integrate(problem.x * domain.ds("NMC | void")) / domain.area("NMC | void")
    assert surface == pytest.approx(1.5 * exact[-1] - 0.5 * exact[-2], abs=0.01 * rise)
    assert np.abs(exact - without).max() > 0.05 * rise  # the effect is there to be seen


def test_staggered_and_monolithic_agree() -> None:
    """V17: one mixed Newton system of [u P2, σ_h P1, x P1] gives the same x within 2e-3 of its rise.

    Catches a staggered scheme that lags the stress by a step or counts the implicit slope twice.
    """
    radius, x0, dt, steps = 1.0, 0.3, 4.0, 5
    inward = 0.35 * C_MAX * DIFFUSIVITY / radius
    domain = Domain.from_mesh(ball_sector(np.linspace(0, radius, 5)))
    options = CouplingOptions(mixing="dilute", tolerance=1e9, agreement=1e-9, passes=30)
    problem = ChemoMechanics(
        domain, {"NMC": material()}, [*HELD, flux("NMC | void", inward)], initial=x0, options=options
    )
    for _ in range(steps):
        problem.interrupt()  # backward Euler throughout, as below
        problem.attempt(dt)
        problem.commit()
    reference = monolithic(domain, inward, x0, dt, steps)
    rise = reference.max() - x0
    assert np.abs(np.sort(problem.x.x.array) - np.sort(reference)).max() < 2e-3 * rise


def monolithic(domain: Domain, inward: float, x0: float, dt: float, steps: int) -> np.ndarray:
    """The same equations in one system, by direct factorisation."""
    mesh = domain.mesh
    cell = mesh.basix_cell()
    parts = [("Lagrange", 2, (3,)), ("Lagrange", 1), ("Lagrange", 1)]
    element = basix.ufl.mixed_element(
        [basix.ufl.element(p[0], cell, p[1], shape=p[2] if len(p) > 2 else ()) for p in parts]
    )
    space = fem.functionspace(mesh, element)
    w, old = fem.Function(space), fem.Function(space)
    u, p, x = ufl.split(w)
    v, q, y = ufl.TestFunctions(space)
    bulk, shear = YOUNG / 3 / (1 - 2 * POISSON), YOUNG / 2 / (1 + POISSON)
    e = ufl.sym(ufl.grad(u))
    form = (2 * shear * ufl.inner(ufl.dev(e), ufl.dev(ufl.sym(ufl.grad(v)))) + p * ufl.div(v)) * ufl.dx
    form += (bulk * (ufl.div(u) - SWELLING * x) - p) / bulk * q * ufl.dx
    drive = ufl.grad(x) - OMEGA * x / RT * ufl.grad(p)
    form += ((x - ufl.split(old)[2]) / dt * y + DIFFUSIVITY * ufl.inner(drive, ufl.grad(y))) * ufl.dx
    form -= inward / C_MAX * y * domain.ds("NMC | void")
    bcs = []
    for axis, face in enumerate(("x-", "y-", "z-")):
        sub = space.sub(0).sub(axis)
        dofs = fem.locate_dofs_topological(sub, 2, domain.facets(face))
        bcs.append(fem.dirichletbc(np.float64(0.0), dofs, sub))
    _, place = space.sub(2).collapse()
    w.x.array[place] = old.x.array[place] = x0
    residual, jacobian = fem.form(form), fem.form(ufl.derivative(form, w))
    matrix = compat.create_matrix_with(jacobian, (), domain.comm)
    b = compat.create_vector(residual, space)
    update = b.duplicate()
    solver = PETSc.KSP().create(domain.comm)
    solver.setOperators(matrix)
    solver.setType("preonly")
    solver.getPC().setType("lu")
    solver.getPC().setFactorSolverType("mumps")
    held = np.concatenate([bc.dof_indices()[0] for bc in bcs])
    for _ in range(steps):
        for _ in range(6):
            compat.assemble_vector(b, residual)
            compat.add_ghosts(b)
            b.array[held] = 0.0
            compat.assemble_matrix(matrix, jacobian, bcs)
            solver.solve(b, update)
            w.x.array[:] -= update.array
            if update.norm() < 1e-11:
                break
        old.x.array[:] = w.x.array
    return np.asarray(w.x.array[place])


def test_lithium_gathers_where_the_stress_pulls() -> None:
    """V17: equilibrium in a stress field that varies by 100 MPa: c/c₀ = exp(Ωσ/RT) = 1.05268.

    Catches the wrong sign of Ωσ_h (0.94996), and Ω in place of Ω/RT.
    """
    domain = Domain.from_mesh(box((4, 1, 1), (1.0, 0.25, 0.25)))
    options = CouplingOptions(mixing="dilute", passes=1, tolerance=1e9)
    problem = ChemoMechanics(domain, {"NMC": material()}, HELD, initial=1e-4, options=options)
    slope = free_sphere_slope(material())

    class Imposed:
        """σ_h rises linearly from 0 to 100 MPa along x, whatever the solid says."""

        def __init__(self) -> None:
            self.result = problem.stress.result
            self.field = fem.Function(self.result.function_space)
            self.field.interpolate(lambda p: 100.0 * p[0])

        def update(self) -> fem.Function:
            self.result.x.array[:] = self.field.x.array + slope * problem.x.x.array
            return self.result

    problem.stress = Imposed()  # type: ignore[assignment]
    for _ in range(60):
        problem.stress.update()
        problem.interrupt()
        problem.attempt(100.0)
        problem.commit()
    x = problem.x.x.array
    along = problem.x.function_space.tabulate_dof_coordinates()[:, 0]
    pulled, free = x[along > 1 - 1e-9].mean(), x[along < 1e-9].mean()
    assert pulled / free == pytest.approx(np.exp(OMEGA * 100.0 / RT), rel=2e-4)
    assert np.exp(0.05 / 0.8 / C_MAX * 100.0 / RT) == pytest.approx(1.05268, abs=2e-5)  # Ω of 5 % over 0.8


def test_a_particle_in_electrolyte_takes_lithium_through_the_interface_alone() -> None:
    """Two phases on one mesh: the balance closes, x stays zero in the electrolyte, and the plate holds 5 MPa."""
    mesh = box((4, 4, 4), (2.0, 2.0, 2.0), lambda c: np.where(np.all(c < 1.0, axis=1), 1, 2))
    domain = Domain.from_mesh(mesh)
    materials = {"NMC": read_material("NMC811"), "LPSCl": read_material("LPSCl")}
    inward = -2.0
    problem = ChemoMechanics(
        domain, materials, [*HELD, plate("z+", "5 MPa"), flux("NMC | LPSCl", inward)], initial=0.9,
        options=CouplingOptions(tolerance=1e-2),
    )  # fmt: skip
    start = problem.amount()
    run_until(problem, 120.0, StepOptions(first=20.0))
    taken = inward * domain.area("NMC | LPSCl") * 120.0
    assert problem.amount() - start == pytest.approx(taken, rel=1e-9)
    assert problem.solid.pressure_on("z-") == pytest.approx(5.0, rel=1e-6)
    row = problem.row()
    assert row["max hydrostatic stress [MPa]"] > 20.0  # it shrinks and is held by the electrolyte
    electrolyte = np.unique(np.asarray(problem.x.function_space.dofmap.list)[domain.cells("LPSCl")])
    particle = np.unique(np.asarray(problem.x.function_space.dofmap.list)[domain.cells("NMC")])
    assert np.all(problem.x.x.array[np.setdiff1d(electrolyte, particle)] == 0.0)


def test_a_step_that_is_forgotten_leaves_no_trace() -> None:
    domain = Domain.from_mesh(ball_sector(np.linspace(0, 1, 4)))
    problem = ChemoMechanics(
        domain, {"NMC": material()}, [*HELD, flux("NMC | void", 10.0)], initial=0.3,
        options=CouplingOptions(tolerance=1.0),
    )  # fmt: skip
    problem.attempt(1.0)
    first = problem.x.x.array.copy()
    problem.restore()
    problem.attempt(5.0)
    problem.restore()
    problem.attempt(1.0)
    assert np.array_equal(problem.x.x.array, first)


def test_what_is_missing_is_named() -> None:
    domain = Domain.from_mesh(box((1, 1, 1)))
    with pytest.raises(UsageError, match="no phase takes lithium"):
        ChemoMechanics(domain, {"NMC": read_material("LPSCl")}, HELD, initial=0.5)
    with pytest.raises(StudyError, match=r"swelling\.volume_strain"):
        ChemoMechanics(domain, {"NMC": read_material("LPSCl")}, HELD, initial=0.5, active=["NMC"])
