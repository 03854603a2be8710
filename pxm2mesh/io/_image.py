"""What an image file says, whatever its format."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.phases import Phase, PhaseTable
from pxm2mesh.volume import GreyVolume, LabelVolume

Float = npt.NDArray[np.float64]

KEY = "pxm2mesh"
"""Name under which our own metadata stands in every format."""


@dataclass(frozen=True, eq=False)
class Image:
    """Values and what is known about them.

    Attributes:
        values: (nx, ny, nz).
        spacing: (3,) µm, or None where the file does not state it with a unit.
        origin: (3,) µm.
        phases: What labels stand for, or None.
        particles: (nx, ny, nz) particle ids, or None.
    """

    values: npt.NDArray[Any]
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
        return Image(self.values, spacing, origin, phases, self.particles)


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
