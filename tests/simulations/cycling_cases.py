"""A particle that can come off its electrolyte while it is charged: what the tests of cycling share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from study_cases import NMC_LPSCL
from test_coupling import HELD

from pxm2mesh.io.meshes import save_arrays
from pxm2mesh.materials import read_material
from simulations.base.domain import Domain
from simulations.models.cell import Cell
from simulations.models.cohesive_laws import CohesiveLaw
from simulations.models.coupling import CoupledHalfCell, StressOptions
from simulations.models.kinetics import ButlerVolmer
from simulations.models.node_transfer import numbered
from simulations.models.supports import plate, symmetry
from simulations.shapes import ball

PAIR = "NMC | LPSCl"


def bonded_particle(
    law: CohesiveLaw | None = None,
    *,
    cells: int = 3,
    initial: float = 0.6,
    pressure: str = "5 MPa",
    **options: Any,
) -> CoupledHalfCell:
    """An eighth of an NMC ball of 2 µm in LPSCl; held together by ``law``, or for ever."""
    materials = {"NMC": read_material("NMC811"), "LPSCl": read_material("LPSCl")}
    nmc = materials["NMC"]
    cell = Cell("NMC", "LPSCl", ButlerVolmer.of(nmc), nmc.require("transport.diffusivity"), 49111.0, 0.18e6,
                0.16e6, collector="x-", separator="z+")  # fmt: skip
    mesh = numbered(ball({"NMC": 2.0, "LPSCl": 0.0}, box=(2.8,) * 3, cells=cells))
    held = HELD if pressure == "5 MPa" else [*symmetry("x-", "y-", "z-", "x+", "y+"), plate("z+", pressure)]
    return CoupledHalfCell(
        Domain.from_mesh(mesh), cell, materials, held, initial, options=StressOptions(**{"degree": 1, **options}),
        bonds={} if law is None else {PAIR: law},
    )  # fmt: skip


def library_law(**options: Any) -> CohesiveLaw:
    """Of NMC in LPSCl, by the library."""
    return CohesiveLaw.of(read_material("NMC811-LPSCl"), **{"viscosity": 10.0, **options})


STUDY = (
    NMC_LPSCL
    + """
[[physics]]
model = "half-cell"
active = "NMC"
electrolyte = "LPSCl"
collector = "x-"
separator = "z+"
initial_voltage = "3.75 V"
protocol = ["1C until 4.17 V", "-1C until 3.75 V"]
cycles = CYCLES
first_step = "60 s"
largest_step = "400 s"
tolerance = 5e-3

[physics.mechanics]
face = "z+"
pressure = "5 MPa"
order = 1
BONDS

[output]
folder = "."
"""
)
BONDS = 'bonds = ["NMC | LPSCl"]\nviscosity = "20 s"\nspent = 0.05'


def study_folder(folder: Path, *, cycles: int = 2, bonds: str = BONDS, mild: bool = False) -> Path:
    """A particle in two cells per radius that is charged and discharged, ready to be solved; ``mild`` opens no gap."""
    folder.mkdir()
    study = STUDY.replace("4.17 V", "4.05 V") if mild else STUDY
    (folder / "study.toml").write_text(study.replace("CYCLES", str(cycles)).replace("BONDS", bonds))
    save_arrays(ball({"NMC": 2.0, "LPSCl": 0.0}, box=(2.8,) * 3, cells=2), folder / "mesh.npz")
    return folder
