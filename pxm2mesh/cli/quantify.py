"""``pxm2mesh quantify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pxm2mesh.cli.options import Bin, Crop, Labels, Level, OptionalOutput, Phases, Spacing, read_labels
from pxm2mesh.errors import DataError, UsageError

if TYPE_CHECKING:
    from pxm2mesh.progress import Progress
    from pxm2mesh.quantities import Quantities

EXAMPLE = 'pxm2mesh quantify labels.tif --spacing "0.4 um" --phases "void=0,NMC=1,LPSCl=2" -o quantities.json'


def quantify(
    context: typer.Context,
    labels: Labels,
    phases: Phases,
    spacing: Spacing = None,
    crop: Crop = None,
    bin: Bin = 1,
    level: Level = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this quantity; may be repeated.")] = None,
    blocks: Annotated[
        bool,
        typer.Option(
            "--blocks", help="Larger than memory: fractions, areas and pieces only, a few slices at a time."
        ),
    ] = False,
    fields: Annotated[
        Path | None,
        typer.Option(
            help="Folder for particles, local thickness, potentials, gaps and cracks as VTI and VTP."
        ),
    ] = None,
    output: OptionalOutput = None,
) -> None:
    """Measure fractions, interfaces, sizes and transport on the voxels."""
    with context.obj.progress() as progress:
        if blocks:
            if level is not None or fields is not None:
                raise UsageError(
                    "--blocks neither turns a volume nor writes fields;",
                    hint="leave --level and --fields out.",
                )
            found = _in_blocks(labels, spacing, phases, crop, bin, only, progress)
        else:
            from pxm2mesh.quantify import quantify as measure

            volume = read_labels(labels, spacing, phases, crop, bin=bin, level=level)
            for phase in volume.phases:
                volume.require(phase.name)
            found = measure(volume, only=only, progress=progress)
            if fields is not None:
                from pxm2mesh.quantify.fields import write_measured_fields

                for path in write_measured_fields(volume, fields, only=only, progress=progress):
                    context.obj.say(f"written: {path}")
    if output is not None:
        found.write(output)
    context.obj.emit_quantities(found)


def _in_blocks(
    labels: str,
    spacing: str | None,
    phases: str,
    crop: str | None,
    bin: int,
    only: list[str] | None,
    progress: Progress,
) -> Quantities:
    from pxm2mesh.io.images import open_volume
    from pxm2mesh.phases import PhaseTable
    from pxm2mesh.quantify import quantify_blocks
    from pxm2mesh.quantities import Quantities
    from pxm2mesh.volume import parse_crop

    volume = open_volume(labels, PhaseTable.parse(phases), spacing=spacing)
    volume = (volume if crop is None else volume.crop(*parse_crop(crop))).binned(bin)
    assert volume.phases is not None
    found = quantify_blocks(
        volume.values, volume.phases, volume.spacing, axis=volume.slow_axis, progress=progress
    )
    for q in found:
        if q.name == "volume_fraction" and q.value == 0:
            raise DataError(
                f"phase {q.phase!r} has no voxel in this volume;",
                hint="check the phase table against the labels, or leave the phase out.",
            )
    names = dict.fromkeys(q.name for q in found)
    for name in only or ():
        if name not in names:
            raise UsageError(f"{name!r} is not measured in blocks;", hint=f"there are {', '.join(names)}.")
    return found if only is None else Quantities(q for q in found if q.name in only)
