"""Bonds inside the half-cell: what they leave of the current, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from cycling_cases import PAIR, bonded_particle, library_law
from test_coupling import charge

from pxm2mesh.errors import NotConvergedError
from simulations.base.stepping import StepOptions, run_until
from simulations.models.cohesive_laws import CohesiveLaw
from simulations.models.coupling import CoupledHalfCell


def charge_to(model: CoupledHalfCell, seconds: float) -> None:
    model.half.hold_current(model.half.one_c)
    model.settle()
    run_until(model, seconds, StepOptions(first=20.0, largest=100.0))


def balance(model: CoupledHalfCell, before: float) -> float:
    return abs(before - model.half.lithium() - model.half.charge) / model.half.charge


def test_bonds_that_hold_are_no_bonds() -> None:
    """Catches a cut that lets lithium or stress through differently, and a contact that is not 1."""
    strong = bonded_particle(CohesiveLaw(1e5, 1e4, stiffness=1e9))
    assert charge(strong, 200.0, 50.0) == pytest.approx(charge(bonded_particle(), 200.0, 50.0), abs=1e-6)
    assert strong.contact is not None and float(strong.contact.kept.min()) > 0.999


def test_what_comes_off_passes_no_current_and_loses_no_lithium() -> None:
    """Catches a transfer handed to the wrong facets, and a current that is counted with the old contact."""
    model = bonded_particle(library_law())
    lithium, before = model.half.lithium(), bonded_particle()
    charge_to(model, 1150.0)
    charge_to(before, 1150.0)
    assert model.contact is not None
    half, cohesion = model.half, model.contact.cohesion
    areas = cohesion.areas(PAIR)
    assert 0.1 < areas.open / areas.total < 0.9 and 0.05 < areas.effective / areas.total < 0.6
    gap = cohesion.averages()["gap [um]"]
    lost = half.contact_factor[:, 0] == 0.0
    assert lost.any() and np.all(half.density[lost] == 0.0)
    middle = half.interface.points.mean(axis=1)  # the same facets in both parts, by place
    there = cohesion.interface.points.mean(axis=1)
    for facet in np.flatnonzero(lost):
        nearest = np.argmin(np.linalg.norm(there - middle[facet], axis=1))
        assert np.allclose(there[nearest], middle[facet]) and gap[nearest] > 5e-4
    effective = half.interface.integral(model.contact.kept[:, None] * np.ones_like(half.interface.weights))
    assert effective == pytest.approx(areas.effective, rel=1e-9)
    assert balance(model, lithium) < 1e-10
    currents = half.boundary_currents()
    assert max(abs(v - half.current) for v in currents.values()) < 1e-8 * half.current
    assert half.voltage > before.half.voltage + 0.01


def test_a_rejected_step_leaves_damage_and_contact_as_they_were() -> None:
    model = bonded_particle(library_law())
    charge_to(model, 1000.0)
    model.attempt(60.0)
    model.commit()
    assert model.contact is not None
    state, contact, voltage = model.solid.state(), model.contact.kept.copy(), model.half.voltage
    model.attempt(100.0)
    assert not np.array_equal(contact, model.half.contact_factor[:, 0])
    model.restore()
    contact, used = contact[:, None], model.half.contact_factor
    assert np.array_equal(contact, used) and model.half.voltage == voltage
    for name, value in model.solid.state().items():
        assert np.array_equal(value, state[name]), name
    assert np.all(state["bonds/damage"] <= 1.0) and np.all(state["bonds/damage"] >= 0.0)


def test_without_any_contact_there_is_no_current_to_ask_for() -> None:
    model = bonded_particle()
    model.half.set_contact(0.0)
    model.half.hold_current(model.half.one_c)
    with pytest.raises(NotConvergedError, match="no contact is left"):
        model.half.attempt(10.0)
    model.half.hold_voltage(model.half.voltage + 0.1)
    model.half.attempt(10.0)
    assert model.half.current == 0.0
