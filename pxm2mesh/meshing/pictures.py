"""Pictures of meshes: refused cells, and cuts through a mesh."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.files import replacing
from pxm2mesh.meshing.assembly import Draft
from pxm2mesh.tetmesh import TetMesh


def write_cells(made: Draft, cells: npt.NDArray[np.int64], path: Path) -> None:
    """Write some cells of a draft as VTU, with their numbers, regions and angles.

    Args:
        made: The draft.
        cells: Which.
        path: Where to.
    """
    from pxm2mesh.io._vtu import write_vtu
    from pxm2mesh.meshing.quality import cell_quality

    chosen = made.cells[cells]
    quality = cell_quality(made.points, chosen)
    used, local = np.unique(chosen, return_inverse=True)
    with replacing(path) as part:
        write_vtu(
            part, made.points[used], local.reshape(-1, 4).astype(np.int32),
            cell_data={"cell": cells.astype(np.int64), "region": made.cell_region[cells],
                       "volume [um3]": quality.volume, "min_dihedral [deg]": quality.min_dihedral},
        )  # fmt: skip


def picture_of_cells(made: Draft, cells: npt.NDArray[np.int64], path: Path) -> None:
    """Draw some cells as wire frames in the frame of the mesh's box.

    Args:
        made: The draft.
        cells: Which.
        path: A PNG file.
    """
    figure, axes = _figure_3d()
    corners = made.points[made.cells[cells]]
    for i, j in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        for row in corners[:200, [i, j]]:
            axes.plot(*row.T, color="#c44e52", linewidth=1)
    low, high = made.points.min(axis=0), made.points.max(axis=0)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]),
             xlabel="x [µm]", ylabel="y [µm]", zlabel="z [µm]", title=f"{len(cells)} cells refused")  # fmt: skip
    _save(figure, path)


def _figure_3d() -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), dpi=120)
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot(projection="3d")


def _save(figure: Any, path: Path) -> None:
    with replacing(path) as part:
        figure.savefig(part)


def picture_of_cut(
    mesh: TetMesh, path: str | os.PathLike[str], *, axis: str = "z", at: float = 0.5, size: float = 9.0
) -> None:
    """Draw the cells that a plane cuts, coloured by phase, seen along the plane's normal.

    Args:
        mesh: The mesh.
        path: A PNG or SVG file.
        axis: Normal of the plane.
        at: Where it lies, from 0 to 1 across the box.
        size: Inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

    normal = "xyz".index(axis)
    plane = float(mesh.lower[normal] + at * (mesh.upper[normal] - mesh.lower[normal]))
    polygons, cells = cut_polygons(mesh.points, mesh.cells, normal, plane)
    colours = {p.label: p.colour for p in mesh.phases}
    of = mesh.cell_phase()[cells]
    figure = Figure(figsize=(size, size), dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.add_collection(
        PolyCollection(
            polygons, facecolors=[colours[int(v)] for v in of], edgecolors="#222222", linewidths=0.25
        )
    )
    flat = [k for k in range(3) if k != normal]
    axes.set(xlim=(mesh.lower[flat[0]], mesh.upper[flat[0]]), ylim=(mesh.lower[flat[1]], mesh.upper[flat[1]]),
             aspect="equal", xlabel=f"{'xyz'[flat[0]]} [µm]", ylabel=f"{'xyz'[flat[1]]} [µm]",
             title=f"{axis} = {plane:.3g} µm")  # fmt: skip
    with replacing(path) as part:
        figure.savefig(part, bbox_inches="tight")


def cut_polygons(
    points: npt.NDArray[np.float64], cells: npt.NDArray[np.int32], normal: int, plane: float
) -> tuple[list[npt.NDArray[np.float64]], npt.NDArray[np.int64]]:
    """Triangles and quadrilaterals in which a plane cuts the cells.

    Args:
        points: (n, 3).
        cells: (k, 4).
        normal: Axis 0, 1 or 2 of the plane's normal.
        plane: Its position on that axis.

    Returns:
        Polygons (3 or 4, 2) in the two other axes, and the cell of each.
    """
    height = points[:, normal] - plane
    height = np.where(height == 0, 1e-12 * max(float(np.abs(height).max()), 1e-300), height)
    above = (height[cells] > 0).sum(axis=1)
    flat = [k for k in range(3) if k != normal]
    polygons, owners = [], []
    for cell in np.flatnonzero((above > 0) & (above < 4)).tolist():
        corners = cells[cell]
        up = corners[height[corners] > 0]
        down = corners[height[corners] <= 0]
        pairs = [(a, b) for a in up for b in down]
        if len(pairs) == 4:
            pairs = [pairs[0], pairs[1], pairs[3], pairs[2]]
        shares = [height[a] / (height[a] - height[b]) for a, b in pairs]
        polygons.append(np.array([points[a][flat] * (1 - t) + points[b][flat] * t
                                  for (a, b), t in zip(pairs, shares, strict=True)]))  # fmt: skip
        owners.append(cell)
    return polygons, np.array(owners, np.int64)


__all__ = ["cut_polygons", "picture_of_cells", "picture_of_cut", "write_cells"]
