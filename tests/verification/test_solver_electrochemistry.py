"""The half-cell against closed forms: V11 to V14, V30.

Every docstring names the mistake that the test catches and the number that the mistake gives.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from pxm2mesh.errors import GeometryError, NotConvergedError
from pxm2mesh.materials import FARADAY as FARADAY_C
from pxm2mesh.materials import GAS_CONSTANT, read_material
from simulations.base.domain import Domain
from simulations.base.stepping import Event, StepOptions, StepStatistics, run_until
from simulations.models.electrochemistry import Cell, HalfCell, HalfCellOptions, working_part
from simulations.models.kinetics import FARADAY, ButlerVolmer
from simulations.shapes import ball, lattice, layers, tet_mesh

THERMAL = GAS_CONSTANT * 298.15 / FARADAY_C
"""RT/F in V."""


def flat(exchange: float = 10.0, **options: float) -> ButlerVolmer:
    """No open-circuit voltage, the same exchange current everywhere."""
    return ButlerVolmer(np.zeros_like, np.zeros_like, exchange, constant_exchange=True, **options)


def slab(kinetics: ButlerVolmer, *, thickness: float = 50.0) -> HalfCell:
    mesh = layers({"SE": thickness, "AM": 1.0}, axis="z", cells=(2, 2, 3))
    cell = Cell("AM", "SE", kinetics, 1.0, 5e4, 1e7, 0.2e6)
    domain, _ = working_part(Domain.from_mesh(mesh), cell)
    return HalfCell(domain, cell, 0.5)


@pytest.mark.parametrize("voltage", [0.005, 0.05, 0.2])
@pytest.mark.parametrize("resistance", [0.0, 1e-3])
def test_v11_a_slab_with_butler_volmer(voltage: float, resistance: float) -> None:
    """Catches, at 5 mV, α left out (3.27 A/m²), one branch (10.5) and half the area (0.929) for 1.776.

    V = i L/κ + 2RT/F asinh(i/2i₀).
    """
    half = slab(flat(resistance=resistance))
    half.hold_voltage(voltage)
    half.settle()

    def balance(i: float) -> float:
        return i * (50 / 0.2e6 + 1 / 1e7 + resistance) + 2 * THERMAL * math.asinh(i / 20) - voltage

    exact = brentq(balance, 0, 1e3, xtol=1e-14)
    assert half.current == pytest.approx(exact, rel=1e-6)
    if resistance == 0:
        assert half.current == pytest.approx({0.005: 1.77563, 0.05: 19.8601, 0.2: 192.044}[voltage], rel=1e-3)
    half.hold_current(half.current)
    half.settle()
    assert half.voltage == pytest.approx(voltage, rel=1e-6)


def test_v11_damage_takes_its_share_of_the_surface() -> None:
    """Catches damage left out (3.82e-3) and acting on the contact resistance too (6.20e-3) for 5.53e-3 Ω m²."""
    half = slab(flat(resistance=1e-3))
    half.set_contact(0.6)
    half.hold_voltage(1e-5)
    half.settle()
    exact = 50 / 0.2e6 + 1 / 1e7 + THERMAL / 10 / 0.6 + 1e-3
    assert half.voltage / half.current == pytest.approx(exact, rel=1e-6)


def test_v12_a_porous_electrode_of_lamellae() -> None:
    """R = 3.680e-4 Ω m² for κ = 0.05, σ = 1 S/m, a = 6e5 1/m.

    Catches an interface current that enters on one side only: Newton's method does not converge.
    """
    pitch, length, layers_z = 1 / 0.6, 100.0, 150  # one interface per pitch: a = 0.6 1/µm
    z = length * (1 - np.cos(np.linspace(0, np.pi, layers_z + 1))) / 2
    points, cells, _ = lattice(np.linspace(0, pitch, 5), [0.0, 1.0], z)
    region = 1 + (points[cells].mean(axis=1)[:, 0] > pitch / 2)
    mesh = tet_mesh(points, cells, region, [0, 1, 2], {"AM": 1, "SE": 2})
    kappa, sigma = 0.05, 1.0  # of the whole; each lamella fills half
    cell = Cell("AM", "SE", flat(), 1.0, 5e4, 2e6 * sigma, 2e6 * kappa)
    domain, _ = working_part(Domain.from_mesh(mesh), cell)
    half = HalfCell(domain, cell, 0.5)
    half.hold_voltage(1e-6)
    half.settle()
    area = pitch * 1.0
    nu = 7.00290
    exact = (
        1e-4
        / (kappa + sigma)
        * (1 + (2 + (sigma / kappa + kappa / sigma) * math.cosh(nu)) / (nu * math.sinh(nu)))
    )
    assert exact == pytest.approx(3.67964e-4, rel=1e-4)
    assert half.voltage / (half.current / area) == pytest.approx(exact, rel=0.01)


def nmc_ball(cells: int = 5, *, diffusivity: float | None = None) -> HalfCell:
    """An eighth of an NMC ball in LPSCl; electrons through the cut at x-."""
    nmc = read_material("NMC811")
    d = nmc.require("transport.diffusivity") if diffusivity is None else diffusivity
    mesh = ball({"NMC": 2.0, "LPSCl": 0.0}, box=(2.8,) * 3, cells=cells)
    cell = Cell(
        "NMC", "LPSCl", ButlerVolmer.of(nmc), d, 49111.0, 0.18e6, 0.16e6, collector="x-", separator="z+"
    )
    domain, _ = working_part(Domain.from_mesh(mesh), cell)
    return HalfCell(domain, cell, 0.9)


@pytest.fixture(scope="module")
def charged() -> tuple[HalfCell, float, StepStatistics, Event | None]:
    """Charged at 1C from x = 0.9 to 4.2 V."""
    half = nmc_ball()
    before = half.lithium()
    half.hold_current(half.one_c)
    half.settle()
    statistics = StepStatistics()
    full = Event("4.2 V", lambda: half.voltage - 4.2)
    event, _ = run_until(
        half, 4000.0, StepOptions(first=1.0, largest=300.0), events=[full], statistics=statistics
    )
    return half, before, statistics, event


def test_v13_lithium_and_charge_balance(
    charged: tuple[HalfCell, float, StepStatistics, Event | None],
) -> None:
    """Catches a current that takes no lithium (balance 1) or half of it (balance 0.5), instead of 1e-12."""
    half, before, _, _ = charged
    assert before - half.lithium() == pytest.approx(half.charge, rel=1e-10)
    assert half.charge == pytest.approx(half.one_c * half.time, rel=1e-10)
    currents = half.boundary_currents()
    for value in currents.values():
        assert value == pytest.approx(half.one_c, rel=1e-8)


def test_the_cut_off_voltage_is_found_to_a_millivolt(
    charged: tuple[HalfCell, float, StepStatistics, Event | None],
) -> None:
    """Catches the end of a step taken for the cut-off: 4.23 V."""
    half, _, statistics, event = charged
    assert event is not None and event.name == "4.2 V" and half.voltage == pytest.approx(4.2, abs=1e-3)
    assert statistics.failed == 0 and half.iterations / statistics.accepted < 5


def test_v14_without_gradients_the_voltage_is_that_of_the_curve() -> None:
    """Catches a C-rate per volume of the box (3.849 V) and x counted upwards (3.521 V); V = U(x₀ − t/τ) + η."""
    half = nmc_ball(4, diffusivity=1.0)
    cell = half.cell
    half.hold_current(half.one_c / 3)
    half.settle()
    low, high = cell.window
    density = half.one_c / 3 / half.area

    def voltage(time: float) -> float:
        x = np.array([0.9 - (high - low) * time / 3 / 3600])
        exchange = cell.kinetics.exchange(x)[0][0]
        return float(cell.kinetics.open_circuit(x)[0] + 2 * THERMAL * math.asinh(density / 2 / exchange))

    cut = Event("4.1 V", lambda: half.voltage - 4.1)
    for time in (1000.0, 4000.0):
        run_until(half, time, StepOptions(first=10.0))
        assert half.voltage == pytest.approx(voltage(time), abs=2e-4)
    run_until(half, 20000.0, StepOptions(first=10.0), events=[cut])
    exact = brentq(lambda t: voltage(t) - 4.1, 4000, 12000)
    assert abs(voltage(half.time) - 4.1) < 1e-3 and half.time == pytest.approx(exact, rel=1e-3)


def test_v30_the_kinetics_are_differentiated_right() -> None:
    """Catches a derivative without i₀′(x) (18 % wrong) or without the contact resistance (33 % to 98 %)."""
    nmc = read_material("NMC811")
    ocv = nmc.require("kinetics.open_circuit_voltage")
    for resistance in (0.0, 2e-3):
        law = ButlerVolmer(ocv, ocv.derivative, 10.0, 0.4, resistance=resistance)
        x, drop = np.array([0.3, 0.5, 0.88]), np.array([4.3, 3.9, 3.62])
        _, by_x, by_drop = law.current(x, drop, 0.7)
        h = 1e-6
        numeric_x = (law.current(x + h, drop, 0.7)[0] - law.current(x - h, drop, 0.7)[0]) / (2 * h)
        numeric_drop = (law.current(x, drop + h, 0.7)[0] - law.current(x, drop - h, 0.7)[0]) / (2 * h)
        np.testing.assert_allclose(by_x, numeric_x, rtol=1e-6)
        np.testing.assert_allclose(by_drop, numeric_drop, rtol=1e-6)


def test_what_does_not_reach_its_end_is_left_out_or_an_error() -> None:
    """Catches floating pieces that are kept: a share of 1 instead of 0.5."""
    points, cells, _ = lattice([0.0, 1, 2, 3], [0.0, 1], [0.0, 1, 2, 3])
    centre = points[cells].mean(axis=1)
    am = (centre[:, 2] > 2) & (centre[:, 0] < 1) | (centre[:, 2] > 1) & (centre[:, 2] < 2) & (
        centre[:, 0] > 2
    )
    mesh = tet_mesh(points, cells, 1 + ~am, [0, 1, 2], {"AM": 1, "SE": 2})
    cell = Cell("AM", "SE", flat(), 1.0, 5e4, 1e6, 1e6)
    domain, shares = working_part(Domain.from_mesh(mesh), cell)
    assert shares == pytest.approx({"AM": 0.5, "SE": 1.0})
    half = HalfCell(domain, cell, 0.5)
    half.hold_current(1.0)
    half.settle()
    assert half.boundary_currents()["z-"] == pytest.approx(1.0, rel=1e-8)
    with pytest.raises(GeometryError, match="AM does not reach 'z-': there is no path for electrons"):
        working_part(Domain.from_mesh(mesh), Cell("AM", "SE", flat(), 1.0, 5e4, 1e6, 1e6, collector="z-"))


def test_a_rate_that_cannot_be_carried_is_an_error() -> None:
    half = nmc_ball(3)
    half.hold_current(2000 * half.one_c)
    with pytest.raises(NotConvergedError, match=r"still failed.*lithium is exhausted there.* lower the rate"):
        half.settle()
        run_until(half, 60.0, StepOptions(first=1.0))


def test_tolerances_of_the_faraday_constant_are_internal() -> None:
    assert pytest.approx(0.0964853, rel=1e-6) == FARADAY and HalfCellOptions().newton_iterations > 5
