"""The mesher that cannot fail: twelve tetrahedra in every cell of the lattice.

A cell's centre is joined to the two triangles of each of its six faces. The certificate of the smoothed
surface (`pxm2mesh.surfacing.certificate`) says that all twelve are positive, so this needs no search and
no predicate; it costs two to three times the cells of a free mesh.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import GeometryError
from pxm2mesh.surface import InterfaceSurface
from pxm2mesh.surfacing import certificate
from pxm2mesh.surfacing.net import net_of, to_points


def lattice_cells(
    surface: InterfaceSurface,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Twelve positive cells in every cell of a smoothed surface's lattice.

    Args:
        surface: With ``lattice.corners`` and ``lattice.centres``.

    Returns:
        ``(points, cells, cell_region)``: (n, 3) µm, corners before centres; (k, 4); (k,).

    Raises:
        GeometryError: The surface was not smoothed, or a face has no valid diagonal.
    """
    lattice = surface.lattice
    if lattice is None or lattice.corners is None or lattice.centres is None:
        raise GeometryError(
            "the lattice mesher needs a smoothed surface with its lattice;", hint="smooth it first."
        )
    shape = lattice.cells.shape
    single = np.arange(1, lattice.cells.size + 1, dtype=np.int32).reshape(shape)
    node, quads, sides = net_of(single)  # every face of every cell
    valid = certificate.quad_certificates(node, quads, lattice.corners, lattice.centres, *shape)
    first = valid[:, 0] >= valid[:, 1]
    least = float(valid.max(axis=1).min())
    if not least > 0:
        raise GeometryError(f"the certificate does not hold: a face has determinant {least:.3g} voxel³.")
    corners = node[quads]
    centre = lattice.corners.shape[0] - 1 + sides.astype(np.int64)  # region c + 1 of `single` is cell c
    one = np.where(first[:, None], corners[:, [0, 1, 2]], corners[:, [1, 2, 3]])
    two = np.where(first[:, None], corners[:, [0, 2, 3]], corners[:, [1, 3, 0]])
    parts, owners = [], []
    for side in (0, 1):  # the normal of a quad points along the axis, from side 0 to side 1
        there = sides[:, side] > 0
        for triangle in (one, two):
            face = triangle[there] if side == 1 else triangle[there][:, [0, 2, 1]]
            parts.append(np.concatenate([face, centre[there, side, None]], axis=1))
            owners.append(sides[there, side] - 1)
    cells, owner = np.concatenate(parts).astype(np.int32), np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    points = to_points(lattice, np.concatenate([lattice.corners, lattice.centres]))
    return points, cells[order], lattice.cells.ravel()[owner[order]].astype(np.int32)
