"""What an X-ray microscope would make of a sample: grey values with blur, noise and artefacts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError
from pxm2mesh.volume import GreyVolume, LabelVolume

GREY_OF_ROLE: Mapping[str, float] = MappingProxyType(
    {
        "void": 8000.0,
        "binder": 14000.0,
        "separator": 18000.0,
        "electrolyte": 22000.0,
        "anode": 26000.0,
        "interphase": 30000.0,
        "other": 34000.0,
        "active": 42000.0,
        "collector": 52000.0,
    }
)
"""Grey value (of 65535) of a phase by its role: the denser, the brighter."""


def grey_scan(
    volume: LabelVolume,
    *,
    seed: int = 0,
    blur: float = 0.8,
    noise: float = 0.06,
    rings: float = 0.02,
    beam_hardening: float = 0.05,
    levels: Mapping[str, float] | None = None,
) -> GreyVolume:
    """The grey scan of a segmented sample.

    Args:
        volume: The sample.
        seed: Of noise and rings; same seed, same bytes.
        blur: Standard deviation of the point spread in voxels.
        noise: Standard deviation of the noise, relative to the distance of void and NMC.
        rings: Amplitude of ring artefacts about the axis of rotation (z, through the middle), relative.
        beam_hardening: How much darker the middle is than the rim, relative.
        levels: Grey value by phase name; by role where not given.

    Returns:
        uint16 values on the same lattice.

    Raises:
        UsageError: A negative amount, or a level outside of 0 … 65535.
    """
    from scipy.ndimage import gaussian_filter

    if min(blur, noise, rings, beam_hardening) < 0:
        raise UsageError("grey_scan: blur, noise, rings and beam_hardening are amounts ≥ 0.")
    grey = np.zeros(volume.shape, dtype=np.float32)
    for phase in volume.phases:
        level = (levels or {}).get(phase.name, GREY_OF_ROLE[phase.role])
        if not 0 <= level <= 65535:
            raise UsageError(f"grey_scan: level {level:g} of {phase.name} is not within 0 … 65535.")
        grey[volume.labels == phase.label] = level
    if blur > 0:
        grey = gaussian_filter(grey, blur, mode="nearest")
    scale = GREY_OF_ROLE["active"] - GREY_OF_ROLE["void"]
    rng = np.random.default_rng([seed, 11])
    from_axis = _distance_from_axis(volume.shape)
    if beam_hardening > 0:
        grey -= beam_hardening * scale * (1 - (from_axis / from_axis.max()) ** 2)[:, :, None]
    if rings > 0:
        profile = gaussian_filter(rng.standard_normal(int(from_axis.max()) + 2), 0.7)
        profile *= rings * scale / max(float(profile.std()), 1e-12)
        grey += profile[np.round(from_axis).astype(int)][:, :, None].astype(np.float32)
    if noise > 0:
        # shot noise: its variance grows with the signal
        strength = noise * scale * np.sqrt(np.clip(grey, 1, None) / GREY_OF_ROLE["active"])
        grey += strength * rng.standard_normal(volume.shape, dtype=np.float32)
    return GreyVolume(np.clip(np.round(grey), 0, 65535).astype(np.uint16), volume.spacing, volume.origin)


def _distance_from_axis(shape: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """(nx, ny) voxels from the axis of rotation."""
    x, y = (np.arange(n) + 0.5 - n / 2 for n in shape[:2])
    distance: npt.NDArray[np.float32] = np.hypot(x[:, None], y[None, :]).astype(np.float32)
    return distance
