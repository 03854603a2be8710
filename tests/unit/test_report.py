"""Reports: whole on their own, with words for every picture."""

from __future__ import annotations

import html.parser
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pxm2mesh.errors import DataError
from pxm2mesh.phases import PhaseTable
from pxm2mesh.pipeline import run_study
from pxm2mesh.report import write_report
from pxm2mesh.report.contents import RunContents
from pxm2mesh.report.figures import histogram_svg, nice_length, slice_png
from pxm2mesh.report.summary import cards, worries
from pxm2mesh.study import parse_study


class Page(html.parser.HTMLParser):
    """Collects what a page refers to and what its pictures say."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [str(given[key]) for key in ("src", "href") if key in given]
        if tag == "img":
            self.pictures.append(given)
        if tag not in ("meta", "img", "br", "line", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Shapes of a drawing: nothing of interest, and nothing left open."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run")
    study = {
        "volume": {"phantom": {"name": "ball", "size": 12}},
        "quantify": {"only": ["volume_fraction", "tortuosity_factor"]},
        "output": {"folder": str(place)},
        "report": {"title": "A <ball> & more"},
    }
    run_study(parse_study(study))
    return place


def test_a_page_needs_nothing_from_anywhere(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert len(page.pictures) >= 5, "three slices and two pictures"
    assert all(address.startswith("data:") for address in page.addresses)
    assert "http" not in text.replace("http-equiv", "")


def test_every_picture_has_words(folder: Path) -> None:
    for picture in Page((folder / "report.html").read_text(encoding="utf-8")).pictures:
        assert len(picture["alt"] or "") > 15


def test_titles_are_escaped(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "A &lt;ball&gt; &amp; more" in text
    assert "A <ball>" not in text


def test_the_cards_have_the_figures_of_the_mesh(folder: Path) -> None:
    told = {card.name: card.value for card in cards(RunContents(folder))}
    record = json.loads((folder / "mesh.json").read_text(encoding="utf-8"))
    assert told["mesh"] == f"{record['quality']['cells']:,}"


def test_a_phase_that_does_not_conduct_is_a_worry(folder: Path) -> None:
    run = RunContents(folder)
    infinite = [q for q in run.quantities.select("tortuosity_factor") if q.value == float("inf")]
    assert infinite, "a ball inside a box touches no face"
    assert sum("does not connect" in line for line in worries(run)) == len(infinite)


def test_a_folder_without_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the folder of a run"):
        write_report(tmp_path)


def test_a_slice_shows_each_phase_in_its_colour_with_y_up() -> None:
    labels = np.array([[0, 0, 1], [0, 0, 1]])
    picture = Image.open(io.BytesIO(slice_png(labels, PhaseTable({"void": 0, "NMC": 1}), least=30))).convert(
        "RGB"
    )
    assert picture.size == (20, 30)
    assert picture.getpixel((0, 0)) == (0x4C, 0x72, 0xB0)
    assert picture.getpixel((0, 29)) == (0xD9, 0xD9, 0xD9)


@pytest.mark.parametrize(("length", "nice"), [(9.9, 5), (1.0, 1), (0.49, 0.2), (210, 200)])
def test_scale_bars_have_round_lengths(length: float, nice: float) -> None:
    assert nice_length(length) == pytest.approx(nice)


def test_a_histogram_counts_everything_once() -> None:
    svg = histogram_svg(
        np.array([-5.0, 1, 1, 99]), low=0, high=10, bins=10, label="n", describe="four numbers"
    )
    assert svg.count('class="bar"') == 3
    assert 'aria-label="four numbers"' in svg
