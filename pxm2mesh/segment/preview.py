"""A picture of a segmentation: slices before and after, and where the labels lie in the histogram."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from pxm2mesh.errors import DataError
from pxm2mesh.files import replacing
from pxm2mesh.volume import GreyVolume, LabelVolume


def write_preview(
    grey: GreyVolume,
    volume: LabelVolume,
    path: str | os.PathLike[str],
    *,
    thresholds: Sequence[float] = (),
    slices: int = 3,
) -> None:
    """Write a PNG: slices of the scan, the same slices with labels, and the histogram by phase.

    Args:
        grey: The scan, as it came or after the corrections.
        volume: Its segmentation, on the same lattice.
        path: Ends in ``.png`` (or ``.svg``, ``.pdf``).
        thresholds: Grey values to mark in the histogram.
        slices: How many slices along z, evenly spread.

    Raises:
        DataError: Scan and labels have unlike shapes.
    """
    if grey.shape != volume.shape:
        raise DataError(f"the scan has {grey.shape} voxels, its labels {volume.shape}.")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.figure import Figure

    phases = list(volume.phases)
    position = np.searchsorted(volume.phases.labels, volume.labels)
    colours = ListedColormap([p.colour for p in phases])
    norm = BoundaryNorm(np.arange(len(phases) + 1) - 0.5, len(phases))
    low, high = np.percentile(grey.values, [0.5, 99.5])
    levels = np.unique(np.linspace(0, grey.shape[2] - 1, slices + 2).astype(int)[1:-1])
    figure = Figure(figsize=(3.2 * len(levels) + 0.4, 9.2), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(3, len(levels), height_ratios=[1, 1, 0.75])
    extent = (0, grey.shape[0] * grey.spacing[0], 0, grey.shape[1] * grey.spacing[1])
    for column, level in enumerate(levels):
        above = figure.add_subplot(grid[0, column], title=f"slice {level}")
        above.imshow(
            grey.values[:, :, level].T, cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent
        )
        below = figure.add_subplot(grid[1, column], xlabel="x (µm)", ylabel="" if column else "y (µm)")
        below.imshow(
            position[:, :, level].T,
            cmap=colours,
            norm=norm,
            origin="lower",
            extent=extent,
            interpolation="nearest",
        )
        above.tick_params(labelbottom=False, labelleft=not column)
        below.tick_params(labelleft=not column)
    axes = figure.add_subplot(grid[2, :], xlabel="grey value", ylabel="voxels per bin")
    edges = np.linspace(low, high, 129)
    bars = [np.histogram(grey.values[volume.labels == p.label], edges)[0] for p in phases]
    share = volume.voxel_counts()
    names = [f"{p.name} {100 * share[p.name] / volume.labels.size:.1f} %" for p in phases]
    axes.stackplot(
        0.5 * (edges[1:] + edges[:-1]), bars, labels=names, colors=[p.colour for p in phases], step="mid"
    )
    for threshold in thresholds:
        axes.axvline(threshold, color="#c44e52", linewidth=1.2, linestyle="--")
    axes.set_xlim(low, high)
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    with replacing(path) as part:
        figure.savefig(part, dpi=110, metadata={"Software": None} if part.suffix == ".png" else None)
