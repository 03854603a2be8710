"""Measured and computed numbers: value, unit, method and uncertainty in one row."""

from __future__ import annotations

import csv
import html
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pxm2mesh.errors import DataError, UsageError, did_you_mean
from pxm2mesh.files import replacing, write_json

_FIELDS = ("name", "phase", "interface", "region", "direction", "value", "unit", "method", "uncertainty")


@dataclass(frozen=True)
class Quantity:
    """One number.

    Attributes:
        name: Such as ``"tortuosity_factor"``; the names in use stand in the reference.
        value: The number; ``inf`` where that is the answer (tortuosity of a phase that does not percolate).
        unit: Such as ``"um"``, ``"1/um"``, ``"1"``.
        method: How it was obtained.
        phase: The phase it belongs to, if any.
        interface: The interface ``"A | B"`` it belongs to, if any.
        region: The region or particle id it belongs to, if any.
        direction: ``"x"``, ``"y"`` or ``"z"``, if any.
        uncertainty: Half-width, or (low, high), in ``unit``; None where not estimated.
    """

    name: str
    value: float
    unit: str
    method: str
    phase: str | None = None
    interface: str | None = None
    region: int | None = None
    direction: str | None = None
    uncertainty: float | tuple[float, float] | None = None

    @property
    def subject(self) -> str:
        """What it is a quantity of: phase, interface, region and direction in one text."""
        region = None if self.region is None else f"region {self.region}"
        return " ".join(p for p in (self.phase, self.interface, region, self.direction) if p)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form: absent fields left out, infinities as text (JSON has none)."""
        row = {name: getattr(self, name) for name in _FIELDS}
        row["value"] = _json_number(self.value)
        if isinstance(self.uncertainty, tuple):
            row["uncertainty"] = [_json_number(v) for v in self.uncertainty]
        elif self.uncertainty is not None:
            row["uncertainty"] = _json_number(self.uncertainty)
        optional = ("phase", "interface", "region", "direction", "uncertainty")
        return {key: value for key, value in row.items() if value is not None or key not in optional}


def _json_number(value: float) -> float | str:
    return value if math.isfinite(value) else str(float(value))


def _spread(quantity: Quantity) -> tuple[float, float]:
    """How far the uncertainty reaches below and above the value; 0 where there is none."""
    if isinstance(quantity.uncertainty, tuple):
        low, high = quantity.uncertainty
        return max(quantity.value - low, 0.0), max(high - quantity.value, 0.0)
    return (quantity.uncertainty or 0.0,) * 2


class Quantities:
    """A list of `Quantity`, with look-up, tables and files."""

    def __init__(self, rows: Iterable[Quantity] = ()) -> None:
        self._rows = tuple(rows)

    def __iter__(self) -> Iterator[Quantity]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __add__(self, other: Iterable[Quantity]) -> Quantities:
        return Quantities((*self._rows, *other))

    def select(self, name: str | None = None, **where: Any) -> Quantities:
        """Rows of that name whose fields equal ``where`` (phase, interface, region, direction, method)."""
        strange = set(where) - set(_FIELDS)
        if strange:
            raise UsageError(f"unknown field {min(strange)!r};", hint=did_you_mean(min(strange), _FIELDS))
        rows = (q for q in self._rows if name is None or q.name == name)
        return Quantities(q for q in rows if all(getattr(q, k) == v for k, v in where.items()))

    def value(self, name: str, **where: Any) -> float:
        """The value of the one row that matches.

        Raises:
            UsageError: None matches, or more than one.
        """
        found = self.select(name, **where)
        if len(found) == 1:
            return next(iter(found)).value
        if len(found) == 0 and name not in {q.name for q in self._rows}:
            raise UsageError(
                f"no quantity {name!r};", hint=did_you_mean(name, sorted({q.name for q in self._rows}))
            )
        hint = "name the phase, interface or direction."
        raise UsageError(f"{len(found)} quantities match {name!r} {where};", hint=hint)

    def __getitem__(self, name: str) -> float:
        return self.value(name)

    def as_list(self) -> list[dict[str, Any]]:
        """The JSON form."""
        return [q.as_dict() for q in self._rows]

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write ``.json`` or ``.csv``.

        Raises:
            UsageError: Another suffix.
        """
        suffix = Path(path).suffix.lower()
        if suffix == ".json":
            write_json(path, self.as_list())
        elif suffix == ".csv":
            with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, _FIELDS, restval="")
                writer.writeheader()
                writer.writerows(q.as_dict() for q in self._rows)
        else:
            raise UsageError(f"quantities cannot be written as {suffix!r};", hint='use ".json" or ".csv".')

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Quantities:
        """Read what `write` wrote as ``.json``."""
        try:
            rows = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(cls._from_dict(row) for row in rows)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path} is not a file of quantities: {error}") from error

    @staticmethod
    def _from_dict(row: Mapping[str, Any]) -> Quantity:
        fields = dict(row)
        fields["value"] = float(fields["value"])
        uncertainty = fields.get("uncertainty")
        if isinstance(uncertainty, list):
            fields["uncertainty"] = (float(uncertainty[0]), float(uncertainty[1]))
        elif uncertainty is not None:
            fields["uncertainty"] = float(uncertainty)
        return Quantity(**fields)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("quantity", "of", "value", "unit", "method"))
        rows = (
            (q.name, q.subject, f"{q.value:.5g}", "" if q.unit == "1" else q.unit, q.method)
            for q in self._rows
        )
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>" for row in rows)
        return f"<table><tr>{head}</tr>{body}</table>"

    def plot(self, *names: str) -> Any:
        """Bars of chosen quantities, with their uncertainty where it is known.

        Args:
            names: Such as ``"volume_fraction"``; everything when none is given. One panel for each name and unit.

        Returns:
            A matplotlib figure; a notebook shows it.

        Raises:
            UsageError: There is nothing of that name.
        """
        import matplotlib.pyplot as plt

        for name in names:
            self.select(name) or self.value(name)  # which says what there is
        panels: dict[tuple[str, str], list[Quantity]] = {}
        for q in self._rows:
            if (not names or q.name in names) and math.isfinite(q.value):
                panels.setdefault((q.name, q.unit), []).append(q)
        count = max(len(panels), 1)
        figure, axes = plt.subplots(
            count, 1, figsize=(7, 0.8 + 1.9 * count), squeeze=False, layout="constrained"
        )
        for ax, ((name, unit), rows) in zip(axes[:, 0], panels.items(), strict=False):
            low, high = zip(*(_spread(q) for q in rows), strict=True)
            labels = [q.subject or "sample" for q in rows]
            ax.barh(range(len(rows)), [q.value for q in rows], xerr=[low, high], color="#4c72b0", capsize=3)
            ax.set_yticks(range(len(rows)), labels)
            ax.invert_yaxis()
            ax.set_title(
                name.replace("_", " ") + ("" if unit == "1" else f" [{unit}]"), loc="left", fontsize=10
            )
            ax.spines[["top", "right"]].set_visible(False)
        return figure

    def __repr__(self) -> str:
        if not self._rows:
            return "Quantities()"
        lines = [(q.name, q.subject, f"{q.value:.6g}", q.unit, q.method) for q in self._rows]
        widths = [max(len(line[i]) for line in lines) for i in range(4)]
        return "\n".join(
            f"{n:<{widths[0]}}  {s:<{widths[1]}}  {v:>{widths[2]}} {u:<{widths[3]}}  {m}"
            for n, s, v, u, m in lines
        )
