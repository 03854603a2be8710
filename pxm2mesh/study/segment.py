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
    """Grey values that stand for a phase finer than the voxels: ``{ phase = "binder", low = 9e3, high = 1.5e4 }``."""

    phase: PhaseName
    low: float
    high: float


class SegmentSection(Section):
    """The steps of `pxm2mesh.segment.SegmentOptions`, in the order they are taken.

    ``background = "off"`` and ``denoise = "off"`` leave a step out.
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
    leap: float = Field(default=1.45, gt=0)
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
