"""The half-cell in its solid: against a tight reference, no trace of rejected steps, going on when killed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from study_cases import NMC_LPSCL, rows_of, values_of
from test_charge import ends, run, start_and_kill

from pxm2mesh.errors import NotConvergedError, StudyError
from pxm2mesh.io.meshes import save_arrays
from pxm2mesh.materials import Material, read_material
from simulations.base import compat
from simulations.base.domain import Domain
from simulations.base.stepping import StepOptions, run_until
from simulations.models.cell import Cell
from simulations.models.coupling import CoupledHalfCell, StressOptions
from simulations.models.kinetics import ButlerVolmer
from simulations.models.node_transfer import numbered
from simulations.models.solid_solver import SolverOptions
from simulations.models.supports import plate, symmetry
from simulations.shapes import ball

STUDY = (
    NMC_LPSCL
    + """
[[physics]]
model = "half-cell"
active = "NMC"
electrolyte = "LPSCl"
collector = "x-"
separator = "z+"
initial_voltage = "3.75 V"
protocol = ["1C until 4.0 V", "rest 1 min"]
first_step = "20 s"
largest_step = "120 s"

[physics.mechanics]
face = "z+"
pressure = "5 MPa"
order = ORDER

[output]
folder = "."
"""
)
HELD = [*symmetry("x-", "y-", "z-", "x+", "y+"), plate("z+", "5 MPa")]


def particle(cells: int = 3, initial: float = 0.6, **options: object) -> CoupledHalfCell:
    """An eighth of an NMC ball in LPSCl under a plate."""
    materials: dict[str, Material] = {"NMC": read_material("NMC811"), "LPSCl": read_material("LPSCl")}
    nmc = materials["NMC"]
    cell = Cell("NMC", "LPSCl", ButlerVolmer.of(nmc), nmc.require("transport.diffusivity"), 49111.0, 0.18e6,
                0.16e6, collector="x-", separator="z+")  # fmt: skip
    mesh = numbered(ball({"NMC": 2.0, "LPSCl": 0.0}, box=(2.8,) * 3, cells=cells))
    chosen = StressOptions(**{"degree": 1, **options})  # type: ignore[arg-type]
    return CoupledHalfCell(Domain.from_mesh(mesh), cell, materials, HELD, initial, options=chosen)


def charge(model: CoupledHalfCell, seconds: float = 400.0, step: float = 100.0) -> float:
    model.half.hold_current(model.half.one_c)
    model.settle()
    run_until(model, seconds, StepOptions(first=step, largest=step))
    return model.half.voltage


def test_a_step_passed_until_nothing_moves_is_the_monolithic_one() -> None:
    """Catches a stress that the flux and the potential see a pass late: 2.6 mV instead of 0.02 mV.

    Iterated to 1e-9 the passes solve the coupled equations themselves, as one system would.
    """
    tight = {"agreement": 1e-9, "passes": 40, "solid": SolverOptions(rtol=1e-11, linear_rtol=1e-8)}
    exact, loose = particle(**tight), particle()  # type: ignore[arg-type]
    assert charge(loose) == pytest.approx(charge(exact), abs=2e-4)
    x = [m.half.state.x.array.reshape(-1, 2)[m.half.active_blocks, 0] for m in (exact, loose)]
    assert float(np.abs(x[0] - x[1]).max()) < 2e-4
    rest = exact.terms.rest.x.array.copy()
    exact.restore()
    exact.attempt(50.0)
    assert exact._disagreement() <= 1e-9 and not np.array_equal(rest, exact.terms.rest.x.array)


def test_a_shrinking_grain_pulls_and_shifts_the_voltage_by_what_its_surface_feels() -> None:
    """Catches the wrong sign of Ωσ/F (−), σ in GPa (×1000) and the switch that does nothing (0)."""
    on, off = (particle(initial=0.42, in_flux=False, in_potential=flag) for flag in (True, False))
    voltages = charge(on), charge(off)
    cells = on.solid.domain.cells("NMC")
    stress = on.solid.average("hydrostatic").x.array[cells]
    assert 50 < float(stress.mean()) < 500  # lithium leaves, the grain shrinks, its surroundings hold it
    corners = on.solid.domain.mesh.geometry.x[compat.cell_nodes(on.solid.domain.mesh)[cells]]
    outer = np.linalg.norm(corners.mean(axis=1), axis=1) > 1.5
    x = np.array([np.mean(on.half.surface())])
    shift = float(on.terms.molar_volume(x)[0]) * float(stress[outer].mean()) * 1e6 / 96485.33
    assert voltages[0] - voltages[1] == pytest.approx(shift, rel=0.3) and shift > 5e-4


def test_degrees_one_and_two_give_the_same_stress() -> None:
    """Catches a chemical strain that varies in cells whose strain cannot (P1): the mean stress is 30 % off."""
    means, voltages = [], []
    for degree in (1, 2):
        model = particle(4, 0.42, degree=degree)
        voltages.append(charge(model, 200.0))
        cells = model.solid.domain.cells("NMC")
        means.append(float(model.solid.average("hydrostatic").x.array[cells].mean()))
    assert means[0] == pytest.approx(means[1], rel=0.25) and voltages[0] == pytest.approx(
        voltages[1], abs=1e-3
    )


def test_a_rejected_step_leaves_no_trace_in_either_part() -> None:
    """Catches a displacement, a plate or a history that a rejected step has moved (V35)."""
    model, other = (particle(agreement=1e-7) for _ in range(2))
    for m in (model, other):
        m.half.hold_current(m.half.one_c)
        m.settle()
    model.attempt(400.0)
    model.restore()
    for m in (model, other):
        m.attempt(100.0)
        m.commit()
    assert model.half.voltage == pytest.approx(other.half.voltage, abs=1e-7)
    np.testing.assert_allclose(model.solid.displacement.x.array, other.solid.displacement.x.array, atol=1e-6)
    assert model.time == other.time == 100.0


def test_a_part_that_fails_fails_the_step_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches lithium that is kept while the solid did not follow."""
    model = particle()
    model.half.hold_current(model.half.one_c)
    model.settle()
    solve, calls = model.solid.solve, []

    def failing(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise NotConvergedError("no balance of the solid;", reason="stalled", residual=1.0)
        return solve(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(model.solid, "solve", failing)
    before = model.half.lithium()
    with pytest.raises(NotConvergedError, match="no balance"):
        model.attempt(50.0)
    assert model.diagnose().cause.startswith("the solid cannot carry")
    model.restore()
    assert model.half.lithium() == before
    run_until(model, 50.0, StepOptions(first=50.0))
    assert before - model.half.lithium() == pytest.approx(model.half.charge, rel=1e-10)


def test_a_gap_that_is_held_loses_pressure_as_the_grain_shrinks() -> None:
    """Catches a gap that is not preloaded (0 MPa at the start) and a plate that goes on pressing (5 MPa at the end)."""
    model = particle(hold_gap=True)
    assert model.solid.pressure_on("z+") == pytest.approx(5.0, rel=1e-4)
    charge(model)
    assert model.solid.pressure_on("z+") < 4.0
    pressed = particle()
    charge(pressed)
    assert pressed.solid.pressure_on("z+") == pytest.approx(5.0, rel=1e-4)


def test_a_material_without_swelling_is_named() -> None:
    with pytest.raises(StudyError, match=r"'LPSCl' has no swelling\.volume_strain"):
        nmc, se = read_material("NMC811"), read_material("LPSCl")
        cell = Cell("NMC", "LPSCl", ButlerVolmer.of(nmc), 1.0, 5e4, 1e6, 1e6, collector="x-", separator="z+")
        mesh = numbered(ball({"NMC": 2.0, "LPSCl": 0.0}, box=(2.8,) * 3, cells=3))
        CoupledHalfCell(Domain.from_mesh(mesh), cell, {"NMC": se, "LPSCl": se}, HELD, 0.6)


# ---------------------------------------------------------------------- as a study


def prepare(folder: Path, order: int = 1, study: str = STUDY) -> Path:
    folder.mkdir()
    save_arrays(ball({"NMC": 2.0, "LPSCl": 0.0}, box=(2.8,) * 3, cells=3), folder / "mesh.npz")
    (folder / "study.toml").write_text(study.replace("ORDER", str(order)))
    return folder


MORE = (
    "plate displacement [um]",
    "mean hydrostatic stress in NMC [MPa]",
    "largest von Mises stress in LPSCl [MPa]",
)


@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.verify)])
def test_v32_a_killed_run_with_mechanics_goes_on_to_the_same_end(tmp_path: Path, order: int) -> None:
    """Catches a plastic strain, a plate or a stress that is not in the checkpoint: another end in the third digit."""
    whole, killed = prepare(tmp_path / "whole", order), prepare(tmp_path / "killed", order)
    run(whole)
    start_and_kill(killed)
    assert "going on at t = " in run(killed)
    assert ends(killed) == pytest.approx(ends(whole), rel=1e-10)
    for name in MORE:
        assert rows_of(killed)[-1][name] == pytest.approx(rows_of(whole)[-1][name], rel=1e-9)
    assert values_of(killed) == pytest.approx(values_of(whole), rel=1e-10, abs=1e-12)
    assert all(r["lithium balance [1]"] < 1e-10 for r in rows_of(whole))
    charging = [r for r in rows_of(whole) if r["protocol step"] == 1]
    assert charging and all(r["spread of currents [1]"] < 1e-8 for r in charging)
    vtu = sorted((whole / "results").glob("*.vtu"))[-1].read_bytes()
    for name in (
        b"displacement [um]",
        b"plastic strain [1]",
        b"von Mises stress [MPa]",
        b"ion potential [V]",
    ):
        assert name in vtu
    record = json.loads((whole / "results-record.json").read_text())["physics"][0]
    assert record["passes"] > 0 and record["displacements"] > 100


@pytest.mark.verify
def test_v32_with_mechanics_on_another_number_of_ranks(tmp_path: Path) -> None:
    """Catches points of the history in the order of a rank, and mirrors that a linear solver moves by its tolerance.

    The first puts stresses at the wrong places, the second makes them differ by 3e-4 and the voltage by 9e-8.
    """
    whole, killed = prepare(tmp_path / "whole"), prepare(tmp_path / "killed")
    run(whole, 2)
    start_and_kill(killed, 1)
    run(killed, 2)
    assert ends(killed) == pytest.approx(ends(whole), rel=1e-10)
    for name in MORE:
        assert rows_of(killed)[-1][name] == pytest.approx(rows_of(whole)[-1][name], rel=1e-9)
