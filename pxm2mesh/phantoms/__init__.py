"""Synthetic samples with known answers, from a ball to a composite cathode and its scan."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pxm2mesh.errors import UsageError, did_you_mean
from pxm2mesh.phantoms.cathode import STATES, cathode
from pxm2mesh.phantoms.electrode import cell, delaminated, mud_cracks
from pxm2mesh.phantoms.scan import grey_scan
from pxm2mesh.phantoms.shapes import (
    ball,
    checkerboard,
    dead_end,
    layers,
    shell_in_shell,
    touching_balls,
    white_noise,
)
from pxm2mesh.volume import LabelVolume

__all__ = ["PHANTOMS", "STATES", "cathode", "grey_scan", "phantom"]

PHANTOMS: Mapping[str, Callable[..., LabelVolume]] = MappingProxyType(
    {
        "ball": ball,
        "layers": layers,
        "shell-in-shell": shell_in_shell,
        "touching-balls": touching_balls,
        "dead-end": dead_end,
        "checkerboard": checkerboard,
        "white-noise": white_noise,
        "cathode": cathode,
        "cell": cell,
        "delaminated": delaminated,
        "mud-cracks": mud_cracks,
    }
)
"""Every phantom by name; the docstring of each says what is known about it."""


def phantom(name: str, *, size: int = 64, seed: int = 0, **options: Any) -> LabelVolume:
    """Make a synthetic sample.

    Args:
        name: A key of `PHANTOMS`.
        size: Voxels per edge.
        seed: Same name, size, seed and options, same bytes.
        options: Of that phantom, such as ``state="pressed"`` of the cathode.

    Returns:
        The sample.

    Raises:
        UsageError: Unknown name or option, or a value out of range.

    Example:
        >>> phantom("layers", size=8, count=2).voxel_counts()["NMC"]
        256
    """
    if name not in PHANTOMS:
        raise UsageError(f"unknown phantom {name!r};", hint=did_you_mean(name, PHANTOMS))
    if size < 4:
        raise UsageError(f"phantom {name}: size {size} is too small;", hint="use at least 4 voxels per edge.")
    make = PHANTOMS[name]
    known = [key for key in inspect.signature(make).parameters if key not in ("size", "seed")]
    for key in options:
        if key not in known:
            raise UsageError(f"phantom {name} has no option {key!r};", hint=did_you_mean(key, known))
    return make(size=size, seed=seed, **options)
