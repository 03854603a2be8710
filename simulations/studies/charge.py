"""Charging and discharging: the half-cell of a study, with or without mechanics, under its protocol."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pxm2mesh.materials import Material
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.study.half_cell import HalfCell as HalfCellSection
from pxm2mesh.study.half_cell import state_at
from pxm2mesh.study.protocol import parse_steps
from simulations.base.domain import Domain, canonical_name, on_root
from simulations.models.cell import Cell, HalfCellOptions, working_part
from simulations.models.coupling import CoupledHalfCell, StressOptions
from simulations.models.damaged_state import Conductors, DamagedState
from simulations.models.electrochemistry import HalfCell
from simulations.models.kinetics import ButlerVolmer
from simulations.models.mechanics import opposite_face
from simulations.models.node_transfer import numbered
from simulations.models.solid_solver import SolverOptions
from simulations.models.supports import Support, plate, symmetry
from simulations.studies.bonds import bond_laws
from simulations.studies.charge_output import stress_numbers
from simulations.studies.charge_run import ChargeRun
from simulations.studies.task import Answer, Task

log = logging.getLogger(__name__)

_INITIAL = 0.9
MECHANICAL = "contact is lost by mechanics alone: no reaction layer grows between the phases in this model"
_STRESSES = {
    "mean hydrostatic stress in {} [MPa]": "mean_hydrostatic_stress",
    "largest principal stress in {} [MPa]": "largest_principal_stress",
    "largest von Mises stress in {} [MPa]": "largest_von_mises_stress",
    "yielding share of {} [1]": "yielding_share",
}
"""Number of the table → name of the quantity at the end."""


def charge(task: Task) -> Answer:
    """Run the protocol of a ``model = "half-cell"`` entry.

    Args:
        task: The entry with its study, mesh and folder.

    Returns:
        Capacity, voltage and state of lithiation at the end, stresses if asked for, and what took part.
    """
    physics: HalfCellSection = task.physics
    task = replace(task, mesh=None if task.mesh is None else numbered(task.mesh))
    whole = task.domain(cut=())
    cell, materials = _cell(task, whole)
    start = initial_state(physics, materials[physics.active])
    options = HalfCellOptions(tolerance=physics.tolerance)
    model: HalfCell | CoupledHalfCell
    if physics.mechanics is None:
        domain, shares = working_part(whole, cell)
        model = half = HalfCell(domain, cell, start, options=options)
    else:
        pairs = [canonical_name(whole.phases, name) for name in physics.mechanics.bonds]
        whole = task.domain(cut=dict.fromkeys([*cell.cuts(whole), *pairs]))
        model = _coupled(task, whole, cell, materials, start, options)
        half, shares = model.half, model.shares
    for phase, share in shares.items():
        log.info("%.2f %% of %s is connected", 100 * share, phase)
    density = materials[physics.active].get("transport.density")
    steps = parse_steps(physics.protocol)
    damage = None
    if isinstance(model, CoupledHalfCell) and model.contact is not None:
        conductors = Conductors.of(model.solid.domain, materials, collector=physics.collector)
        damage = DamagedState(model.contact.cohesion, conductors, model.whole)
    run = ChargeRun(task, model, whole, steps, None if density is None else float(density), damage)
    run.go()
    counts = run.statistics
    facts: dict[str, Any] = {
        "events": run.events, "steps": counts.accepted, "rejected": counts.rejected, "failed": counts.failed,
        "newton": half.iterations, "connected": dict(shares), "unknowns": half.domain.point_total * 2,
    }  # fmt: skip
    quantities = _quantities(run, physics, shares)
    if isinstance(model, CoupledHalfCell):
        quantities += _stresses(model)
        facts |= {"passes": model.passes, "mechanics newton": model.mechanics_newtons,
                  "mechanics iterations": model.mechanics_iterations,
                  "displacements": model.solid.space.dofmap.index_map.size_global * 3}  # fmt: skip
    if run.damage is not None:
        resistance = run.cycles.transfer_resistance()
        quantities += Quantities(  # that of the sample knows neither lithium nor temperature
            replace(q, value=resistance) if q.name == "charge_transfer_resistance" else q
            for q in run.damage.quantities()
        )
        facts |= {"damage": MECHANICAL, "ended": f"all of {run.cycle_number} cycle(s) are over",
                  "cycles resolved": run.record.resolved or list(range(1, run.cycle_number + 1)),
                  "jumps": run.record.jumps, "jumps taken back": run.record.rejected}  # fmt: skip
    return Answer(quantities, facts)


def _coupled(
    task: Task,
    whole: Domain,
    cell: Cell,
    materials: Mapping[str, Material],
    start: float,
    options: HalfCellOptions,
) -> CoupledHalfCell:
    physics: HalfCellSection = task.physics
    asked = physics.mechanics
    assert asked is not None
    bonds = on_root(
        task.comm,
        lambda: bond_laws(task, whole, asked, viscosity=asked.viscosity.value, fatigue=physics.fatigue),
    )
    for name, law in bonds.items():
        log.info("%s: strength %.4g MPa, fracture energy %.4g J/m2", name, law.strength, law.fracture_energy)
    face = asked.face or physics.collector
    mirrors = [opposite_face(face), *(f"{axis}-" for axis in "xyz" if axis != face[0])]
    if asked.sides == "mirror":
        mirrors += [f"{axis}+" for axis in "xyz" if axis != face[0]]
    supports: list[Support] = [*symmetry(*mirrors), plate(face, asked.pressure.value)]
    return CoupledHalfCell(
        whole, cell, materials, supports, start, cell_options=options,
        options=StressOptions(
            in_flux=asked.in_flux, in_potential=asked.in_potential, plastic=asked.plastic,
            stress_free=asked.stress_free, hold_gap=asked.hold == "gap", degree=asked.order,
            agreement=asked.agreement, spent=asked.spent, passes=4 * math.ceil(-math.log10(asked.agreement)),
            solid=SolverOptions(  # forces as well balanced as both parts are to agree
                rtol=max(min(1e-7, 1e-4 * asked.agreement), 1e-12), linear_rtol=1e-3, lazy=True
            ),
        ),
        bonds=bonds,
    )  # fmt: skip


def initial_state(physics: HalfCellSection, active: Material) -> float:
    """State of lithiation at the start: as given, or where the open-circuit voltage is as given."""
    if physics.initial_voltage is None:
        return _INITIAL if physics.initial is None else physics.initial
    return state_at(physics.initial_voltage, active)


def _cell(task: Task, domain: Domain) -> tuple[Cell, Mapping[str, Material]]:
    """What the half-cell is made of, and the material of its phases (with mechanics of all that are meshed)."""
    physics: HalfCellSection = task.physics
    phases = [p for p in (physics.active, physics.electrolyte, physics.binder) if p is not None]
    task.require_cells(domain, phases)
    wanted = phases if physics.mechanics is None else list(dict.fromkeys([*phases, *domain.meshed]))
    library = task.materials(domain, wanted)
    active, electrolyte = library[physics.active], library[physics.electrolyte]
    binder = None if physics.binder is None else library[physics.binder]
    kinetics = ButlerVolmer.of(active, temperature=physics.temperature.value)
    purpose = {"purpose": "a half-cell"}
    return Cell(
        physics.active, physics.electrolyte, kinetics, active.require("transport.diffusivity", **purpose),
        float(active.require("transport.maximum_concentration", **purpose)),
        float(active.require("transport.electronic_conductivity", **purpose)),
        float(electrolyte.require("transport.ionic_conductivity", **purpose)),
        physics.binder,
        0.0 if binder is None else float(binder.require("transport.electronic_conductivity", **purpose)),
        physics.collector, physics.separator,
        active.require("kinetics.open_circuit_voltage", **purpose).valid,
    ), library  # fmt: skip


def _quantities(run: ChargeRun, physics: HalfCellSection, shares: Mapping[str, float]) -> Quantities:
    method, half = "half-cell, finite elements", run.half
    rows = [
        Quantity("final_voltage", half.voltage, "V", method),
        Quantity("final_lithiation", half.mean(), "1", method, phase=physics.active),
        Quantity("charged_time", half.time, "s", method),
        *(Quantity("connected_fraction", share, "1", method, phase=phase) for phase, share in shares.items()),
    ]
    if math.isfinite(run.grams):
        rows.append(Quantity("capacity", run.per_gram(half.charge), "mAh/g", method, phase=physics.active))
    return Quantities(rows)


def _stresses(model: CoupledHalfCell) -> Quantities:
    method, numbers = "half-cell with mechanics, finite elements", stress_numbers(model.solid)
    rows = []
    for phase in model.solid.laws:
        for column, name in _STRESSES.items():
            key = column.format(phase)
            if key in numbers:
                rows.append(Quantity(name, numbers[key], "1" if "[1]" in key else "MPa", method, phase=phase))
    return Quantities(rows)
