"""A composite cathode: NMC particles in solid electrolyte, as porous and as bonded as asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, UsageError, did_you_mean
from pxm2mesh.phantoms.packing import distances, pack
from pxm2mesh.phases import PhaseTable
from pxm2mesh.volume import LabelVolume, SpacingLike, parse_spacing

logger = logging.getLogger(__name__)

Float = npt.NDArray[np.float32]
VOID, NMC, LPSCL, BINDER = 0, 1, 2, 3


@dataclass(frozen=True)
class CathodeState:
    """What a cathode looks like at one stage of its life.

    Attributes:
        porosity: Volume fraction of the pores.
        contact_fraction: Share of the NMC surface that touches the electrolyte.
        solids_as: State whose amount of NMC this one has; cycling does not press.
        gaps_in: State whose pores this one keeps, with gaps along NMC surfaces added; None for new pores.
    """

    porosity: float
    contact_fraction: float
    solids_as: float
    gaps_in: str | None = None


STATES = MappingProxyType(
    {
        "assembled": CathodeState(0.251, 0.776, 0.251),
        "pressed": CathodeState(0.138, 0.889, 0.138),
        "cycled": CathodeState(0.156, 0.833, 0.138, gaps_in="pressed"),
    }
)
"""Porosity and contact fraction of the three states of a composite cathode."""

_NMC_OF_SOLIDS = 0.5
_DIAMETERS = (3.0, 10.0)
_PORE = 0.9
"""µm, width of the Gaussian that the pores' random field is smoothed with."""
_NEAR = 0.8
"""µm over which nearness to NMC counts for or against a pore."""


def cathode(
    state: str = "pressed",
    *,
    size: int = 64,
    seed: int = 0,
    porosity: float | None = None,
    contact_fraction: float | None = None,
    binder: float = 0.0,
    nmc_fraction: float | None = None,
    diameters: tuple[float, float] = _DIAMETERS,
    spacing: SpacingLike = "0.5 um",
    particles: bool = False,
) -> LabelVolume:
    """A packed composite cathode with asked-for porosity and NMC–electrolyte contact.

    Rounded NMC particles of log-uniform size are packed in a periodic cube. The rest is electrolyte, but
    for the voxels where a smooth random field plus a term for the nearness of NMC is largest: as many
    as the porosity asks for, and with the weight of that term solved for so that the contact fraction is
    met. The three states of one seed share their random fields; ``cycled`` is ``pressed`` plus gaps along
    the NMC surface.

    Args:
        state: ``"assembled"``, ``"pressed"`` or ``"cycled"``; sets what is not given.
        size: Voxels per edge.
        seed: Same seed and options, same bytes.
        porosity: Volume fraction of void, met to one voxel.
        contact_fraction: Of the NMC surface, the share that touches LPSCl, met to 0.1 points (each voxel
            face counted with its projection on the smoothed normal, which is what `quantify` reports).
        binder: Volume fraction of a binder that sits between neighbouring particles; label 3.
        nmc_fraction: Volume fraction of NMC; half of the solids when None.
        diameters: Smallest and largest particle in µm.
        spacing: Of the voxels, isotropic.
        particles: Keep the number of the particle each NMC voxel belongs to.

    Returns:
        Phases void = 0, NMC = 1, LPSCl = 2, and binder = 3 where there is some.

    Raises:
        UsageError: Unknown state, or fractions out of range.
        DataError: No arrangement of that porosity has that contact fraction.

    Example:
        >>> volume = cathode("assembled", size=32)
        >>> round(volume.voxel_counts()["void"] / 32**3, 3)
        0.251
    """
    if state not in STATES:
        raise UsageError(f"unknown cathode state {state!r};", hint=did_you_mean(state, STATES))
    preset = STATES[state]
    void_share = preset.porosity if porosity is None else porosity
    contact = preset.contact_fraction if contact_fraction is None else contact_fraction
    solids = 1 - (preset.solids_as if porosity is None else porosity)
    nmc_share = _NMC_OF_SOLIDS * solids if nmc_fraction is None else nmc_fraction
    edge = _check(size, spacing, void_share, contact, binder, nmc_share)
    rng = np.random.default_rng([seed, 7])
    site = _Site(size, edge, nmc_share, diameters, rng)
    labels = site.labels.ravel()
    if binder:
        site.place(labels, BINDER, round(binder * labels.size), site.bridges(), near=None)
    target = round(void_share * labels.size)
    base = (
        STATES[preset.gaps_in] if preset.gaps_in and porosity is None and contact_fraction is None else None
    )
    if base:
        site.place(labels, VOID, round(base.porosity * labels.size), site.pores, near=base.contact_fraction)
        site.place(labels, VOID, target, site.gaps, near=contact)
    else:
        site.place(labels, VOID, target, site.pores, near=contact)
    table = {"void": VOID, "NMC": NMC, "LPSCl": LPSCL, **({"binder": BINDER} if binder else {})}
    ids = np.where(site.labels == NMC, site.owner, 0) if particles else None
    volume = LabelVolume(site.labels, PhaseTable(table), np.full(3, edge), particles=ids)
    _report(volume, state)
    return volume


def _check(
    size: int, spacing: SpacingLike, porosity: float, contact: float, binder: float, nmc: float
) -> float:
    edges = parse_spacing(spacing)
    if np.ptp(edges) > 1e-9 * edges[0]:
        raise UsageError(f"cathode: spacing {spacing!r} differs between axes;", hint="give one length.")
    if size < 12:
        raise UsageError(f"cathode: {size} voxels per edge hold no particle;", hint="use a size ≥ 12.")
    for name, value in (("porosity", porosity), ("contact_fraction", contact), ("binder", binder)):
        if not 0 <= value <= 1:
            raise UsageError(f"cathode: {name} = {value:g} is not a fraction;", hint="write 0.15 for 15 %.")
    if not 0 < nmc <= 0.62 or porosity + binder + nmc > 0.98:
        raise UsageError(
            f"cathode: porosity {porosity:g}, binder {binder:g} and NMC {nmc:g} leave no electrolyte, "
            "or NMC is packed closer than 0.62;",
            hint="lower one of them.",
        )
    return float(edges[0])


class _Site:
    """The NMC skeleton with the random fields and distances that decide where the rest goes."""

    def __init__(
        self, size: int, edge: float, nmc: float, diameters: tuple[float, float], rng: np.random.Generator
    ) -> None:
        fields = [rng.standard_normal((size,) * 3, dtype=np.float32) for _ in range(3)]
        packing = pack(size * edge, nmc, diameters=diameters, rng=rng)
        reach = 4 * _NEAR
        raw, self.owner = distances(packing, size, reach)
        rough = raw + 0.12 * _smooth(fields[0], 0.8 / edge)
        flat = rough.ravel()
        count = round(nmc * flat.size)
        inside = np.argpartition(flat, count)[:count]
        self.labels = np.full((size,) * 3, LPSCL, dtype=np.uint8)
        self.labels.ravel()[inside] = NMC
        surface = float(flat[inside].max())
        self.distance = np.clip(rough - surface, 0, reach)
        self.pores = _smooth(fields[1], _PORE / edge) + 0.5 * _smooth(fields[1][::-1], 2 * _PORE / edge)
        self.gaps = _smooth(fields[2], 1.8 / edge)
        self.rng = rng
        self.faces, self.weights = _nmc_faces(
            self.labels, _smooth((self.labels == NMC).astype(np.float32), 1.5, unit=False)
        )

    def bridges(self) -> Float:
        """Large where the electrolyte is squeezed between particles: there the binder collects."""
        width = 1.0 / float(np.mean(self.distance > 0))
        crowd = _smooth((self.labels == NMC).astype(np.float32), 3.0, unit=False)
        field: Float = crowd / max(float(crowd.std()), 1e-6) + 0.3 * self.gaps * width
        return field

    def contact(self, labels: npt.NDArray[np.uint8]) -> float:
        """Share of the NMC surface that touches the electrolyte."""
        return float(
            self.weights[labels[self.faces] == LPSCL].sum(dtype=np.float64)
            / self.weights.sum(dtype=np.float64)
        )

    def place(
        self, labels: npt.NDArray[np.uint8], label: int, total: int, field: Float, *, near: float | None
    ) -> None:
        """Turn electrolyte into ``label`` until ``total`` voxels have it, where ``field`` is largest.

        Args:
            labels: Flat view of the labels, changed in place.
            label: The phase to place.
            total: Voxels it shall have.
            field: (n, n, n) where it goes first.
            near: Contact fraction to reach by favouring or avoiding the surface of the NMC.
        """
        free = np.flatnonzero(labels == LPSCL)
        count = min(total - int(np.count_nonzero(labels == label)), len(free))
        base = field.ravel()[free]
        closeness = np.exp(-self.distance.ravel()[free] / _NEAR)
        trial = labels.copy()

        def put(weight: float) -> float:
            score = base + np.float32(weight) * closeness
            trial[:] = labels
            if count > 0:
                trial[free[np.argpartition(score, len(free) - count)[len(free) - count :]]] = label
            return self.contact(trial)

        if near is None:
            put(0.0)
        else:
            _solve(put, near)
        labels[:] = trial


def _solve(put: Callable[[float], float], target: float) -> None:
    """Find the weight with ``put(weight) = target``; contact falls as the weight grows."""
    low, high = -12.0, 12.0
    reachable = put(high), put(low)
    if not reachable[0] - 1e-3 <= target <= reachable[1] + 1e-3:
        raise DataError(
            f"cathode: a contact fraction of {target:.3f} cannot be had at this porosity, only "
            f"{reachable[0]:.3f} to {reachable[1]:.3f};",
            hint="ask for a contact fraction in that range, or for another porosity.",
        )
    for _ in range(40):
        middle = 0.5 * (low + high)
        found = put(middle)
        if abs(found - target) < 2e-4:
            return
        low, high = (middle, high) if found > target else (low, middle)


def _smooth(field: Float, width: float, *, unit: bool = True) -> Float:
    """Periodic Gaussian smoothing by ``width`` voxels, to unit variance where asked for."""
    from scipy.ndimage import gaussian_filter

    smooth: Float = gaussian_filter(field, width, mode="wrap", truncate=3.0)
    if unit:
        smooth /= max(float(smooth.std()), 1e-12)
    return smooth


def _nmc_faces(labels: npt.NDArray[np.uint8], indicator: Float) -> tuple[npt.NDArray[np.int64], Float]:
    """For every voxel face of the NMC inside the box: flat index of the voxel beyond, and projected area."""
    nmc = labels == NMC
    index = np.arange(labels.size).reshape(labels.shape)
    slope = np.gradient(indicator)
    length = np.sqrt(sum(s * s for s in slope)) + 1e-12
    beyond, weight = [], []
    for axis in range(3):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        share = np.abs(slope[axis]) / length
        share = 0.5 * (share[low] + share[high])
        for here, there in ((low, high), (high, low)):
            face = nmc[here] & ~nmc[there]
            beyond.append(index[there][face])
            weight.append(share[face])
    return np.concatenate(beyond), np.concatenate(weight)


def _report(volume: LabelVolume, state: str) -> None:
    import cc3d

    pieces = cc3d.connected_components(volume.labels == LPSCL, connectivity=6)
    for axis, name in enumerate("xyz"):
        ends = [np.unique(np.take(pieces, i, axis=axis)) for i in (0, -1)]
        if len(np.intersect1d(ends[0], ends[1])) < 2:
            logger.warning("cathode %s: LPSCl does not percolate along %s", state, name)
    logger.info("cathode %s: %r", state, volume)
