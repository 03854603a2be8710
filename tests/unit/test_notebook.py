"""What a notebook shows of the nouns; everything that draws does so in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh import GreyVolume, LabelVolume, Quantities, Quantity, extract_surface
from pxm2mesh.io.pictures import grey_window
from pxm2mesh.meshing import MeshOptions, mesh_volume

PHASES = {"void": 0, "NMC": 1}


@pytest.fixture(scope="module")
def volume() -> LabelVolume:
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2:6, 2:6, 2:6] = 1
    return LabelVolume(labels, PHASES, "0.5 um")


def test_a_volume_shows_its_phases_and_three_slices(volume: LabelVolume) -> None:
    text = volume._repr_html_()
    assert "8 × 8 × 8 voxels of 0.5 × 0.5 × 0.5 µm" in text
    assert "12.50 %" in text
    assert text.count('<img src="data:image/png;base64,') == 3
    assert all(alt for alt in re.findall(r'alt="([^"]*)"', text))


def test_a_scan_shows_its_grey_values_and_three_slices() -> None:
    """One voxel that is too bright does not make the rest black."""
    values = np.arange(8**3, dtype=np.float32).reshape(8, 8, 8)
    values[0, 0, 0] = 1e6
    text = GreyVolume(values, "0.5 um")._repr_html_()
    assert "<td>float32</td><td>1</td>" in text
    assert text.count('<img src="data:image/png;base64,') == 3
    assert repr(GreyVolume(values, "1 um")) == (
        "GreyVolume(8 × 8 × 8 voxels of 1 × 1 × 1 µm: float32 from 1 to 1e+06)"
    )
    low, high = grey_window(values)
    assert low < 5
    assert high < 520


def test_a_surface_and_a_mesh_show_their_areas_and_volumes(volume: LabelVolume) -> None:
    surface, mesh = extract_surface(volume), mesh_volume(volume, MeshOptions(cell_size=1, method="lattice"))
    assert "void | NMC" in surface._repr_html_()
    assert "<td>24</td>" in surface._repr_html_(), "six faces of 2 × 2 µm"
    assert "<td>8</td>" in mesh._repr_html_(), "a cube of 2 µm"


def test_quantities_show_a_table_in_which_text_is_escaped() -> None:
    text = Quantities([Quantity("thickness", 1.23456789, "um", "a < b", phase="NMC")])._repr_html_()
    assert "<td>1.2346</td>" in text
    assert "a &lt; b" in text


DRAWN = """
import sys
import matplotlib
matplotlib.use("Agg")
import numpy as np
import pxm2mesh as px
labels = np.zeros((8, 8, 8), np.uint8)
labels[2:6, 2:6, 2:6] = 1
volume = px.LabelVolume(labels, {"void": 0, "NMC": 1}, "0.5 um")
figure = volume.plot()
assert [ax.get_xlabel() for ax in figure.axes] == ["x [µm]", "x [µm]", "y [µm]"]
assert figure.axes[0].get_xlim() == (0.0, 4.0)
figure.savefig("volume.png")
px.GreyVolume(labels * 100.0, "0.5 um", origin=(1, 0, 0)).plot().savefig("grey.png")
rows = px.Quantities([px.Quantity("porosity", 0.2, "1", "a", uncertainty=0.05), px.Quantity("d50", 3.0, "um", "a")])
rows.plot().savefig("quantities.png")
assert len(rows.plot("d50").axes) == 1
surface = px.extract_surface(volume)
plotter = surface.plot(off_screen=True, screenshot="surface.png")
assert len([a for a in plotter.actors.values() if "Actor" in type(a).__name__]) >= 1
mesh = px.mesh_volume(volume, px.MeshOptions(cell_size=1, method="lattice"))
mesh.plot(off_screen=True, screenshot="mesh.png")
"""


def test_everything_can_be_drawn(tmp_path: Path) -> None:
    from PIL import Image

    command = [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", DRAWN]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("volume", "grey", "quantities", "surface", "mesh"):
        pixels = np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")).reshape(-1, 3)
        assert len(np.unique(pixels, axis=0)) > 10, f"{name}.png is blank"
