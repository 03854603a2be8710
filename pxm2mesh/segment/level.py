"""Turn a sample so that a layer of it, such as the current collector, lies across z."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, UsageError, did_you_mean
from pxm2mesh.volume import GreyVolume, LabelVolume

logger = logging.getLogger(__name__)

Float = npt.NDArray[np.float64]
Keep = Literal["inside", "all"]
V = TypeVar("V", LabelVolume, GreyVolume)

_STEEPEST = 40.0
"""Degrees beyond which heights over x and y are no way to describe a layer."""
_ROUNDS = 25


@dataclass(frozen=True)
class LevelOptions:
    """Which layer is to lie across z. One of the first three is given.

    Attributes:
        phases: Phases that the layer is made of.
        above: Grey value that the layer exceeds, for a scan.
        rise: Degrees by which the layer rises along x and along y, where they are known.
        keep: ``"inside"``: the largest box that the turned sample fills; ``"all"``: a box of the size
            before, in which the nearest voxel of the sample stands for what lies outside of it.
    """

    phases: tuple[str, ...] = ()
    above: float | None = None
    rise: tuple[float, float] | None = None
    keep: Keep = "inside"

    def __post_init__(self) -> None:
        given = [bool(self.phases), self.above is not None, self.rise is not None]
        if sum(given) != 1:
            raise UsageError(
                "level: say one of the layer's phases, the grey value it exceeds, or its rise;",
                hint='write level = { phases = ["collector"] }, { above = 12000 } or { rise = [1.5, -0.4] }.',
            )
        if self.keep not in get_args(Keep):
            raise UsageError(f"level: keep {self.keep!r};", hint=did_you_mean(self.keep, get_args(Keep)))
        if self.rise is not None and max(abs(r) for r in self.rise) > _STEEPEST:
            raise UsageError(f"level: a rise of {self.rise} degrees is beyond {_STEEPEST:g}.")

    @classmethod
    def parse(cls, text: str, *, keep: Keep = "inside") -> LevelOptions:
        """Read the command line's form: ``"collector"``, ``"above 12000"`` or ``"1.5, -0.4"`` degrees."""
        words = text.split()
        try:
            if words[:1] == ["above"]:
                return cls(above=float(words[1]), keep=keep)
            rise = tuple(float(part) for part in text.split(","))
        except (ValueError, IndexError):
            return cls(phases=tuple(part.strip() for part in text.split(",") if part.strip()), keep=keep)
        if len(rise) != 2:
            raise UsageError(f"level {text!r}:", hint='give the rise along x and y, "1.5, -0.4" (degrees).')
        return cls(rise=(rise[0], rise[1]), keep=keep)


@dataclass(frozen=True)
class Plane:
    """How a layer lies.

    Attributes:
        rise: Degrees by which it rises along x and along y.
        points: Places on its faces that were fitted, 0 where the rise was given.
        spread: µm, root mean square distance of those from the plane.
    """

    rise: tuple[float, float]
    points: int = 0
    spread: float = 0.0

    @property
    def tilt(self) -> float:
        """Degrees between the layer's normal and z."""
        return float(np.degrees(np.arccos(self.normal[2])))

    @property
    def normal(self) -> Float:
        """(3,) unit normal, upwards."""
        slope = np.tan(np.radians(self.rise))
        normal = np.array([-slope[0], -slope[1], 1.0])
        return np.asarray(normal / np.linalg.norm(normal))

    def as_dict(self) -> dict[str, object]:
        """For the record."""
        return {
            "rise_deg": [round(r, 4) for r in self.rise],
            "tilt_deg": round(self.tilt, 4),
            "fitted_points": self.points,
            "spread_um": round(self.spread, 4),
        }


def level(volume: V, options: LevelOptions) -> tuple[V, Plane]:
    """Turn a sample until a layer lies across z.

    Args:
        volume: Labels (the nearest voxel is taken) or a scan (interpolated linearly, float32).
        options: Which layer.

    Returns:
        The turned sample, about the middle of the box, and how the layer lay before.

    Raises:
        DataError: There is no such layer, it has no face inside of the box, or nothing would be left.
        UsageError: Phases for a scan, or a grey value for labels.
    """
    rise = options.rise
    plane = fit_plane(_layer(volume, options), volume.spacing) if rise is None else Plane(rise)
    logger.info("level: the layer rises by %.3f° along x and %.3f° along y", *plane.rise)
    return rotate(volume, plane, keep=options.keep), plane


def _layer(volume: LabelVolume | GreyVolume, options: LevelOptions) -> npt.NDArray[np.bool_]:
    if isinstance(volume, LabelVolume):
        if not options.phases:
            raise UsageError("level: labels have no grey values;", hint="name the phases of the layer.")
        for name in options.phases:
            volume.require(name)
        return volume.mask(*options.phases)
    if options.above is None:
        raise UsageError("level: a scan has no phases yet;", hint="give the grey value the layer exceeds.")
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(volume.values, 1.0, output=np.float32, mode="nearest") > options.above)


def fit_plane(layer: npt.NDArray[np.bool_], spacing: Float) -> Plane:
    """Fit a plane to the lower and upper face of the largest piece of a layer.

    Both faces share their slopes; faces on the box are left out, and what does not lie on the plane
    (cracks, specks, bumps) loses its weight (Tukey's biweight).

    Args:
        layer: (nx, ny, nz) where it is.
        spacing: (3,) µm.

    Returns:
        The plane.

    Raises:
        DataError: There is no layer, or neither of its faces is inside the box.

    References:
        P. Huber and E. Ronchetti, Robust Statistics (2009), ch. 7.
    """
    import cc3d

    if not layer.any():
        raise DataError("level: no voxel belongs to the layer;", hint="check the phase or the grey value.")
    pieces = cc3d.connected_components(layer.view(np.uint8), connectivity=26, out_dtype=np.uint32)
    layer = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    there = layer.any(axis=2)
    faces = np.argmax(layer, axis=2), layer.shape[2] - np.argmax(layer[:, :, ::-1], axis=2)
    rows, heights = [], []
    for number, (face, end) in enumerate(zip(faces, (0, layer.shape[2]), strict=True)):
        free = there & (face != end)
        if np.count_nonzero(free) < 0.05 * np.count_nonzero(there):
            continue
        x, y = (np.nonzero(free)[axis] * spacing[axis] for axis in (0, 1))
        offset = np.zeros((len(x), 2))
        offset[:, number] = 1
        rows.append(np.column_stack([x, y, offset]))
        heights.append(face[free] * spacing[2])
    if not rows:
        raise DataError(
            "level: the layer fills the box along z, so that it has no face to fit;",
            hint="give its rise, or choose another layer.",
        )
    system, height = np.concatenate(rows), np.concatenate(heights).astype(np.float64)
    system[:, :2] -= system[:, :2].mean(axis=0)
    used = np.append([True, True], system[:, 2:].sum(axis=0) > 0)
    solution, weight = _robust(system[:, used], height, float(spacing[2]))
    rise = np.degrees(np.arctan(solution[:2]))
    rest = height - system[:, used] @ solution
    spread = float(np.sqrt(np.average(rest**2, weights=weight)))
    if max(abs(rise)) > _STEEPEST:
        raise DataError(
            f"level: the layer rises by {rise[0]:.1f}° and {rise[1]:.1f}°: it lies across another axis."
        )
    return Plane((float(rise[0]), float(rise[1])), int(np.count_nonzero(weight)), spread)


def _robust(system: Float, height: Float, step: float) -> tuple[Float, Float]:
    """Least squares whose weights fall to 0 at 4.7 standard deviations."""
    weight = np.asarray(np.ones(len(height)), dtype=np.float64)
    solution: Float = np.zeros(system.shape[1])
    for _ in range(_ROUNDS):
        weighted = system * weight[:, None]
        # few unknowns, centred: the normal equations lose nothing; lstsq for layers one row of voxels wide
        before = solution
        solution = np.asarray(np.linalg.lstsq(weighted.T @ system, weighted.T @ height, rcond=None)[0], float)
        rest = np.abs(height - system @ solution)
        scale = max(1.4826 * float(np.median(rest)), 0.3 * step)  # rounding to voxels alone gives 0.29
        weight = np.asarray(np.maximum(1 - (rest / (4.685 * scale)) ** 2, 0.0) ** 2, dtype=np.float64)
        if np.allclose(solution, before, rtol=1e-9, atol=1e-9):
            break
    return solution, weight


def rotate(volume: V, plane: Plane, *, keep: Keep = "inside") -> V:
    """Turn a volume about the middle of its box so that ``plane`` lies across z, by the shortest way.

    Args:
        volume: Labels (and particle ids): the nearest voxel is taken. Grey values: linear, float32.
        plane: What is to lie across z.
        keep: As in `LevelOptions`.

    Returns:
        The turned volume on a lattice of the same spacing.

    Raises:
        DataError: Nothing is left inside.
    """
    from scipy import ndimage

    affine_transform: Any = ndimage.affine_transform  # its overloads know nothing of two orders
    turn = _onto_z(plane.normal)
    size = np.array(volume.shape)
    kept = size
    if keep == "inside":
        extent = size * volume.spacing
        loss = (np.abs(turn) - np.diag(np.abs(np.diag(turn)))) @ extent
        kept = np.floor((extent - loss) / volume.spacing + 1e-9).astype(int)
        kept -= (size - kept) % 2  # whole voxels on both sides
        if kept.min() < 1:
            raise DataError(
                f"level: a tilt of {plane.tilt:.2f}° leaves no box of {tuple(size)} voxels filled;",
                hint='keep = "all" keeps the size, with the nearest voxel for what is outside.',
            )
    matrix = turn.T * volume.spacing / volume.spacing[:, None]
    offset = size / 2 - 0.5 - matrix @ (kept / 2 - 0.5)
    corner = volume.origin + 0.5 * (size - kept) * volume.spacing

    def turned(values: npt.NDArray[np.generic], order: int, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        return np.asarray(
            affine_transform(
                values, matrix, offset, output_shape=tuple(kept), order=order, mode="nearest", output=dtype
            )
        )

    if isinstance(volume, GreyVolume):
        return GreyVolume(turned(volume.values, 1, np.float32), volume.spacing, corner)
    ids = None if volume.particles is None else turned(volume.particles, 0, np.int32)
    labels = turned(volume.labels, 0, volume.labels.dtype)
    return LabelVolume(labels, volume.phases, volume.spacing, corner, ids)


def _onto_z(normal: Float) -> Float:
    """(3, 3) the smallest rotation that brings a unit vector (with a z component > 0) onto z."""
    axis = np.cross(normal, [0.0, 0.0, 1.0])
    cosine = float(normal[2])
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / (1 + cosine))
