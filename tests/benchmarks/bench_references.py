"""Every reference value of the real tomograms beside ours, with the difference.

    python tests/benchmarks/bench_references.py [--data FOLDER] [--only berea tf500] [--quick]

Values come from tests/golden/real_quantities.json, the tomograms from ``--data`` or PXM2MESH_REAL_DATA. The last line
says how many differ by more than 1 %, and which.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pxm2mesh import LabelVolume

REFERENCES = Path(__file__).resolve().parents[1] / "golden" / "real_quantities.json"
Row = tuple[str, float, float]
"""What, reference, ours."""


def cases() -> list[dict[str, Any]]:
    """The tomograms and what is known of them."""
    return list(json.loads(REFERENCES.read_text(encoding="utf-8"))["cases"])


def name_of(case: dict[str, Any]) -> str:
    """File and crop."""
    crop = "-".join(map(str, case.get("crop", [])))
    return f"{Path(case['file']).stem}{'@' + crop if crop else ''}"


def load(folder: Path, case: dict[str, Any]) -> LabelVolume:
    """The file's pages are z, rows y, columns x; every label is a phase named by its number."""
    import tifffile

    from pxm2mesh import LabelVolume

    image = np.atleast_3d(tifffile.imread(folder / case["file"]))
    if "crop" in case:
        a, b, c, d, e, f = case["crop"]
        image = image[a:b, c:d, e:f]
    if "threshold" in case:
        image = (image >= case["threshold"]).astype(np.uint8)
    labels = np.ascontiguousarray(image.transpose(2, 1, 0))
    return LabelVolume(labels, {str(k): int(k) for k in np.unique(labels)}, "1 um")


def compare(volume: LabelVolume, case: dict[str, Any]) -> Iterator[Row]:
    """Measure what there are references for."""
    from pxm2mesh.quantify import interface_areas, tortuosity

    counts, total = volume.voxel_counts(), volume.labels.size
    for label, fraction in case.get("fractions", {}).items():
        yield f"volume fraction of {label}", fraction, counts[label] / total
    for label, voxels in case.get("voxels", {}).items():
        yield f"voxels of {label}", voxels, counts[label]
    if "faces" in case:
        faces = {k.replace(" | ", "-"): v for k, v in interface_areas(volume, method="voxel-faces").items()}
        for pair, value in case["faces"].items():
            yield f"voxel faces {pair}", value, faces.get(pair, 0)
    yield from _counted(volume, case)
    for key, of in (
        ("deff", lambda f: f.effective_conductivity),
        ("tau", lambda f: f.tortuosity_factor),
        ("formation_factor", lambda f: 1 / f.effective_conductivity),
    ):
        for labels, expected in case.get(key, {}).items():
            for direction, value in zip("zyx", expected, strict=True):
                found = tortuosity(volume, labels.split("+"), direction)
                yield f"{key} of {labels} along {direction}", value, of(found)


def _counted(volume: LabelVolume, case: dict[str, Any]) -> Iterator[Row]:
    """Labels and pieces."""
    from pxm2mesh.quantify import find_components

    counts = volume.voxel_counts()
    sizes = np.array([n for label, n in counts.items() if label != "0"])
    if "labels" in case:
        yield "labels", case["labels"], len(sizes)
        yield "voxels of the largest label", case["largest_label"], int(sizes.max())
        below, above = case["labels_below"], case["labels_above"]
        yield f"labels below {below[0]} voxels", below[1], np.count_nonzero(sizes < below[0])
        yield f"labels above {above[0]} voxels", above[1], np.count_nonzero(sizes > above[0])
    for connectivity in (6, 26):
        if f"pieces_{connectivity}" in case:
            pieces = find_components(volume, connectivity=connectivity)
            own = pieces.phase != volume.phases.names.index("0")
            yield (
                f"{connectivity}-connected pieces",
                case[f"pieces_{connectivity}"],
                np.count_nonzero(own[1:]),
            )
    for label, share in case.get("largest_piece", {}).items():
        pieces = find_components(volume)
        largest = pieces.voxels[pieces.phase == volume.phases.names.index(label)].max()
        yield f"largest piece of {label}", share, largest / volume.labels.size


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("PXM2MESH_REAL_DATA"))
    parser.add_argument("--only", nargs="*", help="cases whose name contains one of these")
    parser.add_argument("--quick", action="store_true", help="without the long ones")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if chosen.data is None:
        raise SystemExit("no real tomograms: give their folder as --data or PXM2MESH_REAL_DATA")
    rows, beyond = [], []
    print(f"{'tomogram':<42}{'quantity':<36}{'reference':>14}{'pxm2mesh':>14}{'difference':>12}")
    for case in cases():
        name = name_of(case)
        if (chosen.quick and case["long"]) or (chosen.only and not any(o in name for o in chosen.only)):
            continue
        for what, reference, ours in compare(load(Path(chosen.data), case), case):
            difference = float(ours) / reference - 1
            rows.append({"tomogram": name, "quantity": what, "reference": reference, "pxm2mesh": float(ours)})
            print(
                f"{name:<42}{what:<36}{reference:>14.6g}{float(ours):>14.6g}{difference:>11.3%}", flush=True
            )
            if abs(difference) > 0.01:
                beyond.append(f"{name}: {what}")
    print(
        f"{len(rows)} references, {len(beyond)} more than 1 % off{': ' if beyond else ''}{'; '.join(beyond)}"
    )
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
