"""The interfaces of a sample as one conforming triangle complex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, GeometryError
from pxm2mesh.phases import PhaseTable
from pxm2mesh.regions import OUTSIDE
from pxm2mesh.volume import LabelVolume

BOX_FACES = ("x-", "x+", "y-", "y+", "z-", "z+")


def frozen(array: Any, dtype: Any, shape: tuple[int | None, ...], what: str) -> npt.NDArray[Any]:
    """``array`` as a read-only C-contiguous array of ``dtype``; `DataError` unless the shape fits (None: any)."""
    result = np.ascontiguousarray(array, dtype=dtype)
    fits = result.ndim == len(shape) and all(w in (None, g) for w, g in zip(shape, result.shape, strict=True))
    if not fits:
        wanted = tuple("n" if s is None else s for s in shape)
        raise DataError(f"{what} must have shape {wanted}, got {result.shape}.")
    if result is array:
        result = result.view()
    result.flags.writeable = False
    return result


@dataclass(frozen=True, eq=False)
class Indicators:
    """Smooth indicator fields of the bodies (phases, or separated particles) of a volume.

    Attributes:
        values: (g, nx, ny, nz) float32 at the voxel centres; they sum to 1.
        group: (b,) int32 field of each body; bodies close to each other have different ones.
        body_phase: (b,) int32 label of each body.
        body_particle: (b,) int32 particle id of each body, 0 for none.
        sigma: (3,) blur in voxels.
    """

    values: npt.NDArray[np.float32]
    group: npt.NDArray[np.int32]
    body_phase: npt.NDArray[np.int32]
    body_particle: npt.NDArray[np.int32]
    sigma: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        set_, bodies = object.__setattr__, len(self.group)
        set_(self, "values", frozen(self.values, np.float32, (None, None, None, None), "values"))
        for name in ("group", "body_phase", "body_particle"):
            set_(self, name, frozen(getattr(self, name), np.int32, (bodies,), name))
        set_(self, "sigma", frozen(self.sigma, np.float64, (3,), "sigma"))


@dataclass(frozen=True, eq=False)
class RegionLedger:
    """What became of every region of the voxels when they were joined to cells.

    Attributes:
        phase: (f + 1,) int32 label of each voxel region; ``[0]`` is `OUTSIDE`.
        voxels: (f + 1,) int64 voxels of each.
        into: (f + 1,) int32 region of the surface that holds most of it, 0 where it was dropped.
        pieces: (f + 1,) int32 in how many regions of the surface it lies: 0 is dropped, 2 and more is split.
        shared: (f + 1,) bool, True where its surface region holds other voxel regions too (merged).
    """

    phase: npt.NDArray[np.int32]
    voxels: npt.NDArray[np.int64]
    into: npt.NDArray[np.int32]
    pieces: npt.NDArray[np.int32]
    shared: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        count = len(self.phase)
        for name, dtype in (("phase", np.int32), ("voxels", np.int64), ("into", np.int32),
                            ("pieces", np.int32), ("shared", np.bool_)):  # fmt: skip
            object.__setattr__(self, name, frozen(getattr(self, name), dtype, (count,), name))

    def summary(self, phases: PhaseTable) -> dict[str, dict[str, int]]:
        """Per phase: regions meshed as they were, merged, split and dropped, and the voxels dropped."""
        result = {}
        for phase in phases:
            of = np.flatnonzero(self.phase == phase.label)
            gone = self.pieces[of] == 0
            split, merged = self.pieces[of] > 1, (self.pieces[of] == 1) & self.shared[of]
            result[phase.name] = {
                "meshed": int(np.sum(~gone & ~split & ~merged)),
                "merged": int(merged.sum()),
                "split": int(split.sum()),
                "dropped": int(gone.sum()),
                "dropped_voxels": int(self.voxels[of][gone].sum()),
            }
        return result


@dataclass(frozen=True, eq=False)
class SurfaceLattice:
    """The cells that a surface came from: what smoothing, and the lattice mesher, need to know.

    Positions are in voxels here: point = ``volume.origin + position × volume.spacing``.

    Attributes:
        volume: The voxels.
        nodes: Three arrays (mx + 1,), (my + 1,), (mz + 1,): the planes between the cells, in voxels.
        cells: (mx, my, mz) int32 region of each cell.
        point_node: (n,) int64 flat index of the lattice corner, ``(i·(my + 1) + j)·(mz + 1) + k``, of each point.
        region_body: (r + 1,) int32 body (see `Indicators`) of each region; ``[0]`` is 0 and means nothing.
        ledger: What became of the voxel regions.
        indicators: The fields, once something computed them.
        offsets: (r + 1,) what to add to a region's indicator so that its volume is right.
        corners: ((mx + 1)(my + 1)(mz + 1), 3) position of every lattice corner after smoothing.
        centres: (mx·my·mz, 3) centre of every cell after smoothing; with the faces' diagonals they
            certify that nothing intersects.
    """

    volume: LabelVolume
    nodes: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]
    cells: npt.NDArray[np.int32]
    point_node: npt.NDArray[np.int64]
    region_body: npt.NDArray[np.int32]
    ledger: RegionLedger
    indicators: Indicators | None = None
    offsets: npt.NDArray[np.float64] | None = None
    corners: npt.NDArray[np.float64] | None = None
    centres: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "nodes", tuple(frozen(n, np.float64, (None,), "nodes") for n in self.nodes))
        shape = tuple(len(n) - 1 for n in self.nodes)
        set_(self, "cells", frozen(self.cells, np.int32, shape, "cells"))
        set_(self, "point_node", frozen(self.point_node, np.int64, (None,), "point_node"))
        set_(self, "region_body", frozen(self.region_body, np.int32, (None,), "region_body"))
        if self.offsets is not None:
            set_(self, "offsets", frozen(self.offsets, np.float64, (len(self.region_body),), "offsets"))
        for name in ("corners", "centres"):
            if getattr(self, name) is not None:
                set_(self, name, frozen(getattr(self, name), np.float64, (None, 3), name))

    @property
    def cell_size(self) -> npt.NDArray[np.float64]:
        """(3,) typical cell edge in voxels."""
        return np.array([float(np.median(np.diff(n))) for n in self.nodes])

    def region_group(self) -> npt.NDArray[np.int32]:
        """(r + 1,) int32 indicator field of each region; needs `indicators`."""
        if self.indicators is None:
            raise DataError("this surface carries no indicator fields;", hint="smooth it first.")
        return self.indicators.group[self.region_body]


@dataclass(frozen=True, eq=False)
class InterfaceSurface:
    """All interfaces and the box faces; every region is closed.

    Attributes:
        points: (n, 3) float64, µm.
        triangles: (m, 3) int32 into ``points``; the normal points from ``sides[:, 0]`` to ``sides[:, 1]``.
        sides: (m, 2) int32 region behind and in front; 0 is outside of the box.
        region_phase: (r + 1,) int32 label of each region; ``[0]`` is `OUTSIDE`.
        region_volume: (r + 1,) float64, µm³: what each region had in the voxels; ``[0]`` is 0.
        phases: The phase table.
        lower: (3,) µm, lower corner of the box.
        upper: (3,) µm, upper corner of the box.
        lattice: The cells it came from; None for a surface from elsewhere.
        record: How it was made: cell size, regions dropped, certificate, volume errors.
    """

    points: npt.NDArray[np.float64]
    triangles: npt.NDArray[np.int32]
    sides: npt.NDArray[np.int32]
    region_phase: npt.NDArray[np.int32]
    region_volume: npt.NDArray[np.float64]
    phases: PhaseTable
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    lattice: SurfaceLattice | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.region_phase)
        set_ = object.__setattr__
        set_(self, "points", frozen(self.points, np.float64, (None, 3), "points"))
        set_(self, "triangles", frozen(self.triangles, np.int32, (None, 3), "triangles"))
        set_(self, "sides", frozen(self.sides, np.int32, (len(self.triangles), 2), "sides"))
        set_(self, "region_phase", frozen(self.region_phase, np.int32, (None,), "region_phase"))
        set_(self, "region_volume", frozen(self.region_volume, np.float64, (count,), "region_volume"))
        set_(self, "lower", frozen(self.lower, np.float64, (3,), "lower"))
        set_(self, "upper", frozen(self.upper, np.float64, (3,), "upper"))
        if count == 0 or self.region_phase[0] != OUTSIDE:
            raise DataError(f"region_phase[0] must be {OUTSIDE} (the outside).")
        if len(self.sides) and (self.sides.min() < 0 or self.sides.max() >= count):
            raise DataError(f"sides name region {int(self.sides.max())}, but there are {count - 1} regions.")
        set_(self, "record", MappingProxyType(dict(self.record)))
        if self.lattice is not None and (
            len(self.lattice.point_node) != len(self.points) or len(self.lattice.region_body) != count
        ):
            raise DataError(
                f"the lattice knows {len(self.lattice.point_node)} points and {len(self.lattice.region_body) - 1} "
                f"regions, the surface has {len(self.points)} and {count - 1}."
            )
        if np.any(self.sides[:, 0] == self.sides[:, 1]):
            bad = int(np.argmax(self.sides[:, 0] == self.sides[:, 1]))
            raise GeometryError(f"triangle {bad} has region {self.sides[bad, 0]} on both sides.")

    def region_volumes(self) -> npt.NDArray[np.float64]:
        """(r + 1,) µm³ enclosed by each region's triangles (divergence theorem); ``[0]`` is minus the box."""
        p = self.points[self.triangles] - self.lower
        signed = np.einsum("ij,ij->i", p[:, 0], np.cross(p[:, 1], p[:, 2])) / 6
        count = len(self.region_phase)
        behind, front = (np.bincount(self.sides[:, i], signed, count) for i in (0, 1))
        return np.asarray(behind - front, dtype=np.float64)

    def phase_volumes(self) -> Mapping[str, float]:
        """µm³ per phase name."""
        return _by_phase(self.region_volumes(), self.region_phase, self.phases)

    def triangle_areas(self) -> npt.NDArray[np.float64]:
        """(m,) µm²."""
        p = self.points[self.triangles]
        return np.asarray(np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1) / 2)

    def pair_areas(self) -> Mapping[str, float]:
        """µm² per interface name; box faces are left out."""
        return areas_by_pair(self.triangle_areas(), self.region_phase[self.sides], self.phases)

    def open_edges(self) -> int:
        """Edges at which some region is not closed; 0 for a valid surface."""
        return open_edge_count(self.triangles, self.sides)

    def __repr__(self) -> str:
        areas = ", ".join(f"{pair} {area:.4g} µm²" for pair, area in self.pair_areas().items())
        return (
            f"InterfaceSurface({len(self.points):,} points, {len(self.triangles):,} triangles, "
            f"{len(self.region_phase) - 1:,} regions; {areas})"
        )

    def _repr_html_(self) -> str:
        from pxm2mesh.io.pictures import surface_html

        return surface_html(self)

    def plot(self, *, pairs: Sequence[str] | None = None, **options: Any) -> Any:
        """The interfaces in space.

        Args:
            pairs: Names such as ``"NMC | LPSCl"``; all of them when None.
            options: Of ``pyvista.Plotter.show``, and ``off_screen``.

        Returns:
            The pyvista plotter.
        """
        from pxm2mesh.io.pictures import plot_surface

        return plot_surface(self, pairs=pairs, **options)


def _by_phase(
    per_region: npt.NDArray[np.float64], region_phase: npt.NDArray[np.int32], phases: PhaseTable
) -> dict[str, float]:
    return {p.name: float(per_region[region_phase == p.label].sum()) for p in phases}


def areas_by_pair(
    areas: npt.NDArray[np.float64], labels: npt.NDArray[np.int32], phases: PhaseTable
) -> dict[str, float]:
    """Sum areas by the names of the two phases.

    Args:
        areas: (m,) µm².
        labels: (m, 2) phase labels of the two sides; `OUTSIDE` and equal labels are left out.
        phases: The phase table.

    Returns:
        µm² per ``"A | B"``, ordered by label.
    """
    low, high = labels.min(axis=1), labels.max(axis=1)
    inside = (low != OUTSIDE) & (low != high)
    keys, index = np.unique(np.stack([low[inside], high[inside]], axis=1), axis=0, return_inverse=True)
    sums = np.bincount(index.ravel(), areas[inside], len(keys))
    return {phases.pair_name(a, b): float(s) for (a, b), s in zip(keys, sums, strict=True)}


def open_edge_count(triangles: npt.NDArray[np.int32], sides: npt.NDArray[np.int32]) -> int:
    """Directed edges that do not cancel around some region: 0 where every region's boundary is closed."""
    if len(triangles) == 0:
        return 0
    n = np.int64(triangles.max()) + 1
    rows = []
    for a, b in ((0, 1), (1, 2), (2, 0)):
        i, j = triangles[:, a].astype(np.int64), triangles[:, b].astype(np.int64)
        key, sign = np.minimum(i, j) * n + np.maximum(i, j), np.where(i < j, 1, -1)
        rows += [(key, sides[:, 0], sign), (key, sides[:, 1], -sign)]
    key = np.concatenate([r[0] for r in rows])
    region = np.concatenate([r[1] for r in rows])
    sign = np.concatenate([r[2] for r in rows])
    order = np.lexsort((region, key))
    key, region, sign = key[order], region[order], sign[order]
    starts = np.flatnonzero(np.concatenate([[True], (key[1:] != key[:-1]) | (region[1:] != region[:-1])]))
    return int(np.count_nonzero(np.add.reduceat(sign, starts)))
