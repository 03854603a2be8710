"""Solids under loads that follow each other: pressing, holding, swelling, with tables, fields and checkpoints."""

from __future__ import annotations

import dataclasses
import logging
import math
import time as clock
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from dolfinx import fem

from pxm2mesh.errors import NotConvergedError, StudyError
from pxm2mesh.materials import Material, reference_x
from pxm2mesh.materials.laws import Constant
from pxm2mesh.progress import Task as ProgressTask
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.study.mechanics import MechanicalLoad, parse_load
from pxm2mesh.study.mechanics import Mechanics as MechanicsSection
from simulations.base.checkpoint import load_checkpoint, save_checkpoint
from simulations.base.diagnosis import Diagnosis
from simulations.base.domain import Domain
from simulations.base.output import ResultSeries, ScalarTable
from simulations.base.stepping import StepOptions, StepStatistics, run_until
from simulations.models.energy import energies
from simulations.models.islands import without_islands
from simulations.models.mechanics import (
    CELL_QUANTITIES,
    Solid,
    SolidLaw,
    box_face_area,
    face_axis,
    moduli_vary,
    opposite_face,
)
from simulations.models.plasticity import plastic_laws
from simulations.models.supports import Gap, Plate, Support, fixed, symmetry
from simulations.studies.task import Answer, Task

log = logging.getLogger(__name__)

_CHECKPOINT_EVERY = 10
_DIRECT_LIMIT = 300_000
"""Unknowns; a factorisation of more takes too much memory to be a way out."""


def press(task: Task) -> Answer:
    """Apply the loads of a ``model = "mechanics"`` entry.

    Args:
        task: The entry with its study, mesh and folder.

    Returns:
        Plate, pressure, stress and plastic strain at the end.
    """
    physics: MechanicsSection = task.physics
    whole = task.domain(cut=())
    materials = materials_of(task, whole)
    loads = tuple(parse_load(text) for text in physics.loads)
    domain = without_islands(whole, supports_of(physics, loads))
    run = LoadRun(task, LoadedBody(domain, materials, physics, loads))
    run.go()
    held = domain.volume() / whole.volume()
    facts = {"events": run.events, "steps": run.statistics.accepted, "failed": run.statistics.failed,
             "newton": run.body.iterations, "linear": run.body.linear_iterations, "held fraction": held,
             "unknowns": 3 * run.body.solid.space.dofmap.index_map.size_global}  # fmt: skip
    return Answer(run.body.quantities(), facts)


def materials_of(task: Task, domain: Domain) -> dict[str, Material]:
    """Of each meshed phase; free of strain at ``initial`` where the study says so. All ranks must call."""
    physics: MechanicsSection = task.physics
    task.require_cells(domain, physics.plastic)
    found = task.materials(domain, domain.meshed)
    if physics.initial is None:
        return found
    return {phase: unstrained_at(material, physics.initial) for phase, material in found.items()}


def unstrained_at(material: Material, x: float) -> Material:
    """The material with its strain counted from ``x``; as it is where it does not swell."""
    swelling = material.swelling
    if swelling is None or swelling.volume_strain is None:
        return material
    reference = dataclasses.replace(
        swelling.volume_strain,
        name="swelling.reference",
        law=Constant(x),
        range=None,
        valid=(0.0, 1.0),
        note="the initial state of the study",
    )
    return dataclasses.replace(material, swelling=dataclasses.replace(swelling, reference=reference))


def supports_of(
    physics: MechanicsSection, loads: tuple[MechanicalLoad, ...], *, held: bool = False
) -> tuple[Support, ...]:
    """How the body is held: mirrors or a clamped base, and a plate or a wall at ``physics.face``.

    Args:
        physics: The section of the study.
        loads: All of its loads.
        held: The plate has been fixed where it is.
    """
    axis, _ = physics.face
    opposite = opposite_face(physics.face)
    others = [a + s for a in "xyz" if a != axis for s in "-+"]
    base: tuple[Support, ...] = (
        symmetry(opposite, *others) if physics.sides == "mirror" else (fixed(opposite),)
    )
    first = next((load.kind for load in loads if load.kind in ("pressure", "close")), "pressure")
    wall = held or first == "close"
    return (*base, Gap(physics.face) if wall else Plate(physics.face, 0.0))


class LoadedBody:
    """A solid on its way from load to load; a `simulations.base.stepping.TimeProblem` whose time counts loads.

    Args:
        domain: Without floating pieces.
        materials: Of each meshed phase.
        physics: The section of the study.
        loads: One after another.

    Attributes:
        solid: The mechanics.
        lithiation: Phase that swells → its x.
        volumes: Phase → µm³ that are held.
        external: Work of the plate or wall so far, pJ.
        chemical: Work of swelling so far, pJ.
        most: The most that was stored and used up at any time, pJ.
    """

    def __init__(
        self,
        domain: Domain,
        materials: Mapping[str, Material],
        physics: MechanicsSection,
        loads: tuple[MechanicalLoad, ...],
    ) -> None:
        self.domain, self.materials, self.physics, self.loads = domain, materials, physics, loads
        self.lithiation = {
            p: reference_x(materials[p])
            for p in domain.meshed
            if materials[p].get("swelling.volume_strain") is not None
        }
        if any(load.kind == "x" for load in loads) and not self.lithiation:
            raise StudyError(
                "no phase swells;", hint='leave out "x" loads, or name a material with swelling.'
            )
        self._laws = self._make_laws()
        self.flowing = tuple(phase for phase, law in self._laws.items() if law.history)
        at_start = {p: self.lithiation.get(p, 0.0) for p in domain.meshed}
        self.x = domain.by_phase(at_start, name="lithiation [1]") if self.lithiation else None
        self.volumes = {p: domain.volume(p) for p in domain.meshed}
        self.held, self.time, self.position = False, 0.0, 0
        self._plate = 0.0  # MPa, as asked for
        self.external = self.chemical = self._attempted = self.most = 0.0
        self.iterations = self.linear_iterations = 0
        self._failed: NotConvergedError | None = None
        self.solid = self._make()
        self._from, self._x_from = 0.0, dict(self.lithiation)
        self._kept, self._now = self.solid.state(), self._measure()
        self._x_kept = dict(self.lithiation)

    def _make_laws(self) -> dict[str, SolidLaw]:
        return plastic_laws(self.materials, self.physics.plastic)

    def _make(self) -> Solid:
        supports = supports_of(self.physics, self.loads, held=self.held)
        return Solid(
            self.domain, self.materials, supports, x=self.x, laws=self._laws, degree=self.physics.order
        )

    # -- loads ---------------------------------------------------------------------------------------

    @property
    def load(self) -> MechanicalLoad:
        """The one that is being applied."""
        return self.loads[self.position]

    @property
    def wall(self) -> bool:
        """Whether there is a wall, not a plate that presses."""
        return len(self.solid.state()["walls"]) > 0

    @property
    def inward(self) -> float:
        """How far plate or wall have moved into the sample, µm."""
        state = self.solid.state()
        (moved,) = [*state["plates"], *state["walls"]]
        return -face_axis(self.physics.face)[1] * float(moved)

    def begin(self, position: int) -> None:
        """Get ready for a load; ``"hold"`` turns the plate into a wall."""
        self.position = position
        if self.load.kind == "hold" and not self.wall:
            self.hold()
        self._from = self.inward if self.wall else self._plate
        self._x_from = dict(self.lithiation)

    def hold(self) -> None:
        """From now on the plate stays where it is."""
        state = self.solid.state()
        self.held = True
        self.solid = self._make()
        self.solid.restore({**state, "plates": np.zeros(0), "walls": state["plates"]})
        self._kept = self.solid.state()

    def pressure(self) -> float:
        """What plate or wall press with, MPa over the whole face of the box."""
        return self.solid.pressure_on(self.physics.face)

    def _put(self, lithiation: Mapping[str, float]) -> None:
        for phase, value in lithiation.items():
            assert self.x is not None
            dofs = np.asarray(self.x.function_space.dofmap.list)[self.domain.cells(phase), 0]
            self.x.x.array[dofs] = value
        self.lithiation = dict(lithiation)

    # -- TimeProblem ---------------------------------------------------------------------------------

    def attempt(self, step: float) -> None:
        """Find the balance at ``time + step`` loads."""
        self._attempted = step
        share = min(self.time + step - self.position, 1.0)
        values: dict[str, float] = {self.physics.face: self._from}
        if self.load.kind == "x":
            self._put({p: x + share * (self.load.value - x) for p, x in self._x_from.items()})
        elif self.load.kind in ("pressure", "close"):
            values[self.physics.face] += share * (self.load.value - self._from)
        self._pressed = values[self.physics.face]
        try:
            record = self.solid.solve(values)
        except NotConvergedError as failed:
            self._failed = failed
            raise
        self.iterations += record.iterations
        self.linear_iterations += record.linear_iterations

    def error(self) -> float:
        """No estimate: the increments are those of the study."""
        return 0.0

    def commit(self) -> None:
        """Keep the increment, and count the work of plate and swelling over it by the trapezoidal rule."""
        self.solid.accept()
        before, now = self._now, self._measure()
        self.external += (before["force"] + now["force"]) / 2 * (now["inward"] - before["inward"])
        for phase in self.lithiation:
            mean = (before[f"stress {phase}"] + now[f"stress {phase}"]) / 2
            self.chemical -= mean * (now[f"swelling {phase}"] - before[f"swelling {phase}"])
        self._kept, self._now, self._x_kept = self.solid.state(), now, dict(self.lithiation)
        self._plate = 0.0 if self.wall else self._pressed
        self.time += self._attempted

    def _measure(self) -> dict[str, float]:
        """Force (µN) and way (µm) of the plate; ∫σ_h (pJ) and ΔV/V of each phase that swells."""
        found = {
            "force": self.pressure() * box_face_area(self.domain, self.physics.face),
            "inward": self.inward,
        }
        self.averages = {of: self.solid.average(of) for of in ("hydrostatic", "von Mises")}
        if self.flowing:
            self.averages["plastic strain"] = self.solid.average("plastic strain")
        for phase, x in self.lithiation.items():
            strain = self.materials[phase].require("swelling.volume_strain")
            found[f"stress {phase}"] = self.mean("hydrostatic", phase) * self.volumes[phase]
            found[f"swelling {phase}"] = float(strain(x))
        return found

    def restore(self) -> None:
        """Forget the increment."""
        self.solid.restore(self._kept)
        self._put(self._x_kept)

    def interrupt(self) -> None:
        """Nothing depends on earlier increments but through the history."""

    def ways(self) -> Sequence[str]:
        """A direct solver, if the body is not too large for one."""
        nodes = self.domain.point_total * (8 if self.physics.order == 2 else 1)
        return ("a direct solver",) if 3 * nodes <= _DIRECT_LIMIT else ()

    def solve_by(self, way: str | None) -> None:
        """Attempts go this way from now on; None for the ordinary one."""
        self.solid.solve_directly(way is not None)

    def diagnose(self) -> Diagnosis:
        """Forces that are not balanced, where they are largest, and what the body lacks."""
        assert self._failed is not None
        cause = "a neck that is too thin, or a cell of very bad shape"
        if self._failed.reason == "no stiffness":
            cause = "nothing in the sample resists the plate"
        elif self._failed.reason == "not a number":
            cause = "a value is not a number"
        elif self.flowing:
            cause = f"{' and '.join(self.flowing)} flows all around and cannot carry more: its limit load is reached"
        return Diagnosis({"forces": self._failed.residual or math.nan}, self.solid.worst_place(), cause)

    # -- results -------------------------------------------------------------------------------------

    def mean(self, of: str, phase: str) -> float:
        """Over the volume of a phase: of ``"hydrostatic"``, ``"von Mises"`` or ``"plastic strain"``."""
        return self.domain.integrate(self.averages[of] * self.domain.dx(phase)) / self.volumes[phase]

    def largest(self, of: str, phase: str) -> float:
        """The largest mean of a cell of a phase."""
        average = self.averages[of]
        dofs = np.asarray(average.function_space.dofmap.list)[self.domain.cells(phase), 0]
        return float(max(self.domain.comm.allgather(float(average.x.array[dofs].max(initial=-math.inf)))))

    def row(self) -> dict[str, float]:
        """The numbers of this state: name with unit → value."""
        row = {"pressure [MPa]": self.pressure(), "closing [um]": self.inward}
        for phase in self.domain.meshed:
            row[f"mean hydrostatic stress {phase} [MPa]"] = self.mean("hydrostatic", phase)
            row[f"mean von Mises stress {phase} [MPa]"] = self.mean("von Mises", phase)
            row[f"largest von Mises stress {phase} [MPa]"] = self.largest("von Mises", phase)
        for phase in self.flowing:
            row[f"mean plastic strain {phase} [1]"] = self.mean("plastic strain", phase)
        row |= {f"lithiation {p} [1]": x for p, x in self.lithiation.items()}
        held = energies(self.solid)
        row |= {"elastic energy [pJ]": held.elastic, "plastic work [pJ]": held.plastic,
                "work of the plate [pJ]": self.external, "work of swelling [pJ]": self.chemical}  # fmt: skip
        if not any(moduli_vary(self.materials[p]) for p in self.lithiation):
            row["energy imbalance [1]"] = self.imbalance(held.total)
        return row

    def imbalance(self, spent: float) -> float:
        """What is missing between the work done and what has become of it (pJ), as a share of the most so far."""
        self.most = max(self.most, spent)
        return abs(self.external + self.chemical - spent) / self.most if self.most > 0 else 0.0

    def fields(self) -> tuple[dict[str, fem.Function], dict[str, fem.Function]]:
        """What is written: at nodes, and in cells."""
        cells = {"stress [MPa]": self.solid.average("stress")}
        cells |= {CELL_QUANTITIES[of]: average for of, average in self.averages.items()}
        if self.x is not None:
            cells["lithiation [1]"] = self.x
        return {"displacement [um]": self.solid.displacement}, cells

    def quantities(self) -> Quantities:
        """What the loads come to."""
        method = f"finite elements, degree {self.physics.order}"
        direction = self.physics.face[0]
        rows = [
            Quantity("stack_pressure", self.pressure(), "MPa", method, direction=direction),
            Quantity("closing", self.inward, "um", method, direction=direction),
        ]
        for phase in self.domain.meshed:
            rows += [
                Quantity(
                    "mean_hydrostatic_stress", self.mean("hydrostatic", phase), "MPa", method, phase=phase
                ),
                Quantity("mean_von_mises_stress", self.mean("von Mises", phase), "MPa", method, phase=phase),
            ]
        for phase in self.flowing:
            rows.append(
                Quantity("mean_plastic_strain", self.mean("plastic strain", phase), "1", method, phase=phase)
            )
        return Quantities(rows)

    # -- to go on ------------------------------------------------------------------------------------

    def kept_fields(self) -> dict[str, fem.Function]:
        """What a checkpoint holds, cell by cell."""
        return {"displacement": self.solid.displacement, **self.solid.history()}

    def numbers(self) -> dict[str, Any]:
        """With `kept_fields` all that decides what follows."""
        fields = {"displacement", *self.solid.history()}
        scalars = {k: v.tolist() for k, v in self.solid.state().items() if k not in fields}
        return {"time": self.time, "held": self.held, "plate": self._plate, "external": self.external,
                "most": self.most, "iterations": (self.iterations, self.linear_iterations),
                "chemical": self.chemical, "lithiation": self.lithiation, "scalars": scalars, "now": self._now,
                "from": self._from, "x_from": self._x_from}  # fmt: skip

    def resume(self, numbers: Mapping[str, Any]) -> None:
        """Go on from `numbers`; `kept_fields` have been filled."""
        self.time, self.external, self.chemical = numbers["time"], numbers["external"], numbers["chemical"]
        self.most = numbers["most"]
        self.iterations, self.linear_iterations = numbers["iterations"]
        self.solid.restore({**self.solid.state(), **{k: np.array(v) for k, v in numbers["scalars"].items()}})
        self._plate, self._from, self._x_from = numbers["plate"], numbers["from"], dict(numbers["x_from"])
        self._put(numbers["lithiation"])
        self._measure()
        self._kept, self._now, self._x_kept = self.solid.state(), dict(numbers["now"]), dict(self.lithiation)


class LoadRun:
    """The loads one after another: what is written after each increment, and where to go on.

    Attributes:
        earlier: Loads in the cycles before this one.
    """

    def __init__(self, task: Task, body: LoadedBody) -> None:
        self.task, self.body = task, body
        physics: MechanicsSection = task.physics
        self.events: list[str] = []
        self.statistics = StepStatistics()
        self.position, self.earlier = 0, 0.0
        self.next_step: float | None = None
        self.start, self.saved = clock.perf_counter(), ""
        share = 1.0 / physics.steps
        self.options = StepOptions(first=share, largest=share, smallest=share / 1000)
        self.path = task.folder / "checkpoints" / f"mechanics{task.suffix}.npz"
        self.key = task.checkpoint_key()
        found = None if task.fresh else self._load()
        self.columns = ("step", "load", "loads applied [1]", *body.row(), "Newton iterations",
                        "linear iterations", "wall time [s]")  # fmt: skip
        self._open(found["rows"] if found else None)

    def _open(self, rows: int | None) -> None:
        """Go on after so many increments, and what was written of them; None starts anew."""
        domain, now = self.body.domain, None if rows is None else self.earlier + self.body.time
        self.table = ScalarTable(self.task.path("scalars.csv"), self.columns, domain, keep_rows=rows)
        self.series = ResultSeries(self.task.path("results.pvd"), domain, keep_until=now)

    def _load(self) -> dict[str, Any] | None:
        body = self.body
        found = load_checkpoint(self.path, body.domain, self.key, {})
        if found is None:
            return None
        if found["held"]:
            body.hold()
        load_checkpoint(self.path, body.domain, self.key, {}, cells=body.kept_fields())
        body.resume(found)
        self.position, self.next_step, self.events = found["position"], found["next"], list(found["events"])
        self.earlier, self.statistics = found["earlier"], StepStatistics(**found["statistics"])
        log.info("going on after %.4g of %d loads", body.time, len(body.loads))
        return found

    def go(self) -> None:
        """Every load, from where the checkpoint left off."""
        if self.table.rows == 0:
            self._row()
            self._write_fields()
        with self.task.progress.task("mechanics", total=len(self.body.loads)) as shown:
            shown.advance(self.body.time)
            while self.position < len(self.body.loads):
                self._apply(shown)
        self._over(f"all of {self.position} load(s) are applied")

    def _over(self, reason: str) -> None:
        """The last of the events is why it ended."""
        self.events.append(reason)
        log.info("%s", reason)

    def _apply(self, shown: ProgressTask) -> None:
        body, text = self.body, self.task.physics.loads[self.position]
        if self.next_step is None:
            body.begin(self.position)
        body.position = self.position

        def accepted(length: float, following: float) -> None:
            self.next_step = following
            self._row()
            shown.advance(length, f"{text}: {body.pressure():.4g} MPa, closed by {body.inward:.4g} um")
            if self.statistics.accepted % self.task.physics.write_every == 0:
                self._write_fields()
            if self.statistics.accepted % _CHECKPOINT_EVERY == 0:
                self._save()

        run_until(body, self.position + 1.0, self.options, accepted=accepted, step=self.next_step,
                  statistics=self.statistics, checkpoint=self._last_good, unit="loads")  # fmt: skip
        body.time = self.position + 1.0
        self.events.append(
            f"load {self.position + 1} ({text}): {body.pressure():.5g} MPa, {body.inward:.5g} um"
        )
        log.info("%s", self.events[-1])
        if self.statistics.accepted % self.task.physics.write_every:
            self._write_fields()
        self.position, self.next_step = self.position + 1, None
        self._save()

    def more(self) -> dict[str, Any]:
        """What else a checkpoint keeps."""
        return {}

    def _last_good(self) -> str:
        """Keep the state before the increment that failed, and say where."""
        if self.statistics.accepted % self.task.physics.write_every:
            self._write_fields()
        self._save()
        return self.saved

    def _row(self) -> None:
        body = self.body
        values = (self.table.rows, self.position + 1, self.earlier + body.time, *body.row().values(), body.iterations,
                  body.linear_iterations, round(clock.perf_counter() - self.start, 2))  # fmt: skip
        self.table.append(dict(zip(self.columns, values, strict=True)))

    def _write_fields(self) -> None:
        self.series.write(self.earlier + self.body.time, *self.body.fields())

    def _save(self) -> None:
        body = self.body
        values = {**body.numbers(), "position": self.position, "next": self.next_step, "rows": self.table.rows,
                  "events": self.events, "earlier": self.earlier,
                  "statistics": dataclasses.asdict(self.statistics), **self.more()}  # fmt: skip
        save_checkpoint(self.path, body.domain, self.key, {}, values, cells=body.kept_fields())
        body.solid.forget()  # a run that goes on from here starts without it too
        self.saved = f"checkpoints/{self.path.name} after {self.earlier + body.time:.4g} loads"
