"""A mesh that no rung of the ladder gets through the gate: the error says where its worst cells can be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pxm2mesh import LabelVolume, MeshOptions, mesh_volume
from pxm2mesh.errors import MeshingError
from pxm2mesh.io._vtu import read_vtu
from pxm2mesh.meshing import checks


def test_when_the_last_rung_fails_the_worst_cells_are_drawn_and_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: Any) -> None:
        raise checks.GateError("2 cells are flat or inverted.", np.array([4, 9]))

    monkeypatch.setattr(checks, "check", refuse)
    labels = (np.indices((5, 5, 5))[0] < 2).astype(np.uint8)
    options = MeshOptions(cell_size=1, method="lattice", diagnostics=str(tmp_path / "bad"))
    with pytest.raises(MeshingError, match="no rung of the ladder") as error:
        mesh_volume(LabelVolume(labels, {"void": 0, "NMC": 1}, "1 um"), options)
    assert str(tmp_path / "bad") in error.value.hint
    cells = read_vtu(tmp_path / "bad" / "bad_cells.vtu")
    assert cells["cell_data"]["cell"].tolist() == [4, 9]
    assert {"region", "volume [um3]", "min_dihedral [deg]"} <= set(cells["cell_data"])
    assert (tmp_path / "bad" / "bad_cells.png").read_bytes()[:4] == b"\x89PNG"
