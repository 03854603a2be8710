"""Interfaces that break under the loads of a mechanics study."""

from __future__ import annotations

import logging
from collections.abc import Mapping
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
from simulations.models.cohesive_laws import CohesiveLaw
from simulations.models.damaged_state import Conductors, DamagedState
from simulations.models.islands import without_islands
from simulations.models.mechanics import Solid
from simulations.models.solid_solver import SolverOptions
from simulations.studies.bonds import bond_laws, load_bonds, save_bonds
from simulations.studies.mechanics import LoadedBody, LoadRun, materials_of, supports_of
from simulations.studies.task import Answer, Task

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]

WORK_ERROR = 0.002
"""Share of the bonds' energy that a step may lose in the integral of the work: kinks in the traction cost steps."""


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
    laws = on_root(task.comm, lambda: bond_laws(task, whole, physics, viscosity=physics.viscosity))
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
    return Answer(body.quantities() + run.damage().quantities(), facts)


class BondedBody(LoadedBody):
    """A loaded body whose interfaces can break."""

    def __init__(
        self,
        domain: Domain,
        materials: Mapping[str, Material],
        physics: DebondingSection,
        loads: tuple[MechanicalLoad, ...],
        bonds: Mapping[str, CohesiveLaw],
    ) -> None:
        self._bonds = dict(bonds)
        self._limit = physics.limit
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
            options=SolverOptions().for_softening(self.domain.point_total, self.physics.order),
        )  # fmt: skip

    def attempt(self, step: float) -> None:
        """Find the balance at ``time + step`` loads."""
        self.cohesion.step = step
        super().attempt(step)

    def error(self) -> float:
        """Square of the largest share of G_c that a point spends, and of the work that is missed, by their limits."""
        spent = self.cohesion.largest_change() / self._limit
        return max(spent, abs(self.cohesion.work_error()) / WORK_ERROR) ** 2

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
            missing = self.external + self.chemical - spent
            row["energy imbalance [1]"] = abs(missing) / max(spent, 1e-300) if spent > 0 else 0.0
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
    """Keeps the state of the bonds beside each checkpoint, and a table of what each load has left of the sample."""

    body: BondedBody

    def __init__(self, task: Task, body: BondedBody, conductors: Conductors, whole: Domain) -> None:
        super().__init__(task, body)
        self._damage = DamagedState(body.cohesion, conductors, whole)
        again = body.time > 0
        now = self._numbers()
        self.loads = ScalarTable(
            task.path("loads.csv"), ("load", *now), body.domain,
            keep_rows=self.position + 1 if again else None,
        )  # fmt: skip
        if not again:
            self._add_load(now)

    def damage(self) -> DamagedState:
        """What is left of the sample now."""
        self._damage.cohesion = self.body.cohesion  # another one since the plate is held
        return self._damage

    def _numbers(self) -> dict[str, Any]:
        return {"pressure [MPa]": self.body.pressure()} | self.damage().columns()

    def _add_load(self, now: dict[str, Any]) -> None:
        self.loads.append({"load": self.loads.rows} | now)

    def _file(self, rows: int) -> Path:
        return self.path.with_name(f"{self.path.stem}-bonds-{rows}.npz")

    def _save(self) -> None:
        if self.loads.rows == self.position:  # a load has ended
            self._add_load(self._numbers())
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
        return found
