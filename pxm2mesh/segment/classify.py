"""A pixel classifier that learns from a few painted voxels; for scans that grey values alone do not part."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, MissingDependencyError
from pxm2mesh.phases import PhaseTable
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.volume import GreyVolume, LabelVolume

logger = logging.getLogger(__name__)

Float = npt.NDArray[np.float32]
_SCALES = (0.7, 1.6, 3.5)
_SLAB = 32
_MARGIN = 12
"""Voxels beside a slab that its features reach into: three times the largest scale, and derivatives."""


def classify(
    grey: GreyVolume,
    scribbles: npt.NDArray[np.integer],
    phases: PhaseTable,
    *,
    trees: int = 60,
    seed: int = 0,
    progress: Progress = SILENT,
) -> LabelVolume:
    """Label a scan by a random forest that is trained on sparse scribbles.

    Features of a voxel at three scales: smoothed grey value, slope, Laplacian, and the local standard
    deviation, which tells textures apart that have one mean.

    Args:
        grey: The scan.
        scribbles: (nx, ny, nz) 0 where nothing was painted, else label + 1.
        phases: The phase table.
        trees: Of the forest.
        seed: Of the forest; same input and seed, same labels.
        progress: Shows the slabs.

    Returns:
        The segmented sample.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
        DataError: Scribbles of another shape, of an unknown phase, or of fewer than two phases.

    References:
        L. Breiman, Mach. Learn. 45, 5 (2001); S. Berg et al., Nat. Methods 16, 1226 (2019) (ilastik).
    """
    _check(grey, scribbles, phases)
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError:
        raise MissingDependencyError(
            "the pixel classifier needs scikit-learn, which is not installed;",
            hint="install it: pip install scikit-learn.",
        ) from None
    values = np.asarray(grey.values, dtype=np.float32)
    painted = scribbles > 0
    known = np.concatenate([f[painted[:, :, a:b]] for a, b, f in _slabs(values) if painted[:, :, a:b].any()])
    # slabs come in the order of z, so the answers are taken in the same order
    answers = np.concatenate([scribbles[:, :, a:b][painted[:, :, a:b]] for a, b in _spans(values.shape[2])])
    forest = RandomForestClassifier(trees, min_samples_leaf=3, random_state=seed, n_jobs=2)
    forest.fit(known, answers)
    labels = np.empty(values.shape, dtype=np.int64)
    with progress.task("classifying", values.shape[2]) as task:
        for a, b, features in _slabs(values):
            found = forest.predict(features.reshape(-1, features.shape[-1]))
            labels[:, :, a:b] = found.reshape(features.shape[:3]) - 1
            task.advance(b - a)
    logger.info("classified %d voxels from %d painted ones", labels.size, int(painted.sum()))
    return LabelVolume(labels, phases, grey.spacing, grey.origin)


def _check(grey: GreyVolume, scribbles: npt.NDArray[np.integer], phases: PhaseTable) -> None:
    if scribbles.shape != grey.shape:
        raise DataError(f"scribbles have shape {scribbles.shape}, the scan {grey.shape}.")
    painted = {int(v) - 1 for v in np.unique(scribbles[scribbles != 0])}
    strange = painted - set(phases.labels)
    if strange:
        raise DataError(
            f"scribbles of value {min(strange) + 1} stand for label {min(strange)}, which has no phase;",
            hint="paint label + 1 of a phase, and 0 elsewhere.",
        )
    if len(painted) < 2:
        raise DataError(
            f"{len(painted)} phases are painted;", hint="paint some voxels of at least two phases."
        )


def _spans(depth: int) -> list[tuple[int, int]]:
    return [(a, min(a + _SLAB, depth)) for a in range(0, depth, _SLAB)]


def _slabs(values: Float):  # type: ignore[no-untyped-def]
    """First and last slice of each slab, and its features (nx, ny, slab, f)."""
    for a, b in _spans(values.shape[2]):
        low, high = max(a - _MARGIN, 0), min(b + _MARGIN, values.shape[2])
        yield a, b, _features(values[:, :, low:high])[:, :, a - low : b - low]


def _features(values: Float) -> Float:
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, gaussian_laplace

    found = [values]
    for scale in _SCALES:
        mean = gaussian_filter(values, scale, truncate=3.0)
        square = gaussian_filter(values * values, scale, truncate=3.0)
        found.append(mean)
        found.append(gaussian_gradient_magnitude(values, scale, truncate=3.0))
        found.append(gaussian_laplace(values, scale, truncate=3.0))
        found.append(np.sqrt(np.maximum(square - mean * mean, 0)))
    return np.stack(found, axis=-1)
