"""A finished half-cell with mechanics, looked at one particle at a time: its cells, displacement, lithium, stress."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, StudyError
from pxm2mesh.io.meshes import load_arrays
from pxm2mesh.study import Study, read_study
from pxm2mesh.study.half_cell import HalfCell
from pxm2mesh.tetmesh import TetMesh
from simulations.base.cutting import FACES, adjacency
from simulations.base.series import Snapshot, read_snapshot, read_times
from simulations.studies.task import MESH

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]

DISPLACEMENT, LITHIATION = "displacement [um]", "lithiation [1]"
STRESS = "largest principal stress [MPa]"
_SHOWN = 8


@dataclass(frozen=True, eq=False)
class ParticleHistory:
    """One particle of an electrode over time.

    Attributes:
        region: Its number in the mesh.
        points: (n, 3) µm.
        cells: (k, 4).
        times: (m,) s.
        displacement: (m, n, 3) µm.
        lithiation: (m, n).
        stress: (m, k) largest principal stress of each cell, MPa.
        touching: (f, 3) nodes of the faces where another part of the electrode holds on to it, ascending.
        behind: (f,) label of the phase behind each of them.
    """

    region: int
    points: Floats
    cells: npt.NDArray[np.int64]
    times: Floats
    displacement: Floats
    lithiation: Floats
    stress: Floats
    touching: npt.NDArray[np.int64]
    behind: npt.NDArray[np.int32]

    def at(self, time: float) -> tuple[Floats, Floats]:
        """Displacement (n, 3) and lithiation (n,) at a time, linear between the states that were written."""
        after = int(np.clip(np.searchsorted(self.times, time), 1, len(self.times) - 1))
        step = self.times[after] - self.times[after - 1]
        share = min(max((time - self.times[after - 1]) / step, 0.0), 1.0)
        u, x = self.displacement[after - 1 : after + 1], self.lithiation[after - 1 : after + 1]
        return (1 - share) * u[0] + share * u[1], (1 - share) * x[0] + share * x[1]


class ElectrodeResult:
    """The series of a half-cell with mechanics, and what it was made from.

    Args:
        path: Its ``results.pvd``; the study and the mesh of that run are beside it.
        phase: The active material.

    Attributes:
        mesh: The electrode.
        entry: The ``[[physics]]`` entry that it is the result of.
        study: Its study.
        times: (m,) s.

    Raises:
        DataError: Files are missing, damaged, or of another kind.
        StudyError: The run was none of a half-cell with mechanics and this active material.
    """

    def __init__(self, path: Path, phase: str) -> None:
        entries = read_times(path)
        self.path, self.phase = path, phase
        for name in ("study.toml", MESH):
            if not (path.parent / name).exists():
                raise DataError(
                    f"{path} has no {name} beside it;",
                    hint="name results.pvd in the folder of a finished run.",
                )
        self.study: Study = read_study(path.parent / "study.toml")
        self.entry = self._entry()
        self.mesh: TetMesh = load_arrays(path.parent / MESH)
        self.times = np.array([time for time, _ in entries])
        self._files = [file for _, file in entries]
        if len(self.times) < 2:
            raise DataError(
                f"{path} holds a single state;", hint="lower write_every of the half-cell and run it again."
            )
        self._last = read_snapshot(self._files[-1])
        self._check(self._last)

    def _entry(self) -> HalfCell:
        number = self.path.stem.removeprefix("results").removeprefix("-") or "1"
        place = int(number) - 1 if number.isdigit() else -1
        found = self.study.physics[place] if 0 <= place < len(self.study.physics) else None
        if not isinstance(found, HalfCell):
            what = "nothing this program knows" if found is None else f"that of a {found.model!r} entry"
            raise StudyError(
                f"{self.path} is {what};",
                hint="a submodel is cut out of the result of a half-cell with mechanics.",
            )
        if found.mechanics is None:
            raise StudyError(
                f"{self.path} has no displacement: its half-cell was computed without mechanics;",
                hint="add a [physics.mechanics] table to it and run it again.",
            )
        if found.active != self.phase:
            raise StudyError(
                f"{self.phase!r} takes no lithium in {self.path}, {found.active!r} does;",
                hint=f'write phase = "{found.active}".',
            )
        return found

    def _check(self, state: Snapshot) -> None:
        for name, where in (
            (DISPLACEMENT, state.at_points),
            (LITHIATION, state.at_points),
            (STRESS, state.at_cells),
        ):
            if name not in where:
                raise DataError(
                    f"{self.path} has no {name!r};", hint="run its study again with [physics.mechanics]."
                )

    def particles(self) -> list[int]:
        """Regions of the active material that hold together with the electrode and take lithium, the largest first."""
        label = self.mesh.phases[self.phase].label
        cells, region = self._last.cells, np.asarray(self._last.at_cells["region"])
        known = np.isfinite(self._last.at_points[LITHIATION]) & np.isfinite(
            self._last.at_points[DISPLACEMENT]
        ).all(axis=1)
        active = np.asarray(self._last.at_cells["phase"]) == label
        corners = self._last.points[cells]
        volume = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 6
        sizes = np.bincount(region[active], volume[active])
        lost = np.unique(region[active & ~known[cells].all(axis=1)])
        found = [int(i) for i in np.argsort(-sizes, kind="stable") if sizes[i] > 0 and i not in lost]
        if not found:
            raise DataError(f"no particle of {self.phase!r} in {self.path} takes lithium and is held.")
        return found

    def choose(self, wanted: int | str) -> int:
        """The region that is meant.

        Args:
            wanted: Its number, or ``"most stressed"``: the one whose largest principal stress, averaged over the
                particle, was the highest at any time.

        Raises:
            StudyError: There is no such particle; lists the largest.
        """
        there = self.particles()
        if isinstance(wanted, int):
            if wanted not in there:
                largest = ", ".join(map(str, there[:_SHOWN]))
                raise StudyError(
                    f"{wanted} is no particle of {self.phase!r} that takes lithium and is held in {self.path};",
                    hint=f"the largest are {largest} (field region of results.pvd).",
                )
            return wanted
        corners = self._last.points[self._last.cells]
        volume = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 6
        region = np.asarray(self._last.at_cells["region"])
        inside = np.isin(region, there)
        highest = np.full(max(there) + 1, -np.inf)
        for file in self._files:
            stress = np.asarray(read_snapshot(file).at_cells[STRESS])
            sums = np.bincount(region[inside], (volume * stress)[inside], len(highest))
            total = np.bincount(region[inside], volume[inside], len(highest))
            highest = np.maximum(
                highest, np.divide(sums, total, out=np.full(len(total), -np.inf), where=total > 0)
            )
        chosen = int(np.argmax(highest))
        log.info(
            "particle %d has the highest mean of the largest principal stress, %.4g MPa",
            chosen,
            highest[chosen],
        )
        return chosen

    def history(self, region: int) -> ParticleHistory:
        """One particle with its fields at all times.

        Args:
            region: One of `particles`.
        """
        last = self._last
        inside = np.asarray(last.at_cells["region"]) == region
        here = np.flatnonzero(inside)
        nodes, cells = np.unique(last.cells[here], return_inverse=True)
        whole = np.asarray(last.at_points["point"], np.int64)[last.cells]  # copies of a point are one again
        near = adjacency(whole, int(whole.max()) + 1)
        mine, other = near.cells, near.cells[:, ::-1]
        border = inside[mine] & ~inside[other]
        faces = np.take_along_axis(last.cells[mine[border]], FACES[near.local[border]], axis=1)
        states = [read_snapshot(file) for file in self._files]
        return ParticleHistory(
            region, last.points[nodes], cells.reshape(-1, 4).astype(np.int64), self.times,
            np.stack([np.asarray(s.at_points[DISPLACEMENT])[nodes] for s in states]),
            np.stack([np.asarray(s.at_points[LITHIATION])[nodes] for s in states]),
            np.stack([np.asarray(s.at_cells[STRESS])[here] for s in states]),
            np.sort(np.searchsorted(nodes, faces), axis=1),
            np.asarray(last.at_cells["phase"])[other[border]].astype(np.int32),
        )  # fmt: skip
