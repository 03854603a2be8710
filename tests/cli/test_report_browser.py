"""The report in a real browser: it draws everything, asks nobody for anything, and can be read by everyone."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pxm2mesh.pipeline import run_study
from pxm2mesh.report import write_report
from pxm2mesh.study import parse_study

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


def test_nothing_is_wrong_and_nothing_is_asked_for(page: Path) -> None:
    """No message on the console, no request but the page itself."""
    log = page.with_name("net.json")
    done = browse(page, "--dump-dom", f"--log-net-log={log}")
    assert [line for line in done.stderr.splitlines() if ":CONSOLE" in line] == []
    asked = re.findall(r'"url":\s*"(\w+:[^"]{0,80})', log.read_text(encoding="utf-8", errors="replace"))
    assert [url for url in asked if not url.startswith(("file:", "data:", "chrome"))] == []


def test_an_error_or_a_request_would_be_noticed(page: Path) -> None:
    bad, log = page.with_name("bad.html"), page.with_name("bad-net.json")
    script = '<img src="http://127.0.0.1:9/x.png"><script>console.error("broken")</script></body>'
    bad.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    done = browse(bad, "--dump-dom", f"--log-net-log={log}")
    assert ":CONSOLE" in done.stderr
    assert "http://127.0.0.1:9/x.png" in log.read_text(encoding="utf-8", errors="replace")


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
    file = page.with_name("report.pdf")
    browse(page, f"--print-to-pdf={file}", "--no-pdf-header-footer")
    content = file.read_bytes()
    assert content.startswith(b"%PDF-")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 8
