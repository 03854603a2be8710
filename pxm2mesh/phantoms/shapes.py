"""Small samples whose volumes, areas and conductivities are known in closed form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError
from pxm2mesh.phases import PhaseTable
from pxm2mesh.volume import LabelVolume, SpacingLike

TWO = PhaseTable({"void": 0, "NMC": 1})
THREE = PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2})


def centred(size: int) -> tuple[npt.NDArray[np.floating], ...]:
    """Voxel centres relative to the middle of a cube, as three broadcastable axes, in voxels."""
    axis = np.arange(size) + 0.5 - size / 2
    return axis[:, None, None], axis[None, :, None], axis[None, None, :]


def ball(*, size: int = 64, seed: int = 0, radius: float = 0.3, spacing: SpacingLike = "1 um") -> LabelVolume:
    """A ball of NMC in LPSCl: area 4πr², volume 4πr³/3 (in the limit of fine voxels).

    Args:
        size: Voxels per edge.
        seed: Plays no part.
        radius: As a share of the edge.
        spacing: Of the voxels.
    """
    _share("radius", radius, 0.5)
    x, y, z = centred(size)
    inside = x**2 + y**2 + z**2 < (radius * size) ** 2
    return LabelVolume(np.where(inside, 1, 2), THREE, spacing)


def layers(
    *, size: int = 64, seed: int = 0, axis: str = "z", count: int = 4, spacing: SpacingLike = "1 um"
) -> LabelVolume:
    """Flat layers of NMC and LPSCl in turn: conductances in series across, in parallel along.

    Args:
        size: Voxels per edge.
        seed: Plays no part.
        axis: Normal of the layers.
        count: Number of layers; exact where it divides ``size``.
        spacing: Of the voxels.
    """
    if axis not in ("x", "y", "z") or not 1 <= count <= size:
        raise UsageError(
            f"layers: axis {axis!r}, count {count};", hint='use axis "x", "y" or "z", 1 ≤ count ≤ size.'
        )
    profile = 1 + (np.arange(size) * count // size) % 2
    shape = [1, 1, 1]
    shape["xyz".index(axis)] = size
    return LabelVolume(np.broadcast_to(profile.reshape(shape), (size,) * 3), THREE, spacing)


def shell_in_shell(*, size: int = 64, seed: int = 0, spacing: SpacingLike = "1 um") -> LabelVolume:
    """A ball of LPSCl in a shell of void in a shell of NMC in LPSCl: two regions of LPSCl, a closed pore.

    Radii 0.15, 0.25 and 0.4 of the edge.
    """
    x, y, z = centred(size)
    distance = np.sqrt(x**2 + y**2 + z**2) / size
    labels = np.full(distance.shape, 2)
    labels[distance < 0.40] = 1
    labels[distance < 0.25] = 0
    labels[distance < 0.15] = 2
    return LabelVolume(labels, THREE, spacing)


def touching_balls(
    *, size: int = 64, seed: int = 0, neck: float = 0.2, spacing: SpacingLike = "1 um"
) -> LabelVolume:
    """Two balls of NMC that touch along x, in void: one region, two particles; the ids are kept.

    Args:
        size: Voxels per edge.
        seed: Plays no part.
        neck: Radius of the contact disc as a share of the radius of the balls (0.24 of the edge).
        spacing: Of the voxels.
    """
    _share("neck", neck, 1.0)
    radius = 0.24 * size
    half = radius * np.sqrt(1 - neck**2)
    x, y, z = centred(size)
    inside = (np.abs(x) - half) ** 2 + y**2 + z**2 < radius**2
    ids = np.where(inside, np.where(np.broadcast_to(x < 0, inside.shape), 1, 2), 0)
    return LabelVolume(inside, TWO, spacing, particles=ids.astype(np.int32))


def dead_end(*, size: int = 64, seed: int = 0, spacing: SpacingLike = "1 um") -> LabelVolume:
    """A square channel of LPSCl through NMC along x, which two side arms and a blind channel hang on.

    The channel is straight, so that the tortuosity factor of LPSCl along x is its volume fraction divided
    by the share 1/16 of the cross-section; the rest carries nothing. Along y and z nothing percolates.
    """
    labels = np.ones((size,) * 3)
    quarter = size // 4
    start = size // 2 - size // 8
    labels[:, start : start + quarter, start : start + quarter] = 2
    arm = slice(size // 3, size // 3 + max(size // 8, 1))
    labels[arm, start + quarter : size - size // 8, start : start + quarter] = 2
    labels[: size // 2, size // 16 : size // 16 + size // 8, size // 16 : size // 16 + size // 8] = 2
    return LabelVolume(labels, THREE, spacing)


def checkerboard(
    *, size: int = 64, seed: int = 0, cells: int = 4, spacing: SpacingLike = "1 um"
) -> LabelVolume:
    """Columns along z in a checkerboard over x and y: conductivity √(σ₁σ₂) across, the mean along z.

    Args:
        size: Voxels per edge.
        seed: Plays no part.
        cells: Fields per edge; an even number that divides ``size`` gives equal shares.
        spacing: Of the voxels.

    References:
        A. M. Dykhne, Sov. Phys. JETP 32, 63 (1971).
    """
    if not 1 <= cells <= size:
        raise UsageError(f"checkerboard: {cells} fields on {size} voxels;", hint="use 1 ≤ cells ≤ size.")
    field = np.arange(size) * cells // size
    pattern = 1 + (field[:, None] + field[None, :]) % 2
    return LabelVolume(np.broadcast_to(pattern[:, :, None], (size,) * 3), THREE, spacing)


def white_noise(
    *, size: int = 64, seed: int = 0, phases: int = 3, spacing: SpacingLike = "1 um"
) -> LabelVolume:
    """Every voxel drawn by itself: the hardest case for a mesher, of equal shares.

    Args:
        size: Voxels per edge.
        seed: Same seed, same bytes.
        phases: Number of labels.
        spacing: Of the voxels.
    """
    if not 1 <= phases <= 255:
        raise UsageError(f"white-noise: {phases} phases;", hint="use 1 to 255.")
    table = THREE if phases == 3 else PhaseTable({f"phase-{k}": k for k in range(phases)})
    labels = np.random.default_rng(seed).integers(0, phases, (size,) * 3)
    return LabelVolume(labels, table, spacing)


def _share(name: str, value: float, top: float) -> None:
    if not 0 < value <= top:
        raise UsageError(f"{name} = {value:g} is out of range;", hint=f"use a share between 0 and {top:g}.")
