"""Less noise in grey values, edges kept as far as each method can."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError, did_you_mean
from pxm2mesh.volume import GreyVolume

Float = npt.NDArray[np.float32]
DenoiseMethod = Literal["median", "gaussian", "total-variation", "non-local-means", "bilateral"]


def denoise(
    grey: GreyVolume, method: DenoiseMethod = "median", *, strength: float = 1.0, noise: float | None = None
) -> GreyVolume:
    """Take noise out of a scan.

    Args:
        grey: The scan.
        method: ``"median"`` of 3³ voxels (``strength`` > 1.5: 5³): quick, keeps edges, rounds corners.
            ``"gaussian"`` of ``strength`` voxels: quick, blurs.
            ``"total-variation"``: flat inside, sharp edges, loses contrast of thin parts.
            ``"non-local-means"``: averages look-alike patches; the best and the slowest.
            ``"bilateral"``: averages neighbours of like value.
        strength: 1 suits the noise that is there; more is smoother.
        noise: Standard deviation of the noise in grey values; estimated where None.

    Returns:
        float32 values on the same lattice.

    Raises:
        UsageError: Unknown method or a strength ≤ 0.

    Example:
        >>> scan = GreyVolume(np.random.default_rng(0).normal(100, 10, (16, 16, 16)), "1 um")
        >>> bool(denoise(scan, "total-variation").values.std() < 5)
        True

    References:
        A. Chambolle, J. Math. Imaging Vis. 20, 89 (2004) (total variation);
        A. Buades, B. Coll and J.-M. Morel, CVPR 2005 (non-local means);
        C. Tomasi and R. Manduchi, ICCV 1998 (bilateral).
    """
    if method not in get_args(DenoiseMethod):
        raise UsageError(
            f"unknown denoise method {method!r};", hint=did_you_mean(method, get_args(DenoiseMethod))
        )
    if strength <= 0:
        raise UsageError(
            f"denoise: strength {strength:g} is not above 0;", hint="leave the step out instead."
        )
    values = np.asarray(grey.values, dtype=np.float32)
    scatter = noise_level(values) if noise is None else noise
    return GreyVolume(_FILTERS[method](values, strength, scatter), grey.spacing, grey.origin)


def noise_level(values: Float) -> float:
    """Standard deviation of white noise, from what one voxel has that its neighbours do not.

    Args:
        values: (nx, ny, nz) grey values.

    Returns:
        In grey values; the median over all voxels, so that edges hardly count.

    References:
        J. Immerkær, Comput. Vis. Image Underst. 64, 300 (1996) (difference of Laplacians), in 3-D.
    """
    rest = np.asarray(values, dtype=np.float32)
    norm = 1.0
    for axis in range(3):
        if values.shape[axis] < 3:
            continue
        rest = np.diff(rest, 2, axis=axis)
        norm *= 6.0  # 1² + 2² + 1²
    return float(np.median(np.abs(rest)) / 0.6745 / np.sqrt(norm))


def _median(values: Float, strength: float, noise: float) -> Float:
    from scipy.ndimage import median_filter

    result: Float = median_filter(values, 3 if strength <= 1.5 else 5, mode="nearest")
    return result


def _gaussian(values: Float, strength: float, noise: float) -> Float:
    from scipy.ndimage import gaussian_filter

    result: Float = gaussian_filter(values, strength, mode="nearest")
    return result


def _total_variation(values: Float, strength: float, noise: float) -> Float:
    from skimage.restoration import denoise_tv_chambolle

    if noise <= 0:
        return values
    # Chambolle's weight is in units of the noise; the tolerance is relative to the first step
    smooth = denoise_tv_chambolle(values / noise, weight=1.0 * strength, eps=1e-3, max_num_iter=100)  # type: ignore[no-untyped-call]
    result: Float = (smooth * noise).astype(np.float32)
    return result


def _non_local_means(values: Float, strength: float, noise: float) -> Float:
    from skimage.restoration import denoise_nl_means

    if noise <= 0:
        return values
    result = denoise_nl_means(
        values, patch_size=3, patch_distance=4, h=0.7 * strength * noise, sigma=noise, fast_mode=True
    )
    return np.asarray(result, dtype=np.float32)


def _bilateral(values: Float, strength: float, noise: float) -> Float:
    """Weights exp(−d²/2σ²) in space (σ = 1 voxel × strength) and in grey value (2.5 × noise × strength)."""
    if noise <= 0:
        return values
    reach = max(1, round(2 * strength))
    padded = np.pad(values, reach, mode="edge")
    total, weights = np.zeros_like(values), np.zeros_like(values)
    for a, b, c in np.ndindex(*(2 * reach + 1,) * 3):
        apart = (a - reach) ** 2 + (b - reach) ** 2 + (c - reach) ** 2
        if apart > reach**2 + 1:
            continue
        other = padded[a : a + values.shape[0], b : b + values.shape[1], c : c + values.shape[2]]
        unlike = (other - values) / np.float32(2.5 * noise * strength)
        weight = np.exp(-0.5 * unlike * unlike) * np.float32(np.exp(-0.5 * apart / strength**2))
        total += weight * other
        weights += weight
    result: Float = total / weights
    return result


_FILTERS = {
    "median": _median,
    "gaussian": _gaussian,
    "total-variation": _total_variation,
    "non-local-means": _non_local_means,
    "bilateral": _bilateral,
}
