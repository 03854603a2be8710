"""The welded surface net: the faces between unlike cells, as one conforming triangle complex."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import GeometryError
from pxm2mesh.phases import PhaseTable
from pxm2mesh.surface import InterfaceSurface, SurfaceLattice
from pxm2mesh.surfacing import net_kernels as kernels
from pxm2mesh.surfacing.coarsen import Cells, CellSize, coarsen, parse_cell_size
from pxm2mesh.surfacing.indicators import indicator_fields, usual_blur
from pxm2mesh.volume import LabelVolume

logger = logging.getLogger(__name__)

_WORTH_A_WARNING = 0.05  # of a phase's voxels in parts thinner than the cells


def net_of(
    cells: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """One quad per face between cells of different regions, box faces included; points welded by lattice index.

    Args:
        cells: (mx, my, mz) region of each cell, ≥ 1.

    Returns:
        ``(node, quads, sides)``: (n,) flat lattice corner of each point; (q, 4) points of each quad, the normal
        along the positive axis; (q, 2) regions below and above, 0 outside.
    """
    counts = kernels.count_planes(cells)
    first = np.concatenate([np.zeros((1, 2), np.int64), np.cumsum(counts, axis=0)])
    points, count = int(first[-1, 0]), int(first[-1, 1])
    if max(points, 2 * count) > np.iinfo(np.int32).max:
        raise GeometryError(f"a surface of {2 * count:,} triangles is too large;", hint="use larger cells.")
    node = np.empty(points, np.int64)
    quads, sides = np.empty((count, 4), np.int32), np.empty((count, 2), np.int32)
    kernels.fill_planes(cells, first[:, 0].copy(), first[:, 1].copy(), node, quads, sides)
    return node, quads, sides


def parity_diagonals(
    node: npt.NDArray[np.int64], quads: npt.NDArray[np.int32], shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """(q,) True where the diagonal from corner 0 joins the corners whose lattice indices sum to an even number."""
    i, j, k = np.unravel_index(node[quads[:, 0]], tuple(n + 1 for n in shape))
    return np.asarray((i + j + k) % 2 == 0)


def triangles_of(quads: npt.NDArray[np.int32], first: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """(2q, 3) triangles 2q and 2q + 1 of quad q, cut along corners 0–2 where ``first``, else along 1–3."""
    triangles = np.empty((2 * len(quads), 3), np.int32)
    kernels.split_quads(quads, first, triangles)
    return triangles


def extract_surface(volume: LabelVolume, *, cell_size: CellSize = 1) -> InterfaceSurface:
    """All interfaces of a volume and its box faces, as exact cell faces.

    Args:
        volume: The sample.
        cell_size: Voxels per cell edge, one number or one per axis, or a length ``"0.8 um"``. Larger cells take the
            label that most of their voxels have. Where the size does not divide the volume, a few cells are a
            voxel wider.

    Returns:
        The surface; at cell size 1 every region has exactly the volume of its voxels. ``lattice.ledger`` says what
        became of every region, ``record["regions"]`` sums it up.

    Raises:
        UsageError: The cell size is no whole number of voxels or does not fit the volume.

    Example:
        >>> import numpy as np
        >>> from pxm2mesh import LabelVolume
        >>> labels = np.ones((4, 4, 4), np.uint8)
        >>> labels[2:] = 2
        >>> surface = extract_surface(LabelVolume(labels, {"NMC": 1, "LPSCl": 2}, "0.5 um"))
        >>> surface.pair_areas()
        {'NMC | LPSCl': 4.0}

    References:
        S. F. F. Gibson, Constrained elastic surface nets, MICCAI 1998 (the net of a label volume).
    """
    sizes = parse_cell_size(cell_size, volume)
    fields = indicator_fields(volume, sigma=usual_blur(sizes), islands=False) if max(sizes) > 1 else None
    cells = coarsen(volume, sizes, indicators=fields)
    node, quads, sides = net_of(cells.regions.ids)
    triangles = triangles_of(quads, parity_diagonals(node, quads, cells.regions.ids.shape))
    lattice = SurfaceLattice(volume, cells.nodes, cells.regions.ids, node, cells.body, cells.ledger, fields)
    regions = cells.ledger.summary(volume.phases)
    _report_dropped(regions)
    thin = _report_thin(cells, volume.phases)
    record: dict[str, Any] = {"cell_size": list(sizes), "regions": regions, "thin": thin}
    return InterfaceSurface(
        to_points(lattice, corner_positions(lattice, node)),
        triangles,
        np.repeat(sides, 2, axis=0),
        cells.regions.phase,
        cells.volume * volume.voxel_volume,
        volume.phases,
        *volume.box,
        lattice=lattice,
        record=record,
    )


def corner_positions(lattice: SurfaceLattice, node: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(n, 3) undeformed positions of lattice corners, in voxels."""
    index = np.unravel_index(node, tuple(len(n) for n in lattice.nodes))
    return np.stack([n[i] for n, i in zip(lattice.nodes, index, strict=True)], axis=1)


def to_points(lattice: SurfaceLattice, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Voxel positions → µm; the planes of the box come out bit for bit as ``volume.box`` has them."""
    return np.asarray(lattice.volume.origin + positions * lattice.volume.spacing)


def _report_thin(cells: Cells, phases: PhaseTable) -> dict[str, float]:
    """Warn of phases thinner than the cells; the share of their voxels of which that is true."""
    result = {}
    for phase in phases:
        of = cells.ledger.phase == phase.label
        share = float(cells.ledger.voxels[of & cells.thin].sum() / max(int(cells.ledger.voxels[of].sum()), 1))
        if share > 0:
            result[phase.name] = round(share, 4)
        if share > _WORTH_A_WARNING:
            logger.warning(
                "%s: %.0f %% of its voxels are in parts thinner than the cells: these keep their volume, but not their "
                "shape; use smaller cells.", phase.name, 100 * share,
            )  # fmt: skip
    return result


def _report_dropped(regions: dict[str, dict[str, int]]) -> None:
    for name, fate in regions.items():
        if fate["dropped"]:
            logger.warning(
                "%s: %d regions smaller than the cells were dropped (%d voxels); their volume went to the rest of "
                "the phase.", name, fate["dropped"], fate["dropped_voxels"],
            )  # fmt: skip
