"""Domains: names, volumes, cuts, fields in input order, files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from dolfinx import fem
from mpi4py import MPI

from pxm2mesh.errors import DataError, GeometryError, NotConvergedError, UsageError
from pxm2mesh.volume import LabelVolume
from simulations.base import cutting
from simulations.base.domain import Domain, on_root
from simulations.base.fields import gather_cells, gather_nodes
from simulations.base.interfaces import Interface
from simulations.base.output import JsonProgress, ResultSeries, ScalarTable
from simulations.models.conduction import conduct, effective_conductivity
from simulations.shapes import ball, layers, voxels


def random_volume(seed: int = 0, shape: tuple[int, int, int] = (6, 5, 4)) -> LabelVolume:
    labels = np.random.default_rng(seed).integers(0, 3, shape).astype(np.uint8)
    return LabelVolume(labels, {"void": 0, "A": 1, "B": 2}, "0.5, 0.4, 0.3 um")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cut", [(), ("A | B",), ("A | B", "void | A", "void | B")])
def test_volumes_and_areas_are_those_of_the_voxels(seed: int, cut: tuple[str, ...]) -> None:
    volume = random_volume(seed)
    mesh = voxels(volume)
    domain = Domain.from_mesh(mesh, cut=cut)
    for name, count in volume.voxel_counts().items():
        assert domain.volume(name) == pytest.approx(count * volume.voxel_volume, rel=1e-9)
    for name, area in mesh.pair_areas().items():
        assert domain.area(name) == pytest.approx(area, rel=1e-12)
    assert domain.area("x+") == pytest.approx(5 * 0.4 * 4 * 0.3)
    assert domain.box_volume == pytest.approx(domain.volume())


@pytest.mark.parametrize("seed", range(3))
def test_a_fully_cut_mesh_has_the_points_of_its_face_connected_grains(seed: int) -> None:
    """Around each point, cells that hold together through faces share a copy, and no others."""
    volume = random_volume(seed)
    mesh = voxels(volume)
    near = cutting.adjacency(mesh.cells, len(mesh.points))
    region = mesh.cell_region[near.cells]
    broken = cutting.cut(mesh, near, region[:, 0] != region[:, 1])
    pieces = [
        voxels(volume, exclude=[p for p in ("void", "A", "B") if p != name]) for name in ("void", "A", "B")
    ]
    alone = 0
    for piece in pieces:
        around = cutting.adjacency(piece.cells, len(piece.points))
        alone += len(cutting.cut(piece, around, np.zeros(len(around.cells), dtype=bool)).points)
    assert len(broken.points) == alone
    np.testing.assert_array_equal(broken.points[broken.cells], mesh.points[mesh.cells])


def test_a_cut_that_ends_inside_leaves_its_rim_together() -> None:
    labels = np.ones((2, 2, 2), dtype=np.uint8)
    labels[0, 0], labels[1, 0] = 1, 2
    labels[:, 1] = 3
    volume = LabelVolume(labels, {"A": 1, "B": 2, "C": 3}, "1 um")
    whole, cut = (Domain.from_mesh(voxels(volume), cut=c) for c in ((), ("A | B",)))
    assert whole.point_total == 27
    assert cut.point_total == 27 + 3  # the three points of the cut that are not on its rim at y = 1


def test_cut_facets_have_both_sides_at_the_same_place_and_the_lower_label_first() -> None:
    domain = Domain.from_mesh(ball({"P": 0.3, "M": 0.0}, box=(0.5,) * 3, cells=4), cut=["M | P"])
    cuts, x = domain.cuts, domain.mesh.geometry.x
    np.testing.assert_array_equal(x[cuts.points[:, 0]], x[cuts.points[:, 1]])
    assert np.all(domain.cell_tags.values[cuts.cells] == [1, 2])
    assert not np.any(cuts.points[:, 0] == cuts.points[:, 1])
    interface = Interface(domain, fem.functionspace(domain.mesh, ("Lagrange", 1)))
    outward = np.einsum("ij,ij->i", interface.normals, interface.points.mean(axis=1))
    assert np.all(outward > 0) and interface.integral(np.ones_like(interface.weights)) == pytest.approx(
        domain.area("P | M")
    )


def test_a_mesh_that_is_split_already_is_cut_where_it_is_split() -> None:
    whole = layers({"A": 0.5, "B": 0.5}, cells=(2, 2, 2))
    domain = Domain.from_mesh(whole, cut=["A | B"])
    assert domain.parent is not None and domain.nodes is not None
    from simulations.shapes import tet_mesh

    points, cells = whole.points[domain.parent], domain.nodes
    split = tet_mesh(points, cells, whole.cell_region, [0, 1, 2], {"A": 1, "B": 2})
    inner = np.abs(points[split.facets][:, :, 0] - 0.5).max(axis=1) < 1e-12
    sides = split.facet_sides.copy()
    sides[inner] = np.where(sides[inner] == 0, 3 - sides[inner].max(axis=1, keepdims=True), sides[inner])
    order = {r: np.flatnonzero(inner & (split.facet_sides[:, 0] == r)) for r in (1, 2)}
    centre = {r: points[split.facets[f]].mean(axis=1) for r, f in order.items()}
    match = np.argmin(np.linalg.norm(centre[1][:, None] - centre[2][None], axis=2), axis=1)
    import dataclasses

    pairs = np.stack([order[1], order[2][match]], axis=1)
    doubled = dataclasses.replace(split, facet_sides=sides, facet_pairs=pairs)
    found = Domain.from_mesh(doubled)
    assert found.cut_names == ("A | B",) and found.point_total == domain.point_total
    assert found.area("A | B") == pytest.approx(1.0)
    assert Domain.from_mesh(doubled, cut=[]).point_total == len(whole.points)


def test_restricting_keeps_names_towards_what_was_taken_away() -> None:
    domain = Domain.from_mesh(voxels(random_volume(1)))
    part = domain.restricted(phases=["B"])
    assert part.meshed == ("B",) and part.volume() == pytest.approx(domain.volume("B"))
    assert part.area("A | B") == pytest.approx(domain.area("A | B"))
    assert set(part.facet_names) >= {"A | B", "void | B", "x-"}


def test_unknown_names_are_errors_with_a_suggestion() -> None:
    domain = Domain.from_mesh(layers({"NMC": 0.5, "LPSCl": 0.5}, cells=(1, 1, 1)))
    with pytest.raises(UsageError, match='did you mean "NMC"'):
        domain.dx("NCM")
    with pytest.raises(UsageError, match=r"x-.*\?|did you mean"):
        domain.facets("x_")
    with pytest.raises(UsageError, match="not cut at"):
        Interface(domain, fem.functionspace(domain.mesh, ("Lagrange", 1)), ["NMC | LPSCl"])
    with pytest.raises(UsageError, match="no conductivity for phase 'LPSCl'"):
        domain.by_phase({"NMC": 1.0}, name="conductivity")
    with pytest.raises(GeometryError, match="no cell is left"):
        domain.restricted(keep=np.zeros(domain.cell_total, dtype=bool))
    with pytest.raises(UsageError, match="one side does not conduct"):
        effective_conductivity(domain, ["NMC"], contact_conductance={"NMC | LPSCl": 1.0})
    with pytest.raises(UsageError, match="no positive conductivity"):
        effective_conductivity(domain, ["NMC"], conductivity={"NMC": float("nan")})


def test_a_solve_that_stops_short_says_why() -> None:
    domain = Domain.from_mesh(ball({"P": 0.3, "M": 0.0}, box=(0.5,) * 3, cells=4))
    with pytest.raises(
        NotConvergedError, match=r"potential \(\d+ unknowns\) failed after 2 iterations"
    ) as caught:
        conduct(domain, {"P": 1e3, "M": 1.0}, {"x-": 0.0, "x+": 1.0}, max_iterations=2)
    assert caught.value.reason == "diverged max it" and caught.value.iterations == 2
    with pytest.raises(NotConvergedError):
        conduct(domain, {"P": float("nan"), "M": 1.0}, {"x-": 0.0, "x+": 1.0})


def test_an_error_of_rank_0_is_raised_everywhere() -> None:
    def fail() -> None:
        raise DataError("bad.", hint="do better.")

    with pytest.raises(DataError, match=r"bad\. do better\."):
        on_root(MPI.COMM_WORLD, fail)


def test_gathered_values_are_in_the_order_of_the_input() -> None:
    domain = Domain.from_mesh(ball({"P": 0.3, "M": 0.0}, box=(0.5,) * 3, cells=4), cut=["P | M"])
    assert domain.source is not None and domain.parent is not None
    for degree in (1, 2):
        function = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", degree, (3,))))
        function.interpolate(lambda x: x)
        np.testing.assert_allclose(
            gather_nodes(domain, function), domain.source.points[domain.parent], atol=1e-14
        )
    phases = gather_cells(domain, domain.by_phase({"P": 1.0, "M": 2.0}))
    np.testing.assert_array_equal(phases, domain.source.cell_phase())


def test_a_series_goes_on_where_it_was(tmp_path: Path) -> None:
    domain = Domain.from_mesh(layers({"A": 1.0}, cells=(1, 1, 1)))
    function = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", 1)))
    series = ResultSeries(tmp_path / "results.pvd", domain)
    for time in (0.0, 1.0, 2.0):
        series.write(time, {"c [mol/m3]": function})
    again = ResultSeries(tmp_path / "results.pvd", domain, keep_until=1.0)
    again.write(1.5, {"c [mol/m3]": function})
    text = (tmp_path / "results.pvd").read_text()
    assert [line.split('"')[1] for line in text.splitlines() if "timestep" in line] == ["0.0", "1.0", "1.5"]
    first = (tmp_path / "results" / "results_000000.vtu").read_bytes()
    assert b'Name="c [mol/m3]"' in first and b'NumberOfCells="6"' in first and b"1=A" not in first


def test_a_series_has_one_state_of_each_time(tmp_path: Path) -> None:
    """Two of one time are read as one mesh of both: that of the end of a step and that of the end of a protocol."""
    domain = Domain.from_mesh(layers({"A": 1.0}, cells=(1, 1, 1)))
    function = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", 1)))
    series = ResultSeries(tmp_path / "results.pvd", domain)
    for time in (0.0, 300.0, 300.0):
        series.write(time, {"c [mol/m3]": function})
    assert (tmp_path / "results.pvd").read_text().count('timestep="300.0"') == 1
    assert len(list((tmp_path / "results").iterdir())) == 2


def test_a_table_goes_on_after_the_rows_of_the_checkpoint(tmp_path: Path) -> None:
    domain = Domain.from_mesh(layers({"A": 1.0}, cells=(1, 1, 1)))
    path = tmp_path / "scalars.csv"
    table = ScalarTable(path, ["step", "time [s]"], domain)
    for step in range(4):
        table.append({"step": step, "time [s]": 0.1 * step})
    ScalarTable(path, ["step", "time [s]"], domain, keep_rows=2).append({"step": 2, "time [s]": 0.25})
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["time [s]"] for row in rows] == ["0.0", "0.1", "0.25"]
    with pytest.raises(DataError, match="does not have the 9 rows"):
        ScalarTable(path, ["step", "time [s]"], domain, keep_rows=9)


def test_progress_lines_are_shares_of_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    whole = JsonProgress(sys.stdout, interval=0.0)
    with whole.part(0.5, 1.0).task("second half", total=2) as task:
        task.advance(note="one")
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said == [
        {"progress": 0.5, "note": "second half"},
        {"progress": 0.75, "note": "second half: one"},
    ]
