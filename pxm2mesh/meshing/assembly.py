"""From loose cells to a `TetMesh`: order, facets and their sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import GeometryError
from pxm2mesh.surface import InterfaceSurface
from pxm2mesh.tetmesh import TetMesh

FACES = ((1, 2, 3), (0, 3, 2), (0, 1, 3), (0, 2, 1))
"""Faces of a positive cell seen from outside, each opposite the corner of its position."""


@dataclass(eq=False)
class Draft:
    """A mesh in the making: unlike `TetMesh` it may hold flat cells, and its arrays can be written.

    Attributes:
        points: (n, 3) µm.
        cells: (k, 4) int32.
        cell_region: (k,) int32.
        facets: (f, 3) int32, normals from ``facet_sides[:, 0]`` to ``facet_sides[:, 1]``.
        facet_sides: (f, 2) int32; 0 is outside.
    """

    points: npt.NDArray[np.float64]
    cells: npt.NDArray[np.int32]
    cell_region: npt.NDArray[np.int32]
    facets: npt.NDArray[np.int32]
    facet_sides: npt.NDArray[np.int32]


def draft(
    points: npt.NDArray[np.float64],
    cells: npt.NDArray[np.int32],
    cell_region: npt.NDArray[np.int32],
    facets: npt.NDArray[np.int32] | None = None,
    facet_sides: npt.NDArray[np.int32] | None = None,
) -> Draft:
    """Order the cells and find the facets.

    Unused points are dropped. Cells are ordered by region, then along a space-filling curve, and
    points by first use: neighbours in space are neighbours in memory, and the order depends on
    nothing but the geometry.

    Args:
        points: (n, 3) µm.
        cells: (k, 4), none inverted.
        cell_region: (k,).
        facets: (f, 3) triangles that are known to be the interfaces; None finds them.
        facet_sides: (f, 2).

    Returns:
        The draft; its arrays are new.

    Raises:
        GeometryError: A face belongs to more than two cells.
    """
    order = _space_filling_order(points, cells, cell_region)
    cells, cell_region = cells[order], cell_region[order]
    number, kept = _first_use(cells, len(points))
    points, cells = points[kept], number[cells]
    if facets is None or facet_sides is None:
        facets, facet_sides = find_facets(cells, cell_region)
    else:
        facets, facet_sides = _low_to_high(number[facets], facet_sides)
    return Draft(points, cells, cell_region, facets, facet_sides)


def _first_use(
    cells: npt.NDArray[np.int32], count: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """(n,) new number of each point by its first use in ``cells``, -1 unused; and the points in that order."""
    flat = cells.ravel()
    first = np.full(count, len(flat), np.int64)
    first[flat[::-1]] = np.arange(len(flat) - 1, -1, -1)  # the last write is the first use
    kept = np.argsort(first, kind="stable")[: int(np.count_nonzero(first < len(flat)))]
    number = np.full(count, -1, np.int32)
    number[kept] = np.arange(len(kept), dtype=np.int32)
    return number, kept


def _low_to_high(
    facets: npt.NDArray[np.int32], sides: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Normals from low to high region, outwards at the box; ordered by sides."""
    turn = (sides[:, 0] == 0) | ((sides[:, 1] != 0) & (sides[:, 0] > sides[:, 1]))
    facets = np.where(turn[:, None], facets[:, [0, 2, 1]], facets)
    sides = np.where(turn[:, None], sides[:, ::-1], sides)
    order = np.lexsort((facets.min(axis=1), sides[:, 1], sides[:, 0]))
    return facets[order], np.ascontiguousarray(sides[order])


def _space_filling_order(
    points: npt.NDArray[np.float64], cells: npt.NDArray[np.int32], cell_region: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """By region, then by the Morton code of the centre (10 bits an axis), then by the old position."""
    centre = points[cells[:, 0]] + points[cells[:, 1]] + points[cells[:, 2]] + points[cells[:, 3]]
    low, high = centre.min(axis=0), centre.max(axis=0)
    grid = ((centre - low) / max(float((high - low).max()), 1e-300) * 1023).astype(np.uint64)
    code = np.zeros(len(cells), np.uint64)
    for axis in range(3):
        code |= _spread_bits(grid[:, axis]) << np.uint64(axis)
    return np.asarray(np.argsort((cell_region.astype(np.uint64) << np.uint64(30)) | code, kind="stable"))


def _spread_bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Two zero bits after each of the lowest ten."""
    x = values
    for shift, mask in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
        x = (x | (x << np.uint64(shift))) & np.uint64(mask)
    return x


def sorted_faces(
    cells: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Every face of every cell, sorted so that twins stand beside each other.

    Args:
        cells: (k, 4).

    Returns:
        ``order`` (4k,) of faces ``4 × cell + opposite corner``, and ``twin`` (4k − 1,) True where the face at
        that place and the next one have the same corners.
    """
    faces = cells[:, np.array(FACES)].reshape(-1, 3)
    low, high = faces.min(axis=1), faces.max(axis=1)
    middle = (faces.sum(axis=1, dtype=np.int64) - low - high).astype(np.int64)
    key = low.astype(np.int64) * (int(cells.max()) + 1) + middle
    order = np.lexsort((high, key))
    key, high = key[order], high[order]
    return order, (key[1:] == key[:-1]) & (high[1:] == high[:-1])


def find_facets(
    cells: npt.NDArray[np.int32], cell_region: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Faces between unlike regions, and faces of one cell only.

    Args:
        cells: (k, 4).
        cell_region: (k,).

    Returns:
        facets (f, 3) with normals from low to high region, those of one cell outwards, and facet_sides
        (f, 2) with the region behind first and 0 outside; ordered by sides, then by cell.

    Raises:
        GeometryError: A face belongs to more than two cells.
    """
    order, twin = sorted_faces(cells)
    if np.any(twin[1:] & twin[:-1]):
        raise GeometryError(f"{int(np.sum(twin[1:] & twin[:-1]))} faces belong to more than two cells.")
    left = np.flatnonzero(twin)
    region = cell_region[order // 4]
    inner = left[region[left] != region[left + 1]]
    alone = np.ones(len(order), np.bool_)
    alone[left] = alone[left + 1] = False
    outer = np.flatnonzero(alone)
    low_first = region[inner] < region[inner + 1]
    face = np.concatenate([np.where(low_first, order[inner], order[inner + 1]), order[outer]])
    behind = np.concatenate([np.minimum(region[inner], region[inner + 1]), region[outer]])
    front = np.concatenate([np.maximum(region[inner], region[inner + 1]), np.zeros(len(outer), np.int32)])
    facets = cells[face[:, None] // 4, np.array(FACES)[face % 4]]
    final = np.lexsort((face, front, behind))
    return facets[final], np.stack([behind, front], axis=1)[final].astype(np.int32)


def finish(
    made: Draft,
    surface: InterfaceSurface,
    *,
    exclude: npt.NDArray[np.bool_] | None = None,
    record: Mapping[str, Any] | None = None,
) -> TetMesh:
    """The mesh that others may see.

    Args:
        made: The draft.
        surface: Where region tables, phases and box come from.
        exclude: (r + 1,) True for regions whose cells are left out; their ids stay, and facets towards them
            still name them.
        record: For `TetMesh.record`.

    Returns:
        The mesh; box points lie exactly on the box.

    Raises:
        GeometryError: No cell is left, or one is flat or inverted.
    """
    cells, cell_region, facets, sides = made.cells, made.cell_region, made.facets, made.facet_sides
    points = made.points
    if exclude is not None and exclude.any():
        gone = exclude.copy()
        gone[0] = True
        cells, cell_region = cells[~gone[cell_region]], cell_region[~gone[cell_region]]
        keep = ~(gone[sides[:, 0]] & gone[sides[:, 1]])
        facets, sides = facets[keep], sides[keep]
        if len(cells) == 0:
            raise GeometryError("every region is excluded;", hint="exclude fewer phases.")
        used = np.unique(cells)
        number = np.full(len(points), -1, np.int32)
        number[used] = np.arange(len(used), dtype=np.int32)
        points, cells, facets = points[used], number[cells], number[facets]
    return TetMesh(
        points=points,
        cells=cells,
        cell_region=cell_region,
        facets=facets,
        facet_sides=sides,
        region_phase=surface.region_phase,
        region_volume=surface.region_volume,
        phases=surface.phases,
        lower=surface.lower,
        upper=surface.upper,
        record=record or {},
    )
