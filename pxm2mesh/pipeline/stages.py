"""The stages of a run: what each is made from, what it writes, and the function that does it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pxm2mesh.errors import DataError
from pxm2mesh.pipeline import solver
from pxm2mesh.progress import Progress
from pxm2mesh.quantities import Quantities
from pxm2mesh.study import Study, digest_of, phases_named
from pxm2mesh.volume import LabelVolume

if TYPE_CHECKING:
    from pxm2mesh.phases import PhaseTable
    from pxm2mesh.surface import InterfaceSurface
    from pxm2mesh.volume import GreyVolume

logger = logging.getLogger(__name__)

LABELS = "labels.npz"
PREVIEW = "segmentation.png"
MESH = "mesh.npz"
MEASURED = "quantities-volume.json"
SOLVED = "quantities-solve.json"
NUMBERS = {"quantify": MEASURED, "solve": SOLVED}
RESULTS = ("results*", "scalars*.csv", "cycles*.csv", "loads*.csv", "pressed-*.tif", SOLVED)
_CLEANED_AWAY = 0.1  # share of a phase that [clean] may take without a word


@dataclass
class Work:
    """What a stage is given, and what it leaves for the next ones in memory.

    Attributes:
        study: The study; after the first stage with the phases that were found.
        folder: The run folder.
        ranks: MPI processes of the solver.
        lock: Open lock file of the folder.
        labels: The labels, where they are in memory.
        surface: The smoothed surface, where it was just made: the mesh starts from it.
    """

    study: Study
    folder: Path
    ranks: int
    lock: int | None
    labels: LabelVolume | None = None
    surface: InterfaceSurface | None = None

    def need_labels(self) -> LabelVolume:
        """The cleaned labels, read from the run folder where they are not in memory."""
        if self.labels is None:
            from pxm2mesh.io.images import read_volume

            self.labels = read_volume(self.folder / LABELS, self.phases())
        return self.labels

    def phases(self) -> PhaseTable:
        """The phases of this run."""
        table = self.study.volume.phase_table()
        assert table is not None, "the volume stage names the phases"
        return table


@dataclass(frozen=True)
class Outcome:
    """What a stage made.

    Attributes:
        files: Paths of its files.
        facts: What the report says of it.
        identity: Digest of its content, where it knows one.
        line: What is said of it when it ends.
    """

    files: tuple[Path, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    identity: str = ""
    line: str = ""


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: Its name.
        after: Stages whose results it uses.
        rooms: Where the code is that decides its result.
        options: The part of the study that decides its result.
        work: Does it.
        wanted: Whether a study has it.
    """

    name: str
    after: tuple[str, ...]
    rooms: tuple[str, ...]
    options: Callable[[Study], Any]
    work: Callable[[Work, Progress], Outcome]
    wanted: Callable[[Study], bool] = lambda _study: True


def read(work: Work, progress: Progress) -> Outcome:
    """The labels as they come from the file or the phantom."""
    section = work.study.volume
    table = section.phase_table()
    turned: dict[str, Any] = {}
    if section.phantom is not None:
        from dataclasses import replace

        from pxm2mesh.phantoms import phantom

        source = section.phantom
        volume = phantom(source.name, size=source.size, seed=source.seed, **source.options)
        volume = replace(volume, phases=table) if table is not None else volume
    elif work.study.segment is not None:
        volume, turned = _segmented(work, progress)
    else:
        from pxm2mesh.io.images import read_volume

        assert section.file is not None and table is not None
        volume = read_volume(section.file, table, spacing=section.spacing, crop=section.crop, bin=section.bin)
    if section.level is not None and work.study.segment is None:
        from pxm2mesh.segment import level

        volume, plane = level(volume, section.level.options())
        turned = {"level": plane.as_dict()}
    _refuse_empty_phases(volume, work.study)
    work.labels = volume
    facts = volume_facts(volume) | turned
    return Outcome(facts=facts, identity=digest_of(volume.digest(), facts["phases"]), line=repr(volume))


def _segmented(work: Work, progress: Progress) -> tuple[LabelVolume, dict[str, Any]]:
    """The labels of a scan, how it was turned for them, and a picture of how they came about."""
    from pxm2mesh.segment import segment_in_steps, write_preview

    table, how = work.study.volume.phase_table(), work.study.segment
    assert table is not None and how is not None
    scan, turned = _scan(work)
    found = segment_in_steps(scan, table, how.options(), progress=progress)
    if how.preview:
        write_preview(found.grey, found.volume, work.folder / PREVIEW, thresholds=found.thresholds)
    return found.volume, turned


def _scan(work: Work) -> tuple[GreyVolume, dict[str, Any]]:
    """The grey values of the study, and how they were turned."""
    from pxm2mesh.io.images import read_grey
    from pxm2mesh.segment import level

    section = work.study.volume
    assert section.file is not None
    scan = read_grey(section.file, spacing=section.spacing, crop=section.crop, bin=section.bin)
    if section.level is None:
        return scan, {}
    scan, plane = level(scan, section.level.options())
    return scan, {"level": plane.as_dict()}


def _refuse_empty_phases(volume: LabelVolume, study: Study) -> None:
    """A phase that a computation names and that has no voxel is a mistake in the phase table or the crop."""
    for physics in study.physics:
        for name in sorted(phases_named(physics)):
            if name in volume.phases:
                volume.require(name)
    if not any(volume.voxel_counts().values()):
        raise DataError("none of the phases has a voxel.")


def volume_facts(volume: LabelVolume) -> dict[str, Any]:
    """Shape, spacing and phases as JSON."""
    counts = volume.voxel_counts()
    return {
        "shape": list(volume.shape),
        "spacing_um": volume.spacing.tolist(),
        "origin_um": volume.origin.tolist(),
        "phases": [
            {"name": p.name, "label": p.label, "role": p.role, "colour": p.colour, "material": p.material,
             "voxels": counts[p.name]} for p in volume.phases
        ],
    }  # fmt: skip


def phases_of(facts: Mapping[str, Any]) -> PhaseTable:
    """The phases that `volume_facts` described."""
    from pxm2mesh.phases import Phase, PhaseTable

    keys = ("name", "label", "role", "colour", "material")
    return PhaseTable([Phase(**{key: entry[key] for key in keys}) for entry in facts["phases"]])


def clean(work: Work, progress: Progress) -> Outcome:
    """The labels that everything else is made from."""
    from pxm2mesh.io.images import write_volume

    if work.labels is None:
        read(work, progress)
    assert work.labels is not None
    work.labels, done = _repaired(work.labels, work.study)
    write_volume(work.labels, work.folder / LABELS)
    asked = work.study.clean is not None
    line = f"{done['changed_voxels']:,} voxels changed" if asked else "nothing asked for"
    facts = volume_facts(work.labels) | done
    identity = digest_of(work.labels.digest(), facts["phases"])
    return Outcome((work.folder / LABELS,), facts, identity, line)


def _repaired(labels: LabelVolume, study: Study) -> tuple[LabelVolume, dict[str, Any]]:
    """The labels as ``[clean]`` asks for, and what was done."""
    if study.clean is None:
        return labels, {"changed_voxels": 0}
    from pxm2mesh.segment import RepairOptions, repair

    repaired, record = repair(labels, RepairOptions(**study.clean.model_dump()))
    was, has = labels.voxel_counts(), repaired.voxel_counts()
    for name, voxels in was.items():
        if voxels and has[name] < (1 - _CLEANED_AWAY) * voxels:
            logger.warning(
                "clean: %s loses %.0f %% of its %s voxels; a smaller min_region in [clean] keeps more of it.",
                name, 100 * (1 - has[name] / voxels), f"{voxels:,}",
            )  # fmt: skip
    return repaired, record.as_dict()


def measure(work: Work, progress: Progress) -> Outcome:
    """Numbers from the voxels, with intervals where the study asks for them."""
    from pxm2mesh.quantify import quantify, quantify_with_intervals

    labels, section = work.need_labels(), work.study.quantify
    variants = list(_variants(work, labels, progress))
    if variants:
        found = quantify_with_intervals(labels, variants, only=section.only, progress=progress)
    else:
        found = quantify(labels, only=section.only, progress=progress)
    found.write(work.folder / MEASURED)
    line = f"{len(found)} quantities" + (f", intervals over {len(variants)} variants" if variants else "")
    facts = {"quantities": len(found), "variants": len(variants)}
    return Outcome((work.folder / MEASURED,), facts, line=line)


def _variants(work: Work, labels: LabelVolume, progress: Progress) -> Iterator[LabelVolume]:
    """Other segmentations of the sample that are as defensible as the one reported."""
    section, how = work.study.quantify, work.study.segment
    if section.intervals in ("threshold", "both"):
        from pxm2mesh.segment import threshold_variants

        assert how is not None, "the study refuses this"
        scan, _ = _scan(work)
        for found in threshold_variants(
            scan, labels.phases, how.options(), shift=section.shift, progress=progress
        ):
            yield _repaired(found, work.study)[0]
    if section.intervals in ("boundary", "both"):
        from pxm2mesh.quantify import all_boundary_variants

        yield from all_boundary_variants(labels)


def solve(work: Work, progress: Progress) -> Outcome:
    """Fields and numbers from the solver, and scripts that show the fields in ParaView."""
    from pxm2mesh.report.paraview import write_paraview_states

    solver.solve(work.folder, ranks=work.ranks, lock=work.lock, progress=progress)
    files = tuple(sorted({f for pattern in RESULTS for p in work.folder.glob(pattern)
                          for f in (p.rglob("*") if p.is_dir() else (p,)) if f.is_file()}))  # fmt: skip
    if work.folder / SOLVED not in files:
        raise DataError(f"the solver ended well but left no {SOLVED} in {work.folder}.")
    found = Quantities.read(work.folder / SOLVED)
    files += tuple(write_paraview_states(work.folder))
    ended = solver.ended(work.folder)
    facts = {"ranks": work.ranks, "quantities": len(found), "ended": ended}
    shutil.rmtree(work.folder / "checkpoints", ignore_errors=True)  # nothing is left to go on with
    return Outcome(files, facts, line=f"{len(found)} quantities; {ended}")


def report(work: Work, progress: Progress) -> Outcome:
    """The page about the run."""
    from pxm2mesh.report import write_report

    page = write_report(work.folder, progress=progress)
    return Outcome((page,), line=page.name)
