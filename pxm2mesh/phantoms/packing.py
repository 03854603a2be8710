"""Packed particles in a periodic box: centres, radii and shapes, and their distance on the voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]

_SWEEPS = 400
"""Relaxation sweeps at most; 100 are enough below 50 vol%."""


@dataclass(frozen=True, eq=False)
class Packing:
    """Particles in a periodic cube.

    Attributes:
        centres: (n, 3) µm.
        radii: (n,) µm, of the sphere of equal volume.
        shapes: (n, 3, 3) maps a vector from the centre to one whose length is the distance from the
            centre in units of a sphere; determinant 1.
        length: Edge of the cube in µm.
    """

    centres: Float
    radii: Float
    shapes: Float
    length: float


def pack(
    length: float,
    fraction: float,
    *,
    diameters: tuple[float, float],
    rng: np.random.Generator,
    elongation: float = 0.12,
) -> Packing:
    """Random close-enough packing: log-uniform diameters, random starts, overlaps pushed apart.

    Args:
        length: Edge of the periodic cube in µm.
        fraction: Volume fraction of the particles, up to about 0.55.
        diameters: Smallest and largest diameter in µm; reduced to a third of the cube where that is less.
        rng: Source of randomness.
        elongation: Standard deviation of the logarithm of the particles' axes.

    Returns:
        The packing; particles overlap by a few per cent of a radius at most below 50 vol%.

    References:
        W. S. Jodrey and E. M. Tory, Phys. Rev. A 32, 2347 (1985) (overlap removal).
    """
    largest = min(diameters[1], length / 3)
    smallest = min(diameters[0], 0.8 * largest)
    radii: list[float] = []
    missing = fraction * length**3
    while missing > 0:
        radius = 0.5 * smallest * (largest / smallest) ** rng.random()
        radii.append(radius)
        missing -= 4 / 3 * np.pi * radius**3
    radius_of = np.sort(np.array(radii))[::-1]
    centres = _relax(rng.random((len(radii), 3)) * length, radius_of, length)
    return Packing(centres, radius_of, _shapes(len(radii), elongation, rng), length)


def _relax(centres: Float, radii: Float, length: float) -> Float:
    from scipy.spatial import cKDTree

    for _ in range(_SWEEPS):
        pairs = cKDTree(centres, boxsize=np.full(3, length)).query_pairs(2 * radii[0], output_type="ndarray")
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        i, j = pairs[:, 0], pairs[:, 1]
        apart = centres[j] - centres[i]
        apart -= length * np.round(apart / length)
        distance = np.linalg.norm(apart, axis=1)
        overlap = radii[i] + radii[j] - distance
        close = overlap > 0
        if not close.any() or overlap.max() < 0.01 * radii[-1]:
            break
        i, j = i[close], j[close]
        push = apart[close] * (overlap[close] / np.maximum(distance[close], 1e-9))[:, None]
        heavy = (radii[i] ** 3 / (radii[i] ** 3 + radii[j] ** 3))[:, None]  # small ones give way
        np.add.at(centres, i, -0.6 * push * (1 - heavy))
        np.add.at(centres, j, 0.6 * push * heavy)
        centres %= length
    return centres


def _shapes(count: int, elongation: float, rng: np.random.Generator) -> Float:
    axes = np.exp(elongation * rng.standard_normal((count, 3)))
    axes /= np.prod(axes, axis=1, keepdims=True) ** (1 / 3)
    turned, _ = np.linalg.qr(rng.standard_normal((count, 3, 3)))
    shapes: Float = np.einsum("nij,nj,nkj->nik", turned, 1 / axes, turned)
    return shapes


def distances(
    packing: Packing, shape: int, reach: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Signed distance of every voxel centre to the nearest particle's surface.

    Args:
        packing: The particles.
        shape: Voxels per edge of the cube.
        reach: µm outside of a particle up to which the distance is worked out; ``reach`` beyond.

    Returns:
        (n, n, n) µm, negative inside, and (n, n, n) the number (from 1) of the nearest particle,
        0 where none is within ``reach``.
    """
    step = packing.length / shape
    field = np.full((shape,) * 3, reach, dtype=np.float32)
    owner = np.zeros((shape,) * 3, dtype=np.int32)
    for number, (centre, radius, form) in enumerate(
        zip(packing.centres, packing.radii, packing.shapes, strict=True), start=1
    ):
        width = min((radius * 1.5 + reach) / step, (shape - 1) / 2)
        ranges = [
            np.arange(int(np.ceil(c / step - 0.5 - width)), int(c / step - 0.5 + width) + 1) for c in centre
        ]
        ranges = [r[:shape] for r in ranges]
        offset = [((r + 0.5) * step - c).astype(np.float32) for r, c in zip(ranges, centre, strict=True)]
        window = np.ix_(*(r % shape for r in ranges))
        squared = _quadratic(offset, (form.T @ form).astype(np.float32))
        own = (np.sqrt(squared) - np.float32(radius)).astype(np.float32)
        nearer = own < field[window]
        field[window] = np.where(nearer, own, field[window])
        owner[window] = np.where(nearer, np.int32(number), owner[window])
    return field, owner


def _quadratic(
    offset: list[npt.NDArray[np.float32]], form: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """X·form·x on the grid spanned by three offset vectors."""
    x, y, z = offset[0][:, None, None], offset[1][None, :, None], offset[2][None, None, :]
    plane = form[0, 0] * x * x + form[1, 1] * y * y + 2 * form[0, 1] * x * y
    cross = 2 * (form[0, 2] * x + form[1, 2] * y)
    result: npt.NDArray[np.float32] = plane + (cross + form[2, 2] * z) * z
    return result
