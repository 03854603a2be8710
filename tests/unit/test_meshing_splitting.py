"""Split interfaces: a vertex per fan of cells, facets in matching pairs, and an exact way back."""

from __future__ import annotations

import numpy as np
import pytest

from pxm2mesh import LabelVolume, MeshOptions, PhaseTable, TetMesh, mesh_volume
from pxm2mesh.errors import GeometryError, UsageError
from pxm2mesh.meshing.splitting import merge_split, split_interfaces

PHASES = PhaseTable({"A": 0, "B": 1, "C": 2})
ARRAYS = ("points", "cells", "cell_region", "facets", "facet_sides")


def mesh_of(labels: np.ndarray) -> TetMesh:  # type: ignore[type-arg]
    return mesh_volume(
        LabelVolume(labels.astype(np.uint8), PHASES, np.ones(3)), MeshOptions(method="lattice", cell_size=1)
    )


@pytest.fixture(scope="module")
def noise() -> TetMesh:
    return mesh_of(np.random.default_rng(0).integers(0, 3, (5, 5, 5)))


def fans(mesh: TetMesh, vertex: int, cells: list[int], closed: set[frozenset[int]]) -> int:
    """Pieces of the star of a vertex, cut at the closed faces: by walking, one cell after the other."""
    left, count = set(cells), 0
    while left:
        count += 1
        stack = [left.pop()]
        while stack:
            mine = set(mesh.cells[stack.pop()].tolist())
            for other in list(left):
                face = mine & set(mesh.cells[other].tolist())
                if len(face) == 3 and vertex in face and frozenset(face) not in closed:
                    left.remove(other)
                    stack.append(other)
    return count


@pytest.mark.parametrize("pairs", [["A | B"], ["A | B", "B|C"], ["A | B", "B | C", "A | C"]])
def test_every_vertex_is_copied_once_per_fan(noise: TetMesh, pairs: list[str]) -> None:
    split = split_interfaces(noise, pairs)
    closed = {frozenset(f) for p in pairs for f in noise.facets[noise.facets_of(p)].tolist()}
    star: dict[int, list[int]] = {}
    for cell, corners in enumerate(noise.cells.tolist()):
        for vertex in corners:
            star.setdefault(vertex, []).append(cell)
    for vertex, cells in star.items():
        expected = fans(noise, vertex, cells, closed) - fans(noise, vertex, cells, set()) + 1
        where = [noise.cells[c].tolist().index(vertex) for c in cells]
        assert len({int(split.cells[c, i]) for c, i in zip(cells, where, strict=True)}) == expected


def test_facet_pairs_match_in_position_and_orientation_and_hang_on_their_sides(noise: TetMesh) -> None:
    pairs = ["A | B", "B | C", "A | C"]
    split = split_interfaces(noise, pairs)
    one, two = split.facets[split.facet_pairs[:, 0]], split.facets[split.facet_pairs[:, 1]]
    assert np.array_equal(split.points[one], split.points[two])
    assert np.array_equal(
        split.facet_sides[split.facet_pairs[:, 0]], split.facet_sides[split.facet_pairs[:, 1]]
    )
    assert len(one) == sum(len(noise.facets_of(p)) for p in pairs)
    region_of = {}
    for cell, corners in enumerate(split.cells.tolist()):
        for i in range(4):
            region_of[frozenset(corners[:i] + corners[i + 1 :])] = int(split.cell_region[cell])
    low, high = (
        split.facet_sides[split.facet_pairs[:, 0]].min(axis=1),
        split.facet_sides[split.facet_pairs[:, 0]].max(axis=1),
    )
    assert [region_of[frozenset(f)] for f in one.tolist()] == low.tolist()
    assert [region_of[frozenset(f)] for f in two.tolist()] == high.tolist()


def test_volumes_and_areas_do_not_change(noise: TetMesh) -> None:
    split = split_interfaces(noise, ["A | B"])
    assert split.pair_areas() == noise.pair_areas()
    assert np.array_equal(split.region_volumes(), noise.region_volumes())


@pytest.mark.parametrize("pairs", [["A | B"], ["B | C", "A | C"]])
def test_merging_gives_back_the_conforming_mesh_bit_for_bit(noise: TetMesh, pairs: list[str]) -> None:
    back = merge_split(split_interfaces(noise, pairs))
    for name in ARRAYS:
        assert getattr(back, name).tobytes() == getattr(noise, name).tobytes(), name
    assert len(back.facet_pairs) == 0 and merge_split(back) is back


def test_the_rim_of_an_interface_stays_joined() -> None:
    """A and B touch only in the middle of a plane otherwise inside C: one can walk around, so the rim is single."""
    labels = np.full((6, 6, 6), 2)
    labels[2:4, 2:4, 1:3], labels[2:4, 2:4, 3:5] = 0, 1
    mesh = mesh_of(labels)
    split = split_interfaces(mesh, ["A | B"])
    patch = mesh.facets[mesh.facets_of("A | B")]
    outer = np.unique(mesh.facets[mesh.facets_of("A | C")])
    inner = np.setdiff1d(np.unique(patch), outer)
    assert len(inner) >= 1 and len(split.points) - len(mesh.points) == len(inner)


def test_at_a_triple_line_three_split_interfaces_give_three_copies() -> None:
    x, y, _ = np.indices((4, 4, 3))
    mesh = mesh_of(np.where(y < 2, 0, np.where(x < 2, 1, 2)))
    split = split_interfaces(mesh, ["A | B", "A | C", "B | C"])
    on_line = np.intersect1d(mesh.facets[mesh.facets_of("A | B")], mesh.facets[mesh.facets_of("B | C")])
    for vertex in on_line:
        same = np.all(split.points == mesh.points[vertex], axis=1)
        assert same.sum() == 3


def test_fields_follow_their_points(noise: TetMesh) -> None:
    from dataclasses import replace

    mesh = replace(
        noise, point_fields={"x [um]": noise.points[:, 0]}, cell_fields={"v [um3]": noise.cell_volumes()}
    )
    split = split_interfaces(mesh, ["A | B"])
    assert np.array_equal(split.point_fields["x [um]"], split.points[:, 0])
    assert np.array_equal(split.cell_fields["v [um3]"], split.cell_volumes())


def test_what_cannot_be_split_is_refused(noise: TetMesh) -> None:
    split = split_interfaces(noise, ["A | B"])
    with pytest.raises(UsageError, match="split already"):
        split_interfaces(split, ["B | C"])
    with pytest.raises(UsageError, match="interface name"):
        split_interfaces(noise, ["A"])
    with pytest.raises(UsageError, match="unknown phase"):
        split_interfaces(noise, ["A | D"])
    with pytest.raises(GeometryError, match="no interface"):
        split_interfaces(mesh_of(np.zeros((2, 2, 2))), ["A | B"])
    from dataclasses import replace

    moved = split.points.copy()
    moved[-1] += 1e-3
    with pytest.raises(GeometryError, match="moved apart"):
        merge_split(replace(split, points=moved))
