"""Surfaces between phases: extraction, smoothing, and single surfaces for people."""

from __future__ import annotations

from pxm2mesh.surfacing.indicators import indicator_fields
from pxm2mesh.surfacing.net import extract_surface
from pxm2mesh.surfacing.smooth import SmoothOptions, smooth

__all__ = ["SmoothOptions", "extract_surface", "indicator_fields", "smooth"]
