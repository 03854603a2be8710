"""Tortuosity factor and effective conductivity, solved on the voxels themselves."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import NotConvergedError, UsageError
from pxm2mesh.quantify._parallel import over_planes, run_all
from pxm2mesh.quantify.areas import phase_index
from pxm2mesh.quantify.connectivity import AXES
from pxm2mesh.volume import LabelVolume

if TYPE_CHECKING:
    from pxm2mesh.quantify._multigrid import Operator

logger = logging.getLogger(__name__)

Conductors = str | Sequence[str] | Mapping[str, float]

_LOWEST = 1e-9
"""Smallest conductivity beside the largest one: single precision resolves no wider range."""


@dataclass(frozen=True, eq=False)
class TransportResult:
    """What conducts, and how well, in one direction.

    Attributes:
        direction: ``"x"``, ``"y"`` or ``"z"``.
        tortuosity_factor: Volume-averaged over effective conductivity, ε/σ_eff for one phase; ``inf`` where
            nothing leads through. Its square root is the tortuosity some authors report.
        effective_conductivity: Of the sample, in the unit of the conductivities (1 for a phase by name).
        percolating_fraction: Share of the conducting voxels that belongs to a path between the plates.
        iterations: Of the solver.
        remaining_error: Estimated relative error of the conductivity that iterating on would remove.
        potential: (nx, ny, nz) float32 from 1 at the lower plate to 0 at the upper one, NaN where
            no current flows; None unless asked for.
    """

    direction: str
    tortuosity_factor: float
    effective_conductivity: float
    percolating_fraction: float
    iterations: int
    remaining_error: float
    potential: npt.NDArray[np.float32] | None = None


def tortuosity(
    volume: LabelVolume,
    phases: Conductors,
    direction: str,
    *,
    tolerance: float = 1e-4,
    periodic: bool = False,
    potential: bool = False,
    max_iterations: int = 2000,
) -> TransportResult:
    """Solve steady conduction from one face of the box to the other.

    Finite volumes on the voxels: one unknown per voxel, harmonic means of the conductivities on the faces,
    potential 1 and 0 half a voxel outside of the first and last plane, no flux or periodicity on the sides.

    Args:
        volume: The sample.
        phases: The phase that conducts, several, or conductivities by name ``{"pore": 1, "binder": 0.1}``.
        direction: ``"x"``, ``"y"`` or ``"z"``.
        tolerance: Relative error of the effective conductivity to stop at, 1e-7 to 0.1.
        periodic: Whether the four sides are periodic instead of insulated.
        potential: Whether to return the potential.
        max_iterations: Give up after as many.

    Returns:
        Tortuosity factor, effective conductivity, percolating share, and the potential on request.

    Raises:
        UsageError: Unknown phase or direction, a conductivity that is not positive, tolerance out of range.
        NotConvergedError: The tolerance was not reached.

    Example:
        >>> import numpy as np
        >>> labels = np.zeros((8, 8, 8), np.uint8); labels[:, :4] = 1
        >>> volume = LabelVolume(labels, {"void": 0, "LPSCl": 1}, "1 um")
        >>> tortuosity(volume, "LPSCl", "x").tortuosity_factor
        1.0
        >>> tortuosity(volume, "LPSCl", "y").tortuosity_factor
        inf

    References:
        S. Cooper et al., SoftwareX 5, 203 (2016) (tortuosity factor by finite volumes on voxels);
        D. Braess, Computing 55, 379 (1995) (aggregation multigrid with scaled coarse operators);
        Y. Notay, Electron. Trans. Numer. Anal. 37, 123 (2010) (groups of connected cells, for hard media).
    """
    conductivity = _conductivities(volume, phases)
    if direction not in AXES:
        raise UsageError(f"unknown direction {direction!r};", hint='use "x", "y" or "z".')
    if not 1e-7 <= tolerance <= 0.1:
        raise UsageError(f"tolerance {tolerance!r} is not between 1e-7 and 0.1;", hint="1e-4 is usual.")
    return _solve(volume, conductivity, AXES.index(direction), tolerance, periodic, potential, max_iterations)


def _conductivities(volume: LabelVolume, phases: Conductors) -> npt.NDArray[np.float64]:
    """(p,) conductivity by position in the phase table."""
    if isinstance(phases, Mapping):
        given = dict(phases)
    else:
        given = dict.fromkeys([phases] if isinstance(phases, str) else phases, 1.0)
    for name, value in given.items():
        if not np.isfinite(value) or value < 0:
            raise UsageError(f"conductivity {value!r} of {name!r} is not a number ≥ 0.")
    values = [float(given.pop(phase.name, 0.0)) for phase in volume.phases]
    for name in given:
        volume.phases[name]  # raises with the closest name
    array = np.array(values)
    if not array.any():
        raise UsageError("no phase conducts;", hint="name at least one phase with a conductivity above 0.")
    low = array[array > 0].min() / array.max()
    if low < _LOWEST:
        raise UsageError(
            f"conductivities differ by a factor of {1 / low:.3g}, more than {1 / _LOWEST:g};",
            hint="leave the worst conductor out.",
        )
    return array


def percolating_bits(
    phase: npt.NDArray[np.unsignedinteger],
    conducts: npt.NDArray[np.bool_],
    axis: int,
    wrap: tuple[bool, bool],
) -> tuple[npt.NDArray[np.uint64], int]:
    """The part of a conductor that leads from one end of ``axis`` to the other.

    Args:
        phase: (nx, ny, nz) phase indices.
        conducts: (p,) which phases conduct.
        axis: 0, 1 or 2.
        wrap: Whether the second and third axis are periodic.

    Returns:
        (nx, ny, ⌈nz/64⌉) one bit per voxel of that part, and how many voxels conduct in all.
    """
    from pxm2mesh.quantify import _flood_kernels as kernels

    nx, ny, nz = phase.shape
    mask = np.zeros((nx, ny, -(-nz // 64)), np.uint64)
    over_planes(kernels.pack, nx, phase, conducts.astype(np.uint8), mask)
    conducting = int(np.bitwise_count(mask).sum())
    for end in (0, -1):  # what the lower face wets; of that, what the upper face wets
        wet = np.zeros_like(mask)
        if axis < 2:
            place = (end,) if axis == 0 else (slice(None), end)
            wet[place] = mask[place]
        else:
            bit = np.uint64(1) << np.uint64(0 if end == 0 else (nz - 1) % 64)
            wet[:, :, end] = mask[:, :, end] & bit
        kernels.flood(mask, wet, nz, *wrap)
        mask = wet
    return mask, conducting


def _solve(
    volume: LabelVolume,
    conductivity: npt.NDArray[np.float64],
    axis: int,
    tolerance: float,
    periodic: bool,
    keep: bool,
    limit: int,
) -> TransportResult:
    from pxm2mesh.quantify import _flood_kernels as flood
    from pxm2mesh.quantify._multigrid import Multigrid

    phase, spacing, turned = phase_index(volume), volume.spacing, axis
    if periodic:  # the wrapped axes must be the second and third
        phase, turned = np.ascontiguousarray(np.moveaxis(phase, axis, 0)), 0
        spacing = np.array([volume.spacing[axis], *np.delete(volume.spacing, axis)])
    wrap = (periodic, periodic)
    bits, conducting = percolating_bits(phase, conductivity > 0, turned, wrap)
    through = int(np.bitwise_count(bits).sum())
    share = through / conducting if conducting else 0.0
    if through == 0:
        return TransportResult(AXES[axis], np.inf, 0.0, 0.0, 0, 0.0, _nothing(volume) if keep else None)
    mask = np.zeros([n + 2 for n in phase.shape], np.uint8)
    over_planes(flood.unpack, phase.shape[0], bits, mask)
    del bits
    best = float(conductivity.max())
    fine = _operator(phase, mask, conductivity / best, turned, (spacing[turned] / spacing) ** 2, wrap)
    wet = mask[1:-1, 1:-1, 1:-1] > 0 if keep else None
    del mask
    grid = Multigrid(fine, wrap, turned, contrast=best / float(conductivity[conductivity > 0].min()))

    def report(iteration: int, energy: float, remaining: float) -> None:
        logger.debug("iteration %d: conductance %.8g, remaining error %.1e", iteration, energy, remaining)

    ended, drop, error = grid.solve(tolerance, limit, keep, report)
    if not ended.converged:
        raise NotConvergedError(
            f"conduction along {AXES[axis]} through {volume!r} did not settle to {tolerance:g}:",
            reason="iteration limit" if np.isfinite(ended.remaining) else "breakdown",
            iterations=ended.iterations,
            residual=ended.remaining,
            hint=f"error {ended.remaining:.2g} (estimated) after {ended.iterations} iterations; raise max_iterations.",
        )
    length = phase.shape[turned]
    effective = ended.energy * best * length / (phase.size / length)
    if np.count_nonzero(conductivity) == 1:
        average = best * conducting / phase.size
    else:
        average = float(conductivity @ np.array(list(volume.voxel_counts().values()))) / phase.size
    field = None
    if wet is not None:
        field = np.moveaxis(_potential(drop, error, wet, turned), turned, axis)
    return TransportResult(
        AXES[axis], average / effective, effective, share, ended.iterations, ended.remaining, field
    )


def _nothing(volume: LabelVolume) -> npt.NDArray[np.float32]:
    return np.full(volume.shape, np.nan, np.float32)


def _potential(
    drop: npt.NDArray[np.float64], error: npt.NDArray[np.float32], wet: npt.NDArray[np.bool_], axis: int
) -> npt.NDArray[np.float32]:
    profile = (1 - np.cumsum(drop[:-1])).astype(np.float32)
    shape = [1, 1, 1]
    shape[axis] = -1
    field = error[1:-1, 1:-1, 1:-1] + profile.reshape(shape)
    np.clip(field, 0, 1, out=field)  # it has no maximum between the plates; what is beyond is not converged
    field[~wet] = np.nan
    return field


def _operator(
    phase: npt.NDArray[np.unsignedinteger],
    mask: npt.NDArray[np.uint8],
    relative: npt.NDArray[np.float64],
    axis: int,
    factors: npt.NDArray[np.float64],
    wrap: tuple[bool, bool],
) -> Operator:
    """The finest operator: neighbour counts for one conductor on cubic voxels, else resistances."""
    from pxm2mesh.quantify import _operator_kernels as kernels
    from pxm2mesh.quantify._multigrid import F, Operator
    from pxm2mesh.quantify._smoother_kernels import BIG

    nz, ny, nx = mask.shape
    parts = [(k, min(k + 15, nz - 2)) for k in range(1, nz - 1, 16)]
    plates: list[tuple[slice | int, ...]] = [(*[slice(None)] * axis, end) for end in (0, -1)]
    scale = np.asarray(factors, F)
    if len(set(relative[relative > 0])) == 1 and np.all(factors == 1):
        _pad(mask, wrap)
        count = np.zeros_like(mask)
        run_all(partial(kernels.count_faces, a, b, mask, count, axis) for a, b in parts)
        _pad(count, wrap)
        for plate in plates:
            count[plate] = kernels.PLATE
        return Operator(0, (nz, ny, nx), scale, count=count)
    of_phase = np.full(len(relative), BIG, F)
    of_phase[relative > 0] = 0.5 / relative[relative > 0]
    rho = np.full(mask.shape, BIG, F)
    run_all(partial(kernels.fill_rho, a, b, phase, mask, of_phase, rho) for a, b in parts)
    _pad(rho, wrap)
    for plate in plates:
        rho[plate] = 0
    return Operator(1, (nz, ny, nx), scale, rho=rho)


def _pad(array: npt.NDArray[np.uint8] | npt.NDArray[np.float32], wrap: tuple[bool, bool]) -> None:
    """Fill the padding of the periodic sides."""
    if wrap[0]:
        array[:, 0], array[:, -1] = array[:, -2], array[:, 1]
    if wrap[1]:
        array[:, :, 0], array[:, :, -1] = array[:, :, -2], array[:, :, 1]
