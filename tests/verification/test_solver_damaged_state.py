"""Numbers of a damaged state against closed forms: contact, isolation, gaps, porosity, conduction past open bonds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dolfinx import fem

from simulations.base.domain import Domain
from simulations.models.cohesive import CohesiveInterfaces
from simulations.models.cohesive_laws import CohesiveLaw
from simulations.models.damaged_state import Conductors, DamagedState
from simulations.shapes import ball, layers, tet_mesh

PAIR = "NMC | LPSCl"
LAW = CohesiveLaw(strength=100.0, fracture_energy=1.0, restored=0.0)
HALF_CELL = Conductors(("NMC",), {"LPSCl": 1.0}, {"NMC": 1.0}, exchange={PAIR: 10.0})
RADIUS = (0.1 * 8 * 3 / (4 * math.pi)) ** (1 / 3)
"""A tenth of the volume of a simple cubic lattice."""


def bonds_of(domain: Domain) -> CohesiveInterfaces:
    space = fem.functionspace(domain.mesh, ("Lagrange", 1, (3,)))
    return CohesiveInterfaces(domain, fem.Function(space), {PAIR: LAW})


def move(bonds: CohesiveInterfaces, phase: str, by: object) -> None:
    """Displace the nodes of a phase."""
    bonds.displacement.interpolate(by, bonds.domain.cells(phase))  # type: ignore[arg-type]


def stack() -> CohesiveInterfaces:
    """Electrolyte below active material, 1 µm × 1 µm × (1 + 1) µm; the collector is on top."""
    mesh = layers({"LPSCl": 1.0, "NMC": 1.0}, axis="z", cells=(20, 2, 2))
    return bonds_of(Domain.from_mesh(mesh, cut=["LPSCl | NMC"]))


def test_an_interface_of_which_one_half_is_broken_but_closed() -> None:
    """Geometric contact stays, charge transfer halves. Catches damage taken for a gap, and the ratio upside down."""
    bonds = bonds_of(
        Domain.from_mesh(layers({"NMC": 1.0, "LPSCl": 1.0}, axis="z", cells=(20, 2, 2)), cut=[PAIR])
    )
    state = DamagedState(bonds, HALF_CELL)
    bonds.damage[bonds.interface.points[..., 0].mean(axis=1) < 0.5] = 1.0
    found = state.quantities()
    assert found.value("effective_contact_fraction", interface=PAIR) == pytest.approx(0.5, abs=1e-12)
    assert found.value("contact_fraction", interface=PAIR) == pytest.approx(1.0, abs=1e-12)
    assert found.value("charge_transfer_resistance_ratio", interface=PAIR) == pytest.approx(2.0, abs=1e-12)
    assert found.value("charge_transfer_resistance", interface=PAIR) == pytest.approx(2 * 25.693, rel=1e-4)


def test_a_lid_that_opens_on_one_half() -> None:
    """A wedge of 0.1 µm over half of the length: volume gA/4. Catches gaps counted where faces touch."""
    mesh = layers({"NMC": 1.0, "LPSCl": 1.0}, axis="z", cells=(20, 2, 2))
    bonds = bonds_of(Domain.from_mesh(mesh, cut=[PAIR]))
    state = DamagedState(bonds, HALF_CELL)
    move(bonds, "LPSCl", lambda x: np.stack([0 * x[0], 0 * x[0], 0.2 * np.maximum(x[0] - 0.5, 0.0)]))
    found = state.quantities()
    assert found.value("gap_volume", interface=PAIR) == pytest.approx(0.1 / 4, rel=1e-3)
    assert found.value("contact_fraction", interface=PAIR) == pytest.approx(0.5, abs=0.02)
    assert found["porosity"] == pytest.approx(0.1 / 4 / (2 + 0.1 / 4), rel=1e-3)
    assert (
        found.value("ionically_isolated_fraction", phase="NMC") == 1.0
    )  # here electrolyte is at the collector


def test_porosity_keeps_the_solid() -> None:
    """Pressed as a whole there is no pore; lifted by g there is g/(L + g). Catches a box that does not move."""
    bonds = stack()
    state = DamagedState(bonds, HALF_CELL)
    assert state.quantities()["porosity"] == pytest.approx(0.0, abs=1e-12)
    bonds.displacement.interpolate(lambda x: np.stack([0 * x[0], 0 * x[0], -0.1 * x[2]]))
    assert state.quantities()["porosity"] == pytest.approx(0.0, abs=1e-12)
    bonds.displacement.x.array[:] = 0.0
    move(bonds, "NMC", lambda x: np.stack([0 * x[0], 0 * x[0], 0.2 + 0 * x[0]]))
    found = state.quantities()
    assert found["porosity"] == pytest.approx(0.2 / 2.2, rel=1e-9)
    assert found.value("isolated_fraction", phase="NMC") == 1.0
    assert found.value("electronically_isolated_fraction", phase="NMC") == 0.0


def test_material_that_is_fed_is_not_isolated() -> None:
    """Bonded: ions from below, electrons from above. Catches separator and collector exchanged."""
    found = DamagedState(stack(), HALF_CELL).quantities()
    assert found.value("isolated_fraction", phase="NMC") == 0.0
    flipped = Conductors(("NMC",), {"LPSCl": 1.0}, {"NMC": 1.0}, "z+", "z-")
    assert DamagedState(stack(), flipped).quantities().value("isolated_fraction", phase="NMC") == 1.0


def test_lithium_goes_from_grain_to_grain() -> None:
    """Electrolyte, grain, grain. Catches intact bonds within a phase that isolate, and a contact of 1 beyond all."""
    one = layers({"LPSCl": 1.0, "NMC": 1.0, "more": 1.0}, axis="z", cells=(2, 2, 2))
    mesh = tet_mesh(one.points, one.cells, one.cell_region, [0, 1, 2, 2], {"LPSCl": 1, "NMC": 2})
    domain = Domain.from_mesh(mesh, cut=["NMC | NMC", "LPSCl | NMC"])
    space = fem.functionspace(domain.mesh, ("Lagrange", 1, (3,)))
    bonds = CohesiveInterfaces(domain, fem.Function(space), {PAIR: LAW, "NMC | NMC": LAW})
    state = DamagedState(bonds, HALF_CELL)
    found = state.quantities()
    assert found.value("isolated_fraction", phase="NMC") == 0.0
    named = {row.interface for row in found if row.name == "contact_fraction"}
    assert named == {"LPSCl | NMC", "NMC | LPSCl"}
    bonds.damage[bonds.interface.points[..., 2].mean(axis=1) > 1.5] = 1.0
    assert state.quantities().value("ionically_isolated_fraction", phase="NMC") == pytest.approx(0.5)


def particle(cells: int) -> CohesiveInterfaces:
    mesh = ball({"NMC": RADIUS, "LPSCl": 0.0}, box=(1.0,) * 3, cells=cells)
    return bonds_of(Domain.from_mesh(mesh, cut=[PAIR]))


def test_a_particle_that_came_off_insulates() -> None:
    """Simple cubic lattice, both phases conduct alike: 1 bonded, .85711 open. Catches contacts that never open."""
    both = Conductors(("NMC",), {"NMC": 1.0, "LPSCl": 1.0}, {}, contacts={PAIR: 1e8})
    bonds = particle(8)
    state = DamagedState(bonds, both)
    phase = "NMC + LPSCl"
    bonded = state.quantities().value("effective_conductivity", phase=phase) * 1e6
    assert bonded == pytest.approx(1.0, rel=1e-6)
    move(bonds, "NMC", lambda x: -2e-3 * x / RADIUS)
    found = state.quantities()
    assert found.value("ionic_conductivity_ratio", phase=phase) == pytest.approx(0.85711, rel=0.005)
    assert found.value("gap_volume", interface=PAIR) == pytest.approx(
        4 * math.pi * RADIUS**2 / 8 * 2e-3, rel=0.01
    )


def test_a_weak_contact_hides_a_good_particle() -> None:
    """h = σ_pσ_m/(a(σ_p − σ_m)) leaves the field linear. Catches a share that is not applied, or applied twice."""
    perfect = 2 * 10.0 / (RADIUS * 9.0)
    weak = Conductors(("NMC",), {"NMC": 10.0, "LPSCl": 1.0}, {}, contacts={PAIR: perfect})
    bonds = particle(8)
    state = DamagedState(bonds, weak)
    bonds.damage[:] = 0.5
    found = state.quantities().value("effective_conductivity", direction="z") * 1e6
    assert found == pytest.approx(1.0, rel=0.003)


def test_a_stretched_conductor_has_its_shape() -> None:
    """κ A/L as they are now: a layer pressed to 0.8 of its height keeps σ_eff. Catches a box that stays."""
    mesh = layers({"LPSCl": 1.0, "NMC": 1.0}, axis="x", cells=(3, 2, 6))
    bonds = bonds_of(Domain.from_mesh(mesh, cut=["LPSCl | NMC"]))
    state = DamagedState(bonds, HALF_CELL)
    bonds.displacement.interpolate(lambda x: np.stack([0 * x[0], 0 * x[0], -0.2 * x[2]]))
    found = state.quantities()
    assert found.value("ionic_conductivity_ratio", phase="LPSCl") == pytest.approx(1.0, rel=1e-9)
    assert found.value("tortuosity_factor", phase="LPSCl") == pytest.approx(1.0, rel=1e-9)
