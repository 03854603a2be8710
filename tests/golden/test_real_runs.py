"""Real tomograms all the way: labels, mesh, conductivity, files that open elsewhere; numbers kept as golden values.

Regenerate after a change that is meant: ``python tests/golden/test_real_runs.py`` with the real tomograms in place.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pxm2mesh.quantities import Quantities

GOLDEN = Path(__file__).with_name("real_runs.json")
STUDY = """
[volume]
file = "{file}"
spacing = "{spacing}"
phases = {phases}
crop = [[0, 0, 0], [100, 100, 100]]
[clean]
min_region = 27
[mesh]
cell_size = 2
[[physics]]
model = "conduction"
phases = ["{phase}"]
[output]
folder = "run"
"""
CASES = {
    "nmc": ("nmc_ct_cbd_nrel/nmc_pore0_am1_cbd2.tif", "398 nm", "{ pore = 0, NMC = 1, CBD = 2 }", "NMC"),
    "ni-ysz": ("soc_niysz_ptycho_a/labels_roi.tif", "18.4 nm", "{ pore = 0, YSZ = 128, Ni = 255 }", "YSZ"),
}
KEPT = {
    "volume_fraction": 1e-12,
    "contact_fraction": 1e-6,
    "effective_conductivity": 1e-3,
    "tortuosity_factor": 1e-3,
}
"""Relative tolerances; conductivities move in the fourth digit from one version of gmsh to another."""
OPEN = """
import sys, pyvista
reader = pyvista.get_reader(sys.argv[1])
mesh = reader.read()[0]
print(mesh.n_cells, ",".join(sorted([*mesh.point_data, *mesh.cell_data])))
"""


def run(case: str, real: Path, folder: Path) -> list[dict[str, Any]]:
    """Run the study of a case; the kept quantities."""
    file, spacing, phases, phase = CASES[case]
    study = folder / "study.toml"
    study.write_text(
        STUDY.format(file=real / file, spacing=spacing, phases=phases, phase=phase), encoding="utf-8"
    )
    command = [sys.executable, "-m", "pxm2mesh.cli", "run", str(study)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = Quantities.read(folder / "run" / "quantities.json")
    return [q.as_dict() for q in found if q.name in KEPT]


@pytest.mark.verify
@pytest.mark.parametrize("case", list(CASES))
def test_a_real_tomogram_runs_to_its_conductivity(case: str, real_data: Path, tmp_path: Path) -> None:
    rows = run(case, real_data, tmp_path)
    wanted = json.loads(GOLDEN.read_text(encoding="utf-8"))[case]
    key = ("name", "phase", "interface", "direction", "method")
    now = {tuple(row.get(k) for k in key): float(row["value"]) for row in rows}
    then = {tuple(row.get(k) for k in key): float(row["value"]) for row in wanted}
    assert now.keys() == then.keys()
    for name, value in then.items():
        assert now[name] == pytest.approx(value, rel=KEPT[str(name[0])]), name
    opened = subprocess.run(
        [sys.executable, "-c", OPEN, str(tmp_path / "run" / "results.pvd")],
        capture_output=True,
        text=True,
        check=True,
    )
    cells, names = opened.stdout.split(maxsplit=1)
    assert int(cells) > 10_000
    assert "potential" in names
    record = json.loads((tmp_path / "run" / "mesh.json").read_text(encoding="utf-8"))
    assert record["quality"]["inverted"] == 0
    assert max(abs(p["relative_error"]) for p in record["phases"]) <= 1e-3


if __name__ == "__main__":
    real = Path(os.environ.get("PXM2MESH_REAL_DATA", "../shared/data/real"))
    golden = {}
    for name in CASES:
        with tempfile.TemporaryDirectory() as temporary:
            golden[name] = run(name, real.resolve(), Path(temporary))
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
