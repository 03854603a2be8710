"""The mesher on crops of real tomograms: the quick part of ``tests/benchmarks/bench_corpus.py``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from pxm2mesh.meshing import MeshOptions, mesh_volume

CORPUS = Path(__file__).parents[1] / "benchmarks" / "bench_corpus.py"
CASES = {
    "soc_niysz_ptycho_a/labels_roi.tif": 40,
    "liver_labels_cgal/liver_labels.tif": 40,
    "connectomics_a/labels_256.tif": 20,
}


def corpus() -> Any:
    spec = importlib.util.spec_from_file_location("bench_corpus", CORPUS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("case", "size"), list(CASES.items()))
def test_a_crop_of_a_real_tomogram_gives_a_valid_mesh(
    case: str, size: int, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PXM2MESH_REAL_DATA", str(real_data))
    bench = corpus()
    volume, cell_size = bench.load(case, size, 2)
    mesh = mesh_volume(volume, MeshOptions(cell_size=cell_size))
    assert bench.faults(mesh) == []
    assert mesh.record["quality"]["min_dihedral"] >= 12
    assert max(abs(p["relative_error"]) for p in mesh.record["phases"] if p["voxel_volume"]) <= 2e-4
    large = [r for r in mesh.record["regions"] if r["id"] and r["voxels"] > 64]
    assert max(abs(r["relative_error"]) for r in large) <= 0.01
    assert bench.agreement(mesh, volume) > 0.9


def test_the_corpus_sees_a_missing_cell() -> None:
    from dataclasses import replace

    bench = corpus()
    volume, _ = bench.load("edge and corner contacts", 0, 2)
    mesh = mesh_volume(volume)
    assert bench.faults(mesh) == []
    short = replace(mesh, cells=mesh.cells[1:], cell_region=mesh.cell_region[1:])
    assert any("facets" in fault for fault in bench.faults(short))
    assert any("box filled" in fault for fault in bench.faults(short))
