"""Our XDMF files, read by DOLFINx itself: cells, facets, and the numbers of phases and interfaces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from dolfinx import io
from mpi4py import MPI

from pxm2mesh.io._mesh_groups import facet_groups
from pxm2mesh.io.meshes import save_arrays
from pxm2mesh.volume import LabelVolume
from simulations.shapes import voxels


def test_dolfinx_reads_cells_phases_facets_and_interfaces(tmp_path: Path) -> None:
    """Catches facets in numbers of their own, of which DOLFINx would find a few by chance."""
    labels = np.random.default_rng(1).integers(0, 3, (5, 4, 4)).astype(np.uint8)
    mesh = voxels(LabelVolume(labels, {"void": 0, "A": 1, "B": 2}, "0.5 um"))
    save_arrays(mesh, tmp_path / "m.npz")  # h5py stays out of the process that runs DOLFINx
    code = (
        "from pxm2mesh.io.meshes import load_arrays as load, write_mesh; write_mesh(load('m.npz'), 'm.xdmf')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    with io.XDMFFile(MPI.COMM_SELF, str(tmp_path / "m.xdmf"), "r") as file:
        read = file.read_mesh(name="mesh")
        phase = file.read_meshtags(read, name="mesh")
    read.topology.create_connectivity(2, 3)
    with io.XDMFFile(MPI.COMM_SELF, str(tmp_path / "m_interfaces.xdmf"), "r") as file:
        pair = file.read_meshtags(read, name="interfaces")
    assert read.topology.index_map(3).size_local == len(mesh.cells)
    assert np.array_equal(np.bincount(phase.values), np.bincount(mesh.cell_phase()))
    assert np.array_equal(np.bincount(pair.values), np.bincount(facet_groups(mesh).of))
