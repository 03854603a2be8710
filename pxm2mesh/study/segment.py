"""``[segment]``: how grey values become labels; the file of ``[volume]`` is a scan where it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from pxm2mesh.errors import Pxm2meshError
from pxm2mesh.study.fields import Section, problem
from pxm2mesh.study.names import PhaseName

if TYPE_CHECKING:
    from pxm2mesh.segment import SegmentOptions


class BandEntry(Section):
    """Grey values that stand for a phase finer than the voxels: ``{ phase = "binder", low = 9e3, high = 1.5e4 }``.

    Attributes:
        phase: Its name.
        low: From this grey value on.
        high: Up to this one.
    """

    phase: PhaseName
    low: float
    high: float


class SegmentSection(Section):
    """``[segment]``: grey values become labels, in these steps, one after the other.

    Attributes:
        bin: Average blocks of so many voxels per axis first.
        normalise_slices: Bring all slices to one brightness and contrast.
        background: Slow trend to take out: ``radial`` (beam hardening) or ``smooth``.
        rings: Take out rings about the z axis.
        denoise: Filter against noise.
        strength: Of that filter.
        order: Phases from dark to bright; the order of the labels when absent.
        thresholds: Grey values between the phases, one fewer than phases; found when absent.
        method: ``watershed`` grows from voxels clear of edges, ``threshold`` goes by value alone, ``hysteresis`` by
            value and connection, ``random-walker`` is slower and better with much noise.
        margin: Of hysteresis, as a share of the distance between neighbouring grey levels.
        bands: Grey values that stand for a phase finer than the voxels.
        restore: Refine labels until the blurred sample explains the scan; not where there are bands.
        leap: Price of neighbours two grey levels apart in that refinement.
        min_region: Regions of fewer voxels are merged into what surrounds them; off when absent.
        preview: Write ``segmentation.png`` into the run folder.
    """

    bin: int = Field(default=1, ge=1)
    normalise_slices: bool = False
    background: Literal["radial", "smooth", "off"] = "radial"
    rings: bool = True
    denoise: Literal["median", "gaussian", "total-variation", "non-local-means", "bilateral", "off"] = (
        "median"
    )
    strength: float = Field(default=1.0, gt=0)
    order: tuple[PhaseName, ...] | None = None
    thresholds: tuple[float, ...] | None = None
    method: Literal["watershed", "threshold", "hysteresis", "random-walker"] = "watershed"
    margin: float = Field(default=0.15, ge=0, lt=0.5)
    bands: tuple[BandEntry, ...] = ()
    restore: bool = True
    leap: float | None = Field(default=None, gt=0)
    min_region: int | None = Field(default=None, ge=1)
    preview: bool = True

    @field_validator("thresholds")
    @classmethod
    def _ascend(cls, given: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if given is not None and list(given) != sorted(set(given)):
            right = ", ".join(f"{t:g}" for t in sorted(set(given)))
            raise problem("do not ascend;", f"write them from dark to bright: thresholds = [{right}].")
        return given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            self.options()
        except Pxm2meshError as error:
            raise problem(error.message, error.hint) from None
        return self

    def options(self) -> SegmentOptions:
        """The options of the verb."""
        from pxm2mesh.segment import SegmentOptions

        plain = self.model_dump(exclude={"preview", "bands", "background", "denoise"})
        return SegmentOptions(
            **plain,
            background=None if self.background == "off" else self.background,
            denoise=None if self.denoise == "off" else self.denoise,
            bands=tuple((band.phase, band.low, band.high) for band in self.bands),
        )
