"""Curves of a solve, from the tables it writes: voltage, lithiation, stress, balances, over time or over cycles."""

from __future__ import annotations

import csv
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pxm2mesh.report.figures import nice_length

_NOT_SHOWN = (
    "step",
    "protocol",
    "iterations",
    "wall time",
    "time step",
    "linear",
    "unknowns",
    "newton",
    "number",
    "passes",
    "mechanics",
)
_SAID_BY = {"current [pA]": "rate [C]", "charge [pC]": "capacity [mAh/g]"}
_BALANCES = ("balance", "residual", "spread of")
_COLOURS = ("c1", "c2", "c3", "c4", "c5")
_NO_TOPIC = ("charged", "discharged", "in", "of", "left", "bonds")
_CONSTANT = 1e-6
"""A line that changes by less than this share of itself is not drawn."""
_MOST_LINES = 5
_MOST_POINTS = 600


@dataclass(frozen=True)
class Chart:
    """Lines that share an axis.

    Attributes:
        heading: What is shown.
        svg: The drawing.
        names: Of its lines, in the order of their colours.
    """

    heading: str
    svg: str
    names: tuple[str, ...] = ()


def charts(folder: Path) -> list[Chart]:
    """Every table of a run as charts, one for each unit; tables that are not over time or cycles are left out.

    Args:
        folder: A run folder.

    Returns:
        Charts in the order of the columns; what should be zero comes last, on a logarithmic axis.
    """
    made: list[Chart] = []
    for file in sorted(f for kind in ("scalars", "cycles", "loads") for f in folder.glob(f"{kind}*.csv")):
        columns = _read(file)
        axes = (
            ("time [s]", "load", "cycle")
            if file.name.startswith("scalars")
            else ("cycle", "load", "time [s]")
        )
        across = next((n for n in axes if n in columns), None)
        if across is None or len(columns[across]) < 3:
            continue
        twice = {name for name, better in _SAID_BY.items() if better in columns}
        groups: dict[tuple[str, str], dict[str, list[float]]] = {}
        balances: dict[str, list[float]] = {}
        for name, values in columns.items():
            if name in (*axes, *twice) or any(
                name.lower().startswith(word) or f" {word}" in name for word in _NOT_SHOWN
            ):
                continue
            quantity, _, unit = name.rstrip("]").partition(" [")
            if any(word in quantity for word in _BALANCES):
                balances[quantity] = [math.log10(max(abs(v), 1e-17)) for v in values]
            elif max(known := _finite(values)) - min(known) > _CONSTANT * max(map(abs, known)):
                groups.setdefault((unit, _topic(quantity)), {})[quantity] = values
        x, label = _axis(columns[across], across)
        suffix = file.stem.partition("-")[2]
        for (unit, topic), lines in groups.items():
            made += [
                _chart(x, label, part, _common(list(part)) or topic, unit, suffix) for part in _parted(lines)
            ]
        if balances:
            zero = "what should be zero, log₁₀"
            made += [_chart(x, label, part, zero, "", suffix) for part in _parted(balances)]
    return made


def _topic(quantity: str) -> str:
    """What several columns have in common: "resistance" of "DC resistance, charged", "stress" of "stress in NMC"."""
    words = [word for word in quantity.partition(",")[0].partition(" while ")[0].split() if word.islower()]
    return next((word for word in reversed(words) if word not in _NO_TOPIC), quantity)


def _parted(lines: Mapping[str, Sequence[float]]) -> list[dict[str, Sequence[float]]]:
    """As many lines as one chart holds, those of one end of a cycle together, the others in charts of their own."""
    if len(lines) <= _MOST_LINES:
        return [dict(lines)]
    ends: dict[str, list[str]] = {}
    for name in lines:
        ends.setdefault(name.partition(",")[2], []).append(name)
    return [
        {name: lines[name] for name in names[i : i + _MOST_LINES]}
        for names in ends.values()
        for i in range(0, len(names), _MOST_LINES)
    ]


def _chart(
    x: Sequence[float], label: str, lines: Mapping[str, Sequence[float]], what: str, unit: str, suffix: str
) -> Chart:
    heading = what[:1].upper() + what[1:] + (f" [{unit}]" if unit not in ("", "1") else "")
    heading += f" (computation {suffix})" if suffix else ""
    known = {name: _finite(y) for name, y in lines.items()}
    ends = "; ".join(f"{name} from {y[0]:.4g} to {y[-1]:.4g}" for name, y in known.items())
    told = f"{heading} over {label}: {ends}."
    return Chart(heading, lines_svg(x, lines, label=label, describe=told), tuple(lines))


def _common(names: list[str]) -> str:
    """The words that all names share: "lithiation" of "mean lithiation" and "lowest surface lithiation"."""
    shared = [word for word in names[0].split() if all(word in name.split() for name in names)]
    return " ".join(shared).strip(",").removesuffix(" while")


def _read(file: Path) -> dict[str, list[float]]:
    """Columns of numbers; one with text in it, or with less than three numbers, is left out."""
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    step = max(1, math.ceil(len(rows) / _MOST_POINTS))
    rows = rows[::step] if rows[-1:] == rows[::step][-1:] else [*rows[::step], *rows[-1:]]
    columns: dict[str, list[float]] = {}
    for name in rows[0] if rows else ():
        try:
            values = [float(row[name]) for row in rows]
        except (TypeError, ValueError):
            continue
        if len(_finite(values)) >= min(3, len(values)):
            columns[name] = values
    return columns


def _finite(values: Sequence[float]) -> list[float]:
    """Without what is not known or without bound, as the resistance of contacts that are all lost."""
    return [value for value in values if math.isfinite(value)]


def _axis(values: Sequence[float], name: str) -> tuple[list[float], str]:
    if not name.startswith("time"):
        return list(values), name.partition(" [")[0]
    longest = max(values)
    scale, unit = (3600.0, "h") if longest > 7200 else (60.0, "min") if longest > 120 else (1.0, "s")
    return [v / scale for v in values], f"time [{unit}]"


def lines_svg(x: Sequence[float], lines: Mapping[str, Sequence[float]], *, label: str, describe: str) -> str:
    """A line chart as SVG that takes its colours from the page.

    Args:
        x: Values along the axis, ascending.
        lines: Name → values.
        label: Below the axis.
        describe: What a reader who cannot see it is told.

    Returns:
        An ``<svg>`` element.
    """
    width, height, left, right, top, bottom = 560.0, 240.0, 58.0, 12.0, 10.0, 44.0
    known = [value for values in lines.values() for value in _finite(values)]
    low, high = min(known), max(known)
    if high - low < 1e-12 * max(abs(high), 1e-300):
        low, high = low - 0.5, high + 0.5
    margin = 0.06 * (high - low)
    low, high = low - margin, high + margin
    span = (x[-1] - x[0]) or 1.0

    def across(value: float) -> float:
        return left + (width - left - right) * (value - x[0]) / span

    def up(value: float) -> float:
        return height - bottom - (height - bottom - top) * (value - low) / (high - low)

    parts = [
        f'<line class="grid" x1="{left}" x2="{width - right}" y1="{up(t):.1f}" y2="{up(t):.1f}"/>'
        f'<text class="tick" x="{left - 6}" y="{up(t) + 4:.1f}" text-anchor="end">{t:.5g}</text>'
        for t in _ticks(low, high)
    ]
    parts += [
        f'<text class="tick" x="{across(t):.1f}" y="{height - bottom + 16:.1f}" text-anchor="middle">{t:g}</text>'
        for t in _ticks(x[0], x[-1])
        if t.is_integer() or not all(map(float.is_integer, x))  # there is no half a cycle
    ]
    for colour, values in zip(_COLOURS, lines.values(), strict=False):
        points = " ".join(
            f"{across(a):.1f},{up(b):.1f}" for a, b in zip(x, values, strict=True) if math.isfinite(b)
        )
        parts.append(f'<polyline class="line {colour}" points="{points}"/>')
    floor = height - bottom
    return (
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{html.escape(describe)}">'
        f'<line class="axis" x1="{left}" x2="{width - right}" y1="{floor}" y2="{floor}"/>{"".join(parts)}'
        f'<text class="label" x="{(left + width) / 2}" y="{height - 6}" text-anchor="middle">'
        f"{html.escape(label)}</text></svg>"
    )


def _ticks(low: float, high: float) -> list[float]:
    if high <= low:
        return [low]
    step = nice_length((high - low) / 4)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]
