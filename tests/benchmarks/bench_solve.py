"""The solvers against size, against two ranks, and against the same problem written by hand in plain DOLFINx.

Run with the Python of the environment: ``bench_solve.py [iterations|ranks|overhead] [--largest 1e6] [--repeat 3]``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import basix.ufl
import dolfinx
import numpy as np
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from dolfinx.fem import petsc as fem_petsc
from mpi4py import MPI
from petsc4py import PETSc

from pxm2mesh.materials import Material, material_from, read_material
from pxm2mesh.materials.laws import Formula
from pxm2mesh.tetmesh import TetMesh
from simulations.base import compat
from simulations.base.domain import Domain
from simulations.base.solvers import HYPRE
from simulations.models.conduction import conduct, effective_conductivity
from simulations.models.diffusion import Diffusion, DiffusionOptions
from simulations.models.mechanics import Solid
from simulations.models.solid_solver import SolverOptions
from simulations.models.supports import pressure, symmetry
from simulations.shapes import lattice, tet_mesh

CONTRAST = 1e3
REPOSITORY = Path(__file__).parent.parent.parent
say = sys.stdout.write


def sample(cells: int) -> TetMesh:
    """A lattice of 6 n³ tetrahedra, random blocks of a quarter of its edge in a matrix: sharp edges and thin necks."""
    points, tets, box = lattice(*[np.linspace(0.0, 10.0, cells + 1)] * 3)
    place = np.stack(np.unravel_index(box, (cells,) * 3), axis=-1) * 8 // cells
    blocks = np.random.default_rng(0).random((8, 8, 8)) < 0.4
    region = 1 + blocks[tuple(place.T)].astype(np.int64)
    return tet_mesh(points, tets, region, [0, 1, 2], {"LPSCl": 1, "NMC": 2})


def material(young: float, poisson: float) -> Material:
    """Elastic, MPa."""
    return material_from(
        {"name": "bench", "elastic": {"youngs_modulus": f"{young} MPa", "poisson_ratio": poisson}}
    )


MATERIALS = {"LPSCl": material(22.1e3, 0.37), "NMC": material(140e3, 0.3)}
SUPPORTS = (*symmetry("x-", "x+", "y-", "y+", "z-"), pressure("z+", 5.0))


def conduction(cells: int, order: int) -> dict[str, float]:
    """Build, solve, and how long each took."""
    start = time.perf_counter()
    mesh = sample(cells) if MPI.COMM_WORLD.rank == 0 else None
    made = time.perf_counter()
    domain = Domain.from_mesh(mesh)
    built = time.perf_counter()
    found = conduct(
        domain, {"LPSCl": 1.0, "NMC": CONTRAST}, {"x-": 0.0, "x+": 1.0}, order=order, tolerance=1e-10
    )
    end = time.perf_counter()
    return {"cells": domain.cell_total, "unknowns": found.record.unknowns, "iterations": found.record.iterations,
            "sample": made - start, "domain": built - made, "rest": end - built - found.record.seconds,
            "solve": found.record.seconds, "answer": found.energy}  # fmt: skip


def elasticity(cells: int, order: int) -> dict[str, float]:
    """The same of the mechanics."""
    start = time.perf_counter()
    mesh = sample(cells) if MPI.COMM_WORLD.rank == 0 else None
    made = time.perf_counter()
    domain = Domain.from_mesh(mesh)
    built = time.perf_counter()
    body = Solid(
        domain, MATERIALS, SUPPORTS, degree=order, options=SolverOptions(rtol=1e-6, linear_rtol=1e-8)
    )
    ready = time.perf_counter()
    record = body.solve()
    end = time.perf_counter()
    normal = ufl.FacetNormal(domain.mesh)
    sunk = domain.integrate(ufl.inner(body.displacement, normal) * domain.ds("z+")) / domain.area("z+")
    return {"cells": domain.cell_total, "unknowns": record.unknowns, "iterations": record.linear_iterations,
            "sample": made - start, "domain": built - made, "rest": ready - built, "solve": end - ready,
            "answer": sunk}  # fmt: skip


MODELS: Mapping[str, Callable[[int, int], dict[str, float]]] = {
    "conduction": conduction,
    "elasticity": elasticity,
}
SIZES = {  # (cells along an edge, order) for about 1e4, 1e5, 1e6 unknowns
    "conduction": ((21, 1), (46, 1), (100, 1), (10, 2), (23, 2), (50, 2)),
    "elasticity": ((14, 1), (32, 1), (69, 1), (7, 2), (16, 2), (34, 2)),
}
COLUMNS = (
    f"{'model':>10} {'order':>5} {'cells':>9} {'unknowns':>9} {'iterations':>10} {'domain s':>8} {'rest s':>7} "
    f"{'solve s':>8}\n"
)


def line(model: str, order: int, found: Mapping[str, float]) -> str:
    """A row of the table."""
    return (
        f"{model:>10} {order:>5} {found['cells']:>9,} {found['unknowns']:>9,} {found['iterations']:>10} "
        f"{found['domain']:>8.2f} {found['rest']:>7.2f} {found['solve']:>8.2f}\n"
    )


def iterations(largest: float) -> None:
    """Iterations and seconds against size; the limit is 30."""
    say(COLUMNS)
    for model, sizes in SIZES.items():
        for cells, order in sizes:
            components = 3 if model == "elasticity" else 1
            if components * (order * cells + 1) ** 3 <= 1.2 * largest:
                say(line(model, order, MODELS[model](cells, order)))
                sys.stdout.flush()


def ranks(largest: float, repeat: int) -> None:
    """One rank and two, in processes of their own; the best of some runs each."""
    launcher = shutil.which("mpirun")
    assert launcher, "no mpirun on the PATH"
    say(COLUMNS)
    for model, sizes in SIZES.items():
        for order in (1, 2):
            (cells,) = [n for n, o in sizes if o == order][2 if largest >= 1e6 else 1 :][:1]
            best = {}
            for count in (1, 2):
                command = [
                    launcher,
                    "-n",
                    str(count),
                    sys.executable,
                    __file__,
                    "case",
                    model,
                    str(cells),
                    str(order),
                ]
                environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
                runs = []
                for _ in range(repeat):
                    done = subprocess.run(
                        command, capture_output=True, text=True, env=environment, check=True
                    )
                    runs.append(json.loads(done.stdout.strip().splitlines()[-1]))
                best[count] = {k: min(r[k] for r in runs) for k in runs[0]}
                say(line(f"{model[:6]} np {count}", order, best[count]))
            gains = {
                what: sum(best[1][p] for p in parts) / sum(best[2][p] for p in parts)
                for what, parts in (("solve", ("solve",)), ("assembly and solve", ("rest", "solve")),
                                    ("all", ("domain", "rest", "solve")))
            }  # fmt: skip
            say("           two ranks: " + ", ".join(f"{k} {v:.2f}x" for k, v in gains.items()) + "\n")
            sys.stdout.flush()


def by_hand(points: Any, cells: Any, labels: Any, order: int) -> tuple[float, int]:
    """Conduction along x as one would write it with DOLFINx alone; current at 1 V, and iterations."""
    element = ufl.Mesh(basix.ufl.element("Lagrange", "tetrahedron", 1, shape=(3,), dtype=np.float64))
    mesh = compat.create_mesh(MPI.COMM_WORLD, cells, points, element)
    space = fem.functionspace(mesh, ("Lagrange", order))
    sigma = fem.Function(fem.functionspace(mesh, ("DG", 0)))
    sigma.x.array[:] = np.where(labels[compat.original_cells(mesh)] == 2, CONTRAST, 1.0)
    trial, test = ufl.TrialFunction(space), ufl.TestFunction(space)
    form = fem.form(sigma * ufl.inner(ufl.grad(trial), ufl.grad(test)) * ufl.dx)
    load = fem.form(fem.Constant(mesh, 0.0) * test * ufl.dx)
    bcs = []
    for value in (0.0, 1.0):
        facets = dmesh.locate_entities_boundary(mesh, 2, lambda x, v=value: np.isclose(x[0], 10.0 * v))
        bcs.append(fem.dirichletbc(value, fem.locate_dofs_topological(space, 2, facets), space))
    matrix = fem_petsc.assemble_matrix(form, bcs=bcs)
    matrix.assemble()
    right = compat.create_vector(load, space)
    compat.assemble_vector(right, load)
    fem_petsc.apply_lifting(right, [form], [bcs])
    compat.add_ghosts(right)
    fem_petsc.set_bc(right, bcs)
    solver = PETSc.KSP().create(mesh.comm)
    solver.setOperators(matrix)
    options = PETSc.Options()
    for key, value in HYPRE.items():
        options[f"hand_{key}"] = value
    solver.setOptionsPrefix("hand_")
    solver.setTolerances(rtol=1e-10, atol=1e-50)
    solver.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    solver.setFromOptions()
    potential = fem.Function(space)
    solver.solve(right, potential.x.petsc_vec)
    potential.x.scatter_forward()
    energy = fem.assemble_scalar(
        fem.form(sigma * ufl.inner(ufl.grad(potential), ufl.grad(potential)) * ufl.dx)
    )
    return float(energy), solver.getIterationNumber()


def conduction_by_hand(mesh: TetMesh, order: int) -> tuple[float, int]:
    """`by_hand` on the arrays of a mesh."""
    energy, count = by_hand(mesh.points, mesh.cells.astype(np.int64), mesh.cell_phase(), order)
    return energy / 10.0, count


def conduction_by_us(mesh: TetMesh, order: int) -> tuple[float, int]:
    """The same with what a user calls."""
    sigma = {"LPSCl": 1.0, "NMC": CONTRAST}
    domain = Domain.from_mesh(mesh)
    found = effective_conductivity(domain, list(sigma), conductivity=sigma, directions=["x"], order=order)
    return found.rows[0]["effective conductivity"], found.rows[0]["iterations"]


STEPS, STEP = 4, 0.5


def diffusion_by_hand(mesh: TetMesh, order: int) -> tuple[float, int]:
    """Backward Euler and Newton for D = 1 + x, x = 1 at one face, as one would write it; mean x and iterations."""
    domain = compat.create_mesh(
        MPI.COMM_WORLD, mesh.cells.astype(np.int64), mesh.points,
        ufl.Mesh(basix.ufl.element("Lagrange", "tetrahedron", 1, shape=(3,), dtype=np.float64)),
    )  # fmt: skip
    space = fem.functionspace(domain, ("Lagrange", order))
    x, old, test = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    rate, dx = fem.Constant(domain, 1.0 / STEP), ufl.dx(metadata={"quadrature_degree": 2 * order})
    form = (rate * (x - old) * test + (1 + x) * ufl.inner(ufl.grad(x), ufl.grad(test))) * dx
    residual, jacobian = fem.form(form), fem.form(ufl.derivative(form, x))
    facets = dmesh.locate_entities_boundary(domain, 2, lambda p: np.isclose(p[0], 0.0))
    dofs = fem.locate_dofs_topological(space, 2, facets)
    bcs = [fem.dirichletbc(1.0, dofs, space)]
    matrix, vector = fem_petsc.create_matrix(jacobian), compat.create_vector(residual, space)
    update, solver, count = vector.duplicate(), PETSc.KSP().create(domain.comm), 0
    solver.setOperators(matrix)
    solver.setType("gmres")
    solver.getPC().setType("hypre")
    solver.getPC().setHYPREType("boomeramg")
    solver.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    solver.setPCSide(PETSc.PC.Side.RIGHT)
    solver.setTolerances(rtol=1e-13, atol=1e-300)
    x.x.array[dofs] = 1.0
    for _ in range(STEPS):
        change = 1.0
        while True:
            compat.assemble_vector(vector, residual)
            compat.add_ghosts(vector)
            vector.array[dofs] = 0.0
            if vector.norm(PETSc.NormType.NORM_1) <= 1e-12 * 1000.0 / STEP or change < 1e-13:
                break
            compat.assemble_matrix(matrix, jacobian, bcs)
            solver.solve(vector, update)
            count += solver.getIterationNumber()
            change = update.norm(PETSc.NormType.INFINITY)
            x.x.array[:] -= update.array
        old.x.array[:] = x.x.array
    return fem.assemble_scalar(fem.form(x * ufl.dx)) / 1000.0, count


def diffusion_by_us(mesh: TetMesh, order: int) -> tuple[float, int]:
    """The same with `Diffusion`."""
    domain = Domain.from_mesh(mesh)
    law = read_material("NMC811").require("transport.diffusivity")
    law = dataclasses.replace(law, law=Formula("1 + x", 1.0))
    options = DiffusionOptions(order=order)
    particle = Diffusion(domain, law, 1.0, 0.0, fixed={"x-": 1.0}, options=options)
    for _ in range(STEPS):
        particle.attempt(STEP)
        particle.commit()
        particle.interrupt()
    return particle.mean(), particle.linear_iterations


def overhead(largest: float, repeat: int) -> None:
    """From arrays to the answer, by hand and by what a user calls, in CPU seconds; the limit is 5 %."""
    say(
        f"{'problem':>10} {'order':>5} {'unknowns':>9} {'by hand s':>9} {'ours s':>8} {'overhead':>9} "
        f"{'iterations':>10}\n"
    )
    pairs: Mapping[str, tuple[Any, Any]] = {
        "conduction": (conduction_by_hand, conduction_by_us),
        "diffusion": (diffusion_by_hand, diffusion_by_us),
    }
    for name, routes in pairs.items():
        for cells, order in SIZES["conduction"]:
            unknowns = (order * cells + 1) ** 3
            least, most = (5e4, largest) if name == "conduction" else (5e3, largest / 10)
            if not least <= unknowns <= 1.2 * most:
                continue
            mesh, times = sample(cells), ([], [])
            for _ in range(repeat):
                answers = []
                for route, seconds in zip(routes, times, strict=True):
                    start = time.process_time()
                    answers.append(route(mesh, order))
                    seconds.append(time.process_time() - start)
            (theirs, count), (mine, iterations) = answers
            assert abs(mine / theirs - 1) < 1e-8, "another answer"
            hand, ours = min(times[0]), min(times[1])
            say(f"{name:>10} {order:>5} {unknowns:>9,} {hand:>9.2f} {ours:>8.2f} {ours / hand - 1:>9.1%} "
                f"{count:>5} {iterations:>4}\n")  # fmt: skip
            sys.stdout.flush()


def main() -> None:
    """Read the command line and print the tables; the load average stands in the head."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["iterations", "ranks", "overhead"])
    parser.add_argument("--largest", type=float, default=1e5, help="unknowns")
    parser.add_argument("--repeat", type=int, default=2)
    given = parser.parse_args()
    if given.what[0] == "case":
        found = MODELS[given.what[1]](int(given.what[2]), int(given.what[3]))
        if MPI.COMM_WORLD.rank == 0:
            say(json.dumps(found) + "\n")
        return
    say(f"DOLFINx {dolfinx.__version__}, load average {os.getloadavg()[0]:.1f}\n")
    if "iterations" in given.what:
        iterations(given.largest)
    if "ranks" in given.what:
        ranks(given.largest, given.repeat)
    if "overhead" in given.what:
        overhead(given.largest, given.repeat)


if __name__ == "__main__":
    main()
