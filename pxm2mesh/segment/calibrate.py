"""The price of a leap, found from the scan itself: labels are scanned again on paper and segmented anew."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.segment.restore import Restoration, restore, simulate_scan
from pxm2mesh.volume import GreyVolume

logger = logging.getLogger(__name__)

Ranks = npt.NDArray[Any]

_TRIED = (1.25, 1.4, 1.55, 1.7, 1.85)
"""Prices that are tried."""
_LOWEST, _HIGHEST = 1.0, 2.5
_EDGE = 80
"""Edge in voxels of the part in the middle of the scan that is used."""
_LEAST = 48**3
"""Voxels below which chance decides more than the price does."""
USUAL = 1.5
"""Price where the scan cannot tell: too small, fewer than three grey levels, or no leap in the part looked at."""
_WORTH = 64**3
"""Voxels whose own price is as uncertain as `USUAL` is: by chance, ±3 % either (±1 point of contact)."""


@dataclass(frozen=True)
class LeapCalibration:
    """How the price of a leap was found.

    Attributes:
        leap: The price: between `USUAL` and ``balanced``, nearer to the latter the larger the part looked at.
        tried: Prices tried.
        shares: Leaps among all boundaries between phases, at each of them.
        again: The same after a scan of these labels was simulated and segmented at the same price.
        balanced: The price at which the scan neither adds nor removes leaps; NaN where it could not tell.
    """

    leap: float
    tried: tuple[float, ...]
    shares: tuple[float, ...]
    again: tuple[float, ...]
    balanced: float = np.nan


def calibrate_leap(
    grey: GreyVolume,
    first_labels: Callable[[GreyVolume], Ranks],
    *,
    radial: bool = True,
    seed: int = 0,
    progress: Progress = SILENT,
) -> LeapCalibration:
    """Find the price at which segmenting neither adds nor removes boundaries of bright and dark.

    Labels found at some price are a sample that is known. A scan of it, with the blur, the levels and the noise
    that were found, segmented at the same price, must give back as many leaps as it has: where leaps are too
    cheap it gets more, where they are too dear fewer, as films appear between bright and dark. The price where
    the line through the trials crosses zero has no such bias, whatever the sample is. In a small scan it is uncertain
    by chance, and independently of how far the usual price is from the right one: a mean of the two, weighted by
    the voxels that were looked at, errs less than either.

    Args:
        grey: The scan, artefacts taken out.
        first_labels: Gives the first guess for a scan: index of the phase, dark to bright.
        radial: As in `restore`.
        seed: Of the simulated noise, the same for all prices.
        progress: Shows the trials.

    Returns:
        The price, and what it rests on.

    References:
        C. Gourieroux, A. Monfort and E. Renault, J. Appl. Econometrics 8, S85 (1993) (indirect inference).
    """
    part = _middle(grey)
    if part.values.size < _LEAST:
        logger.info("%d voxels are too few to calibrate the price of a leap: %g", part.values.size, USUAL)
        return LeapCalibration(USUAL, (), (), ())
    try:
        first = first_labels(part)
        counts = np.bincount(first.ravel())
        if len(counts) < 3 or counts.min() == 0:
            return LeapCalibration(USUAL, (), (), ())

        def trial(leap: float) -> tuple[float, float]:
            found = restore(part, first, leap=leap, radial=radial)
            return leap_share(found.labels), leap_share(
                _anew(part, found, first_labels, leap, radial, seed).labels
            )

        trials = []
        with (
            progress.task("calibrating the price of a leap", len(_TRIED)) as task,
            ThreadPoolExecutor(min(len(_TRIED), len(os.sched_getaffinity(0)))) as pool,
        ):
            for leap, made in zip(_TRIED, pool.map(trial, _TRIED), strict=True):
                trials.append(made)
                task.advance(note=f"{leap:g}")
    except DataError as error:  # a phase is missing from the part, or lost on the way
        logger.warning("the price of a leap stays at %g: %s", USUAL, error)
        return LeapCalibration(USUAL, (), (), ())
    found_shares, seen_again = np.array(trials).T
    shares, again = tuple(found_shares.tolist()), tuple(seen_again.tolist())
    if found_shares.max() < 1e-3:
        return LeapCalibration(USUAL, _TRIED, shares, again)
    slope, height = np.polyfit(np.log(_TRIED), seen_again - found_shares, 1)
    # dearer leaps leave fewer of them; the second round exaggerates what the first one does
    if slope >= 0:
        return LeapCalibration(USUAL, _TRIED, shares, again)
    balanced = float(np.clip(np.exp(-height / slope), _LOWEST, _HIGHEST))
    trust = part.values.size / (part.values.size + _WORTH)
    leap = float(balanced**trust * USUAL ** (1 - trust))
    logger.info(
        "price of a leap: %.2f (%.2f by itself; shares %s, again %s)",
        leap,
        balanced,
        found_shares,
        seen_again,
    )
    return LeapCalibration(leap, _TRIED, shares, again, balanced)


def leap_share(labels: Ranks) -> float:
    """Pairs of face neighbours two or more grey levels apart, among all unlike ones."""
    far = unlike = 0
    for axis in range(3):
        apart = np.abs(np.diff(labels.astype(np.int16), axis=axis))
        far += int(np.count_nonzero(apart > 1))
        unlike += int(np.count_nonzero(apart))
    return far / unlike if unlike else 0.0


def _anew(
    grey: GreyVolume, found: Restoration, first_labels: Callable[[GreyVolume], Ranks], leap: float,
    radial: bool, seed: int,
) -> Restoration:  # fmt: skip
    """What segmenting makes of a scan of the labels found."""
    scan = GreyVolume(simulate_scan(found, seed=seed), grey.spacing, grey.origin)
    return restore(scan, first_labels(scan), leap=leap, radial=radial)


def _middle(grey: GreyVolume) -> GreyVolume:
    cut = tuple(slice(max(0, (n - _EDGE) // 2), max(0, (n - _EDGE) // 2) + _EDGE) for n in grey.shape)
    return GreyVolume(np.ascontiguousarray(np.asarray(grey.values)[cut]), grey.spacing, grey.origin)
