"""Labels that explain a scan: what each voxel must be for the blurred sample to look as it was seen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.volume import GreyVolume

logger = logging.getLogger(__name__)

Float = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

_BLURS = (0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 1.8, 2.1, 2.5)
"""Standard deviations of the point spread that are tried, in voxels."""
_REFOCUS = (1, 2, 4, 6, 8, 12, 16)
"""Sweeps before which the point spread is estimated anew."""
_INDEPENDENT = 1.1
"""Up to this grain noise counts as independent from voxel to voxel."""
_HOTTEST, _COOLEST, _COLD = 1.5, 0.15, 4
"""First and last temperature of the annealing, and sweeps at temperature 0 after it."""


@dataclass(frozen=True, eq=False)
class Restoration:
    """What `restore` found.

    Attributes:
        labels: (nx, ny, nz) index of the phase, dark to bright.
        levels: (p,) grey value of each phase.
        noise: (p,) standard deviation of the noise in each phase.
        blur: Standard deviation of the point spread in voxels.
        misfit: Mean of the squared residual over its variance; about 1 where the model holds.
        grain: Variance of the noise under the point spread, relative to noise that is independent from
            voxel to voxel: about 1 for raw scans, more where a reconstruction has smoothed them.
    """

    labels: Labels
    levels: npt.NDArray[np.float64]
    noise: npt.NDArray[np.float64]
    blur: float
    misfit: float
    grain: float


def restore(
    grey: GreyVolume,
    labels: npt.NDArray[Any],
    *,
    blur: float | None = None,
    smoothness: float = 1.0,
    leap: float = 1.45,
    sweeps: int = 16,
    radial: bool = True,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Restoration:
    """Refine a segmentation so that the sample, blurred as the scan is, gives the grey values seen.

    The scan is modelled as grey levels of the phases, blurred by a Gaussian, plus what is the same at one
    radius about z (rings, cupping), plus noise whose variance follows the brightness. Labels near
    boundaries are drawn anew with falling temperature until nothing is gained: the energy is half the
    squared residual over its variance, plus a price per pair of unlike face neighbours. Levels, noise and
    radial trend are fitted in turn with the labels. Same input, same labels.

    A boundary of bright and dark looks much like a film of the phase between them, and noise alone favours
    the boundary, which has more ways to be drawn. ``leap`` makes up for it.

    Args:
        grey: The scan.
        labels: (nx, ny, nz) first guess, index of the phase from dark to bright, every index present.
        blur: Standard deviation of the point spread in voxels; estimated when None.
        smoothness: Price of an unlike pair of face neighbours, in units of the log-likelihood.
        leap: Price of a pair two grey levels apart (void beside NMC where LPSCl lies between), relative to
            neighbouring levels; r levels apart cost ``leap ** log2(r)``.
        sweeps: With falling temperature; 4 at temperature 0 follow.
        radial: Fit rings and cupping about the z axis through the middle.
        seed: Of the annealing.
        progress: Shows the sweeps.

    Returns:
        Labels with the model they belong to.

    Raises:
        UsageError: An amount out of range.
        DataError: The first guess has another shape, or misses a phase.

    References:
        S. Geman and D. Geman, IEEE Trans. Pattern Anal. Mach. Intell. 6, 721 (1984) (annealing of
        labels under blur and noise); J. Besag, J. R. Stat. Soc. B 48, 259 (1986).
    """
    if smoothness < 0 or leap <= 0 or sweeps < 0 or (blur is not None and blur <= 0):
        raise UsageError(
            f"restore: smoothness {smoothness:g}, leap {leap:g}, sweeps {sweeps}, blur {blur};",
            hint="use smoothness ≥ 0, leap > 0, sweeps ≥ 0, blur > 0 or none.",
        )
    first = np.asarray(labels)
    if first.shape != grey.shape:
        raise DataError(f"restore: labels have shape {first.shape}, the scan {grey.shape}.")
    count = int(first.max()) + 1
    if count > 255 or np.count_nonzero(np.bincount(first.ravel(), minlength=count)) < count:
        raise DataError("restore: the first guess misses a phase;", hint="leave that phase out.")
    values = np.asarray(grey.values, dtype=np.float32)
    if count == 1:
        noise = np.array([values.std(dtype=np.float64)])
        return Restoration(
            np.zeros(first.shape, np.uint8),
            np.array([values.mean(dtype=np.float64)]),
            noise,
            blur or 0.0,
            1.0,
            1.0,
        )
    width = estimate_blur(values, first.astype(np.uint8)) if blur is None else blur
    model = _Model(values, first.astype(np.uint8), width, radial)
    prices = _prices(count, smoothness, leap)
    heat = [*np.geomspace(_HOTTEST, _COOLEST, sweeps), *[0.0] * _COLD]
    with progress.task("restoring labels", len(heat)) as task:
        for number, temperature in enumerate(heat):
            if blur is None and number in _REFOCUS:
                model.refocus()
            # hot labels would only blur levels and noise: those settle in the first rounds
            changed = model.sweep(
                prices, float(temperature), seed * 1009 + number + 1, refit=number < 6 or number % 4 == 0
            )
            task.advance(note=f"{changed} voxels changed")
    found = model.result()
    logger.info(
        "blur %.2f voxels, levels %s, misfit %.3f, grain %.2f",
        found.blur,
        found.levels.round(),
        found.misfit,
        found.grain,
    )
    return found


def simulate_scan(found: Restoration, *, seed: int = 0) -> Float:
    """A scan of the labels found, with the levels, the blur and the noise found.

    Args:
        found: What `restore` found.
        seed: Of the noise; as coarse-grained as that of the scan was.

    Returns:
        (nx, ny, nz) grey values.
    """
    profile = _profile(found.blur)
    explained = _blurred(found.levels.astype(np.float32)[found.labels], profile)
    order = np.argsort(found.levels)
    spread = np.interp(explained, found.levels[order], found.noise[order])
    noise = np.random.default_rng(seed).standard_normal(explained.shape).astype(np.float32)
    if (
        found.grain > _INDEPENDENT
    ):  # by the width at which a Gaussian blur of it outlasts the point spread as much
        width = max(0.3, found.blur * np.sqrt(max(found.grain ** (2 / 3) - 1, 0.0)) / 2)
        noise = _blurred(noise, _profile(float(width)))
        noise /= noise.std()
    return np.asarray(explained + spread * noise, np.float32)


def estimate_blur(values: Float, labels: Labels) -> float:
    """Standard deviation of the point spread that leaves the least residual under given labels.

    Args:
        values: (nx, ny, nz) grey values.
        labels: (nx, ny, nz) index of the phase, dark to bright.

    Returns:
        Voxels, between the neighbours of the best one tried.
    """
    window = tuple(slice(max(0, n // 2 - 40), n // 2 + 40) for n in values.shape)
    part, kinds = values[window], labels[window]
    rest = [_unexplained(part, kinds, width) for width in _BLURS]
    best = int(np.argmin(rest))
    if best in (0, len(rest) - 1):
        return _BLURS[best]
    return _lowest(_BLURS[best - 1 : best + 2], rest[best - 1 : best + 2])


def _unexplained(values: Float, labels: Labels, width: float) -> float:
    """Mean squared residual under the levels that fit best."""
    count = int(labels.max()) + 1
    shares = _shares(labels, count, _profile(width)).reshape(count, -1)
    matrix, right = (shares @ shares.T).astype(np.float64), (shares @ values.ravel()).astype(np.float64)
    levels = np.linalg.lstsq(matrix, right, rcond=None)[0].astype(np.float32)
    return float(np.mean((values.ravel() - levels @ shares) ** 2))


def _lowest(places: Sequence[float], heights: Sequence[float]) -> float:
    """Where the parabola through three points is lowest, within them."""
    curve = np.polyfit(places, heights, 2)
    if curve[0] <= 0:
        return float(places[int(np.argmin(heights))])
    return float(np.clip(-curve[1] / (2 * curve[0]), places[0], places[-1]))


class _Model:
    """Scan, labels, and the fit between them, on a lattice with a rim of unseen voxels."""

    def __init__(self, values: Float, labels: Labels, width: float, radial: bool) -> None:
        from scipy.ndimage import gaussian_filter

        self.width = width
        self.profile = _profile(width)
        self.reach = len(self.profile) // 2
        # what lies beyond the scan shines into it: voxels of unknown label and no weight
        self.values = np.pad(values, self.reach, mode="edge")
        self.labels: Labels = np.pad(labels, self.reach, mode="edge")
        self.seen = np.pad(np.ones(values.shape, np.float32), self.reach)
        self.count = int(labels.max()) + 1
        self.bright = np.pad(gaussian_filter(values, 1.0, mode="nearest"), self.reach, mode="edge")
        nx, ny, _ = self.values.shape
        x, y = np.arange(nx) + 0.5 - nx / 2, np.arange(ny) + 0.5 - ny / 2
        self.radius = np.rint(np.hypot(x[:, None], y[None, :])).astype(np.int64) if radial else None
        self.trend = np.zeros((nx, ny), np.float32)
        self.weight = self.seen.copy()
        self.levels: npt.NDArray[np.float64] = np.zeros(self.count)
        self.noise: npt.NDArray[np.float64] = np.zeros(self.count)
        self.power: Float = self.weight
        self.grain = 1.0
        self.active: npt.NDArray[np.bool_] = self.seen > 0

    def sweep(self, prices: Float, temperature: float, seed: int, *, refit: bool) -> int:
        """One update of all labels near boundaries, after one of the model where asked for."""
        from pxm2mesh.segment._restore_kernels import relabel

        if refit:
            self._fit()
        line = self.profile
        spread = line[:, None, None] * line[None, :, None] * line[None, None, :]
        levels = self.levels.astype(np.float32)
        residual = self._residual() * self.weight
        return int(
            relabel(
                self.labels, self.active, residual, self.weight, self.power, levels, spread, prices,
                temperature, seed,
            )
        )  # fmt: skip

    def refocus(self) -> None:
        """The width of the point spread again, from labels that are better than the first guess."""
        core = tuple(
            slice(max(self.reach, n // 2 - 40), min(n - self.reach, n // 2 + 40)) for n in self.values.shape
        )
        part, kinds = (self.values - self.trend[:, :, None])[core], self.labels[core]
        tried = [self.width * factor for factor in (0.9, 1.0, 1.1)]
        self.width = _lowest(tried, [_unexplained(part, kinds, width) for width in tried])
        self.profile = _profile(self.width)

    def _residual(self) -> Float:
        explained = _blurred(self.levels.astype(np.float32)[self.labels], self.profile)
        residual: Float = self.values - self.trend[:, :, None] - explained
        return residual

    def _fit(self) -> None:
        """Levels, radial trend, noise and the voxels to work on, from the labels as they are."""
        from scipy.ndimage import binary_dilation, maximum_filter, minimum_filter

        shares = _shares(self.labels, self.count, self.profile).reshape(self.count, -1)
        goal = (self.values - self.trend[:, :, None]).ravel()
        weighted = shares * self.weight.ravel()
        matrix, right = (weighted @ shares.T).astype(np.float64), (weighted @ goal).astype(np.float64)
        self.levels = np.asarray(np.linalg.lstsq(matrix, right, rcond=None)[0], dtype=np.float64)
        residual = self._residual()
        if self.radius is not None:
            place = self.radius.ravel()
            known = np.bincount(place, self.weight.sum(axis=2).ravel())
            beyond = np.bincount(place, (residual * self.weight).sum(axis=2).ravel())
            rings = np.divide(beyond, known, out=np.zeros_like(beyond), where=known > 0)[self.radius]
            self.trend += rings.astype(np.float32)
            residual -= rings.astype(np.float32)[:, :, None]
        clear = maximum_filter(self.labels, 3) == minimum_filter(self.labels, 3)
        self.active = binary_dilation(~clear)
        self._fit_noise(residual, clear & (self.seen > 0))

    def _fit_noise(self, residual: Float, clear: npt.NDArray[np.bool_]) -> None:
        """Variance by phase, from voxels clear of boundaries, and by brightness in between."""
        from scipy.ndimage import correlate1d

        spread = np.full(self.count, np.nan)
        for kind in range(self.count):
            here = residual[clear & (self.labels == kind)]
            if len(here) >= 30:
                spread[kind] = 1.4826 * np.median(np.abs(here))
        everywhere = 1.4826 * float(np.median(np.abs(residual[self.seen > 0])))
        # a scan without noise still is not exact: never less than a thousandth of the contrast
        least = 1e-3 * max(float(np.ptp(self.levels)), 1e-30)
        self.noise = np.maximum(np.where(np.isnan(spread), everywhere, spread), least)
        order = np.argsort(self.levels)
        variance = np.interp(self.bright - self.trend[:, :, None], self.levels[order], self.noise[order] ** 2)
        grain = self._correlation(residual / np.sqrt(variance), clear)
        # misfit at boundaries alone makes some per cent: those are not correlation
        self.grain = grain if grain > _INDEPENDENT else 1.0
        self.weight = (self.seen / (variance * self.grain)).astype(np.float32)
        power = self.weight
        for axis in range(3):
            power = correlate1d(power, self.profile**2, axis=axis, mode="constant")
        self.power = power

    def _correlation(self, noise: Float, clear: npt.NDArray[np.bool_]) -> float:
        """By how much noise outlasts the point spread, relative to noise of independent voxels."""
        from scipy.ndimage import binary_erosion

        deep = binary_erosion(clear, iterations=self.reach)
        where = deep if np.count_nonzero(deep) >= 500 else clear
        single = float(np.median(np.abs(noise[where])))
        pooled = float(np.median(np.abs(_blurred(noise.astype(np.float32), self.profile)[where])))
        alone = float(np.sum(self.profile.astype(np.float64) ** 2)) ** 3
        return (pooled / max(single, 1e-30)) ** 2 / alone

    def result(self) -> Restoration:
        """The labels without the rim, and the model."""
        core = (slice(self.reach, -self.reach),) * 3
        self._fit()
        squares = self._residual() ** 2 * self.weight
        squares *= self.grain
        misfit = float(squares.sum(dtype=np.float64) / self.seen.sum(dtype=np.float64))
        labels = np.ascontiguousarray(self.labels[core])
        return Restoration(labels, self.levels, self.noise, self.width, misfit, self.grain)


def _profile(width: float) -> Float:
    """Gaussian over ±2.5 standard deviations, sum 1."""
    reach = max(1, round(2.5 * width))
    place = np.arange(-reach, reach + 1)
    line = np.exp(-0.5 * (place / width) ** 2)
    return np.asarray(line / line.sum(), dtype=np.float32)


def _blurred(values: Float, profile: Float) -> Float:
    from scipy.ndimage import correlate1d

    for axis in range(3):
        values = correlate1d(values, profile, axis=axis, mode="nearest")
    return values


def _shares(labels: Labels, count: int, profile: Float) -> Float:
    """(p, nx, ny, nz) how much of each phase a voxel sees."""
    return np.stack([_blurred((labels == kind).astype(np.float32), profile) for kind in range(count)])


def _prices(count: int, smoothness: float, leap: float) -> Float:
    """(p, p) price of a pair of face neighbours."""
    rank = np.arange(count)
    apart = np.abs(rank[:, None] - rank[None, :]).astype(np.float64)
    price = np.where(apart > 0, leap ** np.log2(np.maximum(apart, 1)), 0.0)
    return np.asarray(smoothness * price, dtype=np.float32)
