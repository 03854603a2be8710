"""One protocol of a half-cell on its way: what is written after each step, and where to go on."""

from __future__ import annotations

import dataclasses
import logging
import math
import time as clock
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, NotConvergedError
from pxm2mesh.progress import Task as ProgressTask
from pxm2mesh.study.half_cell import HalfCell as HalfCellSection
from pxm2mesh.study.protocol import LONGEST, Current, Press, Rest, Step, Voltage
from simulations.base.checkpoint import load_checkpoint, save_checkpoint
from simulations.base.domain import Domain
from simulations.base.fields import gather_nodes
from simulations.base.output import ResultSeries, ScalarTable
from simulations.base.stepping import Event, StepOptions, StepStatistics, last_good, run_until
from simulations.models.coupling import CoupledHalfCell
from simulations.models.damaged_state import DamagedState
from simulations.models.electrochemistry import HalfCell
from simulations.models.fatigue import CycleRecord, JumpOptions, run_cycles
from simulations.models.node_transfer import NodeTransfer
from simulations.studies.bonds import load_bonds, save_bonds
from simulations.studies.charge_cycles import CycleNumbers, HalfCellCycles
from simulations.studies.charge_output import (
    CONTACT_COLUMNS,
    SOLID_COLUMNS,
    SolidFields,
    contact_numbers,
    solid_numbers,
    stress_columns,
)
from simulations.studies.task import Task

log = logging.getLogger(__name__)

COLUMNS = (
    "step", "cycle", "protocol step", "time [s]", "time step [s]", "voltage [V]", "current [pA]", "rate [C]",
    "charge [pC]", "capacity [mAh/g]", "mean lithiation [1]", "lowest surface lithiation [1]",
    "highest surface lithiation [1]",
    "lithium balance [1]", "spread of currents [1]", "Newton iterations", "linear iterations", "wall time [s]",
)  # fmt: skip
_EDGE = 0.01
"""Share of lithium at the surface at which a step of the protocol ends: nothing is left, or nothing fits in."""
_UNEVEN, _POLARISED = 0.25, 0.1
"""Share of lithium between surface and mean, and V of polarisation, at which an end is for want of transport."""
_LEAST_CHARGE = 0.01
"""Share of what 1C moves in an hour: the least that the lithium balance is relative to, as cycles come back to zero."""
_CHECKPOINT_EVERY = 10


class ChargeRun:
    """A model, stepped through the cycles of a protocol, with its tables, series and checkpoints.

    Args:
        task: The entry with its study and folder.
        model: With or without mechanics.
        whole: All cells, cut where the half-cell is; fields are written on it when there is mechanics.
        steps: The protocol.
        density: Of the active material, kg/m³; None where it is not known.
        damage: What is left of a sample with bonds at the end of a cycle; None not to look.

    Attributes:
        cycle_number: Cycles that are over, those jumped over included.
        cycles: Numbers of the cycle that is going on.
        record: Which cycles were resolved.
        events: What ended each step of the protocol.
        statistics: Steps accepted, rejected and failed.
    """

    def __init__(
        self,
        task: Task,
        model: HalfCell | CoupledHalfCell,
        whole: Domain,
        steps: tuple[Step, ...],
        density: float | None,
        damage: DamagedState | None = None,
    ) -> None:
        self.task, self.model, self.steps = task, model, steps
        self.solid = model if isinstance(model, CoupledHalfCell) else None
        self.half = half = model.half if isinstance(model, CoupledHalfCell) else model
        physics: HalfCellSection = task.physics
        self.events: list[str] = []
        self.statistics = StepStatistics()
        self.position, self.began = 0, 0.0
        self.cycle_number, self.record, self.damage = 0, CycleRecord(), damage
        self.next_step: float | None = None
        self.lithium = half.lithium()
        self.grams = math.nan if density is None else half.volume * 1e-18 * density * 1e3
        self.face = (physics.mechanics.face if physics.mechanics else None) or physics.collector
        self.cycles = CycleNumbers(half, self.solid, self.face, self.per_gram)
        self.start = clock.perf_counter()
        largest = math.inf if physics.largest_step is None else physics.largest_step.value
        self.options = StepOptions(first=physics.first_step.value, largest=largest)
        self.path = task.folder / "checkpoints" / f"half-cell{task.suffix}.npz"
        self.key = task.checkpoint_key()
        found = None if task.fresh else load_checkpoint(self.path, half.domain, self.key, self._nodes())
        self.saved, self.body = "", ""
        if found is not None:
            self._resume(found)
        self._open_output(physics, whole, found)

    def _open_output(self, physics: HalfCellSection, whole: Domain, found: Mapping[str, Any] | None) -> None:
        task, half = self.task, self.half
        self.columns: tuple[str, ...] = COLUMNS
        self.output, self.to_output, self.solid_fields = half.domain, None, None
        if self.solid is not None and physics.mechanics is not None:
            self.columns += SOLID_COLUMNS + stress_columns(self.solid.solid)
            if self.solid.contact is not None:
                self.columns += CONTACT_COLUMNS
            if self.cycles.work is not None:
                self.columns += ("energy imbalance [1]",)
            self.output = whole
            self.to_output = NodeTransfer(half.domain, whole, half.domain.meshed)
            self.solid_fields = SolidFields(self.solid.solid, whole)
        self.table = ScalarTable(
            task.path("scalars.csv"), self.columns, half.domain, keep_rows=found["rows"] if found else None
        )
        until = half.time if found else None
        self.series = ResultSeries(task.path("results.pvd"), self.output, keep_until=until)
        self.cycle_table: ScalarTable | None = None
        if physics.cycles > 1 or self.damage is not None:
            columns = (*self.cycles.columns(), *self._damaged())
            rows = found["cycle rows"] if found else None
            self.cycle_table = ScalarTable(task.path("cycles.csv"), columns, half.domain, keep_rows=rows)

    # ------------------------------------------------------------------ checkpoints

    def _nodes(self) -> dict[str, Any]:
        if self.solid is not None:
            return self.solid.node_fields()
        return {"old": self.half.bdf.old, "older": self.half.bdf.older}

    def _resume(self, found: Mapping[str, Any]) -> None:
        half = self.half
        if self.solid is None:
            half.resume(found)
        else:
            fields, path = self.solid.body_fields(), self.path.with_name(found["body"])
            if load_checkpoint(path, self.solid.solid.domain, self.key, {}, cells=fields) is None:
                raise DataError(f"the checkpoint {self.path} wants {path.name}, which is not there;",
                                hint="remove it to start again.")  # fmt: skip
            if self.solid.contact is not None:
                load_bonds(self._bonds_file(found["body"]), self.solid.contact.cohesion)
            self.solid.resume(found, fields)
        self.cycles.resume(found["numbers"])
        self.cycle_number, self.record = found["cycle"], CycleRecord(**found["record"])
        self.statistics = StepStatistics(**found["statistics"])
        self.body = found.get("body", "")
        self.position, self.began, self.next_step = found["position"], found["began"], found["next"]
        self.lithium, self.events = found["lithium"], list(found["events"])
        log.info("going on at t = %.6g s, cycle %d, step %d of the protocol", half.time, self.cycle_number + 1,
                 self.position + 1)  # fmt: skip

    def _bonds_file(self, body: str) -> Path:
        return self.path.with_name(body.replace("-solid-", "-bonds-"))

    def _save(self) -> None:
        """The state of the last accepted step; solvers forget, so that a continued run does the very same.

        Nothing is saved within cycles from whose change the next ones are extrapolated: a continued run repeats them.
        """
        if not self._may_save():
            return
        self.model.forget()
        values: dict[str, Any] = {"position": self.position, "began": self.began, "next": self.next_step,
                  "rows": self.table.rows, "lithium": self.lithium, "events": self.events,
                  "cycle": self.cycle_number, "record": dataclasses.asdict(self.record),
                  "numbers": self.cycles.numbers(), "statistics": dataclasses.asdict(self.statistics),
                  "cycle rows": self.cycle_table.rows if self.cycle_table else 0}  # fmt: skip
        if self.solid is None:
            values |= self.half.numbers()
        else:  # the solid first and beside the last one: the file that names it is whole or absent
            self.body = f"{self.path.stem}-solid-{'b' if self.body.endswith('a.npz') else 'a'}.npz"
            fields = self.solid.body_fields()
            save_checkpoint(
                self.path.with_name(self.body), self.solid.solid.domain, self.key, {}, {}, cells=fields
            )
            if self.solid.contact is not None:
                save_bonds(self._bonds_file(self.body), self.solid.contact.cohesion)
            values |= {**self.solid.numbers(), "body": self.body}
        save_checkpoint(self.path, self.half.domain, self.key, self._nodes(), values)
        self.saved = f"checkpoints/{self.path.name} at t = {self.half.time:.6g} s"

    def _may_save(self) -> bool:
        fatigue = self.task.physics.fatigue
        if fatigue is None:
            return True
        # complete cycles since the last jump: those before the last two do not count, whole ones are in the state
        within = self.position > 0 or self.next_step is not None
        least = fatigue.resolve - 2 if within else fatigue.resolve
        return not self.record.ahead and self.record.since < least

    def _last_good(self) -> str:
        """Write the last accepted state, and say where."""
        self._save()
        return self.saved

    # ------------------------------------------------------------------ the protocol

    def go(self) -> None:
        """Every step of the protocol, from where the checkpoint left off.

        Raises:
            NotConvergedError: A step failed whatever was tried; the last good state is on disk.
        """
        physics: HalfCellSection = self.task.physics
        with self.task.progress.task("half-cell", total=physics.cycles * len(self.steps)) as self.shown:
            self.shown.advance(self.cycle_number * len(self.steps) + self.position)
            if physics.fatigue is None or self.solid is None:
                while self.cycle_number < physics.cycles:
                    self.cycle()
                    self._accept_cycle(self.cycle_number + 1)
            else:
                run_cycles(
                    HalfCellCycles(self.solid, self), physics.cycles, JumpOptions.of(physics.fatigue),
                    record=self.record, accepted=self._accept_cycle,
                )  # fmt: skip

    def cycle(self) -> None:
        """Every step of the protocol once, or what is left of it."""
        while self.position < len(self.steps):
            self._step(self.steps[self.position], self.shown)

    def _accept_cycle(self, number: int) -> None:
        jumped = number - self.cycle_number - 1
        if self.cycle_table is not None:
            wall = round(clock.perf_counter() - self.start, 2)
            row = self.cycles.row(number, jumped, wall)
            self.cycle_table.append(row | self._damaged())
        self.shown.advance(float(jumped * len(self.steps)), f"cycle {number} is over")
        self.cycle_number, self.position = number, 0
        self.cycles.begin()
        self._save()

    def _damaged(self) -> dict[str, float]:
        """Columns of the damaged sample: resistance is in those of the cycle, with the exchange current of its x."""
        columns = {} if self.damage is None else self.damage.columns()
        return {name: value for name, value in columns.items() if "ohm cm2" not in name}

    def _now(self) -> int:
        """Number of the cycle that is going on."""
        return self.cycle_number + self.record.ahead + 1

    def mark(self) -> dict[str, Any]:
        """Where `back_to` goes back to."""
        return {"rows": self.table.rows, "time": self.half.time, "events": len(self.events),
                "numbers": self.cycles.numbers()}  # fmt: skip

    def back_to(self, mark: Mapping[str, Any]) -> None:
        """Take back what was written since: the cycle did not count."""
        self.table = ScalarTable(
            self.task.path("scalars.csv"), self.columns, self.half.domain, keep_rows=mark["rows"]
        )
        self.series = ResultSeries(self.task.path("results.pvd"), self.output, keep_until=mark["time"])
        del self.events[mark["events"] :]
        self.cycles.resume(mark["numbers"])
        self.position, self.next_step = 0, None

    def _step(self, step: Step, shown: ProgressTask) -> None:
        half = self.half
        if isinstance(step, Press):
            self._press(step, shown)
            return
        if isinstance(step, Voltage):
            half.hold_voltage(step.voltage)
        else:
            half.hold_current(step.rate * half.one_c if isinstance(step, Current) else 0.0)
        if self.next_step is None:
            self._begin(step)
        events = self._events(step)

        def accepted(length: float, following: float) -> None:
            self.next_step = following
            self._row(length)
            share = (half.time - self.began) / step.until_time
            done = f", {share:.0%}" if step.until_time < LONGEST else ""
            note = (f"t = {half.time:.4g} s, step {self.statistics.accepted} of {length:.3g} s, {half.voltage:.4f} V, "
                    f"x = {half.mean():.4f}, {half.iterations} Newton iterations{done}")  # fmt: skip
            shown.advance(0.0, note)
            if self.statistics.accepted % self.task.physics.write_every == 0:
                self._fields()
            if self.statistics.accepted % _CHECKPOINT_EVERY == 0:
                self._save()

        met = [e for e in events if e.value() >= -self.options.event_width]
        if met:
            reason = f"{met[0].name} already holds"
        else:
            end = self.began + step.until_time
            try:
                event, _ = run_until(self.model, end, self.options, events=events, accepted=accepted,
                                     step=self.next_step, statistics=self.statistics,
                                     checkpoint=self._last_good)  # fmt: skip
            except NotConvergedError:
                self._fields()
                raise
            reason = event.name if event is not None else "time is over"
        self._over(f"{reason} at t = {half.time:.6g} s, {half.voltage:.5f} V", shown)
        self._refuse_if_impossible(step)
        self.cycles.ended(step)
        self._next()

    def _press(self, step: Press, shown: ProgressTask) -> None:
        assert self.solid is not None
        work = self.cycles.work
        before = 0.0 if work is None else work.stored()
        self.solid.press(self.face, step.pressure)
        if work is not None:
            work.take(work.stored() - before)
        self._over(f"pressed with {step.pressure:g} MPa at t = {self.half.time:.6g} s", shown)
        self._next()

    def _over(self, reason: str, shown: ProgressTask) -> None:
        cycle = f"cycle {self._now()}, " if self.task.physics.cycles > 1 else ""
        self.events.append(f"{cycle}step {self.position + 1}: {reason}")
        log.info("%s", self.events[-1])
        self._fields()
        shown.advance(1.0, reason)

    def _next(self) -> None:
        self.position, self.next_step = self.position + 1, None
        self._save()

    def _refuse_if_impossible(self, step: Step) -> None:
        """A current that ends for want of transport, not for want of lithium, is an error of the study."""
        half = self.half
        if not isinstance(step, Current) or self.cycle_number > 0:
            return  # a cell that has lost its contact in earlier cycles is a result
        mean, (low, high) = half.mean(), half.surface()
        ends = {
            "used up": mean - low if low < 2 * _EDGE else 0.0,
            "full": high - mean if high > 1 - 2 * _EDGE else 0.0,
        }
        end, gap = max(ends.items(), key=lambda found: found[1])
        what = f"lithium at the surface is {end} while x is {mean:.3f} on average"
        if gap <= _UNEVEN and step.until_voltage is not None and half.time == self.began:
            inside = float(half.cell.kinetics.open_circuit(np.array([mean]))[0])
            gap = abs(step.until_voltage - inside) * _UNEVEN / _POLARISED
            what = f"the current alone takes the voltage to {half.voltage:.3f} V, {inside:.3f} V without it"
        if gap > _UNEVEN:
            raise NotConvergedError(
                f"at t = {half.time:.6g} s the cell cannot carry {abs(step.rate):g}C: {what};", reason="exhausted",
                time=half.time, hint=f"lower the rate; {last_good(self._last_good())}.",
            )  # fmt: skip

    def _begin(self, step: Step) -> None:
        """The potentials at the beginning of a step of the protocol."""
        half = self.half
        before = half.voltage, half.current
        self.began = half.time
        try:
            self.model.settle()
        except NotConvergedError as error:
            kept = last_good(self._last_good())
            raise NotConvergedError(
                f"at t = {half.time:.6g} s the current of step {self.position + 1} of the protocol cannot be set: "
                f"{error.message} {half.diagnose()};",
                reason=error.reason, iterations=error.iterations, residual=error.residual, time=half.time,
                hint=f"{kept}; {error.hint}",
            ) from error  # fmt: skip
        self.cycles.settled(step, before)
        self._row(0.0)
        if half.time == 0.0:
            self._fields()

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

    # ------------------------------------------------------------------ output

    def per_gram(self, charge: float) -> float:
        """Charge in pC → mAh per gram of the active material that works; NaN where its density is not known."""
        return charge * 1e-12 / 3.6 / self.grams

    def _row(self, length: float) -> None:
        half = self.half
        low, high = half.surface()
        balance = abs(self.lithium - half.lithium() - half.charge) / max(
            abs(half.charge), _LEAST_CHARGE * half.one_c * 3600
        )
        level = max(abs(half.current), 1e-3 * half.one_c)
        spread = max(abs(value - half.current) for value in half.boundary_currents().values()) / level
        if length > 0:
            self.cycles.accepted(balance)
        row: dict[str, Any] = dict(zip(COLUMNS, (
            self.table.rows, self._now(), self.position + 1, half.time, length, half.voltage, half.current,
            half.current / half.one_c, half.charge, self.per_gram(half.charge), half.mean(), low, high, balance,
            spread, half.iterations, half.linear_iterations, round(clock.perf_counter() - self.start, 2),
        ), strict=True))  # fmt: skip
        if self.solid is not None:
            row |= solid_numbers(self.solid, self.face)
            if self.solid.contact is not None:
                row |= contact_numbers(self.solid.contact.cohesion)
            if self.cycles.work is not None:
                row["energy imbalance [1]"] = self.cycles.work.imbalance
        self.table.append(row)

    def _fields(self) -> None:
        half = self.half
        to_output = self.to_output
        values = gather_nodes(half.domain, half.state) if to_output is None else to_output.gather(half.state)
        fields: dict[str, npt.NDArray[np.float64]] = {}
        if values is not None:
            active, ions = self._of_phase(half.cell.active), self._of_phase(half.cell.electrolyte)
            fields["lithiation [1]"] = np.where(active, values[:, 0], np.nan)
            fields["concentration [mol/m3]"] = fields["lithiation [1]"] * half.cell.maximum_concentration
            fields["electron potential [V]"] = np.where(ions, np.nan, values[:, 1] + half.reference)
            fields["ion potential [V]"] = np.where(ions, values[:, 1], np.nan)
        cells: dict[str, npt.NDArray[np.float64]] = {}
        if self.solid_fields is not None:
            fields |= self.solid_fields.nodes()
            cells = self.solid_fields.cells()
        self.series.write(half.time, fields, cells)

    def _of_phase(self, phase: str) -> npt.NDArray[np.bool_]:
        domain = self.output
        assert domain.source is not None and domain.nodes is not None
        found = np.zeros(domain.point_total, dtype=bool)
        found[domain.nodes[domain.source.cell_phase() == domain.phases[phase].label]] = True
        return found
