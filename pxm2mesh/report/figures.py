"""Small drawings without a plotting library: histograms as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def nice_length(length: float) -> float:
    """The largest of 1, 2, 5 × 10ⁿ that is at most ``length``: for scale bars."""
    base = 10.0 ** math.floor(math.log10(length))
    return next(step * base for step in (5, 2, 1) if step * base <= length * (1 + 1e-9))


def histogram_svg(
    values: npt.NDArray[np.floating[Any]],
    *,
    low: float,
    high: float,
    bins: int,
    label: str,
    describe: str,
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """A histogram as SVG that takes its colours from the page.

    Args:
        values: (n,) numbers.
        low: Left end of the axis.
        high: Right end of the axis; values beyond either end count in the last bin there.
        bins: Bars.
        label: Below the axis.
        describe: What a reader who cannot see it is told.
        marks: Vertical lines with their text.

    Returns:
        An ``<svg>`` element.
    """
    width, height, left, bottom, top = 560.0, 230.0, 8.0, 44.0, 26.0
    counts, edges = np.histogram(np.clip(values, low, high), bins=bins, range=(low, high))
    tallest = max(int(counts.max()), 1)

    def across(value: float) -> float:
        return left + (width - 2 * left) * (value - low) / (high - low)

    floor = height - bottom
    bars = "".join(
        f'<rect class="bar" x="{across(a) + 0.5:.1f}" y="{floor - (floor - top) * n / tallest:.1f}" '
        f'width="{max(across(b) - across(a) - 1, 0.5):.1f}" height="{(floor - top) * n / tallest:.1f}"/>'
        for n, a, b in zip(counts, edges, edges[1:], strict=False)
        if n
    )
    lines = "".join(_mark(across(value), text, top, floor, width) for value, text in marks)
    ticks = "".join(
        f'<text class="tick" x="{across(tick):.1f}" y="{floor + 16:.1f}" text-anchor="middle">{tick:g}</text>'
        for tick in _ticks(low, high)
    )
    told, below = html.escape(describe), html.escape(label)
    return (
        f'<svg class="histogram" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{told}">'
        f'{bars}<line class="axis" x1="{left}" x2="{width - left}" y1="{floor}" y2="{floor}"/>{lines}{ticks}'
        f'<text class="label" x="{width / 2}" y="{height - 6}" text-anchor="middle">{below}</text></svg>'
    )


def _mark(x: float, text: str, top: float, floor: float, width: float) -> str:
    anchor, shift = ("end", -5) if x > width * 0.6 else ("start", 5)
    return (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 12:.1f}" y2="{floor:.1f}"/>'
        f'<text class="marktext" x="{x + shift:.1f}" y="{top - 3:.1f}" text-anchor="{anchor}">'
        f"{html.escape(text)}</text>"
    )


def _ticks(low: float, high: float) -> list[float]:
    step = nice_length((high - low) / 4)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]
