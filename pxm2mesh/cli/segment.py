"""``pxm2mesh segment``."""

from __future__ import annotations

from typing import Annotated

import typer

from pxm2mesh.cli.options import Output, Spacing

EXAMPLE = 'pxm2mesh segment slices/ -o labels.tif --spacing "0.65 um" --phases "void,LPSCl,NMC"'


def segment(
    context: typer.Context,
    slices: Annotated[
        str, typer.Argument(metavar="SLICES", help="Grey image: folder of slices, .tif, .h5::/path, ….")
    ],
    output: Output,
    phases: Annotated[str, typer.Option(help='Names from dark to bright, "void,LPSCl,NMC".')],
    spacing: Spacing = None,
) -> None:
    """Turn grey values into labels."""
    from pxm2mesh.io.images import read_grey, write_volume
    from pxm2mesh.phases import PhaseTable
    from pxm2mesh.segment import segment as to_labels

    volume = to_labels(read_grey(slices, spacing=spacing), PhaseTable.parse(phases))
    write_volume(volume, output)
    context.obj.emit(
        {"written": str(output), "voxels": volume.voxel_counts()}, f"{volume!r}\nwritten: {output}"
    )
