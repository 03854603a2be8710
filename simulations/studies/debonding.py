"""Interfaces that break under the loads of a mechanics study."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from pxm2mesh.errors import DataError, Pxm2meshError, StudyError
from pxm2mesh.files import replacing
from pxm2mesh.materials import Material, read_material
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.study.damage import Debonding as DebondingSection
from pxm2mesh.study.mechanics import MechanicalLoad, parse_load
from simulations.base import compat
from simulations.base.domain import Domain, canonical_name, on_root
from simulations.base.fields import node_blocks
from simulations.models.cohesive import CohesiveInterfaces
from simulations.models.cohesive_laws import CohesiveLaw
from simulations.models.islands import without_islands
from simulations.models.mechanics import Solid
from simulations.models.solid_solver import SolverOptions
from simulations.studies.mechanics import LoadedBody, LoadRun, materials_of, supports_of
from simulations.studies.task import Answer, Task

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]

DIRECT_BELOW = 60_000
"""Unknowns up to which the softening interfaces are solved by factorisation: faster and surer than GMRES."""


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
    laws = on_root(task.comm, lambda: bond_laws(task, whole))
    for name, law in laws.items():
        log.info(
            "%s: strength %.4g MPa, fracture energy %.4g J/m2, open at %.3g um",
            name, law.strength, law.fracture_energy, law.failure_gap,
        )  # fmt: skip
    loads = tuple(parse_load(text) for text in physics.loads)
    domain = without_islands(whole, supports_of(physics, loads))
    run = _BondRun(task, BondedBody(domain, materials, physics, loads, laws))
    run.go()
    body = run.body
    facts = {"events": run.events, "steps": run.statistics.accepted, "rejected": run.statistics.rejected,
             "failed": run.statistics.failed, "newton": body.iterations,
             "held fraction": domain.volume() / whole.volume(),
             "unknowns": 3 * body.solid.space.dofmap.index_map.size_global}  # fmt: skip
    return Answer(body.quantities(), facts)


def bond_laws(task: Task, domain: Domain) -> dict[str, CohesiveLaw]:
    """The law of each interface: from the library's interface, overridden by what the study gives."""
    physics: DebondingSection = task.physics
    options: dict[str, Any] = {
        "shape": physics.law,
        "viscosity": physics.viscosity,
        "restored": physics.restored,
    }
    for key in ("strength", "fracture_energy"):
        given = getattr(physics, key)
        if given is not None:
            options[key] = given.value
    laws = {}
    for name in physics.bonds:
        pair = canonical_name(domain.phases, name)
        material = _interface_material(task, domain, pair)
        if material is not None:
            laws[pair] = CohesiveLaw.of(material, **options)
        elif "strength" in options and "fracture_energy" in options:
            laws[pair] = CohesiveLaw(**options)
        else:
            raise StudyError(
                f"the library has no interface for {pair!r};", hint="give strength and fracture_energy."
            )
    return laws


def _interface_material(task: Task, domain: Domain, pair: str) -> Material | None:
    names = [task.material_name(domain, phase.strip()) for phase in pair.split("|")]
    for first, second in (names, names[::-1]):
        try:
            return read_material(f"{first}-{second}")
        except Pxm2meshError:
            continue
    return None


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
        small = self.domain.point_total * 3 * (8 if self.physics.order == 2 else 1) <= DIRECT_BELOW
        return Solid(
            self.domain, self.materials, supports, x=self.x, laws=self._laws, bonds=self._bonds,
            degree=self.physics.order, options=SolverOptions(direct=small, symmetric=False),
        )  # fmt: skip

    def attempt(self, step: float) -> None:
        """Find the balance at ``time + step`` loads."""
        self.cohesion.step = step
        super().attempt(step)

    def error(self) -> float:
        """Square of the largest share of G_c that a point spends, in units of the limit."""
        return (self.cohesion.largest_change() / self._limit) ** 2

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
            value = areas.effective / areas.total
            rows.append(
                Quantity("effective_contact_fraction", value, "1", "cohesive interfaces", interface=name)
            )
        spent = self.cohesion.energies()["dissipated"]
        rows.append(Quantity("debonding_energy", spent, "pJ", "cohesive interfaces"))
        return super().quantities() + Quantities(rows)

    def take(self, bonds: Mapping[str, Floats]) -> None:
        """Go on from a state of the bonds."""
        self.cohesion.restore(bonds)
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
    """Keeps the state of the bonds beside each checkpoint."""

    body: BondedBody

    def _file(self, rows: int) -> Path:
        return self.path.with_name(f"{self.path.stem}-bonds-{rows}.npz")

    def _save(self) -> None:
        state = gather_facets(self.body.cohesion)

        def write() -> None:
            with replacing(self._file(self.table.rows)) as part, part.open("wb") as stream:
                np.savez(stream, **state)  # type: ignore[arg-type]

        on_root(self.task.comm, write)
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
        path = self._file(found["rows"])

        def read() -> dict[str, Floats]:
            if not path.exists():
                raise DataError(f"{path.name} is missing;", hint="start again without --restart.")
            with np.load(path) as file:
                return {name: file[name] for name in file.files}

        whole = on_root(self.task.comm, read)
        index = self.body.cohesion.interface.index
        self.body.take({name: values[index] for name, values in whole.items()})
        return found


def gather_facets(cohesion: CohesiveInterfaces) -> dict[str, Floats]:
    """State of the bonds by the number of the facet, on rank 0; empty elsewhere."""
    state, total = cohesion.state(), cohesion.domain.cuts.total
    parts = cohesion.domain.comm.gather((cohesion.interface.index, state))
    if parts is None:
        return {}
    whole = {name: np.zeros((total, *values.shape[1:])) for name, values in state.items()}
    for index, mine in parts:
        for name, values in mine.items():
            whole[name][index] = values
    return whole
