"""What the cases of a sweep did on their way: their tables over loads or cycles in one, and curves of them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pxm2mesh.files import replacing
from pxm2mesh.report.templates import svg_of
from pxm2mesh.sweep.execute import CaseState

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TABLES = ("loads", "cycles")
_WELL_KNOWN = ("contact_fraction", "effective_contact_fraction", "charge_transfer_resistance_ratio", "porosity",
               "capacity_discharged", "ionic_conductivity_ratio")  # fmt: skip
_MOST_PANELS = 6
_COLOURS = ("#2f6690", "#c8762b", "#3f8f5f", "#b0413e", "#7a5ea6", "#6b7a8f")
_LEAST_CHANGE = 1e-6


@dataclass(frozen=True)
class Course:
    """One table of all cases, such as that of their cycles.

    Attributes:
        name: ``loads`` or ``cycles``, with the number of the physics where there are several.
        across: The column that counts: ``load``, ``cycle``.
        columns: All others, in the order in which they were found.
        rows: Case → its rows, column → value; nothing where a case has no such column.
    """

    name: str
    across: str
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[Mapping[str, float]]]


def courses(folder: Path, states: Sequence[CaseState]) -> tuple[Course, ...]:
    """Read the tables of the cases that are done.

    Args:
        folder: Of the sweep; each case has a folder in it.
        states: What became of the cases.
    """
    done = [state.name for state in states if state.status == "done"]
    names = sorted(
        {file.stem for case in done for kind in _TABLES for file in (folder / case).glob(f"{kind}*.csv")}
    )
    found = []
    for name in names:
        rows = {case: _read(folder / case / f"{name}.csv") for case in done}
        columns = list(dict.fromkeys(column for table in rows.values() for row in table for column in row))
        across = name.partition("-")[0].removesuffix("s")
        if across in columns:
            columns.remove(across)
            found.append(Course(name, across, tuple(columns), rows))
    return tuple(found)


def _read(file: Path) -> list[dict[str, float]]:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return [
                {name: float(text) for name, text in row.items() if text} for row in csv.DictReader(stream)
            ]
    except FileNotFoundError:
        return []


def write_course(course: Course, folder: Path, axes: Sequence[str], states: Sequence[CaseState]) -> Path:
    """Write ``sweep-loads.csv`` or ``sweep-cycles.csv``: a row for each row of each case, what was varied first.

    Args:
        course: The table.
        folder: Of the sweep.
        axes: What was varied.
        states: The cases.

    Returns:
        The file.
    """
    path = folder / f"sweep-{course.name}.csv"
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["case", *axes, course.across, *course.columns])
        for state in states:
            for row in course.rows.get(state.name, ()):
                cells = [row.get(name, "") for name in course.columns]
                writer.writerow([state.name, *state.parameters.values(), int(row[course.across]), *cells])
    return path


def drawing(course: Course, states: Sequence[CaseState], axis: str, wanted: Sequence[str] = ()) -> str:
    """Curves of the best-known columns, a line for each case, coloured by the value of one axis.

    Args:
        course: The table.
        states: The cases.
        axis: What the colours tell.
        wanted: Names of quantities to show instead of the well-known ones.

    Returns:
        An SVG element; empty where nothing changes.
    """
    shown = [
        column
        for column in course.columns
        if _is_one_of(column, wanted or _WELL_KNOWN) and _changes(course, column)
    ]
    shown = shown[:_MOST_PANELS]
    if not shown:
        return ""
    from matplotlib.figure import Figure

    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(4.1 * columns, 2.9 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, column in zip(panels, shown, strict=False):
        _panel(panel, course, column, states, axis)
    for panel in panels[len(shown) :]:
        panel.remove()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=min(4, len(labels)), frameon=False, fontsize=9
    )
    return svg_of(figure)


def _is_one_of(column: str, names: Sequence[str]) -> bool:
    return any(column.startswith(name.replace("_", " ")) for name in names)


def _changes(course: Course, column: str) -> bool:
    values = [row[column] for rows in course.rows.values() for row in rows if column in row]
    finite = [value for value in values if math.isfinite(value)]
    return len(finite) > 1 and max(finite) - min(finite) > _LEAST_CHANGE * max(map(abs, finite))


def _panel(panel: Axes, course: Course, column: str, states: Sequence[CaseState], axis: str) -> None:
    from matplotlib.ticker import MaxNLocator

    values = list(dict.fromkeys(str(state.parameters[axis]) for state in states))
    told = set()
    for state in states:
        rows = [row for row in course.rows.get(state.name, ()) if math.isfinite(row.get(column, math.nan))]
        if not rows:
            continue
        value = str(state.parameters[axis])
        label = None if value in told else f"{axis.replace('_', ' ')} {value}"
        told.add(value)
        x, y = ([row[name] for row in rows] for name in (course.across, column))
        colour = _COLOURS[values.index(value) % len(_COLOURS)]
        panel.plot(x, y, "o-", markersize=2.5, linewidth=1, alpha=0.75, color=colour, label=label)
    panel.set_title(column.removesuffix(" [1]"), fontsize=9, loc="left")
    panel.set_xlabel(course.across, fontsize=9)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)
