"""Movies, stills and ParaView states of a run with two steps."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.phases import PhaseTable
from pxm2mesh.report.looks import look_of, read_series
from pxm2mesh.report.movie import MovieOptions, _shown, encode, make_movie
from pxm2mesh.report.paraview import write_paraview_states
from simulations.shapes import ball


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two steps of a ball in a box, written by pyvista as the solver writes them."""
    import pyvista

    mesh = ball({"NMC": 1.0, "LPSCl": 0.0}, box=(1.4,) * 3, cells=2)
    lines = []
    (tmp_path / "results").mkdir()
    for step in (0, 1):
        grid = pyvista.UnstructuredGrid({pyvista.CellType.TETRA: mesh.cells}, mesh.points)
        grid.point_data["displacement [um]"] = 0.01 * step * mesh.points
        grid.point_data["potential [V]"] = mesh.points[:, 0] + step
        grid.cell_data["damage [1]"] = np.linspace(0, step, grid.n_cells)
        grid.cell_data["phase"] = mesh.cell_phase()
        grid.field_data["phase names"] = ["1=NMC", "2=LPSCl"]
        grid.save(tmp_path / "results" / f"results_{step:06d}.vtu", binary=False)
        lines.append(f'<DataSet timestep="{step}" part="0" file="results/results_{step:06d}.vtu"/>')
    collection = f"<Collection>{''.join(lines)}</Collection>"
    (tmp_path / "results.pvd").write_text(f'<VTKFile type="Collection" version="1.0">{collection}</VTKFile>')
    return tmp_path


def test_a_series_says_what_it_holds(run: Path) -> None:
    series = read_series(run / "results.pvd")
    assert series.times == (0.0, 1.0) and series.phases == {"NMC": 1, "LPSCl": 2}
    assert series.scalars[0] == "damage [1]" and series.field("potential") == "potential [V]"
    assert series.points["displacement [um]"] == 3
    assert look_of("hydrostatic stress [MPa]").centred and look_of("damage [1]").ends == (0.0, 1.0)


def test_a_movie_shows_every_step_and_a_still_one(run: Path) -> None:
    for kind, count in (("gif", 2), ("png", 1)):
        written = make_movie(run, run / f"seen.{kind}", MovieOptions(field="potential"))
        with Image.open(written) as picture:
            assert getattr(picture, "n_frames", 1) == count
            pixels = np.asarray(picture.convert("RGB"))
        assert (pixels < 250).any(axis=2).mean() > 0.1  # something is drawn


def test_pictures_become_a_video(tmp_path: Path) -> None:
    for shade in (0, 200):
        Image.new("RGB", (64, 48), (shade, shade, shade)).save(tmp_path / f"{shade:04d}.png")
    encode(sorted(tmp_path.glob("*.png")), tmp_path / "a.mp4", rate=2.0)
    assert (tmp_path / "a.mp4").read_bytes()[4:8] == b"ftyp"


def test_what_cannot_be_shown_is_told(run: Path) -> None:
    with pytest.raises(UsageError, match="has no field 'potentail'"):
        make_movie(run, run / "a.gif", MovieOptions(field="potentail"))
    with pytest.raises(UsageError, match="not a movie"):
        make_movie(run, run / "a.avi")
    with pytest.raises(UsageError, match="no phase"):
        make_movie(run, run / "a.gif", MovieOptions(phases=("NCM",)))
    with pytest.raises(DataError, match="no results"):
        make_movie(run, run / "a.gif", MovieOptions(computation=2))
    (run / "results" / "results_000000.vtu").write_bytes(b"torn")
    with pytest.raises(DataError, match="drawing ended after 0 of 2 frames"):
        make_movie(run, run / "a.gif")


class _Recorder:
    """Stands for everything of ``paraview.simple``: takes all calls, remembers their names."""

    def __init__(self, said: list[str], name: str = "") -> None:
        self.__dict__.update(said=said, name=name)

    def __getattr__(self, name: str) -> Any:
        return _Recorder(self.said, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.said.append(f"{name}={value}")

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.said.append(f"{self.name}{given}{named}")
        if self.name == "GetBounds":
            return (0.0, 1.0) * 3
        return (0.0, 0.01) if self.name == "GetRange" else self

    def __getitem__(self, index: Any) -> float:
        return 1.0


def test_the_state_script_runs_and_shows_the_fields(run: Path) -> None:
    """Against a stand-in for ParaView, which tests cannot have: names, order, and what is asked for."""
    (script,) = write_paraview_states(run)
    text = script.read_text()
    ast.parse(text)
    said: list[str] = []
    everything = _Recorder(said)
    names = [node.func.id for node in ast.walk(ast.parse(text))
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]  # fmt: skip
    space: dict[str, Any] = {n: getattr(everything, n) for n in names if n[:1].isupper()}
    space["__file__"] = str(script)
    exec(text.replace("from paraview.simple import *", ""), space)
    assert any("PVDReader" in call and str(run / "results.pvd") in call for call in said)
    assert any("ColorBy" in call and "damage [1]" in call for call in said)
    assert any(call.startswith("ScaleFactor=5") for call in said)  # 0.05 of the sample over 0.01


def test_of_a_field_at_interfaces_particles_and_anode_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a full cell whose NMC is not in the mesh: nothing was left to be drawn."""
    phases = PhaseTable({"void": 0, "collector": 1, "anode": 2, "NMC": 4})
    monkeypatch.setattr("pxm2mesh.report.movie.RunContents", lambda folder: SimpleNamespace(phases=phases))
    series: Any = SimpleNamespace(phases={"collector": 1, "anode": 2, "NMC": 4})
    assert _shown(Path(), series, "interface damage [1]", ()) == ["anode", "NMC"]
    assert _shown(Path(), series, "displacement [um]", ()) == ["collector", "anode", "NMC"]
