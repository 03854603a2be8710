"""Segmenting and measuring that are interrupted or killed leave the files that were there, whole."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pxm2mesh.io.images import write_volume
from pxm2mesh.phantoms import cathode, grey_scan

Start = Callable[..., "subprocess.Popen[str]"]

BEGUN = {"segment": "rings:", "quantify": "measuring transport"}
"""What a verb says when it is in the middle of its work, results not yet written."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A scan to segment and labels to measure."""
    folder, truth = tmp_path_factory.mktemp("in"), cathode("pressed", size=40, seed=1)
    write_volume(grey_scan(truth, seed=1), folder / "scan.tif")
    write_volume(truth, folder / "labels.tif")
    return {"segment": folder / "scan.tif", "quantify": folder / "labels.tif"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("verb", ["segment", "quantify"])
def test_results_of_before_stay_as_they_were(
    verb: str, how: signal.Signals, sources: dict[str, Path], tmp_path: Path, start: Start
) -> None:
    """Catches opening (and so emptying) the output before there is something to write."""
    out = tmp_path / ("labels.tif" if verb == "segment" else "quantities.json")
    out.write_bytes(b"of before")
    more = ("--preview", tmp_path / "p.png") if verb == "segment" else ("--fields", tmp_path / "fields")
    phases = "void,LPSCl,NMC" if verb == "segment" else "void=0,NMC=1,LPSCl=2"
    running = start(verb, sources[verb], "--phases", phases, "-o", out, *more, "-v")
    assert running.stdout is not None
    for line in running.stdout:
        if BEGUN[verb] in line:
            break
    else:
        pytest.fail("it ended before it could be interrupted")
    os.kill(running.pid, how)
    running.stdout.read()
    running.stdout.close()
    assert running.wait(timeout=60) == (130 if how is signal.SIGINT else -signal.SIGKILL)
    assert out.read_bytes() == b"of before"
    assert [p.name for p in tmp_path.iterdir()] == [out.name]
