"""What can be asked of the mesher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pxm2mesh.errors import UsageError, did_you_mean
from pxm2mesh.units import parse_quantity
from pxm2mesh.volume import LabelVolume

if TYPE_CHECKING:
    from pxm2mesh.meshing.transition import TransitionZone

Method = Literal["nets", "marching-cubes", "lattice"]
METHODS: tuple[Method, ...] = ("nets", "marching-cubes", "lattice")


@dataclass(frozen=True)
class Sizing:
    """Edge lengths inside the regions; on interfaces they are those of the surface.

    Attributes:
        near: At interfaces: ``"0.5 um"``, a number of cell sizes, or None for 1.2 cell sizes.
        far: Nowhere more than this; None for 6 × near.
        growth: Added edge length per distance from the nearest interface; 0 keeps ``near`` everywhere.
        across: At least about so many cells across a gap or neck between two interfaces.
    """

    near: str | float | None = None
    far: str | float | None = None
    growth: float = 0.6
    across: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.growth <= 5:
            raise UsageError(f"growth {self.growth!r} must be from 0 to 5;", hint="0.6 is usual.")
        if not 0 < self.across <= 20:
            raise UsageError(f"across {self.across!r} must be more than 0 and at most 20;", hint="2 is fine.")
        for name in ("near", "far"):
            self._length(name, 1.0)

    def _length(self, name: str, unit: float) -> float | None:
        value = getattr(self, name)
        if value is None:
            return None
        length = (
            parse_quantity(value, "length", where=name) if isinstance(value, str) else float(value) * unit
        )
        if not length > 0:
            raise UsageError(
                f"{name} {value!r} must be positive;", hint='write "0.5 um" or a number of cell sizes.'
            )
        return length

    def lengths(self, cell_size: float) -> tuple[float, float]:
        """(near, far) in µm for a surface of this cell size (µm)."""
        near = self._length("near", cell_size) or 1.2 * cell_size
        far = self._length("far", cell_size) or 6.0 * near
        return near, max(near, far)


@dataclass(frozen=True)
class MeshOptions:
    """How to mesh a volume.

    Attributes:
        cell_size: Edge of the cells at interfaces: voxels (of the finest axis), or a length ``"0.8 um"``.
        target_cells: Aim at about so many tetrahedra instead; ``cell_size`` and ``sizing.far`` follow from it.
        sizing: Edge lengths inside the regions.
        exclude: Phases to leave empty.
        zones: Transition zones.
        split: Interfaces ``"NMC | LPSCl"`` on which nodes are doubled.
        method: ``"nets"``: all phases, conforming; ``"marching-cubes"``: the phases of ``only``, each region by
            itself; ``"lattice"``: the fallback of ``"nets"`` at once.
        only: With marching cubes: the phases to mesh.
        certificate: First rung of the ladder: how much of the staircase smoothing must keep (see
            `pxm2mesh.surfacing.SmoothOptions`).
        seed: Of gmsh.
        timeout: Seconds that gmsh may take.
        memory_limit: GB that may be used; None is what the machine has free.
        diagnostics: Folder for the picture and file of the bad cells when a mesh is refused.
    """

    cell_size: str | float = 2
    target_cells: int | None = None
    sizing: Sizing = Sizing()
    exclude: tuple[str, ...] = ()
    zones: tuple[TransitionZone, ...] = ()
    split: tuple[str, ...] = ()
    method: Method = "nets"
    only: tuple[str, ...] = ()
    certificate: float = 0.3
    seed: int = 1
    timeout: float = 7200.0
    memory_limit: float | None = None
    diagnostics: str | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"unknown method {self.method!r};", hint=did_you_mean(self.method, METHODS))
        if self.method == "marching-cubes" and not self.only:
            raise UsageError(
                "marching cubes meshes single phases;", hint='say which: only=("NMC",) or --only NMC.'
            )
        if self.only and self.method != "marching-cubes":
            raise UsageError(
                '"only" goes with the method marching-cubes;', hint="use exclude to leave phases empty."
            )
        if self.target_cells is not None and self.target_cells < 100:
            raise UsageError(f"target_cells {self.target_cells} is less than 100.")
        if isinstance(self.cell_size, str):
            parse_cell_size(self.cell_size)
        elif not self.cell_size >= 1:
            raise UsageError(
                f"cell size {self.cell_size!r} is less than a voxel;", hint='write voxels ≥ 1 or "0.8 um".'
            )
        if not 0 < self.certificate <= 1:
            raise UsageError(f"certificate {self.certificate!r} must be more than 0 and at most 1.")

    @classmethod
    def from_text(
        cls,
        *,
        cell_size: str = "2",
        zone: Sequence[str] = (),
        split: Sequence[str] = (),
        exclude: Sequence[str] = (),
        method: str = "nets",
        only: Sequence[str] = (),
        target_cells: int | None = None,
    ) -> MeshOptions:
        """The options of the command line.

        Args:
            cell_size: ``"2"`` (voxels) or ``"0.8 um"``.
            zone: ``"NMC|void:1.2 um"``, one each.
            split: ``"NMC|LPSCl"``, one each.
            exclude: Phase names.
            method: One of `METHODS`.
            only: Phase names.
            target_cells: Or about so many cells.

        Returns:
            The options.

        Raises:
            UsageError: Text that cannot be understood.
        """
        zones: tuple[TransitionZone, ...] = ()
        if zone:
            from pxm2mesh.meshing.transition import TransitionZone

            zones = tuple(TransitionZone.parse(text) for text in zone)
        return cls(
            cell_size=parse_cell_size(cell_size), zones=zones, split=tuple(split), exclude=tuple(exclude),
            method=method, only=tuple(only), target_cells=target_cells,  # type: ignore[arg-type]
        )  # fmt: skip

    def voxels(self, volume: LabelVolume) -> tuple[int, int, int]:
        """Cell edges in whole voxels along x, y, z: as near to cubes of the wanted size as voxels allow.

        Raises:
            UsageError: The wanted size is below a voxel, or leaves fewer than two cells along an axis.
        """
        size = parse_cell_size(self.cell_size)
        finest = float(volume.spacing.min())
        length = parse_quantity(size, "length", where="cell_size") if isinstance(size, str) else size * finest
        if length < 0.5 * finest:
            raise UsageError(
                f"cell size {length:.4g} µm is less than half a voxel ({finest:.4g} µm);",
                hint="interfaces are not known that well: use at least a voxel.",
            )
        counts = np.maximum(1, np.round(length / volume.spacing)).astype(int)
        counts = np.minimum(counts, np.maximum(1, np.array(volume.shape) // 2))
        return int(counts[0]), int(counts[1]), int(counts[2])


DEFAULTS = MeshOptions()


def parse_cell_size(text: str | float) -> str | float:
    """A number of voxels as float, or a checked length as text.

    Raises:
        UsageError: Neither.
    """
    if not isinstance(text, str):
        return float(text)
    try:
        voxels = float(text)
    except ValueError:
        parse_quantity(text, "length", where="cell size")
        return text
    if not voxels >= 1:
        raise UsageError(f"cell size {text!r} is less than a voxel;", hint='write voxels ≥ 1 or "0.8 um".')
    return voxels
