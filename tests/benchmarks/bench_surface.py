"""Time and quality of surfaces: ``python tests/benchmarks/bench_surface.py [SIZE]``."""

from __future__ import annotations

import logging
import os
import resource
import sys
import time

import numpy as np

from pxm2mesh import LabelVolume, PhaseTable, extract_surface, smooth
from pxm2mesh.surfacing import warm

PHASES = PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2})


def sample(size: int, noise: float) -> LabelVolume:
    """Three phases: a thresholded random field, with salt noise."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    field = gaussian_filter(rng.standard_normal((size,) * 3, dtype=np.float32), 4.0)
    labels = np.digitize(field, np.quantile(field, [0.15, 0.5])).astype(np.uint8)
    speckle = rng.random(labels.shape, dtype=np.float32) < noise
    labels[speckle] = rng.integers(0, 3, int(speckle.sum()))
    return LabelVolume(labels, PHASES, np.ones(3))


def main() -> None:
    """Print a table."""
    logging.disable(logging.WARNING)
    warm()
    top = int(sys.argv[1]) if len(sys.argv) > 1 else 128
    print(f"load {os.getloadavg()[0]:.1f}")
    print(
        "size  cell  noise  triangles  extract s  smooth s  worst phase %  worst region %  certificate  peak GB"
    )
    for size in sorted({64, top}):
        for cell in (1, 2):
            for noise in (0.0, 0.02):
                volume = sample(size, noise)
                start = time.perf_counter()
                rough = extract_surface(volume, cell_size=cell)
                middle = time.perf_counter()
                made = smooth(rough)
                end = time.perf_counter()
                facts = made.record["smoothing"]
                phase = 100 * max(abs(e) for e in facts["phase_volume_error"].values())
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
                print(
                    f"{size:4d}  {cell:4d}  {noise:5.2f}  {len(made.triangles):9d}  {middle - start:9.2f}  "
                    f"{end - middle:8.2f}  {phase:13.4f}  {100 * facts['largest_region_error']:14.2f}  "
                    f"{facts['certificate']:11.3f}  {peak:7.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
