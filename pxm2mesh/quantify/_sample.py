"""What several measurements of one volume share, computed when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from pxm2mesh.quantify.areas import AreaMethod, area_table, phase_index
from pxm2mesh.quantify.connectivity import Components, find_components
from pxm2mesh.volume import LabelVolume

P = ParamSpec("P")
T = TypeVar("T")


class Sample:
    """A volume and the intermediate results of measuring it.

    Args:
        volume: The sample.
        keep: Whether to keep what `once` makes (maps of the size of the sample), for fields to be written.
    """

    def __init__(self, volume: LabelVolume, *, keep: bool = False) -> None:
        self.volume = volume
        self.keep = keep
        self._made: dict[Any, Any] = {}
        self._areas: dict[AreaMethod, npt.NDArray[np.float64]] = {}

    def once(self, measure: Callable[Concatenate[LabelVolume, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``measure(volume, …)``, not made twice where the sample keeps what it has made."""
        if not self.keep:
            return measure(self.volume, *args, **kwargs)
        key = (measure, args, tuple(sorted(kwargs.items())))
        if key not in self._made:
            self._made[key] = measure(self.volume, *args, **kwargs)
        made: T = self._made[key]
        return made

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Voxels per phase."""
        return self.volume.voxel_counts()

    @property
    def present(self) -> tuple[str, ...]:
        """Names of the phases that have voxels."""
        return tuple(name for name, count in self.counts.items() if count)

    @cached_property
    def phase(self) -> npt.NDArray[np.unsignedinteger]:
        """(nx, ny, nz) phase indices."""
        return phase_index(self.volume)

    def areas(self, method: AreaMethod = "projected-faces") -> npt.NDArray[np.float64]:
        """(p, p) µm² between phases, symmetric."""
        if method not in self._areas:
            upper = area_table(self.volume, self.phase, method)
            self._areas[method] = upper + upper.T
        return self._areas[method]

    @cached_property
    def components(self) -> Components:
        """The face-connected pieces of all phases."""
        return find_components(self.volume)
