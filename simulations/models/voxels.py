"""Voxels of a deformed mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError
from pxm2mesh.phases import PhaseTable
from pxm2mesh.volume import LabelVolume

_INSIDE = -1e-9
_CHUNK = 1 << 18


def voxelise(
    points: npt.ArrayLike, cells: npt.ArrayLike, labels: npt.ArrayLike, phases: PhaseTable, voxel: float
) -> LabelVolume:
    """The label of the cell that holds the centre of each voxel.

    As many voxels as fit are laid from the lower corner of the points on; what is left over at the upper faces, less
    than a voxel, is cut off.

    Args:
        points: (n, 3) µm, filling a box.
        cells: (k, 4) tetrahedra; all volumes are positive.
        labels: (k,) of the phases.
        phases: Their table.
        voxel: Edge, µm.

    Raises:
        UsageError: The voxel is larger than the box, or a centre is in no cell.

    Example:
        >>> points = [[0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 3]]
        >>> voxelise(points, [[0, 1, 2, 3]], [1], PhaseTable({"NMC": 1}), 3.0)
        Traceback (most recent call last):
        pxm2mesh.errors.UsageError: 1 of 1 voxels lie in no cell; the mesh does not fill its box.
    """
    place, nodes, of = np.asarray(points, float), np.asarray(cells), np.asarray(labels)
    used = place[np.unique(nodes)]
    lower = used.min(axis=0)
    shape = np.floor((used.max(axis=0) - lower) / voxel + 1e-9).astype(int)
    if shape.min() < 1:
        raise UsageError(f"a voxel of {voxel:g} µm is larger than the sample;", hint="choose a smaller one.")
    result = np.zeros(shape, np.uint16)
    filled = np.zeros(shape, bool)
    corners = (place[nodes] - lower) / voxel - 0.5  # centres are at whole numbers
    first = np.maximum(np.ceil(corners.min(axis=1) - 1e-9).astype(int), 0)
    last = np.minimum(np.floor(corners.max(axis=1) + 1e-9).astype(int), shape - 1)
    inverse = np.linalg.inv((corners[:, 1:] - corners[:, :1]).transpose(0, 2, 1))
    spans = (last - first + 1).clip(0).max(axis=0)
    for offset in np.ndindex(*spans):
        centre = first + np.asarray(offset)
        chosen = np.flatnonzero((centre <= last).all(axis=1))
        for part in np.array_split(chosen, max(len(chosen) // _CHUNK, 1)):
            share = np.einsum("kab,kb->ka", inverse[part], centre[part] - corners[part, 0])
            inside = part[(share.min(axis=1) >= _INSIDE) & (share.sum(axis=1) <= 1 - _INSIDE)]
            where: tuple[Any, ...] = tuple(centre[inside].T)
            result[where], filled[where] = of[inside], True
    empty = int((~filled).sum())
    if empty:
        raise UsageError(f"{empty} of {filled.size} voxels lie in no cell; the mesh does not fill its box.")
    return LabelVolume(result, phases, (voxel,) * 3, lower)
