"""A mesh of pxm2mesh as a DOLFINx mesh with names: phases, interfaces, box faces, cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import basix.ufl
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem, la
from dolfinx import mesh as dmesh
from mpi4py import MPI

from pxm2mesh.errors import UsageError, did_you_mean
from pxm2mesh.phases import PhaseTable
from pxm2mesh.tetmesh import TetMesh
from simulations.base import compat, cutting, parting
from simulations.base.planning import Kept, Plan, cut_names, make_plan
from simulations.base.planning import canonical_name as canonical_name

T = TypeVar("T")


def on_root(comm: MPI.Comm, work: Callable[[], T]) -> T:
    """Do ``work`` on rank 0 and give the result, or raise its error, on every rank.

    Args:
        comm: The ranks; all must call.
        work: What to do; its result must be picklable.
    """
    if comm.size == 1:
        return work()
    result: Any = None
    error: Exception | None = None
    if comm.rank == 0:
        try:
            result = work()
        except Exception as raised:
            error = raised
    error = comm.bcast(error)
    if error is not None:
        raise error
    return comm.bcast(result)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class CutFacets:
    """The facets of cut interfaces that this rank integrates over; both sides are local.

    The plus side is the phase with the lower label (the lower region where the labels are equal), which
    is the first one in the interface's name.

    Attributes:
        cells: (n, 2) int32 local cell on the plus and on the minus side.
        points: (n, 2, 3) int32 local geometry nodes of the facet on both sides, in the same order.
        tags: (n,) int32 which interface, see `Domain.facet_names`.
        index: (n,) int64 the facet's number among all cut facets, the same on any number of ranks.
        total: Number of cut facets on all ranks.
    """

    cells: npt.NDArray[np.int32]
    points: npt.NDArray[np.int32]
    tags: npt.NDArray[np.int32]
    index: npt.NDArray[np.int64]
    total: int


@dataclass(frozen=True, eq=False)
class NamedSides:
    """The sides of cells that lie on interfaces and box faces; an interface that is not cut has two.

    Attributes:
        cells: (t,) int32 local cell, perhaps a ghost.
        faces: (t,) int8 the side: face i is opposite of the cell's vertex i.
        tags: (t,) int32 which interface or box face.
        outer: (t,) bool no cell shares this face: a box face, or the mesh is cut here.
    """

    cells: npt.NDArray[np.int32]
    faces: npt.NDArray[np.int8]
    tags: npt.NDArray[np.int32]
    outer: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Domain:
    """Where equations are solved: a DOLFINx mesh whose parts have names.

    Attributes:
        mesh: The DOLFINx mesh (µm); cut open along the interfaces of `cut_names`.
        phases: The phase table.
        lower: (3,) µm, lower corner of the sample's box.
        upper: (3,) µm, upper corner.
        cell_tags: Label of the phase of each local cell.
        sides: Which sides of cells are on which interface or box face; `facet_names` says which number is which.
        facet_names: ``"NMC | LPSCl"``, ``"z+"``, ``"outside"`` → tag.
        cell_region: (local cells,) int32 region of each.
        cell_index: (local cells,) int64 position in the input arrays, ghosts included.
        point_index: (local geometry nodes,) int64 position in the cut input arrays.
        cell_total: Cells on all ranks.
        point_total: Geometry nodes on all ranks, copies counted.
        cell_fields: Name with unit → (local cells,) values that came with the mesh.
        cuts: The facets across which fields may jump.
        source: The uncut mesh, on rank 0; None elsewhere.
        links: How its cells and facets hang together, on rank 0; None elsewhere.
        parent: (point_total,) point of ``source`` of each node, on rank 0; None elsewhere.
        nodes: (cell_total, 4) nodes of each cell, on rank 0; None elsewhere.
    """

    mesh: dmesh.Mesh
    phases: PhaseTable
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    cell_tags: dmesh.MeshTags
    sides: NamedSides
    facet_names: Mapping[str, int]
    cell_region: npt.NDArray[np.int32]
    cell_index: npt.NDArray[np.int64]
    point_index: npt.NDArray[np.int64]
    cell_total: int
    point_total: int
    cell_fields: Mapping[str, npt.NDArray[np.float64]]
    cuts: CutFacets
    source: TetMesh | None = field(repr=False)
    links: cutting.Links | None = field(repr=False)
    parent: npt.NDArray[np.int64] | None = field(repr=False)
    nodes: npt.NDArray[np.int64] | None = field(repr=False)

    @classmethod
    def from_mesh(
        cls,
        mesh: TetMesh | None,
        comm: MPI.Comm = MPI.COMM_WORLD,
        *,
        cut: Iterable[str] | None = None,
        bonded: Iterable[str] = (),
        phases: Sequence[str] | None = None,
        keep: npt.NDArray[np.bool_] | None = None,
        cell_fields: Mapping[str, npt.NDArray[np.float64]] | None = None,
    ) -> Domain:
        """Distribute a mesh over the ranks.

        Args:
            mesh: The mesh; needed on rank 0 only.
            comm: The ranks.
            cut: Interfaces across which fields may jump, ``"NMC | LPSCl"``; ``"NMC | NMC"`` for those
                between regions of one phase. None: those at which the mesh is already split.
            bonded: Interfaces that hold together perfectly, also where the mesh is split: the two copies of their
                points become one again, which is exact (a stiff spring would not be).
            phases: Keep only these.
            keep: (k,) keep only these cells.
            cell_fields: More values per cell of ``mesh``; those that the mesh has come along anyway.

        Returns:
            The domain.

        Raises:
            UsageError: An unknown phase or interface.
            GeometryError: Nothing is left, or the mesh is not valid.

        Example:
            >>> from simulations.shapes import layers
            >>> domain = Domain.from_mesh(layers({"A": 0.5, "B": 0.5}, cells=(2, 1, 1)), cut=["A | B"])
            >>> round(domain.volume("A"), 12)
            0.5
        """
        return cls._of(mesh, comm, cut, bonded, phases, keep, cell_fields, None)

    @staticmethod
    def _of(
        mesh: TetMesh | None,
        comm: MPI.Comm,
        cut: Iterable[str] | None,
        bonded: Iterable[str],
        phases: Sequence[str] | None,
        keep: npt.NDArray[np.bool_] | None,
        cell_fields: Mapping[str, npt.NDArray[np.float64]] | None,
        links: cutting.Links | None,
    ) -> Domain:
        """`from_mesh`; ``links``, if they are known, are those of a mesh that is not split."""
        held: dict[str, Kept] = {}

        def prepare() -> Plan:
            if mesh is None:
                raise UsageError("rank 0 was given no mesh.")
            opened = set(cut_names(mesh, cut)) - {canonical_name(mesh.phases, name) for name in bonded}
            plan, held["here"] = make_plan(mesh, links, opened, phases, keep, cell_fields or {})
            return plan

        plan = on_root(comm, prepare)
        return _build(comm, plan, held.get("here"))

    def restricted(
        self,
        *,
        phases: Sequence[str] | None = None,
        keep: npt.NDArray[np.bool_] | None = None,
        cut: Iterable[str] | None = None,
        cell_fields: Mapping[str, npt.NDArray[np.float64]] | None = None,
    ) -> Domain:
        """The part of the domain made of some phases or cells, as a domain of its own.

        Args:
            phases: Keep only these.
            keep: (cell_total,) keep only these cells of ``source``; needed on rank 0 only.
            cut: As in `from_mesh`; None cuts where this domain is cut.
            cell_fields: More values per cell of ``source``; needed on rank 0 only.
        """
        names = self.cut_names if cut is None else tuple(cut)
        return Domain._of(self.source, self.comm, names, (), phases, keep, cell_fields, self.links)

    @property
    def comm(self) -> MPI.Comm:
        """The ranks that share it."""
        comm: MPI.Comm = self.mesh.comm
        return comm

    @property
    def box_volume(self) -> float:
        """µm³ of the whole sample, what is not meshed included."""
        return float(np.prod(self.upper - self.lower))

    @property
    def cut_names(self) -> tuple[str, ...]:
        """The interfaces that are cut open, on any rank."""
        tags = set().union(*self.comm.allgather(set(self.cuts.tags.tolist())))
        return tuple(name for name, tag in self.facet_names.items() if tag in tags)

    @property
    def meshed(self) -> tuple[str, ...]:
        """The phases that have cells, in the order of their labels."""
        labels = set().union(*self.comm.allgather(set(np.unique(self.cell_tags.values).tolist())))
        return tuple(p.name for p in self.phases if p.label in labels)

    @cached_property
    def facet_tags(self) -> dmesh.MeshTags:
        """Interfaces and box faces by number; the facets are made when they are first asked for, on all ranks."""
        topology = self.mesh.topology
        for pair in ((3, 2), (2, 3), (3, 3)):
            topology.create_connectivity(*pair)
        of_cells = np.asarray(topology.connectivity(3, 2).array).reshape(-1, 4)
        facets, first = np.unique(of_cells[self.sides.cells, self.sides.faces], return_index=True)
        return dmesh.meshtags(self.mesh, 2, facets.astype(np.int32), self.sides.tags[first])

    @cached_property
    def cellwise(self) -> fem.FunctionSpace:
        """Functions that are constant in each cell."""
        return fem.functionspace(self.mesh, ("DG", 0))

    @cached_property
    def cell_volumes(self) -> npt.NDArray[np.float64]:
        """(local cells,) µm³, ghosts included."""
        a, b, c, origin = self.mesh.geometry.x[compat.cell_nodes(self.mesh).T]
        a, b, c = a - origin, b - origin, c - origin
        return np.asarray(np.abs(np.einsum("ki,ki->k", np.cross(a, b), c)) / 6)

    def tag(self, name: str) -> int:
        """The number of an interface or box face.

        Raises:
            UsageError: There is no such facet in this domain; the hint names the closest.
        """
        wanted = canonical_name(self.phases, name)
        if wanted not in self.facet_names:
            raise UsageError(f"this mesh has no facet {name!r};", hint=did_you_mean(wanted, self.facet_names))
        return self.facet_names[wanted]

    def facets(self, *names: str) -> npt.NDArray[np.int32]:
        """Local facets (both copies of a cut one) of interfaces or box faces."""
        tags = [self.tag(name) for name in names]
        return np.asarray(self.facet_tags.indices[np.isin(self.facet_tags.values, tags)])

    def cells(self, *phases: str) -> npt.NDArray[np.int32]:
        """Local cells of the named phases, ghosts included."""
        labels = [self.phases[name].label for name in phases]
        return np.asarray(self.cell_tags.indices[np.isin(self.cell_tags.values, labels)])

    def dx(self, *phases: str, **metadata: Any) -> ufl.Measure:
        """Integrate over the named phases, or over all; ``quadrature_degree=…`` and the like go to UFL."""
        measure = ufl.Measure(
            "dx", domain=self.mesh, subdomain_data=self.cell_tags, metadata=metadata or None
        )
        return measure(tuple(self.phases[name].label for name in phases)) if phases else measure

    def ds(self, *names: str, **metadata: Any) -> ufl.Measure:
        """Integrate over the named facets that have a cell on one side: box faces, cut or outer interfaces.

        A cut interface is counted once from each side.
        """
        measure = ufl.Measure(
            "ds", domain=self.mesh, subdomain_data=self.facet_tags, metadata=metadata or None
        )
        return measure(tuple(self.tag(name) for name in names)) if names else measure

    def dS(self, *names: str, **metadata: Any) -> ufl.Measure:
        """Integrate over the named interfaces that have cells on both sides and are not cut."""
        measure = ufl.Measure(
            "dS", domain=self.mesh, subdomain_data=self.facet_tags, metadata=metadata or None
        )
        return measure(tuple(self.tag(name) for name in names)) if names else measure

    def integrate(self, integrand: Any) -> float:
        """The integral of a UFL form without arguments over all ranks."""
        return float(np.real(self.comm.allreduce(fem.assemble_scalar(fem.form(integrand)))))

    def volume(self, *phases: str) -> float:
        """µm³ of the named phases, or of everything meshed."""
        owned = self.mesh.topology.index_map(3).size_local
        cells = self.cells(*phases) if phases else np.arange(owned)
        return float(self.comm.allreduce(float(self.cell_volumes[cells[cells < owned]].sum())))

    def area(self, name: str) -> float:
        """µm² of an interface or box face; both sides of a cut one count once."""
        one = fem.Constant(self.mesh, 1.0)
        twice = 2.0 if canonical_name(self.phases, name) in self.cut_names else 1.0
        return self.integrate(one * self.ds(name)) / twice + self.integrate(one * self.dS(name))

    def by_phase(self, values: Mapping[str, float], *, name: str = "coefficient") -> fem.Function:
        """A coefficient that is constant in each phase.

        Args:
            values: Phase → value; every meshed phase must be there.
            name: Name of the function.

        Returns:
            A function constant in each cell.
        """
        missing = [p for p in self.meshed if p not in values]
        if missing:
            raise UsageError(
                f"no {name} for phase {missing[0]!r};", hint=f"give one for each of {self.meshed}."
            )
        function = fem.Function(self.cellwise, name=name)
        table = np.full(max(self.phases.labels) + 1, np.nan)
        for phase, value in values.items():
            table[self.phases[phase].label] = value
        function.x.array[np.asarray(function.function_space.dofmap.list)[:, 0]] = table[self.cell_tags.values]
        return function

    def dofs_on(self, space: fem.FunctionSpace, *names: str) -> npt.NDArray[np.int32]:
        """Local unknowns of ``space`` (blocks, if it is blocked) on the named facets."""
        sides, layout = self.sides, space.dofmap.dof_layout
        here = np.isin(sides.tags, [self.tag(name) for name in names])
        on_face = np.array([layout.entity_closure_dofs(2, face) for face in range(4)])
        blocks = np.asarray(space.dofmap.list)[sides.cells[here, None], on_face[sides.faces[here]]]
        if self.comm.size == 1:
            return np.unique(blocks)
        mark = fem.Function(space)  # the cell may be on another rank than the unknown
        mark.x.array.reshape(-1, space.dofmap.index_map_bs)[blocks] = 1.0
        mark.x.scatter_reverse(la.InsertMode.add)
        mark.x.scatter_forward()
        return np.flatnonzero(mark.x.array[:: space.dofmap.index_map_bs]).astype(np.int32)

    def __repr__(self) -> str:
        ranks = f" on {self.comm.size} ranks" if self.comm.size > 1 else ""
        cuts = f", cut at {', '.join(self.cut_names)}" if self.cut_names else ""
        size = f"{self.cell_total:,} cells, {self.point_total:,} nodes"
        return f"Domain({size} of {', '.join(self.meshed)}{cuts}{ranks})"


def _build(comm: MPI.Comm, plan: Plan, here: Kept | None) -> Domain:
    """Distribute the arrays and find everything again on each rank."""
    points, cells = np.zeros((0, 3)), np.zeros((0, 4), dtype=np.int64)
    if here is not None:
        points, cells = np.ascontiguousarray(here.broken.points), np.ascontiguousarray(here.broken.cells)

    def as_if_whole(_comm: MPI.Comm, parts: int, _types: Any, _cells: Any) -> Any:
        """Partition the uncut mesh: then both sides of each cut facet are local (one as a ghost, perhaps)."""
        if here is None:
            return compat.destinations(np.zeros(0, np.int32), np.zeros(1, np.int32))
        return compat.destinations(*parting.destinations(here.source, here.links.near, parts))

    element = basix.ufl.element("Lagrange", "tetrahedron", 1, shape=(3,), dtype=np.float64)
    partitioner = as_if_whole if comm.size > 1 else None
    mesh = compat.create_mesh(comm, cells, points, ufl.Mesh(element), partitioner)
    cell_index = compat.original_cells(mesh).astype(np.int64)
    point_index = np.asarray(mesh.geometry.input_global_indices).astype(np.int64)
    local_cell = np.full(len(plan.cell_phase), -1, dtype=np.int32)
    local_cell[cell_index] = np.arange(len(cell_index))
    cell_tags = dmesh.meshtags(
        mesh, 3, np.arange(len(cell_index), dtype=np.int32), plan.cell_phase[cell_index].astype(np.int32)
    )
    return Domain(
        mesh, plan.phases, plan.lower, plan.upper, cell_tags,
        _named_sides(mesh, plan, local_cell, point_index), plan.names,
        plan.cell_region[cell_index], cell_index, point_index, len(plan.cell_phase), plan.point_count,
        {name: values[cell_index] for name, values in plan.cell_fields.items()},
        _local_cuts(mesh, plan, local_cell, point_index),
        *((None,) * 4 if here is None else (here.source, here.links, here.broken.parent, here.broken.cells)),
    )  # fmt: skip


def _named_sides(
    mesh: dmesh.Mesh, plan: Plan, local_cell: npt.NDArray[np.int32], point_index: npt.NDArray[np.int64]
) -> NamedSides:
    cell = local_cell[plan.tagged[:, 0]]
    here = cell >= 0
    cell, opposite = cell[here], plan.tagged[here, 1]
    vertices = point_index[compat.cell_nodes(mesh)[cell]]
    face = np.argmax(vertices == opposite[:, None], axis=1)  # face i is opposite of vertex i
    return NamedSides(
        cell, face.astype(np.int8), plan.tagged[here, 2].astype(np.int32), plan.tagged[here, 3] > 0
    )


def _local_cuts(
    mesh: dmesh.Mesh, plan: Plan, local_cell: npt.NDArray[np.int32], point_index: npt.NDArray[np.int64]
) -> CutFacets:
    owned = mesh.topology.index_map(3).size_local
    cells = local_cell[plan.cut_cells].reshape(-1, 2)
    mine = np.flatnonzero((cells[:, 0] >= 0) & (cells[:, 0] < owned))
    assert np.all(cells[mine, 1] >= 0), "a cut facet has its other side on another rank"
    order = np.argsort(point_index)
    points = order[np.searchsorted(point_index[order], plan.cut_points[mine])]
    return CutFacets(
        cells[mine].astype(np.int32), points.astype(np.int32), plan.cut_tags[mine], mine, len(cells)
    )
