"""Real tomograms against the numbers published with them; see real_quantities.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from pxm2mesh import LabelVolume
from pxm2mesh.quantify import interface_areas, tortuosity

CASES = json.loads((Path(__file__).parent / "real_quantities.json").read_text(encoding="utf-8"))["cases"]


def name_of(case: dict[str, Any]) -> str:
    crop = "-".join(map(str, case.get("crop", [])))
    return f"{Path(case['file']).stem}{'@' + crop if crop else ''}"


def load(folder: Path, case: dict[str, Any]) -> LabelVolume:
    """The file's pages are z, rows y, columns x; every label is a phase named by its number."""
    image = tifffile.imread(folder / case["file"])
    if "crop" in case:
        a, b, c, d, e, f = case["crop"]
        image = image[a:b, c:d, e:f]
    if "threshold" in case:
        image = image >= case["threshold"]
    labels = np.ascontiguousarray(image.astype(np.uint8).transpose(2, 1, 0))
    return LabelVolume(labels, {str(k): int(k) for k in np.unique(labels)}, "1 um")


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=name_of(c), marks=[pytest.mark.verify] if c["long"] else []) for c in CASES]
)
def test_real_tomogram_gives_the_published_numbers(case: dict[str, Any], real_data: Path) -> None:
    """Fractions and faces to the last digit given, conductivities within 0.1 % (0.5 % is asked for)."""
    volume = load(real_data, case)
    total = volume.labels.size
    for label, fraction in case.get("fractions", {}).items():
        assert volume.voxel_counts()[label] / total == pytest.approx(fraction, abs=6e-6)
    if "faces" in case:
        faces = interface_areas(volume, method="voxel-faces")
        assert {k.replace(" | ", "-"): round(v) for k, v in faces.items()} == case["faces"]
    for labels, expected in case["deff"].items():
        for direction, value in zip("zyx", expected, strict=True):
            found = tortuosity(volume, labels.split("+"), direction).effective_conductivity
            assert found == pytest.approx(value, rel=1e-3), (labels, direction)


def test_berea_grain_surface_equals_the_crofton_value_of_another_program(real_data: Path) -> None:
    """MorphoLibJ on the 200³ corner: 660 562, without the half voxel along the sides (about 1 %) that we count."""
    image = tifffile.imread(real_data / "berea_sandstone_a" / "berea_z000-255.tif")[:200, :200, :200]
    volume = LabelVolume(np.ascontiguousarray(image), {"pore": 0, "grain": 255}, "1 um")
    assert interface_areas(volume, method="crofton")["pore | grain"] == pytest.approx(
        660562 * 1.0105, rel=0.005
    )


def test_sandstone_estimators_agree(real_data: Path) -> None:
    """On an isotropic rock the default and Crofton must be within 3 %; voxel faces are half as much again."""
    image = tifffile.imread(real_data / "sandstones_porespy" / "leopard_100.tif")
    volume = LabelVolume(np.ascontiguousarray(image), {"solid": 0, "pore": 1}, "1 um")
    (default,) = interface_areas(volume).values()
    assert interface_areas(volume, method="crofton")["solid | pore"] == pytest.approx(default, rel=0.03)
