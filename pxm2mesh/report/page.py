"""One self-contained page about a run."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from pxm2mesh.io.pictures import data_uri, middle_slices, slice_png
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.quantities import Quantity
from pxm2mesh.report.citations import citations
from pxm2mesh.report.contents import RunContents
from pxm2mesh.report.curves import charts
from pxm2mesh.report.figures import histogram_svg, nice_length
from pxm2mesh.report.summary import cards, worries
from pxm2mesh.report.templates import write_page

logger = logging.getLogger(__name__)

PICTURES = {
    "sample": ("The sample", "The meshed sample in the colours of its phases, one corner cut away."),
    "mesh": ("The mesh", "Tetrahedra behind a cut through the middle."),
    "field": ("The field", "The solution where it was computed."),
}
"""Name of a rendered picture → its heading and, unless the renderer says more, its description."""


@dataclass(frozen=True)
class Picture:
    """A picture on the page: its address, its words for those who cannot see it, and what stands below."""

    source: str
    alt: str
    caption: str
    heading: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class Row:
    """A line of the table of quantities; three values where it has directions."""

    name: str
    subject: str
    unit: str
    method: str
    values: dict[str, str] = field(default_factory=dict)


def write_report(
    folder: str | os.PathLike[str], *, pictures: bool = True, progress: Progress = SILENT
) -> Path:
    """Write ``report.html`` into a run folder: no file beside it, no request to anywhere.

    Args:
        folder: What `pxm2mesh.pipeline.run_study` has worked in.
        pictures: Draw three-dimensional pictures, in a process of their own.
        progress: Where to show what is going on.

    Returns:
        The page.

    Raises:
        DataError: The folder is not the folder of a run.
    """
    run = RunContents(Path(folder))
    study = tomllib.loads(_study_text(run))
    with progress.task("report", total=3) as task:
        drawn, scene = _rendered(run) if pictures else ([], "")
        task.advance(note="pictures")
        slices = _slices(run)
        histograms = _histograms(run)
        task.advance(note="figures")
        page = run.folder / "report.html"
        write_page(
            page,
            "report/report.html.j2",
            run=run,
            study=_study_text(run),
            title=_study_value(run, "report", "title") or run.folder.resolve().name,
            note=_study_value(run, "report", "note"),
            cards=cards(run),
            worries=worries(run),
            slices=slices,
            pictures=drawn,
            histograms=histograms,
            charts=charts(run.folder),
            citations=citations(run, study),
            scene=scene if study.get("report", {}).get("interactive", True) else "",
            viewer=resources.files(__package__).joinpath("viewer.js").read_text(encoding="utf-8"),
            rows=table_rows(run),
            fractions=run.fractions(),
        )
    return page


def table_rows(run: RunContents) -> list[Row]:
    """Quantities as lines of a table, the directions of one quantity side by side."""
    rows: dict[tuple[str, ...], Row] = {}
    for q in run.quantities:
        subject = q.phase or ""
        subject += (" " if subject and q.interface else "") + (q.interface or "")
        if q.region is not None:
            subject += f" region {q.region}"
        key = (q.name, subject, q.unit, q.method)
        row = rows.setdefault(
            key, Row(q.name.replace("_", " "), subject, "" if q.unit == "1" else q.unit, q.method)
        )
        row.values[q.direction or "all"] = format_quantity(q)
    return list(rows.values())


def format_quantity(quantity: Quantity) -> str:
    """Four significant digits, with the uncertainty where there is one."""
    text = "∞" if quantity.value == float("inf") else f"{quantity.value:.4g}"
    if isinstance(quantity.uncertainty, float):
        text += f" ± {quantity.uncertainty:.1g}"
    elif isinstance(quantity.uncertainty, tuple):
        text += f" ({quantity.uncertainty[0]:.3g} to {quantity.uncertainty[1]:.3g})"
    return text


def _slices(run: RunContents) -> list[Picture]:
    labels, phases = run.labels(), run.phases
    if labels is None or phases is None:
        return []
    made = []
    for axis, (plane, index, (right, up)) in middle_slices(labels).items():
        width = plane.shape[0] * run.spacing["xyz".index(right)]
        height = plane.shape[1] * run.spacing["xyz".index(up)]
        bar = nice_length(width / 3)
        shares = {p.name: 100 * float((plane == p.label).mean()) for p in phases}
        told = ", ".join(f"{name} {share:.0f} %" for name, share in shares.items() if share)
        made.append(
            Picture(
                data_uri(slice_png(plane, phases)),
                f"Slice {index} across {axis}: {told}.",
                f"{axis} = {index * run.spacing['xyz'.index(axis)]:.4g} µm",
                details={
                    "bar": bar,
                    "share": 100 * bar / width,
                    "right": right,
                    "up": up,
                    "ratio": width / height,
                },
            )
        )
    return made


def _histograms(run: RunContents) -> list[str]:
    mesh_file = run.folder / "mesh.npz"
    if "mesh" not in run.stages or not mesh_file.exists():
        return []
    from pxm2mesh.io.meshes import load_arrays
    from pxm2mesh.meshing.quality import cell_quality

    mesh = load_arrays(mesh_file)
    quality = cell_quality(mesh.points, mesh.cells)
    angle, ratio = quality.min_dihedral, quality.radius_ratio
    worst = float(angle.min())
    return [
        histogram_svg(
            angle,
            low=0,
            high=75,
            bins=50,
            label="smallest dihedral angle of each tetrahedron [°]",
            describe=f"Smallest dihedral angles of {len(angle)} tetrahedra, from {worst:.1f} degrees.",
            marks=[(worst, f"worst {worst:.1f}°")],
        ),
        histogram_svg(
            ratio,
            low=0,
            high=1,
            bins=50,
            label="radius ratio 3 r / R (1 is a regular tetrahedron)",
            describe=f"Histogram of the radius ratio, from {float(ratio.min()):.2f}.",
        ),
    ]


def _rendered(run: RunContents) -> tuple[list[Picture], str]:
    """Pictures by VTK, in a process of its own (a broken driver costs the pictures and not the run), and the scene."""
    if "mesh" not in run.stages or _study_value(run, "report", "pictures") is False:
        return [], ""
    with tempfile.TemporaryDirectory(prefix="pxm2mesh-") as place:
        command = [sys.executable, "-m", "pxm2mesh.report.render", str(run.folder), place]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            told = done.stderr.strip().splitlines()[-1:] or [f"code {done.returncode}"]
        except subprocess.TimeoutExpired:
            told = ["no end after 300 s"]
        made = []
        for name, (heading, description) in PICTURES.items():
            file = Path(place) / f"{name}.png"
            if not file.exists():
                continue
            words = Path(place) / f"{name}.json"
            details = json.loads(words.read_text(encoding="utf-8")) if words.exists() else {}
            caption = details.get("caption", description)
            made.append(Picture(data_uri(file.read_bytes()), caption, caption, heading, details))
        if not made:
            logger.warning("no three-dimensional pictures in the report: drawing ended with %s", told[0])
        scene = Path(place) / "scene.bin"
        packed = base64.b64encode(scene.read_bytes()).decode("ascii") if scene.exists() and made else ""
        return made, packed


def _study_text(run: RunContents) -> str:
    file = run.folder / "study.toml"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _study_value(run: RunContents, section: str, key: str) -> Any:
    return tomllib.loads(_study_text(run)).get(section, {}).get(key)
