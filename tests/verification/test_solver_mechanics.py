"""Mechanics against manufactured solutions: V29 and V30 for solids, elastic, plastic and of finite strain.

Every docstring names the mistake that the test catches and what the mistake gave.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
import ufl
from dolfinx import fem

from pxm2mesh.materials import Material, material_from
from simulations.base import compat
from simulations.base.domain import Domain
from simulations.models.finite_strain import finite_laws
from simulations.models.mechanics import Solid, SolidLaw
from simulations.models.plasticity import plastic_laws
from simulations.models.solid_solver import SolverOptions
from simulations.models.supports import symmetry
from simulations.shapes import lattice, tet_mesh

FACES = ("x-", "x+", "y-", "y+", "z-", "z+")
YOUNG, POISSON = 100.0, 0.3


def cube(n: int) -> Domain:
    points, cells, _ = lattice(*[np.linspace(0, 1, n + 1)] * 3)
    return Domain.from_mesh(tet_mesh(points, cells, np.ones(len(cells)), [0, 1], {"A": 1}))


def solid_material(**parts: Mapping[str, object]) -> Material:
    elastic = {"youngs_modulus": f"{YOUNG} MPa", "poisson_ratio": POISSON}
    swelling = {"volume_strain": {"expression": "3*x"}, "reference": 0.0}
    return material_from({"name": "manufactured", "elastic": elastic, "swelling": swelling, **parts})


def potential(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Φ = cos πx cos πy cos πz / 100: u = ∇Φ slides along all faces of the unit cube."""
    return np.asarray(np.prod(np.cos(np.pi * p), axis=0) / 100)


def error_of(order: int, n: int) -> tuple[float, float]:
    """L² and H¹ error of the displacement under a chemical strain whose answer is u = ∇Φ.

    In an isotropic body Goodier's potential obeys ∇²Φ = (1 + ν)/(1 − ν) ε.
    """
    domain = cube(n)
    x = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", 3)))
    x.interpolate(lambda p: -3 * np.pi**2 * (1 - POISSON) / (1 + POISSON) * potential(p))
    options = SolverOptions(rtol=1e-11, linear_rtol=1e-12)
    body = Solid(domain, {"A": solid_material()}, symmetry(*FACES), x=x, degree=order, options=options)
    body.solve()
    place = ufl.SpatialCoordinate(domain.mesh)
    phi = ufl.cos(ufl.pi * place[0]) * ufl.cos(ufl.pi * place[1]) * ufl.cos(ufl.pi * place[2]) / 100
    error = body.displacement - ufl.grad(phi)
    squares = (ufl.inner(error, error), ufl.inner(ufl.grad(error), ufl.grad(error)))
    low, high = (math.sqrt(domain.integrate(s * domain.dx(quadrature_degree=8))) for s in squares)
    return low, high


@pytest.mark.parametrize(("order", "sizes"), [(1, (8, 16)), (2, (6, 12))])
def test_v29_the_displacement_converges_with_its_degree(order: int, sizes: tuple[int, int]) -> None:
    """V29: rates p + 1 in L² and p in H¹. Catches a chemical strain taken as ΔV/V: rates of 0."""
    errors = np.array([error_of(order, n) for n in sizes])
    rates = np.log2(errors[0] / errors[1])
    assert rates[0] == pytest.approx(order + 1, abs=0.1) and rates[1] == pytest.approx(order, abs=0.1)


PLASTIC = {"yield_stress": "0.5 MPa", "hardening": "5 MPa"}
LAWS = ("elastic", "plastic", "finite", "finite and plastic")


def laws_for(kind: str, materials: Mapping[str, Material]) -> dict[str, SolidLaw]:
    if kind == "plastic":
        return plastic_laws(materials)
    return {} if kind == "elastic" else finite_laws(materials)


@pytest.mark.parametrize("kind", LAWS)
def test_v30_the_tangent_is_the_derivative_of_the_residual(kind: str) -> None:
    """V30: order 2. Catches a tangent that has anything more or less: order 1."""
    flows = {"plastic": PLASTIC} if "plastic" in kind else {}
    materials = {"A": solid_material(**flows)}
    domain = cube(2)
    x = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", 1)))
    x.interpolate(lambda p: 0.01 + 0.02 * p[0] * p[1])
    body = Solid(domain, materials, symmetry("x-", "y-", "z-"), x=x, laws=laws_for(kind, materials))
    solver = body._solver  # the discrete objects themselves are under test
    random = np.random.default_rng(0)
    size = len(body.displacement.x.array)
    scale = 0.004 if "finite" in kind else 0.02
    base, direction = scale * random.standard_normal(size), random.standard_normal(size)
    vector, product = solver._b.duplicate(), solver._b.duplicate()

    def residual(step: float) -> npt.NDArray[np.float64]:
        body.displacement.x.array[:] = base + step * direction
        compat.assemble_vector(vector, solver._residual)
        compat.add_ghosts(vector)
        return np.array(vector.array)

    zero = residual(0.0)
    matrix = compat.create_matrix_with(solver._tangent, (), domain.comm)
    compat.assemble_matrix(matrix, solver._tangent)
    right = vector.duplicate()
    right.array[:] = direction[: len(right.array)]
    matrix.mult(right, product)
    linear = np.array(product.array)
    if kind == "elastic":
        assert np.linalg.norm(residual(1e-3) - zero - 1e-3 * linear) < 1e-10 * np.linalg.norm(linear)
        return
    first, second = (np.linalg.norm(residual(h) - zero - h * linear) for h in (2e-6, 1e-6))
    assert math.log2(first / second) == pytest.approx(2, abs=0.1)
    if "plastic" in kind:
        body.accept()
        flowed = body.accumulated_plastic_strain
        assert flowed is not None and (flowed.x.array > 0).mean() > 0.9  # the return was on
