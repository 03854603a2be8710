"""Particles that crack while lithium moves: diffusion, stress and a phase field, in one time."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem

from pxm2mesh.errors import GeometryError
from pxm2mesh.materials import Material
from pxm2mesh.study.damage import Cracking
from simulations.base import cutting
from simulations.base.domain import Domain, on_root
from simulations.base.fields import node_blocks
from simulations.base.stepping import StepOptions, run_until
from simulations.models.diffusion import Diffusion
from simulations.models.fatigue import Cycled
from simulations.models.fatigue_solids import CrackCycles
from simulations.models.mechanics import chemical_strain, moduli_of
from simulations.models.phase_field import Part, PhaseField, PhaseFieldOptions
from simulations.models.phase_field_splits import strain3

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]

QUADRATURE = {"quadrature_degree": 2}
"""Exact for g(d) times an even strain; that of an electrode of degree 1, so that a submodel swells exactly as there."""


class Lithium(Protocol):
    """Lithium in a body that cracks."""

    @property
    def x(self) -> fem.Function:
        """State of lithiation."""

    def mean(self) -> float:
        """Mean x over the volume."""

    def extent(self) -> tuple[float, float]:
        """Smallest and largest x at the nodes."""

    def state(self) -> dict[str, Any]:
        """Functions under ``nodes``, numbers with ``last_step`` under ``values``: what decides what follows."""


class CrackingSolid:
    """A body of one material that cracks while lithium moves in it; a `simulations.base.stepping.TimeProblem`.

    How lithium and supports move is for those that derive from it to say.

    Args:
        domain: The body alone.
        material: With elastic, swelling and fracture parts.
        lithium: What is in it.
        body: What cracks.
        x: The state of lithiation that the body swells with.

    Attributes:
        time: s.
        work: What swelling, shrinking and moving supports did, by the trapezoidal rule, pJ.
        alternations: Of all steps kept.
    """

    def __init__(
        self, domain: Domain, material: Material, lithium: Lithium, body: PhaseField, x: fem.Function
    ) -> None:
        self.domain, self.lithium, self.body, self._x = domain, lithium, body, x
        self._before = {f: f.copy() for f in (body.displacement, body.damage, x)}
        self._work_form = fem.form(self._work_of_step(material))
        self.time, self.work, self.alternations = 0.0, 0.0, 0
        self._last = 0
        self.keep()

    def _work_of_step(self, material: Material) -> Any:
        """−∫ (σ before + σ now)/2 : Δε of the chemical strain."""
        energy = float(material.require("fracture.fracture_energy"))

        def stress(displacement: Any, damage: Any, x: Any) -> Any:
            part = Part(self.domain.dx(**QUADRATURE), moduli_of(material, x), energy)
            strain = ufl.variable(strain3(displacement) - chemical_strain(material, x))
            plus, minus = self.body.densities(part, strain)
            return ufl.diff(self.body.stiffness_left(damage) * plus + minus, strain)

        both = stress(*self._before) + stress(*self._before.values())
        swelling = [chemical_strain(material, x) for x in (self._x, self._before[self._x])]
        return -ufl.inner(both, swelling[0] - swelling[1]) / 2 * self.domain.dx(**QUADRATURE)

    def keep(self) -> None:
        """What is now is what `restore` goes back to."""
        self._kept = self.state()
        for function, before in self._before.items():
            before.x.array[:] = function.x.array

    def numbers_now(self) -> dict[str, float]:
        """Further columns of the table."""
        return {}

    # -- TimeProblem ---------------------------------------------------------------------------------

    def move(self, step: float) -> None:
        """Bring lithium, and supports if they move, to ``time + step``."""
        raise NotImplementedError

    def outer_work(self) -> float:
        """What supports that move did in the step, pJ."""
        return 0.0

    def attempt(self, step: float) -> None:
        """Lithium at ``time + step``, then displacement and damage with it."""
        self.move(step)
        self._step = step
        self._last = self.body.solve().count

    def error(self) -> float:
        """No estimate: how far a crack jumps is not a matter of the step."""
        return 0.0

    def commit(self) -> None:
        """Keep the step."""
        self.body.accept()
        self.work += (
            float(self.domain.comm.allreduce(fem.assemble_scalar(self._work_form))) + self.outer_work()
        )
        self.time += self._step
        self.alternations += self._last
        self.keep()

    def restore(self) -> None:
        """Forget the step."""
        self.go_to(self._kept)

    def interrupt(self) -> None:
        """Nothing is extrapolated here."""

    # -- the state -----------------------------------------------------------------------------------

    def state(self) -> dict[str, Floats]:
        """Copies of all that a step changes."""
        lithium = self.lithium.state()
        found = {name: f.x.array.copy() for name, f in lithium["nodes"].items()}
        found |= {"last step": np.array(lithium["values"]["last_step"]), "time": np.array(self.time)}
        return {**found, "work": np.array(self.work), **self.body.state()}

    def go_to(self, state: Mapping[str, Floats]) -> None:
        """Go back to what `state` returned."""
        for name, function in self.lithium.state()["nodes"].items():
            function.x.array[:] = state[name]
        self.time, self.work = float(state["time"]), float(state["work"])
        self.lithium_at(self.time, float(state["last step"]))
        self.body.restore(state)

    def lithium_at(self, time: float, last_step: float) -> None:
        """Its values have been set to those of a time; ``last_step`` is the one that led there, 0 for none."""

    def fields(self) -> tuple[dict[str, fem.Function], dict[str, fem.Function]]:
        """What a checkpoint holds: by node, and by cell."""
        body = self.body
        nodes = {"displacement": body.displacement, "damage": body.damage, "lower": body.lower}
        return {**nodes, **self.lithium.state()["nodes"]}, {
            "fatigue": body.fatigue,
            "pace": body.pace,
            "driving": body.last_driving,
        }

    def numbers(self) -> dict[str, Any]:
        """With `fields`, all that decides what follows."""
        return {"time": self.time, "work": self.work, "alternations": self.alternations,
                "last step": self.lithium.state()["values"]["last_step"],
                "scales": self.body.scales.tolist()}  # fmt: skip

    def take(self, numbers: Mapping[str, Any]) -> None:
        """Go on from `numbers`; `fields` have been filled."""
        self.time, self.work = numbers["time"], numbers["work"]
        self.alternations = numbers["alternations"]
        self.lithium_at(self.time, numbers["last step"])
        self.body.scales[:] = numbers["scales"]
        self.body.weaken()
        self.keep()


class CrackingParticles(CrackingSolid):
    """Particles of one material, free on all sides, that exchange lithium evenly over their surface.

    Args:
        domain: The particles alone.
        material: With transport, elastic, swelling and fracture parts; free of strain at the initial state.
        physics: Rate, model and length of the cracks.
    """

    def __init__(self, domain: Domain, material: Material, physics: Cracking) -> None:
        purpose = {"purpose": "cracks in particles"}
        c_max = float(material.require("transport.maximum_concentration", **purpose))
        faces = list(domain.facet_names)
        one = fem.Constant(domain.mesh, 1.0)  # grains of one phase that touch have no surface where they do
        area = sum(domain.integrate(one * domain.ds(name)) for name in faces)
        self._flux = dict.fromkeys(faces, physics.rate * c_max * domain.volume() / area / 3600)
        self.diffusion = Diffusion(
            domain,
            material.require("transport.diffusivity", **purpose),
            c_max,
            physics.initial,
            flux=self._flux,
        )
        body = cracking_body(
            domain, material, physics, self.diffusion.x, lambda space: three_points(domain, space)
        )
        super().__init__(domain, material, self.diffusion, body, self.diffusion.x)

    def reverse(self, sign: float) -> None:
        """Lithium moves at ``sign`` times the rate from now on."""
        self.diffusion.set_flux(**{name: sign * value for name, value in self._flux.items()})
        self.diffusion.interrupt()

    def move(self, step: float) -> None:
        """Diffusion, in four steps or more."""
        run_until(self.diffusion, self.time + step, StepOptions(first=step / 4))
        self.diffusion.time = self.time + step

    def interrupt(self) -> None:
        """The next step of the lithium is backward Euler."""
        self.diffusion.interrupt()

    def lithium_at(self, time: float, last_step: float) -> None:
        """Diffusion goes on from there."""
        self.diffusion.time, self.diffusion.bdf.last_step = time, last_step or None


class ParticleCycles(CrackCycles):
    """Charge and discharge, again and again.

    Args:
        particles: With a fatigue threshold.
        run: Steps through one cycle, and can take back what it wrote.
    """

    def __init__(self, particles: CrackingParticles, run: Cycled) -> None:
        super().__init__(particles.body, ())
        self.particles, self.run = particles, run

    def cycle(self) -> None:
        """Step through one."""
        self.run.cycle()

    def extrapolate(self, history: Floats) -> None:
        """Take an ᾱ that was not resolved."""
        super().extrapolate(history)
        self.particles.keep()

    def state(self) -> Mapping[str, Any]:
        """Of particles and run."""
        return {"particles": self.particles.state(), "run": self.run.mark()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Of particles and run."""
        self.particles.go_to(state["particles"])
        self.particles.keep()
        self.run.back_to(state["run"])


def cracking_body(
    domain: Domain,
    material: Material,
    physics: Cracking,
    x: fem.Function,
    conditions: Callable[[Any], list[Any]],
) -> PhaseField:
    """A body that can crack.

    Args:
        domain: The body alone.
        material: With elastic, swelling and fracture parts.
        physics: Model and length of the cracks.
        x: State of lithiation.
        conditions: Prescribed displacements, made from the space of the displacement.
    """
    energy = float(material.require("fracture.fracture_energy", purpose="cracks"))
    length, fatigue = physics.length.value, physics.fatigue
    threshold = None if fatigue is None else fatigue.per_area(energy) / length
    options = PhaseFieldOptions(
        length, physics.crack_model, physics.split, cells_per_length=physics.cells_per_length,
        fatigue_threshold=threshold,
    )  # fmt: skip
    if physics.crack_model == "AT1":
        young = float(material.require("elastic.youngs_modulus", purpose="cracks")(physics.initial))
        log.info(
            "ℓ = %.3g um stands for a strength of %.0f MPa",
            length,
            math.sqrt(3 * young * energy / (8 * length)),
        )
    part = Part(domain.dx(**QUADRATURE), moduli_of(material, x), energy, chemical_strain(material, x))
    return PhaseField(domain.mesh, [part], conditions, options)


def three_points(domain: Domain, space: fem.FunctionSpace) -> list[Any]:
    """Conditions that stop the six rigid motions of each free piece and nothing else.

    One node is held, a second may move along the line between them, a third in their plane.

    Raises:
        GeometryError: Pieces hang together by an edge or a corner: nothing stops them from turning about it.
    """

    def choose() -> list[int]:
        assert domain.source is not None and domain.parent is not None
        assert domain.nodes is not None and domain.links is not None
        every = np.ones(domain.cell_total, bool)
        count, piece = cutting.components(domain.cell_total, domain.links.near, every)
        points, taken, chosen = domain.source.points[domain.parent], np.zeros(domain.point_total, bool), []
        for number in range(count):
            nodes = np.unique(domain.nodes[piece == number])
            if taken[nodes].any():
                near = points[nodes[taken[nodes]][0]].round(2).tolist()
                raise GeometryError(
                    f"particles hang together by an edge or a corner only, near {near} µm;",
                    hint="crop to one of them, or clean the labels (min_region, or a larger cell_size).",
                )
            taken[nodes] = True
            chosen += nodes[_three_of(points[nodes])].tolist()
        return chosen

    chosen = on_root(domain.comm, choose)
    blocks = node_blocks(domain, space)
    conditions = []
    for node, mask in zip(chosen, itertools.cycle((0b111, 0b110, 0b100))):
        here = blocks[np.flatnonzero(domain.point_index == node)]
        for axis in range(3):
            if mask >> axis & 1:
                dofs = (3 * here + axis).astype(np.int32)
                conditions.append(fem.dirichletbc(np.float64(0.0), dofs, space.sub(axis)))
    return conditions


def _three_of(points: Floats) -> list[int]:
    """Rows of three points far from each other."""
    first, second = int(np.argmin(points[:, 0])), int(np.argmax(points[:, 0]))
    along = (points[second] - points[first]) / np.linalg.norm(points[second] - points[first])
    offset = points - points[first]
    offset = offset - (offset @ along)[:, None] * along
    return [first, second, int(np.argmax(np.abs(offset[:, 1])))]
