"""One particle of a computed electrode, cut out, refined, and left to crack."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from dolfinx import fem
from mpi4py import MPI

from pxm2mesh.errors import GeometryError, StudyError
from pxm2mesh.materials import Material
from pxm2mesh.study import result_digest
from pxm2mesh.study.damage import Cracking, Submodel
from pxm2mesh.study.half_cell import HalfCell
from pxm2mesh.surface import BOX_FACES
from pxm2mesh.tetmesh import TetMesh
from simulations.base.cutting import FACES, adjacency
from simulations.base.domain import Domain, on_root
from simulations.base.fields import scatter_nodes
from simulations.models.mechanics import opposite_face
from simulations.models.refinement import Refined, refined
from simulations.shapes import tet_mesh
from simulations.studies.charge import initial_state
from simulations.studies.cracking import CrackingSolid, cracking_body
from simulations.studies.electrode_result import ElectrodeResult, ParticleHistory
from simulations.studies.mechanics import unstrained_at
from simulations.studies.task import Task

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]

LARGEST_MESH = 4_000_000
"""Cells; a refinement that makes more is refused."""


class CutOut:
    """A particle of a result, with a mesh fine enough for ℓ. All ranks must make one; the arrays are on rank 0.

    Args:
        task: The entry with its study and folder.

    Attributes:
        physics: The entry.
        entry: The half-cell that the result is of.
        times: Of the states that were written, s.
        region: Number of the particle.
        mesh: The particle, refined; None but on rank 0.
        initial: State of lithiation without strain.

    Raises:
        StudyError: No such result or particle, or it flows.
        GeometryError: ℓ needs more cells than can be solved for.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.physics: Cracking = task.physics
        assert self.physics.submodel is not None
        section = self.physics.submodel
        self.path = _result_of(task, section)
        self.mesh: TetMesh | None = None
        self._history: ParticleHistory | None = None
        self._fine: Refined | None = None

        def load() -> tuple[HalfCell, Floats, int]:
            result = ElectrodeResult(self.path, self.physics.phase)
            region = result.choose(section.particle)
            history = result.history(region)
            self._refine(result.mesh, history, section.refine)
            self._history = history
            return result.entry, result.times, region

        self.entry, self.times, self.region = on_root(task.comm, load)

    def _refine(self, electrode: TetMesh, history: ParticleHistory, times: int | None) -> None:
        physics = self.physics
        sizes = np.cbrt(6 * _volumes(history.points, history.cells))
        typical, need = float(np.percentile(sizes, 90)), physics.length.value / physics.cells_per_length
        wanted = max(0, math.ceil(math.log2(typical / need) - 1e-9)) if times is None else times
        count = len(history.cells) * 8**wanted
        if count > LARGEST_MESH:
            raise GeometryError(
                f"particle {history.region} would need {count:,} cells: those of the electrode are {typical:.3g} µm, "
                f"and ℓ = {physics.length.value:.3g} µm needs {need:.3g} µm;",
                hint="take a larger ℓ (and a lower strength), or a smaller particle.",
            )
        self._fine = fine = refined(history.points, history.cells, wanted)
        self.mesh = _meshed(electrode, history, fine, physics.phase)
        diameter = (6 / np.pi * float(_volumes(history.points, history.cells).sum())) ** (1 / 3)
        log.info(
            "particle %d: as large as a ball of %.3g um, %.3g lengths of a crack; %d cells cut into %d",
            history.region, diameter, diameter / physics.length.value, len(history.cells), count,
        )  # fmt: skip

    def material(self, domain: Domain) -> Material:
        """Of the particle, free of strain where the electrode was. All ranks must call.

        Raises:
            StudyError: It flowed there.
        """
        phase, mechanics = self.physics.phase, self.entry.mechanics
        assert mechanics is not None
        found = self.task.materials(domain, [phase])[phase]
        flows = phase in mechanics.plastic if mechanics.plastic is not None else found.plastic is not None
        if flows:
            raise StudyError(
                f"{phase!r} flows in {self.path.parent.name}, and cracks know elastic strain only;",
                hint="leave it out of plastic there.",
            )
        if found.swelling is None or found.swelling.volume_strain is None:
            raise StudyError(
                f"material {found.name!r} does not swell;", hint="give it a swelling.volume_strain."
            )
        free = mechanics.stress_free
        return unstrained_at(found, initial_state(self.entry, found) if free is None else free)

    def at(self, time: float) -> tuple[Floats, Floats] | None:
        """Displacement and lithiation at the points of ``mesh``; None but on rank 0."""
        if self._history is None or self._fine is None:
            return None
        displacement, x = self._history.at(time)
        return self._fine.weights @ displacement, self._fine.weights @ x

    def held(self, domain: Domain) -> tuple[list[str], list[str]]:
        """Facets that are displaced as in the electrode: in all directions, and along the normal of a box face only."""
        assert self.entry.mechanics is not None
        mechanics, names = self.entry.mechanics, list(domain.facet_names)
        faces = [name for name in names if name in BOX_FACES]
        if mechanics.sides == "free":
            face = mechanics.face or self.entry.collector
            pressed, mirrors = (face, opposite_face(face)), [f"{a}-" for a in "xyz" if a != face[0]]
            faces = [name for name in faces if name in (*pressed, *mirrors)]
        touching = [name for name in names if "|" in name]
        return touching, faces

    def digest(self) -> str:
        """Of the series: a checkpoint made from another one does not count. All ranks must call."""
        return on_root(self.task.comm, lambda: result_digest(self.path))


def _result_of(task: Task, section: Submodel) -> Path:
    if section.from_result is not None:
        return Path(section.from_result)
    place = task.study.physics.index(task.physics)
    before = [i for i, entry in enumerate(task.study.physics[:place]) if isinstance(entry, HalfCell)]
    if not before:
        raise StudyError(
            "a submodel has no result to be cut out of;",
            hint='write from_result = "…/results.pvd", or a half-cell with mechanics before it in the study.',
        )
    return task.folder / f"results{f'-{before[-1] + 1}' if before[-1] else ''}.pvd"


def _volumes(points: Floats, cells: npt.NDArray[np.integer]) -> Floats:
    corners = points[cells]
    return np.asarray(np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 6)


def _meshed(electrode: TetMesh, history: ParticleHistory, fine: Refined, phase: str) -> TetMesh:
    """The refined particle; its facets know which phase they touch, those towards void that nothing does."""
    near = adjacency(fine.cells, len(fine.points))
    facets = np.take_along_axis(fine.cells[near.outer_cells], FACES[near.outer_local], axis=1)
    spread = fine.weights[facets[:, 0]] + fine.weights[facets[:, 1]] + fine.weights[facets[:, 2]]
    spread.sort_indices()
    coarse = spread.indices.reshape(-1, 3)  # a facet lies in the coarse one whose corners it is made of
    touching = {
        tuple(face): label for face, label in zip(history.touching.tolist(), history.behind, strict=True)
    }
    label = np.array([touching.get(tuple(face), -1) for face in coarse.tolist()], dtype=np.int64)
    labels = np.unique(label[label >= 0])
    behind = np.where(label >= 0, 2 + np.searchsorted(labels, label), 0)
    regions = [-1, electrode.phases[phase].label, *labels.tolist()]
    return tet_mesh(
        fine.points, fine.cells, np.ones(len(fine.cells), int), regions, electrode.phases,
        lower=electrode.lower, upper=electrode.upper, behind=lambda _: behind,
    )  # fmt: skip


class GivenLithium:
    """Lithium as it was in the electrode.

    Args:
        domain: The particle.

    Attributes:
        x: State of lithiation.
    """

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.x = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", 1)))
        self._integral = fem.form(self.x * domain.dx())
        self._volume = domain.volume()

    def mean(self) -> float:
        """Mean x over the volume."""
        return float(self.domain.comm.allreduce(fem.assemble_scalar(self._integral))) / self._volume

    def extent(self) -> tuple[float, float]:
        """Smallest and largest x at the nodes."""
        values, comm = self.x.x.array, self.domain.comm
        low, high = float(values.min(initial=math.inf)), float(values.max(initial=-math.inf))
        return float(comm.allreduce(low, op=MPI.MIN)), float(comm.allreduce(high, op=MPI.MAX))

    def state(self) -> dict[str, Any]:
        """It follows from the time."""
        return {"nodes": {"x": self.x}, "values": {"last_step": 0.0}}


class CrackingSubmodel(CrackingSolid):
    """A particle that is displaced and filled as it was in the electrode, and cracks.

    Args:
        domain: Made of the mesh of ``cut``.
        material: From `CutOut.material`.
        cut: Where it comes from.

    Attributes:
        states: Times of the states of the electrode since the first, which is not among them, s.
    """

    def __init__(self, domain: Domain, material: Material, cut: CutOut) -> None:
        self.cut = cut
        given = GivenLithium(domain)
        self._faces: dict[str, fem.Constant] = {}
        self._places: dict[str, npt.NDArray[np.int32]] = {}
        body = cracking_body(
            domain, material, cut.physics, given.x, lambda space: self._conditions(domain, space)
        )
        self.states: list[float] = (cut.times[1:] - cut.times[0]).tolist()
        self._domain, self._given, self._body = domain, given, body
        self._find_scale()
        self._impose(0.0)
        body.solve()
        body.accept()
        self._forces = body.forces()
        super().__init__(domain, material, given, body, given.x)
        self.work = body.total_energy()
        self.keep()

    def _find_scale(self) -> None:
        """What residuals are small against: forces if nothing gave way. A free particle has none but noise."""
        body, comm = self._body, self._domain.comm
        for time in self.states:
            self._impose(time)
            for values in (self._prescribed.x.array, 0.0):
                body.displacement.x.array[:] = values
                size = math.sqrt(comm.allreduce(float((body.forces() ** 2).sum())))
                body.scales[0] = max(body.scales[0], size)

    def _conditions(self, domain: Domain, space: fem.FunctionSpace) -> list[Any]:
        """Displaced as in the electrode; on box faces along the normal only, as its mirrors and plates do."""
        self._prescribed = fem.Function(space)
        touching, faces = self.cut.held(domain)
        found = []
        for face in faces:
            axis = "xyz".index(face[0])
            constant = self._faces[face] = fem.Constant(domain.mesh, 0.0)
            self._places[face] = domain.dofs_on(space, face)
            dofs = (3 * self._places[face] + axis).astype(np.int32)
            found.append(fem.dirichletbc(constant, dofs, space.sub(axis)))
        if touching:
            found.append(fem.dirichletbc(self._prescribed, domain.dofs_on(space, *touching)))
        return found

    def _impose(self, time: float) -> None:
        """Lithium and prescribed displacement at a time since the first state."""
        domain, found = self._domain, self.cut.at(float(self.cut.times[0]) + time)
        parent = domain.parent
        displacement = x = None
        if found is not None and parent is not None:
            displacement, x = found[0][parent], found[1][parent]
        scatter_nodes(domain, self._given.x, x)
        scatter_nodes(domain, self._prescribed, displacement)
        table = self._prescribed.x.array.reshape(-1, 3)
        for face, constant in self._faces.items():
            values = table[self._places[face], "xyz".index(face[0])]
            total = domain.comm.allreduce(np.array([values.sum(), len(values)]))
            constant.value = total[0] / total[1]

    def move(self, step: float) -> None:
        """As in the electrode."""
        self._impose(self.time + step)

    def outer_work(self) -> float:
        """∫ of the forces on what is displaced, which vanish elsewhere, over the step."""
        after, before = self.body.displacement, self._before[self.body.displacement]
        owned = len(self._forces)
        moved = after.x.array[:owned] - before.x.array[:owned]
        done = float(moved @ (self._forces + self.body.forces()) / 2)
        return float(self.domain.comm.allreduce(done))

    def keep(self) -> None:
        """Also the forces."""
        super().keep()
        self._forces = self.body.forces()

    def lithium_at(self, time: float, last_step: float) -> None:
        """Supports move back, too."""
        self._impose(time)

    def deviation(self) -> float:
        """Largest difference of the displacement from that in the electrode, µm; all ranks must call."""
        change = np.abs(self.body.displacement.x.array - self._prescribed.x.array)
        return float(self.domain.comm.allreduce(float(change.max(initial=0.0)), op=MPI.MAX))

    def numbers_now(self) -> dict[str, float]:
        """How far the particle has moved away from where it was in the electrode."""
        return {DEVIATION: self.deviation()}


DEVIATION = "largest deviation of displacement [um]"
