"""Compiles the loops of this package once, on a tiny input, so that no user waits for it later."""

from __future__ import annotations

import numpy as np

from pxm2mesh.phases import PhaseTable
from pxm2mesh.surfacing import refine_kernels
from pxm2mesh.surfacing.indicators import find_bodies, group_bodies, indicator_fields
from pxm2mesh.surfacing.net import extract_surface
from pxm2mesh.surfacing.smooth import SmoothOptions, smooth
from pxm2mesh.volume import LabelVolume


def warm() -> None:
    """Compile everything, for few bodies (uint8 ids) and for many (uint32)."""
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[2:4, 2:4, 2:4] = 1
    labels[:, 5, 5] = 2
    labels[4, :, 1] = 1
    phases = PhaseTable({"a": 0, "b": 1, "c": 2})
    volume = LabelVolume(labels, phases, np.ones(3))
    for size in (1, 2):
        smooth(extract_surface(volume, cell_size=size), SmoothOptions(sweeps=2))
    fields = indicator_fields(volume)
    best, _ = refine_kernels.refine_labels(fields.values, np.zeros(len(fields.values)), 2, 2, 2, 0.2)
    particles = np.arange(1, 344, dtype=np.int32).reshape(7, 7, 7)
    many = LabelVolume(np.ones((7, 7, 7), np.uint8), phases, np.ones(3), particles=particles)
    extract_surface(many, cell_size=2)
    ids, _, _ = find_bodies(volume)
    for kind in (np.uint8, np.uint32):
        refine_kernels.nearest_body(ids.astype(kind), group_bodies(ids, 3), best, 2, 2, 2)
