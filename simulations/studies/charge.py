"""Charging and discharging: the half-cell under a protocol, with tables, fields and checkpoints."""

from __future__ import annotations

import hashlib
import logging
import math
import time as clock
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import StudyError
from pxm2mesh.materials import Material, read_material
from pxm2mesh.progress import Task as ProgressTask
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.study import digest_of
from pxm2mesh.study.physics import HalfCell as HalfCellSection
from simulations.base.checkpoint import load_checkpoint, save_checkpoint
from simulations.base.domain import Domain, on_root
from simulations.base.fields import gather_nodes
from simulations.base.output import ResultSeries, ScalarTable
from simulations.base.protocol import Current, Rest, Step, Voltage, parse_steps
from simulations.base.stepping import Event, StepOptions, StepStatistics, run_until
from simulations.models.electrochemistry import Cell, HalfCell, HalfCellOptions, working_part
from simulations.models.kinetics import ButlerVolmer

if TYPE_CHECKING:
    from simulations.studies.run import Answer, Task

log = logging.getLogger(__name__)

COLUMNS = (
    "step", "protocol step", "time [s]", "time step [s]", "voltage [V]", "current [pA]", "rate [C]", "charge [pC]",
    "mean lithiation [1]", "lowest surface lithiation [1]", "highest surface lithiation [1]",
    "lithium balance [1]", "Newton iterations", "linear iterations", "wall time [s]",
)  # fmt: skip
_EDGE = 0.01
"""Share of lithium at the surface at which a step of the protocol ends: nothing is left, or nothing fits in."""
_CHECKPOINT_EVERY = 10


def charge(task: Task) -> Answer:
    """Run the protocol of a ``model = "half-cell"`` entry.

    Args:
        task: The entry with its study, mesh and folder.

    Returns:
        Capacity, voltage and state of lithiation at the end, and what took part.
    """
    from simulations.studies.run import Answer

    physics: HalfCellSection = task.physics
    whole = task.domain()
    cell, materials = _cell(task, whole)
    domain, shares = working_part(whole, cell)
    for phase, share in shares.items():
        log.info("%.2f %% of %s is connected", 100 * share, phase)
    half = HalfCell(domain, cell, physics.initial, options=HalfCellOptions(tolerance=physics.tolerance))
    run = _Run(task, half, parse_steps(physics.protocol))
    run.go()
    density = materials[physics.active].get("transport.density")
    quantities = _quantities(half, physics, shares, None if density is None else float(density))
    facts = {"events": run.events, "steps": run.statistics.accepted, "rejected": run.statistics.rejected,
             "failed": run.statistics.failed, "newton": half.iterations,
             "unknowns": domain.point_total * 2}  # fmt: skip
    return Answer(quantities, facts)


def _cell(task: Task, domain: Domain) -> tuple[Cell, Mapping[str, Material]]:
    physics: HalfCellSection = task.physics
    named = task.study.materials
    phases = [p for p in (physics.active, physics.electrolyte, physics.binder) if p is not None]
    missing = [p for p in phases if p not in domain.meshed]
    if missing:
        raise StudyError(
            f"phase {missing[0]!r} has no cells in this mesh;", hint="it may be excluded in [mesh]."
        )

    def read() -> dict[str, Material]:
        return {p: read_material(named.get(p, domain.phases[p].material)) for p in phases}

    library = on_root(task.comm, read)
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


class _Run:
    """One protocol on its way: what is written after each step, and where to go on."""

    def __init__(self, task: Task, half: HalfCell, steps: tuple[Step, ...]) -> None:
        self.task, self.half, self.steps = task, half, steps
        physics: HalfCellSection = task.physics
        self.events: list[str] = []
        self.statistics = StepStatistics()
        self.position, self.began = 0, 0.0
        self.next_step: float | None = None
        self.lithium = half.lithium()
        self.start = clock.perf_counter()
        largest = math.inf if physics.largest_step is None else physics.largest_step.value
        self.options = StepOptions(first=physics.first_step.value, largest=largest)
        self.path = task.folder / "checkpoints" / f"half-cell{task.suffix}.npz"
        self.key = digest_of(physics, dict(task.study.materials), on_root(task.comm, self._mesh_digest))
        found = None if task.fresh else load_checkpoint(self.path, half.domain, self.key, self._nodes())
        if found is not None:
            self._resume(found)
        again = found is not None
        self.table = ScalarTable(
            task.path("scalars.csv"), COLUMNS, half.domain, keep_rows=found["rows"] if found else None
        )
        self.series = ResultSeries(
            task.path("results.pvd"), half.domain, keep_until=half.time if again else None
        )

    def _mesh_digest(self) -> str:
        from simulations.studies.run import MESH

        with (self.task.folder / MESH).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def _nodes(self) -> dict[str, Any]:
        return {"old": self.half.bdf.old, "older": self.half.bdf.older}

    def _resume(self, found: Mapping[str, Any]) -> None:
        half = self.half
        half.resume(found)
        self.position, self.began, self.next_step = found["position"], found["began"], found["next"]
        self.lithium, self.events = found["lithium"], list(found["events"])
        log.info("going on at t = %.6g s, step %d of the protocol", half.time, self.position + 1)

    def go(self) -> None:
        """Every step of the protocol, from where the checkpoint left off."""
        with self.task.progress.task("half-cell", total=len(self.steps)) as shown:
            shown.advance(self.position)
            while self.position < len(self.steps):
                self._step(self.steps[self.position], shown)

    def _step(self, step: Step, shown: ProgressTask) -> None:
        half = self.half
        if isinstance(step, Voltage):
            half.hold_voltage(step.voltage)
        else:
            half.hold_current(step.rate * half.one_c if isinstance(step, Current) else 0.0)
        if self.next_step is None:
            self.began = half.time
            half.settle()
            self._row(0.0)
            if half.time == 0.0:
                self._fields()
        events = self._events(step)

        def accepted(length: float, following: float) -> None:
            self.next_step = following
            self._row(length)
            done = (half.time - self.began) / step.until_time
            shown.advance(
                0.0, f"t = {half.time:.4g} s, {half.voltage:.4f} V, x = {half.mean():.4f}, {done:.0%}"
            )
            if self.statistics.accepted % self.task.physics.write_every == 0:
                self._fields()
            if self.statistics.accepted % _CHECKPOINT_EVERY == 0:
                self._save()

        met = [e for e in events if e.value() >= -self.options.event_width]
        if met:
            reason = f"{met[0].name} already holds"
        else:
            end = self.began + step.until_time
            event, _ = run_until(half, end, self.options, events=events, accepted=accepted, step=self.next_step,
                                 statistics=self.statistics)  # fmt: skip
            reason = event.name if event is not None else "time is over"
        self.events.append(
            f"step {self.position + 1}: {reason} at t = {half.time:.6g} s, {half.voltage:.5f} V"
        )
        log.info("%s", self.events[-1])
        self._fields()
        self.position, self.next_step = self.position + 1, None
        shown.advance(1.0, reason)
        self._save()

    def _events(self, step: Step) -> list[Event]:
        half = self.half
        events = [Event("lithium at the surface is used up", lambda: _EDGE - half.surface()[0]),
                  Event("the surface is full of lithium", lambda: half.surface()[1] - (1 - _EDGE))]  # fmt: skip
        if isinstance(step, Current) and step.until_voltage is not None:
            limit, sign = step.until_voltage, math.copysign(1.0, step.rate)
            events.append(Event(f"voltage reached {limit:g} V", lambda: sign * (half.voltage - limit)))
        if isinstance(step, Voltage) and step.until_rate is not None:
            least = step.until_rate
            events.append(
                Event(f"current fell to {least:g} C", lambda: least - abs(half.current) / half.one_c)
            )
        return [] if isinstance(step, Rest) else events

    def _row(self, length: float) -> None:
        half = self.half
        low, high = half.surface()
        balance = abs(self.lithium - half.lithium() - half.charge) / max(
            abs(half.charge), 1e-6 * half.one_c * 3600
        )
        self.table.append(dict(zip(COLUMNS, (
            self.table.rows, self.position + 1, half.time, length, half.voltage, half.current,
            half.current / half.one_c, half.charge, half.mean(), low, high, balance, half.iterations,
            half.linear_iterations, round(clock.perf_counter() - self.start, 2),
        ), strict=True)))  # fmt: skip

    def _fields(self) -> None:
        half, domain = self.half, self.half.domain
        values = gather_nodes(domain, half.state)
        fields: dict[str, npt.NDArray[np.float64]] = {}
        if values is not None:
            assert domain.source is not None and domain.nodes is not None
            label = domain.source.cell_phase()
            active = np.zeros(domain.point_total, dtype=bool)
            active[domain.nodes[label == domain.phases[half.cell.active].label]] = True
            ions = np.zeros(domain.point_total, dtype=bool)
            ions[domain.nodes[label == domain.phases[half.cell.electrolyte].label]] = True
            fields["lithiation [1]"] = np.where(active, values[:, 0], np.nan)
            fields["concentration [mol/m3]"] = fields["lithiation [1]"] * half.cell.maximum_concentration
            fields["electron potential [V]"] = np.where(ions, np.nan, values[:, 1] + half.reference)
            fields["ion potential [V]"] = np.where(ions, values[:, 1], np.nan)
        self.series.write(half.time, fields)

    def _save(self) -> None:
        values = {**self.half.numbers(), "position": self.position, "began": self.began, "next": self.next_step,
                  "rows": self.table.rows, "lithium": self.lithium, "events": self.events}  # fmt: skip
        save_checkpoint(self.path, self.half.domain, self.key, self._nodes(), values)


def _quantities(
    half: HalfCell, physics: HalfCellSection, shares: Mapping[str, float], density: float | None
) -> Quantities:
    method = "half-cell, finite elements"
    rows = [
        Quantity("final_voltage", half.voltage, "V", method),
        Quantity("final_lithiation", half.mean(), "1", method, phase=physics.active),
        Quantity("charged_time", half.time, "s", method),
        *(Quantity("connected_fraction", share, "1", method, phase=phase) for phase, share in shares.items()),
    ]
    if density is not None:
        grams = half.volume * 1e-18 * density * 1e3
        rows.append(
            Quantity("capacity", half.charge * 1e-12 / 3.6 / grams, "mAh/g", method, phase=physics.active)
        )
    return Quantities(rows)
