"""What a damaged sample has lost: contact, active material, conductivity, and what gaps add to its pores.

A `DamagedState` is made once for a solid with bonds; `DamagedState.quantities` looks at the state that the solid is
in. All numbers are mechanical: nothing here knows of chemistry at interfaces.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import ufl

from pxm2mesh.materials import FARADAY, GAS_CONSTANT, Material
from pxm2mesh.quantities import Quantities, Quantity
from simulations.base import cutting
from simulations.base.domain import Domain, canonical_name, on_root
from simulations.base.fields import gather_nodes
from simulations.models.cohesive import BROKEN, CohesiveInterfaces
from simulations.models.conduction import conduct
from simulations.models.mechanics import box_face_area, opposite_face

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

METHOD = "finite elements, damaged state"
CONTACT_WIDTH = 0.01
"""µm of bulk that a perfect contact between two conductors resists like, where its conductance is not given."""
_TEMPERATURE = 298.15


@dataclass(frozen=True)
class Conductors:
    """What carries ions and electrons, and where they come from.

    Attributes:
        active: Phases that need both.
        ionic: Phase → pS/µm.
        electronic: Phase → pS/µm.
        separator: Box face that ions come from.
        collector: The opposite face, which electrons come from.
        exchange: Interface → i₀ in A/m², for the resistance to charge transfer.
        contacts: Interface between two conductors → pS/µm² of a perfect contact.
    """

    active: tuple[str, ...]
    ionic: Mapping[str, float]
    electronic: Mapping[str, float]
    separator: str = "z-"
    collector: str = "z+"
    exchange: Mapping[str, float] = field(default_factory=dict)
    contacts: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, domain: Domain, materials: Mapping[str, Material], *, collector: str = "z+") -> Conductors:
        """From the roles of the meshed phases and their materials.

        Args:
            domain: The sample.
            materials: Of each meshed phase.
            collector: Box face; the separator is opposite.
        """
        active = tuple(p for p in domain.meshed if domain.phases[p].role == "active")
        found: dict[str, dict[str, float]] = {"ionic": {}, "electronic": {}}
        for kind, table in found.items():
            for phase in domain.meshed:
                parameter = materials[phase].get(f"transport.{kind}_conductivity")
                if parameter is not None and not (kind == "ionic" and phase in active):
                    table[phase] = float(parameter(0.5))
        exchange = {}
        for phase in active:
            rate = materials[phase].get("kinetics.exchange_current_density")
            for other in found["ionic"] if rate is not None else ():
                assert rate is not None
                exchange[canonical_name(domain.phases, f"{phase} | {other}")] = float(rate(0.5))
        return cls(active, found["ionic"], found["electronic"], opposite_face(collector),
                   collector, exchange)  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Graph:
    """Cells and the faces between them, on rank 0."""

    near: cutting.Adjacency
    owner: npt.NDArray[np.integer]
    volumes: Floats
    face_of_cut: cutting.Ints
    """(cut facets,) row of ``near.cells`` of each cut facet."""


class DamagedState:
    """Numbers of the state a solid with bonds is in, compared with the same solid before any load.

    Porosity and conduction are those of the displaced sample: what the box gains and the solid loses is void. Bonds
    that have lost all but 1 % of their transfer lead nowhere; the others conduct by what they have left.

    Args:
        cohesion: The bonds; may be replaced by those of another solid on the same domain.
        conductors: What carries what.
        whole: All of the sample, where floating pieces were left out of the solid; they count as isolated.
    """

    def __init__(
        self, cohesion: CohesiveInterfaces, conductors: Conductors, whole: Domain | None = None
    ) -> None:
        self.cohesion, self.conductors, self.domain = cohesion, conductors, cohesion.domain
        domain = self.domain
        self._pairs = _cut_pairs(domain)
        self._rates = {canonical_name(domain.phases, n): rate for n, rate in conductors.exchange.items()}
        self._perfect = {canonical_name(domain.phases, n): h for n, h in conductors.contacts.items()}
        self._graph: _Graph | None = None
        if domain.comm.rank == 0:
            assert domain.source is not None and domain.links is not None
            near, owner = domain.links.near, domain.links.owner
            keys, wanted = (_key(table, domain.cell_total) for table in (near.cells, self._pairs))
            order = np.argsort(keys)
            faces = order[np.searchsorted(keys, wanted, sorter=order)]
            self._graph = _Graph(near, owner, domain.source.cell_volumes(), faces)
        meshed = whole or domain
        self._volumes = {p: meshed.volume(p) for p in meshed.meshed}
        self._amount = {p: self._volumes[p] for p in conductors.active if p in meshed.meshed}
        self._void = domain.box_volume - meshed.volume() - on_root(domain.comm, lambda: _unmeshed(meshed))
        self._surface = {p: _surface(domain, p) for p in domain.meshed}
        unharmed = np.ones(len(self._pairs))
        self._before = {
            kind: self._conductivity(table, unharmed, deformed=False) for kind, table in self._carriers()
        }

    def _carriers(self) -> tuple[tuple[str, Mapping[str, float]], ...]:
        given = (("ionic", self.conductors.ionic), ("electronic", self.conductors.electronic))
        return tuple((kind, table) for kind, table in given if table)

    # -- the numbers ---------------------------------------------------------------------------------

    def quantities(self) -> Quantities:
        """Contact, resistance to charge transfer, isolated material, gaps, porosity, conductivities; all ranks call."""
        share = self._share()
        rows = [row for name in self.cohesion.laws for row in self._contact(name)]
        rows += self._isolated(share)
        rows.append(Quantity("porosity", self._porosity(), "1", METHOD))
        direction = self.conductors.collector[0]
        for kind, table in self._carriers():
            found, before = self._conductivity(table, share, deformed=True), self._before[kind]
            phase, (lower, upper) = " + ".join(table), self._box()
            bulk = sum((self._volumes[p] + self._grown(p)) * table[p] for p in table) / np.prod(upper - lower)
            values = [
                ("effective_conductivity", found / 1e6, "S/m"),
                ("tortuosity_factor", float(bulk) / found if found else math.inf, "1"),
            ]
            if before:
                values.append((f"{kind}_conductivity_ratio", found / before, "1"))
            rows += [Quantity(n, v, u, METHOD, phase=phase, direction=direction) for n, v, u in values]
        return Quantities(rows)

    def columns(self) -> dict[str, float]:
        """The same as columns of a table: name with unit → value."""
        row = {}
        for q in self.quantities():
            subject = f" {q.interface or q.phase}" if q.interface or q.phase else ""
            row[f"{q.name.replace('_', ' ')}{subject} [{q.unit}]"] = q.value
        return row

    def _contact(self, name: str) -> list[Quantity]:
        cohesion, domain = self.cohesion, self.domain
        areas = cohesion.areas(name)
        first, second = (part.strip() for part in name.split("|"))
        touching = areas.bonded + areas.closed
        rows = [
            Quantity("contact_fraction", touching / self._surface[a], "1", METHOD, interface=f"{a} | {b}")
            for a, b in ((first, second), (second, first))
            if a != b and self._surface.get(a)
        ]
        rows += [
            Quantity(
                "effective_contact_fraction", areas.effective / areas.total, "1", METHOD, interface=name
            ),
            Quantity("gap_volume", cohesion.gap_volume(name), "um3", METHOD, interface=name),
        ]
        rate = self._rates.get(canonical_name(domain.phases, name))
        if rate:
            ratio = areas.total / areas.effective if areas.effective > 0 else math.inf
            face = box_face_area(domain, self.conductors.collector)
            intact = GAS_CONSTANT * _TEMPERATURE / (FARADAY * rate) * face / areas.total * 1e4
            rows += [
                Quantity("charge_transfer_resistance", intact * ratio, "ohm cm2", METHOD, interface=name),
                Quantity("charge_transfer_resistance_ratio", ratio, "1", METHOD, interface=name),
            ]
        return rows

    def _porosity(self) -> float:
        """Of the sample as deformed: what the box gains and the solid loses is void."""
        lower, upper = self._box()
        box = float(np.prod(upper - lower))
        void = self._void + box - self.domain.box_volume - sum(map(self._grown, self.domain.meshed))
        return max(void, 0.0) / box  # faces that press overlap a little

    def _grown(self, phase: str) -> float:
        """µm³ that a phase has more than before it was displaced."""
        domain, u = self.domain, self.cohesion.displacement
        if phase not in domain.meshed:
            return 0.0
        degree = 3 * (u.function_space.ufl_element().degree - 1)
        ratio = ufl.det(ufl.Identity(3) + ufl.grad(u))
        return domain.integrate((ratio - 1) * domain.dx(phase, quadrature_degree=degree))

    def _box(self) -> tuple[Floats, Floats]:
        """Corners of the box where the mean displacements of its faces have brought them, µm."""
        domain, u = self.domain, self.cohesion.displacement
        corners = {"-": domain.lower.copy(), "+": domain.upper.copy()}
        for i, axis in enumerate("xyz"):
            for sign, corner in corners.items():
                face = axis + sign
                if face in domain.facet_names:
                    corner[i] += domain.integrate(u[i] * domain.ds(face)) / domain.area(face)
        return corners["-"], corners["+"]

    def _isolated(self, share: Floats) -> list[Quantity]:
        c, domain = self.conductors, self.domain

        def reached() -> dict[str, tuple[float, float, float]]:
            assert self._graph is not None
            ions, electrons = self._ions(share), self._electrons(share)
            volume, label = self._graph.volumes, _labels(domain)
            found = {}
            for phase in self._amount:
                of = label == domain.phases[phase].label
                found[phase] = tuple(
                    float(volume[of & who].sum()) for who in (ions, electrons, ions & electrons)
                )
            return found  # type: ignore[return-value]

        rows = []
        names = ("ionically_isolated_fraction", "electronically_isolated_fraction", "isolated_fraction")
        known = (bool(c.ionic), bool(c.electronic), bool(c.ionic and c.electronic))
        for phase, volumes in on_root(domain.comm, reached).items():
            for name, volume, shown in zip(names, volumes, known, strict=True):
                if shown:
                    lost = max(1 - volume / self._amount[phase], 0.0)
                    rows.append(Quantity(name, lost if lost > 1e-12 else 0.0, "1", METHOD, phase=phase))
        return rows

    # -- who is connected with whom, on rank 0 ---------------------------------------------------------

    def _share(self) -> Floats:
        """(cut facets,) what each still transfers, by its number; on all ranks. 1 where no bond can break."""
        cohesion, whole = self.cohesion, np.ones(len(self._pairs))
        for index, values in self.domain.comm.allgather(
            (cohesion.interface.index, cohesion.averages()["transfer [1]"])
        ):
            whole[index] = values
        return whole

    def _parts(self, phases: Mapping[str, float] | tuple[str, ...], share: Floats) -> tuple[Any, Bools]:
        """Component of each cell of the phases, joined where ``share`` lets them; which of ``near`` lead through."""
        assert self._graph is not None
        near, faces = self._graph.near, self._graph.face_of_cut
        leads = np.ones(len(near.cells), bool)
        leads[faces] = share > 1 - BROKEN
        inside = np.isin(_labels(self.domain), [self.domain.phases[p].label for p in phases])
        joined = cutting.Adjacency(near.cells[leads], near.local[leads], near.outer_cells, near.outer_local)
        return cutting.components(self.domain.cell_total, joined, inside), leads

    def _fed(self, phases: Mapping[str, float] | tuple[str, ...], share: Floats, *faces: str) -> Bools:
        """(cells,) True in components of the phases that reach all of the box faces."""
        assert self._graph is not None and self.domain.source is not None
        (count, component), _ = self._parts(phases, share)
        there = cutting.reaches(self.domain.source, self._graph.owner, component, faces)
        everywhere = np.append(np.logical_and.reduce([there[f] for f in faces]), False)
        assert len(everywhere) == count + 1
        return np.asarray(everywhere[component])

    def _ions(self, share: Floats) -> Bools:
        """(cells,) True in grains that touch, by a contact that conducts, electrolyte connected to the separator."""
        assert self._graph is not None
        fed = self._fed(self.conductors.ionic, share, self.conductors.separator)
        (count, grain), leads = self._parts(self.conductors.active, share)
        pairs = self._graph.near.cells[leads]
        reached = np.zeros(count + 1, bool)
        for a, b in ((0, 1), (1, 0)):
            reached[grain[pairs[fed[pairs[:, b]], a]]] = True
        reached[-1] = False  # where -1, cells that are not active, points to
        return np.asarray(reached[grain])

    def _electrons(self, share: Floats) -> Bools:
        return self._fed(self.conductors.electronic, share, self.conductors.collector)

    # -- conduction ------------------------------------------------------------------------------------

    def _conductivity(self, table: Mapping[str, float], share: Floats, *, deformed: bool) -> float:
        """σ_eff between separator and collector in pS/µm."""
        domain, c = self.domain, self.conductors
        keep = on_root(domain.comm, lambda: self._fed(table, share, c.separator, c.collector))
        lower, upper = (domain.lower, domain.upper) if not deformed else self._box()
        box = float(np.prod(upper - lower))
        if not keep.any():
            return 0.0
        part = domain.restricted(keep=keep)
        if deformed:
            self._displace(part, keep)
        contacts = self._contacts(part, table, share, keep)
        sigma = {p: s for p, s in table.items() if p in part.meshed}
        held = {c.separator: 0.0, c.collector: 1.0}
        found = conduct(part, sigma, held, contact_conductance=contacts)
        along = "xyz".index(c.collector[0])
        return found.energy * float((upper - lower)[along]) ** 2 / box

    def _displace(self, part: Domain, keep: Bools) -> None:
        """Move the nodes of a part to where they are in the deformed sample."""
        domain = self.domain
        moved = gather_nodes(domain, self.cohesion.displacement)

        def find() -> Floats:
            assert moved is not None and domain.nodes is not None and part.nodes is not None
            values = np.zeros((part.point_total, 3))
            values[part.nodes.ravel()] = moved[domain.nodes[keep].ravel()]
            return values

        part.mesh.geometry.x[:] += on_root(domain.comm, find)[part.point_index]

    def _contacts(
        self, part: Domain, table: Mapping[str, float], share: Floats, keep: Bools
    ) -> dict[str, Floats]:
        """Conductance of each cut facet of a part, pS/µm²."""
        if not part.cut_names:
            return {}
        inside = np.flatnonzero(keep[self._pairs].all(axis=1))
        number = np.cumsum(keep) - 1
        mine = _key(number[self._pairs[inside]], part.cell_total)
        order = np.argsort(mine)
        wanted = _key(_cut_pairs(part), part.cell_total)
        of = inside[order[np.searchsorted(mine, wanted, sorter=order)]]
        result = {}
        for name in part.cut_names:
            first, second = (table[p.strip()] for p in name.split("|"))
            perfect = self._perfect.get(name, 2 / (1 / first + 1 / second) / CONTACT_WIDTH)
            result[name] = perfect * share[of]
        return result


def _cut_pairs(domain: Domain) -> cutting.Ints:
    """(cut facets, 2) cells on both sides by the number of the facet, on all ranks."""
    whole = np.zeros((domain.cuts.total, 2), np.int64)
    for index, cells in domain.comm.allgather((domain.cuts.index, domain.cell_index[domain.cuts.cells])):
        whole[index] = cells.reshape(-1, 2)
    return whole


def _key(pairs: npt.NDArray[np.integer], cells: int) -> cutting.Ints:
    """One number per pair of cells: two tetrahedra share one face at most."""
    return np.asarray(pairs.min(axis=1, initial=cells) * np.int64(cells) + pairs.max(axis=1, initial=0))


def _labels(domain: Domain) -> npt.NDArray[np.int32]:
    assert domain.source is not None
    return domain.source.cell_phase()


def _unmeshed(domain: Domain) -> float:
    """µm³ of phases that are neither void nor meshed anywhere, on rank 0."""
    mesh = domain.source
    assert mesh is not None
    present = set(np.unique(mesh.cell_phase()).tolist())
    out = [p.label for p in domain.phases if p.role != "void" and p.label not in present]
    return float(mesh.region_volume[np.isin(mesh.region_phase, out)].sum())


def _surface(domain: Domain, phase: str) -> float:
    """µm² of a phase towards all others, void included."""
    pairs = (tuple(part.strip() for part in name.split("|")) for name in domain.facet_names if "|" in name)
    return sum(domain.area(f"{a} | {b}") for a, b in pairs if a != b and phase in (a, b))
