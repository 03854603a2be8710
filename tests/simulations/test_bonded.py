"""A split interface that is perfectly bonded: the same answers as if it had never been split, on 1 and 2 ranks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import ufl
from mpi4py import MPI
from scipy.ndimage import gaussian_filter

from pxm2mesh.materials import read_materials
from pxm2mesh.meshing.splitting import split_interfaces
from pxm2mesh.tetmesh import TetMesh
from pxm2mesh.volume import LabelVolume
from simulations.base.domain import Domain
from simulations.models.conduction import conduct, effective_conductivity
from simulations.models.mechanics import Solid
from simulations.models.supports import plate, symmetry
from simulations.shapes import voxels

EVERY = ["A | B", "B | C", "A | C"]


def sample() -> TetMesh:
    """Three phases with triple lines, all of them reaching through."""
    smooth = gaussian_filter(np.random.default_rng(3).standard_normal((9, 8, 7)), 1.0)
    labels = 1 + (smooth > -0.08).astype(np.uint8) + (smooth > 0.08)
    return voxels(LabelVolume(labels, {"A": 1, "B": 2, "C": 3}, "0.5 um"))


def conduction(domain: Domain) -> dict[str, float]:
    sigma = {"A": 1.0, "B": 7.0, "C": 30.0}
    found = effective_conductivity(domain, list("ABC"), conductivity=sigma, directions=["x"], tolerance=1e-13)
    field = conduct(domain, sigma, {"z-": 0.0, "z+": 1.0}, order=2, tolerance=1e-13)
    return {
        "conductivity": found.quantities.value("effective_conductivity", direction="x"),
        "energy": field.energy,
        "current": field.currents["z+"],
    }


def elasticity(domain: Domain) -> dict[str, float]:
    materials = read_materials({"A": "LPSCl", "B": "NMC811", "C": "LPSCl"})
    body = Solid(domain, materials, [*symmetry("x-", "y-", "z-"), plate("z+", "50 MPa")], degree=1)
    body.solve()
    size = domain.integrate(ufl.inner(body.displacement, body.displacement) * domain.dx("B"))
    return {"plate": body.plate_displacement("z+"), "size": size, "reaction": float(body.reaction("z-")[2])}


def answers(which: str) -> dict[str, float]:
    mesh = sample() if MPI.COMM_WORLD.rank == 0 else None
    split = split_interfaces(mesh, EVERY) if mesh else None
    if which == "whole":
        domain = Domain.from_mesh(mesh)
    elif which == "bonded":
        domain = Domain.from_mesh(split, bonded=EVERY)
        assert domain.cut_names == ()
    elif which == "open":
        domain = Domain.from_mesh(split)
        assert set(domain.cut_names) == set(EVERY)
        return {"nodes": float(domain.point_total)}
    elif which == "half bonded":
        domain = Domain.from_mesh(split, bonded=["C|B", "A | C"])
        return {"volume": domain.volume(), "area": domain.area("A | B"), "nodes": float(domain.point_total)}
    else:
        domain = Domain.from_mesh(mesh, cut=["A | B"])
        return {"volume": domain.volume(), "area": domain.area("A | B"), "nodes": float(domain.point_total)}
    return {"nodes": float(domain.point_total)} | conduction(domain) | elasticity(domain)


def test_a_bonded_split_gives_what_the_unsplit_mesh_gives_to_1e_8() -> None:
    """Catches a tie that forgets the copies at triple lines, and a spring in place of a tie."""
    whole, bonded = answers("whole"), answers("bonded")
    assert bonded == pytest.approx(whole, rel=1e-8)
    assert answers("open")["nodes"] > whole["nodes"]


def test_interfaces_are_bonded_one_by_one() -> None:
    """Of three split interfaces two are bonded: the third is cut as if it were the only one."""
    assert answers("half bonded") == pytest.approx(answers("half cut"), rel=1e-12)


def test_bonded_splits_on_two_ranks() -> None:
    """Catches copies that are tied on the rank that owns them only."""
    from test_ranks import mpirun

    said = {which: json.loads(mpirun(2, str(Path(__file__)), which).strip().splitlines()[-1])
            for which in ("whole", "bonded")}  # fmt: skip
    assert said["bonded"] == pytest.approx(said["whole"], rel=1e-8)
    assert said["bonded"] == pytest.approx(answers("whole"), rel=1e-8)


if __name__ == "__main__":
    result = answers(sys.argv[1])
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(result))
