"""Maps of cracking and delamination by our models, beside what was published, for docs/explanation/damage-maps.md.

    .env/bin/python tests/benchmarks/bench_maps.py cracks published-cracks delamination published-delamination \
        diffusion --figures docs/pictures

Each part runs by itself; the numbers go to ``maps.json`` beside the figures, which are drawn from all that is in it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import basix.ufl
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI

from pxm2mesh.materials import material_from
from simulations.base import compat
from simulations.base.domain import Domain
from simulations.base.stepping import Event, StepOptions, run_until
from simulations.models.cohesive_laws import CohesiveLaw
from simulations.models.cohesive_steps import Debonding
from simulations.models.diffusion import Diffusion
from simulations.models.mechanics import Solid
from simulations.models.phase_field import Part, PhaseField, PhaseFieldOptions
from simulations.models.solid_solver import SolverOptions
from simulations.models.stress_laws import Moduli
from simulations.models.supports import fixed, symmetry
from simulations.shapes import ball, tet_mesh

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Square:
    """A square particle in its cell, a quarter of which is computed.

    Attributes:
        half: Of the particle's side, µm.
        cell: Half of the cell's side, µm.
        length: Width of cracks, µm.
        young: Of the particle, GPa.
        cells: Along the quarter cell; at least four in the width of a crack.
    """

    half: float = 2.5
    cell: float = 3.75
    length: float = 0.4
    young: float = 140.0
    cells: int = 38


OURS = Square()
BUCCI_2017 = Square(half=0.5, cell=0.5 * math.sqrt(2), length=0.05, young=100.0, cells=57)
"""1 µm particles that fill half of the area; their cohesive law has no counterpart in a phase field."""


# -- cracks in the electrolyte around a square particle that expands ---------------------------------------


def grid(size: float, cells: int) -> dmesh.Mesh:
    """Triangles on a square, each box cut alternately."""
    planes = np.linspace(0, size, cells + 1)
    points = np.stack(np.meshgrid(planes, planes, indexing="ij"), -1).reshape(-1, 2)
    i, j = (a.ravel() for a in np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij"))
    a, b, c, d = (k * (cells + 1) + m for k, m in ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)))
    even = ((i + j) % 2 == 0)[:, None, None]
    falling = np.stack([np.stack([a, b, d], 1), np.stack([b, c, d], 1)], 1)
    rising = np.stack([np.stack([a, b, c], 1), np.stack([a, c, d], 1)], 1)
    triangles = np.where(even, rising, falling).reshape(-1, 3).astype(np.int64)
    element = basix.ufl.element("Lagrange", "triangle", 1, shape=(2,), dtype=np.float64)
    partition = compat.cell_partitioner(dmesh.GhostMode.shared_facet)
    return compat.create_mesh(MPI.COMM_WORLD, triangles, points, ufl.Mesh(element), partition)


def crack_onset(young: float, energy: float, *, confined: bool, square: Square = OURS) -> dict[str, float]:
    """ΔV of the particle at which the electrolyte (GPa, J/m²) first has a crack.

    A quarter of the cell, plane strain; its outer sides are free, or mirrors (confined).
    """
    mesh = grid(square.cell, square.cells)
    centres = dmesh.compute_midpoints(
        mesh, 2, np.arange(mesh.topology.index_map(2).size_local, dtype=np.int32)
    )
    inside = np.all(centres[:, :2] < square.half, axis=1)
    tags = dmesh.meshtags(
        mesh, 2, np.arange(len(inside), dtype=np.int32), np.where(inside, 1, 2).astype(np.int32)
    )
    dx = ufl.Measure("dx", domain=mesh, subdomain_data=tags)
    growth = fem.Constant(mesh, 0.0)
    swollen = growth / 3 * ufl.Identity(3)
    parts = [
        Part(
            dx(1),
            Moduli.from_young(square.young * 1e3, 0.3),
            None,
            swollen,
            np.flatnonzero(inside).astype(np.int32),
        ),
        Part(
            dx(2), Moduli.from_young(young * 1e3, 0.3), energy, None, np.flatnonzero(~inside).astype(np.int32)
        ),
    ]

    def held(space: fem.FunctionSpace) -> list[Any]:
        found = []
        for axis in (0, 1):
            for place in (0.0, square.cell) if confined else (0.0,):
                facets = dmesh.locate_entities_boundary(
                    mesh, 1, lambda x, a=axis, p=place: np.isclose(x[a], p)
                )
                dofs = fem.locate_dofs_topological(space.sub(axis), 1, facets)
                found.append(fem.dirichletbc(np.float64(0.0), dofs, space.sub(axis)))
        return found

    body = PhaseField(mesh, parts, held, PhaseFieldOptions(square.length))
    step = 0.01 * math.sqrt(energy / young * OURS.half / square.half)
    for count in range(1, 400):
        growth.value = count * step
        body.solve()
        body.accept()
        if float(body.damage.x.array.max()) > 0.95:
            return {"onset": count * step, "step": step, "area": body.crack_area()}
        if growth.value > 0.6:
            break
    return {"onset": math.inf, "step": step, "area": body.crack_area()}


def cracks() -> dict[str, Any]:
    """One ramp for each stiffness; by scaling, onset ∝ √G_c, which a run at another G_c checks."""
    found: dict[str, Any] = {"free": {}, "confined": {}}
    for young in (10.0, 15.0, 22.1, 35.0):
        found["free"][str(young)] = crack_onset(young, 1.0, confined=False)
    for young in (15.0, 22.1):
        found["confined"][str(young)] = crack_onset(young, 1.0, confined=True)
    four = crack_onset(22.1, 4.0, confined=False)["onset"]
    found["ratio at 4 J/m2"] = four / found["free"]["22.1"]["onset"]
    return found


def published_cracks() -> dict[str, Any]:
    """Onset in particles of the published size, stiffness and share of the area, G_c = 1 J/m²."""
    return {
        name: {
            f"{young:g}": crack_onset(young, 1.0, confined=confined, square=BUCCI_2017)
            for young in (15.0, 25.0, 50.0, 150.0)
        }
        for name, confined in (("free", False), ("confined", True))
    }


# -- delamination of a shrinking ball -------------------------------------------------------------------


def material(name: str, young: float, poisson: float, strain: float = 0.0) -> Any:
    """Young's modulus in GPa; ΔV/V at x = 1."""
    swelling = {
        "reference": 0.0,
        "volume_strain": {"table": [[0, 0], [1, strain]], "interpolation": "linear"},
    }
    elastic = {"youngs_modulus": f"{young} GPa", "poisson_ratio": poisson}
    return material_from({"name": name, "elastic": elastic, **({"swelling": swelling} if strain else {})})


def delamination_onset(young: float, energy: float, radius: float, gap: float = 0.02) -> dict[str, float]:
    """ΔV at which the bond has softened (mean D of .8 to 1, to a step); it opens at ``gap`` µm whatever its energy."""
    strength = 2 * energy / gap
    law = CohesiveLaw(strength, energy, stiffness=max(1e6, 100 * strength / gap), viscosity=0.002)
    mesh = ball({"NMC": radius, "LPSCl": 3 * radius}, cells=6)
    domain = Domain.from_mesh(mesh, cut=["NMC | LPSCl"])
    x = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", 1)))
    most = 0.45
    solid = Solid(
        domain, {"NMC": material("p", 140.0, 0.3, -most), "LPSCl": material("m", young, 0.37)},
        symmetry("x-", "y-", "z-"), x=x, bonds={"NMC | LPSCl": law},
        options=SolverOptions(direct=True, symmetric=False),
    )  # fmt: skip

    def load(now: float) -> dict[str, float]:
        x.x.array[:] = now
        return {}

    problem = Debonding(solid, load, limit=0.25)
    seen: list[tuple[float, float]] = []
    bonds = problem.cohesion

    def lost() -> float:
        return bonds.interface.integral(bonds.damage) / bonds.areas().total

    def watch(_length: float, _next: float) -> None:
        seen.append((problem.time * most, lost()))

    over = Event("nine tenths of the bond are damaged", lambda: lost() - 0.9)
    run_until(
        problem, 1.0, StepOptions(first=0.02, largest=0.04, event_width=0.1), events=[over], accepted=watch
    )
    strain, damage = np.array(seen).T
    bulk, shear, matrix = 140e3 / 1.2, young * 1e3 / 2.74, young * 1e3 / (3 * 0.26)
    f = 1 / 27
    rigid = 1 / (1 / (3 * bulk) + (1 / (4 * shear) + f / (3 * matrix)) / (1 - f))
    return {
        "onset": float(strain[-1]) if damage[-1] > 0.79 else math.inf,
        "closed form": 3 * strength / rigid,
        "griffith": 3 * math.sqrt(2 * energy / (rigid * radius)),
    }


def delamination() -> dict[str, Any]:
    """Stiffness of the electrolyte and energy of the bond, for two sizes of particle."""
    found = {}
    for radius in (1.0, 5.0):
        for young in (10.0, 22.1, 50.0):
            for energy in (1.0, 6.0):
                found[f"{radius:g}/{young:g}/{energy:g}"] = delamination_onset(young, energy, radius)
    return found


GAP_2018, SHARE_2018, POISSON_2018 = 1e-3, 0.55, 0.25
"""Of the published map: opening at which a bond is gone (µm), share of active material, Poisson's ratio."""


def bucci_2018(young: float, energy: float) -> float:
    """ΔV at which the bond reaches its strength 2γ/δ, in closed form: 10.1103/PhysRevMaterials.2.105407, eq. 10.

    A rigid particle in a shell of electrolyte whose outside is held; Young's modulus in GPa, energy in J/m².
    """
    strength, cube, nu = 2 * energy / GAP_2018, 1 / SHARE_2018, POISSON_2018
    lame = 1e3 * young * nu / ((1 - 2 * nu) * (1 + nu))
    return 3 * strength * (cube - 1) * nu / (lame * (cube * (2 - 4 * nu) + nu + 1))


def published_onset(young: float, energy: float, cells: int = 8) -> float:
    """The same by finite elements with our cohesive law, for a particle of 10 nm, which comes off gradually."""
    radius, strength = 0.005, 2 * energy / GAP_2018
    outside = radius * SHARE_2018 ** (-1 / 3)
    mesh = ball({"NMC": radius, "LPSCl": outside, "wall": 1.15 * outside}, cells=cells)
    domain = Domain.from_mesh(mesh, phases=["NMC", "LPSCl"], cut=["NMC | LPSCl"])
    x = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", 1)))
    most = 1.5 * bucci_2018(young, energy)
    law = CohesiveLaw(strength, energy, stiffness=100 * strength / GAP_2018, viscosity=0.002)
    solid = Solid(
        domain, {"NMC": material("p", 1e4, 0.3, -most), "LPSCl": material("m", young, POISSON_2018)},
        [*symmetry("x-", "y-", "z-"), fixed("LPSCl | wall")], x=x, bonds={"NMC | LPSCl": law},
        options=SolverOptions(direct=True, symmetric=False),
    )  # fmt: skip

    def load(now: float) -> dict[str, float]:
        x.x.array[:] = now
        return {}

    problem = Debonding(solid, load, limit=0.25)
    bonds = problem.cohesion
    half = Event(
        "half of the stiffness is lost",
        lambda: bonds.interface.integral(bonds.damage) / bonds.areas().total - 0.5,
    )
    run_until(problem, 1.0, StepOptions(first=0.05, largest=0.05, event_width=0.01), events=[half])
    begins = strength / law.stiffness
    opened = (
        2 * GAP_2018 * begins / (GAP_2018 + begins)
    )  # by the bond itself, where half of its stiffness is lost
    return problem.time * most - 3 * opened / radius


def published_delamination() -> dict[str, Any]:
    """Both, over stiffness and energy."""
    cases = ((50, 2), (100, 4), (150, 9))
    return {f"{e}/{g}": {"onset": published_onset(e, g), "closed form": bucci_2018(e, g)} for e, g in cases}


# -- diffusion into a ball that is bonded on half of its surface ----------------------------------------


FILLED = (0.5, 0.8, 0.95)
"""Shares of the capacity at which times are compared: which one was published is not known here."""


def blocked_ball(blocked: str, cells: int = 6) -> Domain:
    """A ball of 1 µm whose surface is shut in part: "nothing", "half" (z > 0) or "quarters" (every second octant)."""
    mesh = ball({"NMC": 1.0, "LPSCl": 0.0}, box=(1.15,) * 3, cells=cells, outer_cells=1, octant=False)
    centres = mesh.points[mesh.cells].mean(axis=1)
    shut = {
        "nothing": np.zeros(len(centres), dtype=bool),
        "half": centres[:, 2] > 0,
        "quarters": centres.prod(axis=1) > 0,
    }[blocked]
    region = np.where(mesh.cell_phase() == 1, 1, np.where(shut, 3, 2)).astype(np.int32)
    named = tet_mesh(mesh.points, mesh.cells, region, [0, 1, 2, 3], {"NMC": 1, "open": 2, "shut": 3})
    return Domain.from_mesh(named, phases=["NMC"], cut=())


def diffusion_times(blocked: str) -> Floats:
    """Times to fill the ball with D = 1 to each of `FILLED` from the free part of its surface, s."""
    domain = blocked_ball(blocked)
    particle = Diffusion(domain, 1.0, 1.0, 0.0, fixed={"NMC | open": 1.0})
    seen: list[tuple[float, float]] = [(0.0, 0.0)]
    run_until(
        particle, 1.2, StepOptions(first=1e-4, largest=0.02),
        accepted=lambda _a, _b: seen.append((particle.mean(), particle.time)),
    )  # fmt: skip
    mean, times = np.array(seen).T
    return np.asarray(np.interp(FILLED, mean, times))


def passage_time(blocked: str) -> float:
    """Mean time in which what starts at the centre first meets the free surface, D = 1; 1/6 for all of it."""
    from scipy.sparse.linalg import spsolve

    domain = blocked_ball(blocked)
    space = fem.functionspace(domain.mesh, ("Lagrange", 2))
    trial, test = ufl.TrialFunction(space), ufl.TestFunction(space)
    free = fem.dirichletbc(np.float64(0.0), domain.dofs_on(space, "NMC | open"), space)
    matrix = fem.assemble_matrix(
        fem.form(ufl.inner(ufl.grad(trial), ufl.grad(test)) * domain.dx()), bcs=[free]
    )
    source = fem.assemble_vector(fem.form(test * domain.dx()))
    free.set(source.array)
    time_to = spsolve(matrix.to_scipy().tocsc(), source.array)
    centre = np.linalg.norm(space.tabulate_dof_coordinates(), axis=1).argmin()
    return float(time_to[centre])


def diffusion() -> dict[str, Any]:
    """How much longer a particle takes that is bonded on half of its surface: in one piece, or in quarters."""
    whole = diffusion_times("nothing")
    first = passage_time("nothing")
    return {
        "time of the whole": dict(zip(map(str, FILLED), whole.round(4), strict=True)),
        **{f"factor {name}": dict(zip(map(str, FILLED), (diffusion_times(name) / whole).round(2), strict=True))
           for name in ("half", "quarters")},
        "first passage of the whole": round(first, 4),
        **{f"first passage, factor {name}": round(passage_time(name) / first, 2) for name in ("half", "quarters")},
    }  # fmt: skip


PARTS = {
    "cracks": cracks, "published-cracks": published_cracks, "delamination": delamination,
    "published-delamination": published_delamination, "diffusion": diffusion,
}  # fmt: skip


# -- figures -------------------------------------------------------------------------------------------


def draw_cracks(found: dict[str, Any], path: Path) -> None:
    """Onset of cracks over G_c, with the published region without any."""
    figure, axes = _axes("fracture energy of the electrolyte [J/m²]", "expansion of the particle, ΔV/V [%]")
    energy = np.linspace(0.1, 10, 100)
    axes.fill_between([4, 10], 0, 7.5, color="#9bc4a3", alpha=0.45, lw=0, label="published: no cracks")
    axes.plot([1], [3], "D", color="#3c6e47", label="published: onset at 1 J/m²")
    shades = {"10.0": "#c9a0dc", "15.0": "#9a66b8", "22.1": "#6a3d9a", "35.0": "#3d1f63"}
    for young, row in found["free"].items():
        if math.isfinite(row["onset"]):
            label = f"ours, free cell, {float(young):g} GPa"
            axes.plot(energy, 100 * row["onset"] * np.sqrt(energy), color=shades[young], label=label)
    row = found["confined"].get("22.1", {"onset": math.inf})
    if math.isfinite(row["onset"]):
        axes.plot(
            energy,
            100 * row["onset"] * np.sqrt(energy),
            "--",
            color="#b15928",
            label="ours, confined, 22.1 GPa",
        )
    axes.set(xlim=(0, 10), ylim=(0, 15))
    _save(figure, axes, path)


def draw_published(found: dict[str, Any], path: Path) -> None:
    """Onset over stiffness and energy as published, in closed form, with ours at some points."""
    figure, axes = _axes("Young's modulus of the electrolyte [GPa]", "energy of the bond [J/m²]")
    young, energy = np.meshgrid(np.linspace(20, 200, 181), np.linspace(1, 10, 91))
    onset = 100 * np.vectorize(bucci_2018)(young, energy)
    levels = (7.5, 15, 25, 50)
    colours = ("#e8f1ea", "#c6dfcd", "#9bc4a3", "#6fa67d", "#3c6e47")
    axes.contourf(young, energy, onset, (0, *levels, 60), colors=colours)
    lines = axes.contour(young, energy, onset, levels[:-1], colors="#24442b", linewidths=1)
    axes.clabel(lines, fmt="%g %%", fontsize=8)
    for key, row in found.items():
        x, y = map(float, key.split("/"))
        axes.plot(
            x, y, "o", color="#e66101", label=None if axes.get_legend_handles_labels()[1] else "ours, ΔV/V"
        )
        axes.annotate(f"{100 * row['onset']:.1f} %", (x, y), (4, 4), textcoords="offset points", fontsize=8)
    axes.set_title("lines: published equation for the onset, ΔV/V", fontsize=9, loc="left")
    _save(figure, axes, path)


def draw_delamination(found: dict[str, Any], path: Path) -> None:
    """Onset over the stiffness of the electrolyte, for each energy and size."""
    figure, axes = _axes("Young's modulus of the electrolyte [GPa]", "shrinkage of the particle, ΔV/V [%]")
    axes.axhline(7.5, color="#3c6e47", lw=2, label="published: onset, most combinations")
    axes.plot([5, 25], [25, 25], color="#3c6e47", lw=2, ls=":", label="published: < 25 GPa and > 5 J/m²")
    for energy, colour in (("1", "#e66101"), ("6", "#7f2704")):
        for radius, mark in (("1", "o"), ("5", "x")):
            keys = [key.split("/") for key in found]
            youngs = sorted(float(y) for r, y, e in keys if (r, e) == (radius, energy))
            points = np.array([(y, 100 * found[f"{radius}/{y:g}/{energy}"]["onset"]) for y in youngs])
            axes.plot(*points.T, mark, ls="-" if radius == "1" else "", color=colour, mfc="none",
                      label=f"ours, {energy} J/m², {2 * float(radius):g} µm particle")  # fmt: skip
    axes.set(xlim=(0, 55), ylim=(0, 30))
    _save(figure, axes, path)


def _axes(across: str, up: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2))
    axes = figure.add_subplot()
    axes.set(xlabel=across, ylabel=up)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _save(figure: Any, axes: Any, path: Path) -> None:
    import matplotlib as mpl

    axes.legend(fontsize=7, frameon=False)
    with mpl.rc_context({"svg.hashsalt": "pxm2mesh", "svg.fonttype": "path"}):
        figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})


def main() -> None:
    """Run the parts that were asked for, keep their numbers, draw what there is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to compute; nothing: draw only")
    parser.add_argument("--figures", type=Path, default=Path("docs/pictures"), help="folder")
    given = parser.parse_args()
    given.figures.mkdir(parents=True, exist_ok=True)
    numbers = given.figures / "maps.json"
    found = json.loads(numbers.read_text()) if numbers.exists() else {}
    for name in given.parts:
        start = time.process_time()
        found[name] = PARTS[name]()
        found[name]["CPU seconds"] = round(time.process_time() - start, 1)
        numbers.write_text(json.dumps(found, indent=1) + "\n")
        sys.stdout.write(f"{name}: {json.dumps(found[name])}\n")
    drawings = {
        "cracks": draw_cracks,
        "delamination": draw_delamination,
        "published-delamination": draw_published,
    }
    for name, draw in drawings.items():
        if name in found:
            rows = {k: v for k, v in found[name].items() if k != "CPU seconds"}
            draw(rows, given.figures / f"map-{name}.svg")


if __name__ == "__main__":
    main()
