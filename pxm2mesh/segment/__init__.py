"""Grey values to labels, and labels to better labels."""

from pxm2mesh.segment.artefacts import flatten_background, normalise_slices, remove_rings
from pxm2mesh.segment.blocks import segment_blocks
from pxm2mesh.segment.chain import (
    Segmentation,
    SegmentOptions,
    segment,
    segment_in_steps,
    threshold_variants,
)
from pxm2mesh.segment.classify import classify
from pxm2mesh.segment.denoise import denoise
from pxm2mesh.segment.level import LevelOptions, Plane, fit_plane, level, rotate
from pxm2mesh.segment.particles import separate_particles
from pxm2mesh.segment.preview import write_preview
from pxm2mesh.segment.repair import RepairOptions, RepairRecord, clean, repair
from pxm2mesh.segment.restore import Restoration, restore

__all__ = [
    "LevelOptions",
    "Plane",
    "RepairOptions",
    "RepairRecord",
    "Restoration",
    "SegmentOptions",
    "Segmentation",
    "classify",
    "clean",
    "denoise",
    "fit_plane",
    "flatten_background",
    "level",
    "normalise_slices",
    "remove_rings",
    "repair",
    "restore",
    "rotate",
    "segment",
    "segment_blocks",
    "segment_in_steps",
    "separate_particles",
    "threshold_variants",
    "write_preview",
]


def warm() -> None:
    """Compile the kernels of this package on a tiny sample."""
    import numpy as np

    from pxm2mesh.volume import GreyVolume, LabelVolume

    labels = np.zeros((6, 6, 6), dtype=np.uint8)
    labels[1:3, 1:3, 1:3] = labels[4:, 4:, 4:] = 1
    tiny = LabelVolume(labels, {"void": 0, "NMC": 1}, "1 um")
    repair(tiny, RepairOptions(bridges=True, contacts=True))
    separate_particles(tiny, "NMC", min_voxels=1)
    restore(GreyVolume(labels * 100.0, "1 um"), labels, blur=0.8, sweeps=1)
