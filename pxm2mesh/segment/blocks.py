"""Scans larger than memory: filters and given thresholds, block by block."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError
from pxm2mesh.io.lazy import VolumeOnDisk
from pxm2mesh.phases import PhaseTable
from pxm2mesh.segment.chain import SegmentOptions
from pxm2mesh.segment.denoise import DenoiseMethod, denoise
from pxm2mesh.volume import GreyVolume


def segment_blocks(scan: VolumeOnDisk, phases: PhaseTable, options: SegmentOptions) -> VolumeOnDisk:
    """Labels of a scan that need not fit into memory; made where they are read, so that writing them is the work.

    Every step that looks at no more than the surroundings of a voxel: binning, the median and the Gaussian filter,
    thresholds. What looks at the whole scan (rings, beam hardening, watershed, restoration) wants it in memory;
    thresholds can be found on a part of the scan.

    Args:
        scan: Grey values on disk.
        phases: The phase table.
        options: With ``thresholds``, ``method="threshold"`` and nothing that wants the whole scan.

    Returns:
        The labels, the same to the byte as `segment` gives in memory.

    Raises:
        UsageError: A step that cannot be taken in blocks, or the wrong number of thresholds.

    Example:
        >>> from pxm2mesh.io.images import open_volume, write_volume
        >>> from pxm2mesh.segment import SegmentOptions
        >>> options = SegmentOptions(method="threshold", thresholds=(15000,), rings=False, background=None)
        >>> table = PhaseTable({"void": 0, "NMC": 1})
        >>> labels = segment_blocks(open_volume("scan.zarr"), table, options)  # doctest: +SKIP
        >>> write_volume(labels, "labels.zarr")  # doctest: +SKIP
    """
    order = options.order or phases.names
    _refuse_what_wants_the_whole(options, len(order))
    assert options.thresholds is not None
    scan = scan.binned(options.bin)
    values: Any = scan.values
    table = np.array([phases[name].label for name in order])
    dtype = np.uint8 if table.max() < 256 else np.uint16 if table.max() < 65536 else np.uint32
    work = partial(
        _labels, options.denoise, options.strength, np.array(options.thresholds), table.astype(dtype)
    )
    labels = values.map_overlap(
        work, depth=_reach(options), boundary="nearest", dtype=dtype, meta=np.empty((0, 0, 0), dtype)
    )
    return replace(scan, values=labels, phases=phases)


def _labels(
    method: DenoiseMethod | None,
    strength: float,
    thresholds: npt.NDArray[np.float64],
    table: npt.NDArray[np.unsignedinteger],
    values: npt.NDArray[Any],
) -> npt.NDArray[np.unsignedinteger]:
    """Labels of one block with its surroundings."""
    smooth = values.astype(np.float32)
    if method is not None:
        # its noise level plays no part in these two filters
        smooth = denoise(GreyVolume(smooth, np.ones(3)), method, strength=strength, noise=0.0).values
    return np.asarray(table[np.digitize(smooth, thresholds)])


def _reach(options: SegmentOptions) -> int:
    """Voxels around a block that its filter looks at."""
    if options.denoise is None:
        return 0
    if options.denoise == "median":
        return 1 if options.strength <= 1.5 else 2
    return int(4 * options.strength + 0.5)  # where scipy cuts a Gaussian off


def _refuse_what_wants_the_whole(options: SegmentOptions, phases: int) -> None:
    wrong = {
        "method": options.method != "threshold",
        "denoise": options.denoise not in (None, "median", "gaussian"),
        "background": options.background is not None,
        "rings": options.rings,
        "normalise_slices": options.normalise_slices,
        "bands": bool(options.bands),
        "shift": options.shift != 0,
        "min_region": options.min_region is not None,
    }
    named = [name for name, is_wrong in wrong.items() if is_wrong]
    if named:
        raise UsageError(
            f"in blocks, {', '.join(named)} cannot be as {'it is' if len(named) == 1 else 'they are'};",
            hint='only method "threshold", denoise "median", "gaussian" or off, and bin work block by block.',
        )
    if options.thresholds is None or len(options.thresholds) != phases - 1:
        given = 0 if options.thresholds is None else len(options.thresholds)
        raise UsageError(
            f"{given} thresholds do not part {phases} phases;",
            hint=f"give {phases - 1}; segmenting a crop of the scan finds them.",
        )
