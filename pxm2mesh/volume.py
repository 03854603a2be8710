"""Volumes on a voxel lattice: grey values and labels.

Arrays are indexed (x, y, z); voxel (i, j, k) fills ``origin + [i, i+1) × spacing`` and so on, in µm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.phases import Phase, PhaseTable
from pxm2mesh.units import parse_quantity

SpacingLike = str | Sequence[float] | Sequence[str] | npt.NDArray[np.float64]

_FINEST, _COARSEST = 1e-3, 1e3
"""Edges of voxels, in µm, beyond which no scan of an electrode lies: 1 nm and 1 mm."""


def parse_spacing(spacing: SpacingLike, *, where: str = "spacing") -> npt.NDArray[np.float64]:
    """Voxel edge lengths.

    Args:
        spacing: ``"0.4 um"``, ``"0.4 um, 0.4 um, 1 um"``, ``"0.4, 0.4, 1 um"``, or three numbers in µm.
        where: For the message.

    Returns:
        (3,) µm, read-only.

    Raises:
        UsageError: Not one or three positive lengths, or such that no scan has (see `refuse_odd_spacing`).
        UnitError: Text without a unit of length.
    """
    if isinstance(spacing, str):
        parts = [p.strip() for p in spacing.split(",")]
        unit = parts[-1].lstrip("+-.0123456789eE ")
        values = [
            parse_quantity(
                p if any(c.isalpha() for c in p.lstrip("+-.0123456789eE")) else f"{p} {unit}",
                "length",
                where=where,
            )
            for p in parts
        ]
    else:
        values = [
            parse_quantity(s, "length", where=where) if isinstance(s, str) else float(s) for s in spacing
        ]
    if len(values) == 1:
        values = values * 3
    array = np.array(values, dtype=np.float64)
    if array.shape != (3,) or not np.all(np.isfinite(array)) or np.any(array <= 0):
        raise UsageError(
            f"{where}: {spacing!r} is not one or three positive lengths;", hint='write "0.4 um".'
        )
    refuse_odd_spacing(array, where if isinstance(spacing, str) else f"{where} (numbers are µm):")
    array.flags.writeable = False
    return array


def refuse_odd_spacing(spacing: npt.NDArray[np.float64], where: str) -> None:
    """Refuse voxels finer than 1 nm or coarser than 1 mm: their unit is wrong.

    Args:
        spacing: (3,) µm.
        where: For the message.

    Raises:
        UsageError: Such a voxel.
    """
    odd = spacing[(spacing < _FINEST * (1 - 1e-9)) | (spacing > _COARSEST * (1 + 1e-9))]
    if len(odd):
        raise UsageError(
            f"{where} voxel edge of {odd[0]:.6g} µm is not that of a scan (1 nm to 1 mm);",
            hint='check its unit: "0.4 um", "400 nm".',
        )


def parse_crop(text: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Read the command line's form of a crop.

    Args:
        text: ``"0:100, 0:100, 20:120"`` along x, y, z in voxels; the last is not part of it.

    Returns:
        First voxel, and one past the last.

    Raises:
        UsageError: The text has another form.

    Example:
        >>> parse_crop("0:10, 0:10, 5:20")
        ((0, 0, 5), (10, 10, 20))
    """
    try:
        pairs = [tuple(int(end) for end in part.split(":")) for part in text.split(",")]
        (x0, x1), (y0, y1), (z0, z1) = pairs
    except ValueError:
        raise UsageError(
            f"crop {text!r} is not three ranges;", hint='write "0:100, 0:100, 20:120".'
        ) from None
    return (x0, y0, z0), (x1, y1, z1)


def _vector(values: Any, what: str) -> npt.NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    if array.shape != (3,) or not np.all(np.isfinite(array)):
        raise DataError(f"{what} must be 3 finite numbers, got {values!r}.")
    array.flags.writeable = False
    return array


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _check_3d(array: npt.NDArray[Any], what: str) -> None:
    if array.ndim != 3 or 0 in array.shape:
        raise DataError(f"{what} must be a 3-D array (x, y, z) with no empty axis, got shape {array.shape}.")


@dataclass(frozen=True, eq=False, init=False)
class GreyVolume:
    """A scan: one grey value per voxel.

    Attributes:
        values: (nx, ny, nz), any real dtype; read-only.
        spacing: (3,) µm; anything `parse_spacing` takes.
        origin: (3,) µm.
    """

    values: npt.NDArray[Any]
    spacing: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]

    def __init__(
        self, values: npt.ArrayLike, spacing: SpacingLike, origin: npt.ArrayLike = (0, 0, 0)
    ) -> None:
        array = np.asarray(values)
        _check_3d(array, "grey values")
        if array.dtype.kind not in "uif":
            raise DataError(
                f"grey values have type {array.dtype};", hint="convert them to integers or floats."
            )
        object.__setattr__(self, "values", _read_only(array))
        object.__setattr__(self, "spacing", parse_spacing(spacing))
        object.__setattr__(self, "origin", _vector(origin, "origin"))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        nx, ny, nz = self.values.shape
        return nx, ny, nz

    def crop(self, lower: Sequence[int], upper: Sequence[int]) -> GreyVolume:
        """As `LabelVolume.crop`."""
        corner = self.origin + np.asarray(lower) * self.spacing
        return GreyVolume(self.values[box_window(lower, upper, self.shape)], self.spacing, corner)

    def binned(self, factor: int) -> GreyVolume:
        """One voxel, float32, for the mean of blocks of ``factor`` per axis; what is left over is cut off."""
        if factor == 1:
            return self
        kept = _whole_blocks(self.shape, factor)
        return GreyVolume(bin_mean(self.values[kept], factor), self.spacing * factor, self.origin)

    def __repr__(self) -> str:
        low, high = self.values.min(), self.values.max()
        return f"GreyVolume({_size_of(self)}: {self.values.dtype} from {low:g} to {high:g})"

    def _repr_html_(self) -> str:
        from pxm2mesh.io.pictures import grey_html

        return grey_html(self)

    def plot(self) -> Any:
        """The three slices through the middle, and how often each grey value occurs.

        Returns:
            A matplotlib figure; a notebook shows it.
        """
        from pxm2mesh.io.pictures import plot_grey

        return plot_grey(self)


@dataclass(frozen=True, eq=False, init=False)
class LabelVolume:
    """A segmented sample: one phase per voxel.

    Attributes:
        labels: (nx, ny, nz) unsigned integers; read-only. Every label has a phase.
        phases: The phase table; a mapping ``{"NMC": 1}`` is converted.
        spacing: (3,) µm; anything `parse_spacing` takes.
        origin: (3,) µm, the corner of voxel (0, 0, 0).
        particles: (nx, ny, nz) ids of separated particles, 0 = not part of one, or None. Where
            given, touching particles of one phase are regions of their own.

    Raises:
        DataError: Not 3-D, not whole numbers, or a label without a phase.
    """

    labels: npt.NDArray[np.unsignedinteger[Any]]
    phases: PhaseTable
    spacing: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]
    particles: npt.NDArray[np.int32] | None

    def __init__(
        self,
        labels: npt.ArrayLike,
        phases: PhaseTable | Mapping[str, int],
        spacing: SpacingLike,
        origin: npt.ArrayLike = (0, 0, 0),
        particles: npt.ArrayLike | None = None,
    ) -> None:
        table = phases if isinstance(phases, PhaseTable) else PhaseTable(phases)
        array = as_labels(np.asarray(labels))
        known = set(table.labels)
        strange = [label for label in _count(array) if label not in known]
        if strange:
            where = tuple(int(i[0]) for i in np.nonzero(array == strange[0]))
            raise DataError(
                f"label {', '.join(map(str, strange[:8]))} has no phase (first at voxel {where}; the table has "
                f"{', '.join(f'{p.name}={p.label}' for p in table)});",
                hint=f'add it to the phases, for example "other={strange[0]}".',
            )
        object.__setattr__(self, "phases", table)
        object.__setattr__(self, "labels", _read_only(array))
        object.__setattr__(self, "spacing", parse_spacing(spacing))
        object.__setattr__(self, "origin", _vector(origin, "origin"))
        ids = None if particles is None else np.asarray(particles)
        if ids is not None:
            if ids.shape != array.shape or ids.dtype.kind not in "ui":
                raise DataError(
                    f"particle ids have shape {ids.shape} and type {ids.dtype}, labels {array.shape}."
                )
            ids = _read_only(ids.astype(np.int32, copy=False))
        object.__setattr__(self, "particles", ids)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        nx, ny, nz = self.labels.shape
        return nx, ny, nz

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel in µm³."""
        return float(np.prod(self.spacing))

    @property
    def box(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Lower and upper corner of the sample, (3,) µm each."""
        return self.origin, self.origin + np.array(self.shape) * self.spacing

    def voxel_counts(self) -> Mapping[str, int]:
        """Voxels of each phase, by name (0 for a phase that does not occur)."""
        counts = _count(self.labels)
        return {p.name: counts.get(p.label, 0) for p in self.phases}

    def mask(self, *names: str) -> npt.NDArray[np.bool_]:
        """(nx, ny, nz) True where one of the named phases is."""
        inside = np.zeros(self.shape, bool)
        for name in names:
            inside |= self.labels == self.phases[name].label
        return inside

    def require(self, name: str) -> Phase:
        """The named phase; `DataError` if it has no voxel."""
        phase = self.phases[name]
        if not np.any(self.labels == phase.label):
            raise DataError(
                f"phase {name!r} (label {phase.label}) has no voxel in this volume;",
                hint="check the phase table against the labels, or leave the phase out.",
            )
        return phase

    def crop(self, lower: Sequence[int], upper: Sequence[int]) -> LabelVolume:
        """The sub-volume of voxels ``lower`` (included) to ``upper`` (excluded), in its place in space."""
        window = box_window(lower, upper, self.shape)
        corner = self.origin + np.asarray(lower) * self.spacing
        particles = None if self.particles is None else self.particles[window]
        return LabelVolume(self.labels[window], self.phases, self.spacing, corner, particles)

    def binned(self, factor: int) -> LabelVolume:
        """One voxel for blocks of ``factor`` per axis, by majority; what is left over is cut off.

        The lower label wins where two are equally frequent. Particle ids are dropped.
        """
        if factor == 1:
            return self
        kept = _whole_blocks(self.shape, factor)
        labels = bin_majority(self.labels[kept], factor)
        return LabelVolume(labels, self.phases, self.spacing * factor, self.origin)

    def digest(self) -> str:
        """SHA-256 of labels, particles, phases, spacing and origin."""
        state = hashlib.sha256(
            repr(
                (self.shape, str(self.labels.dtype), self.phases, self.spacing.tolist(), self.origin.tolist())
            ).encode()
        )
        state.update(np.ascontiguousarray(self.labels).data)
        if self.particles is not None:
            state.update(np.ascontiguousarray(self.particles).data)
        return state.hexdigest()

    def __repr__(self) -> str:
        total = self.labels.size
        shares = ", ".join(f"{name} {100 * n / total:.1f} %" for name, n in self.voxel_counts().items())
        return f"LabelVolume({_size_of(self)}: {shares})"

    def _repr_html_(self) -> str:
        from pxm2mesh.io.pictures import volume_html

        return volume_html(self)

    def plot(self) -> Any:
        """The three slices through the middle, in the colours of the phases.

        Returns:
            A matplotlib figure; a notebook shows it.
        """
        from pxm2mesh.io.pictures import plot_volume

        return plot_volume(self)


def _size_of(volume: GreyVolume | LabelVolume) -> str:
    size, voxel = " × ".join(map(str, volume.shape)), " × ".join(f"{s:g}" for s in volume.spacing)
    return f"{size} voxels of {voxel} µm"


def box_window(
    lower: Sequence[int], upper: Sequence[int], shape: Sequence[int]
) -> tuple[slice, slice, slice]:
    """The box of voxels ``lower`` (included) to ``upper`` (excluded) as slices.

    Raises:
        UsageError: It is empty or reaches beyond the volume of that shape.
    """
    low, high = np.asarray(lower), np.asarray(upper)
    if np.any(low < 0) or np.any(high > shape) or np.any(low >= high):
        raise UsageError(
            f"crop {list(lower)} to {list(upper)} does not fit a volume of {tuple(shape)} voxels;",
            hint=f"give first voxels from 0 on, and ends up to {list(shape)}.",
        )
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z


def _whole_blocks(shape: tuple[int, int, int], factor: int) -> tuple[slice, ...]:
    if factor < 1 or min(shape) < factor:
        raise UsageError(f"bin {factor} does not fit a volume of {shape} voxels.")
    return tuple(slice(n // factor * factor) for n in shape)


def _in_blocks(values: npt.NDArray[Any], factor: int) -> npt.NDArray[Any]:
    nx, ny, nz = (n // factor for n in values.shape)
    return values.reshape(nx, factor, ny, factor, nz, factor)


def bin_mean(values: npt.NDArray[Any], factor: int) -> npt.NDArray[np.float32]:
    """(nx/f, ny/f, nz/f) means of blocks; the shape of ``values`` is a multiple of ``factor``."""
    return np.asarray(_in_blocks(values, factor).mean(axis=(1, 3, 5), dtype=np.float32))


def bin_majority(labels: npt.NDArray[Any], factor: int) -> npt.NDArray[Any]:
    """(nx/f, ny/f, nz/f) most frequent label of each block, the lowest of equally frequent ones."""
    blocks = _in_blocks(labels, factor)
    best = np.full([n // factor for n in labels.shape], -1, np.int64)
    found = np.zeros(best.shape, labels.dtype)
    for label in np.unique(labels):
        count = np.count_nonzero(blocks == label, axis=(1, 3, 5))
        more = count > best
        best[more] = count[more]
        found[more] = label
    return found


def as_labels(array: npt.NDArray[Any]) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Whole non-negative numbers as the smallest unsigned type that holds them.

    Args:
        array: (nx, ny, nz) integers, booleans, or floats that are whole numbers.

    Returns:
        The same values as uint8, uint16 or uint32.

    Raises:
        DataError: NaN, fractions, negative numbers, or not 3-D; says where the first one is.
    """
    _check_3d(array, "labels")
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array) | (array != np.floor(array))
        if bad.any():
            where = tuple(int(i[0]) for i in np.nonzero(bad))
            raise DataError(
                f"labels must be whole numbers: {int(bad.sum())} voxels are not, the first at voxel {where} "
                f"is {array[where]};",
                hint="this looks like a grey image: segment it first (pxm2mesh segment).",
            )
    elif array.dtype.kind not in "uib":
        raise DataError(f"labels have type {array.dtype};", hint="store them as integers.")
    low, high = array.min(), array.max()
    if low < 0:
        where = tuple(int(i[0]) for i in np.nonzero(array < 0))
        raise DataError(f"label {int(low)} is negative (first at voxel {where});", hint="use labels ≥ 0.")
    if high > np.iinfo(np.uint32).max:
        raise DataError(f"label {int(high)} is too large;", hint="renumber the labels below 4294967296.")
    dtype = np.uint8 if high < 256 else np.uint16 if high < 65536 else np.uint32
    labels: npt.NDArray[np.unsignedinteger[Any]] = np.ascontiguousarray(array, dtype=dtype)
    return labels


def _count(labels: npt.NDArray[Any]) -> dict[int, int]:
    """Voxels per label that occurs; slice by slice so that no int64 copy of the volume is made."""
    top = int(labels.max())
    if top >= 1 << 22:
        return {int(k): int(n) for k, n in zip(*np.unique(labels, return_counts=True), strict=True)}
    counts = np.zeros(top + 1, dtype=np.int64)
    for plane in labels:
        counts += np.bincount(plane.ravel(), minlength=top + 1)
    return {int(k): int(counts[k]) for k in np.flatnonzero(counts)}
