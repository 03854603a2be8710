"""``[[physics]] model = "diffusion"``: lithium in particles, and the steps of what is done to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pxm2mesh.errors import Pxm2meshError, StudyError
from pxm2mesh.study.fields import Concentration, Diffusivity, Measure, Section, Temperature, Time, problem
from pxm2mesh.study.names import PairName, PhaseName
from pxm2mesh.study.protocol import parse_rate

_LONGEST = 3.6e6
_FORMS = '"C/3 until 4.3 V", "1e-5 mol/m2/s for 10 min", "x 0.3 until C/20" or "rest 10 min"'


@dataclass(frozen=True)
class LithiumStep:
    """One step of what is done to particles.

    Attributes:
        kind: ``"rate"`` and ``"flux"`` pass lithium evenly through the contact, ``"x"`` fixes the state of lithiation
            there, ``"rest"`` passes nothing.
        value: In C, amol/µm²/s (positive charges: lithium leaves), or x.
        until: What ends it early: ``"voltage"``, ``"mean"`` x, x of the ``"surface"`` (contact), or ``"rate"``.
        level: Of that, in V, 1, 1 or C.
        until_time: Longest duration, s.
    """

    kind: Literal["rate", "flux", "x", "rest"]
    value: float
    until: Literal["", "voltage", "mean", "surface", "rate"] = ""
    level: float = 0.0
    until_time: float = _LONGEST

    @property
    def sign(self) -> float:
        """1 when lithium leaves, -1 when it enters."""
        return -1.0 if self.value < 0 else 1.0


def parse_lithium_step(text: str) -> LithiumStep:
    """Read a step such as ``"C/3 until 4.3 V"``, ``"1e-5 mol/m2/s until x 0.3"``, ``"x 0.3 until C/20 for 2 h"``.

    Raises:
        StudyError: Another form.
        UnitError: A value without its unit.

    Example:
        >>> parse_lithium_step("-C/2 until surface x 0.9").level
        0.9
    """
    from pxm2mesh.units import parse_quantity

    words = " ".join(text.split())
    head, _, duration = words.partition(" for ")
    head, _, end = head.partition(" until ")
    longest = parse_quantity(duration, "time", where=text) if duration else _LONGEST
    if head.lower().startswith("rest"):
        given = head[4:].strip()
        if end or not (given or duration):
            raise StudyError(f"protocol step {text!r}: a rest has a duration;", hint='write "rest 10 min".')
        return LithiumStep(
            "rest", 0.0, until_time=parse_quantity(given, "time", where=text) if given else longest
        )
    kind, value = _drive(head, text)
    until, level = _end(end, text) if end else ("", 0.0)
    if (until == "rate") != (kind == "x") and until:
        raise StudyError(
            f"protocol step {text!r} cannot end at {end!r};",
            hint="a fixed x ends at a rate, a rate or flux at a voltage, x or surface x.",
        )
    return LithiumStep(kind, value, until, level, longest)  # type: ignore[arg-type]


def _drive(head: str, text: str) -> tuple[str, float]:
    from pxm2mesh.units import parse_quantity

    level = _lithiation(head, text)
    if level is not None:
        return "x", level
    rate = parse_rate(head)
    if rate is not None:
        if rate == 0:
            raise StudyError(f"protocol step {text!r} has a rate of zero;", hint="use a rest.")
        return "rate", rate
    try:
        return "flux", parse_quantity(head, "molar_flux", where=text)
    except Pxm2meshError as error:
        raise StudyError(f"protocol step {text!r} is not understood;", hint=f"write {_FORMS}.") from error


def _end(end: str, text: str) -> tuple[str, float]:
    from pxm2mesh.units import parse_quantity

    at_surface = end.lower().startswith("surface ")
    level = _lithiation(end[8:] if at_surface else end, text)
    if level is not None:
        return ("surface" if at_surface else "mean"), level
    rate = parse_rate(end)
    if rate is not None:
        return "rate", abs(rate)
    return "voltage", parse_quantity(end, "voltage", where=text)


def _lithiation(words: str, text: str) -> float | None:
    """``"x 0.3"`` or ``"x = 0.3"`` → 0.3; None for anything else."""
    if not words.lower().startswith(("x ", "x=")):
        return None
    try:
        value = float(words[1:].strip().lstrip("=").strip())
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise StudyError(
            f"protocol step {text!r}: {words!r} is not a state of lithiation;", hint='write "x 0.3".'
        )
    return value


def _check_step(text: str) -> str:
    try:
        parse_lithium_step(text)
    except Pxm2meshError as error:
        raise problem(error.message, error.hint) from None
    return text


class Diffusion(Section):
    """Lithium in particles, without potentials: what is taken out passes evenly through the contact.

    Attributes:
        active: Phase of the particles.
        contact: Interface through which lithium passes, ``"NMC | LPSCl"``.
        initial: State of lithiation at the start.
        protocol: Such as ``"C/3 until 4.3 V"``, ``"1e-5 mol/m2/s until x 0.3"``, ``"x 0.3 until C/20"``,
            ``"rest 10 min"``. Positive rates and fluxes charge: lithium leaves.
        diffusivity: Instead of the material's.
        maximum_concentration: Instead of the material's.
        tolerance: Largest error of the state of lithiation that a time step may add.
        order: Polynomial degree of the state of lithiation.
        first_step: First time step of each step of the protocol.
        largest_step: Longest time step; as long as the tolerance allows when absent.
        temperature: Of the charge transfer, which enters the voltage.
        write_every: Fields are written after so many time steps, and at the end of each step of the protocol.
    """

    model: Literal["diffusion"]
    active: PhaseName
    contact: PairName
    initial: float = Field(default=0.9, gt=0, lt=1)
    protocol: tuple[Annotated[str, AfterValidator(_check_step)], ...] = Field(min_length=1)
    diffusivity: Diffusivity | None = None
    maximum_concentration: Concentration | None = None
    tolerance: float = Field(default=1e-4, gt=0, lt=0.1)
    order: Literal[1, 2] = 1
    first_step: Time = Field(default=Measure("1 s", "time"))
    largest_step: Time | None = None
    temperature: Temperature = Field(default=Measure("298.15 K", "temperature"))
    write_every: int = Field(default=5, ge=1)

    @model_validator(mode="after")
    def _contact_of_active(self) -> Self:
        if self.active not in [side.strip() for side in self.contact.split("|")]:
            raise problem(
                f"contact {self.contact!r} is not an interface of {self.active!r};",
                f'write for example "{self.active} | LPSCl".',
            )
        return self
