"""A writer that is interrupted or killed leaves the file that was there, whole, or none."""

from __future__ import annotations

import hashlib
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh.files import replacing
from pxm2mesh.io.images import read_volume, write_volume
from pxm2mesh.volume import LabelVolume

# one more slab than fits into the time that it is given: every slab is made slowly
WRITE = """
import sys, time, numpy as np
from pxm2mesh.io._source import Source
from pxm2mesh.io.images import write_volume
from pxm2mesh.io.lazy import VolumeOnDisk
from pxm2mesh.phases import PhaseTable

def read(window):
    print("slab", flush=True)
    time.sleep(0.2)
    return np.random.default_rng(0).integers(0, 2, [w.stop - w.start for w in window], dtype=np.uint8)

source = Source("made", (64, 64, 6400), np.dtype(np.uint8), (64, 64, 64), read)
volume = VolumeOnDisk.of(source, np.ones(3), np.zeros(3), PhaseTable({"void": 0, "NMC": 1}))
write_volume(volume, sys.argv[1])
"""


def digest(path: Path) -> str:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()


@pytest.mark.parametrize("suffix", [".zarr", ".h5", ".raw", ".tif"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_half_written_file_is_left(suffix: str, how: signal.Signals, tmp_path: Path) -> None:
    """Catches writing straight to the final place; the next writer clears what a killed one left."""
    path = tmp_path / f"labels{suffix}"
    old = LabelVolume(np.zeros((3, 4, 5), np.uint8), {"void": 0, "NMC": 1}, "1 um")
    write_volume(old, path)
    before = digest(path)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert writer.stdout is not None
    for _ in range(3):
        assert writer.stdout.readline() == "slab\n"
    time.sleep(0.1)
    os.kill(writer.pid, how)
    writer.wait(timeout=60)
    writer.stdout.close()
    assert writer.returncode != 0
    assert digest(path) == before
    assert np.array_equal(read_volume(path).labels, old.labels)
    left = [p.name for p in tmp_path.iterdir() if ".part." in p.name]
    assert bool(left) == (how is signal.SIGKILL)
    write_volume(old, path)
    assert not [p.name for p in tmp_path.iterdir() if ".part." in p.name]
    assert digest(path) == before


def test_a_folder_that_was_being_replaced_comes_back(tmp_path: Path) -> None:
    """Killed between moving the old folder away and putting the new one in its place."""
    volume = LabelVolume(np.zeros((3, 4, 5), np.uint8), {"void": 0, "NMC": 1}, "1 um")
    path = tmp_path / "labels.zarr"
    write_volume(volume, path)
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    path.rename(tmp_path / f".{dead.stdout.strip()}@{platform.node()}.old.part.labels.zarr")
    with pytest.raises(RuntimeError), replacing(path):
        raise RuntimeError("this writer fails")
    assert read_volume(path).digest() == volume.digest()
    assert [p.name for p in tmp_path.iterdir()] == ["labels.zarr"]
