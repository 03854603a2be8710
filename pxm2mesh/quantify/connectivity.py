"""Which part of a phase hangs together, and which part leads from one side of the box to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pxm2mesh.quantify.areas import phase_index
from pxm2mesh.volume import LabelVolume

AXES = ("x", "y", "z")


@dataclass(frozen=True, eq=False)
class Components:
    """The connected pieces of every phase; particle ids play no part.

    Attributes:
        ids: (nx, ny, nz) uint32, 1…n.
        phase: (n + 1,) position of each piece's phase in the phase table; ``[0]`` is −1.
        voxels: (n + 1,) size of each piece; ``[0]`` is 0.
        touches: (n + 1, 6) whether a piece reaches the box faces x-, x+, y-, y+, z-, z+.
    """

    ids: npt.NDArray[np.uint32]
    phase: npt.NDArray[np.int64]
    voxels: npt.NDArray[np.int64]
    touches: npt.NDArray[np.bool_]

    def percolating(self, axis: int) -> npt.NDArray[np.bool_]:
        """(n + 1,) whether a piece reaches both box faces across ``axis``."""
        return np.asarray(self.touches[:, 2 * axis] & self.touches[:, 2 * axis + 1])


def find_components(volume: LabelVolume, *, connectivity: Literal[6, 18, 26] = 6) -> Components:
    """Label the connected pieces of all phases in one pass.

    Args:
        volume: The sample.
        connectivity: 6 joins voxels across faces, as current flows; 18 across edges, 26 across corners too.

    Returns:
        Its pieces.

    References:
        W. Silversmith, cc3d: connected components on multilabel 3D images (2021).
    """
    import cc3d

    from pxm2mesh.quantify import _component_kernels as kernels

    phase = phase_index(volume)
    keys = (
        phase.astype(np.uint8 if len(volume.phases) < 255 else np.uint32) + 1
    )  # cc3d takes 0 for background
    ids: npt.NDArray[np.uint32] = np.asarray(
        cc3d.connected_components(keys, connectivity=connectivity, out_dtype=np.uint32), dtype=np.uint32
    )
    count = int(ids.max())
    phase_of = np.full(count + 1, -1, np.int64)
    voxels = np.zeros(count + 1, np.int64)
    kernels.tabulate(ids, phase, phase_of, voxels)
    touches = np.zeros((count + 1, 6), bool)
    for axis in range(3):
        for end in (0, 1):
            touches[np.unique(ids.take(-end, axis)), 2 * axis + end] = True
    for array in (ids, phase_of, voxels, touches):
        array.flags.writeable = False
    return Components(ids, phase_of, voxels, touches)


def euler_number(
    volume: LabelVolume, *names: str, sides: Literal["halved", "closed", "left-out"] = "halved"
) -> float:
    """Pieces minus tunnels plus closed holes of some phases, voxels joined across faces.

    Args:
        volume: The sample.
        *names: Phases taken together.
        sides: What lies in the outermost voxels belongs to more than this sample. ``"halved"`` counts it
            half (an estimate of the number per volume without bias from the sides), ``"closed"`` whole, as if the
            sample ended there, ``"left-out"`` not at all.

    Returns:
        The Euler number χ. Connectivity in the sense of the literature is 1 − χ for one piece.

    References:
        J. Ohser and F. Mücklich, Statistical Analysis of Microstructures in Materials Science (2000), ch. 3.
    """
    share = {"halved": 0.5, "closed": 1.0, "left-out": 0.0}[sides]
    inside = volume.mask(*names)
    total = 0.0
    for joined in np.ndindex(
        2, 2, 2
    ):  # cubes of 1, 2, 4, 8 voxels, all inside: points, links, squares, cubes
        cells = inside
        for axis, wide in enumerate(joined):
            if wide:
                low, high = ([slice(None)] * 3 for _ in range(2))
                low[axis], high[axis] = slice(0, -1), slice(1, None)
                cells = cells[tuple(low)] & cells[tuple(high)]
        total += (-1) ** sum(joined) * _weighted_count(cells, [not wide for wide in joined], share)
    return total


def _weighted_count(cells: npt.NDArray[np.bool_], thin: Sequence[bool], share: float) -> float:
    """Number of cells, where those in the outermost planes across thin axes count ``share`` per axis."""
    weights: list[npt.NDArray[np.float64]] = []
    for n, flat in zip(cells.shape, thin, strict=True):
        weight = np.ones(n)
        if flat:
            weight[[0, -1]] = share
        weights.append(weight)
    planes = [float(weights[1] @ plane @ weights[2]) for plane in cells]
    return float(weights[0] @ np.array(planes))
