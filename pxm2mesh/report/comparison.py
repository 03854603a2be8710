"""One self-contained page about several runs."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pxm2mesh.quantify.compare import ComparedRow, Comparison
from pxm2mesh.report.states import state_names
from pxm2mesh.report.summary import Card
from pxm2mesh.report.templates import write_page

FIGURED = ("porosity", "volume_fraction", "contact_fraction", "tortuosity_factor", "effective_conductivity",
           "particle_diameter_d50", "pore_diameter_d50", "thickness", "gap_area_fraction", "crack_area_fraction",
           "crack_width")  # fmt: skip
"""What one looks at first."""
_MOST_CARDS = 6
_FIGURES = {
    "comparison.svg": ("Side by side", "Bars of the best-known quantities for {}; the numbers stand in the table."),
    "profiles.svg": ("Across the thickness", "Share of each phase along z, a line for each of {}."),
    "sizes.svg": ("Sizes", "Cumulative sizes of particles and pores, a line for each of {}."),
}  # fmt: skip
"""File → its heading, and its words for those who cannot see it."""


@dataclass(frozen=True)
class _Row:
    name: str
    subject: str
    cells: tuple[str, ...]
    change: str
    unit: str
    method: str


def write_comparison_page(
    page: Path, comparison: Comparison, files: Sequence[Path], runs: Sequence[Path]
) -> None:
    """Write what several runs have in common and where they differ on one page that needs nothing but itself.

    Args:
        page: The file.
        comparison: The numbers.
        files: Figures (``comparison.svg``, ``profiles.svg``, ``sizes.svg``) and ``changes.csv`` where there are.
        runs: Their folders; a report in one of them is linked.
    """
    from pxm2mesh import __version__

    states = ", ".join(comparison.states)
    figures = []
    for file in files:
        if file.name in _FIGURES:
            heading, words = _FIGURES[file.name]
            svg = file.read_text(encoding="utf-8")
            figures.append((heading, words.format(states), svg[svg.index("<svg") :]))
    write_page(
        page,
        "report/comparison.html.j2",
        version=__version__,
        states=comparison.states,
        rows=[_row(row, comparison.states) for row in comparison.rows],
        changed=sum(_differs(row) for row in comparison.rows),
        cards=list(_cards(comparison)),
        figures=figures,
        changes=[row for file in files if file.name == "changes.csv" for row in _changes(file)],
        reports=[
            (name, os.path.relpath(run / "report.html", page.parent))
            for name, run in state_names(runs).items()
            if (run / "report.html").exists()
        ],
    )


def _row(row: ComparedRow, states: Sequence[str]) -> _Row:
    change = _change(row, states)
    unit = "" if row.unit == "1" else row.unit
    told = "" if change is None else f"{100 * change:+.3g} %"
    cells = tuple(_cell(row, state) for state in states)
    return _Row(row.name.replace("_", " "), row.subject, cells, told, unit, row.method)


def _cell(row: ComparedRow, state: str) -> str:
    span, text = row.intervals[state], _text(row.values[state])
    return text if span is None else f"{text} ({span[0]:.3g} to {span[1]:.3g})"


def _text(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "∞" if math.isinf(value) else f"{value:.4g}"


def _change(row: ComparedRow, states: Sequence[str]) -> float | None:
    """Relative change from the first state to the last; None where either has no number, or an infinite one."""
    change = row.change(states[0], states[-1])
    return change if math.isfinite(change) and math.isfinite(row.values[states[0]]) else None


def _differs(row: ComparedRow) -> bool:
    return len({_text(value) for value in row.values.values()}) > 1


def _cards(comparison: Comparison) -> Iterator[Card]:
    """The best-known quantities that changed most, one card a quantity and subject, the largest change first."""
    first, last = comparison.states[0], comparison.states[-1]
    best: dict[tuple[str, str], tuple[float, ComparedRow]] = {}
    for row in comparison.rows:
        change = _change(row, comparison.states)
        if row.name in FIGURED and change is not None and _differs(row):
            best.setdefault((row.name, row.subject), (change, row))
    for change, row in sorted(best.values(), key=lambda found: -abs(found[0]))[:_MOST_CARDS]:
        unit = "" if row.unit == "1" else f" {row.unit}"
        yield Card(
            f"{row.name.replace('_', ' ')} {row.subject}".rstrip(),
            f"{_text(row.values[first])} → {_text(row.values[last])}{unit}",
            f"{100 * change:+.3g} %",
        )


def _changes(file: Path) -> Iterator[tuple[str, str, str, str, float]]:
    """Rows of ``changes.csv`` in which the phase is another one."""
    with file.open(newline="", encoding="utf-8") as stream:
        for before, after, old, new, share in list(csv.reader(stream))[1:]:
            if old != new:
                yield before, after, old, new, float(share)
