"""What every study is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpi4py import MPI

from pxm2mesh.errors import StudyError
from pxm2mesh.files import file_digest
from pxm2mesh.materials import Material, read_material
from pxm2mesh.quantities import Quantities
from pxm2mesh.study import Study, digest_of, inputs_digest
from pxm2mesh.tetmesh import TetMesh
from simulations.base.domain import Domain, on_root
from simulations.base.output import JsonProgress

MESH = "mesh.npz"


@dataclass(frozen=True, eq=False)
class Task:
    """One ``[[physics]]`` entry with what it needs.

    Attributes:
        study: The whole study.
        physics: The entry.
        mesh: The mesh, on rank 0; None elsewhere.
        comm: The ranks.
        folder: Where results go.
        suffix: Distinguishes the files of several entries: "" for the first, "-2" for the second.
        fresh: Do not go on from a checkpoint.
        progress: Where to show what is going on.
        written: Files of results that the entry has named.
    """

    study: Study
    physics: Any
    mesh: TetMesh | None
    comm: MPI.Comm
    folder: Path
    suffix: str = ""
    fresh: bool = False
    progress: JsonProgress = field(default_factory=lambda: JsonProgress(None))
    written: set[Path] = field(default_factory=set)

    def domain(self, **options: Any) -> Domain:
        """The mesh, distributed."""
        return Domain.from_mesh(self.mesh, self.comm, **options)

    def path(self, name: str) -> Path:
        """``results.pvd`` → ``results-2.pvd`` for the second entry."""
        stem, dot, suffix = name.partition(".")
        path = self.folder / f"{stem}{self.suffix}{dot}{suffix}"
        self.written.add(path)
        return path

    def material_name(self, domain: Domain, phase: str) -> str:
        """What the study says a phase is made of."""
        return self.study.materials.get(phase, domain.phases[phase].material)

    def materials(self, domain: Domain, phases: Iterable[str]) -> dict[str, Material]:
        """Of each phase. All ranks must call."""
        names = {phase: self.material_name(domain, phase) for phase in phases}
        return on_root(self.comm, lambda: {phase: read_material(name) for phase, name in names.items()})

    def require_cells(self, domain: Domain, phases: Iterable[str]) -> None:
        """Hold phases that are worked on against the mesh. All ranks must call.

        Raises:
            StudyError: One of them is not meshed.
        """
        meshed = domain.meshed
        absent = [phase for phase in phases if phase not in meshed]
        if absent:
            raise StudyError(
                f"phase {absent[0]!r} has no cells in this mesh;", hint="it may be excluded in [mesh]."
            )

    def checkpoint_key(self) -> str:
        """What a checkpoint has to have been made from: entry, materials, files, mesh. All ranks must call."""
        made_from = on_root(self.comm, lambda: (file_digest(self.folder / MESH), inputs_digest(self.study)))
        return digest_of(self.physics, dict(self.study.materials), *made_from)


@dataclass(frozen=True)
class Answer:
    """What a model gives back: its quantities, and facts for the record."""

    quantities: Quantities
    facts: Mapping[str, Any]
