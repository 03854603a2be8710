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
    from pxm2mesh.volume import LabelVolume

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
    intervals: Annotated[
        str,
        typer.Option(
            help="boundary: low and high of every number with each phase one voxel thinner and thicker."
        ),
    ] = "off",
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="Labels of another segmentation (`segment --variants`), for the same purpose; may be repeated."
        ),
    ] = None,
    output: OptionalOutput = None,
) -> None:
    """Measure fractions, interfaces, sizes and transport on the voxels."""
    if intervals not in ("off", "boundary"):
        raise UsageError(f"unknown intervals {intervals!r};", hint="use boundary, or --variant FILE.")
    with context.obj.progress() as progress:
        if blocks:
            if level is not None or fields is not None or intervals != "off" or variant:
                raise UsageError(
                    "--blocks neither turns a volume nor writes fields nor gives intervals;",
                    hint="leave --level, --fields, --intervals and --variant out.",
                )
            found = _in_blocks(labels, spacing, phases, crop, bin, only, progress)
        else:
            volume = read_labels(labels, spacing, phases, crop, bin=bin, level=level)
            for phase in volume.phases:
                volume.require(phase.name)
            found = _measured(context, volume, only, fields, progress)
            others = [read_labels(v, spacing, phases, crop, bin=bin, level=level) for v in variant or ()]
            for path, other in zip(variant or (), others, strict=True):
                if other.shape != volume.shape:
                    raise DataError(f"{path} has {other.shape} voxels, {labels} {volume.shape}.")
            if intervals == "boundary" or others:
                from pxm2mesh.quantify import add_intervals, all_boundary_variants

                grown = all_boundary_variants(volume) if intervals == "boundary" else ()
                found = add_intervals(found, (*others, *grown), only=only, progress=progress)
    if output is not None:
        found.write(output)
    context.obj.emit_quantities(found)


def _measured(
    context: typer.Context,
    volume: LabelVolume,
    only: list[str] | None,
    fields: Path | None,
    progress: Progress,
) -> Quantities:
    if fields is None:
        from pxm2mesh.quantify import quantify as measure

        return measure(volume, only=only, progress=progress)
    from pxm2mesh.quantify.fields import quantify_with_fields

    found, written = quantify_with_fields(volume, fields, only=only, progress=progress)
    for path in written:
        context.obj.say(f"written: {path}")
    return found


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
