"""What stands on top of a report: the few numbers one looks for, and what to worry about."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pxm2mesh.report.contents import RunContents

WORST_ANGLE = 5.0
"""Degrees; below it a tetrahedron costs accuracy and iterations."""
VOLUME_DRIFT = 1e-3
"""A phase whose volume is off by more than this is reported."""
METHODS_APART = 0.1
"""Mesh and voxels that differ by more than this in what they conduct are reported."""

_MOST_SOLVED = 6


@dataclass(frozen=True)
class Card:
    """One figure: its name, the value as text, and a line below."""

    name: str
    value: str
    note: str = ""


def cards(run: RunContents) -> list[Card]:
    """The figures on top of the page; only those that the run has."""
    return [*_fractions(run), *_contacts(run), *_transport(run), *_solved(run), *_mesh(run)]


def _fractions(run: RunContents) -> Iterator[Card]:
    for phase, share in run.fractions():
        if phase.role == "void":
            yield Card("porosity", f"{100 * share:.1f} %", f"of the volume is {phase.name}")


def _contacts(run: RunContents) -> Iterator[Card]:
    if run.phases is None:
        return
    active = [p.name for p in run.phases if p.role == "active"]
    electrolyte = {p.name for p in run.phases if p.role == "electrolyte"}
    for q in run.quantities.select("contact_fraction"):
        parts = [part.strip() for part in (q.interface or "").split("|")]
        if len(parts) == 2 and parts[0] in active and parts[1] in electrolyte:
            yield Card("contact", f"{100 * q.value:.1f} %", f"of the {parts[0]} surface touches {parts[1]}")


def _transport(run: RunContents) -> Iterator[Card]:
    for name, title in (
        ("effective_conductivity", "conductivity"),
        ("tortuosity_factor", "tortuosity factor"),
    ):
        rows = run.quantities.select(name)
        solved = [
            q for q in rows if "finite element" in q.method.lower() or "fem" in q.method.lower()
        ] or list(rows)
        for phase in dict.fromkeys(q.phase for q in solved):
            values = [q for q in solved if q.phase == phase]
            texts = ["∞" if math.isinf(q.value) else f"{q.value:.3g}" for q in values]
            along = ", ".join(q.direction for q in values if q.direction)
            unit = "" if values[0].unit in ("1", "") else f" {values[0].unit}"
            yield Card(
                f"{title} of {phase or 'the sample'}",
                " · ".join(texts) + unit,
                f"along {along}" if along else "",
            )


def _solved(run: RunContents) -> Iterator[Card]:
    """What computations other than conduction came to."""
    from pxm2mesh.quantify import quantity_names

    measured = {*quantity_names(), "percolating_fraction", "connected_fraction"}
    left = [
        q for q in run.quantities if q.name not in measured and q.region is None and math.isfinite(q.value)
    ]
    for q in left[:_MOST_SOLVED]:
        unit = "" if q.unit in ("1", "") else f" {q.unit}"
        yield Card(q.name.replace("_", " "), f"{q.value:.4g}{unit}", f"of {q.subject}" if q.subject else "")


def _mesh(run: RunContents) -> Iterator[Card]:
    quality = run.quality
    if "cells" in quality:
        yield Card("mesh", f"{quality['cells']:,}", "tetrahedra")
    if "min_dihedral" in quality:
        low = quality.get("p05_dihedral")
        note = f"5 % are below {low:.1f}°" if low is not None else ""
        yield Card("worst angle", f"{quality['min_dihedral']:.1f}°", note)
    errors = [
        abs(phase["relative_error"])
        for phase in run.mesh_record.get("phases", ())
        if "relative_error" in phase
    ]
    if errors:
        told = f"{100 * max(errors):.2g}" if max(errors) >= 1e-5 else "< 0.001"
        yield Card("volume error", f"{told} %", "of the worst phase, voxels to mesh")


_SAID_ALREADY = "does not percolate along"  # the solver's words for what `_unconnected` says of every phase


def worries(run: RunContents) -> list[str]:
    """Sentences about what limits the trust in this run; empty where there is nothing to say."""
    logged = [line for line in run.log_warnings() if _SAID_ALREADY not in line]
    return list(dict.fromkeys([*_unconnected(run), *_methods_apart(run), *_mesh_worries(run), *logged[-8:]]))


def _unconnected(run: RunContents) -> Iterator[str]:
    across: dict[str | None, list[str]] = {}
    for q in run.quantities.select("tortuosity_factor"):
        if math.isinf(q.value) and (q.direction or "") not in across.setdefault(q.phase, []):
            across[q.phase].append(q.direction or "")
    for phase, axes in across.items():
        yield (f"{phase} does not connect the two faces across {', '.join(axes)}: "
               "nothing is conducted there, and the tortuosity factor is infinite.")  # fmt: skip


def _methods_apart(run: RunContents) -> Iterator[str]:
    """The same phase on the mesh and on the voxels: two methods that share no code."""
    rows = run.quantities.select("effective_conductivity")
    voxels = {(q.phase, q.direction): q.value for q in rows if q.method.startswith("finite volumes")}
    for phase in dict.fromkeys(q.phase for q in rows):
        apart = {
            q.direction: q.value / voxels[phase, q.direction] - 1
            for q in rows
            if q.phase == phase and q.method.startswith("finite elements") and q.unit == "1"
            and voxels.get((phase, q.direction), 0.0) > 0
        }  # fmt: skip
        if apart and max(map(abs, apart.values())) > METHODS_APART:
            told = ", ".join(f"{100 * share:+.0f} % along {axis}" for axis, share in apart.items())
            yield (f"{phase} conducts differently on the mesh than on the voxels ({told}): its passages are only a "
                   "few voxels wide. Trust neither beyond that; smaller voxels or cells, or order = 2, bring them "
                   "together.")  # fmt: skip


def _mesh_worries(run: RunContents) -> Iterator[str]:
    for phase in run.mesh_record.get("phases", ()):
        error = phase.get("relative_error", 0.0)
        if abs(error) > VOLUME_DRIFT:
            yield f"{phase['name']} has {100 * error:+.2f} % more volume in the mesh than in the voxels."
    angle = run.quality.get("min_dihedral")
    if angle is not None and angle < WORST_ANGLE:
        yield f"The worst tetrahedron has a dihedral angle of {angle:.1f}°."
    rungs = run.mesh_record.get("route", {}).get("rungs", [])
    if len(rungs) > 1:
        yield f"The mesher had to step down its ladder {len(rungs) - 1} times; the record says where and why."
    if "solve" not in run.stages and "[[physics]]" in _text(run):
        yield "The study asks for a computation that has not been done."


def _text(run: RunContents) -> str:
    file = run.folder / "study.toml"
    return file.read_text(encoding="utf-8") if file.exists() else ""
