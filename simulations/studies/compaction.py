"""Pressing until pores close: the pressed sample, its numbers, and its voxels to go on with."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import numpy as np
from dolfinx import fem

from pxm2mesh.errors import StudyError
from pxm2mesh.io.images import write_volume
from pxm2mesh.materials import Material
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.study.compaction import Compaction
from pxm2mesh.study.mechanics import parse_load
from simulations.base import compat
from simulations.base.domain import Domain, on_root
from simulations.base.fields import gather_nodes
from simulations.models.compaction import contact_fraction, porosity, volume_ratio, with_pores
from simulations.models.finite_strain import finite_laws
from simulations.models.mechanics import Solid, SolidLaw, face_axis
from simulations.models.solid_solver import SolverOptions
from simulations.models.voxels import voxelise
from simulations.studies.mechanics import LoadedBody, LoadRun, supports_of
from simulations.studies.task import Answer, Task

log = logging.getLogger(__name__)


def compact(task: Task) -> Answer:
    """Press the sample of a ``model = "compaction"`` entry.

    Args:
        task: The entry with its study, mesh and folder.

    Returns:
        Porosity, contact, thickness, and what a mechanics study gives.
    """
    physics: Compaction = task.physics
    domain = task.domain(cut=())
    task.require_cells(domain, (physics.active, physics.electrolyte, *physics.plastic))
    names = {p: task.material_name(domain, p) for p in domain.meshed}
    pores = [phase for phase, name in names.items() if name == "void"]
    if not pores:
        raise StudyError(
            "no pore is meshed, so none can close;", hint='leave "void" out of exclude in [mesh].'
        )
    found = task.materials(domain, [phase for phase in domain.meshed if phase not in pores])
    solids = {phase: dataclasses.replace(material, swelling=None) for phase, material in found.items()}
    body = PressedBody(domain, with_pores(solids, pores), physics, pores)
    run = _PressRun(task, body)
    run.go()
    facts = {"events": run.events, "steps": run.statistics.accepted, "failed": run.statistics.failed,
             "newton": body.iterations, "volumes": [run.volume(i + 1) for i in range(run.position)],
             "unknowns": 3 * body.solid.space.dofmap.index_map.size_global}  # fmt: skip
    return Answer(body.quantities(), facts)


class PressedBody(LoadedBody):
    """A sample in a die.

    Args:
        domain: The whole sample, pores included.
        materials: Of each phase; see `simulations.models.compaction.with_pores`.
        physics: The section of the study.
        pores: Phases that are pores.
    """

    physics: Compaction

    def __init__(
        self, domain: Domain, materials: dict[str, Material], physics: Compaction, pores: list[str]
    ) -> None:
        self.pores = pores
        self.height = float((domain.upper - domain.lower)[face_axis(physics.face)[0]])
        super().__init__(domain, materials, physics, tuple(parse_load(text) for text in physics.loads))

    def _make_laws(self) -> dict[str, SolidLaw]:
        flowing = self.physics.plastic or [p for p, m in self.materials.items() if m.plastic is not None]
        rest = [phase for phase in self.materials if phase not in flowing]
        return {
            **finite_laws(self.materials, flowing, plastic=True),
            **finite_laws(self.materials, rest, plastic=False),
        }

    def _make(self) -> Solid:
        options = SolverOptions(rtol=1e-7).not_symmetric(self.domain.point_total, self.physics.order)
        return Solid(
            self.domain, self.materials, supports_of(self.physics, self.loads), laws=self._laws,
            degree=self.physics.order, options=options,
        )  # fmt: skip

    def shape(self) -> dict[str, float]:
        """Thickness, porosity and contact of the deformed sample."""
        physics = self.physics
        contact = contact_fraction(self.solid, physics.active, physics.electrolyte, self.pores)
        return {
            "thickness [um]": self.height - self.inward,
            "porosity [1]": porosity(self.solid, self.pores),
            "contact fraction [1]": contact,
        }

    def row(self) -> dict[str, float]:
        """Also the shape."""
        return {**self.shape(), **super().row()}

    def fields(self) -> tuple[dict[str, fem.Function], dict[str, fem.Function]]:
        """Also the volume ratio: pores are closed where it goes to zero."""
        nodes, cells = super().fields()
        ratio = fem.Function(fem.functionspace(self.domain.mesh, ("DG", 0)))
        points = compat.interpolation_points(ratio.function_space)
        ratio.interpolate(fem.Expression(volume_ratio(self.solid), points))
        return nodes, {**cells, "volume ratio [1]": ratio}

    def quantities(self) -> Quantities:
        """Also the shape."""
        method = f"finite strain, pores as third medium, degree {self.physics.order}"
        thickness, pores, contact = self.shape().values()
        pair = f"{self.physics.active} | {self.physics.electrolyte}"
        rows = [
            Quantity("porosity", pores, "1", method),
            Quantity("contact_fraction", contact, "1", method, interface=pair),
            Quantity("layer_thickness", thickness, "um", method, direction=self.physics.face[0]),
        ]
        return Quantities(rows) + super().quantities()


class _PressRun(LoadRun):
    """Writes the voxels of the pressed sample at the end of each load."""

    body: PressedBody

    def __init__(self, task: Task, body: PressedBody) -> None:
        self._written = 0
        super().__init__(task, body)

    def volume(self, load: int) -> str:
        """Name of the file with the sample after a load, from 1."""
        return self.task.path(f"pressed-{load}.tif").name

    def more(self) -> dict[str, Any]:
        """Also how many volumes there are."""
        return {"written": self._written}

    def _load(self) -> dict[str, Any] | None:
        found = super()._load()
        self._written = 0 if found is None else found["written"]
        return found

    def _save(self) -> None:
        if self.position > self._written:
            self._write_volume(self.position)
            self._written = self.position
        super()._save()

    def _write_volume(self, load: int) -> None:
        domain, body = self.body.domain, self.body
        moved = gather_nodes(domain, body.solid.displacement)
        given = body.physics.voxel

        def write() -> None:
            mesh = domain.source
            assert mesh is not None and domain.parent is not None and domain.nodes is not None
            assert moved is not None
            place = mesh.points[domain.parent] + moved
            edge = given.value if given is not None else _mean_edge(mesh.points[domain.parent][domain.nodes])
            volume = voxelise(place, domain.nodes, mesh.cell_phase(), mesh.phases, edge)
            write_volume(volume, self.task.folder / self.volume(load))

        on_root(self.task.comm, write)
        log.info("the sample after load %d is in %s", load, self.volume(load))


def _mean_edge(corners: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Cube root of the mean volume of (k, 4, 3) tetrahedra."""
    edges = corners[:, 1:] - corners[:, :1]
    return float(np.cbrt(np.abs(np.linalg.det(edges)).mean() / 6))
