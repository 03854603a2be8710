"""Low and high of every number, from the command line and from a study file, through to the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh.io.images import read_volume, write_volume
from pxm2mesh.phantoms import cathode, grey_scan
from pxm2mesh.quantities import Quantities

from .conftest import Result

Command = Callable[..., Result]

PHASES = "void=0,LPSCl=1,NMC=2"
STUDY = """
[volume]
file = "scan.tif"
spacing = "0.5 um"
phases = { void = 0, LPSCl = 1, NMC = 2 }
[segment]
method = "threshold"
rings = false
background = "off"
[quantify]
only = ["porosity", "contact_fraction"]
intervals = "threshold"
shift = 0.2
[mesh]
cell_size = 4
[report]
pictures = false
[output]
folder = "run"
"""


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Grey values of a small cathode."""
    path = tmp_path / "scan.tif"
    write_volume(grey_scan(cathode("assembled", size=24, seed=1), seed=1, rings=0, beam_hardening=0), path)
    return path


def test_variants_of_a_segmentation_become_intervals_of_its_quantities(
    scan: Path, tmp_path: Path, command: Command
) -> None:
    """Lower thresholds leave less void: the variants must lie on both sides of what is reported."""
    labels = tmp_path / "labels.tif"
    cut = ("--method", "threshold", "--no-rings", "--background", "off")
    done = command("segment", scan, "-o", labels, "--phases", PHASES, *cut, "--variants")
    assert done.code == 0, done.err
    low, high = tmp_path / "labels-low.tif", tmp_path / "labels-high.tif"
    porosity = [float(np.mean(read_volume(p).labels == 0)) for p in (low, labels, high)]
    assert porosity[0] < porosity[1] < porosity[2]
    only = ("--only", "porosity", "--only", "contact_fraction")
    out = tmp_path / "quantities.json"
    others = ("--variant", low, "--variant", high)
    done = command("quantify", labels, "--phases", PHASES, *only, *others, "-o", out)
    assert done.code == 0, done.err
    (row,) = Quantities.read(out).select("porosity")
    assert (row.value, row.uncertainty) == (
        pytest.approx(porosity[1]),
        pytest.approx((porosity[0], porosity[2])),
    )
    assert f"({porosity[0]:.3g} … {porosity[2]:.3g})" in done.out
    contact = [q for q in Quantities.read(out) if q.name == "contact_fraction"]
    assert len(contact) == 6
    for q in contact:
        assert isinstance(q.uncertainty, tuple) and q.uncertainty[0] <= q.value <= q.uncertainty[1]


def test_boundary_intervals_of_the_command_line(labels: Path, tmp_path: Path, command: Command) -> None:
    out, phases = tmp_path / "q.json", "void=0,NMC=1,LPSCl=2"
    done = command(
        "quantify",
        labels,
        "--phases",
        phases,
        "--only",
        "volume_fraction",
        "--intervals",
        "boundary",
        "-o",
        out,
    )
    assert done.code == 0, done.err
    for q in Quantities.read(out):
        assert isinstance(q.uncertainty, tuple) and q.uncertainty[0] < q.value < q.uncertainty[1]
    wrong = command("quantify", labels, "--phases", phases, "--intervals", "threshold")
    assert wrong.code == 2 and "--variant" in wrong.err


def test_a_variant_of_another_size_is_refused(labels: Path, tmp_path: Path, command: Command) -> None:
    small = tmp_path / "small.tif"
    write_volume(read_volume(labels).crop((0, 0, 0), (12, 12, 8)), small)
    done = command("quantify", labels, "--phases", "void=0,NMC=1,LPSCl=2", "--variant", small)
    assert done.code != 0 and "(12, 12, 8) voxels" in done.err


def test_thresholds_of_a_study_give_intervals_in_the_file_and_in_the_report(
    scan: Path, command: Command
) -> None:
    """The whole chain at thresholds ± 0.2 of the distance between grey levels."""
    study = scan.with_name("study.toml")
    study.write_text(STUDY, encoding="utf-8")
    done = command("run", study, "-q")
    assert done.code == 0, done.err
    found = Quantities.read(scan.with_name("run") / "quantities.json")
    (porosity,) = [q for q in found if q.name == "porosity"]
    assert isinstance(porosity.uncertainty, tuple)
    low, high = porosity.uncertainty
    assert low < porosity.value < high and high - low < 0.2
    page = (scan.with_name("run") / "report.html").read_text(encoding="utf-8")
    assert f"({low:.3g} to {high:.3g})" in page
