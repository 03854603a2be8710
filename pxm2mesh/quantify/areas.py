"""Interface areas: three estimators that agree on smooth shapes, side by side.

Counting voxel faces overestimates a sphere by one half, however fine the voxels; the estimators here do not.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError, did_you_mean
from pxm2mesh.quantify._parallel import sum_over_planes
from pxm2mesh.volume import LabelVolume

Float = npt.NDArray[np.float64]
AreaMethod = Literal["projected-faces", "smoothed-mesh", "marching-cubes", "crofton", "voxel-faces"]

_REACH = 3
"""Half-width, in voxels, of the window that a face normal is measured in."""
_BALL = 3.6
"""The window ends at this distance from the middle of the face."""
_NOISE = 0.1
"""Variance per voxel that the window weights are made robust against."""
_DIRECTIONS = np.array(
    [d for d in np.ndindex(3, 3, 3) if d > (1, 1, 1)], dtype=np.int64
) - 1  # fmt: skip
"""The 13 directions to the 26 neighbours, up to sign."""


def interface_areas(volume: LabelVolume, *, method: AreaMethod = "projected-faces") -> dict[str, float]:
    """Area of every interface inside the box.

    Args:
        volume: The sample; particle ids play no part.
        method: ``"projected-faces"`` (default): each voxel face counts with its projection on the local
            normal, measured in a window of 190 voxels with fitted weights; within 1 % on planes of any
            orientation and on spheres of 8 voxels radius.
            ``"smoothed-mesh"``: area of the net that meshes are made of, smoothed at constant volume; +0.4 to
            +0.7 % on a sphere, but some hundred times the time.
            ``"marching-cubes"``: area of the marching-cubes surface of the labels, +8 % on a sphere.
            ``"crofton"``: intersections with lines in 13 directions; right on average over all
            orientations, up to 7 % wrong on one flat plane.
            ``"voxel-faces"``: the staircase itself, +50 % on a sphere; for comparison with other tools.

    Returns:
        µm² per interface ``"A | B"``, lower label first; pairs that do not touch are left out.

    Raises:
        UsageError: Unknown method.

    Example:
        >>> import numpy as np
        >>> from pxm2mesh import LabelVolume
        >>> labels = np.zeros((8, 8, 8), np.uint8); labels[:, :, 4:] = 1
        >>> volume = LabelVolume(labels, {"void": 0, "NMC": 1}, "1 um")
        >>> round(interface_areas(volume)["void | NMC"], 9)
        64.0

    References:
        F. Flin et al., IEEE Trans. Image Process. 14, 585 (2005) (projected faces);
        W. Lorensen and H. Cline, Computer Graphics 21, 163 (1987) (marching cubes);
        J. Ohser and F. Mücklich, Statistical Analysis of Microstructures (2000) (Crofton, 13 directions).
    """
    if method not in get_args(AreaMethod):
        raise UsageError(f"unknown area method {method!r};", hint=did_you_mean(method, get_args(AreaMethod)))
    table = area_table(volume, phase_index(volume), method)
    names = volume.phases.names
    return {f"{names[a]} | {names[b]}": float(table[a, b]) for a, b in zip(*np.nonzero(table), strict=True)}


def phase_index(volume: LabelVolume) -> npt.NDArray[np.unsignedinteger]:
    """(nx, ny, nz) position of each voxel's phase in the phase table, in the smallest unsigned type."""
    labels = np.array(volume.phases.labels)
    dtype = np.uint8 if len(labels) <= 256 else np.uint16 if len(labels) <= 65536 else np.uint32
    if np.array_equal(labels, np.arange(len(labels))) and volume.labels.dtype == dtype:
        return volume.labels
    if labels[-1] < 1 << 20:
        lookup = np.zeros(labels[-1] + 1, dtype)
        lookup[labels] = np.arange(len(labels))
        return np.asarray(lookup[volume.labels])
    return np.searchsorted(labels, volume.labels).astype(dtype)


def area_table(volume: LabelVolume, phase: npt.NDArray[np.unsignedinteger], method: AreaMethod) -> Float:
    """(p, p) µm² between phases, upper triangle, from the volume and its phase indices."""
    from pxm2mesh.quantify import _area_kernels as kernels

    shape, spacing, count = phase.shape, volume.spacing, len(volume.phases)

    def zeros() -> Float:
        return np.zeros((count, count))

    if method == "projected-faces":
        own = np.arange(count)
        return np.asarray(np.triu(projected_areas(phase, own, phase, own, spacing)))
    if method == "smoothed-mesh":
        return _smoothed_areas(volume)
    if method == "marching-cubes":
        cells = _marching_cubes_areas(tuple(float(s) for s in spacing))
        table = sum_over_planes(kernels.marching_cells, shape[0] + 1, zeros, phase, cells)
        return np.asarray(np.maximum(table, 0))  # phases that meet in edges only come out below 0
    directions = _DIRECTIONS if method == "crofton" else np.eye(3, dtype=np.int64)
    counts = sum_over_planes(
        kernels.crossings, shape[0] + 1, lambda: np.zeros((len(directions), count, count)), phase, directions
    )
    if method == "voxel-faces":
        return np.asarray(np.tensordot(np.prod(spacing) / spacing, counts, 1))
    # area = 2 × volume × intersections per length of line; each direction has one step of line per voxel
    steps = np.linalg.norm(directions * spacing, axis=1)
    shares = _direction_shares(tuple(float(s) for s in spacing))
    return np.asarray(2 * np.prod(spacing) * np.tensordot(shares / steps, counts, 1))


def _smoothed_areas(volume: LabelVolume) -> Float:
    """(p, p) µm² between phases, upper triangle, of the smoothed net; particles of one phase are not parted."""
    from pxm2mesh.surfacing import extract_surface, smooth

    table = np.zeros((len(volume.phases), len(volume.phases)))
    plain = LabelVolume(volume.labels, volume.phases, volume.spacing, volume.origin)
    names = volume.phases.names
    for pair, area in smooth(extract_surface(plain)).pair_areas().items():
        a, b = (names.index(name) for name in pair.split(" | "))
        table[a, b] = area
    return table


def projected_areas(
    keys: npt.NDArray[np.unsignedinteger],
    row: npt.NDArray[np.int64],
    kind: npt.NDArray[np.unsignedinteger],
    column: npt.NDArray[np.int64],
    spacing: Float,
) -> Float:
    """What the surface of each thing shares with each other thing, by projected faces.

    Args:
        keys: (nx, ny, nz) number of the thing each voxel belongs to.
        row: Row of each key in the result, −1 for things whose surface is not wanted.
        kind: (nx, ny, nz) what a surface is told apart by where it touches a voxel; often ``keys`` again.
        column: Column of each kind in the result.
        spacing: (3,) µm.

    Returns:
        (rows, columns) µm².
    """
    from pxm2mesh.quantify import _area_kernels as kernels

    shape = (int(row.max()) + 1, int(column.max()) + 1)
    return np.asarray(
        sum_over_planes(
            kernels.projected_faces,
            keys.shape[0],
            lambda: np.zeros(shape),
            keys,
            row,
            kind,
            column,
            *face_geometry(spacing),
        )
    )


def face_geometry(spacing: Float) -> tuple[int, npt.NDArray[np.int64], Float, Float, Float]:
    """What the kernel of projected faces needs: reach, window positions and weights, face areas, 1/spacing."""
    return (_REACH, *_windows(), np.asarray(np.prod(spacing) / spacing), 1 / spacing)


@cache
def _windows() -> tuple[npt.NDArray[np.int64], Float]:
    """Window positions (3, m, 3) and weights (3, m, 3) of the normals of faces along x, y, z."""
    side = np.arange(-_REACH, _REACH + 1)
    grid = np.stack(np.meshgrid(side[1:], side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid[np.sum((grid - [0.5, 0, 0]) ** 2, axis=1) < _BALL**2]
    weights = _fitted_weights(grid - np.array([0.5, 0, 0]))
    order = ((0, 1, 2), (1, 0, 2), (1, 2, 0))
    return np.array([grid[:, o] for o in order], np.int64), np.array([weights[:, o] for o in order])


def _fitted_weights(position: Float) -> Float:
    """Weights (m, 3) whose sum over a window of ±1 is closest to the normal of the plane in between.

    The first moment of a Gaussian window would be biased by the lattice (−4 to +3 % in area); instead
    each component is a least-squares fit over planes of all orientations and offsets that cut the face.
    """
    kinds = np.concatenate([np.abs(position[:, :1]), np.sort(np.abs(position[:, 1:]), axis=1)], axis=1)
    kind = np.unique(kinds, axis=0, return_inverse=True)[1].ravel()
    number = np.arange(1500) + 0.5  # Fibonacci points on the half sphere
    turn = np.pi * (1 + 5**0.5) * number
    height = number / len(number)
    radius = np.sqrt(1 - height**2)
    normals = np.stack([height, radius * np.cos(turn), radius * np.sin(turn)], axis=1)
    chance = np.tile(np.sqrt(height), 6)  # that a plane of this orientation cuts the face, as a weight
    offsets = (np.arange(6) + 0.5) / 6 - 0.5
    sides = np.concatenate([np.sign((position - [o, 0, 0]) @ normals.T) for o in offsets], axis=1)
    weights = np.empty_like(position)
    members = np.eye(kind.max() + 1)[kind]
    noise = np.diag(_NOISE * sides.shape[1] * members.sum(axis=0))
    for components in ((0,), (1, 2)):
        rows = [(sides * position[:, [c]]).T @ members * chance[:, None] for c in components]
        goals = [np.tile(normals[:, c], 6) * chance for c in components]
        system, goal = np.concatenate(rows), np.concatenate(goals)
        fitted = np.linalg.solve(system.T @ system + noise, system.T @ goal)
        weights[:, components] = fitted[kind][:, None] * position[:, components]
    return weights


@cache
def _marching_cubes_areas(spacing: tuple[float, float, float]) -> Float:
    """(256,) µm² of the marching-cubes surface for each pattern of eight corners."""
    from skimage.measure import marching_cubes, mesh_surface_area

    areas = np.zeros(256)
    for pattern in range(1, 255):
        corners = ((pattern >> np.arange(8)) & 1).reshape(2, 2, 2).astype(np.float32)
        points, triangles, _, _ = marching_cubes(corners, 0.5, spacing=spacing)  # type: ignore[no-untyped-call]
        areas[pattern] = mesh_surface_area(points, triangles)  # type: ignore[no-untyped-call]
    return areas


@cache
def _direction_shares(spacing: tuple[float, float, float]) -> Float:
    """(13,) share of the sphere of directions that is nearest to each direction (sums to 1)."""
    from scipy.spatial import SphericalVoronoi

    unit = _DIRECTIONS * np.array(spacing)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    areas = SphericalVoronoi(np.concatenate([unit, -unit])).calculate_areas()
    return np.asarray((areas[:13] + areas[13:]) / (4 * np.pi))
