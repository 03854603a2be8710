"""The multi-material tetrahedral mesh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, GeometryError, UsageError, did_you_mean
from pxm2mesh.phases import PhaseTable
from pxm2mesh.regions import OUTSIDE
from pxm2mesh.surface import BOX_FACES, areas_by_pair, frozen

if TYPE_CHECKING:
    import os


@dataclass(frozen=True, eq=False)
class TetMesh:
    """Tetrahedra with regions, and the triangles of all interfaces and box faces.

    Regions left out of the mesh (``exclude=["void"]``) keep their ids: they have no cells, but the
    facets towards them still know what was there.

    Attributes:
        points: (n, 3) float64, µm.
        cells: (k, 4) int32 into ``points``; all volumes are positive.
        cell_region: (k,) int32.
        facets: (f, 3) int32; each is a face of one or two cells; the normal points from
            ``facet_sides[:, 0]`` to ``facet_sides[:, 1]``.
        facet_sides: (f, 2) int32 region behind and in front; 0 is outside of the box.
        region_phase: (r + 1,) int32 label of each region; ``[0]`` is `OUTSIDE`.
        region_volume: (r + 1,) float64, µm³: what each region had in the voxels.
        phases: The phase table.
        lower: (3,) µm, lower corner of the box.
        upper: (3,) µm, upper corner of the box.
        facet_pairs: (q, 2) int32 into ``facets``: the two copies of each facet of a split interface,
            the first seen from the lower region; empty where nothing is split.
        point_fields: Name with unit → (n,) values, such as the graded zone's indicator.
        cell_fields: Name with unit → (k,) values.
        record: How it was made: route, seconds, options; what ``M.json`` adds to the numbers above.
    """

    points: npt.NDArray[np.float64]
    cells: npt.NDArray[np.int32]
    cell_region: npt.NDArray[np.int32]
    facets: npt.NDArray[np.int32]
    facet_sides: npt.NDArray[np.int32]
    region_phase: npt.NDArray[np.int32]
    region_volume: npt.NDArray[np.float64]
    phases: PhaseTable
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    facet_pairs: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))
    point_fields: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    cell_fields: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count, set_ = len(self.region_phase), object.__setattr__
        set_(self, "points", frozen(self.points, np.float64, (None, 3), "points"))
        set_(self, "cells", frozen(self.cells, np.int32, (None, 4), "cells"))
        set_(self, "cell_region", frozen(self.cell_region, np.int32, (len(self.cells),), "cell_region"))
        set_(self, "facets", frozen(self.facets, np.int32, (None, 3), "facets"))
        set_(self, "facet_sides", frozen(self.facet_sides, np.int32, (len(self.facets), 2), "facet_sides"))
        set_(self, "region_phase", frozen(self.region_phase, np.int32, (None,), "region_phase"))
        set_(self, "region_volume", frozen(self.region_volume, np.float64, (count,), "region_volume"))
        set_(self, "lower", frozen(self.lower, np.float64, (3,), "lower"))
        set_(self, "upper", frozen(self.upper, np.float64, (3,), "upper"))
        set_(self, "facet_pairs", frozen(self.facet_pairs, np.int32, (None, 2), "facet_pairs"))
        for name, size in (("point_fields", len(self.points)), ("cell_fields", len(self.cells))):
            values = {
                k: frozen(v, np.float64, (size,), f"{name}[{k!r}]") for k, v in getattr(self, name).items()
            }
            set_(self, name, MappingProxyType(values))
        set_(self, "record", MappingProxyType(dict(self.record)))
        if count == 0 or self.region_phase[0] != OUTSIDE:
            raise DataError(f"region_phase[0] must be {OUTSIDE} (the outside).")
        if len(self.cells) == 0:
            raise GeometryError("the mesh has no cells;", hint="check which phases are excluded.")
        for what, array, top in (
            ("cells", self.cells, len(self.points)),
            ("facets", self.facets, len(self.points)),
            ("cell_region", self.cell_region, count),
            ("facet_sides", self.facet_sides, count),
        ):
            if len(array) and (array.min() < 0 or array.max() >= top):
                raise DataError(f"{what} refer to {int(array.max())}, but there are only {top}.")
        volumes = self.cell_volumes()
        if not np.all(volumes > 0):
            worst = int(np.argmin(volumes))
            centre = np.round(self.points[self.cells[worst]].mean(axis=0), 3).tolist()
            raise GeometryError(
                f"{int(np.sum(~(volumes > 0)))} of {len(volumes)} cells are flat or inside out; the worst is "
                f"cell {worst} near {centre} µm (volume {volumes[worst]:.3g} µm³)."
            )

    def cell_volumes(self) -> npt.NDArray[np.float64]:
        """(k,) µm³, signed."""
        p0, p1, p2, p3 = (self.points[self.cells[:, i]] for i in range(4))
        return np.asarray(np.einsum("ij,ij->i", p1 - p0, np.cross(p2 - p0, p3 - p0)) / 6)

    def cell_phase(self) -> npt.NDArray[np.int32]:
        """(k,) label of each cell."""
        return self.region_phase[self.cell_region]

    def region_volumes(self) -> npt.NDArray[np.float64]:
        """(r + 1,) µm³ of the cells of each region (0 for one that is not meshed)."""
        return np.asarray(
            np.bincount(self.cell_region, self.cell_volumes(), len(self.region_phase)), np.float64
        )

    def phase_volumes(self) -> Mapping[str, float]:
        """µm³ per meshed phase."""
        volumes = self.region_volumes()
        meshed = set(np.unique(self.cell_phase()).tolist())
        return {
            p.name: float(volumes[self.region_phase == p.label].sum())
            for p in self.phases
            if p.label in meshed
        }

    def facet_areas(self) -> npt.NDArray[np.float64]:
        """(f,) µm²."""
        p = self.points[self.facets]
        return np.asarray(np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1) / 2)

    def pair_areas(self) -> Mapping[str, float]:
        """µm² per interface name; each split facet counts once."""
        areas = self.facet_areas()
        areas[self.facet_pairs[:, 1]] = 0.0
        return areas_by_pair(areas, self.region_phase[self.facet_sides], self.phases)

    def facets_of(self, name: str) -> npt.NDArray[np.int64]:
        """Indices of the facets of an interface ``"NMC | LPSCl"`` or of a box face ``"z+"``.

        Raises:
            UsageError: No such box face or phase.
        """
        if "|" in name:
            first, second = self.phases.pair(name)
            labels = self.region_phase[self.facet_sides]
            forward = (labels[:, 0] == first.label) & (labels[:, 1] == second.label)
            return np.flatnonzero(forward | ((labels[:, 0] == second.label) & (labels[:, 1] == first.label)))
        if name not in BOX_FACES:
            raise UsageError(f"unknown box face or interface {name!r};", hint=did_you_mean(name, BOX_FACES))
        axis, upper = "xyz".index(name[0]), name[1] == "+"
        plane = (self.upper if upper else self.lower)[axis]
        tolerance = 1e-9 * float(np.max(self.upper - self.lower))
        outer = np.flatnonzero(np.any(self.facet_sides == 0, axis=1))  # few of all
        at = np.all(np.abs(self.points[self.facets[outer], axis] - plane) <= tolerance, axis=1)
        return outer[at]

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the mesh in the format of the suffix, with its interfaces and its record beside it.

        Args:
            path: ``.vtu``, ``.msh``, ``.xdmf``, ``.inp``, ``.exo`` or ``.nas``.
        """
        from pxm2mesh.io.meshes import write_mesh

        write_mesh(self, path)

    def __repr__(self) -> str:
        shares = ", ".join(f"{name} {volume:.4g} µm³" for name, volume in self.phase_volumes().items())
        return (
            f"TetMesh({len(self.points):,} points, {len(self.cells):,} cells, {len(self.region_phase) - 1:,} regions, "
            f"{len(self.facets):,} facets; {shares})"
        )

    def _repr_html_(self) -> str:
        from pxm2mesh.io.pictures import mesh_html

        return mesh_html(self)

    def plot(self, *, cut: bool = True, **options: Any) -> Any:
        """The cells in the colours of their phases.

        Args:
            cut: Take one corner away, to look inside.
            options: Of ``pyvista.Plotter.show``, and ``off_screen``.

        Returns:
            The pyvista plotter.
        """
        from pxm2mesh.io.pictures import plot_mesh

        return plot_mesh(self, cut=cut, **options)
