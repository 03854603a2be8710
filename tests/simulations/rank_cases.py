"""Cases for test_ranks.py: run under mpirun, rank 0 prints its scalars as one JSON line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np
import ufl
from cohesive_cases import embedded
from dolfinx import fem
from mpi4py import MPI
from scipy.ndimage import gaussian_filter

from pxm2mesh.materials import read_material
from pxm2mesh.volume import LabelVolume
from simulations.base.domain import Domain
from simulations.base.stepping import StepOptions, run_until
from simulations.models.cohesive_laws import CohesiveLaw
from simulations.models.conduction import effective_conductivity
from simulations.models.diffusion import Diffusion, DiffusionOptions
from simulations.models.electrochemistry import Cell, HalfCell, working_part
from simulations.models.fatigue import run_cycles
from simulations.models.fatigue_solids import BondCycles, CrackCycles
from simulations.models.kinetics import ButlerVolmer
from simulations.models.phase_field import Part, PhaseField, PhaseFieldOptions
from simulations.models.stress_laws import Moduli
from simulations.shapes import ball, voxels
from simulations.studies.cracking import three_points


def conduction() -> dict[str, float]:
    """Two phases with a contact between them, volumes and areas, and one phase that percolates in part."""
    smooth = gaussian_filter(np.random.default_rng(3).standard_normal((14, 12, 10)), 1.2)
    labels = 1 + (smooth > -0.05).astype(np.uint8) + (smooth > 0.1)
    domain = Domain.from_mesh(voxels(LabelVolume(labels, {"A": 1, "B": 2, "C": 3}, "0.5 um")), cut=["B | C"])
    values = {f"volume {p}": domain.volume(p) for p in "ABC"}
    values |= {f"area {name}": domain.area(name) for name in ("A | B", "B | C", "x-", "z+")}
    exact = {"tolerance": 1e-13}
    for phases, sigma, contact in ((["C"], None, None), (["B", "C"], {"B": 1.0, "C": 7.0}, {"B | C": 0.5})):
        found = effective_conductivity(
            domain, phases, conductivity=sigma, contact_conductance=contact, **exact
        )
        values |= {f"{q.name} {q.subject}": q.value for q in found.quantities if np.isfinite(q.value)}
    sphere = Domain.from_mesh(ball({"P": 0.3, "M": 0.0}, box=(0.5,) * 3, cells=4, octant=False))
    found = effective_conductivity(sphere, ["P", "M"], conductivity={"P": 5.0, "M": 1.0}, order=2, **exact)
    return values | {f"ball {q.name} {q.subject}": q.value for q in found.quantities}


def half_cell() -> dict[str, float]:
    """Four steps at 1C, with a direct solver."""
    nmc = read_material("NMC811")
    diffusivity = nmc.require("transport.diffusivity")
    cell = Cell(
        "NMC",
        "LPSCl",
        ButlerVolmer.of(nmc),
        diffusivity,
        49111.0,
        0.18e6,
        0.16e6,
        collector="x-",
        separator="z+",
    )
    mesh = ball({"NMC": 2.0, "LPSCl": 0.0}, box=(2.8,) * 3, cells=4)
    domain, _ = working_part(Domain.from_mesh(mesh), cell)
    half = HalfCell(domain, cell, 0.9)
    half.hold_current(half.one_c)
    half.settle()
    for step in (5.0, 10.0, 20.0, 40.0):
        half.attempt(step)
        half.commit()
    low, high = half.surface()
    return {
        "voltage": half.voltage,
        "mean": half.mean(),
        "low": low,
        "high": high,
        **half.boundary_currents(),
    }


def diffusion() -> dict[str, float]:
    """A flux with D(x), then a fixed surface: steps as long as the tolerance allows."""
    law = read_material("NMC811-ORegan2022").require("transport.diffusivity")
    domain = Domain.from_mesh(ball({"P": 2.0}, cells=6))
    options = DiffusionOptions(tolerance=1e-3)
    particle = Diffusion(domain, law, 49111.0, 0.9, flux={"outside": 2.0}, options=options)
    run_until(particle, 120.0, StepOptions(first=1.0))
    values = {"mean under flux": particle.mean()}
    particle.set_flux(outside=0.0)
    particle.hold("outside", 0.5)
    particle.interrupt()
    run_until(particle, 240.0, StepOptions(first=1.0))
    low, high = particle.extent()
    return values | {"mean": particle.mean(), "low": low, "high": high, "time": particle.time}


def cracks() -> dict[str, float]:
    """M7 and M8: a particle whose outside shrinks more and more, and cracks; two cycles take from its toughness."""
    domain = Domain.from_mesh(ball({"NMC": 3.0}, cells=4))
    amount = fem.Constant(domain.mesh, 0.0)
    r = ufl.SpatialCoordinate(domain.mesh)
    shrinkage = -amount * ufl.dot(r, r) / 9 * ufl.Identity(3)
    part = Part(domain.dx(), Moduli.from_young(140e3, 0.3), 1.0, shrinkage)
    options = PhaseFieldOptions(1.5, cells_per_length=1.5, fatigue_threshold=0.05)
    body = PhaseField(domain.mesh, [part], lambda space: three_points(domain, space), options)

    def to(value: float) -> Callable[[], None]:
        return lambda: setattr(amount, "value", value)

    cycles = CrackCycles(body, [to(0.002), to(0.006), to(0.0)])
    run_cycles(cycles, 2)
    low = MPI.COMM_WORLD.allreduce(float(body.toughness_left.x.array.min(initial=1.0)), op=MPI.MIN)
    high = MPI.COMM_WORLD.allreduce(float(body.damage.x.array.max(initial=0.0)), op=MPI.MAX)
    return {
        "least toughness": low,
        "largest damage": high,
        "area": body.crack_area(),
        "spent": body.surface_energy(),
    }


def bonds() -> dict[str, float]:
    """M6 and M8: a bond that tires under a particle that breathes twice."""
    law = CohesiveLaw(100.0, 1.0, viscosity=0.01, fatigue_threshold=0.02)
    problem = embedded(3.0, 0.0030, law, layers=2).problem(lambda t: 1 - abs(1 - t))
    cycles = BondCycles(problem, 2.0, StepOptions(first=0.5, largest=0.5))
    record = run_cycles(cycles, 2)
    bonds = problem.cohesion
    left = bonds.interface.integral(bonds.weakening()) / bonds.areas().total
    return {**bonds.energies(), "toughness left": left, "cycles computed": record.spent}


CASES: dict[str, Callable[[], dict[str, float]]] = {
    "bonds": bonds,
    "conduction": conduction,
    "cracks": cracks,
    "diffusion": diffusion,
    "half_cell": half_cell,
}

if __name__ == "__main__":
    result = CASES[sys.argv[1]]()
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(result))
