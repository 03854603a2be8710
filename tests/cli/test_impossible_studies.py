"""``pxm2mesh solve`` of what cannot be: one line with what, where and what to do, an exit code, the last good state."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pxm2mesh.io.images import write_volume
from pxm2mesh.volume import LabelVolume

from .conftest import Result
from .test_run import needs_dolfinx

STUDY = """
[volume]
file = "labels.tif"
phases = { NMC = 1, LPSCl = 2 }

[mesh]
cell_size = 2

[materials]
NMC = "NMC811"
LPSCl = "LPSCl"

[[physics]]
model = "half-cell"
active = "NMC"
electrolyte = "LPSCl"
collector = "z-"
separator = "z+"
protocol = ["1C for 20 s", "1000C for 1 h"]
first_step = "10 s"

[output]
folder = "run"
"""


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """A layer of NMC below one of LPSCl, and where their study goes."""
    labels = np.full((4, 4, 8), 2, dtype=np.uint8)
    labels[:, :, :4] = 1
    write_volume(LabelVolume(labels, {"NMC": 1, "LPSCl": 2}, "0.5 um"), tmp_path / "labels.tif")
    return tmp_path / "study.toml"


def last(result: Result) -> str:
    assert "Traceback" not in result.err, result.err
    (line,) = [line for line in result.err.splitlines() if line.startswith("error:")]
    return line


@needs_dolfinx
def test_1000_c_leaves_the_last_good_state(layers: Path, command: Callable[..., Result]) -> None:
    """Catches an error of the solver's process that gets lost on its way: exit code 0, or a traceback."""
    layers.write_text(STUDY, encoding="utf-8")
    began = time.time()
    result = command("solve", layers)
    said = last(result)
    assert result.code == 6, result.err
    for part in (
        "the cell cannot carry 1000C",
        "lower the rate",
        "the last good state is in checkpoints/half-cell.npz",
    ):
        assert part in said
    kept = layers.parent / "run" / "checkpoints" / "half-cell.npz"
    assert kept.stat().st_mtime >= began - 1
    with np.load(kept) as state:
        assert np.isfinite(state["nodes/old"]).all()


@needs_dolfinx
@pytest.mark.parametrize(
    ("faces", "says"),
    [
        (("z+", "z-"), "NMC does not reach 'z+': there is no path for electrons"),
        (("z-", "z-"), "is the face of the collector"),
        (("x-", "z-"), "LPSCl does not reach 'z-': there is no path for ions"),
    ],
    ids=["electrons", "one face", "ions"],
)
def test_without_a_path_it_does_not_begin(
    layers: Path, command: Callable[..., Result], faces: tuple[str, str], says: str
) -> None:
    study = STUDY.replace('collector = "z-"', f'collector = "{faces[0]}"')
    layers.write_text(study.replace('separator = "z+"', f'separator = "{faces[1]}"'), encoding="utf-8")
    result = command("solve", layers)
    assert says in last(result) and result.code in (2, 4), result.err
    assert not list(layers.parent.glob("run/checkpoints/*"))
