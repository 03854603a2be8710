"""Real tomograms against every number in the README beside each; see real_quantities.json."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tifffile

from pxm2mesh import LabelVolume
from pxm2mesh.quantify import euler_number, interface_areas


def _bench() -> ModuleType:
    """The command that prints these comparisons as a table; it is no package."""
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "bench_references.py"
    spec = importlib.util.spec_from_file_location("bench_references", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCH = _bench()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(c, id=BENCH.name_of(c), marks=[pytest.mark.verify] if c["long"] else [])
        for c in BENCH.cases()
    ],
)
def test_real_tomogram_gives_the_numbers_of_its_readme(case: dict[str, Any], real_data: Path) -> None:
    """Counts exactly, fractions to the last digit given, transport within 0.1 % (0.5 and 1 % are asked for)."""
    rows = list(BENCH.compare(BENCH.load(real_data, case), case))
    assert rows
    for what, reference, ours in rows:
        if isinstance(reference, int):
            assert round(ours) == reference, what
        elif "fraction" in what or "largest piece" in what:
            assert ours == pytest.approx(reference, abs=6e-6), what
        else:
            assert ours == pytest.approx(reference, rel=1e-3), what


def test_berea_grain_surface_and_topology_beside_another_program(real_data: Path) -> None:
    """MorphoLibJ on the 200³ corner: surface 660 562, Euler number −510.5.

    It leaves out the half voxel along the sides that we count (1 % of the surface), and at the sides half of the
    Euler number of what is cut; the number itself lies between ours and that without the cut grains.
    """
    image = tifffile.imread(real_data / "berea_sandstone_a" / "berea_z000-255.tif")[:200, :200, :200]
    volume = LabelVolume(np.ascontiguousarray(image), {"pore": 0, "grain": 255}, "1 um")
    assert volume.voxel_counts()["grain"] == 6430006
    assert interface_areas(volume, method="crofton")["pore | grain"] == pytest.approx(
        660562 * 1.0105, rel=0.005
    )
    assert euler_number(volume, "grain") == -579
    assert euler_number(volume, "grain", sides="left-out") == -442
    assert (-579 - 442) / 2 == -510.5


def test_sandstone_estimators_agree(real_data: Path) -> None:
    """On an isotropic rock the default and Crofton must be within 3 %; voxel faces are half as much again."""
    image = tifffile.imread(real_data / "sandstones_porespy" / "leopard_100.tif")
    volume = LabelVolume(np.ascontiguousarray(image), {"solid": 0, "pore": 1}, "1 um")
    (default,) = interface_areas(volume).values()
    assert interface_areas(volume, method="crofton")["solid | pore"] == pytest.approx(default, rel=0.03)


@pytest.mark.verify
def test_nmc_surface_lies_within_one_percent_of_the_published_crop(real_data: Path) -> None:
    """0.24761 per µm was published for another crop of the same electrode; TauFactor gives 0.2413 on this file."""
    image = tifffile.imread(real_data / "nmc_ct_cbd_nrel" / "nmc_pore0_am1_cbd2.tif")
    volume = LabelVolume((image == 1).astype(np.uint8), {"rest": 0, "NMC": 1}, "0.398 um")
    (area,) = interface_areas(volume).values()
    assert area / (volume.labels.size * volume.voxel_volume) == pytest.approx(0.24761, rel=0.01)
