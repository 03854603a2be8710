"""Checkpoints of any element: on any number of ranks, and on another version of DOLFINx than wrote them."""

from __future__ import annotations

import sys
from pathlib import Path

import basix.ufl
import numpy as np
import pytest
import ufl
from dolfinx import fem

from pxm2mesh.errors import DataError
from simulations.base import compat
from simulations.base.checkpoint import load_checkpoint, save_checkpoint
from simulations.base.domain import Domain
from simulations.shapes import ball

GOLDEN = Path(__file__).parent.parent / "golden" / "checkpoint-dolfinx-0.9.npz"
KEY = "golden"


def field(p: np.ndarray) -> np.ndarray:
    """Another value at every point, and in every component."""
    return np.stack([np.sin(3 * p[0]) + p[1], p[1] * p[2] + p[0], np.exp(p[2]) - p[0] * p[1]])


def functions(domain: Domain, *, filled: bool) -> tuple[dict[str, fem.Function], dict[str, fem.Function]]:
    """By node: degree 1. By cell: degree 2, one value per cell, and quadrature points."""
    mesh = domain.mesh
    cell = mesh.basix_cell()
    spaces = {
        "linear": fem.functionspace(mesh, ("Lagrange", 1)),
        "displacement": fem.functionspace(mesh, ("Lagrange", 2, (3,))),
        "cells": fem.functionspace(mesh, ("DG", 0)),
        "points": fem.functionspace(mesh, basix.ufl.quadrature_element(cell, value_shape=(3,), degree=2)),
    }
    made = {name: fem.Function(space) for name, space in spaces.items()}
    if filled:
        for name, function in made.items():
            if name == "points":
                x = ufl.SpatialCoordinate(mesh)
                value = ufl.as_vector(
                    [ufl.sin(3 * x[0]) + x[1], x[1] * x[2] + x[0], ufl.exp(x[2]) - x[0] * x[1]]
                )
                points = compat.interpolation_points(function.function_space)
                function.interpolate(fem.Expression(value, points))
            else:
                size = function.function_space.dofmap.index_map_bs
                function.interpolate(lambda p, size=size: field(p)[:size] if size > 1 else field(p)[0])
            function.x.scatter_forward()
    return {"linear": made.pop("linear")}, made


def sample() -> Domain:
    return Domain.from_mesh(ball({"A": 1.0, "B": 0.0}, box=(1.4,) * 3, cells=2), cut=["A | B"])


def write(path: Path) -> None:
    """What was written with DOLFINx 0.9 once: ``python tests/simulations/test_checkpoints.py FILE``."""
    domain = sample()
    nodes, cells = functions(domain, filled=True)
    save_checkpoint(path, domain, KEY, nodes, {"time": 1.5}, cells=cells)


def check(path: Path) -> None:
    domain = sample()
    nodes, cells = functions(domain, filled=False)
    wanted_nodes, wanted_cells = functions(domain, filled=True)
    values = load_checkpoint(path, domain, KEY, nodes, cells=cells)
    assert values == {"time": 1.5}
    for name, function in (nodes | cells).items():
        wanted = (wanted_nodes | wanted_cells)[name]
        assert np.allclose(function.x.array, wanted.x.array, rtol=0, atol=1e-13), name


def test_a_checkpoint_of_dolfinx_0_9_is_read_by_the_version_that_runs() -> None:
    """Catches nodes, corners of cells, edges or quadrature points that come in another order: errors of order 1."""
    check(GOLDEN)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_checkpoint_is_read_on_another_number_of_ranks(tmp_path: Path, before: int, after: int) -> None:
    """Catches ghosts that are not filled, and cells in the order of a rank."""
    from test_ranks import mpirun

    path = tmp_path / "state.npz"
    mpirun(before, __file__, "write", str(path))
    mpirun(after, __file__, "check", str(path))


def test_a_damaged_or_foreign_checkpoint_is_told(tmp_path: Path) -> None:
    domain = sample()
    nodes, cells = functions(domain, filled=False)
    assert load_checkpoint(tmp_path / "none.npz", domain, KEY, nodes) is None
    assert load_checkpoint(GOLDEN, domain, "another study", nodes) is None
    (tmp_path / "torn.npz").write_bytes(GOLDEN.read_bytes()[:1000])
    with pytest.raises(DataError, match="is damaged"):
        load_checkpoint(tmp_path / "torn.npz", domain, KEY, nodes, cells=cells)


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](Path(sys.argv[2]))
