"""Seconds and peak memory of every group of quantities on a generated cathode-like volume of three phases.

python tests/benchmarks/bench_quantify.py [--size 128] [--groups areas pores …]
python tests/benchmarks/bench_quantify.py --disk 1024 [--format zarr]

The second form makes a volume on disk, block by block, and measures it slab by slab; nothing holds it whole.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np


def sample(size: int, seed: int = 0):  # type: ignore[no-untyped-def]
    """Three phases from two Gaussian fields that repeat every 128 voxels (so that 512³ is made in seconds).

    The NMC is parted into particles with ids: 80 Voronoi cells in every tile.
    """
    from scipy.ndimage import gaussian_filter
    from scipy.spatial import cKDTree

    from pxm2mesh import LabelVolume

    rng = np.random.default_rng(seed)
    edge = min(size, 128)
    a, b = (gaussian_filter(rng.normal(size=(edge,) * 3), 3, mode="wrap") for _ in range(2))
    tile = np.where(a > np.quantile(a, 0.55), 1, np.where(b > np.quantile(b, 0.3), 2, 0)).astype(np.uint8)
    repeats = -(-size // edge)
    labels = np.tile(tile, (repeats,) * 3)[:size, :size, :size]
    seeds = cKDTree(rng.uniform(0, edge, (80, 3)))
    cells = np.asarray(seeds.query(np.indices((edge,) * 3).reshape(3, -1).T)[1]).reshape(tile.shape)
    ids = np.zeros(labels.shape, np.int32)
    for number, place in enumerate(np.ndindex((repeats,) * 3)):
        window = tuple(slice(p * edge, min((p + 1) * edge, size)) for p in place)
        part = tuple(slice(w.stop - w.start) for w in window)
        ids[window] = np.where(tile[part] == 1, cells[part] + 1 + 80 * number, 0)
    return LabelVolume(labels, {"void": 0, "NMC": 1, "LPSCl": 2}, "0.4 um", particles=ids)


def on_disk(size: int, form: str, folder: Path) -> dict[str, float]:
    """Write a volume of that size and measure it; the tile's edge divides neither the size nor the slabs."""
    from pxm2mesh.io._source import Source, Window
    from pxm2mesh.io.images import open_volume, write_volume
    from pxm2mesh.io.lazy import VolumeOnDisk
    from pxm2mesh.quantify import quantify, quantify_blocks

    tile = sample(120)

    def read(window: Window) -> np.ndarray:
        places = [np.arange(part.start, part.stop) % 120 for part in window]
        return tile.labels[np.ix_(*places)]

    source = Source("tiles", (size,) * 3, np.dtype(np.uint8), (size, size, 1), read)
    path = folder / f"labels.{form}"
    begin = time.perf_counter()
    write_volume(VolumeOnDisk.of(source, tile.spacing, tile.origin, tile.phases), path)
    row = {"size": size, "write": time.perf_counter() - begin}
    disk = open_volume(path)
    assert disk.phases is not None
    begin = time.perf_counter()
    found = quantify_blocks(disk.values, disk.phases, disk.spacing, axis=disk.slow_axis)
    row["measure"] = time.perf_counter() - begin
    row["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    row["load"] = os.getloadavg()[0]
    for q in found:
        if q.name in ("volume_fraction", "interface_area", "component_count"):
            print(f"  {q.name:<18}{q.subject:<14}{q.value:.8g} {q.unit}")
    if size <= 256:
        volume = disk.load()
        whole = quantify(volume, only=["fractions", "areas", "connected"])
        worst = max(
            abs(a.value - b.value) / max(abs(b.value), 1e-30) for a, b in zip(found, whole, strict=True)
        )
        print(
            f"  against the whole in memory: largest relative difference {worst:.1e} of {len(whole)} numbers"
        )
        assert worst < 1e-9
    return row


def main() -> None:
    """Measure and print a table."""
    from pxm2mesh.quantify import quantify, warm
    from pxm2mesh.quantify._groups import GROUPS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=128)
    geometric = [n for n, g in GROUPS.items() if g.default and n != "transport"]
    parser.add_argument("--groups", nargs="*", default=geometric, help="default: all that are geometry")
    parser.add_argument("--disk", type=int, help="edge of a volume on disk instead")
    parser.add_argument("--format", default="zarr", choices=["zarr", "h5", "raw", "tif"])
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    start = time.perf_counter()
    warm()
    print(f"compiled or loaded kernels in {time.perf_counter() - start:.1f} s")
    if chosen.disk:
        with tempfile.TemporaryDirectory() as folder:
            row = on_disk(chosen.disk, chosen.format, Path(folder))
        print("  ".join(f"{name} {value:.1f}" for name, value in row.items()))
        return
    volume = sample(chosen.size)
    print(repr(volume))
    rows = []
    print(f"{'group':<18}{'s':>8}{'cpu s':>8}{'one core':>10}{'peak MB':>9}{'load':>6}")
    for group in chosen.groups:
        begin, cpu, alone = time.perf_counter(), time.process_time(), time.thread_time()
        quantify(volume, only=[group])
        row = {
            "group": group,
            "size": chosen.size,
            "seconds": time.perf_counter() - begin,
            "cpu": time.process_time() - cpu,
            "alone": time.thread_time() - alone,  # of the first thread, while the others wait
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "load": os.getloadavg()[0],
        }
        rows.append(row)
        print(
            f"{group:<18}{row['seconds']:>8.2f}{row['cpu']:>8.2f}{row['alone']:>10.2f}{row['peak_mb']:>9}{row['load']:>6.1f}",
            flush=True,
        )
    wall, cpu, alone = (sum(r[k] for r in rows) for k in ("seconds", "cpu", "alone"))
    print(f"{'together':<18}{wall:>8.2f}{cpu:>8.2f}{alone:>10.2f}")
    print(f"on two idle cores about {alone + (cpu - alone) / 2:.1f} s")
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
