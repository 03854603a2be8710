"""Particles that take and give lithium: a protocol of rates, fluxes and fixed surfaces, with tables and checkpoints."""

from __future__ import annotations

import logging
import math
import time as clock
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem

from pxm2mesh.errors import GeometryError, StudyError
from pxm2mesh.materials import Material
from pxm2mesh.progress import Task as ProgressTask
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.study.diffusion import Diffusion as DiffusionSection
from pxm2mesh.study.diffusion import LithiumStep, parse_lithium_step
from pxm2mesh.tetmesh import TetMesh
from simulations.base import compat, cutting
from simulations.base.checkpoint import load_checkpoint, save_checkpoint
from simulations.base.domain import Domain, on_root
from simulations.base.output import ResultSeries, ScalarTable
from simulations.base.stepping import Event, StepOptions, StepStatistics, run_until
from simulations.models.diffusion import Diffusion, DiffusionOptions
from simulations.models.kinetics import FARADAY, ButlerVolmer
from simulations.studies.task import Answer, Task

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]

COLUMNS = (
    "step", "protocol step", "time [s]", "time step [s]", "voltage [V]", "current density [A/m2]", "rate [C]",
    "charge [pC]", "mean lithiation [1]", "lowest lithiation [1]", "highest lithiation [1]",
    "mean surface lithiation [1]", "lowest surface lithiation [1]", "highest surface lithiation [1]",
    "lithium balance [1]", "Newton iterations", "linear iterations", "wall time [s]",
)  # fmt: skip
_EDGE = 0.01
"""Share of lithium at the contact at which a step ends: nothing is left, or nothing fits in."""
_CHECKPOINT_EVERY = 10
_PURPOSE = "diffusion"


def diffuse(task: Task) -> Answer:
    """Run the protocol of a ``model = "diffusion"`` entry.

    Args:
        task: The entry with its study, mesh and folder.

    Returns:
        Capacity, voltage and state of lithiation at the end, and what took part.
    """
    physics: DiffusionSection = task.physics
    whole = task.domain()
    task.require_cells(whole, [physics.active])
    material = task.materials(whole, [physics.active])[physics.active]
    domain, share = particles_at(whole, physics.active, physics.contact)
    log.info("%.2f %% of %s touches %s", 100 * share, physics.active, physics.contact)
    run = _Run(task, Particles(domain, material, physics))
    run.go()
    facts = {"events": run.events, "steps": run.statistics.accepted, "rejected": run.statistics.rejected,
             "failed": run.statistics.failed, "newton": run.particles.iterations,
             "unknowns": run.particles.x.function_space.dofmap.index_map.size_global}  # fmt: skip
    return Answer(run.particles.quantities(share), facts)


def particles_at(whole: Domain, active: str, contact: str) -> tuple[Domain, float]:
    """The particles that have a part of the contact, alone, and their share of the phase's volume.

    Args:
        whole: The sample.
        active: Phase of the particles.
        contact: Interface of theirs.

    Raises:
        GeometryError: There is no such interface in the sample.
    """

    def find() -> tuple[npt.NDArray[np.bool_], float]:
        assert whole.source is not None and whole.links is not None
        return _touching(whole.source, whole.links, active, contact)

    keep, share = on_root(whole.comm, find)
    return whole.restricted(phases=[active], keep=keep, cut=()), share


def _touching(
    mesh: TetMesh, links: cutting.Links, active: str, contact: str
) -> tuple[npt.NDArray[np.bool_], float]:
    inside = mesh.cell_phase() == mesh.phases[active].label
    _, component = cutting.components(len(mesh.cells), links.near, inside)
    touches = cutting.reaches(mesh, links.owner, component, [contact])[contact]
    if not touches.any():
        raise GeometryError(f"there is no interface {contact!r} in this mesh;", hint="check the phases.")
    keep = inside & touches[component]
    volumes = mesh.cell_volumes()
    return keep, float(volumes[keep].sum() / volumes[inside].sum())


class Particles(Diffusion):
    """Diffusion with what is measured at it: current, charge and voltage.

    Lithium passes evenly through the contact. The voltage is the mean over the contact of U(x) and the overpotential
    that this current density takes by the kinetics of the material.

    Args:
        domain: From `particles_at`.
        material: Of the particles.
        physics: The section of the study.

    Attributes:
        charge: pC that have passed; positive charges, lithium leaves.
        density: Mean current density at the contact at the end of the last attempt, A/m².
        one_c: pA that charge the window of the open-circuit voltage in an hour.
    """

    def __init__(self, domain: Domain, material: Material, physics: DiffusionSection) -> None:
        self.material, self.physics, self.contact = material, physics, physics.contact
        given, c_max = physics.diffusivity, physics.maximum_concentration
        super().__init__(
            domain,
            material.require("transport.diffusivity", purpose=_PURPOSE) if given is None else given.value,
            float(material.require("transport.maximum_concentration", purpose=_PURPOSE))
            if c_max is None
            else c_max.value,
            physics.initial,
            flux={physics.contact: 0.0},
            options=DiffusionOptions(tolerance=physics.tolerance, order=physics.order),
        )
        self.area, self.volume = domain.area(self.contact), domain.volume()
        ocv = material.get("kinetics.open_circuit_voltage")
        self.kinetics = (
            None
            if ocv is None or material.get("kinetics.exchange_current_density") is None
            else ButlerVolmer.of(material, temperature=physics.temperature.value)
        )
        low, high = (0.0, 1.0) if ocv is None or ocv.valid is None else ocv.valid
        self.one_c = FARADAY * self.c_max * (high - low) * self.volume / 3600
        self.charge, self.density, self._fixed, self._flux = 0.0, 0.0, False, 0.0
        self._started = self.amount()
        self._amounts = (self._started, self._started)
        self._weights = self._contact_weights()

    # -- control -------------------------------------------------------------------------------------

    def pass_flux(self, flux: float) -> None:
        """From now on this much leaves evenly through the contact, amol/µm²/s."""
        if self._fixed:
            self.release(self.contact)
        self._fixed, self._flux, self.density = False, flux, FARADAY * flux
        self.set_flux(**{self.contact: flux})
        self.interrupt()

    def fix_contact(self, x: float) -> None:
        """From now on x at the contact is fixed."""
        self.set_flux(**{self.contact: 0.0})
        self.hold(self.contact, x)
        self._fixed, self._flux = True, 0.0
        self.interrupt()

    # -- what is measured ----------------------------------------------------------------------------

    def _contact_weights(self) -> tuple[npt.NDArray[np.int32], Floats]:
        """Unknowns on the contact that this rank owns, and the area that belongs to each."""
        space = self.x.function_space
        form = fem.form(ufl.TestFunction(space) * self.domain.ds(self.contact))
        vector = compat.create_vector(form, space)
        compat.assemble_vector(vector, form)
        compat.add_ghosts(vector)
        dofs = self.domain.dofs_on(space, self.contact)
        dofs = dofs[dofs < space.dofmap.index_map.size_local]
        weights = np.array(vector.array)[dofs]
        vector.destroy()
        return dofs, weights

    def surface(self) -> Floats:
        """X at the unknowns of the contact on this rank."""
        return np.asarray(self.x.x.array[self._weights[0]])

    def _mean_of(self, values: Floats) -> float:
        comm = self.domain.comm
        total = comm.allreduce(np.array([values @ self._weights[1], self._weights[1].sum()]))
        return float(total[0] / total[1])

    def surface_range(self) -> tuple[float, float, float]:
        """Lowest, mean and highest x at the contact."""
        x, comm = self.surface(), self.domain.comm
        low = min(comm.allgather(float(x.min(initial=math.inf))))
        return low, self._mean_of(x), max(comm.allgather(float(x.max(initial=-math.inf))))

    @property
    def current(self) -> float:
        """PA, positive charges."""
        return self.density * self.area

    def voltage(self) -> float:
        """V; NaN for a material without an open-circuit voltage or exchange current density."""
        if self.kinetics is None:
            return math.nan
        x = np.clip(self.surface(), 1e-4, 1 - 1e-4)
        return self._mean_of(self.kinetics.open_circuit(x) + self.kinetics.overpotential(x, self.density))

    def balance(self) -> float:
        """Lithium that is not accounted for, as a share of what has passed (of 1C for 4 ms at least)."""
        passed = FARADAY * (self._started - self.amount())
        return abs(passed - self.charge) / max(abs(self.charge), 1e-6 * self.one_c * 3600)

    # -- steps ---------------------------------------------------------------------------------------

    def attempt(self, step: float) -> None:
        """As for diffusion; the current at a fixed surface is the rate at which the amount changes."""
        super().attempt(step)
        if self._fixed:
            a0, a1, a2 = self.bdf.weights(step)
            rate = a0 * self.amount() + a1 * self._amounts[0] + a2 * self._amounts[1]
            self.density = -FARADAY * rate / self.area

    def commit(self) -> None:
        """Keep the step; a flux passes what it says, whatever the fields are."""
        amount = self.amount()
        if self._fixed:
            self.charge += FARADAY * (self._amounts[0] - amount)
        else:
            self.charge += FARADAY * self._flux * self.area * self.attempted
        self._amounts = (amount, self._amounts[0])
        super().commit()

    # -- to go on, and at the end --------------------------------------------------------------------

    def numbers(self) -> dict[str, Any]:
        """With the history of x all that decides what follows."""
        return {"time": self.time, "charge": self.charge, "density": self.density, "started": self._started,
                "amounts": list(self._amounts), "last_step": self.bdf.last_step}  # fmt: skip

    def resume(self, numbers: Mapping[str, Any]) -> None:
        """Go on from `numbers`; the history of x has been filled."""
        self.time, self.charge, self.density = numbers["time"], numbers["charge"], numbers["density"]
        self._started, self._amounts = numbers["started"], (numbers["amounts"][0], numbers["amounts"][1])
        self.bdf.last_step = numbers["last_step"]
        self.restore()

    def quantities(self, share: float) -> Quantities:
        """What the run comes to."""
        method = f"diffusion, finite elements, degree {self.physics.order}"
        active = self.physics.active
        rows = [
            Quantity("final_lithiation", self.mean(), "1", method, phase=active),
            Quantity("charged_time", self.time, "s", method),
            Quantity("connected_fraction", share, "1", method, phase=active),
        ]
        voltage = self.voltage()
        if math.isfinite(voltage):
            rows.append(Quantity("final_voltage", voltage, "V", method))
        density = self.material.get("transport.density")
        if density is not None:
            grams = self.volume * 1e-18 * float(density) * 1e3
            rows.append(
                Quantity("capacity", self.charge * 1e-12 / 3.6 / grams, "mAh/g", method, phase=active)
            )
        return Quantities(rows)


class _Run:
    """One protocol on its way: what is written after each step, and where to go on."""

    def __init__(self, task: Task, particles: Particles) -> None:
        self.task, self.particles = task, particles
        physics: DiffusionSection = task.physics
        self.steps = tuple(parse_lithium_step(text) for text in physics.protocol)
        if particles.kinetics is None and any(s.until == "voltage" for s in self.steps):
            raise StudyError(f"{particles.material.name} has no voltage to end a step at;",
                             hint="end it at x, or give the material kinetics.")  # fmt: skip
        self.events: list[str] = []
        self.statistics = StepStatistics()
        self.position, self.began = 0, 0.0
        self.next_step: float | None = None
        self.start, self.saved = clock.perf_counter(), ""
        largest = math.inf if physics.largest_step is None else physics.largest_step.value
        self.options = StepOptions(first=physics.first_step.value, largest=largest)
        self.path = task.folder / "checkpoints" / f"diffusion{task.suffix}.npz"
        self.key = task.checkpoint_key()
        found = None if task.fresh else self._load()
        if found is not None:
            self._resume(found)
        domain = particles.domain
        self.table = ScalarTable(
            task.path("scalars.csv"), COLUMNS, domain, keep_rows=found["rows"] if found else None
        )
        self.series = ResultSeries(
            task.path("results.pvd"), domain, keep_until=particles.time if found else None
        )

    def _fields(self) -> tuple[dict[str, fem.Function], dict[str, fem.Function]]:
        """What a checkpoint holds by node and by cell."""
        bdf = self.particles.bdf
        history = {"old": bdf.old, "older": bdf.older}
        return (history, {}) if self.task.physics.order == 1 else ({}, history)

    def _load(self) -> dict[str, Any] | None:
        nodes, cells = self._fields()
        return load_checkpoint(self.path, self.particles.domain, self.key, nodes, cells=cells)

    def _resume(self, found: Mapping[str, Any]) -> None:
        self.particles.resume(found)
        self.position, self.began, self.next_step = found["position"], found["began"], found["next"]
        self.events = list(found["events"])
        log.info("going on at t = %.6g s, step %d of the protocol", self.particles.time, self.position + 1)

    def go(self) -> None:
        """Every step of the protocol, from where the checkpoint left off."""
        with self.task.progress.task("diffusion", total=len(self.steps)) as shown:
            shown.advance(self.position)
            while self.position < len(self.steps):
                self._step(self.steps[self.position], shown)

    def _step(self, step: LithiumStep, shown: ProgressTask) -> None:
        particles, last = self.particles, self.particles.bdf.last_step
        if step.kind == "x":
            particles.fix_contact(step.value)
        else:
            flux = step.value
            if step.kind == "rate":
                flux = step.value * particles.one_c / particles.area / FARADAY
            particles.pass_flux(flux)
        if self.next_step is None:
            self.began = particles.time
            self._row(0.0)
            if particles.time == 0.0:
                self._write_fields()
        else:  # the checkpoint stands within this step: its history goes on
            particles.bdf.last_step = last
        events = self._events(step)

        def accepted(length: float, following: float) -> None:
            self.next_step = following
            self._row(length)
            done = (particles.time - self.began) / step.until_time
            shown.advance(0.0, f"t = {particles.time:.4g} s, x = {particles.mean():.4f}, {done:.0%}")
            if self.statistics.accepted % self.task.physics.write_every == 0:
                self._write_fields()
            if self.statistics.accepted % _CHECKPOINT_EVERY == 0:
                self._save()

        met = [] if step.kind == "x" else [e for e in events if e.value() >= -self.options.event_width]
        if met:
            reason = f"{met[0].name} already holds"
        else:
            event, _ = run_until(
                particles, self.began + step.until_time, self.options, events=events, accepted=accepted,
                step=self.next_step, statistics=self.statistics, checkpoint=lambda: self.saved,
            )  # fmt: skip
            reason = event.name if event is not None else "time is over"
        self.events.append(f"step {self.position + 1}: {reason} at t = {particles.time:.6g} s")
        log.info("%s", self.events[-1])
        self._write_fields()
        self.position, self.next_step = self.position + 1, None
        shown.advance(1.0, reason)
        self._save()

    def _events(self, step: LithiumStep) -> list[Event]:
        particles, level, sign = self.particles, step.level, step.sign
        if step.kind == "rest":
            return []
        if step.kind == "x":
            small = Event(
                f"rate fell to {level:g} C", lambda: level - abs(particles.current) / particles.one_c
            )
            return [small] if step.until else []
        end = {
            "voltage": (f"voltage reached {level:g} V", lambda: sign * (particles.voltage() - level)),
            "mean": (f"mean x reached {level:g}", lambda: sign * (level - particles.mean())),
            "surface": (f"x at the contact reached {level:g}",
                        lambda: sign * (level - particles.surface_range()[0 if sign > 0 else 2])),
        }  # fmt: skip
        return [
            Event("lithium at the contact is used up", lambda: _EDGE - particles.surface_range()[0]),
            Event("the contact is full of lithium", lambda: particles.surface_range()[2] - (1 - _EDGE)),
            *([Event(*end[step.until])] if step.until else []),
        ]

    def _row(self, length: float) -> None:
        particles = self.particles
        low, high = particles.extent()
        lowest, mean, highest = particles.surface_range()
        self.table.append(dict(zip(COLUMNS, (
            self.table.rows, self.position + 1, particles.time, length, particles.voltage(), particles.density,
            particles.current / particles.one_c, particles.charge, particles.mean(), low, high,
            lowest, mean, highest, particles.balance(), particles.iterations, particles.linear_iterations,
            round(clock.perf_counter() - self.start, 2),
        ), strict=True)))  # fmt: skip

    def _write_fields(self) -> None:
        x = self.particles.x
        concentration = x.copy()
        concentration.x.array[:] *= self.particles.c_max
        self.series.write(self.particles.time, {"lithiation [1]": x, "concentration [mol/m3]": concentration})

    def _save(self) -> None:
        nodes, cells = self._fields()
        values = {**self.particles.numbers(), "position": self.position, "began": self.began,
                  "next": self.next_step, "rows": self.table.rows, "events": self.events}  # fmt: skip
        save_checkpoint(self.path, self.particles.domain, self.key, nodes, values, cells=cells)
        self.saved = f"checkpoints/{self.path.name} at t = {self.particles.time:.6g} s"
