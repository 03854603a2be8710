"""The verb ``quantify``: every quantity of a sample, in one list."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pxm2mesh.errors import UsageError, did_you_mean
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.quantify._groups import GROUPS
from pxm2mesh.quantify._sample import Sample
from pxm2mesh.quantify.connectivity import AXES
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.volume import LabelVolume

logger = logging.getLogger(__name__)


def quantify(
    volume: LabelVolume,
    *,
    only: Sequence[str] | None = None,
    directions: Sequence[str] = AXES,
    progress: Progress = SILENT,
) -> Quantities:
    """Measure a segmented sample.

    Args:
        volume: The sample.
        only: Names of quantities (``"porosity"``) or groups (``"areas"``) to restrict to; everything of
            the default groups when None. What is not asked for is not computed.
        directions: Of ``"x"``, ``"y"``, ``"z"``: those to measure directed quantities in.
        progress: Shows one step per group.

    Returns:
        One row per quantity and phase, interface or direction.

    Raises:
        UsageError: Unknown name or direction.

    Example:
        >>> import numpy as np
        >>> labels = np.zeros((8, 8, 8), np.uint8); labels[:, :, 4:] = 1
        >>> volume = LabelVolume(labels, {"void": 0, "NMC": 1}, "1 um")
        >>> quantify(volume, only=["porosity"])["porosity"]
        0.5
    """
    return measure_sample(Sample(volume), only=only, directions=directions, progress=progress)


def measure_sample(
    sample: Sample, *, only: Sequence[str] | None, directions: Sequence[str], progress: Progress
) -> Quantities:
    """`quantify` of a sample that may keep its maps."""
    groups = wanted_groups(only)
    for direction in directions:
        if direction not in AXES:
            raise UsageError(f"unknown direction {direction!r};", hint='use "x", "y" or "z".')
    asked = set(only or ())
    wanted = {n for g in groups for n in GROUPS[g].names if only is None or g in asked or n in asked}
    rows: list[Quantity] = []
    with progress.task("measuring", len(groups)) as task:
        for name in groups:
            logger.info("measuring %s of %r", name, sample.volume)
            found = GROUPS[name].measure(sample, tuple(directions))
            rows.extend(q for q in found if q.name in wanted)
            task.advance(note=name)
    return Quantities(rows)


def quantity_names() -> tuple[str, ...]:
    """Every name that ``only`` of `quantify` understands: groups first, then quantities."""
    return (*GROUPS, *(n for group in GROUPS.values() for n in group.names))


def wanted_groups(only: Sequence[str] | None) -> list[str]:
    """The groups that ``only`` of `quantify` asks for."""
    if only is None:
        return [name for name, group in GROUPS.items() if group.default]
    if isinstance(only, str):
        raise UsageError(f"only={only!r} must be a list of names;", hint=f"write only=[{only!r}].")
    for name in only:
        if name not in quantity_names():
            raise UsageError(f"unknown quantity {name!r};", hint=did_you_mean(name, quantity_names()))
    return [g for g, group in GROUPS.items() if g in only or any(n in only for n in group.names)]
