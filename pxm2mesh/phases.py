"""Phases: names instead of integers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pxm2mesh.errors import UsageError, did_you_mean

Role = Literal[
    "active",
    "electrolyte",
    "void",
    "binder",
    "collector",
    "separator",
    "anode",
    "interphase",
    "other",
]

_ROLE_OF_NAME: Mapping[str, Role] = {
    **dict.fromkeys(
        ("nmc", "nmc811", "nmc622", "nca", "lco", "am", "active", "silicon", "si"),
        "active",
    ),
    **dict.fromkeys(("lpscl", "se", "electrolyte", "lps", "llzo", "ysz"), "electrolyte"),
    **dict.fromkeys(("void", "pore", "pores", "air", "gap", "crack"), "void"),
    **dict.fromkeys(("binder", "cbd", "carbon", "cb"), "binder"),
    **dict.fromkeys(("collector", "copper", "cu", "aluminium", "al"), "collector"),
    "separator": "separator",
    "anode": "anode",
}
_COLOUR_OF_ROLE: Mapping[Role, str] = {
    "active": "#4c72b0",
    "electrolyte": "#e3b04b",
    "void": "#d9d9d9",
    "binder": "#3a3a3a",
    "collector": "#b87333",
    "separator": "#7fbf9f",
    "anode": "#8c6bb1",
    "interphase": "#c44e52",
    "other": "#55a868",
}


@dataclass(frozen=True)
class Phase:
    """One material of the sample.

    Attributes:
        label: The integer that stands for it in a label image.
        name: What the user calls it; part of every interface name ``"NMC | LPSCl"``.
        role: What it does in the cell; guessed from well-known names when left empty.
        colour: ``#rrggbb`` for pictures; the role's colour when left empty.
        material: Key into the material library; the name when left empty.
    """

    label: int
    name: str
    role: Role = "other"
    colour: str = ""
    material: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.label, bool) or int(self.label) != self.label or self.label < 0:
            raise UsageError(f"phase {self.name!r}: label {self.label!r} is not a whole number ≥ 0.")
        if not self.name or "|" in self.name or ":" in self.name or self.name != self.name.strip():
            raise UsageError(
                f"phase name {self.name!r}:",
                hint='use a non-empty name without "|", ":" or outer blanks.',
            )
        if self.role not in get_args(Role):
            raise UsageError(
                f"phase {self.name!r}: unknown role {self.role!r};",
                hint=did_you_mean(self.role, get_args(Role)),
            )
        role = self.role if self.role != "other" else _ROLE_OF_NAME.get(self.name.lower(), "other")
        object.__setattr__(self, "label", int(self.label))
        object.__setattr__(self, "role", role)
        object.__setattr__(self, "colour", self.colour or _COLOUR_OF_ROLE[role])
        object.__setattr__(self, "material", self.material or self.name)


class PhaseTable:
    """The phases of a sample, by name and by label; unique in both.

    Args:
        phases: ``{"NMC": 1, "LPSCl": 2}`` or `Phase` objects.

    Raises:
        UsageError: A name or a label stands twice, or there is none.

    Example:
        >>> phases = PhaseTable({"void": 0, "NMC": 1})
        >>> phases["NMC"].label
        1
    """

    def __init__(self, phases: Mapping[str, int] | Iterable[Phase]) -> None:
        items = [Phase(n, k) for k, n in phases.items()] if isinstance(phases, Mapping) else list(phases)
        if not items:
            raise UsageError(
                "a phase table needs at least one phase;",
                hint='write for example "void=0,NMC=1".',
            )
        self._by_name = {p.name: p for p in items}
        self._by_label = {p.label: p for p in sorted(items, key=lambda p: p.label)}
        for what, unique in (("name", self._by_name), ("label", self._by_label)):
            if len(unique) < len(items):
                raise UsageError(
                    f"two phases have the same {what}: {items};",
                    hint=f"give each its own {what}.",
                )

    def __getitem__(self, name: str) -> Phase:
        """The phase of that name.

        Raises:
            UsageError: There is none; the hint names the closest.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UsageError(f"unknown phase {name!r};", hint=did_you_mean(name, self._by_name)) from None

    def by_label(self, label: int) -> Phase:
        """The phase that ``label`` stands for; `UsageError` when there is none."""
        try:
            return self._by_label[int(label)]
        except KeyError:
            raise UsageError(f"no phase has label {label}; labels: {list(self._by_label)}.") from None

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Phase]:
        """Phases in the order of their labels."""
        return iter(self._by_label.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PhaseTable) and self._by_label == other._by_label

    def __hash__(self) -> int:
        return hash(tuple(self._by_label.items()))

    def __repr__(self) -> str:
        return "PhaseTable({" + ", ".join(f"{p.name!r}: {p.label}" for p in self) + "})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of their labels."""
        return tuple(p.name for p in self)

    @property
    def labels(self) -> tuple[int, ...]:
        """Labels, ascending."""
        return tuple(self._by_label)

    def pair(self, name: str) -> tuple[Phase, Phase]:
        """The two phases of an interface name such as ``"NMC | LPSCl"`` or ``"NMC|LPSCl"``."""
        parts = [part.strip() for part in name.split("|")]
        if len(parts) != 2:
            raise UsageError(
                f"{name!r} is not an interface name;",
                hint='write two phases, "NMC | LPSCl".',
            )
        first, second = self[parts[0]], self[parts[1]]
        if first is second:
            raise UsageError(
                f"interface {name!r} joins a phase with itself;",
                hint="name two different phases.",
            )
        return first, second

    def pair_name(self, label_a: int, label_b: int) -> str:
        """The canonical name ``"A | B"`` of the interface between two labels (lower label first)."""
        low, high = sorted((int(label_a), int(label_b)))
        return f"{self.by_label(low).name} | {self.by_label(high).name}"

    @classmethod
    def parse(cls, text: str) -> PhaseTable:
        """Read the command line's form ``"void=0,NMC=1"``, or ``"void,NMC"`` for labels 0, 1, ….

        Raises:
            UsageError: The text has another form.
        """
        phases: list[Phase] = []
        for position, item in enumerate(part.strip() for part in text.split(",")):
            name, equals, label = (s.strip() for s in item.partition("="))
            if equals and not label.isdigit():
                raise UsageError(
                    f"phases {text!r}: {item!r} has no label;",
                    hint='write "void=0,NMC=1,LPSCl=2".',
                )
            phases.append(Phase(int(label) if equals else position, name))
        return cls(phases)
