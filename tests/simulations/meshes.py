"""Small structured meshes with known geometry: boxes and sectors of balls, as `TetMesh`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from pxm2mesh.phases import PhaseTable
from pxm2mesh.regions import OUTSIDE
from pxm2mesh.tetmesh import TetMesh

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def _kuhn_cells(shape: Sequence[int]) -> Ints:
    """(6·nx·ny·nz, 4, 3) grid indices of the corners: each cube cut into six tetrahedra along its diagonal."""
    corners = np.array(
        [
            [sum((step[a] for a in order[:i]), start=np.zeros(3, int)) for i in range(4)]
            for order in itertools.permutations(range(3))
            for step in [np.eye(3, dtype=int)]
        ]
    )
    cubes = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1).reshape(-1, 1, 1, 3)
    return np.asarray((cubes + corners).reshape(-1, 4, 3))


def box(
    shape: Sequence[int],
    size: Sequence[float] = (1.0, 1.0, 1.0),
    phase_of: Callable[[Floats], npt.NDArray[np.int32]] | None = None,
    phases: PhaseTable | None = None,
    *,
    jitter: float = 0.0,
    seed: int = 0,
) -> TetMesh:
    """A box of ``6·nx·ny·nz`` tetrahedra from the origin.

    Args:
        shape: Cubes along x, y, z.
        size: Edge lengths, µm.
        phase_of: (k, 3) cell centres → (k,) labels; phase ``"NMC"`` everywhere when None.
        phases: The phase table; ``{"void": 0, "NMC": 1, "LPSCl": 2}`` when None.
        jitter: Random shift of inner points, in units of the spacing.
        seed: Of the shift.
    """
    n, length = np.asarray(shape), np.asarray(size, float)
    index = _kuhn_cells(shape)
    grid = np.stack(np.meshgrid(*(np.arange(k + 1) for k in n), indexing="ij"), -1).reshape(-1, 3)
    points = grid * (length / n)
    inner = np.all((grid > 0) & (grid < n), axis=1)
    shift = np.random.default_rng(seed).uniform(-jitter, jitter, (len(grid), 3)) * (length / n)
    points = points + np.where(inner[:, None], shift, 0.0)
    cells = np.ravel_multi_index(np.moveaxis(index, -1, 0), tuple(n + 1))
    table = phases or PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2})
    centres = (index.mean(axis=1)) * (length / n)
    labels = np.ones(len(cells), np.int32) if phase_of is None else np.asarray(phase_of(centres), np.int32)
    return _assemble(points, cells, labels, table, np.zeros(3), length, "")


def ball_sector(
    radii: Sequence[float],
    layers: Sequence[str] | str = "NMC",
    *,
    outside: str = "void",
    inside: str = "void",
    inner_layers: int = 0,
    phases: PhaseTable | None = None,
) -> TetMesh:
    """The first octant of a ball (or of a hollow one) in concentric layers of tetrahedra.

    The layers are polyhedra with the volume of the balls they stand for. The planes x = 0, y = 0, z = 0
    are the box faces ``"x-"``, ``"y-"``, ``"z-"``; the outer sphere borders on the unmeshed phase ``outside``,
    so that it is the interface ``"NMC | void"``.

    Args:
        radii: Ascending radii of the layers, µm; begins with 0 for a full ball.
        layers: Phase of each layer (``len(radii) - 1``), or one for all.
        outside: Unmeshed phase beyond the outermost radius.
        inside: Unmeshed phase in the hole.
        inner_layers: For a hollow ball: how many layers the hole counts for (sets the angular resolution).
        phases: The phase table; ``{"void": 0, "NMC": 1, "LPSCl": 2}`` when None.
    """
    r = np.asarray(radii, float)
    first, n = inner_layers, inner_layers + len(r) - 1
    if (first == 0) != (r[0] == 0):
        raise ValueError("a full ball begins with radius 0, a hollow one needs inner_layers")
    index = _kuhn_cells((n, n, n))
    centre = index.mean(axis=1)
    index = index[(centre[:, 0] > centre[:, 1]) & (centre[:, 1] > centre[:, 2]) & (centre[:, 0] > first)]
    index = index[np.all(index[..., 0] >= first, axis=1)]
    keys, cells = np.unique(index.reshape(-1, 3), axis=0, return_inverse=True)
    i, j, k = keys.T
    direction = np.stack([i - j, j - k, k], -1).astype(float)
    direction /= np.maximum(np.linalg.norm(direction, axis=1), 1e-300)[:, None]
    points = direction * (_volume_factor(direction, cells.reshape(-1, 4), i) * r[i - first])[:, None]
    table = phases or PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2})
    names = [layers] * (len(r) - 1) if isinstance(layers, str) else list(layers)
    label = np.array([table[name].label for name in names], np.int32)
    layer = index[..., 0].min(axis=1) - first
    hole = inside if first else ""
    cells = cells.reshape(-1, 4)
    return _assemble(points, cells, label[layer], table, np.zeros(3), np.full(3, r[-1]), outside, hole)


def _volume_factor(direction: Floats, cells: Ints, layer: Ints) -> Floats:
    """(n,) what the polyhedron through the points of each layer must grow by to hold the ball's volume."""
    height = layer[cells]
    held = np.zeros(layer.max() + 1)
    for extreme in (height.min(axis=1, keepdims=True), height.max(axis=1, keepdims=True)):
        at = height == extreme
        three = at.sum(axis=1) == 3
        triangles = cells[three][at[three]].reshape(-1, 3)
        volume = np.abs(np.linalg.det(direction[triangles])) / 6
        held = np.maximum(held, np.bincount(layer[triangles[:, 0]], volume, len(held)))
    held[0] = held[0] or np.pi / 6  # the centre
    return np.asarray((np.pi / 6 / np.maximum(held, 1e-300)) ** (1 / 3))[layer]


def _assemble(
    points: Floats,
    cells: Ints,
    labels: npt.NDArray[np.int32],
    phases: PhaseTable,
    lower: Floats,
    upper: Floats,
    outside: str,
    inside: str = "",
) -> TetMesh:
    """Orient the cells, find the facets, and name what lies beyond the outer ones.

    Regions are taken per phase (enough for tests); a region of the phase ``outside`` (``inside`` near the
    origin) lies beyond every outer facet that is not on a box face.
    """
    p = points[cells]
    volume = np.einsum("ij,ij->i", p[:, 1] - p[:, 0], np.cross(p[:, 2] - p[:, 0], p[:, 3] - p[:, 0]))
    cells = np.where((volume < 0)[:, None], cells[:, [0, 2, 1, 3]], cells)
    present = np.unique(labels)
    unmeshed = [phases[name].label for name in (outside, inside) if name]
    region_phase = np.concatenate([[OUTSIDE], present, unmeshed]).astype(np.int32)
    region = 1 + np.searchsorted(present, labels)
    # Corner orders with the normal out of a positively oriented cell.
    faces = cells[:, [[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]]].reshape(-1, 3)
    owner = np.repeat(np.arange(len(cells)), 4)
    _, inverse, count = np.unique(np.sort(faces, axis=1), axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    single = order[starts[count == 1]]
    pair = np.stack([order[starts[count == 2]], order[starts[count == 2] + 1]], -1)
    sides = region[owner[pair]]
    pair = pair[sides[:, 0] != sides[:, 1]]
    tolerance = 1e-9 * float(np.max(upper - lower))
    at = np.abs(points[faces[single]][..., None] - np.stack([lower, upper], -1)) < tolerance
    on_box = at.all(axis=1).any(axis=(1, 2))
    beyond = np.where(on_box | (not outside), 0, 1 + len(present))
    if inside:
        nearest = np.linalg.norm(points, axis=1).min()
        in_hole = np.linalg.norm(points[faces[single]], axis=2).max(axis=1) < nearest * (1 + 1e-9)
        beyond[in_hole & ~on_box] = 2 + len(present)
    facets = np.concatenate([faces[single], faces[pair[:, 0]]])
    inner_sides = region[owner[pair]]
    facet_sides = np.concatenate([np.stack([region[owner[single]], beyond], -1), inner_sides])
    mesh_volume = np.bincount(region, np.abs(volume) / 6, len(region_phase))
    return TetMesh(
        points=points,
        cells=cells.astype(np.int32),
        cell_region=region.astype(np.int32),
        facets=facets.astype(np.int32),
        facet_sides=facet_sides.astype(np.int32),
        region_phase=region_phase,
        region_volume=mesh_volume,
        phases=phases,
        lower=lower,
        upper=upper,
    )
