"""Pictures for the documents, made by our own runs: ``python docs/tools/gallery.py`` or the build of the site.

Everything is kept in ``build/gallery``; what is up to date is not run again.
"""

from __future__ import annotations

import html
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
PLACE = REPOSITORY / "build" / "gallery"
PHANTOMS: dict[str, tuple[dict[str, Any], str, str]] = {
    "cell": (
        {"size": 96},
        "x",
        "A cell from collector to cathode, tilted and with an overhang of the anode.",
    ),
    "mud-cracks": ({"size": 96}, "z", "An anode that has dried into polygons, seen from above."),
    "delaminated": ({"size": 96}, "y", "An anode that has partly come off its collector."),
}
STATES = {
    "assembled": "as assembled: loose, a quarter of it pores",
    "pressed": "pressed: pores closed, more contact",
    "cycled": "cycled: gaps along the particles",
}


@dataclass(frozen=True)
class Picture:
    """A file, what is to be seen on it, and how it is made."""

    file: Path
    title: str
    text: str


def pictures() -> list[Picture]:
    """Every picture; those of simulations only where there is DOLFINx."""
    PLACE.mkdir(parents=True, exist_ok=True)
    makers: list[Callable[[], Iterator[Picture]]] = [_demonstration, _states, _scan, _phantoms]
    if importlib.util.find_spec("dolfinx") is not None:
        makers.insert(1, _charge)
    return [picture for make in makers for picture in make()]


def figures(made: list[Picture]) -> str:
    """The pictures as HTML."""
    items = "\n".join(
        f'<figure><img src="gallery/{p.file.name}" alt="{html.escape(p.text)}" loading="lazy">'
        f"<figcaption><strong>{html.escape(p.title)}.</strong> {html.escape(p.text)}</figcaption></figure>"
        for p in made
    )
    return f'<div class="gallery">\n{items}\n</div>'


def _run(study: dict[str, Any], name: str) -> Path:
    from pxm2mesh.pipeline import run_study
    from pxm2mesh.study import parse_study

    folder = PLACE / name
    report = {"pictures": False}
    run_study(parse_study({**study, "report": report, "output": {"folder": str(folder)}}), until="report")
    return folder


def _drawn(folder: Path) -> Path:
    """Three-dimensional pictures of a run, drawn in a process of their own, again only after another run."""
    place = folder / "pictures"
    stamp = folder / "record.json"
    if not place.exists() or place.stat().st_mtime < stamp.stat().st_mtime:
        place.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-m", "pxm2mesh.report.render", str(folder), str(place)], check=True)
        place.touch()
    return place


def _named(file: Path, name: str) -> Path:
    copy = PLACE / name
    copy.write_bytes(file.read_bytes())
    return copy


def _demonstration() -> Iterator[Picture]:
    study: dict[str, Any] = {
        "volume": {"phantom": {"name": "cathode", "size": 40, "seed": 3, "state": "pressed"}},
        "clean": {"min_region": 27},
        "mesh": {"cell_size": 1, "exclude": ["void"]},
        "quantify": {"only": ["fractions"]},
    }
    if importlib.util.find_spec("dolfinx") is not None:
        study["physics"] = [{"model": "conduction", "phases": ["LPSCl"], "directions": ["x"]}]
    place = _drawn(_run(study, "demonstration"))
    told = {
        "sample": (
            "A composite cathode",
            "NMC particles in LPSCl electrolyte, as meshed; one corner cut away.",
        ),
        "mesh": ("Its tetrahedra", "One conforming mesh of all phases; the pores are left out."),
        "field": ("Potential", "What the electrolyte conducts, from face to face, solved with DOLFINx."),
    }
    for name, (title, text) in told.items():
        if (place / f"{name}.png").exists():
            yield Picture(_named(place / f"{name}.png", f"demonstration-{name}.png"), title, text)


def _charge() -> Iterator[Picture]:
    study: dict[str, Any] = {
        "volume": {"phantom": {"name": "cathode", "size": 20, "seed": 1, "state": "pressed"}},
        "clean": {"min_region": 27},
        "mesh": {"cell_size": 2, "exclude": ["void"]},
        "quantify": {"only": ["fractions"]},
        "materials": {"NMC": "NMC811", "LPSCl": "LPSCl"},
        "physics": [
            {"model": "half-cell", "active": "NMC", "electrolyte": "LPSCl", "protocol": ["C/2 for 5 min"]}
        ],
    }
    place = _drawn(_run(study, "charge"))
    if (place / "field.png").exists():
        told = "State of lithiation of the particles after five minutes at C/2."
        yield Picture(_named(place / "field.png", "charge.png"), "Charging", told)


def _slice(volume: Any, axis: str, file: Path) -> Path:
    from pxm2mesh.io.pictures import middle_slices, slice_png

    file.write_bytes(slice_png(middle_slices(volume.labels)[axis][0], volume.phases))
    return file


def _states() -> Iterator[Picture]:
    from pxm2mesh.phantoms import phantom

    for state, told in STATES.items():
        volume = phantom("cathode", size=80, seed=2, state=state)
        yield Picture(
            _slice(volume, "z", PLACE / f"{state}.png"), state.capitalize(), f"The same cathode {told}."
        )


def _scan() -> Iterator[Picture]:
    from pxm2mesh.phantoms import cathode, grey_scan
    from pxm2mesh.segment import SegmentOptions, segment_in_steps, write_preview

    file = PLACE / "segmentation.png"
    if not file.exists():
        truth = cathode("pressed", size=48, seed=4)
        options = SegmentOptions(order=("void", "LPSCl", "NMC"))
        found = segment_in_steps(grey_scan(truth, seed=4), truth.phases, options)
        write_preview(found.grey, found.volume, file, thresholds=found.thresholds)
    yield Picture(file, "Segmentation", "A scan, the labels it became, and the histogram of its grey values.")


def _phantoms() -> Iterator[Picture]:
    from pxm2mesh.phantoms import phantom

    for name, (options, axis, told) in PHANTOMS.items():
        yield Picture(_slice(phantom(name, **options), axis, PLACE / f"{name}.png"), name.capitalize(), told)


if __name__ == "__main__":
    for made in pictures():
        print(made.file.relative_to(REPOSITORY), made.title)
