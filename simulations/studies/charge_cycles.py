"""What each cycle of a charging run did: a row of ``cycles.csv``, and jumps over cycles."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.study.protocol import Current, Step, Voltage
from simulations.models.cohesive_history import BondHistory
from simulations.models.coupling import CoupledHalfCell
from simulations.models.electrochemistry import HalfCell
from simulations.models.fatigue import Cycled
from simulations.models.mechanics import box_face_area, moduli_vary
from simulations.models.work import Work
from simulations.studies.charge_output import CONTACT_COLUMNS, contact_numbers, face_displacement

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]

_ENDS = ("charged", "discharged")
_HALVES = (
    "capacity {} [mAh/g]", "mean voltage while {} [V]", "DC resistance, {} [ohm cm2]",
)  # fmt: skip
_STATE = ("charge-transfer resistance, {} [ohm cm2]", "mean lithiation, {} [1]")
_SOLID = (
    *(name.replace(" [", ", {} [") for name in CONTACT_COLUMNS),
    "stack pressure, {} [MPa]", "plate displacement, {} [um]",
)  # fmt: skip
_BONDS = ("mean damage [1]", "fracture energy spent [pJ]", "viscous energy of bonds [pJ]",
          "toughness left [1]", "energy imbalance [1]")  # fmt: skip
_OHM_CM2 = 1e4
"""1 µm² V/pA = 1 Ω m²."""


class CycleNumbers:
    """Adds up what a cycle does, and looks at the state at the end of its charge and of its discharge.

    Args:
        half: The half-cell.
        model: With its solid; None without mechanics.
        face: Where the stack is pressed.
        per_gram: Charge in pC → mAh/g.

    Attributes:
        work: Energy balance of a solid with bonds; None where elastic constants vary with x.
    """

    def __init__(
        self, half: HalfCell, model: CoupledHalfCell | None, face: str, per_gram: Callable[[float], float]
    ) -> None:
        self.half, self.model, self.face, self.per_gram = half, model, face, per_gram
        self.cohesion = None if model is None or model.contact is None else model.contact.cohesion
        self.area = box_face_area(half.domain, half.cell.collector)
        self.work = None
        if model is not None and self.cohesion is not None and not _moduli_vary(model):
            self.work = Work(model.solid, half.cell.active, face)
        self._last = half.charge, half.voltage
        self.begin()

    def columns(self) -> tuple[str, ...]:
        """Names of what `row` gives."""
        names = ["cycle", "cycles jumped before", "time [s]", "steps"]
        for end in _ENDS:
            kinds = (*_HALVES, *_STATE, *(_SOLID if self.cohesion is not None else ()))
            names += [name.format(end) for name in kinds]
        names += ["voltage hysteresis [V]", "lithium balance [1]"]
        return (*names, *(_BONDS if self.cohesion is not None else ()), "wall time [s]")

    def begin(self) -> None:
        """A cycle begins."""
        self.sums: dict[str, float] = {"steps": 0, "balance": 0.0, "imbalance": 0.0}
        self.ends: dict[str, float] = {}
        self.way = ""

    def settled(self, step: Step, before: tuple[float, float]) -> None:
        """A step of the protocol begins; its potentials have been found with lithium as it was.

        Args:
            step: The step.
            before: Voltage and current until then: what they jump by is resistance, without diffusion.
        """
        half = self.half
        if isinstance(step, Current):
            self.way = "charged" if step.rate > 0 else "discharged"
            change = half.current - before[1]
            state = "discharged" if step.rate > 0 else "charged"  # it is found as the way back begins
            name = f"DC resistance, {state} [ohm cm2]"
            if name not in self.ends and abs(change) > 1e-6 * half.one_c:
                self.ends[name] = (half.voltage - before[0]) / change * self.area * _OHM_CM2
        self._last = half.charge, half.voltage

    def accepted(self, balance: float) -> None:
        """A time step was accepted.

        Args:
            balance: Its error of the lithium balance.
        """
        half, sums = self.half, self.sums
        charge, voltage = self._last
        self._last = half.charge, half.voltage
        passed = half.charge - charge
        sums["steps"] += 1
        sums["balance"] = max(sums["balance"], balance)
        way = "charged" if passed > 0 else "discharged"
        sums[f"charge {way}"] = sums.get(f"charge {way}", 0.0) + abs(passed)
        sums[f"energy {way}"] = sums.get(f"energy {way}", 0.0) + abs(passed) * (voltage + half.voltage) / 2
        if self.work is not None:
            self.work.add()
            sums["imbalance"] = max(sums["imbalance"], self.work.imbalance)

    def ended(self, step: Step) -> None:
        """A step of the protocol is over: the last charging one of a cycle is its charged end."""
        if isinstance(step, Current | Voltage) and self.way:
            self.ends |= {name.format(self.way): value for name, value in self._state().items()}

    def _state(self) -> dict[str, float]:
        found = dict(zip(_STATE, (self.transfer_resistance(), self.half.mean()), strict=True))
        if self.cohesion is not None and self.model is not None:
            solid = self.model.solid
            plate = (solid.pressure_on(self.face), face_displacement(solid, self.face))
            found |= dict(zip(_SOLID, (*contact_numbers(self.cohesion).values(), *plate), strict=True))
        return found

    def transfer_resistance(self) -> float:
        """Of charge transfer, at the exchange current of the lithium and temperature there are, ohm cm²."""
        half = self.half
        sides = half.interface.values(half.state)
        exchange, _ = half.cell.kinetics.exchange(sides[half.active_side][..., 0])
        contact = None if self.model is None else self.model.contact
        share = half.contact_factor if contact is None else contact.kept[:, None]
        conductance = half.interface.integral(exchange * share) * half.cell.kinetics.thermal
        return self.area / conductance * _OHM_CM2 if conductance > 0 else math.inf

    def row(self, cycle: int, jumped: int, wall: float) -> dict[str, Any]:
        """The numbers of the cycle that has ended.

        Args:
            cycle: From 1.
            jumped: Cycles since the one before that were jumped over.
            wall: Seconds since the start.
        """
        sums, row = self.sums, dict.fromkeys(self.columns(), math.nan)
        imbalance = math.nan if self.work is None else sums["imbalance"]
        row |= {"cycle": cycle, "cycles jumped before": jumped, "time [s]": self.half.time,
                "steps": int(sums["steps"]), "lithium balance [1]": sums["balance"], "wall time [s]": wall}  # fmt: skip
        row |= self.ends
        means = {}
        for way in _ENDS:
            passed = sums.get(f"charge {way}", 0.0)
            row[f"capacity {way} [mAh/g]"] = self.per_gram(passed)
            if passed > 0:
                means[way] = row[f"mean voltage while {way} [V]"] = sums[f"energy {way}"] / passed
        if len(means) == 2:
            row["voltage hysteresis [V]"] = means["charged"] - means["discharged"]
        if self.cohesion is not None:
            held, mean = self.cohesion.energies(), self.cohesion.interface.mean
            row |= dict(zip(_BONDS, (
                mean(self.cohesion.damage), held["dissipated"], held["viscous"],
                mean(self.cohesion.weakening()), imbalance,
            ), strict=True))  # fmt: skip
        return row

    def numbers(self) -> dict[str, Any]:
        """A copy, for a checkpoint or for a cycle that may be taken back."""
        return {"sums": dict(self.sums), "ends": dict(self.ends), "way": self.way, "last": self._last,
                "work": None if self.work is None else self.work.numbers()}  # fmt: skip

    def resume(self, numbers: Mapping[str, Any]) -> None:
        """Go on from `numbers`; the model has been restored."""
        self.sums, self.ends = dict(numbers["sums"]), dict(numbers["ends"])
        self.way, self._last = numbers["way"], (numbers["last"][0], numbers["last"][1])
        if self.work is not None:
            self.work.resume(numbers["work"])


def _moduli_vary(model: CoupledHalfCell) -> bool:
    return moduli_vary(model.solid.laws[model.half.cell.active].material)  # type: ignore[attr-defined]


class HalfCellCycles(BondHistory):
    """Cycles of a half-cell with bonds, for `simulations.models.fatigue.run_cycles`.

    Args:
        model: The half-cell.
        run: Goes through the protocol, and can take back what it wrote.
    """

    def __init__(self, model: CoupledHalfCell, run: Cycled) -> None:
        assert model.contact is not None
        super().__init__(model.contact.cohesion)
        self.model, self.run = model, run

    def cycle(self) -> None:
        """Go through the protocol once, or through what is left of it."""
        self.run.cycle()

    def extrapolate(self, history: Floats) -> None:
        """Take an accumulated energy that was not resolved; damage follows in the next cycle."""
        super().extrapolate(history)
        self.model.changed()

    def state(self) -> Mapping[str, Any]:
        """Of model and run."""
        return {"model": self.model.snapshot(), "run": self.run.mark()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Of model and run."""
        self.model.rollback(state["model"])
        self.run.back_to(state["run"])
