"""Single closed surfaces, one per phase or per particle: for CAD, printing, rendering and single-material meshers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import GeometryError, UsageError, did_you_mean
from pxm2mesh.phases import PhaseTable
from pxm2mesh.regions import OUTSIDE
from pxm2mesh.surface import InterfaceSurface, frozen
from pxm2mesh.volume import LabelVolume

By = Literal["phase", "particle"]


@dataclass(frozen=True, eq=False)
class Shell:
    """A closed triangle surface around one phase or one particle.

    Attributes:
        phase: Name of the phase inside.
        region: Number of the particle within the sample, 0 for a whole phase.
        points: (n, 3) float64, µm.
        triangles: (m, 3) int32, normals outwards.
        record: How it was made, with volume error and Hausdorff distance.
    """

    phase: str
    region: int
    points: npt.NDArray[np.float64]
    triangles: npt.NDArray[np.int32]
    record: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", frozen(self.points, np.float64, (None, 3), "points"))
        object.__setattr__(self, "triangles", frozen(self.triangles, np.int32, (None, 3), "triangles"))
        object.__setattr__(self, "record", MappingProxyType(dict(self.record)))

    @property
    def name(self) -> str:
        """``NMC``, or ``NMC-0012`` for a particle: the stem of its file."""
        return f"{self.phase}-{self.region:04d}" if self.region else self.phase

    def volume(self) -> float:
        """Enclosed volume in µm³."""
        return enclosed_volume(self.points, self.triangles)

    def area(self) -> float:
        """Area in µm²."""
        p = self.points[self.triangles]
        return float(np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1).sum() / 2)

    def is_watertight(self) -> bool:
        """Whether every directed edge is met by as many triangles one way as the other."""
        return is_closed(self.triangles)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write it as ``.stl``, ``.ply``, ``.obj`` or ``.vtp``; lengths are µm."""
        from pxm2mesh.io.surfaces import write_triangles

        write_triangles(path, self.points, self.triangles)

    def __repr__(self) -> str:
        return f"Shell({self.name}: {len(self.triangles):,} triangles, {self.volume():.4g} µm³, {self.area():.4g} µm²)"


def enclosed_volume(points: npt.NDArray[np.float64], triangles: npt.NDArray[Any]) -> float:
    """Volume inside closed, outward triangles (divergence theorem)."""
    p = points[triangles] - points.mean(axis=0)
    return float(np.einsum("ij,ij->i", p[:, 0], np.cross(p[:, 1], p[:, 2])).sum() / 6)


def is_closed(triangles: npt.NDArray[Any]) -> bool:
    """Whether directed edges cancel: the surface bounds a volume."""
    if len(triangles) == 0:
        return False
    start, end = triangles.ravel().astype(np.int64), np.roll(triangles, -1, axis=1).ravel().astype(np.int64)
    size = np.int64(triangles.max()) + 1
    keys, index = np.unique(np.minimum(start, end) * size + np.maximum(start, end), return_inverse=True)
    return not np.bincount(index.ravel(), np.where(start < end, 1, -1), len(keys)).any()


def chosen_phases(phases: PhaseTable, only: str | Sequence[str] | None, present: Iterable[str]) -> list[str]:
    """Names to make shells of: those of ``only``, or all that occur but voids.

    Raises:
        UsageError: Unknown name.
    """
    if only:
        return [phases[name].name for name in ([only] if isinstance(only, str) else only)]
    return [name for name in present if phases[name].role != "void"]


def shells_of(
    surface: InterfaceSurface, *, only: str | Sequence[str] | None = None, by: By = "phase"
) -> tuple[Shell, ...]:
    """Cut closed shells out of a conforming surface: neighbours fit without gap or overlap.

    Args:
        surface: From `extract_surface`, smoothed or not.
        only: Phases; None is all but voids.
        by: One shell per ``"phase"`` or per ``"particle"`` (region).

    Returns:
        The shells, in the order of their regions.

    Raises:
        UsageError: Unknown phase, or another ``by``.
    """
    check_by(by)
    volumes = surface.region_volume
    names = chosen_phases(surface.phases, only, (p.name for p in surface.phases))
    shells = []
    for name in names:
        regions = np.flatnonzero(surface.region_phase == surface.phases[name].label)
        for group in [regions] if by == "phase" else [np.array([r]) for r in regions]:
            inside = np.isin(surface.sides, group)
            faces = np.flatnonzero(inside[:, 0] != inside[:, 1])
            if len(faces) == 0:
                continue
            triangles = surface.triangles[faces].copy()
            flip = ~inside[faces, 0]
            triangles[flip] = triangles[flip][:, [0, 2, 1]]
            used, index = np.unique(triangles, return_inverse=True)
            points = surface.points[used]
            corners = index.reshape(-1, 3).astype(np.int32)
            target = float(volumes[group].sum())
            error = enclosed_volume(points, corners) / target - 1 if target else float("nan")
            record = {"method": "nets", "voxel_volume": target, "volume_error": error}
            shells.append(Shell(name, int(group[0]) if by == "particle" else 0, points, corners, record))
    return tuple(shells)


def check_by(by: str) -> None:
    """`UsageError` unless ``by`` is ``"phase"`` or ``"particle"``."""
    if by not in ("phase", "particle"):
        raise UsageError(f"unknown choice {by!r};", hint=did_you_mean(by, ("phase", "particle")))


def surface_of_shells(shells: Sequence[Shell], volume: LabelVolume) -> InterfaceSurface:
    """Shells side by side as one surface with nothing between them, for the tetrahedral mesher.

    Args:
        shells: Closed shells that do not touch each other.
        volume: The sample they came from, for its phases and box.

    Returns:
        A surface whose regions are the shells; everything else is outside (0).

    Raises:
        GeometryError: There is no shell, or one is open.
    """
    if not shells:
        raise GeometryError("there is no shell to mesh;", hint="check which phases were asked for.")
    points, triangles, sides = [], [], []
    phase, measured, start = [OUTSIDE], [0.0], 0
    for number, shell in enumerate(shells, start=1):
        if not shell.is_watertight():
            raise GeometryError(
                f"the shell of {shell.name} is open;", hint="remesh it, or use the method nets."
            )
        points.append(shell.points)
        triangles.append(shell.triangles + start)
        sides.append(np.tile(np.array([[number, 0]], np.int32), (len(shell.triangles), 1)))
        phase.append(volume.phases[shell.phase].label)
        measured.append(float(shell.record.get("voxel_volume", shell.volume())))
        start += len(shell.points)
    return InterfaceSurface(
        np.concatenate(points), np.concatenate(triangles), np.concatenate(sides), np.array(phase, np.int32),
        np.array(measured), volume.phases, *volume.box, record={"shells": [dict(s.record) for s in shells]},
    )  # fmt: skip
