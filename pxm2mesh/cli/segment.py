"""``pxm2mesh segment``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pxm2mesh.cli.options import Bin, Crop, Level, Output, Spacing
from pxm2mesh.errors import UsageError

if TYPE_CHECKING:
    from pxm2mesh.phases import PhaseTable
    from pxm2mesh.segment import SegmentOptions
    from pxm2mesh.volume import GreyVolume

EXAMPLE = 'pxm2mesh segment slices/ -o labels.tif --spacing "0.65 um" --phases "void,LPSCl,NMC"'


def segment(
    context: typer.Context,
    slices: Annotated[
        str, typer.Argument(metavar="SLICES", help="Grey image: folder of slices, .tif, .h5::/path, ….")
    ],
    output: Output,
    phases: Annotated[
        str,
        typer.Option(help='Names from dark to bright, "void,LPSCl,NMC"; with labels "void=0,LPSCl=2,NMC=1".'),
    ],
    spacing: Spacing = None,
    crop: Crop = None,
    preview: Annotated[
        Path | None, typer.Option(help="Picture (.png) of slices before and after, with the histogram.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="watershed, threshold, hysteresis or random-walker.")
    ] = "watershed",
    denoise: Annotated[
        str, typer.Option(help="median, gaussian, total-variation, non-local-means, bilateral or off.")
    ] = "median",
    thresholds: Annotated[
        str | None, typer.Option(help='Grey values between the phases, "15000, 32000"; found when absent.')
    ] = None,
    background: Annotated[str, typer.Option(help="radial (beam hardening), smooth or off.")] = "radial",
    rings: Annotated[bool, typer.Option(help="Take out rings about the z axis.")] = True,
    normalise_slices: Annotated[
        bool, typer.Option("--normalise-slices", help="Bring all slices to one brightness.")
    ] = False,
    restore: Annotated[
        bool, typer.Option(help="Refine labels until the blurred sample explains the scan.")
    ] = True,
    bin: Bin = 1,
    level: Level = None,
    blocks: Annotated[
        bool,
        typer.Option(
            "--blocks",
            help="Larger than memory: median, gaussian or no filter and the given thresholds, and nothing else.",
        ),
    ] = False,
    variants: Annotated[
        bool,
        typer.Option(
            "--variants",
            help="Also write OUTPUT-low and OUTPUT-high, with thresholds ± shift, for `quantify --variant`.",
        ),
    ] = False,
    shift: Annotated[
        float,
        typer.Option(help="Of the variants, as a share of the distance between neighbouring grey levels."),
    ] = 0.1,
    min_region: Annotated[
        int | None, typer.Option(min=1, help="Regions of fewer voxels are merged into their surroundings.")
    ] = None,
) -> None:
    """Turn grey values into labels."""
    from pxm2mesh.io.images import read_grey, write_volume
    from pxm2mesh.phases import PhaseTable
    from pxm2mesh.segment import SegmentOptions, segment_in_steps, write_preview
    from pxm2mesh.volume import parse_crop

    chosen: dict[str, Any] = {"method": method, "denoise": denoise, "background": background}
    chosen = {key: None if value == "off" else value for key, value in chosen.items()}
    options = SegmentOptions(
        **chosen,
        normalise_slices=normalise_slices,
        rings=rings,
        restore=restore,
        thresholds=None if thresholds is None else _numbers(thresholds),
        order=tuple(item.partition("=")[0].strip() for item in phases.split(",")),
        min_region=min_region,
    )
    if blocks:
        if level is not None or preview is not None or variants:
            raise UsageError(
                "--blocks neither turns a scan nor draws previews nor writes variants;",
                hint="leave --level, --preview and --variants out; segment a crop to look at.",
            )
        only = replace(options, method="threshold", background=None, rings=False, bin=bin)
        _write_blocks(slices, spacing, crop, PhaseTable.parse(phases), only, output)
        context.obj.emit({"written": str(output), "thresholds": only.thresholds}, f"written: {output}")
        return
    scan = read_grey(slices, spacing=spacing, crop=None if crop is None else parse_crop(crop), bin=bin)
    turned: dict[str, Any] = {}
    if level is not None:
        from pxm2mesh.segment import LevelOptions
        from pxm2mesh.segment import level as turn

        scan, plane = turn(scan, LevelOptions.parse(level))
        turned = {"level": plane.as_dict()}
        context.obj.say(f"turned by {plane.tilt:.3f}° (rise {plane.rise[0]:.3f}°, {plane.rise[1]:.3f}°)")
    table = PhaseTable.parse(phases)
    found = segment_in_steps(scan, table, options)
    write_volume(found.volume, output)
    others = (
        _write_variants(scan, table, replace(options, leap=found.leap), shift, output) if variants else []
    )
    if preview is not None:
        write_preview(found.grey, found.volume, preview, thresholds=found.thresholds)
    facts = {
        "written": str(output),
        "voxels": found.volume.voxel_counts(),
        "thresholds": found.thresholds,
        "levels": found.levels,
        "noise": found.noise,
        "variants": [str(path) for path in others],
    } | turned
    cuts = ", ".join(f"{t:.4g}" for t in found.thresholds)
    context.obj.emit(
        facts, f"{found.volume!r}\nthresholds: {cuts}\nwritten: {', '.join(map(str, (output, *others)))}"
    )


def _write_blocks(
    slices: str,
    spacing: str | None,
    crop: str | None,
    phases: PhaseTable,
    options: SegmentOptions,
    output: Path,
) -> None:
    from pxm2mesh.io.images import open_volume, write_volume
    from pxm2mesh.segment import segment_blocks
    from pxm2mesh.volume import parse_crop

    scan = replace(open_volume(slices, spacing=spacing), phases=None)
    scan = scan if crop is None else scan.crop(*parse_crop(crop))
    write_volume(segment_blocks(scan, phases, options), output)


def _write_variants(
    scan: GreyVolume, phases: PhaseTable, options: SegmentOptions, shift: float, output: Path
) -> list[Path]:
    from pxm2mesh.io.images import write_volume
    from pxm2mesh.segment import threshold_variants

    paths = [output.with_name(f"{output.stem}-{end}{output.suffix}") for end in ("low", "high")]
    for volume, path in zip(threshold_variants(scan, phases, options, shift=shift), paths, strict=True):
        write_volume(volume, path)
    return paths


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"thresholds {text!r} are not numbers;", hint='write "15000, 32000".') from None
