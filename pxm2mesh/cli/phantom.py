"""``pxm2mesh phantom``."""

from __future__ import annotations

from typing import Annotated

import typer

from pxm2mesh.cli.options import Output, parse_options

EXAMPLE = "pxm2mesh phantom cathode -o labels.tif --size 64 --option state=pressed"


def phantom(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Such as cathode, ball, layers; see the reference.")
    ],
    output: Output,
    size: Annotated[int, typer.Option(min=4, help="Voxels along each axis.")] = 64,
    seed: Annotated[int, typer.Option(help="Same seed, same sample.")] = 0,
    option: Annotated[
        list[str] | None, typer.Option(help="A further option of that phantom, key=value.")
    ] = None,
    scan: Annotated[
        bool, typer.Option("--scan", help="Write its grey scan, blurred and with noise, not its labels.")
    ] = False,
) -> None:
    """Make a synthetic sample with known answers; without a suffix, -o is a folder of slices."""
    from pxm2mesh.io.images import write_volume
    from pxm2mesh.io.slices import write_slices
    from pxm2mesh.phantoms import grey_scan
    from pxm2mesh.phantoms import phantom as make

    volume = make(name, size=size, seed=seed, **parse_options(option or []))
    made = grey_scan(volume, seed=seed) if scan else volume
    if output.suffix:
        write_volume(made, output)
    else:
        write_slices(made, output)
    phases = ",".join(f"{p.name}={p.label}" for p in volume.phases)
    machine = {
        "written": str(output),
        "shape": volume.shape,
        "spacing_um": volume.spacing.tolist(),
        "phases": phases,
    }
    context.obj.emit(machine, f'{volume!r}\nwritten: {output}, phases "{phases}"')
