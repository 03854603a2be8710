"""Samples of a whole cell, for what is measured at the scale of electrodes; all lengths are known."""

from __future__ import annotations

import numpy as np

from pxm2mesh.errors import UsageError
from pxm2mesh.phases import Phase, PhaseTable
from pxm2mesh.volume import LabelVolume, SpacingLike

CELL = PhaseTable(
    [
        Phase(0, "void"),
        Phase(1, "collector", "collector"),
        Phase(2, "anode", "anode"),
        Phase(3, "separator", "separator"),
        Phase(4, "cathode", "active", "#4c72b0"),
    ]
)


def cell(
    *,
    size: int = 64,
    seed: int = 0,
    thickness: tuple[float, float, float, float] = (0.10, 0.20, 0.15, 0.35),
    overhang: float = 0.0,
    tilt: float = 0.0,
    spacing: SpacingLike = "1 um",
) -> LabelVolume:
    """Collector, anode, separator and cathode stacked along z, void above.

    Args:
        size: Voxels per edge.
        seed: Plays no part.
        thickness: Of the four layers, as shares of the edge.
        overhang: How far the anode reaches beyond the cathode on each side in x and y, as a share of the
            edge; void beside the cathode.
        tilt: How much higher the stack lies at x+ than at x-, as a share of the edge: the layers keep
            their thickness along z.
        spacing: Of the voxels.
    """
    if min(thickness) < 0 or sum(thickness) + tilt > 1 or not 0 <= overhang < 0.5 or tilt < 0:
        raise UsageError(
            f"cell: layers of {thickness} with tilt {tilt:g} do not fit;", hint="use smaller shares."
        )
    bounds = np.cumsum([0.0, *thickness]) * size
    x = np.arange(size)[:, None, None]
    height = np.arange(size)[None, None, :] - np.round(tilt * x)
    # below the tilted stack lies more collector, so that every layer above keeps its thickness
    labels = np.where(height < bounds[1], 1, 0) + np.zeros((1, size, 1), dtype=np.int64)
    for label in (2, 3, 4):
        labels[
            np.broadcast_to(
                (height >= round(bounds[label - 1])) & (height < round(bounds[label])), labels.shape
            )
        ] = label
    margin = round(overhang * size)
    if margin:
        beside = np.ones((size, size), dtype=bool)
        beside[margin : size - margin, margin : size - margin] = False
        labels[(labels == 4) & beside[:, :, None]] = 0
    return LabelVolume(labels, CELL, spacing)


def delaminated(
    *, size: int = 64, seed: int = 0, area: float = 0.25, opening: int = 3, spacing: SpacingLike = "1 um"
) -> LabelVolume:
    """A copper collector under an anode, with a gap between them over a square corner of the area.

    Args:
        size: Voxels per edge.
        seed: Plays no part.
        area: Share of the interface that is open; met to the nearest whole row of voxels.
        opening: Height of the gap in voxels.
        spacing: Of the voxels.
    """
    side = round(size * area**0.5)
    if not 0 <= area <= 1 or not 0 <= opening <= size // 2:
        raise UsageError(
            f"delaminated: area {area:g}, opening {opening};", hint="use 0 ≤ area ≤ 1, opening ≤ size/2."
        )
    labels = np.zeros((size,) * 3, dtype=np.uint8)
    floor = size // 6
    labels[:, :, :floor] = 1
    labels[:, :, floor : size - size // 8] = 2
    labels[:side, :side, floor : floor + opening] = 0
    return LabelVolume(labels, CELL, spacing)


def mud_cracks(
    *, size: int = 64, seed: int = 0, width: int = 3, polygon: int = 16, spacing: SpacingLike = "1 um"
) -> LabelVolume:
    """An anode on a collector, cut through by a square network of cracks.

    Cracks of ``width`` voxels stand ``polygon`` voxels apart (middle to middle) in x and in y; the open
    share of the area is 1 − (1 − width/polygon)² where ``polygon`` divides ``size``.

    Args:
        size: Voxels per edge.
        seed: Plays no part.
        width: Crack width in voxels.
        polygon: Distance from crack to crack in voxels.
        spacing: Of the voxels.
    """
    if not 0 < width < polygon <= size:
        raise UsageError(
            f"mud-cracks: width {width}, polygon {polygon};", hint="use 0 < width < polygon ≤ size."
        )
    open_ = (np.arange(size) + polygon // 2) % polygon < width
    labels = np.zeros((size,) * 3, dtype=np.uint8)
    floor = size // 6
    labels[:, :, floor : size - size // 8] = 2
    labels[open_[:, None] | open_[None, :]] = 0
    labels[:, :, :floor] = 1
    return LabelVolume(labels, CELL, spacing)
