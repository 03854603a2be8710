"""Surfaces between phases: extraction, smoothing, and single surfaces for people."""

from __future__ import annotations

from pxm2mesh.surfacing.indicators import indicator_fields
from pxm2mesh.surfacing.marching_cubes import ShellOptions, marching_cubes_surfaces
from pxm2mesh.surfacing.net import extract_surface
from pxm2mesh.surfacing.shells import Shell, shells_of, surface_of_shells
from pxm2mesh.surfacing.smooth import SmoothOptions, smooth
from pxm2mesh.surfacing.warm import warm
from pxm2mesh.surfacing.write import write_shells, write_surfaces

__all__ = [
    "Shell",
    "ShellOptions",
    "SmoothOptions",
    "extract_surface",
    "indicator_fields",
    "marching_cubes_surfaces",
    "shells_of",
    "smooth",
    "surface_of_shells",
    "warm",
    "write_shells",
    "write_surfaces",
]
