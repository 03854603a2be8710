"""Sizes of what has no particles: local thickness, chords, two-point correlation, profiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.quantify._parallel import over_planes, sum_over_planes
from pxm2mesh.quantify.connectivity import AXES
from pxm2mesh.volume import LabelVolume

Float = npt.NDArray[np.float64]


def axis_of(direction: str) -> int:
    """0, 1 or 2; `UsageError` for anything but "x", "y", "z"."""
    if direction not in AXES:
        raise UsageError(f"unknown direction {direction!r};", hint='use "x", "y" or "z".')
    return AXES.index(direction)


def inscribed_radius(volume: LabelVolume, *names: str) -> npt.NDArray[np.float32]:
    """Radius of the largest ball around each voxel that stays in the named phases.

    Args:
        volume: The sample; what lies outside of the box limits no ball.
        *names: Phases.

    Returns:
        (nx, ny, nz) float32, µm; 0 outside of the phases.
    """
    import edt

    from pxm2mesh.quantify._parallel import thread_count

    inside = volume.mask(*names)
    anisotropy = tuple(float(s) for s in volume.spacing)
    if inside.all():
        raise DataError(f"{' + '.join(names)} fills the whole volume: it has no size.")
    distance = edt.edt(inside, anisotropy=anisotropy, black_border=False, order="C", parallel=thread_count())
    return np.asarray(distance, np.float32)


def local_thickness(volume: LabelVolume, *names: str) -> npt.NDArray[np.float32]:
    """Diameter of the largest ball inside the phases that covers each voxel.

    Args:
        volume: The sample.
        *names: Phases that count as inside.

    Returns:
        (nx, ny, nz) float32, µm; 0 outside. On slabs exact or one voxel too much, on balls and cylinders
        up to 1.7 voxels too little, because balls are centred on voxels.

    References:
        T. Hildebrand and P. Rüegsegger, J. Microscopy 185, 67 (1997);
        R. Dougherty and K.-H. Kunzelmann, Microsc. Microanal. 13, 1678 (2007) (balls inside others).
    """
    from pxm2mesh.quantify import _shape_kernels as kernels

    radius = inscribed_radius(volume, *names)
    keep = np.empty(radius.shape, np.uint8)
    slack = 0.25 * float(volume.spacing.min())
    over_planes(kernels.free_balls, radius.shape[0], radius, volume.spacing, slack, keep)
    out = radius.copy()
    widest = float(radius.max())
    over_planes(kernels.paint_balls, radius.shape[0], keep, radius, widest, volume.spacing, out)
    out *= 2
    return out


def thickness_percentiles(thickness: npt.NDArray[np.float32], shares: tuple[float, ...]) -> list[float]:
    """Diameters below which the shares of the volume lie, from a map of local thickness, in µm."""
    from pxm2mesh.quantify import _shape_kernels as kernels

    bits = np.ascontiguousarray(thickness, np.float32).view(
        np.uint32
    )  # positive floats ascend as integers do

    def counts(shift: int, leading: int) -> npt.NDArray[np.int64]:
        made = sum_over_planes(
            kernels.histogram, len(bits), lambda: np.zeros(1 << 16, np.int64), bits, shift, leading
        )
        return np.cumsum(made)

    upper = counts(16, -1)
    total = int(upper[-1])

    @cache
    def value(rank: int) -> float:
        leading = int(np.searchsorted(upper, rank, side="right"))
        below = int(upper[leading - 1]) if leading else 0
        lower = int(np.searchsorted(counts(0, leading), rank - below, side="right"))
        return float(np.array(leading << 16 | lower, np.uint32).view(np.float32))

    found = []
    for share in shares if total else ():
        place = share * (total - 1)
        low = int(place)
        high = min(low + 1, total - 1)
        found.append(value(low) + (place - low) * (value(high) - value(low)))
    return found or [0.0] * len(shares)


def chord_lengths(volume: LabelVolume, phase: str, direction: str) -> tuple[Float, npt.NDArray[np.int64]]:
    """How long straight lines along an axis stay in a phase.

    Args:
        volume: The sample.
        phase: Name of the phase.
        direction: ``"x"``, ``"y"`` or ``"z"``.

    Returns:
        Lengths in µm and the number of chords of each; chords cut by the box are left out.
    """
    from pxm2mesh.quantify import _shape_kernels as kernels

    axis = axis_of(direction)
    mask = np.ascontiguousarray(np.moveaxis(volume.mask(phase), axis, 2))
    counts = kernels.chords(mask, True)
    return np.arange(len(counts)) * volume.spacing[axis], counts


def mean_chord(volume: LabelVolume, phase: str, direction: str) -> float:
    """Mean chord length of a phase in µm: length inside over number of intervals, free of edge bias.

    4 V/S for an isotropic structure.
    """
    axis = axis_of(direction)
    mask = volume.mask(phase)
    ends = int(np.count_nonzero(np.diff(mask.view(np.int8), axis=axis)))
    length = float(np.count_nonzero(mask)) * float(volume.spacing[axis])
    return 2 * length / ends if ends else np.inf


def two_point_correlation(
    volume: LabelVolume, phase: str, direction: str, *, longest: float | None = None
) -> tuple[Float, Float]:
    """Probability that both ends of a needle along an axis lie in a phase.

    Args:
        volume: The sample.
        phase: Name of the phase.
        direction: ``"x"``, ``"y"`` or ``"z"``.
        longest: Longest needle in µm; half the box when None.

    Returns:
        Lengths in µm, and the probability at each: the volume fraction φ at 0, φ² where nothing is correlated.

    References:
        S. Torquato, Random Heterogeneous Materials (2002), ch. 2.
    """
    axis = axis_of(direction)
    spacing = float(volume.spacing[axis])
    inside = np.moveaxis(volume.mask(phase), axis, 0)
    n = inside.shape[0]
    lags = min(n - 1, n // 2 if longest is None else int(longest / spacing))
    bits = np.packbits(inside.reshape(n, -1), axis=1)
    pad = -bits.shape[1] % 8
    words = np.ascontiguousarray(np.pad(bits, ((0, 0), (0, pad)))).view(np.uint64)
    area = inside[0].size
    both = [
        int(np.bitwise_count(words[: n - r] & words[r:]).sum()) / (area * (n - r)) for r in range(lags + 1)
    ]
    return np.arange(lags + 1) * spacing, np.array(both)


def correlation_length(volume: LabelVolume, phase: str, direction: str) -> float:
    """Distance in µm at which the correlation (S₂ − φ²)/(φ − φ²) has fallen to 1/e; inf if it does not."""
    lengths, both = two_point_correlation(volume, phase, direction)
    share = both[0]
    if share in (0, 1):
        return np.inf
    scaled = (both - share**2) / (share - share**2)
    below = np.flatnonzero(scaled < np.exp(-1))
    if len(below) == 0:
        return np.inf
    b = int(below[0])
    return float(np.interp(-np.exp(-1), -scaled[b - 1 : b + 1], lengths[b - 1 : b + 1]))


def fraction_profile(volume: LabelVolume, direction: str = "z") -> tuple[Float, Mapping[str, Float]]:
    """Volume fraction of every phase, slice by slice.

    Args:
        volume: The sample.
        direction: Normal of the slices.

    Returns:
        Position of the slices' middles in µm, and (n,) fractions per phase name.
    """
    axis = axis_of(direction)
    position = volume.origin[axis] + (np.arange(volume.shape[axis]) + 0.5) * volume.spacing[axis]
    others = tuple(a for a in range(3) if a != axis)
    return position, {p.name: np.asarray((volume.labels == p.label).mean(axis=others)) for p in volume.phases}


@dataclass(frozen=True, eq=False)
class Representativeness:
    """How a quantity settles when the sample grows.

    Attributes:
        edges: (n,) µm, cube root of the subvolumes' size.
        mean: (n,) mean over the subvolumes of each size.
        spread: (n,) standard deviation over them; NaN where there is one only.
        count: (n,) subvolumes of each size.
    """

    edges: Float
    mean: Float
    spread: Float
    count: npt.NDArray[np.int64]

    def edge_for(self, relative_spread: float) -> float:
        """Smallest edge in µm from which on the spread stays below that share of the mean; inf if none."""
        known = np.isfinite(self.spread)
        good = self.spread[known] <= relative_spread * np.abs(self.mean[known])
        for at, edge in enumerate(self.edges[known]):
            if good[at:].all():
                return float(edge)
        return np.inf


def representative_volume(
    volume: LabelVolume,
    measure: Callable[[LabelVolume], float],
    *,
    parts: tuple[int, ...] = (8, 6, 5, 4, 3, 2, 1),
) -> Representativeness:
    """Measure growing subvolumes: the sample cut into p × p × p pieces for every p.

    Args:
        volume: The sample.
        measure: What to compute for each piece, such as
            ``lambda v: quantify(v, only=["porosity"])["porosity"]``.
        parts: Pieces per axis; those that would be thinner than 4 voxels are left out.

    Returns:
        Mean and spread per size.
    """
    shape = np.array(volume.shape)
    rows = []
    for p in sorted(parts, reverse=True):
        size = shape // p
        if size.min() < 4:
            continue
        values = []
        for place in np.ndindex(p, p, p):
            low = np.array(place) * size
            values.append(measure(volume.crop(low.tolist(), (low + size).tolist())))
        edge = float(np.prod(size * volume.spacing) ** (1 / 3))
        rows.append((edge, np.mean(values), np.std(values, ddof=1) if p > 1 else np.nan, len(values)))
    edges, mean, spread, count = (np.array(c) for c in zip(*rows, strict=True))
    return Representativeness(edges, mean, spread, count)
