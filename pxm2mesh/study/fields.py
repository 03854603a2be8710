"""What the sections of a study file are made of: strict frozen models, and values that carry a unit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from pxm2mesh.errors import Pxm2meshError, did_you_mean
from pxm2mesh.units import parse_quantity


class Measure(str):
    """Text such as ``"0.40 um"`` that was checked for its dimension.

    Attributes:
        dimension: A key of `pxm2mesh.units.INTERNAL_UNITS`.
        value: The number in the internal unit of that dimension.

    Example:
        >>> Measure("400 nm", "length").value
        0.4
    """

    dimension: str
    value: float

    def __new__(cls, text: str | float, dimension: str) -> Self:
        """Check ``text``; `UnitError` when it has no unit or another dimension."""
        value = parse_quantity(text, dimension)
        measure = super().__new__(cls, text)
        measure.dimension = dimension
        measure.value = value
        return measure

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """What a copy is made from."""
        return type(self), (str(self), self.dimension)


class Of:
    """Marks a field as a `Measure` of a dimension: ``Annotated[Measure, Of("length")]``.

    Args:
        dimension: A key of `pxm2mesh.units.INTERNAL_UNITS`.
        positive: Refuse zero and negative values.
    """

    def __init__(self, dimension: str, *, positive: bool = False) -> None:
        self.dimension = dimension
        self.positive = positive

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Validate with `Measure`, write as text, describe as text in the JSON schema."""
        text = core_schema.union_schema([core_schema.str_schema(), core_schema.float_schema()])
        return core_schema.no_info_plain_validator_function(
            self._check,
            json_schema_input_schema=text,
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )

    def __get_pydantic_json_schema__(self, _schema: Any, _handler: Any) -> dict[str, Any]:
        """A string with a unit."""
        return {"type": "string", "description": f"a {self.dimension.replace('_', ' ')} with its unit"}

    def _check(self, given: Any) -> Measure:
        try:
            measure = Measure(given, self.dimension)
        except Pxm2meshError as error:
            raise problem(error.message, error.hint) from None
        if self.positive and measure.value <= 0:
            raise problem(f"{str(measure)!r} must be larger than zero;", "write a positive value.")
        return measure


Length = Annotated[Measure, Of("length", positive=True)]
Time = Annotated[Measure, Of("time", positive=True)]
Temperature = Annotated[Measure, Of("temperature", positive=True)]
Pressure = Annotated[Measure, Of("pressure")]
Stiffness = Annotated[Measure, Of("stiffness", positive=True)]
EnergyPerArea = Annotated[Measure, Of("energy_per_area", positive=True)]
Voltage = Annotated[Measure, Of("voltage")]
CurrentDensity = Annotated[Measure, Of("current_density")]
MolarFlux = Annotated[Measure, Of("molar_flux")]
Conductivity = Annotated[Measure, Of("conductivity", positive=True)]
ArealConductance = Annotated[Measure, Of("areal_conductance", positive=True)]
Diffusivity = Annotated[Measure, Of("diffusivity", positive=True)]
Concentration = Annotated[Measure, Of("concentration")]


def problem(message: str, hint: str = "") -> PydanticCustomError:
    """An error of a validator whose hint survives pydantic.

    Args:
        message: What is wrong; where it stands in the file is added by the reader.
        hint: What to do about it.
    """
    return PydanticCustomError("pxm2mesh", "{message}", {"message": message, "hint": hint})


def _beside_the_study(path: str, info: ValidationInfo) -> str:
    folder = (info.context or {}).get("folder")
    file, colons, inner = path.partition("::")  # file.h5::/path/of/dataset
    if folder is None or Path(file).is_absolute():
        return path
    return os.path.normpath(Path(folder) / file) + colons + inner


def _material_beside_the_study(name: str, info: ValidationInfo) -> str:
    return _beside_the_study(name, info) if name.endswith(".toml") else name


FilePath = Annotated[str, AfterValidator(_beside_the_study)]
"""A path; relative ones are relative to the study file."""
MaterialName = Annotated[str, AfterValidator(_material_beside_the_study)]
"""A name of the library, or a path that ends in ``.toml``."""


class Section(BaseModel):
    """A table of the study file: frozen, and an unknown key is an error with a suggestion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, validate_default=False)
    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Keys that belong into another table, with the advice to give."""

    @model_validator(mode="before")
    @classmethod
    def _know_every_key(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        known = {field.alias or name for name, field in cls.model_fields.items()}
        for key in given:
            if key not in known:
                hint = cls.elsewhere.get(key) or did_you_mean(key, sorted(known))
                raise PydanticCustomError(
                    "unknown_key", "{message}", {"message": "unknown key;", "hint": hint, "key": key}
                )
        return given
