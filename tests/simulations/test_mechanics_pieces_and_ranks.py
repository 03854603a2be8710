"""Pieces that nothing holds, supports that contradict each other, and the same answers on any number of ranks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from meshes import ball_sector, box

from pxm2mesh.errors import GeometryError, UnitError, UsageError
from pxm2mesh.materials import read_materials
from simulations.base.domain import Domain
from simulations.models.islands import without_islands
from simulations.models.mechanics import Solid
from simulations.models.solid_solver import SolverOptions
from simulations.models.supports import Symmetry, fixed, gap, plate, pressure, symmetry

HERE = Path(__file__).parent
HELD = symmetry("x-", "y-", "z-")
MATERIALS = read_materials({"NMC": "NMC811", "LPSCl": "LPSCl"})


def two_blocks() -> Domain:
    """A block on the floor and one that hangs in the air, touching nothing."""

    def phase(c: np.ndarray) -> np.ndarray:
        low = c[:, 2] < 1.0
        high = (c[:, 2] > 2.0) & np.all(np.abs(c - 1.5) < np.array([0.5, 0.5, 9.0]), axis=1) & (c[:, 2] < 3.0)
        return np.where(low | high, 1, 0)

    mesh = box((6, 6, 8), (3.0, 3.0, 4.0), phase)
    return Domain.from_mesh(mesh, phases=["NMC"])


def test_a_piece_that_floats_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    domain = two_blocks()
    body = without_islands(domain, HELD)
    assert domain.volume() == pytest.approx(10.0)
    assert body.volume() == pytest.approx(9.0)
    assert "10 %" in caplog.text
    assert without_islands(body, HELD) is body


def test_what_is_held_does_not_move_at_all() -> None:
    """Catches mirrors and plates that drift by the tolerance of the linear solver: no residual would bring them back.

    Then ends differ between numbers of ranks: stresses of a whole charge by 3e-4, its voltage by 9e-8.
    """
    domain = Domain.from_mesh(box((4, 4, 4), (3.0, 3.0, 3.0), lambda c: 1 + (c[:, 0] + c[:, 2] > 2.0)))
    loose = SolverOptions(rtol=1e-12, linear_rtol=1e-3)
    body = Solid(domain, MATERIALS, [*HELD, *symmetry("x+", "y+"), plate("z+", 5.0)], degree=1, options=loose)
    body.solve()
    moved = body.displacement.x.array.reshape(-1, 3)
    for axis, faces in enumerate((("x-", "x+"), ("y-", "y+"), ("z-",))):
        assert np.all(moved[domain.dofs_on(body.space, *faces), axis] == 0.0)
    assert np.all(moved[domain.dofs_on(body.space, "z+"), 2] == body.plate_displacement("z+"))
    assert body.plate_displacement("z+") < 0.0


@pytest.mark.parametrize(
    ("supports", "stopped"),
    [(symmetry("x-"), 3), (symmetry("x-", "y-"), 5), ((plate("z+", 1.0),), 2), ((pressure("z+", 1.0),), 0)],
)
def test_a_body_that_nothing_holds_is_refused_with_what_is_free(
    supports: tuple[object, ...], stopped: int
) -> None:
    domain = Domain.from_mesh(box((2, 2, 2)))
    with pytest.raises(GeometryError, match=f"stop {stopped} of the 6"):
        without_islands(domain, supports)  # type: ignore[arg-type]


@pytest.mark.parametrize("supports", [(fixed("z-"),), HELD, (*symmetry("x-", "y-"), gap("z+", 0.0))])
def test_a_body_that_is_held_stays_whole(supports: tuple[object, ...]) -> None:
    domain = Domain.from_mesh(box((2, 2, 2)))
    assert without_islands(domain, supports) is domain  # type: ignore[arg-type]


def test_contradicting_or_unknown_supports_are_refused() -> None:
    domain = Domain.from_mesh(box((2, 2, 2)))
    with pytest.raises(UsageError, match="support each face once"):
        Solid(domain, MATERIALS, [*HELD, *symmetry("z+"), plate("z+", 1.0)])
    with pytest.raises(UsageError, match="no facet"):
        Solid(domain, MATERIALS, [*HELD, pressure("void | NMC", 1.0)])
    with pytest.raises(UsageError, match="not a box face"):
        plate("top", 1.0)
    with pytest.raises(UnitError, match="pressure"):
        plate("z+", "5 um")
    with pytest.raises(UsageError, match="no material"):
        Solid(domain, {}, HELD)
    body = Solid(domain, MATERIALS, [*HELD, plate("z+", 1.0)])
    with pytest.raises(UsageError, match="carries no load"):
        body.solve({"x-": 1.0})
    with pytest.raises(UsageError, match="no plate"):
        body.plate_displacement("x-")
    with pytest.raises(UsageError, match="cannot average"):
        body.average("plastic strain")
    assert isinstance(HELD[0], Symmetry)


def scalars(case: str) -> dict[str, float]:
    """The cases that run on several ranks."""
    from simulations.base.stepping import StepOptions, run_until
    from simulations.models.chemomechanics import ChemoMechanics, CouplingOptions, flux
    from simulations.models.plasticity import plastic_laws
    from simulations.models.solid_solver import SolverOptions

    tight = SolverOptions(rtol=1e-12, linear_rtol=1e-13)
    mesh = box((4, 4, 4), (2.0, 2.0, 2.0), lambda c: np.where(np.all(c < 1.0, axis=1), 1, 2), jitter=0.1)
    domain = Domain.from_mesh(mesh)
    if case == "elastic":
        body = Solid(domain, MATERIALS, [*HELD, plate("z+", 5.0)], options=tight)
        body.solve()
        stress = body.average("von Mises").x
        top = domain.comm.allreduce(float(stress.array.max()), op=_max())
        return {"plate": body.plate_displacement("z+"), "base": body.pressure_on("z-"), "von Mises": top}
    if case == "plastic":
        laws = plastic_laws(MATERIALS)
        body = Solid(domain, MATERIALS, [*HELD, gap("z+")], laws=laws, options=tight)
        for closing in (0.02, 0.05, 0.04):
            body.solve({"z+": closing})
            body.accept()
        flowed = body.average("plastic strain").x
        top = domain.comm.allreduce(float(flowed.array.max()), op=_max())
        return {"pressure": body.pressure_on("z+"), "plastic strain": top}
    problem = ChemoMechanics(
        domain, MATERIALS, [*HELD, plate("z+", 5.0), flux("NMC | LPSCl", -2.0)], initial=0.9,
        options=CouplingOptions(tolerance=1.0, agreement=1e-10, passes=30, solid=tight),
    )  # fmt: skip
    run_until(problem, 60.0, StepOptions(first=30.0, growth=1.0))
    return problem.row()


def _max() -> object:
    from mpi4py import MPI

    return MPI.MAX


def on_ranks(ranks: int, case: str) -> dict[str, float]:
    launcher = shutil.which("mpirun") or shutil.which("mpiexec")
    assert launcher, "no mpirun on the PATH"
    keep, ours = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_MCA_", "PRTE_MCA_"), ("OMPI_", "PMIX_", "PRTE_", "PMI_")
    environment = {k: v for k, v in os.environ.items() if k.startswith(keep) or not k.startswith(ours)}
    environment.update(PYTHONPATH=os.pathsep.join([str(HERE.parent.parent), str(HERE)]), OMP_NUM_THREADS="1")
    done = subprocess.run(
        [launcher, "-n", str(ranks), sys.executable, __file__, case],
        capture_output=True, text=True, env=environment, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return {k: float(v) for k, v in json.loads(done.stdout.strip().splitlines()[-1]).items()}


@pytest.mark.parametrize(
    ("case", "ranks", "tolerance"),
    [
        ("elastic", 2, 1e-10),
        ("plastic", 2, 1e-7),
        ("coupled", 2, 1e-7),
        pytest.param("elastic", 4, 1e-10, marks=pytest.mark.verify),
        pytest.param("plastic", 4, 1e-7, marks=pytest.mark.verify),
        pytest.param("coupled", 4, 1e-7, marks=pytest.mark.verify),
    ],
)
def test_v31_the_mechanics_does_not_depend_on_the_number_of_ranks(
    case: str, ranks: int, tolerance: float
) -> None:
    """V31. Catches reactions that count ghost nodes, history kept for owned cells alone, and projections whose
    unknowns on the edge of a phase are dropped on one of two ranks."""
    assert on_ranks(ranks, case) == pytest.approx(on_ranks(1, case), rel=tolerance)


def test_the_test_meshes_hold_the_volumes_they_stand_for() -> None:
    ball = ball_sector(np.linspace(0, 2, 6))
    assert ball.region_volumes().sum() == pytest.approx(np.pi / 6 * 8, rel=1e-12)
    hollow = ball_sector(np.linspace(1, 2, 4), inner_layers=4)
    assert hollow.region_volumes().sum() == pytest.approx(np.pi / 6 * 7, rel=1e-12)


if __name__ == "__main__":
    result = scalars(sys.argv[1])
    from mpi4py import MPI

    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(result))
