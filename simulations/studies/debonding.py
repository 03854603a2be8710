"""Interfaces that break under the loads of a mechanics study."""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from pxm2mesh.materials import Material
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.study.damage import Debonding as DebondingSection
from pxm2mesh.study.mechanics import MechanicalLoad, parse_load
from simulations.base import compat
from simulations.base.domain import Domain, on_root
from simulations.base.fields import node_blocks
from simulations.base.output import ScalarTable
from simulations.models.cohesive import CohesiveInterfaces
from simulations.models.cohesive_history import BondHistory
from simulations.models.cohesive_laws import CohesiveLaw
from simulations.models.damaged_state import Conductors, DamagedState
from simulations.models.fatigue import CycleRecord, JumpOptions, run_cycles
from simulations.models.islands import without_islands
from simulations.models.mechanics import Solid
from simulations.models.solid_solver import SolverOptions
from simulations.studies.bonds import bond_laws, load_bonds, save_bonds
from simulations.studies.mechanics import LoadedBody, LoadRun, materials_of, supports_of
from simulations.studies.task import Answer, Task

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]

CYCLE_COLUMNS = (
    "cycle", "jumped over before it", "computed cycle", "mean damage [1]", "toughness left [1]",
)  # fmt: skip
WORK_ERROR = 0.001
"""Share of the energy that a step may lose in the integral of the work: kinks in the traction cost steps."""


def debond(task: Task) -> Answer:
    """Apply the loads of a ``model = "debonding"`` entry.

    Args:
        task: The entry with its study, mesh and folder.

    Returns:
        Areas by state, energies, and what a mechanics study gives.
    """
    physics: DebondingSection = task.physics
    whole = task.domain(cut=physics.bonds)
    materials = materials_of(task, whole)
    laws = on_root(
        task.comm,
        lambda: bond_laws(task, whole, physics, viscosity=physics.viscosity, fatigue=physics.fatigue),
    )
    for name, law in laws.items():
        log.info(
            "%s: strength %.4g MPa, fracture energy %.4g J/m2, open at %.3g um",
            name, law.strength, law.fracture_energy, law.failure_gap,
        )  # fmt: skip
    loads = tuple(parse_load(text) for text in physics.loads)
    domain = without_islands(whole, supports_of(physics, loads))
    conductors = Conductors.of(domain, materials, collector=physics.face)
    run = _BondRun(task, BondedBody(domain, materials, physics, loads, laws), conductors, whole)
    run.go()
    body = run.body
    facts = {"events": run.events, "steps": run.statistics.accepted, "rejected": run.statistics.rejected,
             "failed": run.statistics.failed, "newton": body.iterations,
             "held fraction": domain.volume() / whole.volume(),
             "unknowns": 3 * body.solid.space.dofmap.index_map.size_global}  # fmt: skip
    if physics.cycles is not None:
        facts["cycles"] = asdict(run.record)
    return Answer(body.quantities() + run.damage().quantities(), facts)


class BondedBody(LoadedBody):
    """A loaded body whose interfaces can break."""

    physics: DebondingSection

    def __init__(
        self,
        domain: Domain,
        materials: Mapping[str, Material],
        physics: DebondingSection,
        loads: tuple[MechanicalLoad, ...],
        bonds: Mapping[str, CohesiveLaw],
    ) -> None:
        self._bonds = dict(bonds)
        self._limit, self._anyway = physics.limit, 0.0
        super().__init__(domain, materials, physics, loads)

    @property
    def cohesion(self) -> CohesiveInterfaces:
        """Of the solid."""
        assert self.solid.cohesion is not None
        return self.solid.cohesion

    def _make(self) -> Solid:
        supports = supports_of(self.physics, self.loads, held=self.held)
        return Solid(
            self.domain, self.materials, supports, x=self.x, laws=self._laws, bonds=self._bonds,
            degree=self.physics.order,
            options=SolverOptions().not_symmetric(self.domain.point_total, self.physics.order),
        )  # fmt: skip

    def attempt(self, step: float) -> None:
        """Find the balance at ``time + step`` loads."""
        self.cohesion.step = step
        if self.physics.fatigue is not None:  # toughness that has fallen breaks bonds, however short the step
            self._anyway = self.cohesion.largest_change()
        super().attempt(step)

    def error(self) -> float:
        """Square of the largest share of G_c that a point spends, and of the work that is missed, by their limits."""
        spent = max(self.cohesion.largest_change() - self._anyway, 0.0) / self._limit
        missed = abs(self.cohesion.work_error(self.most))
        return max(spent, missed / WORK_ERROR) ** 2

    def row(self) -> dict[str, float]:
        """Also areas and energies of the bonds."""
        row = super().row()
        for name in self._bonds:
            areas = self.cohesion.areas(name)
            for state in ("bonded", "closed", "open", "effective"):
                row[f"{state} area {name} [um2]"] = getattr(areas, state)
        energies = self.cohesion.energies()
        row |= {f"{kind} energy of bonds [pJ]": value for kind, value in energies.items()}
        if "energy imbalance [1]" in row:
            spent = row["elastic energy [pJ]"] + row["plastic work [pJ]"] + sum(energies.values())
            row["energy imbalance [1]"] = self.imbalance(spent)
        return row

    def fields(self) -> tuple[dict[str, fem.Function], dict[str, fem.Function]]:
        """Also damage and gap, at the nodes of the interfaces."""
        nodes, cells = super().fields()
        averages = self.cohesion.averages()
        for name in ("damage [1]", "gap [um]", "normal traction [MPa]"):
            nodes[f"interface {name}"] = on_nodes(self.cohesion, averages[name])
        return nodes, cells

    def quantities(self) -> Quantities:
        """Also contact."""
        rows = []
        for name in self._bonds:
            areas = self.cohesion.areas(name)
            for state in ("bonded", "closed", "open"):
                value = getattr(areas, state) / areas.total
                rows.append(Quantity(f"{state}_fraction", value, "1", "cohesive interfaces", interface=name))
        spent = self.cohesion.energies()["dissipated"]
        rows.append(Quantity("debonding_energy", spent, "pJ", "cohesive interfaces"))
        return super().quantities() + Quantities(rows)

    def keep(self) -> None:
        """What the solid is now is what `restore` goes back to."""
        self._kept = self.solid.state()

    def numbers(self) -> dict[str, Any]:
        """Without the bonds, which have a file of their own."""
        numbers = super().numbers()
        kept = {name: v for name, v in numbers["scalars"].items() if not name.startswith("bonds/")}
        return {**numbers, "scalars": kept}


def on_nodes(cohesion: CohesiveInterfaces, values: Floats) -> fem.Function:
    """Values of facets, averaged at the nodes of both sides; zero away from the interfaces."""
    domain, interface = cohesion.domain, cohesion.interface
    space = fem.functionspace(domain.mesh, ("Lagrange", 1))
    total, weight = fem.Function(space), fem.Function(space)
    blocks = node_blocks(domain, space)
    area = interface.weights.sum(axis=1)
    chosen = np.isin(domain.cuts.index, interface.index)
    nodes = blocks[domain.cuts.points[chosen]].reshape(len(area), 6)
    for function, what in ((total, area * values), (weight, area)):
        function.x.array[:] = np.bincount(nodes.ravel(), np.repeat(what, 6), len(function.x.array))
        compat.add_ghosts(function.x.petsc_vec)
        compat.update_ghosts(function.x.petsc_vec)
    held = weight.x.array > 0
    total.x.array[held] /= weight.x.array[held]
    return total


class _BondRun(LoadRun):
    """Keeps the state of the bonds beside each checkpoint, and tables of what loads and cycles leave of the sample.

    Attributes:
        record: Of the cycles.
    """

    body: BondedBody

    def __init__(self, task: Task, body: BondedBody, conductors: Conductors, whole: Domain) -> None:
        self.physics: DebondingSection = task.physics
        self.record, self._in_cycle, self._load_rows = CycleRecord(), False, 0
        super().__init__(task, body)
        self._damage = DamagedState(body.cohesion, conductors, whole)
        again = self.table.rows > 0
        now = self._numbers()
        self.loads = ScalarTable(
            task.path("loads.csv"), ("load", *now), body.domain, keep_rows=self._load_rows if again else None
        )
        self.cycles: ScalarTable | None = None
        if self.physics.cycles is not None:
            columns = (*CYCLE_COLUMNS, *now, "wall time [s]")
            kept = len(self.record.resolved) if again else None
            self.cycles = ScalarTable(task.path("cycles.csv"), columns, body.domain, keep_rows=kept)
        if not again:
            self._add_load(now)

    def damage(self) -> DamagedState:
        """What is left of the sample now."""
        self._damage.cohesion = self.body.cohesion  # another one since the plate is held
        return self._damage

    def go(self) -> None:
        """Every load, and every cycle, from where the checkpoint left off."""
        physics = self.physics
        if physics.cycles is None or physics.fatigue is None:
            super().go()
            return
        if self.table.rows == 0:
            self._row()
            self._write_fields()
        with self.task.progress.task("mechanics", total=physics.once + physics.cycles) as self.shown:
            self.shown.advance(min(self.position, physics.once) + self.record.done)
            while self.position < physics.once:
                self._apply(self.shown)
            run_cycles(
                LoadCycles(self), physics.cycles, JumpOptions.of(physics.fatigue), record=self.record,
                accepted=self._cycle_over,
            )  # fmt: skip
        self._over(f"cycle {physics.cycles} is over, {self.record.spent} were computed")

    def cycle(self) -> None:
        """The loads behind the last "hold", one after another; nothing is saved before all are over."""
        first, told = self.physics.once, len(self.events)
        self._in_cycle = True
        while self.position < len(self.body.loads):
            with self.task.progress.task("cycle") as shown:
                self._apply(shown)
        del self.events[told:]
        self._in_cycle = False
        self.earlier += len(self.body.loads) - first
        self.position, self.body.time = first, float(first)

    def mark(self) -> dict[str, Any]:
        """Where `back_to` goes back to."""
        return {"rows": self.table.rows, "earlier": self.earlier}

    def back_to(self, mark: Mapping[str, Any]) -> None:
        """Take back what a cycle has written that does not count."""
        self.earlier = mark["earlier"]
        self._open(mark["rows"])

    def _cycle_over(self, number: int) -> None:
        assert self.cycles is not None and self.physics.fatigue is not None
        bonds, jumped = self.body.cohesion, self.record.jumped
        means = [bonds.interface.mean(values) for values in (bonds.damage, bonds.weakening())]
        values = (number, jumped, self.record.spent, *means)
        self.cycles.append({
            **dict(zip(CYCLE_COLUMNS, values, strict=True)), **self._numbers(),
            "wall time [s]": round(clock.perf_counter() - self.start, 2),
        })  # fmt: skip
        self.shown.advance(jumped + 1, f"cycle {number}, toughness left {means[1]:.3g}")
        if self.record.since < self.physics.fatigue.resolve or number == self.physics.cycles:
            self._save()

    def _numbers(self) -> dict[str, Any]:
        return {"pressure [MPa]": self.body.pressure()} | self.damage().columns()

    def _add_load(self, now: dict[str, Any]) -> None:
        self.loads.append({"load": self.loads.rows} | now)

    def _file(self, rows: int) -> Path:
        return self.path.with_name(f"{self.path.stem}-bonds-{rows}.npz")

    def more(self) -> dict[str, Any]:
        """Cycles, and how long the table of loads is."""
        return {"record": asdict(self.record), "load rows": self.loads.rows}

    def _save(self) -> None:
        if self.loads.rows == self.position:  # a load has ended
            self._add_load(self._numbers())
        if self._in_cycle:
            return
        save_bonds(self._file(self.table.rows), self.body.cohesion)
        super()._save()
        on_root(self.task.comm, self._tidy)

    def _tidy(self) -> None:
        for old in self.path.parent.glob(f"{self.path.stem}-bonds-*.npz"):
            if old != self._file(self.table.rows):
                old.unlink()

    def _load(self) -> dict[str, Any] | None:
        found = super()._load()
        if found is None:
            return None
        load_bonds(self._file(found["rows"]), self.body.cohesion)
        self.body.keep()
        self.record = CycleRecord(**found["record"])
        self._load_rows = found["load rows"]
        return found


class LoadCycles(BondHistory):
    """The loads of a study, again and again, for `simulations.models.fatigue.run_cycles`.

    Args:
        run: Goes through them.
    """

    def __init__(self, run: _BondRun) -> None:
        super().__init__(run.body.cohesion)
        self.run = run

    def cycle(self) -> None:
        """All loads once."""
        self.run.cycle()

    def extrapolate(self, history: Floats) -> None:
        """Take an accumulated energy that was not resolved; damage follows in the next cycle."""
        super().extrapolate(history)
        self.run.body.keep()

    def state(self) -> Mapping[str, Any]:
        """Of the body, and how much has been written."""
        body = self.run.body
        return {"solid": body.solid.state(), "numbers": body.numbers(), "written": self.run.mark()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Of the body, and of what has been written."""
        self.run.body.solid.restore(state["solid"])
        self.run.body.resume(state["numbers"])
        self.run.back_to(state["written"])
