"""The verb ``segment``: grey values to labels, each step an option."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, UsageError, did_you_mean
from pxm2mesh.phases import PhaseTable
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.segment.artefacts import flatten_background, multi_otsu, normalise_slices, remove_rings
from pxm2mesh.segment.denoise import DenoiseMethod, denoise, noise_level
from pxm2mesh.segment.repair import clean
from pxm2mesh.volume import GreyVolume, LabelVolume

logger = logging.getLogger(__name__)

Float = npt.NDArray[np.float32]
Labelling = Literal["watershed", "threshold", "hysteresis", "random-walker"]


@dataclass(frozen=True)
class SegmentOptions:
    """The steps of `segment`, in the order they are taken.

    Attributes:
        bin: Average blocks of this many voxels per axis first.
        normalise_slices: Bring all slices to one brightness and contrast.
        background: Slow trend to take out: ``"radial"`` (beam hardening), ``"smooth"``, or None.
        rings: Take out rings about the z axis.
        denoise: Method of `denoise`, or None.
        strength: Of the denoising.
        order: Phase names from dark to bright; the order of the labels when None.
        thresholds: Grey values between the phases, one fewer than phases; multi-Otsu when None.
        method: ``"watershed"``: only voxels clear of edges are labelled by the thresholds, and grow over the
            slope of the grey values, so that the blurred rim between a bright and a dark phase does not
            become a shell of the phase between them. ``"threshold"``: every voxel by its value alone.
            ``"hysteresis"``: values within ``margin`` of a threshold go with what they are connected to.
            ``"random-walker"``: as watershed, slower, better with much noise.
        margin: Of hysteresis, as a share of the distance between neighbouring grey levels.
        shift: Moves every threshold, as a share of that distance; used for intervals.
        bands: (phase, low, high): voxels clear of edges with values in between are that phase, such as a
            binder whose pores are finer than the voxels.
        restore: Refine the labels of watershed and random walker with `pxm2mesh.segment.restore.restore`
            until the blurred sample explains the scan; not where there are bands.
        leap: Price of neighbours two grey levels apart in that refinement; found from the scan itself by
            `pxm2mesh.segment.calibrate.calibrate_leap` when None.
        min_region: Regions of fewer voxels are merged into what surrounds them.
    """

    bin: int = 1
    normalise_slices: bool = False
    background: Literal["radial", "smooth"] | None = "radial"
    rings: bool = True
    denoise: DenoiseMethod | None = "median"
    strength: float = 1.0
    order: tuple[str, ...] | None = None
    thresholds: tuple[float, ...] | None = None
    method: Labelling = "watershed"
    margin: float = 0.15
    shift: float = 0.0
    bands: tuple[tuple[str, float, float], ...] = ()
    restore: bool = True
    leap: float | None = None
    min_region: int | None = None

    def __post_init__(self) -> None:
        if self.method not in get_args(Labelling):
            raise UsageError(
                f"unknown segmentation method {self.method!r};",
                hint=did_you_mean(self.method, get_args(Labelling)),
            )
        if self.bin < 1 or not 0 <= self.margin < 0.5 or not abs(self.shift) < 0.5:
            raise UsageError(
                f"segment: bin {self.bin}, margin {self.margin:g}, shift {self.shift:g};",
                hint="use bin ≥ 1, 0 ≤ margin < 0.5, |shift| < 0.5.",
            )
        if self.leap is not None and self.leap <= 0:
            raise UsageError(f"segment: leap {self.leap:g} is not above 0.")
        if self.thresholds is not None and list(self.thresholds) != sorted(set(self.thresholds)):
            raise UsageError(f"thresholds {self.thresholds} do not ascend.")


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A segmentation with what led to it.

    Attributes:
        volume: The labels.
        grey: The scan after the corrections, on the lattice of the labels.
        thresholds: Grey values between the phases, after the corrections.
        levels: Mean grey value of each phase, dark to bright, clear of edges.
        noise: Standard deviation of the noise that was left, in grey values.
        leap: Price of a leap that was used; None where labels were not restored.
    """

    volume: LabelVolume
    grey: GreyVolume
    thresholds: tuple[float, ...]
    levels: tuple[float, ...]
    noise: float
    leap: float | None = None


def segment(
    grey: GreyVolume,
    phases: PhaseTable,
    options: SegmentOptions | None = None,
    *,
    progress: Progress = SILENT,
) -> LabelVolume:
    """Turn grey values into labels.

    Args:
        grey: The scan.
        phases: The phase table, from dark to bright unless the options say otherwise.
        options: The steps.
        progress: Shows them.

    Returns:
        The segmented sample.

    Raises:
        UsageError: Thresholds that do not fit the phases, unknown names.
        DataError: A constant scan, too few grey values, or a phase without a voxel.

    Example:
        >>> from pxm2mesh.phantoms import cathode, grey_scan
        >>> scan = grey_scan(cathode("pressed", size=32), seed=1)
        >>> segment(scan, PhaseTable({"void": 0, "LPSCl": 1, "NMC": 2})).phases.names
        ('void', 'LPSCl', 'NMC')

    References:
        N. Otsu, IEEE Trans. Syst. Man Cybern. 9, 62 (1979); S. Beucher and F. Meyer, in Mathematical
        Morphology in Image Processing (1993) (watershed from markers); L. Grady, IEEE Trans. Pattern Anal.
        Mach. Intell. 28, 1768 (2006) (random walker).
    """
    return segment_in_steps(grey, phases, options, progress=progress).volume


def segment_in_steps(
    grey: GreyVolume,
    phases: PhaseTable,
    options: SegmentOptions | None = None,
    *,
    progress: Progress = SILENT,
) -> Segmentation:
    """As `segment`, with the corrected scan, thresholds and levels for previews and records."""
    options = options or SegmentOptions()
    order = _order(phases, options)
    with progress.task("segmenting", 4) as task:
        corrected = correct(grey, len(order), options)
        task.advance(note="corrected")
        values = np.asarray(corrected.values, dtype=np.float32)
        rank, thresholds, levels = _first_labels(corrected, len(order), options)
        task.advance(2, note="first labels")
        rank, leap = _restored(corrected, rank, len(order), options, progress)
        task.advance(note="labels")
    table = np.array([phases[name].label for name in (*order, *(b[0] for b in options.bands))])
    labels = table[rank]
    volume = clean(
        LabelVolume(labels, phases, corrected.spacing, corrected.origin), min_region=options.min_region
    )
    absent = [name for name, count in volume.voxel_counts().items() if count == 0]
    if absent:
        raise DataError(
            f"no voxel was found for {', '.join(absent)} (thresholds {', '.join(f'{t:.4g}' for t in thresholds)});",
            hint="name only the phases that the scan shows, or give thresholds.",
        )
    logger.info("thresholds %s, levels %s: %r", thresholds, levels, volume)
    return Segmentation(volume, corrected, tuple(thresholds), tuple(levels), noise_level(values), leap)


def _first_labels(
    corrected: GreyVolume, count: int, options: SegmentOptions
) -> tuple[npt.NDArray[np.int64], tuple[float, ...], tuple[float, ...]]:
    """Ranks by thresholds and growth, before any refinement; thresholds and levels."""
    values = np.asarray(corrected.values, dtype=np.float32)
    quiet = _quiet(values)
    smooth = values
    if options.denoise is not None:
        smooth = denoise(corrected, options.denoise, strength=options.strength).values
    band = np.zeros(values.shape, dtype=np.int64)
    for number, (_, low, high) in enumerate(options.bands, start=1):
        band[(smooth >= low) & (smooth <= high)] = number
    thresholds, levels = _thresholds(smooth[quiet & (band == 0)], count, options)
    return _label(smooth, quiet, band, thresholds, levels, options), thresholds, levels


def threshold_variants(
    grey: GreyVolume,
    phases: PhaseTable,
    options: SegmentOptions | None = None,
    *,
    shift: float = 0.1,
    progress: Progress = SILENT,
) -> tuple[LabelVolume, LabelVolume]:
    """The whole chain with all thresholds lower and higher, for the interval of every quantity.

    Args:
        grey: The scan.
        phases: The phase table.
        options: As of the nominal segmentation.
        shift: Of the thresholds, as a share of the distance between neighbouring grey levels. Where labels
            are restored, the price of a leap is changed too, × (1 ± 2 shift).
        progress: Shows the steps.

    Returns:
        The sample with lower and with higher thresholds (more bright and more dark phase); where labels are
        restored, with more and with less of the boundaries between unlike grey levels.

    Raises:
        UsageError: A shift that is not between 0 and 0.5.
    """
    if not 0 < shift < 0.5:
        raise UsageError(f"threshold_variants: shift {shift:g} is not between 0 and 0.5.")
    options = options or SegmentOptions()
    if options.leap is None and _restores(options):
        count = len(_order(phases, options))
        options = replace(options, leap=_price(correct(grey, count, options), count, options, progress))
    low, high = (
        segment(grey, phases, replace(options, shift=options.shift + s), progress=progress)
        for s in (-shift, shift)
    )
    return low, high


def correct(grey: GreyVolume, phases: int, options: SegmentOptions) -> GreyVolume:
    """The scan binned and with artefacts taken out, as the options ask for.

    Args:
        grey: The scan.
        phases: Number of grey levels.
        options: The steps.

    Returns:
        The corrected scan.

    Raises:
        DataError: The scan is constant or holds values that are not finite.
    """
    values = np.asarray(grey.values)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(
            f"{int(np.count_nonzero(~np.isfinite(values)))} grey values are not finite;",
            hint="crop them away, or replace them by the value of the void.",
        )
    if values.min() == values.max():
        raise DataError(
            f"all grey values are {values.flat[0]:g};", hint="check that the right file was read."
        )
    grey = grey.binned(options.bin)
    if options.normalise_slices:
        grey = normalise_slices(grey)
    if options.background is not None:
        grey = flatten_background(grey, phases=phases, kind=options.background)
    if options.rings:
        grey = remove_rings(grey, phases=phases)
    return grey


def _order(phases: PhaseTable, options: SegmentOptions) -> tuple[str, ...]:
    banded = {phases[name].name for name, _, _ in options.bands}
    if options.order is None:
        return tuple(name for name in phases.names if name not in banded)
    order = tuple(phases[name].name for name in options.order)
    if set(order) | banded != set(phases.names) or len(set(order)) < len(order):
        raise UsageError(
            f"segment: the order {', '.join(order)} does not name every phase once;",
            hint=f"phases: {', '.join(phases.names)}.",
        )
    return order


def _quiet(values: Float) -> npt.NDArray[np.bool_]:
    """Voxels clear of edges: the half with the smaller slope."""
    from scipy.ndimage import gaussian_gradient_magnitude

    slope = gaussian_gradient_magnitude(values, 1.0, mode="nearest")
    result: npt.NDArray[np.bool_] = slope <= np.median(slope)
    return result


def _thresholds(
    calm: Float, count: int, options: SegmentOptions
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Thresholds and levels, from the values of voxels clear of edges."""
    if options.thresholds is None:
        cuts = multi_otsu(calm, count) if count > 1 else np.zeros(0)
    else:
        cuts = np.array(options.thresholds, dtype=np.float64)
        if len(cuts) != count - 1:
            raise UsageError(f"{len(cuts)} thresholds do not part {count} phases;", hint=f"give {count - 1}.")
    kind = np.digitize(calm, cuts)
    members = np.bincount(kind, minlength=count)
    sums = np.bincount(kind, calm, minlength=count)
    levels = np.where(members > 0, sums / np.maximum(members, 1), np.nan)
    if options.thresholds is None and count > 1:
        _refuse_one_peak(calm, kind, levels)
        cuts = 0.5 * (levels[1:] + levels[:-1])
    cuts = cuts + options.shift * np.nan_to_num(np.diff(levels))
    return tuple(float(c) for c in cuts), tuple(float(v) for v in levels)


_APART = 3.0
"""Least distance of neighbouring grey levels in standard deviations within them. One peak cut in half has 2.7."""


def _refuse_one_peak(calm: Float, kind: npt.NDArray[np.int64], levels: npt.NDArray[np.floating]) -> None:
    """Thresholds that were found must part peaks, not the noise of one."""
    spread = np.array([calm[kind == k].std(dtype=np.float64) for k in range(len(levels))])
    within = np.sqrt(0.5 * (spread[1:] ** 2 + spread[:-1] ** 2))
    for k in np.flatnonzero(np.diff(levels) < _APART * within):
        raise DataError(
            f"the scan does not show {len(levels)} phases: the grey levels {levels[k]:.4g} and {levels[k + 1]:.4g} "
            f"are one peak cut in two (spread {within[k]:.2g});",
            hint="name only the phases that the scan shows, denoise more, or give thresholds.",
        )


def _label(
    smooth: Float,
    quiet: npt.NDArray[np.bool_],
    band: npt.NDArray[np.int64],
    thresholds: tuple[float, ...],
    levels: tuple[float, ...],
    options: SegmentOptions,
) -> npt.NDArray[np.int64]:
    """(nx, ny, nz) rank of the phase, dark to bright, and above those the bands."""
    rank: npt.NDArray[np.int64] = np.digitize(smooth, thresholds).astype(np.int64)
    if options.method == "hysteresis":
        from skimage.filters import apply_hysteresis_threshold as connected_above

        gaps = options.margin * np.nan_to_num(np.diff(levels))
        parts = [
            connected_above(smooth, t - g, t + g)  # type: ignore[no-untyped-call]
            for t, g in zip(thresholds, gaps, strict=True)
        ]
        rank = np.sum(parts, axis=0, dtype=np.int64)
    rank = np.where(band > 0, len(thresholds) + band, rank)
    if options.method in ("threshold", "hysteresis"):
        return rank
    return _grown(smooth, np.where(quiet, rank + 1, 0).astype(np.int32), options.method)


def _restores(options: SegmentOptions) -> bool:
    return options.restore and not options.bands and options.method not in ("threshold", "hysteresis")


def _price(grey: GreyVolume, count: int, options: SegmentOptions, progress: Progress) -> float:
    """The price of a leap: as given, or calibrated on the scan."""
    from pxm2mesh.segment.calibrate import USUAL, calibrate_leap

    if options.leap is not None:
        return options.leap
    if count < 3:  # there are no leaps
        return USUAL
    nominal = replace(options, shift=0.0)
    found = calibrate_leap(
        grey,
        lambda scan: _first_labels(scan, count, nominal)[0],
        radial=_is_radial(options),
        progress=progress,
    )
    return found.leap


def _is_radial(options: SegmentOptions) -> bool:
    return options.rings or options.background == "radial"


def _restored(
    grey: GreyVolume, rank: npt.NDArray[np.int64], count: int, options: SegmentOptions, progress: Progress
) -> tuple[npt.NDArray[np.int64], float | None]:
    """The ranks refined and the price of a leap, where the options ask for it and every phase has been found."""
    if not options.restore or options.method in ("threshold", "hysteresis"):
        return rank, None
    if options.bands or np.count_nonzero(np.bincount(rank.ravel(), minlength=count)) < count:
        why = "grey bands are given" if options.bands else "a phase has no voxel to start from"
        logger.warning("the labels are not restored: %s.", why)
        return rank, None
    from pxm2mesh.segment.restore import restore

    # thresholds only start this refinement; what its answer hangs on is the price of a leap
    leap = _price(grey, count, options, progress) * (1 + 2 * options.shift)
    found = restore(grey, rank, leap=leap, radial=_is_radial(options), progress=progress)
    return found.labels.astype(np.int64), leap


def _grown(smooth: Float, markers: npt.NDArray[np.int32], method: Labelling) -> npt.NDArray[np.int64]:
    """Markers (rank + 1, 0 open) grown over all voxels."""
    from scipy.ndimage import gaussian_gradient_magnitude

    kinds = np.unique(markers[markers > 0])
    if len(kinds) < 2:  # nothing to compete with
        return np.full(markers.shape, int(kinds[0]) - 1, dtype=np.int64)
    if method == "random-walker":
        from skimage.segmentation import random_walker

        dense = np.searchsorted(kinds, markers) + 1  # it wants markers without gaps
        low, high = np.percentile(smooth, [1, 99])  # its beta is meant for values from 0 to 1
        unit = (smooth.astype(np.float64) - low) / max(float(high - low), 1e-12)
        found = random_walker(
            unit, np.where(markers > 0, dense, 0), beta=40, mode="cg_j", tol=1e-5, prob_tol=0.05
        )
        return np.asarray(kinds[np.asarray(found) - 1], dtype=np.int64) - 1
    from skimage.segmentation import watershed

    slope = gaussian_gradient_magnitude(smooth, 0.7, mode="nearest")
    return np.asarray(watershed(slope, markers), dtype=np.int64) - 1  # type: ignore[no-untyped-call]
