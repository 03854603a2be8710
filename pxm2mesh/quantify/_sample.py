"""What several measurements of one volume share, computed when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pxm2mesh.quantify.areas import AreaMethod, area_table, phase_index
from pxm2mesh.quantify.connectivity import Components, find_components
from pxm2mesh.volume import LabelVolume


class Sample:
    """A volume and the intermediate results of measuring it.

    Args:
        volume: The sample.
    """

    def __init__(self, volume: LabelVolume) -> None:
        self.volume = volume
        self._areas: dict[AreaMethod, npt.NDArray[np.float64]] = {}

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
