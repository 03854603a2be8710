"""One table and one page for all cases of a sweep."""

from __future__ import annotations

import csv
import logging
import math
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pxm2mesh.errors import did_you_mean
from pxm2mesh.files import replacing
from pxm2mesh.pipeline.record import Record
from pxm2mesh.pipeline.stages import SOLVED
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.report.templates import svg_of, write_page
from pxm2mesh.sweep.courses import Course, courses, drawing, write_course
from pxm2mesh.sweep.execute import CaseState
from pxm2mesh.sweep.plan import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)

_MOST_PANELS = 12
_TITLE = 46
"""Characters beside each other above a panel."""
_REPEATS = "seed"  # an axis of this name repeats the same case: its points share a line, which goes through their means
_WELL_KNOWN = ("porosity", "contact_fraction", "tortuosity_factor", "effective_conductivity", "thickness")
_COLOURS = ("#2f6690", "#c8762b", "#3f8f5f", "#b0413e", "#7a5ea6", "#6b7a8f")


@dataclass(frozen=True)
class SweepResult:
    """The cases with their numbers.

    Attributes:
        axes: What was varied.
        states: What became of each case.
        values: Case → heading (``"tortuosity_factor LPSCl x"``) → value.
        headings: All headings, those to show first.
        shown: How many of the headings are shown.
        units: Heading → unit.
        ended: Case → why its simulation ended, where it had one.
    """

    axes: tuple[str, ...]
    states: tuple[CaseState, ...]
    values: Mapping[str, Mapping[str, float]]
    headings: tuple[str, ...]
    shown: int
    units: Mapping[str, str]
    ended: Mapping[str, str]


def gather(sweep: Sweep, states: Sequence[CaseState]) -> SweepResult:
    """Read the quantities of every case that has some.

    Args:
        sweep: The sweep.
        states: What became of its cases.

    A quantity that the sweep file names and that no case has is told in the log.
    """
    values: dict[str, dict[str, float]] = {}
    units: dict[str, str] = {}
    names: dict[str, str] = {}
    solved: set[str] = set()
    for case, state in zip(sweep.cases, states, strict=True):
        file = case.study.folder / "quantities.json"
        rows = Quantities.read(file) if state.status == "done" and file.exists() else Quantities()
        values[case.name] = {_heading(q): q.value for q in rows}
        units |= {_heading(q): q.unit for q in rows}
        names |= {_heading(q): q.name for q in rows}
        if (file.parent / SOLVED).exists():
            solved |= {_heading(q) for q in Quantities.read(file.parent / SOLVED)}
    done = any(state.status == "done" for state in states)
    for name in sweep.quantities:
        if done and name not in names.values():
            logger.warning(
                "no case has a quantity %r; %s", name, did_you_mean(name, sorted(set(names.values())))
            )
    wanted = _varying(values, units)
    if set(sweep.quantities) & set(names.values()):
        wanted = [h for name in sweep.quantities for h in units if names[h] == name]
    else:  # what was solved for comes last in a run, and is what one varies things for
        wanted.sort(key=lambda h: (h not in solved, names[h] not in _WELL_KNOWN))
    rest = [h for h in units if h not in wanted]
    ended = {case.name: _ended(case.study.folder) for case in sweep.cases}
    return SweepResult(sweep.axes, tuple(states), values, (*wanted, *rest), len(wanted), units, ended)


def _ended(folder: Path) -> str:
    """Why the simulation of a case ended; empty where there is none."""
    solved = Record(folder).stages.get("solve")
    return "" if solved is None else str(solved.facts.get("ended", ""))


def _heading(quantity: Quantity) -> str:
    """The method belongs to it: a conductivity on voxels and one on the mesh are two columns."""
    return " ".join(part for part in (quantity.name, quantity.subject, f"({quantity.method})") if part)


def _varying(values: Mapping[str, Mapping[str, float]], units: Mapping[str, str]) -> list[str]:
    """Headings whose value is not the same in all cases that have numbers."""
    rows = [row for row in values.values() if row]
    found = []
    for heading in units:
        column = {row.get(heading) for row in rows}
        if len(column) > 1:
            found.append(heading)
    return found


def write_results(sweep: Sweep, states: Sequence[CaseState]) -> tuple[Path, ...]:
    """Write ``sweep.csv`` (a row per case) and ``sweep.html`` (what became of them, table, curves).

    Cases with a table over loads or cycles give ``sweep-loads.csv``, ``sweep-cycles.csv``: all of them in one.

    Args:
        sweep: The sweep.
        states: As `run_sweep` returned them.

    Returns:
        The files, table and page first.
    """
    result = gather(sweep, states)
    table, page = sweep.folder / "sweep.csv", sweep.folder / "sweep.html"
    with replacing(table) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        columns = [h if result.units[h] == "1" else f"{h} [{result.units[h]}]" for h in result.headings]
        writer.writerow(["case", *result.axes, "status", "ended", "seconds", *columns])
        for state in result.states:
            row = result.values[state.name]
            cells = [row.get(h, "") for h in result.headings]
            fixed = [state.name, *state.parameters.values(), state.status, result.ended[state.name]]
            writer.writerow([*fixed, state.seconds, *cells])
    found = courses(sweep.folder, result.states)
    more = [write_course(course, sweep.folder, result.axes, result.states) for course in found]
    _write_page(page, sweep, result, found)
    return table, page, *more


def _write_page(page: Path, sweep: Sweep, result: SweepResult, found: Sequence[Course]) -> None:
    shown = result.headings[: result.shown][:_MOST_PANELS]
    rows = [
        {"state": state, "ended": result.ended[state.name],
         "cells": [_text(result.values[state.name].get(h)) for h in shown],
         "report": f"{state.name}/report.html" if (sweep.folder / state.name / "report.html").exists() else ""}
        for state in result.states
    ]  # fmt: skip
    counts = {
        s: sum(state.status == s for state in result.states) for s in ("done", "failed", "killed", "waiting")
    }
    write_page(
        page, "sweep/sweep.html.j2",
        title=sweep.folder.name, axes=result.axes, rows=rows, counts=counts, total=len(result.states),
        columns=[(h, result.units[h]) for h in shown], ended=any(result.ended.values()),
        more=len(result.headings) - len(shown),
        figure=_figure(result, shown),
        courses=[(c.name, c.across, svg) for c in found
                 if (svg := drawing(c, result.states, _main_axis(result), sweep.quantities))],
    )  # fmt: skip


def _text(value: float | None) -> str:
    if value is None:
        return "–"
    return "∞" if math.isinf(value) else f"{value:.4g}"


def _figure(result: SweepResult, shown: Sequence[str]) -> str:
    """Curves over the last axis with numbers in it (bars where there is none), a line per setting of the others."""
    if not shown or not any(state.status == "done" for state in result.states):
        return ""
    from matplotlib.figure import Figure

    axis = _main_axis(result)
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(4.1 * columns, 2.9 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, heading in zip(panels, shown, strict=False):
        short = _short(heading)
        title = short if sum(_short(other) == short for other in shown) == 1 else heading
        _panel(panel, result, heading, axis, title.replace("_", " "))
    for panel in panels[len(shown) :]:
        panel.remove()
    drawn = [panel.get_legend_handles_labels() for panel in panels[: len(shown)]]
    legend = {
        label: handle for handles, labels in drawn for handle, label in zip(handles, labels, strict=True)
    }
    if len(legend) > 1:
        labels = sorted(legend, key=[_others(state, axis) for state in result.states].index)
        figure.legend(
            [legend[label] for label in labels],
            labels,
            loc="outside upper left",
            ncols=min(4, len(labels)),
            frameon=False,
            fontsize=9,
        )
    return svg_of(figure)


def _main_axis(result: SweepResult) -> str:
    """The axis with the most values; of equals the last with numbers on it."""
    candidates = [axis for axis in result.axes if axis != _REPEATS] or list(result.axes)

    def rank(axis: str) -> tuple[int, bool, int]:
        values = {str(state.parameters[axis]) for state in result.states}
        return len(values), all(_number(value) is not None for value in values), result.axes.index(axis)

    return max(candidates, key=rank)


def _number(value: Any) -> float | None:
    """A number, with or without a unit: ``"5 MPa"`` is 5."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(str(value).split()[0])
    except (ValueError, IndexError):
        return None


def _short(heading: str) -> str:
    """Without the method."""
    return heading.partition(" (")[0]


def _others(state: CaseState, axis: str) -> str:
    """What a case is, apart from its place along the axis."""
    return ", ".join(f"{a} {v}" for a, v in state.parameters.items() if a not in (axis, _REPEATS))


def _panel(panel: Axes, result: SweepResult, heading: str, axis: str, title: str) -> None:
    places = list(dict.fromkeys(str(s.parameters[axis]) for s in result.states))
    numbers = [_number(place) for place in places]
    units = {place.split()[-1] for place in places if len(place.split()) == 2}
    numeric = all(number is not None for number in numbers) and len(units) <= 1
    curves: dict[str, list[tuple[float, float]]] = {_others(state, axis): [] for state in result.states}
    for state in result.states:
        value = result.values[state.name].get(heading, math.nan)
        place = str(state.parameters[axis])
        number = _number(place) if numeric else None
        where = float(places.index(place)) if number is None else number
        if math.isfinite(value):
            curves[_others(state, axis)].append((where, value))
    for i, (label, points) in enumerate(curves.items()):
        if not points:  # keeps its colour in the other panels
            continue
        x, y = zip(*sorted(points), strict=True)
        colour, at = _COLOURS[i % len(_COLOURS)], sorted(set(x))
        means = [statistics.fmean(v for u, v in points if u == place) for place in at]
        panel.plot(x, y, "o", color=colour, markersize=3.5, alpha=0.6)
        panel.plot(at, means, "-", color=colour, linewidth=1.5, label=label)
    if not numeric:
        panel.set_xticks(range(len(places)), places)
    unit = f" [{units.pop()}]" if numeric and units else ""
    panel.set_xlabel(f"{axis.replace('_', ' ')}{unit}", fontsize=9)
    told = title if result.units[heading] == "1" else f"{title} [{result.units[heading]}]"
    panel.set_title(textwrap.fill(told, _TITLE), fontsize=9, loc="left")
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)
