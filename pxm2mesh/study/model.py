"""The whole run as one validated, frozen object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pxm2mesh.errors import StudyError
from pxm2mesh.phases import PhaseTable
from pxm2mesh.study.fields import MaterialName, Measure, Section, problem
from pxm2mesh.study.mesh import MeshSection, ZoneSection
from pxm2mesh.study.names import PhaseName, unresolved_names
from pxm2mesh.study.output import OutputSection, ReportSection, SolverSection
from pxm2mesh.study.physics import Physics
from pxm2mesh.study.segment import SegmentSection
from pxm2mesh.study.volume import CleanSection, PhaseEntry, QuantifySection, SurfaceSection, VolumeSection


class Study(Section):
    """A run: where the labels come from, what is made of them, what is solved, where it goes.

    Every section but ``[volume]`` and ``[output]`` may be absent. A stage whose section is absent takes its
    defaults, except ``[segment]``, ``[clean]`` and ``[[physics]]``, which then do not happen.

    Attributes:
        volume: Where the sample comes from.
        segment: How a scan becomes labels; the file holds labels when absent.
        clean: What is repaired first; nothing when absent.
        quantify: What is measured.
        surface: Interfaces as files.
        mesh: Tetrahedra.
        zone: Transition zones between phases, one table each.
        materials: Phase = name of the library, or a ``.toml`` file of yours.
        physics: What is computed, one table each; ``model`` says which.
        solver: How equations are solved.
        output: Where everything goes.
        report: What the page shows.
    """

    volume: VolumeSection
    segment: SegmentSection | None = None
    clean: CleanSection | None = None
    quantify: QuantifySection = Field(default_factory=QuantifySection)
    surface: SurfaceSection = Field(default_factory=SurfaceSection)
    mesh: MeshSection = Field(default_factory=MeshSection)
    zone: tuple[ZoneSection, ...] = ()
    materials: dict[PhaseName, MaterialName] = Field(default_factory=dict)
    physics: tuple[Physics, ...] = ()
    solver: SolverSection = Field(default_factory=SolverSection)
    output: OutputSection
    report: ReportSection = Field(default_factory=ReportSection)

    @model_validator(mode="after")
    def _scan_in_a_file(self) -> Self:
        if self.segment is not None and self.volume.file is None:
            raise problem("segment: a phantom has labels already;", "leave [segment] out, or name a file.")
        if self.segment is None and self.quantify.intervals in ("threshold", "both"):
            raise problem(
                f'quantify: intervals = "{self.quantify.intervals}" needs a scan and [segment];',
                'labels have no thresholds: write intervals = "boundary".',
            )
        return self

    @model_validator(mode="after")
    def _names_resolve(self, info: ValidationInfo) -> Self:
        phases = self.volume.phase_table()
        if phases is not None and not (info.context or {}).get("names_later"):
            for path, error in unresolved_names(self, phases):
                raise problem(f"{dotted(path)}: {error.message}", error.hint)
        return self

    @field_validator("zone", "physics", mode="before")
    @classmethod
    def _tables_in_a_list(cls, given: Any) -> Any:
        if isinstance(given, dict):
            raise problem(
                "is one table where a list of them is meant;", "write double brackets, as in [[physics]]."
            )
        return given

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.output.folder)

    def check_names(self, phases: PhaseTable) -> None:
        """Hold every phase and interface the study names against ``phases``.

        Needed for a phantom, whose phases are known only once it is made.

        Raises:
            StudyError: One is not there; the hint names the closest.
        """
        for path, error in unresolved_names(self, phases):
            raise StudyError(f"{dotted(path)}: {error.message}", hint=error.hint)

    def resolved(self) -> dict[str, Any]:
        """Every key with its value, defaults written out, quantities as text."""
        return self.model_dump(mode="json", exclude_none=True)

    def digest(self) -> str:
        """SHA-256 of the canonical form: "400 nm" and "0.4 um" are the same study."""
        return digest_of(self)

    def __repr__(self) -> str:
        source = self.volume.file or f"phantom {self.volume.phantom.name if self.volume.phantom else '?'}"
        models = ", ".join(p.model for p in self.physics) or "no physics"
        return f"Study({source}, {models}, into {self.output.folder})"

    __str__ = __repr__


def with_phases(study: Study, phases: PhaseTable) -> Study:
    """``study`` with its phases written out, as a phantom or a file turned out to have them.

    Raises:
        StudyError: The study names a phase that is not among them.
    """
    study.check_names(phases)
    entries: dict[str, int | PhaseEntry] = {
        p.name: PhaseEntry(label=p.label, role=p.role, colour=p.colour, material=p.material) for p in phases
    }
    return study.model_copy(update={"volume": study.volume.model_copy(update={"phases": entries})})


def dotted(path: Sequence[str | int]) -> str:
    """``("physics", 0, "phases")`` as ``physics[0].phases``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def digest_of(*parts: Any) -> str:
    """SHA-256 of sections, mappings, lists, text and numbers, independent of how units were written.

    Args:
        parts: What to take together.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(
        json.dumps(_canonical(parts), sort_keys=True, ensure_ascii=False).encode()
    ).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Section):
        return {name: _canonical(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Measure):
        return [value.dimension, value.value]
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value
