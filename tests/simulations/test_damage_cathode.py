"""A small cathode that comes off: how much contact is left over the strain of the lattice, and over pressure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from study_cases import rows_of

from pxm2mesh.io.meshes import save_arrays
from pxm2mesh.meshing import MeshOptions, mesh_volume
from pxm2mesh.phantoms import cathode
from pxm2mesh.segment import clean
from simulations.studies.run import run

STUDY = """
[volume]
file = "labels.tif"
spacing = "0.6 um"
phases = { void = 0, NMC = 1, LPSCl = 2 }
[mesh]
exclude = ["void"]
[materials]
NMC = "NMC811"
LPSCl = "LPSCl"
[[physics]]
model = "debonding"
bonds = ["NMC | LPSCl"]
initial = 0.9
loads = ["PRESSURE MPa", "x 0.4", "x 0.35", "x 0.3"]
steps = 1
order = 1
limit = 0.5
[output]
folder = "."
"""


@pytest.mark.verify
def test_a_cathode_loses_contact_with_strain_and_less_under_pressure(tmp_path: Path) -> None:
    """The lattice has shrunk by 1.5, 2.0 and 2.4 % of its volume at x = .4, .35, .3.

    Catches a pressure that pulls, and contact that comes back while the particles shrink on.
    """
    made = cathode("pressed", size=12, seed=1, spacing="0.6 um", diameters=(2.0, 5.0))
    mesh = mesh_volume(clean(made, min_region=27), MeshOptions(cell_size=2, exclude=("void",)))
    left = {}
    for pressure in (5, 150):
        folder = tmp_path / str(pressure)
        folder.mkdir()
        save_arrays(mesh, folder / "mesh.npz")
        (folder / "study.toml").write_text(STUDY.replace("PRESSURE", str(pressure)))
        run(folder)
        left[pressure] = [
            row["effective contact fraction NMC | LPSCl [1]"] for row in rows_of(folder, "loads.csv")
        ]
        assert left[pressure][0] == 1 and np.all(np.diff(left[pressure][1:]) < 0)
    assert left[150][-1] > left[5][-1] + 0.02
