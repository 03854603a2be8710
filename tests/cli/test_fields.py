"""Fields for ParaView: written by one verb, read back by VTK in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pxm2mesh.io.images import write_volume
from pxm2mesh.phantoms import phantom
from pxm2mesh.quantify import crack_network, local_thickness, tortuosity
from pxm2mesh.volume import LabelVolume

from .conftest import Result

Command = Callable[..., Result]

READ = """
import json, sys, numpy, pyvista
found = {}
for path in sys.argv[1:]:
    data = pyvista.read(path)
    found[path.rpartition("/")[2]] = {
        "bounds": list(data.bounds), "cells": data.n_cells, "length": float(data.length),
        "arrays": {n: [float(numpy.nansum(a)), float(a.ravel()[7])] for n, a in data.cell_data.items()},
        "lines": float(data.compute_cell_sizes()["Length"].sum()) if path.endswith("vtp") else 0.0,
    }
print(json.dumps(found, default=str))
"""


def read_elsewhere(folder: Path) -> dict:
    paths = sorted(str(p) for p in folder.iterdir())
    done = subprocess.run([sys.executable, "-c", READ, *paths], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_fields_of_a_cathode_are_read_by_vtk(labels: Path, tmp_path: Path, command: Command) -> None:
    """Catches arrays in the wrong order of axes (value 7 is at x = 7, y = z = 0) and a lattice beside its place."""
    folder = tmp_path / "fields"
    arguments = ("quantify", labels, "--phases", "void=0,NMC=1,LPSCl=2", "--fields", folder)
    only = ("--only", "particles", "--only", "pores", "--only", "tortuosity_factor")
    result = command(*arguments, *only)
    assert result.code == 0, result.err
    found = read_elsewhere(folder)
    assert set(found) == {"particles.vti", "local_thickness.vti", "potential.vti"}
    from pxm2mesh.io.images import read_volume

    volume = read_volume(labels)
    for content in found.values():
        assert content["bounds"] == [0, 6, 0, 6, 0, 6]
        assert content["arrays"]["phase"][0] == volume.labels.sum()
    thickness = local_thickness(volume, "LPSCl")
    told = found["local_thickness.vti"]["arrays"]["local_thickness LPSCl [um]"]
    np.testing.assert_allclose(told, [thickness.sum(dtype=float), thickness[7, 0, 0]], rtol=1e-5)
    potential = tortuosity(volume, "LPSCl", "y", potential=True).potential
    assert potential is not None
    told = found["potential.vti"]["arrays"]["potential LPSCl y [1]"]
    np.testing.assert_allclose(told, [np.nansum(potential), potential[7, 0, 0]], rtol=1e-4)
    assert found["particles.vti"]["arrays"]["particle NMC"][0] == volume.voxel_counts()["NMC"]


def test_cracks_and_gaps_are_written_as_lines_and_maps(tmp_path: Path, command: Command) -> None:
    cracked = phantom("mud-cracks", size=48, width=3, polygon=16)
    opened = cracked.labels.copy()
    opened[:12, :12, 8:11] = np.where(opened[:12, :12, 8:11] == 2, 0, opened[:12, :12, 8:11])
    volume = LabelVolume(opened, cracked.phases, "1 um")
    write_volume(volume, tmp_path / "labels.tif")
    result = command(
        "quantify", tmp_path / "labels.tif", "--phases", "void=0,collector=1,anode=2", "--only", "layers",
        "--fields", tmp_path / "fields",
    )  # fmt: skip
    assert result.code == 0, result.err
    found = read_elsewhere(tmp_path / "fields")
    assert set(found) == {"layers.vti", "cracks-anode.vtp"}
    length = crack_network(volume, "anode").length
    np.testing.assert_allclose(found["cracks-anode.vtp"]["lines"], length, rtol=1e-6)
    assert found["layers.vti"]["arrays"]["gap collector anode [um]"][0] > 100
    assert found["layers.vti"]["bounds"] == [0, 48, 0, 48, 0, 1]


def test_fields_that_a_sample_has_not_are_said(labels: Path, tmp_path: Path, command: Command) -> None:
    result = command(
        "quantify",
        labels,
        "--phases",
        "void=0,NMC=1,LPSCl=2",
        "--only",
        "porosity",
        "--fields",
        tmp_path / "f",
    )
    assert result.code == 3
    assert "fields belong to particles, pores, transport, layers" in result.err
