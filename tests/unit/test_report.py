"""Reports: whole on their own, with words for every picture."""

from __future__ import annotations

import html.parser
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pxm2mesh.errors import DataError
from pxm2mesh.io.pictures import slice_png
from pxm2mesh.phases import PhaseTable
from pxm2mesh.pipeline import run_study
from pxm2mesh.report import write_report
from pxm2mesh.report.citations import citations
from pxm2mesh.report.contents import RunContents
from pxm2mesh.report.curves import charts
from pxm2mesh.report.figures import histogram_svg, nice_length
from pxm2mesh.report.scene import pack_scene
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
        if tag not in ("meta", "img", "br", "line", "rect", "polyline"):
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


def test_whom_to_cite_stands_on_the_page(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "10.1002/nme.2579" in text, "gmsh made the mesh"
    assert "DOLFINx: the next" not in text, "nothing was solved"


def test_sources_of_materials_are_cited_where_something_was_computed(folder: Path) -> None:
    study = {"physics": [{"model": "half-cell"}], "materials": {"NMC": "NMC811", "LPSCl": "gone.toml"}}
    told = citations(RunContents(folder), study)
    assert any(line.startswith("NMC, ") and "10.1149/1945-7111/ab9050" in line for line in told)
    assert len(told) == len(set(told))


COLUMNS = (
    "step,time [s],voltage [V],mean lithiation [1],lowest lithiation [1],lithium balance [1],state,rate [C]"
)
ROW = "{0},{1},{2},{3},{4},{5},charge,0.5"
STEPS = [ROW.format(i, 60 * i, 3.5 + 0.1 * i, 0.9 - 0.1 * i, 0.8 - 0.1 * i, -1e-12 * i) for i in range(6)]
SERIES = "\n".join([COLUMNS, *STEPS])


def test_a_solve_over_time_becomes_curves(tmp_path: Path) -> None:
    """One chart for each unit; what should be zero is shown by its power of ten; what never changes is left out."""
    (tmp_path / "scalars.csv").write_text(SERIES, encoding="utf-8")
    made = {chart.heading: chart for chart in charts(tmp_path)}
    assert list(made) == ["Voltage [V]", "Lithiation", "What should be zero, log₁₀"]
    assert made["Lithiation"].names == ("mean lithiation", "lowest lithiation")
    assert "voltage from 3.5 to 4" in made["Voltage [V]"].svg
    assert "time [min]" in made["Voltage [V]"].svg
    assert "lithium balance from -17 to -11.3" in made["What should be zero, log₁₀"].svg


def test_cycles_are_drawn_over_cycles_and_steps_over_time(tmp_path: Path) -> None:
    """Steps know their cycle too: drawn over it, each cycle would be an upright line."""
    (tmp_path / "scalars.csv").write_text(
        "cycle,time [s],voltage [V]\n1,0,3.6\n1,10,4.2\n2,20,3.7\n", encoding="utf-8"
    )
    (tmp_path / "cycles.csv").write_text(
        "cycle,time [s],DC resistance charged [ohm cm2],charge-transfer resistance charged [ohm cm2]\n"
        "1,10,5,20\n2,20,6,21\n3,30,7,22\n",
        encoding="utf-8",
    )
    cycles, steps = charts(tmp_path)
    assert cycles.heading == "Resistance charged [ohm cm2]" and len(cycles.names) == 2
    assert ">cycle</text>" in cycles.svg and ">1.5</text>" not in cycles.svg
    assert steps.heading == "Voltage [V]" and ">time [s]</text>" in steps.svg


def test_a_value_without_bound_costs_a_point_and_not_the_curve(tmp_path: Path) -> None:
    """A resistance once all contact is lost. Catches a curve that vanishes, and an axis up to infinity."""
    rows = ["cycle,resistance [ohm cm2]", "1,1.0", "2,2.0", "3,5.0", "4,inf", "5,nan"]
    (tmp_path / "cycles.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (chart,) = charts(tmp_path)
    line = chart.svg.partition('<polyline class="line')[2].partition("/>")[0]
    assert line.count(",") == 3 and "inf" not in chart.svg and "nan" not in chart.svg


def test_a_table_that_is_not_over_time_becomes_no_curves(tmp_path: Path) -> None:
    (tmp_path / "scalars.csv").write_text("direction,iterations\nx,1\ny,2\nz,3\n", encoding="utf-8")
    assert charts(tmp_path) == []


def test_a_scene_is_unpacked_as_it_was_packed() -> None:
    points = np.array([[0.0, 0, 0], [4, 0, 0], [0, 2, 0], [0, 0, 1]])
    triangles = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1]])
    content = zlib.decompress(
        pack_scene([("NMC", "#112233", points, triangles), ("void", "#445566", points, triangles)])
    )
    length = int.from_bytes(content[:4], "little")
    head, at = json.loads(content[4 : 4 + length]), 4 + -(-length // 4) * 4
    assert head["box"] == [1.0, 0.5, 0.25]
    for part in head["parts"]:
        found = np.frombuffer(content, "<u2", 3 * part["points"], at).reshape(-1, 3)
        at += -(-6 * part["points"] // 4) * 4
        np.testing.assert_allclose(found.astype(float) * 4 / 65535, points, atol=1e-4)
        assert np.frombuffer(content, "<u4", 9, at).tolist() == triangles.ravel().tolist()
        at += 36
    assert at == len(content)


def test_warnings_of_the_solver_and_our_own_are_told_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text((folder / "record.json").read_text("utf-8"), "utf-8")
    (tmp_path / "log.txt").write_text(
        "t INFO pxm2mesh.pipeline.solver: WARNING 1 piece of NMC stays idle: 12 um3 in all\n"
        "t WARNING pxm2mesh.meshing: void: 5 % lost\n"
        "t INFO pxm2mesh.pipeline.solver: WARNING 2 piece of NMC stays idle: 15.5 um3 in all\n",
        "utf-8",
    )
    told = RunContents(tmp_path).log_warnings()
    assert told == ["2 piece of NMC stays idle: 15.5 um3 in all", "void: 5 % lost"]


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
    told = [line for line in worries(run) if "does not connect" in line]
    assert len(told) == len({q.phase for q in infinite})
    assert "NMC does not connect the two faces across x, y, z" in told[0]


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
