"""Meshes of known shapes without a mesher: to verify a solver, to try one out, to show one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise, permutations

import numpy as np
import numpy.typing as npt

from pxm2mesh.phases import PhaseTable
from pxm2mesh.regions import OUTSIDE, find_regions
from pxm2mesh.tetmesh import TetMesh
from pxm2mesh.volume import LabelVolume
from simulations.base.cutting import FACES, Links, adjacency

Floats = npt.NDArray[np.float64]

_CORNERS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
_PATHS = np.array(
    [[np.eye(3, dtype=int)[list(p[:n])].sum(axis=0) for n in range(4)] for p in permutations(range(3))]
)
"""(6, 4, 3) the Kuhn tetrahedra of a cube: paths from corner (0,0,0) to corner (1,1,1)."""


def lattice(
    x: npt.ArrayLike, y: npt.ArrayLike, z: npt.ArrayLike
) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Six tetrahedra per box of a rectilinear lattice (Kuhn's, conforming).

    Args:
        x: (nx + 1,) planes in µm.
        y: (ny + 1,) planes.
        z: (nz + 1,) planes.

    Returns:
        (n, 3) points, (k, 4) cells, and (k,) the flat index (C order) of the box each cell is in.
    """
    planes = [np.asarray(a, dtype=np.float64) for a in (x, y, z)]
    nodes = tuple(len(p) for p in planes)
    points = np.stack(np.meshgrid(*planes, indexing="ij"), axis=-1).reshape(-1, 3)
    base = np.stack(np.meshgrid(*(np.arange(n - 1) for n in nodes), indexing="ij"), axis=-1).reshape(
        -1, 1, 1, 3
    )
    corner = base + _PATHS
    cells = (corner[..., 0] * nodes[1] + corner[..., 1]) * nodes[2] + corner[..., 2]
    return points, cells.reshape(-1, 4).astype(np.int64), np.repeat(np.arange(len(base)), 6)


def tet_mesh(
    points: Floats,
    cells: npt.NDArray[np.integer],
    cell_region: npt.NDArray[np.integer],
    region_phase: Sequence[int] | npt.NDArray[np.integer],
    phases: PhaseTable | Mapping[str, int],
    *,
    lower: npt.ArrayLike | None = None,
    upper: npt.ArrayLike | None = None,
    behind: Callable[[Floats], npt.NDArray[np.integer]] | None = None,
) -> TetMesh:
    """A mesh from cells alone: orients them and finds the facets.

    Args:
        points: (n, 3) µm.
        cells: (k, 4).
        cell_region: (k,) 1…r.
        region_phase: (r + 1,) label of each region; the first entry is ignored (outside).
        phases: The phase table.
        lower: (3,) corner of the box; that of the points if None.
        upper: (3,) corner of the box.
        behind: For centres (m, 3) of outer faces, the region that lies behind, 0 for none: names parts of the
            boundary after a phase that has no cells.

    Returns:
        The mesh with a facet wherever two regions, or a region and the outside, meet.
    """
    cells = np.array(cells, dtype=np.int64)
    p = points[cells]
    flipped = np.einsum("ij,ij->i", p[:, 1] - p[:, 0], np.cross(p[:, 2] - p[:, 0], p[:, 3] - p[:, 0])) < 0
    cells[flipped] = cells[flipped][:, [0, 1, 3, 2]]
    region = np.asarray(cell_region, dtype=np.int32)
    near = adjacency(cells, len(points))
    differ = region[near.cells[:, 0]] != region[near.cells[:, 1]]
    owner = np.concatenate([near.cells[differ, 0], near.outer_cells])
    face = np.concatenate([near.local[differ, 0], near.outer_local])
    facets = np.take_along_axis(cells[owner], FACES[face], axis=1)
    other = region[near.cells[differ, 1]]
    centres = points[facets[len(other) :]].mean(axis=1)
    outside = (
        np.zeros(len(centres), dtype=np.int32)
        if behind is None
        else np.asarray(behind(centres), dtype=np.int32)
    )
    sides = np.stack([region[owner], np.concatenate([other, outside])], axis=1)
    q = points[facets]
    inward = np.einsum(
        "ij,ij->i", np.cross(q[:, 1] - q[:, 0], q[:, 2] - q[:, 0]), points[cells[owner, face]] - q[:, 0]
    )
    facets[inward > 0] = facets[inward > 0][:, [0, 2, 1]]
    labels = np.array(region_phase, dtype=np.int32)
    labels[0] = OUTSIDE
    volume = (
        np.abs(np.einsum("ij,ij->i", p[:, 1] - p[:, 0], np.cross(p[:, 2] - p[:, 0], p[:, 3] - p[:, 0]))) / 6
    )
    return TetMesh(
        points, cells.astype(np.int32), region, facets.astype(np.int32), sides, labels,
        np.asarray(np.bincount(region, volume, len(labels)), np.float64),
        phases if isinstance(phases, PhaseTable) else PhaseTable(phases),
        points.min(axis=0) if lower is None else np.asarray(lower, dtype=np.float64),
        points.max(axis=0) if upper is None else np.asarray(upper, dtype=np.float64),
    )  # fmt: skip


def voxels(volume: LabelVolume, *, exclude: Sequence[str] = ()) -> TetMesh:
    """Six tetrahedra per voxel: exact volumes, staircase surfaces.

    Args:
        volume: The labels.
        exclude: Phases that get no cells.

    Returns:
        The mesh, with the regions of the voxels.
    """
    regions = find_regions(volume)
    lower, upper = volume.box
    planes = [np.linspace(a, b, n + 1) for a, b, n in zip(lower, upper, volume.shape, strict=True)]
    points, cells, box = lattice(*planes)
    region = regions.ids.ravel()[box]
    full = tet_mesh(points, cells, region, regions.phase, volume.phases, lower=lower, upper=upper)
    from simulations.base.cutting import restrict

    out = [volume.phases[name].label for name in exclude]
    return restrict(full, Links.of(full), ~np.isin(full.cell_phase(), out))[0]


def layers(
    thickness: Mapping[str, float], *, axis: str = "x", cells: Sequence[int] = (8, 2, 2), width: float = 1.0
) -> TetMesh:
    """Layers of phases stacked along an axis.

    Args:
        thickness: Phase → µm, in the order of the stack; labels are 1, 2, ….
        axis: Along which.
        cells: Boxes along x, y, z; along ``axis`` they count per layer.
        width: Of the other two sides, µm.
    """
    along = "xyz".index(axis)
    ends = np.concatenate([[0.0], np.cumsum(list(thickness.values()))])
    n = cells[along]
    stack = np.concatenate([np.linspace(a, b, n, endpoint=False) for a, b in pairwise(ends)] + [ends[-1:]])
    planes = [stack if i == along else np.linspace(0, width, cells[i] + 1) for i in range(3)]
    points, tets, box = lattice(*planes)
    position = np.unravel_index(box, [len(p) - 1 for p in planes])[along]
    phases = {name: i + 1 for i, name in enumerate(thickness)}
    return tet_mesh(points, tets, position // n + 1, np.arange(len(thickness) + 1), phases)


def ball(
    radii: Mapping[str, float],
    *,
    cells: int = 12,
    box: Sequence[float] | None = None,
    octant: bool = True,
    outer_cells: int | None = None,
) -> TetMesh:
    """Concentric shells around the origin, in a box or bare.

    Every surface is resolved by the mesh: cubes around the origin are bent into spheres.

    Args:
        radii: Phase → outer radius in µm, from the inside to the outside; with a box the last phase fills
            what the spheres leave and its value is ignored. Labels are 1, 2, ….
        cells: Cells between the centre and the outermost sphere.
        box: (3,) half edges of the box, µm; None for a bare ball.
        octant: Only x, y, z ≥ 0, whose inner planes are mirrors.
        outer_cells: Cells between the outermost sphere and the box; from the radii if None.

    Returns:
        The mesh.
    """
    names = list(radii)
    spheres = [radii[n] for n in (names[:-1] if box is not None else names)]
    outermost = spheres[-1]
    per_shell = np.maximum(1, np.round(cells * np.diff([0.0, *spheres]) / outermost).astype(int))
    levels = [
        np.linspace(a, b, n, endpoint=False)
        for a, b, n in zip([0.0, *spheres], spheres, per_shell, strict=False)
    ]
    r = np.concatenate([*levels, [outermost]])
    inner = len(r) - 1
    extra = 0
    if box is not None:
        gap = float(np.mean(box)) * 1.2 - outermost
        extra = outer_cells or max(2, round(cells * gap / outermost))
    n = inner + extra
    steps = np.arange(n + 1) if octant else np.arange(-n, n + 1)
    points, tets, _ = lattice(*[steps.astype(float)] * 3)
    if not octant:  # mirror the pattern so that no cell is flattened on a sphere
        points, tets = _mirrored(n)
    bent = _bend(points, r, inner, n, box)
    level = np.abs(points[tets]).max(axis=(1, 2)) - 0.5
    ends = np.cumsum(per_shell)
    region = np.searchsorted(ends, level, side="left") + 1
    phases = {name: i + 1 for i, name in enumerate(names)}
    return tet_mesh(bent, tets, region, np.arange(len(names) + 1), phases)


def _mirrored(n: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The lattice on [-n, n]³ from eight mirrored octants."""
    points, cells, _ = lattice(*[np.arange(n + 1.0)] * 3)
    all_points = np.concatenate([points * (1 - 2 * c) for c in _CORNERS])
    all_cells = np.concatenate([cells + i * len(points) for i in range(8)])
    unique, inverse = np.unique(np.round(all_points).astype(np.int64), axis=0, return_inverse=True)
    return unique.astype(np.float64), inverse.ravel()[all_cells]


def _bend(points: Floats, r: Floats, inner: int, n: int, box: Sequence[float] | None) -> Floats:
    """Lattice points in units of cells → concentric cubes to spheres, and to the box beyond the outermost."""
    level = np.abs(points).max(axis=1)
    safe = np.maximum(level, 1e-300)[:, None]
    cube = points / safe
    sphere = cube / np.maximum(np.linalg.norm(cube, axis=1), 1e-300)[:, None]
    radius = np.interp(level, np.arange(inner + 1), r)[:, None]
    if level.max() == 0:
        return points
    bent = radius * sphere
    if box is not None:
        w = np.clip((level - inner) / (n - inner), 0, 1)[:, None]
        bent = np.where(level[:, None] > inner, (1 - w) * r[-1] * sphere + w * cube * np.asarray(box), bent)
    bent[level == 0] = 0.0
    return np.asarray(bent)
