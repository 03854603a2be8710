"""Pores that close under pressure, at finite strain, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from meshes import box
from scipy.optimize import brentq

from pxm2mesh.errors import UsageError
from pxm2mesh.materials import Material, material_from
from simulations.base.domain import Domain
from simulations.models.compaction import contact_fraction, deformed_volume, porosity, with_pores
from simulations.models.finite_strain import finite_laws
from simulations.models.mechanics import Solid
from simulations.models.solid_solver import SolverOptions
from simulations.models.supports import plate, symmetry

DIRECT = SolverOptions(direct=True)
YIELD = 300.0


def solid(young: float, poisson: float, yield_stress: float | None = None) -> Material:
    parts: dict[str, object] = {
        "name": "test",
        "elastic": {"youngs_modulus": f"{young} MPa", "poisson_ratio": poisson},
    }
    if yield_stress is not None:
        parts["plastic"] = {"yield_stress": f"{yield_stress} MPa", "hardening": "0 MPa"}
    return material_from(parts)


def confined(stretch: float, young: float, poisson: float, yield_stress: float = math.inf) -> float:
    """Nominal pressure at which a layer between mirrors has that stretch."""
    bulk, shear = young / (3 * (1 - 2 * poisson)), young / (2 * (1 + poisson))
    deviator = 2 / 3 * min(shear * stretch ** (-2 / 3) * (1 - stretch**2), yield_stress)
    return (bulk / 2 * (1 - stretch**2) + deviator) / stretch


def stretch_at(nominal: float, *law: float) -> float:
    return float(brentq(lambda s: confined(s, *law) - nominal, 1e-6, 1.0, xtol=1e-14))


def layered() -> tuple[Solid, dict[str, tuple[float, ...]]]:
    """NMC below, a pore between, electrolyte above: a third each."""
    laws: dict[str, tuple[float, ...]] = {"NMC": (140e3, 0.3), "LPSCl": (22.1e3, 0.37, YIELD)}
    materials = with_pores({p: solid(*law) for p, law in laws.items()}, ["void"])
    laws["void"] = (22.1e3 * 1e-4, 0.0)
    label = {0: 1, 1: 0, 2: 2}
    domain = Domain.from_mesh(
        box((1, 1, 3), (1, 1, 3), lambda c: np.array([label[int(z)] for z in c[:, 2]], np.int32))
    )
    supports = [*symmetry("x-", "x+", "y-", "y+", "z-"), plate("z+", 0.0)]
    return Solid(domain, materials, supports, laws=finite_laws(materials), degree=1, options=DIRECT), laws


def test_layers_and_the_pore_between_them_follow_confined_compression() -> None:
    """Each layer has the stretch of its own law at the plate's pressure; at 2 GPa the electrolyte flows and the pore is
    squeezed to less than a hundredth.

    Catches a pore that does not carry when it is flat, a flow stress off by √(2/3) or not limited, a porosity of the
    undeformed state, and a closed pore that is not counted as contact (or an open one that is).
    """
    body, laws = layered()
    assert porosity(body, ["void"]) == pytest.approx(1 / 3, rel=1e-12)
    seen: list[float] = []
    for nominal in np.geomspace(0.3, 2000, 24):  # a flat pore takes less than twice its load in one increment
        body.solve({"z+": float(nominal)})
        body.accept()
        expected = {p: stretch_at(float(nominal), *law) for p, law in laws.items()}
        for phase, stretch in expected.items():
            assert deformed_volume(body, phase) == pytest.approx(stretch, rel=1e-6)
        height = sum(expected.values())
        assert 3 + body.plate_displacement("z+") == pytest.approx(height, rel=1e-7)
        assert porosity(body, ["void"]) == pytest.approx(expected["void"] / height, rel=1e-6)
        touches = 1.0 if expected["void"] <= 0.1 else 0.0
        assert contact_fraction(body, "NMC", "LPSCl", ["void"]) == pytest.approx(touches, abs=1e-12)
        seen.append(touches)
    assert seen[0] == 0.0 and seen[-1] == 1.0  # it has closed on the way
    assert expected["void"] < 0.01
    assert confined(expected["LPSCl"], 22.1e3, 0.37) > 2000 * 1.01  # it has flowed


def test_a_pore_that_is_released_opens_again_but_the_solid_keeps_its_flow() -> None:
    """Catches a history that is lost on unloading: the electrolyte would come back to its first height."""
    body, _ = layered()
    up = np.geomspace(0.3, 2000, 24)
    for nominal in (*up, *up[::-1][1:]):
        body.solve({"z+": float(nominal)})
        body.accept()
    assert contact_fraction(body, "NMC", "LPSCl", ["void"]) == 0.0
    plastic = body.average("plastic strain")
    assert plastic.x.array.max() > 0.01


def test_pores_are_told_from_solids() -> None:
    for materials, pores in (({}, ["void"]), ({"void": solid(1.0, 0.3)}, ["void"])):
        with pytest.raises(UsageError, match="do not fit together"):
            with_pores(materials, pores)
    with pytest.raises(UsageError, match="stiffness of pores is 2"):
        with_pores({"NMC": solid(1.0, 0.3)}, ["void"], stiffness=2.0)
    body, _ = layered()
    with pytest.raises(UsageError, match="meets neither"):
        contact_fraction(body, "NMC", "NMC", [])
