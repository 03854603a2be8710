"""Closed shells of phases and particles, and their files."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh import LabelVolume, PhaseTable, extract_surface, marching_cubes_surfaces, smooth
from pxm2mesh.errors import DataError, GeometryError, UsageError
from pxm2mesh.surfacing import Shell, ShellOptions, shells_of, surface_of_shells, write_surfaces

PHASES = PhaseTable({"void": 0, "NMC": 1, "LPSCl": 2})


def balls() -> LabelVolume:
    """Two balls of NMC, one cut by the box, in LPSCl."""
    x, y, z = np.indices((24, 20, 20)) + 0.5
    labels = np.full(x.shape, 2, np.uint8)
    labels[(x - 6) ** 2 + (y - 10) ** 2 + (z - 10) ** 2 < 16] = 1
    labels[(x - 22) ** 2 + (y - 10) ** 2 + (z - 10) ** 2 < 36] = 1
    return LabelVolume(labels, PHASES, "0.5 um", np.array([10.0, 0.0, -5.0]))  # type: ignore[arg-type]


@pytest.mark.parametrize("smoothing", ["projection", "taubin", "windowed-sinc", "none"])
def test_shells_are_watertight_and_know_their_errors(smoothing: str) -> None:
    (shell,) = marching_cubes_surfaces(balls(), only="NMC", options=ShellOptions(smoothing=smoothing))  # type: ignore[arg-type]
    assert shell.is_watertight() and shell.volume() > 0
    expected = balls().voxel_counts()["NMC"] * 0.125
    assert shell.record["volume_error"] == pytest.approx(shell.volume() / expected - 1, abs=1e-12)
    assert abs(shell.record["volume_error"]) < (2e-4 if smoothing == "projection" else 0.02)
    assert 0 <= shell.record["hausdorff"] < 0.6 and shell.record["watertight"]
    assert np.all(shell.points.min(axis=0) >= [10, 0, -5]) and shell.points[:, 0].max() == pytest.approx(22)


def test_a_body_cut_by_the_box_ends_flat_with_sharp_edges() -> None:
    """Padding by one layer alone rounds the edges, and holding the volume then moves the face by 0.12 voxels."""
    labels = (np.indices((10, 10, 10))[0] < 5).astype(np.uint8)
    (shell,) = marching_cubes_surfaces(LabelVolume(labels, PHASES, np.ones(3)), only="NMC")
    assert shell.volume() == pytest.approx(500, rel=1e-4) and shell.area() == pytest.approx(400, rel=1e-4)
    assert shell.points.max(axis=0) == pytest.approx([5, 10, 10], abs=1e-3)


def test_each_particle_gets_its_own_shell_and_name() -> None:
    shells = marching_cubes_surfaces(balls(), only="NMC", by="particle")
    assert [s.name for s in shells] == [f"NMC-{s.region:04d}" for s in shells] and len(shells) == 2
    assert sum(s.volume() for s in shells) == pytest.approx(balls().voxel_counts()["NMC"] * 0.125, rel=1e-3)


def test_remeshing_and_decimation_say_what_they_cost() -> None:
    if importlib.util.find_spec("pymeshlab") is None:
        pytest.skip("pymeshlab is not installed")
    plain = marching_cubes_surfaces(balls(), only="NMC")[0]
    coarse = marching_cubes_surfaces(balls(), only="NMC", options=ShellOptions(edge=2.0, decimate=0.5))[0]
    assert len(coarse.triangles) < len(plain.triangles) / 3 and coarse.is_watertight()
    assert 0 < coarse.record["hausdorff"] < 0.6 and -0.1 < coarse.record["volume_error"] < 0.02
    assert coarse.record["volume_error"] != plain.record["volume_error"]
    assert (
        "pymeshlab" not in sys.modules
    )  # GPL, and its libraries clash with the solver's: a process of its own


def test_shells_cut_from_the_net_fit_together() -> None:
    surface = smooth(extract_surface(balls()))
    shells = shells_of(surface, only=["NMC", "LPSCl"], by="particle")
    assert all(s.is_watertight() for s in shells) and len(shells) == 3
    box = float(np.prod(surface.upper - surface.lower))
    assert sum(s.volume() for s in shells) == pytest.approx(box, rel=1e-9)


def test_shells_become_a_surface_for_the_mesher() -> None:
    shells = marching_cubes_surfaces(balls(), only="NMC", by="particle")
    surface = surface_of_shells(shells, balls())
    assert surface.open_edges() == 0 and len(surface.region_phase) == 3
    np.testing.assert_allclose(surface.region_volumes()[1:], [s.volume() for s in shells])
    with pytest.raises(GeometryError, match="no shell"):
        surface_of_shells([], balls())
    opened = Shell("NMC", 1, shells[0].points, shells[0].triangles[1:])
    with pytest.raises(GeometryError, match="open"):
        surface_of_shells([opened], balls())


@pytest.mark.parametrize("form", ["stl", "ply", "obj", "vtp"])
def test_files_come_back_as_they_were(form: str, tmp_path: Path) -> None:
    import trimesh

    shell = marching_cubes_surfaces(balls(), only="NMC")[0]
    path = tmp_path / f"{shell.name}.{form}"
    shell.write(path)
    if form == "vtp":
        pyvista = pytest.importorskip("pyvista")
        assert pyvista.read(path).n_cells == len(shell.triangles)
    else:
        back = trimesh.load_mesh(path)
        assert back.volume == pytest.approx(shell.volume(), rel=1e-4) and len(back.faces) == len(
            shell.triangles
        )
    with pytest.raises(UsageError, match="unknown surface format"):
        shell.write(tmp_path / "x.step")


@pytest.mark.parametrize("method", ["nets", "marching-cubes"])
def test_the_verb_writes_interfaces_with_names_and_shells_by_phase(method: str, tmp_path: Path) -> None:
    pyvista = pytest.importorskip("pyvista")
    made, files = write_surfaces(
        balls(), tmp_path / "surface.vtp", method=method, stl=tmp_path / "stl", by="particle", only="NMC"
    )
    assert all(f.exists() for f in files)
    names = sorted(f.name for f in files if f.suffix == ".stl")
    assert len(names) == 2 and all(n.startswith("NMC-") for n in names)
    data = pyvista.read(tmp_path / "surface.vtp")
    assert data.n_cells == len(made.triangles)
    passport = json.loads((tmp_path / "surface.json").read_text())
    found = [passport["interface_names"][i] for i in np.unique(data.cell_data["interface"])]
    assert ("NMC | LPSCl" in found) == (method == "nets") and "box | NMC" in found
    assert passport["open_edges"] == 0
    records = json.loads((tmp_path / "stl" / "shells.json").read_text())
    assert all(abs(r["volume_error"]) < 0.01 for r in records.values())


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean"):
        marching_cubes_surfaces(balls(), only="NCM")
    with pytest.raises(DataError, match="no voxel"):
        marching_cubes_surfaces(balls(), only="void")
    with pytest.raises(DataError, match="no particle"):
        marching_cubes_surfaces(balls(), by="particle", options=ShellOptions(smallest=10**6))
    with pytest.raises(UsageError):
        marching_cubes_surfaces(balls(), by="grain")  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        ShellOptions(smoothing="laplace")  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        ShellOptions(decimate=2)
    with pytest.raises(UsageError):
        ShellOptions(edge="-1 um")
    with pytest.raises(UsageError):
        write_surfaces(balls(), tmp_path / "a.vtp", method="voxels")
    with pytest.raises(UsageError, match="vtp"):
        write_surfaces(balls(), tmp_path / "a.stl")
