"""What the tests of whole studies share: the beginning of a study file, and its tables as numbers."""

from __future__ import annotations

import csv
from pathlib import Path

from pxm2mesh.quantities import Quantities

_STUDY = """
[volume]
file = "labels.tif"
spacing = "1 um"
phases = { %sNMC = 1, LPSCl = 2 }

[materials]
NMC = "NMC811"
LPSCl = "LPSCl"
"""
NMC_LPSCL = _STUDY % ""
WITH_VOID = _STUDY % "void = 0, "


def rows_of(folder: Path, table: str = "scalars.csv") -> list[dict[str, float]]:
    """The rows of a table, all of them numbers."""
    with (folder / table).open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def values_of(folder: Path) -> list[float]:
    """Of all quantities that a solve has left."""
    return [row.value for row in Quantities.read(folder / "quantities-solve.json")]
