"""What a run folder holds, read for people: nothing is computed again that a stage has computed."""

from __future__ import annotations

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.phases import Phase, PhaseTable
from pxm2mesh.quantities import Quantities

_WARNING = re.compile(r" WARNING (?:pxm2mesh[\w.]*: )?(.*)")  # ours name the module, the solver's do not


class RunContents:
    """A run folder.

    Args:
        folder: Where `pxm2mesh.pipeline.run_study` has worked.

    Raises:
        DataError: It is none, or its record cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.record: dict[str, Any] = json.loads((folder / "record.json").read_text(encoding="utf-8"))
            self.stages: dict[str, dict[str, Any]] = self.record["stages"]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{folder} is not the folder of a run: no readable record.json;",
                hint="give the folder that pxm2mesh run has written.",
            ) from error

    @cached_property
    def quantities(self) -> Quantities:
        """Everything measured and computed; empty where nothing was yet."""
        file = self.folder / "quantities.json"
        return Quantities.read(file) if file.exists() else Quantities()

    def facts(self, stage: str) -> dict[str, Any]:
        """What a stage noted for the report; empty where it was not done."""
        return dict(self.stages.get(stage, {}).get("facts", {}))

    @cached_property
    def phases(self) -> PhaseTable | None:
        """The phases, or None before the volume was read."""
        entries = self.facts("volume").get("phases")
        if not entries:
            return None
        keys = ("name", "label", "role", "colour", "material")
        return PhaseTable([Phase(**{key: entry[key] for key in keys}) for entry in entries])

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along x, y, z; empty before the volume was read."""
        return tuple(self.facts("volume").get("shape", ()))

    @property
    def spacing(self) -> tuple[float, ...]:
        """µm along x, y, z."""
        return tuple(self.facts("volume").get("spacing_um", ()))

    def fractions(self) -> list[tuple[Phase, float]]:
        """Each phase with its share of the cleaned voxels."""
        entries = self.facts("clean").get("phases") or self.facts("volume").get("phases") or []
        total = sum(entry["voxels"] for entry in entries) or 1
        table = self.phases
        return [] if table is None else [(table[e["name"]], e["voxels"] / total) for e in entries]

    @cached_property
    def mesh_record(self) -> dict[str, Any]:
        """``mesh.json``; empty where there is none."""
        try:
            content = json.loads((self.folder / "mesh.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def quality(self) -> dict[str, Any]:
        """The mesh's quality figures; empty where there is no mesh."""
        return dict(self.mesh_record.get("quality", {}))

    def labels(self) -> npt.NDArray[Any] | None:
        """(nx, ny, nz) labels, or None."""
        if "clean" not in self.stages or self.phases is None:
            return None
        from pxm2mesh.io.images import read_volume

        return np.asarray(read_volume(self.folder / "labels.npz", self.phases).labels)

    def log_warnings(self) -> list[str]:
        """Warnings of the log; of those that differ in their numbers only, the latest run's."""
        try:
            lines = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        found = [match[1] for line in lines if (match := _WARNING.search(line))]
        latest = {re.sub(r"[\d.,+-]+", "#", text): text for text in found if "starting anew" not in text}
        return list(latest.values())
