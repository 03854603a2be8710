"""What the scanner adds to the sample: rings, a background that is not flat, slices of unequal brightness."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.volume import GreyVolume

logger = logging.getLogger(__name__)

Float = npt.NDArray[np.float32]


_ROUNDS = 3
"""Corrections and classifications in turn; a correction moves few voxels to another class."""


def remove_rings(
    grey: GreyVolume, *, phases: int = 3, centre: tuple[float, float] | None = None, width: float = 8.0
) -> GreyVolume:
    """Take out rings about the axis of rotation (z), the same in all slices.

    A ring is what all voxels at one radius have beyond the grey level of their phase, less the smooth
    trend over radii. Levels are those of a rough classification, of which only voxels clear of edges
    count, so that the sample itself is not taken for a ring.

    Args:
        grey: The scan.
        phases: Number of grey levels that the sample has.
        centre: (x, y) of the axis in voxels; the middle of the slices when None.
        width: Rings broader than this many voxels count as background.

    Returns:
        float32 values on the same lattice.

    Raises:
        UsageError: ``width`` not above 0, or fewer than 2 phases.
        DataError: The scan is constant.

    References:
        J. Sijbers and A. Postnov, Phys. Med. Biol. 49, N247 (2004) (rings in polar coordinates).
    """
    if width <= 0:
        raise UsageError(f"remove_rings: width {width:g} is not above 0.")
    radius = np.rint(_radius(grey.shape, centre)).astype(np.int64)

    def ring(rest: Float, weight: Float) -> Float:
        count = np.bincount(radius.ravel(), weight.sum(axis=2, dtype=np.float64).ravel())
        total = np.bincount(radius.ravel(), (rest * weight).sum(axis=2, dtype=np.float64).ravel())
        level: npt.NDArray[np.float64] = np.asarray(total / np.maximum(count, 1), dtype=np.float64)
        # the slow part is background: a polynomial first, as smoothing alone bends it at both ends
        weights = np.asarray(count + 1e-3, dtype=np.float64)
        place = np.linspace(-1, 1, len(level))
        level = level - np.polyval(np.polyfit(place, level, 4, w=np.sqrt(weights)), place)
        profile = level - _weighted_smooth(level, weights, width)
        # few voxels at small radii: what noise alone would give is not taken out
        doubt = float(np.sum(rest**2 * weight) / max(weight.sum(), 1)) / np.maximum(count, 1)
        known = max(float(np.average(profile**2 - doubt, weights=weights)), 0.0)
        profile *= known / (known + doubt + 1e-30)
        field: Float = profile.astype(np.float32)[radius][:, :, None]
        return field

    return _corrected(grey, phases, ring, "rings")


def flatten_background(
    grey: GreyVolume, *, phases: int = 3, kind: Literal["radial", "smooth"] = "radial", order: int = 2
) -> GreyVolume:
    """Take out a slow variation of brightness, such as beam hardening (cupping).

    A polynomial of low order is fitted to what voxels clear of edges have beyond the level of their phase
    (see `remove_rings`). The mean brightness is kept.

    Args:
        grey: The scan.
        phases: Number of grey levels that the sample has.
        kind: ``"radial"``: a polynomial in the square of the distance from the axis (cupping).
            ``"smooth"``: a polynomial in x, y and z.
        order: Of the polynomial.

    Returns:
        float32 values on the same lattice.

    Raises:
        UsageError: Unknown kind, an order outside of 1 … 4, or fewer than 2 phases.
        DataError: The scan is constant.

    References:
        G. T. Herman, Phys. Med. Biol. 24, 81 (1979) (beam hardening).
    """
    if kind not in ("radial", "smooth") or not 1 <= order <= 4:
        raise UsageError(
            f"flatten_background: kind {kind!r}, order {order};",
            hint='use "radial" or "smooth", order 1 to 4.',
        )
    axes = [((np.arange(n) + 0.5) / n * 2 - 1).astype(np.float32) for n in grey.shape]

    def trend(rest: Float, weight: Float) -> Float:
        count, total = _blocks(weight), _blocks(rest * weight)
        places = [_block_means(a, n) for a, n in zip(axes, count.shape, strict=True)]
        columns = [np.broadcast_to(t, count.shape).ravel() for t in _terms(places, kind, order)]
        matrix = np.stack(columns, axis=1).astype(np.float64)
        root = np.sqrt(count.ravel())
        level = total.ravel() / np.maximum(count.ravel(), 1)
        factors = np.linalg.lstsq(matrix * root[:, None], level * root, rcond=None)[0]
        field = np.zeros((1, 1, 1), dtype=np.float32)
        for factor, term in zip(factors[1:], _terms(axes, kind, order)[1:], strict=True):
            field = field + np.float32(factor) * (term - np.broadcast_to(term, grey.shape).mean())
        return field.astype(np.float32)

    return _corrected(grey, phases, trend, "background")


def _corrected(
    grey: GreyVolume, phases: int, estimate: Callable[[Float, Float], Float], what: str
) -> GreyVolume:
    values = np.asarray(grey.values, dtype=np.float32)
    if phases < 2:
        raise UsageError(f"{what}: a sample has at least 2 grey levels, not {phases}.")
    if float(np.ptp(values)) == 0:
        raise DataError(
            f"all grey values are {values.flat[0]:g};", hint="check that the right file was read."
        )
    found = np.zeros((1, 1, 1), dtype=np.float32)
    for _ in range(_ROUNDS):
        rest, weight = _beyond_levels(values - found, phases)
        found = found + estimate(rest, weight)
    logger.info("%s: %.3g grey values (standard deviation) taken out", what, float(found.std()))
    return _like(grey, values - found)


def _beyond_levels(values: Float, phases: int) -> tuple[Float, Float]:
    """What each voxel has beyond the level of its class, and 1 where that counts, 0 near edges."""
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    smooth = gaussian_filter(values, 1.0, mode="nearest")
    slope = gaussian_gradient_magnitude(values, 1.0, mode="nearest")
    quiet = slope <= np.median(slope)
    cuts = multi_otsu(smooth[quiet], phases)
    kind = np.digitize(smooth, cuts)
    counts = np.maximum(np.bincount(kind[quiet], minlength=phases), 1)
    level = np.bincount(kind[quiet], values[quiet], minlength=phases) / counts
    return (values - level.astype(np.float32)[kind]), quiet.astype(np.float32)


def multi_otsu(values: npt.NDArray[np.floating], classes: int) -> npt.NDArray[np.float64]:
    """Thresholds that leave the least variance within classes.

    Args:
        values: Grey values, any shape.
        classes: Number of classes, at least 2.

    Returns:
        (classes − 1,) ascending.

    Raises:
        DataError: Fewer distinct values than classes.

    References:
        P.-S. Liao, T.-S. Chen and P.-C. Chung, J. Inf. Sci. Eng. 17, 713 (2001).
    """
    low, high = (float(v) for v in np.percentile(values, [0.01, 99.99]))
    if not high > low:
        raise DataError(f"grey values are all {low:g};", hint="check that the right file was read.")
    counts, edges = np.histogram(np.clip(values, low, high), bins=192, range=(low, high))
    if np.count_nonzero(counts) < classes:
        raise DataError(
            f"{np.count_nonzero(counts)} distinct grey values do not make {classes} phases;",
            hint="name fewer phases.",
        )
    weight = np.concatenate([[0.0], np.cumsum(counts)])
    moment = np.concatenate([[0.0], np.cumsum(counts * 0.5 * (edges[1:] + edges[:-1]))])
    size = weight[None, :] - weight[:, None]
    # gain[a, b]: between-class variance of a class of the bins a … b − 1
    gain = np.where(size > 0, (moment[None, :] - moment[:, None]) ** 2 / np.maximum(size, 1), -np.inf)
    best, paths = gain[0], []
    for _ in range(classes - 1):
        table = best[:, None] + gain
        paths.append(np.argmax(table, axis=0))
        best = np.max(table, axis=0)
    cuts, at = [], len(counts)
    for path in reversed(paths):
        at = int(path[at])
        filled = np.flatnonzero(counts)  # in a gap between two peaks all cuts are alike: the middle
        below, above = filled[filled < at], filled[filled >= at]
        cuts.append(
            0.5 * (edges[below[-1] + 1] + edges[above[0]]) if len(below) and len(above) else edges[at]
        )
    return np.array(cuts[::-1])


def normalise_slices(grey: GreyVolume, *, low: float = 5.0, high: float = 95.0) -> GreyVolume:
    """Bring all slices to one brightness and contrast, by two percentiles of each.

    Args:
        grey: The scan.
        low: Lower percentile.
        high: Upper percentile.

    Returns:
        float32 values on the same lattice; slices of constant value are only shifted.

    Raises:
        UsageError: Percentiles out of order.
    """
    if not 0 <= low < high <= 100:
        raise UsageError(f"normalise_slices: percentiles {low:g} and {high:g} are out of order.")
    values = np.asarray(grey.values, dtype=np.float32)
    marks = np.percentile(values, [low, high], axis=(0, 1))
    goal = np.median(marks, axis=1)
    span = marks[1] - marks[0]
    gain = np.divide(goal[1] - goal[0], span, out=np.ones_like(span), where=span > 0).astype(np.float32)
    return _like(grey, (values - marks[0].astype(np.float32)) * gain + np.float32(goal[0]))


def _like(grey: GreyVolume, values: Float) -> GreyVolume:
    return GreyVolume(np.asarray(values, dtype=np.float32), grey.spacing, grey.origin)


def _radius(shape: tuple[int, int, int], centre: tuple[float, float] | None) -> npt.NDArray[np.float64]:
    middle = (shape[0] / 2, shape[1] / 2) if centre is None else centre
    x, y = (np.arange(n) + 0.5 - c for n, c in zip(shape[:2], middle, strict=True))
    return np.asarray(np.hypot(x[:, None], y[None, :]))


def _weighted_smooth(
    level: npt.NDArray[np.float64], weight: npt.NDArray[np.float64], width: float
) -> npt.NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter1d

    above = gaussian_filter1d(level * weight, width, mode="nearest")
    return np.asarray(above / gaussian_filter1d(weight, width, mode="nearest"))


_BLOCKS = 12
"""Blocks per axis that the background is measured on."""


def _edges(count: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, count, min(_BLOCKS, count) + 1).astype(np.int64))


def _blocks(values: Float) -> npt.NDArray[np.float64]:
    """Sum over each block."""
    blocks = values.astype(np.float64)
    for axis in range(3):
        blocks = np.add.reduceat(blocks, _edges(values.shape[axis])[:-1], axis=axis)
    return blocks


def _block_means(axis: Float, count: int) -> Float:
    edges = _edges(len(axis))
    return (np.add.reduceat(axis, edges[:-1]) / np.diff(edges)).astype(np.float32)[:count]


def _terms(axes: list[Float], kind: str, order: int) -> list[Float]:
    x, y, z = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    if kind == "radial":
        square = x * x + y * y
        return [square**n for n in range(order + 1)]
    powers = [p for p in np.ndindex(*(order + 1,) * 3) if sum(p) <= order]
    return [x ** p[0] * y ** p[1] * z ** p[2] for p in powers]
