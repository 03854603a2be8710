"""A particle cut out of the result of an electrode: displaced as there, no stress where there was none, cracks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from dolfinx import fem
from study_cases import NMC_LPSCL, rows_of
from test_ranks import mpirun

from pxm2mesh.errors import GeometryError, StudyError
from pxm2mesh.io.meshes import load_arrays, save_arrays
from pxm2mesh.materials import read_material
from pxm2mesh.quantities import Quantities
from simulations.base.domain import Domain
from simulations.base.output import ResultSeries
from simulations.models.mechanics import Solid
from simulations.models.node_transfer import numbered
from simulations.models.solid_solver import SolverOptions
from simulations.models.supports import plate, symmetry
from simulations.shapes import ball
from simulations.studies.charge_output import SolidFields
from simulations.studies.fracture import CrackRun
from simulations.studies.mechanics import unstrained_at
from simulations.studies.run import run

Floats = npt.NDArray[np.float64]
INITIAL = 0.9
STUDY = (
    NMC_LPSCL
    + """
[[physics]]
model = "half-cell"
active = "NMC"
electrolyte = "LPSCl"
initial = 0.9
protocol = ["1C until 4.2 V"]
[physics.mechanics]
order = 1

[[physics]]
model = "cracking"
phase = "NMC"
length = "LENGTH um"
cells_per_length = 1
steps = 2
write_every = 1
[physics.submodel]
SUBMODEL

[output]
folder = "."
"""
)
MIRRORS = ("x-", "y-", "z-", "x+", "y+")
ONLY_CRACKING = """
from pathlib import Path
from types import SimpleNamespace
from pxm2mesh.quantities import Quantities
from simulations.studies import run
run.MODELS["half-cell"] = lambda task: SimpleNamespace(quantities=Quantities(), facts={{}})
run.run(Path("{folder}"))
"""


def swelling(x: float) -> float:
    """Linear strain of free NMC811 since the initial state."""
    material = read_material("NMC811")
    strain = material.require("swelling.volume_strain")
    return float(strain(x) - strain(INITIAL)) / 3


def electrode(folder: Path, *, length: float = 1.0, submodel: str = "particle = 1", cells: int = 3) -> Path:
    """A folder with the study of a half-cell and its submodel, and a mesh: an eighth of a ball of 2 µm in LPSCl."""
    folder.mkdir()
    text = STUDY.replace("LENGTH", str(length)).replace("SUBMODEL", submodel)
    (folder / "study.toml").write_text(text)
    save_arrays(ball({"NMC": 2.0, "LPSCl": 0.0}, box=(2.8,) * 3, cells=cells), folder / "mesh.npz")
    return folder


def whole_of(folder: Path) -> Domain:
    return Domain.from_mesh(numbered(load_arrays(folder / "mesh.npz")), cut=["NMC | LPSCl"])


def stated(
    folder: Path, displaced: Callable[[Floats, float], Floats], lithium: Callable[[Floats, float], Floats]
) -> None:
    """Write a result of three states from formulas of place and time."""
    domain = whole_of(folder)
    assert domain.source is not None and domain.parent is not None
    points = domain.source.points[domain.parent]
    series = ResultSeries(folder / "results.pvd", domain)
    for time in (0.0, 50.0, 100.0):
        nodes = {"displacement [um]": displaced(points, time), "lithiation [1]": lithium(points, time)}
        stress = np.full(len(domain.cell_index), time)
        series.write(time, nodes, {"largest principal stress [MPa]": stress})


def solved(folder: Path, lithium: Callable[[Floats, float], Floats]) -> float:
    """Write a result of two states with the balanced displacement of degree 1; the largest displacement."""
    domain = whole_of(folder)
    body = domain.restricted(cut=())
    x = fem.Function(fem.functionspace(body.mesh, ("Lagrange", 1)))
    materials = {
        p: unstrained_at(read_material(m), INITIAL) for p, m in (("NMC", "NMC811"), ("LPSCl", "LPSCl"))
    }
    supports = [*symmetry(*MIRRORS), plate("z+", "5 MPa")]
    solid = Solid(body, materials, supports, x=x, degree=1, options=SolverOptions(rtol=1e-13))
    solid.solve_directly(True)
    assert domain.source is not None and domain.parent is not None
    fields, series = SolidFields(solid, domain), ResultSeries(folder / "results.pvd", domain)
    for time in (0.0, 100.0):
        x.interpolate(lambda p, time=time: lithium(p.T, time))
        solid.solve()
        nodes = {**fields.nodes(), "lithiation [1]": lithium(domain.source.points[domain.parent], time)}
        series.write(time, nodes, fields.cells())
    return float(np.abs(solid.displacement.x.array).max())


def uneven(points: Floats, time: float) -> Floats:
    return np.asarray(INITIAL - 0.08 * time / 100 * (1 + 0.2 * (points**2).sum(axis=-1)))


def only_cracking(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Quantities:
    """Solve the second entry of the study alone."""
    from simulations.studies import run as module

    monkeypatch.setitem(
        module.MODELS, "half-cell", lambda task: SimpleNamespace(quantities=Quantities(), facts={})
    )
    return run(folder)


@pytest.mark.parametrize("refine", [0, 1])
def test_a_whole_submodel_is_displaced_as_the_electrode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refine: int
) -> None:
    """On the same mesh to 1e-10; a finer one finds a better balance inside, within a few per cent.

    Catches strain counted from another state, a plate or mirror that clamps, moduli or lithium that are not those
    of the electrode, and swelling that is integrated by another rule than there (1.6e-7).
    """
    folder = electrode(tmp_path / "cell", submodel=f"particle = 1\nrefine = {refine}")
    largest = solved(folder, uneven)
    only_cracking(folder, monkeypatch)
    last = rows_of(folder, "scalars-2.csv")[-1]
    assert last["time [s]"] == 100 and last["largest damage [1]"] == 0
    deviation = last["largest deviation of displacement [um]"] / largest
    assert deviation < (1e-10 if refine == 0 else 0.05)
    assert last["energy set free [pJ]"] == pytest.approx(0, abs=1e-3 * last["elastic energy [pJ]"])


def test_a_particle_that_swells_evenly_is_free_of_stress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linear displacements are exact on the refined mesh. Catches strain between states that lags behind lithium."""
    folder = electrode(tmp_path / "cell", length=0.5)
    end = 0.7
    stated(
        folder,
        lambda p, t: swelling(INITIAL + t / 100 * (end - INITIAL)) * p,
        lambda p, t: np.full(len(p), INITIAL + t / 100 * (end - INITIAL)),
    )
    only_cracking(folder, monkeypatch)
    rows = rows_of(folder, "scalars-2.csv")
    assert [row["time [s]"] for row in rows] == [0, 50, 100]
    assert rows[-1]["mean lithiation [1]"] == pytest.approx(end, rel=1e-12)
    stretched = 140e3 * swelling(end) ** 2 * 4.2  # pJ, were it held where it was
    assert max(row["elastic energy [pJ]"] for row in rows) < 1e-12 * stretched
    assert max(row["largest deviation of displacement [um]"] for row in rows) < 1e-12


def torn(folder: Path) -> Path:
    """A particle that its surroundings pull apart along x."""
    electrode(folder, submodel='particle = "most stressed"')
    stated(folder, lambda p, t: p * np.array([0.006 * t / 100, 0, 0]), lambda p, t: np.full(len(p), INITIAL))
    return folder


def assert_same(wanted: list[dict[str, float]], found: list[dict[str, float]], tolerance: float) -> None:
    for one, two in zip(wanted, found, strict=True):
        for name in set(one) - {"wall time [s]", "alternations"}:
            assert two[name] == pytest.approx(one[name], rel=tolerance, abs=tolerance), name


def test_a_torn_particle_cracks_and_a_stopped_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V32. Catches damage, its lower bound, or forces of the last step that are not those of the checkpoint."""
    whole, stopped = torn(tmp_path / "whole"), torn(tmp_path / "stopped")
    found = only_cracking(whole, monkeypatch)
    assert found.value("crack_area", phase="NMC") > 1
    rows = rows_of(whole, "scalars-2.csv")
    damage = [row["largest damage [1]"] for row in rows]
    assert damage[0] == 0 and damage[-1] > 0.9 and np.all(np.diff(damage) >= 0)
    write, left = CrackRun._row, iter(range(2))

    def until(self: CrackRun) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        write(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(CrackRun, "_row", until)
        only_cracking(stopped, patch)
    assert len(rows_of(stopped, "scalars-2.csv")) == 2
    only_cracking(stopped, monkeypatch)
    assert_same(rows, rows_of(stopped, "scalars-2.csv"), 1e-9)


def test_v31_a_torn_particle_cracks_alike_on_two_ranks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches nodes on the border of the ranks that are displaced twice or not at all, and sums of one rank."""
    whole, halves = torn(tmp_path / "whole"), torn(tmp_path / "halves")
    only_cracking(whole, monkeypatch)
    mpirun(2, "-c", ONLY_CRACKING.format(folder=halves))
    assert_same(rows_of(whole, "scalars-2.csv"), rows_of(halves, "scalars-2.csv"), 1e-4)


def test_what_cannot_be_cut_out_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another particle, a coarse mesh, a half-cell without mechanics, no half-cell at all."""
    folder = electrode(tmp_path / "cell", submodel="particle = 7")
    stated(folder, lambda p, t: 0 * p, lambda p, t: np.full(len(p), INITIAL))
    with pytest.raises(StudyError, match="7 is no particle of 'NMC'") as missing:
        only_cracking(folder, monkeypatch)
    assert "the largest are 1" in missing.value.hint
    text = (folder / "study.toml").read_text()

    def changed(*replaced: tuple[str, str]) -> None:
        new = text.replace("particle = 7", "particle = 1")
        for old, to in replaced:
            new = new.replace(old, to)
        (folder / "study.toml").write_text(new)

    changed(('length = "1.0 um"', 'length = "0.1 um"'), ("particle = 1", "refine = 0"))
    with pytest.raises(GeometryError, match=r"needs 0\.1 µm"):
        only_cracking(folder, monkeypatch)
    changed(('length = "1.0 um"', 'length = "1 nm"'))
    with pytest.raises(GeometryError, match=r"would need .* cells"):
        only_cracking(folder, monkeypatch)
    changed(("[physics.mechanics]\norder = 1", ""))
    with pytest.raises(StudyError, match="without mechanics") as bare:
        only_cracking(folder, monkeypatch)
    assert "[physics.mechanics]" in bare.value.hint
    changed((text[text.index('[[physics]]\nmodel = "half') : text.index('[[physics]]\nmodel = "crack')], ""))
    with pytest.raises(StudyError, match="no result to be cut out of"):
        only_cracking(folder, monkeypatch)
