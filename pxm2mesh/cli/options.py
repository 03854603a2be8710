"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pxm2mesh.volume import LabelVolume

Labels = Annotated[str, typer.Argument(
    metavar="LABELS",
    help="Labels: folder of slices, .tif, .npy/.npz, .raw, .h5::/path, .nrrd, .nii, .vti, .zarr.",
)]  # fmt: skip
Spacing = Annotated[str | None, typer.Option(
    help='Voxel size, "0.4 um" or "0.4, 0.4, 1 um"; needed where the file states none.'
)]  # fmt: skip
Phases = Annotated[str, typer.Option(help='Names of the labels, "void=0,NMC=1,LPSCl=2".')]
Crop = Annotated[str | None, typer.Option(
    help='Part to use, in voxels: "0:100, 0:100, 20:120" along x, y, z.'
)]  # fmt: skip
Bin = Annotated[int, typer.Option(
    "--bin", min=1, help="Make one voxel of blocks of so many per axis: labels by majority, grey values by mean."
)]  # fmt: skip
Level = Annotated[str | None, typer.Option(help=
    'Turn until a layer lies across z: its phase, "above 12000" for a scan, or its rise in degrees, "1.5, -0.4".'
)]  # fmt: skip
CellSize = Annotated[str, typer.Option(help='Edge of the cells at interfaces: voxels, or a length "0.8 um".')]
Method = Annotated[str, typer.Option(
    help="nets: all phases, conforming; marching-cubes: each phase or particle by itself."
)]  # fmt: skip
Only = Annotated[list[str] | None, typer.Option(help="Only this phase; may be repeated.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where to write.")]
OptionalOutput = Annotated[Path | None, typer.Option("--output", "-o", help="Where to write.")]
StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")]
Ranks = Annotated[int | None, typer.Option("--np", min=1, help="MPI processes; default: as the study says.")]
Restart = Annotated[
    bool, typer.Option("--restart", help="Forget earlier results of this run and do everything again.")
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be done, and what the mesh would cost.")
]


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """``["state=pressed", "count=4"]`` as keywords: numbers and true/false as such, the rest as text.

    Raises:
        UsageError: No equals sign.
    """
    import tomllib

    from pxm2mesh.errors import UsageError

    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"option {pair!r} has no value;", hint="write key=value.")
        try:
            options[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            options[key.strip()] = value
    return options


def read_labels(
    labels: str,
    spacing: str | None,
    phases: str,
    crop: str | None,
    *,
    bin: int = 1,
    level: str | None = None,
) -> LabelVolume:
    """The label volume that the shared options describe: cropped, then binned, then turned."""
    from pxm2mesh.io.images import read_volume
    from pxm2mesh.phases import PhaseTable
    from pxm2mesh.volume import parse_crop

    box = None if crop is None else parse_crop(crop)
    volume = read_volume(labels, PhaseTable.parse(phases), spacing=spacing, crop=box, bin=bin)
    if level is None:
        return volume
    from pxm2mesh.segment import LevelOptions
    from pxm2mesh.segment import level as turn

    return turn(volume, LevelOptions.parse(level))[0]
