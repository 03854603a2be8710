"""What a charging run writes of its solid: numbers for the table, fields for the series."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from dolfinx import fem

from simulations.base.domain import Domain
from simulations.base.fields import gather_cells, gather_nodes
from simulations.models.cohesive import CohesiveInterfaces
from simulations.models.coupling import CoupledHalfCell
from simulations.models.mechanics import Solid
from simulations.models.node_transfer import cell_numbers
from simulations.studies.debonding import on_nodes

Floats = npt.NDArray[np.float64]

SOLID_COLUMNS = (
    "passes", "mechanics Newton iterations", "mechanics linear iterations", "plate displacement [um]",
    "stack pressure [MPa]",
)  # fmt: skip
_NUMBERS = (
    "mean hydrostatic stress in {} [MPa]", "lowest hydrostatic stress in {} [MPa]",
    "highest hydrostatic stress in {} [MPa]", "largest principal stress in {} [MPa]",
    "largest von Mises stress in {} [MPa]", "largest plastic strain in {} [1]", "yielding share of {} [1]",
)  # fmt: skip


def stress_columns(solid: Solid) -> tuple[str, ...]:
    """Names of what `stress_numbers` gives: for phases that do not flow without the last two."""
    names: list[str] = []
    for phase, law in solid.laws.items():
        names += [name.format(phase) for name in (_NUMBERS if law.history else _NUMBERS[:-2])]
    return tuple(names)


def stress_numbers(solid: Solid) -> dict[str, float]:
    """Means over volume and extremes over cells of the stress in each phase; all ranks must call."""
    domain, comm = solid.domain, solid.domain.comm
    stress, plastic = _cell_stress(solid), _cell_plastic(solid)
    volumes = domain.cell_volumes
    owned = domain.mesh.topology.index_map(3).size_local
    numbers: dict[str, float] = {}
    for phase, law in solid.laws.items():
        cells = domain.cells(phase)
        cells = cells[cells < owned]
        s, v = stress[cells], volumes[cells]
        mean, mises = _invariants(s)
        principal = np.linalg.eigvalsh(s)[:, -1] if len(s) else np.zeros(0)
        total = comm.allreduce(float(v.sum()))
        values = [
            comm.allreduce(float(v @ mean)) / total,
            min(comm.allgather(float(mean.min(initial=math.inf)))),
            *(max(comm.allgather(float(a.max(initial=-math.inf)))) for a in (mean, principal, mises)),
        ]
        if law.history:
            flow = plastic[cells]
            values.append(max(comm.allgather(float(flow.max(initial=0.0)))))
            values.append(comm.allreduce(float(v[flow > 0].sum())) / total)
        numbers.update(zip((n.format(phase) for n in _NUMBERS), values, strict=False))
    return numbers


def solid_numbers(model: CoupledHalfCell, face: str) -> dict[str, float]:
    """The values of `SOLID_COLUMNS` and `stress_columns`."""
    return {
        "passes": model.passes,
        "mechanics Newton iterations": model.mechanics_newtons,
        "mechanics linear iterations": model.mechanics_iterations,
        "plate displacement [um]": face_displacement(model.solid, face),
        "stack pressure [MPa]": model.solid.pressure_on(face),
        **stress_numbers(model.solid),
    }


CONTACT_COLUMNS = (
    "bonded fraction [1]", "closed fraction [1]", "open fraction [1]", "effective contact fraction [1]",
    "largest gap [um]",
)  # fmt: skip


def contact_numbers(cohesion: CohesiveInterfaces) -> dict[str, float]:
    """The values of `CONTACT_COLUMNS`, of all bonds together; all ranks must call."""
    areas, gap = cohesion.areas(), cohesion.averages()["gap [um]"]
    kinds = (areas.bonded, areas.closed, areas.open, areas.effective)
    widest = max(cohesion.domain.comm.allgather(float(gap.max(initial=-math.inf))))
    return dict(zip(CONTACT_COLUMNS, (*(kind / areas.total for kind in kinds), widest), strict=True))


def face_displacement(solid: Solid, face: str) -> float:
    """Mean displacement of the nodes on a box face along its axis, µm."""
    nodes = solid.domain.dofs_on(solid.space, face)
    owned = nodes[nodes < solid.space.dofmap.index_map.size_local]
    along = solid.displacement.x.array.reshape(-1, 3)[owned, "xyz".index(face[0])]
    comm = solid.domain.comm
    return float(comm.allreduce(float(along.sum())) / max(comm.allreduce(len(owned)), 1))


class SolidFields:
    """Displacement, stress and plastic strain on another domain, which has all the cells.

    Args:
        solid: Where they are.
        whole: Where they are written.
    """

    def __init__(self, solid: Solid, whole: Domain) -> None:
        self.solid, self.whole = solid, whole
        self._cells: npt.NDArray[np.int64] | None = None
        if whole.comm.rank == 0:
            _, self._cells, self._here = np.intersect1d(
                cell_numbers(whole), cell_numbers(solid.domain), return_indices=True
            )

    def nodes(self) -> dict[str, Floats]:
        """Name → (point_total, …) on rank 0; empty elsewhere. Damage and gap are those at the bonds, 0 elsewhere."""
        fields = {"displacement [um]": self.solid.displacement}
        cohesion = self.solid.cohesion
        if cohesion is not None:
            averages = cohesion.averages()
            for name in ("damage [1]", "gap [um]", "transfer [1]"):
                fields[f"interface {name}"] = on_nodes(cohesion, averages[name])
        found = {name: self._of_nodes(function) for name, function in fields.items()}
        return {name: values for name, values in found.items() if values is not None}

    def _of_nodes(self, function: fem.Function) -> Floats | None:
        values = gather_nodes(self.solid.domain, function)
        if values is None or self._cells is None:
            return None
        whole, body = self.whole, self.solid.domain
        assert whole.nodes is not None and body.nodes is not None
        result = np.full((whole.point_total, *values.shape[1:]), np.nan)
        result[whole.nodes[self._cells]] = values[body.nodes[self._here]]
        return result

    def cells(self) -> dict[str, Floats]:
        """Name → (local cells of the whole, …)."""
        stress = _cell_stress(self.solid)
        mean, mises = _invariants(stress)
        fields = {
            "stress [MPa]": np.asarray(stress.reshape(-1, 9)),
            "hydrostatic stress [MPa]": mean,
            "von Mises stress [MPa]": mises,
            "largest principal stress [MPa]": np.asarray(np.linalg.eigvalsh(stress)[:, -1], np.float64),
        }
        if self.solid.history():
            fields["plastic strain [1]"] = _cell_plastic(self.solid)
        return {name: self._spread(values) for name, values in fields.items()}

    def _spread(self, values: Floats) -> Floats:
        found = gather_cells(self.solid.domain, values)
        result: Any = None
        if found is not None and self._cells is not None:
            result = np.full((self.whole.cell_total, *found.shape[1:]), np.nan)
            result[self._cells] = found[self._here]
        return np.asarray(self.whole.comm.bcast(result))[self.whole.cell_index]


def _cell_stress(solid: Solid) -> Floats:
    """(local cells, 3, 3) MPa."""
    return _in_cells(solid.average("stress")).reshape(-1, 3, 3)


def _cell_plastic(solid: Solid) -> Floats:
    """(local cells,) accumulated plastic strain, the mean of the points of a cell."""
    history = solid.history()
    if not history:
        return np.zeros(len(solid.domain.cell_index))
    accumulated = history["accumulated"]
    return np.asarray(accumulated.x.array[np.asarray(accumulated.function_space.dofmap.list)].mean(axis=1))


def _in_cells(function: fem.Function) -> Floats:
    dofs = np.asarray(function.function_space.dofmap.list)[:, 0]
    return np.asarray(function.x.array.reshape(-1, function.function_space.dofmap.index_map_bs)[dofs])


def _invariants(stress: Floats) -> tuple[Floats, Floats]:
    """Mean normal stress and von Mises equivalent of (n, 3, 3)."""
    mean = np.trace(stress, axis1=1, axis2=2) / 3
    deviator = stress - mean[:, None, None] * np.eye(3)
    return mean, np.sqrt(1.5 * np.einsum("nij,nij->n", deviator, deviator))
