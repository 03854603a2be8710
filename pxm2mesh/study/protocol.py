"""What is done to a cell: currents, voltages and rests, each until something happens; a study writes them as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator

from pxm2mesh.errors import Pxm2meshError, StudyError
from pxm2mesh.study.fields import problem

LONGEST = 3.6e6
"""s; of a step that names no time."""


@dataclass(frozen=True)
class Current:
    """A constant current.

    Attributes:
        rate: In C, positive charges.
        until_voltage: Cut-off in V, upwards when charging and downwards when discharging; None for none.
        until_time: Longest duration in s.
    """

    rate: float
    until_voltage: float | None = None
    until_time: float = LONGEST

    def __post_init__(self) -> None:
        if self.rate == 0:
            raise StudyError("a current step has a rate of zero;", hint="use a rest.")


@dataclass(frozen=True)
class Voltage:
    """A constant voltage.

    Attributes:
        voltage: V.
        until_rate: Ends when |current| falls below this, in C; None for no such end.
        until_time: Longest duration in s.
    """

    voltage: float
    until_rate: float | None = None
    until_time: float = LONGEST


@dataclass(frozen=True)
class Rest:
    """No current for a time in s."""

    until_time: float


@dataclass(frozen=True)
class Press:
    """Another stack pressure in MPa, at once."""

    pressure: float


Step = Current | Voltage | Rest | Press


def cccv(rate: float, voltage: float, end_rate: float) -> tuple[Step, ...]:
    """Constant current up to a voltage, then that voltage until the current has fallen to ``end_rate`` (C)."""
    return (Current(rate, until_voltage=voltage), Voltage(voltage, until_rate=end_rate))


def parse_steps(texts: Sequence[str]) -> tuple[Step, ...]:
    """Read ``"C/3 until 4.3 V"``, ``"4.3 V until C/20"``, ``"rest 10 min"``, ``"-1C for 30 min"``, ``"press 5 MPa"``.

    Raises:
        StudyError: Another form.
    """
    return tuple(_parse(text) for text in texts)


def _parse(text: str) -> Step:
    from pxm2mesh.units import parse_quantity

    def seconds(part: str) -> float:
        return parse_quantity(part, "time", where=text)

    def volts(part: str) -> float:
        return parse_quantity(part, "voltage", where=text)

    words = " ".join(text.split())
    options: dict[str, Any] = {}
    head, _, duration = words.partition(" for ")
    if duration:
        options["until_time"] = seconds(duration)
    head, _, end = head.partition(" until ")
    if head.lower().startswith("rest"):
        time = head[4:].strip()
        if end or (time and duration):
            raise StudyError(
                f"protocol step {text!r}: a rest has one time and no other end;", hint='write "rest 10 min".'
            )
        return Rest(seconds(time or duration))
    if head.lower().startswith("press "):
        if end or duration:
            raise StudyError(
                f"protocol step {text!r}: the pressure is changed at once;",
                hint='write "press 5 MPa", and after it "rest 10 min".',
            )
        return Press(parse_quantity(head[6:], "pressure", where=text))
    rate = parse_rate(head)
    if rate is not None:
        return Current(rate, until_voltage=volts(end) if end else None, **options)
    if "C" in head.upper().replace("°C", ""):
        raise StudyError(
            f"protocol step {text!r}: {head!r} is not a rate;",
            hint='write "C/3" or "0.5C", and a minus in front to discharge: "-C/3".',
        )
    level = parse_rate(end) if end else None
    if end and level is None:
        raise StudyError(f"protocol step {text!r}: {end!r} is not a rate;", hint='write "4.3 V until C/20".')
    return Voltage(volts(head), until_rate=None if level is None else abs(level), **options)


def parse_rate(text: str) -> float | None:
    """``"C/3"``, ``"2C"``, ``"-C/10"`` → a number in C; None for anything else."""
    compact = text.replace(" ", "").upper()
    sign = -1.0 if compact.startswith("-") else 1.0
    before, found, after = compact.lstrip("+-").partition("C")
    try:
        if not found or (after and not after.startswith("/")):
            return None
        above, below = float(before) if before else 1.0, float(after[1:]) if after else 1.0
    except ValueError:
        return None
    return sign * above / below if below > 0 and above >= 0 else None


def _check_step(text: str) -> str:
    try:
        _parse(text)
    except Pxm2meshError as error:
        raise problem(error.message, error.hint) from None
    return text


def check_order(texts: tuple[str, ...]) -> tuple[str, ...]:
    """A discharge ends below the voltage that a charge just before it has reached, and the other way round."""
    before: float | None = None
    for text, step in zip(texts, parse_steps(texts), strict=True):
        goal = getattr(step, "until_voltage", None)
        if isinstance(step, Current) and goal is not None:
            if before is not None and (goal - before) * step.rate <= 0:
                way, sign = ("charges", "up") if step.rate > 0 else ("discharges", "down")
                raise problem(
                    f"protocol step {text!r} {way} from {before:g} V to {goal:g} V;",
                    f"a rate that {way} ends further {sign}: change its sign or the voltage.",
                )
            before = goal
        elif isinstance(step, Voltage):
            before = step.voltage
        elif isinstance(step, Current):
            before = None
    return texts


Protocol = Annotated[tuple[Annotated[str, AfterValidator(_check_step)], ...], AfterValidator(check_order)]
"""The type of a field of a study that holds the steps as text."""
