"""Movies and stills of a run: GIF always, MP4 with ffmpeg, PNG for one time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pxm2mesh.errors import DataError, MissingDependencyError, UsageError, did_you_mean
from pxm2mesh.files import replacing
from pxm2mesh.processes import leashed
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.report.contents import RunContents
from pxm2mesh.report.looks import Series, read_series

_KINDS = (".gif", ".mp4", ".png")
_SIZE = (960, 800)
"""Pixels; even, as video needs."""
_MOST_FRAMES = 300


@dataclass(frozen=True, kw_only=True)
class MovieOptions:
    """What is seen.

    Attributes:
        field: Name of a field, with or without unit; the one that says most if None.
        warp: Factor of the displacement; one that fits the picture if None, 0 for none.
        phases: Which are shown; of a field on interfaces the active material, else all, if empty.
        cut: Take one corner away to see inside; not for fields on interfaces.
        time: Of a still; the last if None.
        rate: Frames per second.
        computation: Which ``[[physics]]`` entry, counted from 1.
    """

    field: str | None = None
    warp: float | None = None
    phases: tuple[str, ...] = ()
    cut: bool = True
    time: float | None = None
    rate: float = 6.0
    computation: int = 1


def make_movie(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: MovieOptions | None = None,
    *,
    progress: Progress = SILENT,
) -> Path:
    """Draw the results of a run, in a process of its own.

    Args:
        run: The folder of a run.
        output: ``.gif`` or ``.mp4`` for all times, ``.png`` for one.
        options: What is seen.
        progress: Where to show what is going on.

    Returns:
        The file.

    Raises:
        DataError: There are no results, or drawing ended early.
        UsageError: Another kind of file, an unknown field or phase, or no factor or rate that makes sense.
        MissingDependencyError: MP4 without ffmpeg.
    """
    options, output, folder = options or MovieOptions(), Path(output), Path(run)
    kind = output.suffix.lower()
    if kind not in _KINDS:
        raise UsageError(
            f"{output.name} is not a movie or still;", hint=f"its name must end with {', '.join(_KINDS)}."
        )
    if not options.rate > 0:
        raise UsageError(f"{options.rate:g} frames per second cannot be shown;", hint="give more than 0.")
    if kind == ".mp4":
        _need_ffmpeg()
    suffix = "" if options.computation == 1 else f"-{options.computation}"
    series = read_series(folder / f"results{suffix}.pvd")
    field = series.field(options.field)
    frames = _frames(series, None if kind != ".png" else options)
    spec: dict[str, Any] = {
        "file": str(series.file.resolve()), "frames": frames, "field": field, "warp": options.warp,
        "phases": [series.phases[name] for name in _shown(folder, series, field, options.phases)],
        "cut": options.cut and not _on_interfaces(field), "size": _SIZE, "time": _time_is(folder, suffix),
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="pxm2mesh-") as place:
        pictures = _draw({**spec, "into": place}, Path(place), len(frames), progress)
        encode(pictures, output, rate=options.rate)
    return output


def _need_ffmpeg() -> None:
    try:
        import imageio_ffmpeg  # type: ignore[import-untyped]

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        raise MissingDependencyError(
            "MP4 needs ffmpeg;", hint='pip install "pxm2mesh[movies]" brings it; GIF works without.'
        ) from None


def _frames(series: Series, still: MovieOptions | None) -> list[int]:
    """Which steps: one for a still, else all, or evenly chosen ones of very many."""
    times = np.array(series.times)
    if still is None:
        return sorted({int(i) for i in np.linspace(0, len(times) - 1, min(len(times), _MOST_FRAMES)).round()})
    return [len(times) - 1 if still.time is None else int(np.abs(times - still.time).argmin())]


def _on_interfaces(field: str) -> bool:
    """Inside of the material such a field means nothing."""
    return field.startswith("interface")


def _shown(folder: Path, series: Series, field: str, asked: Sequence[str]) -> list[str]:
    for name in asked:
        if name not in series.phases:
            raise UsageError(f"there is no phase {name!r};", hint=did_you_mean(name, series.phases))
    if asked:
        return list(asked)
    table = RunContents(folder).phases if _on_interfaces(field) else None
    active = [p.name for p in table or () if p.role in ("active", "anode") and p.name in series.phases]
    return active or list(series.phases)


def _time_is(folder: Path, suffix: str) -> str:
    """What the times of a series count, for the label: loads, cycles, or seconds."""
    table = folder / f"scalars{suffix}.csv"
    head = table.open(encoding="utf-8").readline() if table.exists() else ""
    return "load" if "loads applied" in head else "t/s =" if "time [s]" in head else ""


def _draw(spec: dict[str, Any], place: Path, count: int, progress: Progress) -> list[Path]:
    file = place / "spec.json"
    file.write_text(json.dumps(spec), encoding="utf-8")
    command = leashed([sys.executable, "-m", "pxm2mesh.report.film", str(file)])
    with (
        progress.task("movie", total=count) as task,
        (place / "said.txt").open("w+", encoding="utf-8") as said,
    ):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    task.advance(note=f"frame {json.loads(line)['frame']} of {count}")
        code = process.returncode
        said.seek(0)
        last = said.read().strip().splitlines()[-1:] or [f"code {code}"]
    pictures = sorted(place.glob("*.png"))
    if code or len(pictures) != count:
        raise DataError(
            f"drawing ended after {len(pictures)} of {count} frames: {last[0]};",
            hint="pxm2mesh doctor tries off-screen pictures.",
        )
    return pictures


def encode(pictures: Sequence[Path], output: Path, *, rate: float) -> None:
    """Write pictures as one file, of the kind its name says.

    Args:
        pictures: Of the same even size.
        output: ``.gif``, ``.mp4`` or ``.png``, which takes the first.
        rate: Frames per second.
    """
    from PIL import Image

    images = []
    for picture in pictures:
        with Image.open(picture) as opened:
            images.append(opened.convert("RGB"))
    output.parent.mkdir(parents=True, exist_ok=True)
    kind = output.suffix.lower()
    with replacing(output) as part:
        if kind == ".png":
            images[0].save(part, format="PNG", optimize=True)
        elif kind == ".gif":
            small = [i.quantize(128, dither=Image.Dither.NONE) for i in images]
            # the last picture stays for a second and a half
            waits = [round(1000 / rate)] * (len(small) - 1) + [1500]
            small[0].save(part, format="GIF", save_all=True, append_images=small[1:], duration=waits, loop=0)
        else:
            import imageio_ffmpeg

            writer = imageio_ffmpeg.write_frames(
                str(part), images[0].size, fps=rate, codec="libx264", output_params=["-f", "mp4"], quality=8
            )
            writer.send(None)
            for image in images:
                writer.send(np.ascontiguousarray(image))
            writer.close()
