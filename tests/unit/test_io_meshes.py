"""Mesh files: what is written can be read, by us and by others, with its names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.io._mesh_groups import digest, facet_cells, facet_groups
from pxm2mesh.io._nastran import property_numbers
from pxm2mesh.io.meshes import FORMATS, load_arrays, mesh_record, read_mesh, save_arrays, write_mesh
from pxm2mesh.meshing import MeshOptions, mesh_volume
from pxm2mesh.meshing.quality import summarize
from pxm2mesh.tetmesh import TetMesh
from pxm2mesh.volume import LabelVolume

PAIRS = ["void | NMC", "void | LPSCl", "NMC | LPSCl"]
BOX = ["x-", "x+", "y-", "y+", "z-", "z+"]


@pytest.fixture(scope="module")
def mesh() -> TetMesh:
    x, y, z = np.indices((14, 14, 14)) - 6.5
    labels = np.where(x**2 + y**2 + z**2 < 18, 1, 2).astype(np.uint8)
    labels[z > 3] = 0
    return mesh_volume(LabelVolume(labels, {"void": 0, "NMC": 1, "LPSCl": 2}, "0.5 um"))


@pytest.fixture(scope="module")
def written(mesh: TetMesh, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("meshes")
    for suffix in FORMATS:
        write_mesh(mesh, folder / f"m{suffix}")
    return folder


def elsewhere(code: str, folder: Path) -> Any:
    """What a program in a process of its own prints as JSON (gmsh and VTK stay out of this one)."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout.strip().splitlines()[-1])


def test_a_mesh_comes_back_from_vtu_and_npz_bit_for_bit(mesh: TetMesh, written: Path, tmp_path: Path) -> None:
    assert digest(read_mesh(written / "m.vtu")) == digest(mesh)
    save_arrays(mesh, tmp_path / "m.npz")
    again = load_arrays(tmp_path / "m.npz")
    assert digest(again) == digest(mesh) and again.phases == mesh.phases
    assert dict(again.record) == json.loads(json.dumps(dict(mesh.record)))


def test_fields_and_splits_come_back(mesh: TetMesh, tmp_path: Path) -> None:
    from dataclasses import replace

    rich = replace(mesh, point_fields={"psi [1]": mesh.points[:, 0]}, cell_fields={"T [K] \"x\"": mesh.cell_volumes()},
                   facet_pairs=np.array([[0, 1]], np.int32))  # fmt: skip
    write_mesh(rich, tmp_path / "m.vtu")
    save_arrays(rich, tmp_path / "m.npz")
    for again in (read_mesh(tmp_path / "m.vtu"), read_mesh(tmp_path / "m.npz")):
        assert digest(again) == digest(rich)
        assert np.array_equal(again.cell_fields['T [K] "x"'], mesh.cell_volumes())


def test_the_same_mesh_gives_the_same_bytes(mesh: TetMesh, written: Path, tmp_path: Path) -> None:
    for suffix in (".vtu", ".msh", ".inp", ".exo", ".nas"):
        write_mesh(mesh, tmp_path / f"m{suffix}")
        assert (tmp_path / f"m{suffix}").read_bytes() == (written / f"m{suffix}").read_bytes()
    save_arrays(mesh, tmp_path / "a.npz")
    save_arrays(mesh, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_record_beside_the_mesh_is_its_passport(mesh: TetMesh, written: Path) -> None:
    record = json.loads((written / "m.json").read_text())
    assert [p["name"] for p in record["phases"]] == ["void", "NMC", "LPSCl"]
    assert all(abs(p["relative_error"]) < 2e-4 for p in record["phases"])
    assert [i["pair"] for i in record["interfaces"]] == [p for p in PAIRS if p in mesh.pair_areas()]
    assert {r["fate"] for r in record["regions"]} == {"meshed"}
    assert {
        "cells",
        "vertices",
        "inverted",
        "min_dihedral",
        "p01_dihedral",
        "p05_dihedral",
        "max_dihedral",
        "rr_p05",
    } <= set(record["quality"])
    assert record["digest"] == digest(mesh) and "pxm2mesh" in record["versions"]
    assert {"seconds", "peak_rss_mb", "route", "topology"} <= set(record)


def test_a_mesh_from_elsewhere_gets_the_same_quality_figures(mesh: TetMesh) -> None:
    from dataclasses import replace

    own, others = summarize(mesh), mesh_record(replace(mesh, record={}))["quality"]
    for name, value in others.items():
        assert value == pytest.approx(own[name], abs=2e-3), name


def test_meshio_reads_names_and_tags(mesh: TetMesh, written: Path) -> None:
    import meshio

    vtu = meshio.read(written / "m.vtu")
    assert np.array_equal(vtu.cells_dict["tetra"], mesh.cells)
    assert np.array_equal(vtu.cell_data["region"][0], mesh.cell_region)
    assert vtu.field_data["phase NMC"].tolist() == [1]
    msh = meshio.read(written / "m.msh")
    named = {name for name in msh.field_data}
    assert {"void", "NMC", "LPSCl", *BOX, *mesh.pair_areas()} == named
    tags = np.concatenate(
        [d for c, d in zip(msh.cells, msh.cell_data["gmsh:physical"], strict=True) if c.type == "tetra"]
    )
    assert np.array_equal(np.sort(tags), np.sort(mesh.cell_phase() + 1))
    xdmf = meshio.read(written / "m.xdmf")
    assert np.array_equal(xdmf.cell_data["phase"][0], mesh.cell_phase()) and xdmf.field_data[
        "NMC"
    ].tolist() == [1, 3]
    faces = meshio.read(written / "m_interfaces.xdmf")
    assert np.array_equal(faces.cells_dict["triangle"], mesh.facets)  # in the numbers of the mesh's points
    groups = facet_groups(mesh)
    assert np.array_equal(faces.cell_data["pair"][0], groups.of) and {"NMC | LPSCl", "z+"} <= set(
        faces.field_data
    )
    inp = meshio.read(written / "m.inp")
    assert {"NMC", "LPSCl", "void", "REGION_1"} <= set(inp.cell_sets)
    assert {"NMC--LPSCl", "x-", "z+"} <= set(inp.point_sets)


def test_meshio_reads_nastran_properties(mesh: TetMesh, written: Path) -> None:
    """COMSOL, for which the file is, cannot be tested here; Nastran readers agree on these cards."""
    import meshio

    numbers = property_numbers(mesh, facet_groups(mesh))
    read = meshio.read(written / "m.nas")
    np.testing.assert_allclose(read.points, mesh.points, atol=1e-8)
    tags = {c.type: t for c, t in zip(read.cells, read.cell_data["nastran:ref"], strict=True)}
    assert np.array_equal(np.sort(tags["tetra"]), np.sort(mesh.cell_phase() + 1))
    assert np.array_equal(np.bincount(tags["triangle"])[4:], np.bincount(facet_groups(mesh).of))
    order = np.concatenate([np.flatnonzero(mesh.cell_phase() == p.label) for p in mesh.phases])
    assert np.array_equal(read.cells_dict["tetra"], mesh.cells[order])
    text = (written / "m.nas").read_text()
    assert all(f"$ NAME {number} {name}\n" in text for name, number in numbers.items())
    assert len(set(numbers.values())) == len(numbers)


def test_gmsh_reads_nastran_properties_as_entities(mesh: TetMesh, written: Path) -> None:
    found = elsewhere(
        "import gmsh, json, sys; gmsh.initialize(interruptible=False); gmsh.option.setNumber('General.Terminal', 0);"
        "gmsh.open(sys.argv[1] + '/m.nas'); m = gmsh.model;"
        "print(json.dumps({str(e[1]): len(m.mesh.getElementsByType(4 if e[0] == 3 else 2, e[1])[0])"
        " for d in (2, 3) for e in m.getEntities(d)}))",
        written,
    )
    groups, labels = facet_groups(mesh), mesh.cell_phase()
    expected = {p.name: int(np.sum(labels == p.label)) for p in mesh.phases}
    expected |= {name: int(np.sum(groups.of == i)) for i, name in enumerate(groups.names)}
    assert found == {str(property_numbers(mesh, groups)[name]): count for name, count in expected.items()}


def test_gmsh_reads_physical_groups_and_regions(mesh: TetMesh, written: Path) -> None:
    found = elsewhere(
        "import gmsh, json, sys; gmsh.initialize(interruptible=False); gmsh.option.setNumber('General.Terminal', 0);"
        "gmsh.open(sys.argv[1] + '/m.msh'); m = gmsh.model;"
        "print(json.dumps({'groups': {m.getPhysicalName(d, t): sum(len(m.mesh"
        ".getElementsByType(4 if d == 3 else 2, e)[0]) for e in m.getEntitiesForPhysicalGroup(d, t))"
        " for d, t in m.getPhysicalGroups()},"
        "'regions': [e[1] for e in m.getEntities(3)], 'nodes': len(m.mesh.getNodes()[0])}))",
        written,
    )
    groups = facet_groups(mesh)
    expected = {name: int(np.sum(groups.of == i)) for i, name in enumerate(groups.names)}
    expected |= {p.name: int(np.sum(mesh.cell_phase() == p.label)) for p in mesh.phases}
    assert found["groups"] == expected
    assert found["regions"] == sorted(set(mesh.cell_region.tolist())) and found["nodes"] == len(mesh.points)


def test_pyvista_reads_msh_xdmf_and_nas_with_their_tags(mesh: TetMesh, written: Path) -> None:
    found = elsewhere(
        "import json, sys, numpy as np, pyvista as pv; at = lambda n: sys.argv[1] + '/m' + n;"
        "r = {s: pv.read_meshio(at('.' + s)) for s in ('msh', 'nas')}\n"
        "from vtkmodules.vtkIOXdmf2 import vtkXdmfReader\n"
        "def xdmf(name):\n r = vtkXdmfReader(); r.SetFileName(at(name)); r.Update()\n"
        " return pv.wrap(r.GetOutputDataObject(0))\n"
        "x, f = xdmf('.xdmf'), xdmf('_interfaces.xdmf')\n"
        "tets = {s: m.extract_cells(m.celltypes == 10) for s, m in r.items()};"
        "print(json.dumps({'volume': {s: float(m.compute_cell_sizes()['Volume'].sum()) for s, m in tets.items()},"
        "'msh': np.bincount(tets['msh'].cell_data['gmsh:physical'].astype(int)).tolist(),"
        "'nas': np.bincount(tets['nas'].cell_data['nastran:ref'].astype(int)).tolist(),"
        "'xdmf': np.bincount(x.cell_data['phase'].astype(int)).tolist(),"
        "'pairs': np.bincount(f.cell_data['pair'].astype(int)).tolist()}))",
        written,
    )
    per_label = np.bincount(mesh.cell_phase()).tolist()
    assert found["msh"][1:] == found["nas"][1:] == found["xdmf"] == per_label
    assert found["pairs"] == np.bincount(facet_groups(mesh).of).tolist()
    for volume in found["volume"].values():
        assert volume == pytest.approx(float(mesh.cell_volumes().sum()), rel=1e-7)


def test_pyvista_reads_vtu_and_exodus(mesh: TetMesh, written: Path) -> None:
    found = elsewhere(
        "import json, sys, pyvista as pv; m = pv.read(sys.argv[1] + '/m.vtu');"
        "f = pv.read(sys.argv[1] + '/m_interfaces.vtu');"
        "e = pv.read(sys.argv[1] + '/m.exo'); b, s = e['Element Blocks'], e['Side Sets'];"
        "print(json.dumps({'volume': float(m.compute_cell_sizes()['Volume'].sum()),"
        "'phase': int(m.cell_data['phase'].max()),"
        "'pair': int(f.field_data['pair NMC | LPSCl'][0]), 'faces': f.n_cells,"
        "'label': int(m.field_data['phase LPSCl'][0]),"
        "'blocks': {b.get_block_name(i): b[i].n_cells for i in range(b.n_blocks)},"
        "'sets': [s.get_block_name(i) for i in range(s.n_blocks)]}))",
        written,
    )
    assert found["volume"] == pytest.approx(float(mesh.cell_volumes().sum()), rel=1e-9)
    assert (found["phase"], found["label"], found["faces"]) == (2, 2, len(mesh.facets))
    assert found["pair"] == facet_groups(mesh).names.index("NMC | LPSCl")
    assert found["blocks"] == {p.name: int(np.sum(mesh.cell_phase() == p.label)) for p in mesh.phases}
    assert set(found["sets"]) == set(facet_groups(mesh).names)


def test_facets_find_the_cell_behind_them(mesh: TetMesh) -> None:
    cell, corner = facet_cells(mesh)
    assert np.array_equal(mesh.cell_region[cell], mesh.facet_sides[:, 0])
    rest = [
        [v for k, v in enumerate(c) if k != o] for c, o in zip(mesh.cells[cell].tolist(), corner, strict=True)
    ]
    assert np.array_equal(np.sort(rest, axis=1), np.sort(mesh.facets, axis=1))


def test_abaqus_surfaces_name_the_right_faces(mesh: TetMesh, written: Path) -> None:
    """S1 is the face of the first three corners, S2 1-4-2, S3 2-4-3, S4 3-4-1."""
    text = (written / "m.inp").read_text().split("NAME=S_x-\n")[1].split("*")[0]
    faces = {"S1": (0, 1, 2), "S2": (0, 3, 1), "S3": (1, 3, 2), "S4": (2, 3, 0)}
    order = np.concatenate([np.flatnonzero(mesh.cell_phase() == p.label) for p in mesh.phases])
    assert len(order) == len(mesh.cells)
    for line in text.strip().splitlines():
        number, side = (part.strip() for part in line.split(","))
        corners = mesh.points[mesh.cells[int(number) - 1][list(faces[side])]]
        assert np.all(corners[:, 0] == mesh.lower[0])


def test_excluded_regions_are_told_in_the_record(mesh: TetMesh) -> None:
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[3:] = 1
    made = mesh_volume(LabelVolume(labels, {"void": 0, "NMC": 1}, "1 um"), MeshOptions(exclude=("void",)))
    assert [r["fate"] for r in mesh_record(made)["regions"]] == ["excluded", "meshed"]


def test_bad_files_are_refused_with_their_reason(mesh: TetMesh, written: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'did you mean "\.vtu"'):
        write_mesh(mesh, tmp_path / "m.vtk")
    with pytest.raises(DataError):
        read_mesh(tmp_path / "absent.vtu")
    (tmp_path / "cut.vtu").write_bytes((written / "m.vtu").read_bytes()[:3000])
    with pytest.raises(DataError, match="damaged"):
        read_mesh(tmp_path / "cut.vtu")
    (tmp_path / "other.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match="save_arrays"):
        load_arrays(tmp_path / "other.npz")
    with pytest.raises(UsageError, match="read back"):
        read_mesh(written / "m.msh")
