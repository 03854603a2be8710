"""The study of particles that crack while they are charged, discharged, or cycled."""

from __future__ import annotations

import logging
import math
import time as clock
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import ufl
from dolfinx import fem

from pxm2mesh.errors import StudyError
from pxm2mesh.materials import Material
from pxm2mesh.progress import Task as ProgressTask
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.study.damage import Cracking
from simulations.base.checkpoint import load_checkpoint, save_checkpoint
from simulations.base.domain import Domain
from simulations.base.output import ResultSeries, ScalarTable
from simulations.base.stepping import StepOptions, StepStatistics, run_until
from simulations.models.fatigue import CycleRecord, JumpOptions, run_cycles
from simulations.studies.cracking import CrackingParticles, CrackingSolid, ParticleCycles
from simulations.studies.mechanics import unstrained_at
from simulations.studies.submodel import CrackingSubmodel, CutOut
from simulations.studies.task import Answer, Task

log = logging.getLogger(__name__)

COLUMNS = (
    "step", "computed cycle", "time [s]", "mean lithiation [1]", "lowest lithiation [1]", "highest lithiation [1]",
    "largest damage [1]", "crack area [um2]", "broken volume fraction [1]", "elastic energy [pJ]",
    "surface energy [pJ]", "work of swelling [pJ]", "energy set free [pJ]", "alternations", "wall time [s]",
)  # fmt: skip
CYCLE_COLUMNS = (
    "cycle", "jumped over before it", "computed cycle", "largest damage [1]", "crack area [um2]",
    "broken volume fraction [1]", "surface energy [pJ]", "least toughness left [1]", "wall time [s]",
)  # fmt: skip
BROKEN = 0.9
"""Damage from which a place counts as cracked."""


def crack(task: Task) -> Answer:
    """Charge or discharge the particles of a ``model = "cracking"`` entry, once or in cycles.

    Args:
        task: The entry with its study, mesh and folder.

    Returns:
        Crack area, its energy, and when cracks began.
    """
    physics: Cracking = task.physics
    cut = None if physics.submodel is None else CutOut(task)
    particles: CrackingSolid
    if cut is None:
        domain = task.domain(phases=[physics.phase], cut=())
        particles = CrackingParticles(domain, _material(task, domain), physics)
    else:
        domain = Domain.from_mesh(cut.mesh, task.comm, cut=())
        particles = CrackingSubmodel(domain, cut.material(domain), cut)
    run = CrackRun(task, particles)
    run.go()
    body, phase = run.particles.body, physics.phase
    method = f"phase field {physics.crack_model}, length {physics.length.value:g} um"
    quantities = [
        Quantity("crack_area", body.crack_area(), "um2", method, phase=phase),
        Quantity("crack_energy", body.surface_energy(), "pJ", method, phase=phase),
    ]
    if run.began is None:
        log.info("no crack formed")
    else:
        quantities.append(Quantity("lithiation_at_first_crack", run.began, "1", method, phase=phase))
    facts: dict[str, Any] = {
        "events": run.events, "steps": run.statistics.accepted, "failed": run.statistics.failed,
        "alternations": run.particles.alternations, "unknowns": 4 * domain.point_total,
    }  # fmt: skip
    if cut is not None:
        facts |= {"result": str(cut.path), "particle": cut.region, "cells": domain.cell_total}
    if physics.cycles is not None:
        facts["cycles"] = asdict(run.record)
    return Answer(Quantities(quantities), facts)


def _material(task: Task, domain: Domain) -> Material:
    """Of the particles, free of strain at the initial state."""
    physics: Cracking = task.physics
    found = task.materials(domain, [physics.phase])[physics.phase]
    if found.swelling is None or found.swelling.volume_strain is None:
        raise StudyError(f"material {found.name!r} does not swell;", hint="give it a swelling.volume_strain.")
    return unstrained_at(found, physics.initial)


class CrackRun:
    """What is written after each step, and where to go on after an end.

    Attributes:
        began: Mean state of lithiation at which a crack was first seen.
        events: What happened, the reason for the end last.
        record: Of the cycles.
    """

    def __init__(self, task: Task, particles: CrackingSolid) -> None:
        self.task, self.particles = task, particles
        self.physics: Cracking = task.physics
        self.began: float | None = None
        self.events: list[str] = []
        self.record, self.statistics = CycleRecord(), StepStatistics()
        body, domain = particles.body, particles.domain
        self._volume = domain.volume()
        self._broken = fem.form(ufl.conditional(ufl.gt(body.damage, BROKEN), 1.0, 0.0) * domain.dx())
        self.next_step: float | None = None
        self.start, self._last_alternations = clock.perf_counter(), 0
        self.path = task.folder / "checkpoints" / f"cracking{task.suffix}.npz"
        self.key = task.checkpoint_key() + (
            particles.cut.digest() if isinstance(particles, CrackingSubmodel) else ""
        )
        found = None if task.fresh else self._load()
        self._open(found["rows"] if found else None, found["shown"] if found else None)
        self.cycles: ScalarTable | None = None
        if self.physics.cycles is not None:
            self.cycles = ScalarTable(
                task.path("cycles.csv"),
                CYCLE_COLUMNS,
                domain,
                keep_rows=found["cycle rows"] if found else None,
            )

    def _open(self, rows: int | None, until: float | None) -> None:
        """Go on with so many rows of the table, and with what is shown until a time; None starts anew."""
        task, domain = self.task, self.particles.domain
        columns = (*COLUMNS, *self.particles.numbers_now())
        self.table = ScalarTable(task.path("scalars.csv"), columns, domain, keep_rows=rows)
        self.series = ResultSeries(task.path("results.pvd"), domain, keep_until=until)

    @property
    def duration(self) -> float:
        """Of the way from ``initial`` to ``until``, or of the electrode's result, s."""
        if isinstance(self.particles, CrackingSubmodel):
            return self.particles.states[-1]
        return (self.physics.initial - self.physics.until) / self.physics.rate * 3600

    def go(self) -> None:
        """All of it, from where the checkpoint left off."""
        physics = self.physics
        if self.table.rows == 0:
            self._row()
            self._write_fields()
        if isinstance(self.particles, CrackingSubmodel):
            with self.task.progress.task("cracking", total=self.duration) as shown:
                shown.advance(self.particles.time)
                for end in self.particles.states:  # all of them: stress may be the highest in any
                    if end > self.particles.time * (1 + 1e-12):
                        self._leg(end, shown)
            self.events.append(f"the result of the electrode ends, at t = {self.duration:.6g} s")
        elif physics.cycles is None or physics.fatigue is None:
            with self.task.progress.task("cracking", total=self.duration) as shown:
                shown.advance(self.particles.time)
                self._leg(self.duration, shown)
            self.events.append(f"mean lithiation {physics.until:g} reached")
        else:
            fatigue = physics.fatigue
            options = JumpOptions.of(fatigue)
            with self.task.progress.task("cracking", total=physics.cycles) as shown:
                shown.advance(self.record.done)
                assert isinstance(self.particles, CrackingParticles)
                run_cycles(
                    ParticleCycles(self.particles, self), physics.cycles, options,
                    record=self.record,
                    accepted=lambda number: self._cycle_over(number, options, shown),
                )  # fmt: skip
            self.events.append(f"cycle {physics.cycles} is over, {self.record.spent} were computed")
        log.info("%s", self.events[-1])

    def _leg(self, duration: float, shown: ProgressTask | None = None) -> None:
        """Up to a time, in even steps at most."""
        particles, share = self.particles, self.duration / self.physics.steps

        def accepted(length: float, following: float) -> None:
            self.next_step = following
            self._row()
            if self.statistics.accepted % self.physics.write_every == 0:
                self._write_fields()
            if shown is not None:
                area = particles.body.crack_area()
                shown.advance(length, f"mean x = {particles.lithium.mean():.3f}, crack area {area:.3g} um2")
                self._save()

        options = StepOptions(first=share, largest=share, smallest=share / 256)
        run_until(particles, duration, options, accepted=accepted, step=self.next_step, statistics=self.statistics,
                  checkpoint=lambda: str(self.path.name) if self.path.exists() else "")  # fmt: skip
        if self.statistics.accepted % self.physics.write_every:
            self._write_fields()

    def mark(self) -> dict[str, Any]:
        """Where `back_to` goes back to."""
        return {"began": self.began, "rows": self.table.rows}

    def back_to(self, mark: Mapping[str, Any]) -> None:
        """Take back what was written since: the cycle did not count."""
        self.began = mark["began"]
        self._open(mark["rows"], self.particles.time)

    def cycle(self) -> None:
        """There and back."""
        assert isinstance(self.particles, CrackingParticles)
        for sign in (1.0, -1.0):
            self.particles.reverse(sign)
            self.next_step = None
            self._leg(self.particles.time + self.duration)

    def _cycle_over(self, number: int, options: JumpOptions, shown: ProgressTask) -> None:
        body, domain = self.particles.body, self.particles.domain
        assert self.cycles is not None
        left = body.toughness_left.x.array.min(initial=1.0)
        self.cycles.append({
            "cycle": number, "jumped over before it": self.record.jumped, "computed cycle": self.record.spent,
            "largest damage [1]": self._largest(body.damage), "crack area [um2]": body.crack_area(),
            "broken volume fraction [1]": self._broken_share(), "surface energy [pJ]": body.surface_energy(),
            "least toughness left [1]": min(domain.comm.allgather(float(left))),
            "wall time [s]": round(clock.perf_counter() - self.start, 2),
        })  # fmt: skip
        shown.advance(self.record.jumped + 1, f"cycle {number}, crack area {body.crack_area():.3g} um2")
        if self.record.since < options.resolve:
            self._save()

    # -- what is written -----------------------------------------------------------------------------

    def _largest(self, function: fem.Function) -> float:
        values = function.x.array
        return float(max(self.task.comm.allgather(float(values.max(initial=-math.inf)))))

    def _broken_share(self) -> float:
        return float(self.task.comm.allreduce(fem.assemble_scalar(self._broken))) / self._volume

    def _row(self) -> None:
        particles, body = self.particles, self.particles.body
        low, high = particles.lithium.extent()
        elastic, surface, mean = body.elastic_energy(), body.surface_energy(), particles.lithium.mean()
        largest = self._largest(body.damage)
        if self.began is None and largest > 0.5:
            self.began = mean
        self.table.append({
            "step": self.table.rows, "computed cycle": self.record.spent + (self.physics.cycles is not None),
            "time [s]": particles.time, "mean lithiation [1]": mean, "lowest lithiation [1]": low,
            "highest lithiation [1]": high, "largest damage [1]": largest, "crack area [um2]": body.crack_area(),
            "broken volume fraction [1]": self._broken_share(), "elastic energy [pJ]": elastic,
            "surface energy [pJ]": surface, "work of swelling [pJ]": particles.work,
            "energy set free [pJ]": particles.work - elastic - surface,
            "alternations": particles.alternations - self._last_alternations,
            "wall time [s]": round(clock.perf_counter() - self.start, 2), **particles.numbers_now(),
        })  # fmt: skip
        self._last_alternations = particles.alternations

    def _write_fields(self) -> None:
        body, x = self.particles.body, self.particles.lithium.x
        fields = {"displacement [um]": body.displacement, "damage [1]": body.damage, "lithiation [1]": x}
        self.series.write(self.particles.time, fields)

    # -- to go on ------------------------------------------------------------------------------------

    def _save(self) -> None:
        particles = self.particles
        nodes, cells = particles.fields()
        values = {
            **particles.numbers(), "rows": self.table.rows, "next": self.next_step, "began": self.began,
            "cycle rows": self.cycles.rows if self.cycles else None, "cycles": asdict(self.record),
            "steps": asdict(self.statistics), "shown": particles.time,
        }  # fmt: skip
        save_checkpoint(self.path, particles.domain, self.key, nodes, values, cells=cells)

    def _load(self) -> dict[str, Any] | None:
        particles = self.particles
        nodes, cells = particles.fields()
        found = load_checkpoint(self.path, particles.domain, self.key, nodes, cells=cells)
        if found is None:
            return None
        particles.take(found)
        self._last_alternations = particles.alternations
        self.record, self.statistics = CycleRecord(**found["cycles"]), StepStatistics(**found["steps"])
        self.next_step, self.began = found["next"], found["began"]
        log.info("going on at t = %.4g s", particles.time)
        return found
