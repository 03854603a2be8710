"""Intervals from variants of one segmentation, and several states side by side."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pxm2mesh.errors import UsageError
from pxm2mesh.files import replacing
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.quantify.connectivity import AXES
from pxm2mesh.quantify.measure import quantify
from pxm2mesh.quantities import Quantities, Quantity
from pxm2mesh.volume import LabelVolume

_Key = tuple[str, str | None, str | None, int | None, str | None, str]


def _key(q: Quantity) -> _Key:
    """The method belongs to it: a conductivity on voxels and one on the mesh are two rows."""
    return q.name, q.phase, q.interface, q.region, q.direction, q.method


def quantify_with_intervals(
    nominal: LabelVolume,
    variants: Sequence[LabelVolume],
    *,
    only: Sequence[str] | None = None,
    directions: Sequence[str] = AXES,
    progress: Progress = SILENT,
) -> Quantities:
    """Measure a sample and say how much each number depends on the segmentation.

    Args:
        nominal: The segmentation to report.
        variants: Others that are as defensible, such as thresholds ± Δ or `boundary_variants`.
        only: As in `quantify`.
        directions: As in `quantify`.
        progress: Shows every volume's groups.

    Returns:
        The nominal values; ``uncertainty`` is (lowest, highest) over all volumes. A quantity that a variant
        does not have keeps the interval of those that do.

    Raises:
        UsageError: No variant.
    """
    if not variants:
        raise UsageError(
            "an interval needs at least one variant;", hint="give the segmentation at threshold ± Δ."
        )
    rows = quantify(nominal, only=only, directions=directions, progress=progress)
    return add_intervals(rows, variants, only=only, directions=directions, progress=progress)


def add_intervals(
    rows: Quantities,
    variants: Iterable[LabelVolume],
    *,
    only: Sequence[str] | None = None,
    directions: Sequence[str] = AXES,
    progress: Progress = SILENT,
) -> Quantities:
    """As `quantify_with_intervals`, for a sample that is measured already; one variant in memory at a time.

    Args:
        rows: The nominal values.
        variants: Other segmentations.
        only: As in `quantify`.
        directions: As in `quantify`.
        progress: Shows every volume's groups.

    Returns:
        The rows; ``uncertainty`` is (lowest, highest) over them and the variants.
    """
    span: dict[_Key, list[float]] = {_key(q): [q.value] for q in rows}
    for variant in variants:
        for q in quantify(variant, only=only, directions=directions, progress=progress):
            if _key(q) in span:
                span[_key(q)].append(q.value)
    return Quantities(replace(q, uncertainty=(min(span[_key(q)]), max(span[_key(q)]))) for q in rows)


def all_boundary_variants(volume: LabelVolume) -> Iterator[LabelVolume]:
    """`boundary_variants` of every phase but the voids, as far as it has voxels and does not fill the sample."""
    counts = volume.voxel_counts()
    for phase in volume.phases:
        if phase.role != "void" and 0 < counts[phase.name] < volume.labels.size:
            yield from boundary_variants(volume, phase.name)


def boundary_variants(volume: LabelVolume, phase: str) -> tuple[LabelVolume, LabelVolume]:
    """The sample with one phase a voxel thinner and a voxel thicker all around.

    Args:
        volume: The sample.
        phase: Phase whose boundary is in doubt.

    Returns:
        Thinner (its outer voxels become the phase they touch, lower x, y, z first) and thicker.
    """
    label = volume.require(phase).label
    labels = volume.labels
    inside = labels == label
    thicker, thinner = labels.copy(), labels.copy()
    grown = inside.copy()
    undecided = inside.copy()
    for axis in range(3):
        low = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        for here, there in ((low, high), (high, low)):
            grown[here] |= inside[there]
            eaten = undecided[here] & ~inside[there]
            thinner[here] = np.where(eaten, labels[there], thinner[here])
            undecided[here] &= ~eaten
    thicker[grown] = label
    made = (
        LabelVolume(new, volume.phases, volume.spacing, volume.origin, volume.particles)
        for new in (thinner, thicker)
    )
    first, second = made
    return first, second


@dataclass(frozen=True)
class ComparedRow:
    """One quantity in several states.

    Attributes:
        name: Of the quantity.
        subject: Phase, interface, region, direction.
        unit: Its unit.
        method: How it was obtained.
        values: By state; NaN where a state does not have it.
        intervals: By state; None where not estimated.
    """

    name: str
    subject: str
    unit: str
    method: str
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float] | None]

    def change(self, first: str, second: str) -> float:
        """Relative change from one state to another."""
        return self.values[second] / self.values[first] - 1 if self.values[first] else float("nan")


@dataclass(frozen=True)
class Comparison:
    """Several states side by side.

    Attributes:
        states: Their names, in order.
        rows: One per quantity and subject.
    """

    states: tuple[str, ...]
    rows: tuple[ComparedRow, ...]

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table: per state value, low and high."""
        with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            columns = [c for s in self.states for c in (s, f"{s} low", f"{s} high")]
            writer.writerow(["name", "subject", "unit", "method", *columns])
            for row in self.rows:
                cells: list[object] = []
                for state in self.states:
                    low, high = row.intervals[state] or ("", "")
                    cells += [row.values[state], low, high]
                writer.writerow([row.name, row.subject, row.unit, row.method, *cells])

    def __repr__(self) -> str:
        head = f"{'quantity':<28}  {'of':<24}" + "".join(f"{s:>14}" for s in self.states) + "  unit  method"
        lines = [
            f"{r.name:<28}  {r.subject:<24}"
            + "".join(f"{r.values[s]:>14.6g}" for s in self.states)
            + f"  {r.unit}  {r.method}"
            for r in self.rows
        ]
        return "\n".join([head, *lines])


def compare(states: Mapping[str, Quantities]) -> Comparison:
    """Put the quantities of several states side by side.

    Args:
        states: Quantities by the name of the state, in the order to show them.

    Returns:
        One row for each quantity that any state has, in the order they first occur.

    Raises:
        UsageError: Fewer than two states.
    """
    if len(states) < 2:
        raise UsageError(f"{len(states)} state given;", hint="a comparison needs two or more.")
    found: dict[_Key, dict[str, Quantity]] = {}
    for state, quantities in states.items():
        for q in quantities:
            found.setdefault(_key(q), {})[state] = q
    rows = []
    for by_state in found.values():
        one = next(iter(by_state.values()))
        values = {s: by_state[s].value if s in by_state else float("nan") for s in states}
        intervals = {s: _interval(by_state[s]) if s in by_state else None for s in states}
        rows.append(ComparedRow(one.name, one.subject, one.unit, one.method, values, intervals))
    return Comparison(tuple(states), tuple(rows))


def _interval(q: Quantity) -> tuple[float, float] | None:
    if q.uncertainty is None or isinstance(q.uncertainty, tuple):
        return q.uncertainty
    return q.value - q.uncertainty, q.value + q.uncertainty
