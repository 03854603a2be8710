"""Grey values to labels, and labels to better labels."""

from pxm2mesh.segment.particles import separate_particles
from pxm2mesh.segment.repair import RepairOptions, RepairRecord, clean, repair

__all__ = ["RepairOptions", "RepairRecord", "clean", "repair", "separate_particles"]
