"""``[volume]``, ``[segment]``, ``[clean]`` and ``[quantify]``: the labels and what is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from pxm2mesh.errors import Pxm2meshError, did_you_mean
from pxm2mesh.phases import Phase, PhaseTable, Role
from pxm2mesh.study.fields import FilePath, Section, problem
from pxm2mesh.volume import parse_spacing

if TYPE_CHECKING:
    from pxm2mesh.segment.level import LevelOptions


def _check_spacing(text: str) -> str:
    try:
        parse_spacing(text)
    except Pxm2meshError as error:
        raise problem(error.message, error.hint) from None
    return text


Spacing = Annotated[str, AfterValidator(_check_spacing)]
"""``"0.4 um"`` or ``"0.4, 0.4, 1 um"``."""
Triple = tuple[int, int, int]


class PhaseEntry(Section):
    """One phase in its long form: ``NMC = { label = 1, role = "active" }``.

    Attributes:
        label: Its value in the volume.
        role: What it does in the electrode; guessed from well-known names when absent.
        colour: In pictures, ``"#4c72b0"``; one of its role when absent.
        material: A material of the library; the name of the phase when absent.
    """

    label: int = Field(ge=0)
    role: Role = "other"
    colour: str = Field(default="", pattern=r"^(#[0-9a-fA-F]{6})?$")
    material: str = ""


class PhantomSource(Section):
    """A synthetic sample: ``phantom = { name = "cathode", size = 64, state = "pressed" }``.

    Attributes:
        name: Of the phantom.
        size: Voxels along each axis.
        seed: Same seed, same sample.
        options: Of that phantom; they may stand beside ``name`` as well.
    """

    name: str
    size: int = Field(default=64, ge=4)
    seed: int = 0
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, given: Any) -> Any:
        """What is not a field is an option of that phantom."""
        if isinstance(given, str):
            return {"name": given}
        if not isinstance(given, dict):
            return given
        fields = {"name", "size", "seed", "options"}
        own = {k: v for k, v in given.items() if k in fields}
        twice = sorted(given.keys() - fields & given.get("options", {}).keys())
        if twice:
            raise problem(f"{twice[0]!r} is given beside the name and in options;", "give it once.")
        own["options"] = {**given.get("options", {}), **{k: v for k, v in given.items() if k not in fields}}
        return own

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        from pxm2mesh.phantoms import PHANTOMS

        if name not in PHANTOMS:
            raise problem(f"unknown phantom {name!r};", did_you_mean(name, PHANTOMS))
        return name


class LevelEntry(Section):
    """The layer to lay across z: ``level = { phases = ["collector"] }``, see `pxm2mesh.segment.LevelOptions`.

    Attributes:
        phases: Phases that the layer is made of.
        above: Grey value that it exceeds, where ``[segment]`` is given.
        rise: Degrees by which it rises along x and y, where they are known.
        keep: "inside": what the turned sample fills; "all": the size before.
    """

    phases: tuple[str, ...] = ()
    above: float | None = None
    rise: tuple[float, float] | None = None
    keep: Literal["inside", "all"] = "inside"

    @model_validator(mode="after")
    def _one_layer(self) -> Self:
        try:
            self.options()
        except Pxm2meshError as error:
            raise problem(error.message, error.hint) from None
        return self

    def options(self) -> LevelOptions:
        """The options of the verb."""
        from pxm2mesh.segment.level import LevelOptions

        return LevelOptions(**self.model_dump())


class VolumeSection(Section):
    """``[volume]``: a file of labels (of grey values where ``[segment]`` is given), or a phantom.

    Cropped first, then binned (neither reads more than is kept), then turned; ``spacing`` is the file's.

    Attributes:
        file: Folder of slices, ``.tif``, ``.npy``, ``.npz``, ``.raw``, ``scan.h5::/labels``, ``.nrrd``, ``.nii``,
            ``.vti``, ``.zarr``.
        phantom: Instead of a file: its name, or a table.
        spacing: Voxel size, ``"0.4 um"`` or ``"0.4, 0.4, 1 um"`` along x, y, z; the file's when absent.
        phases: Names of the labels: ``{ void = 0, NMC = 1 }``, or one table each; needed with a file.
        crop: Part to use: first voxel, and one past the last, ``[[0, 0, 0], [100, 100, 100]]``; all when absent.
        bin: Make one voxel of blocks of so many per axis: labels by majority, grey values by mean.
        level: Turn the volume until a layer of it lies across z.
    """

    file: FilePath | None = None
    phantom: PhantomSource | None = None
    spacing: Spacing | None = None
    phases: dict[str, int | PhaseEntry] | None = None
    crop: tuple[Triple, Triple] | None = None
    bin: int = Field(default=1, ge=1)
    level: LevelEntry | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.phantom is None):
            raise problem(
                "needs a file or a phantom, and not both;"
                if self.file
                else "has neither a file nor a phantom;",
                'write file = "labels.tif" or phantom = "cathode".',
            )
        if self.file is not None and self.phases is None:
            raise problem("no phases are named;", "write phases = { void = 0, NMC = 1 }.")
        if self.file is None and (self.crop is not None or self.bin > 1):
            raise problem("crop and bin are for files;", "choose the size of the phantom instead.")
        return self

    @field_validator("phases")
    @classmethod
    def _are_a_table(cls, given: dict[str, int | PhaseEntry] | None) -> dict[str, int | PhaseEntry] | None:
        _phase_table(given)
        return given

    def phase_table(self) -> PhaseTable | None:
        """The phases, or None where the phantom brings its own."""
        return _phase_table(self.phases)


def _phase_table(phases: dict[str, int | PhaseEntry] | None) -> PhaseTable | None:
    if phases is None:
        return None
    try:
        return PhaseTable(
            Phase(entry, name) if isinstance(entry, int) else Phase(name=name, **entry.model_dump())
            for name, entry in phases.items()
        )
    except Pxm2meshError as error:
        raise problem(error.message, error.hint) from None


class CleanSection(Section):
    """``[clean]``: what is repaired before anything is measured; off when absent.

    Attributes:
        min_region: Regions of fewer voxels go to the phase they share the most faces with.
        max_hole: Regions of up to so many voxels inside one single phase go to it.
        bridges: Relabel threads of one voxel between two parts of a phase.
        contacts: Part voxels of one phase that meet along an edge or at a corner only.
    """

    min_region: int | None = Field(default=None, ge=1)
    max_hole: int | None = Field(default=None, ge=1)
    bridges: bool = False
    contacts: bool = False


class QuantifySection(Section):
    """``[quantify]``: what is measured on the voxels.

    Attributes:
        only: Names of quantities or of their groups; the usual ones when absent.
        intervals: Measure other segmentations too, and give every quantity the interval over them: ``threshold``:
            the whole chain from the scan with thresholds lower and higher; ``boundary``: every phase but the voids
            a voxel thinner and thicker; ``both``. Each takes as long again as the measurement itself.
        shift: Of the thresholds, as a share of the distance between neighbouring grey levels.
    """

    only: tuple[str, ...] | None = None
    intervals: Literal["off", "threshold", "boundary", "both"] = "off"
    shift: float = Field(default=0.1, gt=0, lt=0.5)


class SurfaceSection(Section):
    """``[surface]``: the triangulated interfaces as files.

    Attributes:
        write: Write ``surface.vtp``.
        method: ``nets`` (conforming), or ``marching-cubes``: each phase by itself.
        stl: One STL per phase as well.
    """

    write: bool = True
    method: Literal["nets", "marching-cubes"] = "nets"
    stl: bool = False
