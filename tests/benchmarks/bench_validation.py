"""What is published about degrading composite cathodes beside what pxm2mesh finds; the tables of the validation page.

    python tests/benchmarks/bench_validation.py [--size 64] [--seeds 0 1 2] [--data FOLDER] [--write PAGE]
    python tests/benchmarks/bench_validation.py --thresholds [--write PAGE]
    python tests/benchmarks/bench_validation.py --debonding [--debonding-size 14] [--only LABEL] [--write PAGE]
    python tests/benchmarks/bench_validation.py --sweep FOLDER [--write PAGE]

The first two measure voxels (minutes), the third runs studies of debonding (ten minutes or more), the last reads what
bench_sweep.py has left.
``--write`` puts the tables between the marks of the page. Real tomograms come from ``--data`` or PXM2MESH_REAL_DATA.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pxm2mesh import LabelVolume
from pxm2mesh.errors import Pxm2meshError
from pxm2mesh.phantoms import STATES, phantom
from pxm2mesh.pipeline import run_study
from pxm2mesh.quantify import quantify, tortuosity
from pxm2mesh.study import read_study

KAPPA, SIGMA = 1.6, 1.8
"""mS/cm: LPSCl ions, NMC electrons (library)."""
REAL = "nmc_ct_cbd_nrel/nmc_pore0_am1_cbd2.tif"
CROPS = ((0, 0, 0), (90, 120, 60), (180, 200, 200))
"""Corners of the sub-volumes of the real tomogram, voxels along its pages, rows and columns."""
Row = tuple[str, ...]


def spread(values: Iterable[float], digits: int = 3) -> str:
    """All of them, one for each sub-volume."""
    return ", ".join("∞" if math.isinf(v) else f"{v:.{digits}g}" for v in values)


def real_volumes(data: Path | None, size: int) -> list[LabelVolume]:
    """Crops of the real NMC electrode, made for liquid: its pores stand for LPSCl here, its binder for pores."""
    if data is None or not (data / REAL).exists():
        return []
    import tifffile

    image = tifffile.imread(data / REAL)
    made = []
    for a, b, c in CROPS:
        part = image[a : a + size, b : b + size, c : c + size].transpose(2, 1, 0)
        labels = np.select([part == 0, part == 1], [2, 1], 0).astype(np.uint8)
        made.append(LabelVolume(labels, {"void": 0, "NMC": 1, "LPSCl": 2}, "0.398 um"))
    return made


def transport(volume: LabelVolume, phase: str) -> tuple[float, float]:
    """σ_eff/σ₀ and τ of a phase along z."""
    found = tortuosity(volume, phase, "z")
    return found.effective_conductivity, found.tortuosity_factor


def states_table(size: int, seeds: Sequence[int], real: Sequence[LabelVolume]) -> list[Row]:
    """Porosity, contact, thickness, conduction of the three states."""
    found: dict[str, list[dict[str, float]]] = {}
    for state in STATES:
        for seed in seeds:
            volume = phantom("cathode", size=size, seed=seed, state=state)
            numbers = quantify(volume, only=["fractions", "areas"])
            sigma, tau = transport(volume, "LPSCl")
            contact = numbers.value("contact_fraction", interface="NMC | LPSCl")
            found.setdefault(state, []).append(
                {"porosity": numbers["porosity"], "contact": contact, "sigma": sigma, "tau": tau}
            )
    a, p, c = (found[state] for state in ("assembled", "pressed", "cycled"))
    pressed_height = [180 * (1 - x["porosity"]) / (1 - y["porosity"]) for x, y in zip(a, p, strict=True)]
    rows = [("observable", "published", *(f"seed {s}" for s in seeds))]
    for name, label, scale, known in (
        ("porosity", "porosity, %", 100, "25.1 → 13.8 → 15.6"),
        ("contact", "contact NMC–LPSCl, %", 100, "77.6 → 88.9 → 83.3"),
        ("sigma", "κ_eff along z, mS/cm", KAPPA, ".17 at 42 vol% NMC, cold-pressed"),
        ("tau", "τ of LPSCl along z", 1, "4.3"),
    ):
        each = [" → ".join(f"{scale * s[i][name]:.3g}" for s in (a, p, c)) for i in range(len(seeds))]
        rows.append((label, known, *each))
    rows.append(("thickness after pressing, from 180 µm", "130", *(f"{v:.1f}" for v in pressed_height)))
    rows.append(
        (
            "κ pressed / assembled",
            "≈ 1.7",
            *(f"{y['sigma'] / x['sigma']:.2f}" for x, y in zip(a, p, strict=True)),
        )
    )
    rows.append(
        (
            "κ cycled / pressed",
            "≈ .92",
            *(f"{y['sigma'] / x['sigma']:.3f}" for x, y in zip(p, c, strict=True)),
        )
    )
    rows.append(
        (
            "R_ct cycled / pressed, by area",
            "1.5 to 6 in cells",
            *(f"{x['contact'] / y['contact']:.3f}" for x, y in zip(p, c, strict=True)),
        )
    )
    if real:
        measured = [quantify(v, only=["fractions", "areas"]) for v in real]
        flow = [transport(v, "LPSCl") for v in real]
        rows.append(
            ("**real NMC**: solids' pores, %", "–", *(f"{100 * n['porosity']:.3g}" for n in measured))
        )
        rows.append(
            (
                "real NMC: NMC, %",
                "49.9 (whole file)",
                *(f"{100 * n.value('volume_fraction', phase='NMC'):.3g}" for n in measured),
            )
        )
        rows.append(
            (
                "real NMC: contact, %",
                "–",
                *(f"{100 * n.value('contact_fraction', interface='NMC | LPSCl'):.3g}" for n in measured),
            )
        )
        rows.append(("real NMC: κ_eff, mS/cm", "–", *(f"{KAPPA * s:.3g}" for s, _ in flow)))
        rows.append(("real NMC: τ", "2.95 (whole file, other solver)", *(f"{t:.3g}" for _, t in flow)))
    return rows


def composition_table(size: int, seeds: Sequence[int]) -> list[Row]:
    """σ_ion and σ_e over the share of NMC, 13.8 % pores."""
    known = {0.25: "2.4", 0.42: "4.3", 0.61: "15.3"}
    rows: list[Row] = [("NMC, vol%", "τ of LPSCl published", "τ", "κ_eff, mS/cm", "σ_e of NMC, mS/cm")]
    for share in (0.25, 0.33, 0.42, 0.52, 0.61):
        volumes = [
            phantom("cathode", size=size, seed=s, porosity=0.138, contact_fraction=0.889, nmc_fraction=share)
            for s in seeds
        ]
        ions, electrons = ([transport(v, phase) for v in volumes] for phase in ("LPSCl", "NMC"))
        rows.append((f"{100 * share:.0f}", known.get(share, ""), spread(t for _, t in ions),
                     spread(KAPPA * s for s, _ in ions), spread(SIGMA * s for s, _ in electrons)))  # fmt: skip
    return rows


def descriptor_table(size: int, seeds: Sequence[int]) -> list[Row]:
    """How well ε, geodesic tortuosity, constrictivity and specific surface give σ_eff."""
    logs, targets = [], []
    for share in (0.25, 0.33, 0.42):
        for seed in seeds:
            volume = phantom(
                "cathode", size=size, seed=seed, porosity=0.138, contact_fraction=0.889, nmc_fraction=share
            )
            n = quantify(volume, only=["fractions", "areas", "paths"], directions=["z"])
            which = {"phase": "LPSCl", "direction": "z"}
            values = [n.value("volume_fraction", phase="LPSCl"), n.value("geodesic_tortuosity", **which),
                      n.value("constrictivity", **which), n.value("specific_surface_area", phase="LPSCl")]  # fmt: skip
            sigma = transport(volume, "LPSCl")[0]
            if sigma > 0 and min(values) > 0:  # what leads nowhere has no logarithm
                logs.append(np.log(values))
                targets.append(math.log(sigma))
    rows: list[Row] = [(f"descriptors of LPSCl, {len(logs)} samples", "R² of log σ_eff, each left out once")]
    table, target = np.array(logs), np.array(targets)
    names = ("ε", "geodesic tortuosity", "constrictivity", "specific surface")
    for count in range(1, 5):
        label = ", ".join(names[:count])
        columns = list(range(count))
        rows.append((label, f"{_left_out(table[:, columns], target):.3f}"))
    return rows


def _left_out(table: np.ndarray, target: np.ndarray) -> float:
    """R² of a linear fit predicted for samples that it has not seen."""
    design = np.column_stack([np.ones(len(target)), table])
    missed = 0.0
    for i in range(len(target)):
        rest = np.arange(len(target)) != i
        fit = np.linalg.lstsq(design[rest], target[rest], rcond=None)[0]
        missed += float((design[i] @ fit - target[i]) ** 2)
    return 1 - missed / float(((target - target.mean()) ** 2).sum())


def threshold_table(size: int, seeds: Sequence[int]) -> list[Row]:
    """What a scan of the pressed phantom gives with its thresholds as they are found, lower and higher."""
    from dataclasses import replace

    from pxm2mesh.phantoms import grey_scan
    from pxm2mesh.segment import SegmentOptions, segment_in_steps, threshold_variants

    rows: list[Row] = [("scan", "porosity, %", "contact NMC–LPSCl, %", "κ_eff, mS/cm")]
    for seed in seeds:
        truth = phantom("cathode", size=size, seed=seed, state="pressed")
        scan = grey_scan(truth, seed=seed)
        options = SegmentOptions(order=("void", "LPSCl", "NMC"))
        found = segment_in_steps(scan, truth.phases, options)
        options = replace(options, leap=found.leap)
        rows.append((f"seed {seed}, truth", *_measured([truth])))
        for label, shift in (("one grey value of 256", ONE_OF_256), ("a tenth of the contrast", 0.1)):
            lower, higher = threshold_variants(scan, truth.phases, options, shift=shift)
            rows.append((f"seed {seed}, ± {label}", *_measured([lower, found.volume, higher])))
    return rows


ONE_OF_256 = 1 / 128
"""As a share of the contrast: void, LPSCl and NMC lie about 128 of 256 grey values apart, if they fill the range."""


def _measured(volumes: Sequence[LabelVolume]) -> Row:
    """Porosity, contact and conductivity of one scan with different thresholds."""
    numbers = [quantify(volume, only=["porosity", "contact_fraction"]) for volume in volumes]
    return (
        " / ".join(f"{100 * n['porosity']:.2f}" for n in numbers),
        " / ".join(f"{100 * n.value('contact_fraction', interface='NMC | LPSCl'):.2f}" for n in numbers),
        " / ".join(f"{KAPPA * transport(volume, 'LPSCl')[0]:.3f}" for volume in volumes),
    )


STUDY = """
[volume]
{volume}
[mesh]
cell_size = {cell:g}
exclude = ["void"]
[materials]
NMC = "NMC811"
LPSCl = "LPSCl"
[quantify]
only = ["fractions"]
[report]
pictures = false
[[physics]]
model = "debonding"
bonds = ["NMC | LPSCl"]
initial = 0.9
loads = ["{pressure:g} MPa", "x {charged:g}", "x 0.9"]
steps = 2
order = 1
{bonds}
[output]
folder = "run"
"""
UNBREAKABLE = 'strength = "20 GPa"\nfracture_energy = "10000 J/m2"'
"""The null: no bond can break."""
FLOWS = 'plastic = ["LPSCl"]'


def debond(
    volume: str | LabelVolume,
    *,
    pressure: float = 5.0,
    charged: float = 0.3,
    bonds: str = "",
    cell: float = 2.0,
) -> list[dict[str, float]]:
    """Rows of ``loads.csv``: before, pressed, charged, discharged."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if isinstance(volume, LabelVolume):
            from pxm2mesh.io.images import write_volume

            write_volume(volume, folder / "labels.npz")
            volume = 'file = "labels.npz"\nphases = { void = 0, NMC = 1, LPSCl = 2 }'
        study = folder / "study.toml"
        study.write_text(
            STUDY.format(volume=volume, pressure=pressure, charged=charged, bonds=bonds, cell=cell)
        )
        run_study(read_study(study))
        with (folder / "run" / "loads.csv").open(newline="") as stream:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]


def debonding_cases(
    size: int, seeds: Sequence[int], real: Sequence[LabelVolume]
) -> Iterator[tuple[str, str | LabelVolume, dict[str, Any]]]:
    """Label, volume and options of each study; the boxes are small and coarse: a minute or so of one core each."""
    form = (
        'phantom = {{ name = "cathode", size = {}, seed = {}, spacing = "0.6 um", diameters = [2.0, 5.0] }}'
    )
    for seed in seeds:
        yield f"pressed phantom, seed {seed}", form.format(size, seed), {}
    first = form.format(size, seeds[0])
    yield f"seed {seeds[0]}, null: unbreakable bonds", first, {"bonds": UNBREAKABLE}
    yield f"seed {seeds[0]}, LPSCl that flows at 300 MPa", first, {"bonds": FLOWS}
    for cell in (3, 1):  # cells are whole voxels: 1.5 is 2
        yield f"seed {seeds[0]}, cells of {cell} voxels instead of 2", first, {"cell": cell}
    for volume in real[:1]:
        yield "real NMC in LPSCl", volume, {}
    for pressure in (300.0, 50.0):
        yield f"seed {seeds[0]}, {pressure:g} MPa", first, {"pressure": pressure}
    for x in (0.8, 0.6):
        yield f"seed {seeds[0]}, charged to x = {x:g} only", first, {"charged": x}


def debonding_tables(
    size: int, seeds: Sequence[int], real: Sequence[LabelVolume], only: str = "", kept: Sequence[Row] = ()
) -> Iterator[list[Row]]:
    """What a charge and a discharge leave: the table as far as it is done, after each study."""
    rows: list[Row] = [("sample", "contact %, before → charged → discharged", "charge transfer kept %",
                        "pores opened, vol%", "R_ct, discharged / before", "κ, charged / before")]  # fmt: skip
    rows += kept
    for label, volume, options in debonding_cases(size, seeds, real):
        if only not in label:
            continue
        rows = [row for row in rows if row[0] != label]
        try:
            rows.append((label, *_told(debond(volume, **options))))
        except Pxm2meshError as error:
            rows.append((label, f"ended early: {error}", "", "", "", ""))
        yield rows


def _told(loads: Sequence[dict[str, float]]) -> Row:
    start, _, charged, end = loads
    contact = "contact fraction NMC | LPSCl [1]"
    ratio = "charge transfer resistance ratio NMC | LPSCl [1]"
    return (
        " → ".join(f"{100 * row[contact]:.3g}" for row in (start, charged, end)),
        f"{100 * end['effective contact fraction NMC | LPSCl [1]']:.3g}",
        f"{100 * (charged['porosity [1]'] - start['porosity [1]']):.2g}",
        f"{end[ratio]:.3g}",
        f"{charged['ionic conductivity ratio LPSCl [1]']:.3f}",
    )


def sweep_table(folder: Path) -> list[Row]:
    """A row for each state and pressure of the sweep of `bench_sweep`, its seeds side by side."""
    groups: dict[tuple[str, str], dict[str, list[dict[str, str]]]] = {}
    with (folder / "runs" / "states" / "sweep-loads.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            groups.setdefault((row["state"], row["loads"]), {}).setdefault(row["seed"], []).append(row)
    contact, kept = "contact fraction NMC | LPSCl [1]", "effective contact fraction NMC | LPSCl [1]"
    rows: list[Row] = [("state", "pressure", "contact %, before → charged → discharged", "charge transfer kept %",
                        "R_ct, discharged / before")]  # fmt: skip
    for (state, pressure), seeds in groups.items():
        steps = [(loads[0], loads[2], loads[3]) for loads in seeds.values()]
        rows.append((
            state, pressure,
            "; ".join(" → ".join(f"{100 * float(row[contact]):.3g}" for row in step) for step in steps),
            "; ".join(f"{100 * float(end[kept]):.3g}" for _, _, end in steps),
            spread(float(end["charge transfer resistance ratio NMC | LPSCl [1]"]) for _, _, end in steps),
        ))  # fmt: skip
    return rows


def markdown(rows: Sequence[Row]) -> str:
    """A table."""
    head, *rest = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rest)])


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- bench: NAME -->`` and ``<!-- end -->``."""
    old = page.read_text(encoding="utf-8")
    found = re.compile(rf"(<!-- bench: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    page.write_text(found.sub(lambda m: f"{m[1]}{text}\n{m[2]}", old), encoding="utf-8")


def standing(page: Path | None, name: str) -> list[Row]:
    """The rows that a page has already."""
    text = "" if page is None else page.read_text(encoding="utf-8")
    found = re.search(rf"<!-- bench: {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    lines = found[1].splitlines()[2:] if found else []
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--debonding", action="store_true")
    parser.add_argument("--thresholds", action="store_true", help="only how much they matter")
    parser.add_argument(
        "--sweep", type=Path, help="folder of bench_sweep.py: only the table of its states and pressures"
    )
    parser.add_argument("--debonding-size", type=int, default=14)
    parser.add_argument(
        "--only", default="", help="cases of debonding whose label contains this; others stay as written"
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("PXM2MESH_REAL_DATA"))
    parser.add_argument("--write", type=Path)
    chosen = parser.parse_args()
    data = None if chosen.data is None else Path(chosen.data)
    if chosen.debonding:
        real = real_volumes(data, chosen.debonding_size + 6)  # its voxels are smaller
        kept = standing(chosen.write, "debonding") if chosen.only else ()
        found = debonding_tables(chosen.debonding_size, chosen.seeds, real, chosen.only, kept)
        tables: Iterator[dict[str, list[Row]]] = ({"debonding": rows} for rows in found)
    elif chosen.thresholds:
        tables = iter([{"thresholds": threshold_table(min(chosen.size, 40), chosen.seeds)}])
    elif chosen.sweep:
        tables = iter([{"sweep": sweep_table(chosen.sweep)}])
    else:
        real = real_volumes(data, chosen.size)
        tables = iter(
            [
                {
                    "states": states_table(chosen.size, chosen.seeds, real),
                    "composition": composition_table(chosen.size, chosen.seeds),
                    "descriptors": descriptor_table(chosen.size, chosen.seeds),
                }
            ]
        )
    for name, rows in (pair for part in tables for pair in part.items()):
        print(f"\n{name}\n\n{markdown(rows)}", flush=True)
        if chosen.write is not None:
            put(chosen.write, name, markdown(rows))


if __name__ == "__main__":
    main()
