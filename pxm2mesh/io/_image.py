"""What an image file says, whatever its format."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.io._source import Source, Window
from pxm2mesh.phases import Phase, PhaseTable
from pxm2mesh.volume import GreyVolume, LabelVolume

if TYPE_CHECKING:
    from dask.array import Array as DaskArray

Float = npt.NDArray[np.float64]

KEY = "pxm2mesh"
"""Name under which our own metadata stands in every format."""


@dataclass(frozen=True, eq=False)
class Image:
    """Values and what is known about them.

    Attributes:
        values: (nx, ny, nz): an array, or what reads one part by part.
        spacing: (3,) µm, or None where the file does not state it with a unit.
        origin: (3,) µm.
        phases: What labels stand for, or None.
        particles: (nx, ny, nz) particle ids, or None.
    """

    values: npt.NDArray[Any] | Source | DaskArray
    spacing: Float | None = None
    origin: Float = field(default_factory=lambda: np.zeros(3))
    phases: PhaseTable | None = None
    particles: npt.NDArray[np.int32] | None = None

    @classmethod
    def of(cls, volume: LabelVolume | GreyVolume) -> Image:
        """The image of a volume."""
        if isinstance(volume, LabelVolume):
            return cls(volume.labels, volume.spacing, volume.origin, volume.phases, volume.particles)
        return cls(volume.values, volume.spacing, volume.origin)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return np.dtype(self.values.dtype)

    @property
    def array(self) -> npt.NDArray[Any]:
        """(nx, ny, nz) all values in memory."""
        return self.values if isinstance(self.values, np.ndarray) else np.asarray(self.values[:])

    def loaded(self, window: Window | None = None) -> Image:
        """This image, or a box of it, in memory.

        Args:
            window: Three slices along x, y, z; everything when None. The origin stays where it is.
        """
        if window is None:
            return replace(self, values=self.array)
        ids = None if self.particles is None else self.particles[window]
        return replace(self, values=np.asarray(self.values[window]), particles=ids)

    def slabs(self, planes: int = 64) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
        """All values in the order of files: a few slices at a time, indexed (z, y, x).

        Args:
            planes: Slices at once.

        Yields:
            Which slices, and their values in C order.
        """
        count = self.values.shape[2]
        for start in range(0, count, planes):
            which = slice(start, min(start + planes, count))
            part = np.asarray(self.values[:, :, which])
            yield which, np.ascontiguousarray(part.transpose(2, 1, 0))

    def metadata(self) -> str:
        """Spacing, origin and phases as one line of JSON."""
        content: dict[str, Any] = {"origin_um": np.asarray(self.origin).tolist()}
        if self.spacing is not None:
            content["spacing_um"] = np.asarray(self.spacing).tolist()
        if self.phases is not None:
            content["phases"] = [asdict(p) for p in self.phases]
        return json.dumps({KEY: content}, ensure_ascii=True)

    def told(self, metadata: str | bytes | None) -> Image:
        """This image with what our own metadata adds; unchanged where ``metadata`` is not ours."""
        try:
            content: Mapping[str, Any] = json.loads(metadata or "")[KEY]
            spacing = np.array(content["spacing_um"], float) if "spacing_um" in content else self.spacing
            phases = (
                PhaseTable([Phase(**p) for p in content["phases"]]) if "phases" in content else self.phases
            )
            origin = np.array(content.get("origin_um", self.origin), float)
        except (ValueError, TypeError, KeyError):
            return self
        return replace(self, spacing=spacing, origin=origin, phases=phases)


_UNITS = {
    **dict.fromkeys(
        ("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers", "micrometre", "\\u00b5m"), 1.0
    ),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("m", "meter", "meters", "metre"), 1e6),
    **dict.fromkeys(("a", "å", "angstrom", "ångström"), 1e-4),
    **dict.fromkeys(("inch", "in"), 25400.0),
}


def micrometres(values: Any, units: Any) -> Float | None:
    """Lengths in µm, or None unless every one is positive and has a known unit.

    Args:
        values: Three lengths.
        units: One unit for all of them, or three.
    """
    names = [units] * 3 if isinstance(units, str) or units is None else list(units)
    factors = [_UNITS.get(str(name).strip().lower()) for name in names]
    try:
        lengths = [float(v) for v in values]
    except (TypeError, ValueError):
        return None
    if len(lengths) != 3 or len(factors) != 3 or None in factors:
        return None
    if not all(math.isfinite(v) and v > 0 for v in lengths):
        return None
    return np.array([v * f for v, f in zip(lengths, factors, strict=True) if f is not None])
