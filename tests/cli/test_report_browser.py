"""Our pages in a real browser: they draw everything, ask nobody for anything, and can be read by everyone."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pxm2mesh import LabelVolume, Quantities, Quantity
from pxm2mesh.io.images import write_volume
from pxm2mesh.pipeline import run_study
from pxm2mesh.pipeline.stages import volume_facts
from pxm2mesh.report import write_report
from pxm2mesh.report.compare import compare_runs, write_comparison
from pxm2mesh.study import parse_study
from pxm2mesh.sweep import read_sweep, write_results
from pxm2mesh.sweep.execute import CaseState

from .conftest import STUDY, small_labels, write_labels

BROWSER = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="this environment has no Chromium")

SERIES = (
    "step,time [s],voltage [V],mean lithiation [1],lowest lithiation [1],lithium balance [1]\n"
    + "".join(f"{i},{60 * i},{3.5 + 0.1 * i},{0.9 - 0.1 * i},{0.8 - 0.1 * i},{1e-12 * i}\n" for i in range(6))
)
PROBE = Path(__file__).with_name("report_probe.js")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small run with everything a report can have; its solve is made up, as a table."""
    folder = tmp_path_factory.mktemp("browser")
    study = {
        "volume": {"phantom": {"name": "ball", "size": 12}}, "output": {"folder": str(folder)},
        "quantify": {"only": ["volume_fraction", "contact_fraction", "tortuosity_factor"]},
        "report": {"title": "A ball", "note": "For a browser."},
    }  # fmt: skip
    run_study(parse_study(study))
    (folder / "scalars.csv").write_text(SERIES, encoding="utf-8")
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        log.write("2026-01-01 00:00:00 WARNING pxm2mesh.test: something to worry about\n")
    return write_report(folder)


def numbers(size: float) -> Quantities:
    """What cases and states are compared by."""
    return Quantities(
        [
            Quantity("porosity", size / 10, "1", "voxel count", uncertainty=0.01),
            Quantity("tortuosity_factor", 1 + size, "1", "finite volumes", phase="LPSCl", direction="x"),
            Quantity("thickness", size, "um", "local thickness", phase="void"),
        ]
    )


def comparison_page(folder: Path) -> Path:
    """Two states with labels on one lattice, the second of which has lost a plane."""
    runs = [folder / "pressed", folder / "cycled"]
    for planes, run in zip((1, 3), runs, strict=True):
        labels = small_labels()
        labels[:, :, :planes] = 0
        volume = LabelVolume(labels, {"void": 0, "NMC": 1, "LPSCl": 2}, "0.5 um")  # type: ignore[arg-type]
        write_volume(volume, run / "labels.npz")
        record = {"stages": {"volume": {"facts": volume_facts(volume)}}}
        (run / "record.json").write_text(json.dumps(record), encoding="utf-8")
        numbers(planes).write(run / "quantities.json")
    return write_comparison(compare_runs(runs), folder / "out", runs)[0]


def sweep_page(folder: Path) -> Path:
    """Six cases, one of which failed."""
    write_labels(folder)
    (folder / "small.toml").write_text(STUDY, encoding="utf-8")
    file = folder / "cells.toml"
    vary = '"mesh.cell_size" = [2, 3, 4]\n"report.note" = ["first", "second"]\n'
    file.write_text(f'study = "small.toml"\n[vary]\n{vary}', encoding="utf-8")
    sweep = read_sweep(file)
    states = [CaseState(case.name, case.parameters, status="done", seconds=1.0) for case in sweep.cases]
    states[-1] = replace(states[-1], status="failed", message="a phase has no voxels; correct the labels.")
    for size, case in enumerate(sweep.cases[:-1], start=1):
        numbers(size).write(case.study.folder / "quantities.json")
    return write_results(sweep, states)[1]


@pytest.fixture(scope="module", params=[comparison_page, sweep_page], ids=["comparison", "sweep"])
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about several runs."""
    return Path(request.param(tmp_path_factory.mktemp("others")))


def browse(page: Path, *options: str, width: int = 1280) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
        "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", f"--window-size={width},1200",
        f"--user-data-dir={page.parent / 'browser'}", *options, page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def probe(page: Path, *options: str, width: int = 1280, click: bool = False) -> dict[str, Any]:
    """What a script that was added to the page finds out inside the browser."""
    text = f"<script>{PROBE.read_text(encoding='utf-8').replace('WAIT', '1500' if click else '50')}</script>"
    if click:
        text += '<script>document.getElementById("scene-start").click()</script>'
    probed = page.with_name(f"probed{'-click' if click else ''}.html")
    probed.write_text(page.read_text(encoding="utf-8").replace("</body>", text + "</body>"), encoding="utf-8")
    dom = browse(probed, "--dump-dom", *options, width=width).stdout
    found = re.search(r'data-probe="([^"]+)"', dom)
    assert found, dom[-500:]
    return dict(json.loads(base64.b64decode(found[1])))


def console_and_requests(page: Path) -> list[str]:
    """Messages on the console, and addresses that were asked for besides the page itself."""
    log = page.with_name("net.json")
    done = browse(page, "--dump-dom", f"--log-net-log={log}")
    asked = re.findall(r'"url":\s*"(\w+:[^"]{0,80})', log.read_text(encoding="utf-8", errors="replace"))
    told = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return told + [url for url in asked if not url.startswith(("file:", "data:", "chrome"))]


def pages_in_print(page: Path) -> int:
    """How many pages it has on paper."""
    file = page.with_suffix(".pdf")
    browse(page, f"--print-to-pdf={file}", "--no-pdf-header-footer")
    content = file.read_bytes()
    assert content.startswith(b"%PDF-")
    return len(re.findall(rb"/Type\s*/Page\b", content))


def test_nothing_is_wrong_and_nothing_is_asked_for(page: Path) -> None:
    """No message on the console, no request but the page itself."""
    assert console_and_requests(page) == []


def test_an_error_or_a_request_would_be_noticed(page: Path) -> None:
    bad = page.with_name("bad.html")
    script = '<img src="http://127.0.0.1:9/x.png"><script>console.error("broken")</script></body>'
    bad.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    found = console_and_requests(bad)
    assert any("broken" in line for line in found)
    assert "http://127.0.0.1:9/x.png" in found


def test_every_figure_is_drawn_and_has_words(page: Path) -> None:
    found = probe(page)
    assert len(found["images"]) >= 5, "three slices, two pictures"
    assert all(width > 100 and words > 15 for width, words in found["images"])
    assert len(found["drawings"]) == 5, "two histograms, three charts"
    assert all(width > 250 and len(words) > 15 for width, words in found["drawings"])
    assert max(found["bars"]) > 60, "bars of a histogram have their height"
    assert found["unnamed"] == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(scheme: str, page: Path) -> None:
    """WCAG AA: 4.5 to 1, and 3 to 1 for large text."""
    found = probe(page, f"--blink-settings=preferredColorScheme={'01'[scheme == 'light']}")
    assert found["seen"] > 60
    assert found["faint"] == []


def test_it_fits_a_phone(page: Path) -> None:
    found = probe(page, width=390)
    assert found["window"] == 390
    assert found["width"] <= 390
    assert found["wide"] == []


def test_the_sample_turns_when_asked(page: Path) -> None:
    assert probe(page)["turns"] is None
    assert probe(page, click=True)["turns"] == "2"


def test_it_prints(page: Path) -> None:
    assert 1 <= pages_in_print(page) <= 8


def test_a_page_about_several_runs_is_as_sound(other: Path) -> None:
    """No message, no request, every figure with words, no faint text, the width of a phone, and paper."""
    assert console_and_requests(other) == []
    for scheme in "01":
        found = probe(other, f"--blink-settings=preferredColorScheme={scheme}")
        assert found["seen"] > 40
        assert found["faint"] == []
    assert all(width > 250 and len(words) > 15 for width, words in found["drawings"])
    assert len(found["drawings"]) == (3 if "comparison" in other.name else 1)
    assert found["unnamed"] == 0
    phone = probe(other, width=390)
    assert phone["width"] <= 390
    assert phone["wide"] == []
    assert 1 <= pages_in_print(other) <= 5
