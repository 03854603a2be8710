"""Diffusion in particles against closed forms: V9, V10, V13, V29, V30, V35.

Every docstring names the mistake that the test catches and the number that the mistake gives.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import ufl
from dolfinx import fem

from pxm2mesh.errors import NotConvergedError
from pxm2mesh.materials import read_material
from pxm2mesh.materials.laws import Formula
from simulations.base import compat
from simulations.base.domain import Domain
from simulations.base.stepping import Event, StepOptions, StepStatistics, run_until
from simulations.models.diffusion import Diffusion, DiffusionOptions
from simulations.shapes import ball, lattice, tet_mesh


def sphere(cells: int = 10) -> Domain:
    return Domain.from_mesh(ball({"P": 1.0}, cells=cells))


def at_radius(particle: Diffusion, radius: float) -> float:
    """Mean over the nodes at a radius."""
    x = particle.x.function_space.tabulate_dof_coordinates()
    near = np.abs(np.linalg.norm(x, axis=1) - radius) < 1e-6
    comm = particle.domain.comm
    total, count = comm.allreduce(float(particle.x.x.array[near].sum())), comm.allreduce(int(near.sum()))
    assert count > 0
    return total / count


def test_v9_a_sphere_under_constant_flux() -> None:
    """Catches a flux of the wrong sign (centre −0.0596 at D t = 0.1) or over c_max twice (0.0296), for 0.0599."""
    particle = Diffusion(
        sphere(8), 1.0, 2.0, 0.0, flux={"outside": -2.0}, options=DiffusionOptions(tolerance=5e-4, order=2)
    )
    for time, centre, half, surface in (
        (0.1, 0.059878, 0.146138, 0.486762),
        (0.2, 0.308037, 0.427792, 0.798253),
    ):
        run_until(particle, time, StepOptions(first=1e-4))
        assert at_radius(particle, 0.0) == pytest.approx(centre, abs=0.005 * surface)
        assert at_radius(particle, 0.5) == pytest.approx(half, abs=0.005 * surface)
        assert at_radius(particle, 1.0) == pytest.approx(surface, rel=0.005)
        exact = 2.0 * particle.domain.area("outside") * time  # of the mesh's own surface
        assert particle.amount() == pytest.approx(exact, rel=1e-10)  # V13


def test_v10_a_sphere_with_a_fixed_surface() -> None:
    """Catches a fixed value that is not put into the state: uptake 0 instead of 0.60694 at D t = 0.05."""
    particle = Diffusion(sphere(14), 1.0, 1.0, 0.0, fixed={"outside": 1.0})
    for time, uptake, centre in (
        (0.05, 0.606940, 0.034001),
        (0.1, 0.770479, 0.292900),
        (0.2, 0.915496, 0.722922),
    ):
        run_until(particle, time, StepOptions(first=1e-5))
        assert particle.mean() == pytest.approx(uptake, rel=0.005)
        assert at_radius(particle, 0.0) == pytest.approx(centre, abs=0.01)
        assert at_radius(particle, 1.0) == pytest.approx(1.0, abs=1e-12)


def test_v29_the_time_step_has_order_two_and_the_first_one() -> None:
    """Catches BDF2 coefficients for a constant step used with a varying one: order 1 instead of 2."""
    domain = Domain.from_mesh(ball({"P": 1.0}, cells=4))

    def end(steps: int, second_order: bool) -> np.ndarray:
        particle = Diffusion(domain, 1.0, 1.0, 0.0, flux={"outside": -1.0})
        particle.x.interpolate(lambda x: np.cos(np.pi * np.linalg.norm(x, axis=0)))
        particle.bdf.old.x.array[:] = particle.x.x.array
        lengths = 1 + 0.5 * (-1) ** np.arange(steps)  # the step varies by a factor of three
        for step in 0.1 * lengths / lengths.sum():
            particle.attempt(float(step))
            particle.commit()
            if not second_order:
                particle.interrupt()
        return np.array(particle.x.x.array)

    fine = end(1280, True)
    for second_order, order in ((True, 2), (False, 1)):
        errors = [np.linalg.norm(end(n, second_order) - fine) for n in (40, 80)]
        assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)


def test_v29_concentration_converges_with_its_degree() -> None:
    """Catches a D(x) taken at the old time, or too few quadrature points: rates of 0 instead of p + 1 (D = 1 + x)."""
    for order, sizes in ((1, (6, 12)), (2, (3, 6))):
        errors = []
        for n in sizes:
            points, cells, _ = lattice(*[np.linspace(0, 1, n + 1)] * 3)
            domain = Domain.from_mesh(tet_mesh(points, cells, np.ones(len(cells)), [0, 1], {"A": 1}))
            law = read_material("NMC811").require("transport.diffusivity")
            variable = dataclasses.replace(law, law=Formula("1 + x", 1.0))
            fixed = {"x-": 0.0, "x+": 1.0}
            steady = Diffusion(domain, variable, 1.0, 0.0, fixed=fixed, options=DiffusionOptions(order=order))
            steady.attempt(1e9)  # x + x²/2 is linear in the position
            position = ufl.SpatialCoordinate(domain.mesh)[0]
            exact = -1 + ufl.sqrt(1 + 3 * position)
            errors.append(
                math.sqrt(domain.integrate((steady.x - exact) ** 2 * domain.dx(quadrature_degree=6)))
            )
        assert math.log2(errors[0] / errors[1]) == pytest.approx(order + 1, abs=0.25)


def test_v30_the_jacobian_is_the_derivative() -> None:
    """Catches a derivative without D′(x), or with another quadrature than the residual: order 1 instead of 2."""
    law = read_material("NMC811-ORegan2022").require("transport.diffusivity")
    particle = Diffusion(Domain.from_mesh(ball({"P": 1.0}, cells=4)), law, 1.0, 0.5, flux={"outside": 1.0})
    particle.bdf.begin(0.1)
    size = len(particle.x.x.array)
    random = np.random.default_rng(0)
    base, direction = 0.5 + 0.1 * random.random(size), random.standard_normal(size)
    vector, matrix = particle._vector, particle._matrix  # the discrete objects themselves are under test

    def residual(step: float) -> np.ndarray:
        particle.x.x.array[:] = base + step * direction
        particle._assemble()
        return np.array(vector.array)

    zero = residual(0.0)
    compat.assemble_matrix(matrix, particle._jacobian)
    product, right = vector.duplicate(), vector.duplicate()
    right.array[:] = direction[: len(right.array)]
    matrix.mult(right, product)
    first, second = (np.linalg.norm(residual(h) - zero - h * product.array) for h in (1e-4, 5e-5))
    assert math.log2(first / second) == pytest.approx(2, abs=0.05)


class Failing(Diffusion):
    """Fails on purpose in some attempts, one of them with NaN."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self.attempts = 0

    def attempt(self, step: float) -> None:
        super().attempt(step)
        self.attempts += 1
        if self.attempts in (3, 4):
            self.x.x.array[:] = 7.0
            raise NotConvergedError("forced;")
        if self.attempts == 8:
            self.x.x.array[:] = np.nan


def test_v35_a_failed_step_is_cut_and_leaves_no_trace() -> None:
    """Catches a state that is not put back, and a failed step that is kept: NaN in all that follows."""
    ends = []
    statistics = StepStatistics()
    for kind in (Diffusion, Failing):
        particle = kind(
            sphere(5), 1.0, 1.0, 0.0, flux={"outside": -1.0}, options=DiffusionOptions(tolerance=1e-4)
        )
        run_until(particle, 0.1, StepOptions(first=1e-4), statistics=statistics)
        assert particle.amount() == pytest.approx(particle.domain.area("outside") * 0.1, rel=1e-10)
        ends.append(np.array(particle.x.x.array))
    assert statistics.failed == 3
    assert (
        np.max(np.abs(ends[0] - ends[1])) < 1e-3
    )  # other steps, the same answer to the tolerance of the steps


def test_a_step_that_always_fails_ends_with_the_last_good_state() -> None:
    class Never(Diffusion):
        def attempt(self, step: float) -> None:
            super().attempt(step)
            if self.time > 0.01:
                raise NotConvergedError("forced;", reason="test")

    particle = Never(sphere(4), 1.0, 1.0, 0.0, flux={"outside": -1.0})
    says = r"at t = .* still failed after 8 cuts, also with a line search and with a direct solver: forced"
    with pytest.raises(NotConvergedError, match=says) as caught:
        run_until(particle, 0.1, StepOptions(first=1e-3, smallest=1e-12))
    assert caught.value.time == particle.time > 0.01 and caught.value.reason == "test"
    assert particle.amount() == pytest.approx(particle.domain.area("outside") * particle.time, rel=1e-10)


def test_an_event_is_found() -> None:
    """Catches the end of the step taken for the event: a mean of 0.313 instead of 0.3."""
    particle = Diffusion(sphere(5), 1.0, 1.0, 0.0, flux={"outside": -1.0})
    full = Event("mean x is 0.3", lambda: particle.mean() - 0.3)
    event, _ = run_until(particle, 1.0, StepOptions(first=1e-3, event_width=1e-7), events=[full])
    assert event is full and particle.mean() == pytest.approx(0.3, abs=1e-7)
    assert particle.time == pytest.approx(
        0.3 * particle.domain.volume() / particle.domain.area("outside"), rel=1e-6
    )


def test_diffusion_functions_are_taken_from_materials() -> None:
    law = read_material("NMC811-ORegan2022").require("transport.diffusivity")
    particle = Diffusion(sphere(4), law, 49111.0, 0.9, flux={"outside": 0.02})
    run_until(particle, 60.0, StepOptions(first=1.0))
    assert particle.mean() < 0.9 and float(fem.assemble_scalar(fem.form(particle.x * ufl.ds))) < 0.9 * 13
