"""How results are best seen: which fields a series has, which one tells most, in which colours and range."""

from __future__ import annotations

import re
import xml.etree.ElementTree as Xml
from dataclasses import dataclass
from pathlib import Path

from pxm2mesh.errors import DataError, UsageError, did_you_mean

DISPLACEMENT = "displacement [um]"
_NOT_SHOWN = ("point", "phase", "region", "cell [1]")
_HEADER = 1 << 16


@dataclass(frozen=True)
class Look:
    """Colours of a field.

    Attributes:
        colours: Name of a matplotlib colour map.
        preset: Its name in ParaView.
        centred: Zero is in the middle of the range.
        ends: Lowest and highest value where they are known beforehand.
    """

    colours: str = "viridis"
    preset: str = "Viridis (matplotlib)"
    centred: bool = False
    ends: tuple[float, float] | None = None


_LOOKS: tuple[tuple[str, Look], ...] = (
    ("damage", Look("inferno", "Inferno (matplotlib)", ends=(0.0, 1.0))),
    ("gap", Look("magma", "Magma (matplotlib)")),
    ("transfer", Look(ends=(0.0, 1.0))),
    ("lithiation", Look()),
    ("von mises", Look("plasma", "Plasma (matplotlib)")),
    ("stress", Look("coolwarm", "Cool to Warm", centred=True)),
    ("traction", Look("coolwarm", "Cool to Warm", centred=True)),
    ("plastic", Look("magma", "Magma (matplotlib)")),
    ("potential", Look("cividis", "Viridis (matplotlib)")),
)
"""By a word in the name; those first in the list also say most about a run."""


def look_of(field: str) -> Look:
    """Colours for a field, by its name.

    Example:
        >>> look_of("hydrostatic stress [MPa]").colours
        'coolwarm'
    """
    return next((look for word, look in _LOOKS if word in field.lower()), Look())


@dataclass(frozen=True)
class Series:
    """A time series of results.

    Attributes:
        file: ``results.pvd``.
        times: Of its steps.
        points: Field at nodes → its components.
        cells: Field in cells → its components.
        phases: Name → label.
    """

    file: Path
    times: tuple[float, ...]
    points: dict[str, int]
    cells: dict[str, int]
    phases: dict[str, int]

    @property
    def scalars(self) -> list[str]:
        """Fields with one component, those that say most first."""
        names = [
            name for table in (self.points, self.cells) for name, parts in table.items()
            if parts == 1 and name not in _NOT_SHOWN
        ]  # fmt: skip
        words = [word for word, _ in _LOOKS]
        return sorted(
            names, key=lambda n: next((i for i, w in enumerate(words) if w in n.lower()), len(words))
        )

    def field(self, name: str | None) -> str:
        """The full name of a field; the one that says most if None.

        Args:
            name: With or without its unit.

        Raises:
            UsageError: There is none of that name, or none at all.
        """
        found = self.scalars
        if not found:
            raise UsageError(f"{self.file.name} holds no field that colours could show.")
        if name is None:
            return found[0]
        matches = [n for n in found if name.lower() in (n.lower(), n.partition(" [")[0].lower())]
        if not matches:
            raise UsageError(f"{self.file.name} has no field {name!r};", hint=did_you_mean(name, found))
        return matches[0]


def read_series(file: Path) -> Series:
    """What a series holds, from its PVD file and the head of its last VTU file.

    Args:
        file: ``results.pvd``.

    Raises:
        DataError: It is not there, or cannot be read.
    """
    try:
        entries = [s.attrib for s in Xml.parse(file).getroot().iter("DataSet")]
        times = tuple(float(e["timestep"]) for e in entries)
        with (file.parent / entries[-1]["file"]).open("rb") as stream:
            head = stream.read(_HEADER).decode("utf-8", errors="replace")
    except (OSError, Xml.ParseError, KeyError, ValueError, IndexError) as error:
        raise DataError(
            f"{file} holds no results that can be read;",
            hint="pxm2mesh run writes them: has it solved anything?",
        ) from error
    tables = [_arrays(head, tag) for tag in ("PointData", "CellData")]
    return Series(file, times, tables[0], tables[1], _phases(head))


def _arrays(head: str, tag: str) -> dict[str, int]:
    section = re.search(f"<{tag}[^>]*>(.*?)</{tag}>", head, re.DOTALL)
    found = {}
    for line in re.findall(r"<DataArray [^>]*>", section[1] if section else ""):
        name = re.search(r'Name="([^"]*)"', line)
        parts = re.search(r'NumberOfComponents="(\d+)"', line)
        if name:
            found[name[1]] = int(parts[1]) if parts else 1
    return found


def _phases(head: str) -> dict[str, int]:
    """From the text ``1=NMC``, which VTK writes as numbers of its characters."""
    stored = re.search(r'<(?:Data)?Array type="String" Name="phase names"[^>]*>([^<]*)<', head)
    if not stored:
        return {}
    texts = bytes(int(code) for code in stored[1].split()).decode("utf-8").split("\0")
    pairs = [text.partition("=") for text in texts if "=" in text]
    return {name: int(label) for label, _, name in pairs}
