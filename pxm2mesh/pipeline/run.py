"""The order of the stages, and which of them have to be done."""

from __future__ import annotations

import datetime
import logging
import os
import resource
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pxm2mesh.errors import StudyError, UsageError, did_you_mean
from pxm2mesh.pipeline import shapes, stages
from pxm2mesh.pipeline.code import code_digest, versions
from pxm2mesh.pipeline.folder import locked, logging_to
from pxm2mesh.pipeline.record import Record, StageRecord, source_digest, state_of
from pxm2mesh.pipeline.stages import Outcome, Stage, Work
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.quantities import Quantities
from pxm2mesh.study import Study, digest_of, inputs_digest, with_phases, write_study

logger = logging.getLogger("pxm2mesh.pipeline")


def _source_options(study: Study) -> list[object]:
    """The section without the place of its file, whose content is looked at instead."""
    file, _, inner = (study.volume.file or "").partition("::")
    return [study.volume.model_copy(update={"file": None}), Path(file).suffix, inner, study.segment]


def _measured_options(study: Study) -> list[object]:
    """What is measured; with intervals from the scan also how that is read and segmented."""
    if study.quantify.intervals in ("threshold", "both"):
        return [study.quantify, *_source_options(study), study.clean]
    return [study.quantify]


def _solved_options(study: Study) -> list[object]:
    """What is computed, with the content of the files it names. The number of MPI ranks makes no other result."""
    solver = study.solver.model_copy(update={"ranks": 1})
    return [study.physics, study.materials, solver, inputs_digest(study)]


STAGES: Sequence[Stage] = (
    Stage("volume", (), ("io", "phantoms", "segment"), _source_options, stages.read),
    Stage("clean", ("volume",), ("segment",), lambda s: s.clean, stages.clean),
    Stage("quantify", ("clean",), ("quantify",), _measured_options, stages.measure),
    Stage("surface", ("clean",), ("surfacing", "io"),
          lambda s: [s.surface, s.mesh.cell_size, s.mesh.certificate], shapes.surface,
          wanted=lambda s: s.surface.write),
    Stage("mesh", ("clean",), ("surfacing", "meshing", "io"), lambda s: [s.mesh, s.zone], shapes.mesh),
    Stage("solve", ("mesh",), ("simulations", "materials"),
          _solved_options, stages.solve, wanted=lambda s: bool(s.physics)),
    Stage("report", ("volume", "clean", "quantify", "surface", "mesh", "solve"), ("report",),
          lambda s: s.report, stages.report),
)  # fmt: skip
"""In their order."""
NAMES = tuple(stage.name for stage in STAGES)
QUANTITIES = "quantities.json"


@dataclass(frozen=True)
class StageReport:
    """What became of a stage: its name, whether it was done now or was up to date, and its seconds."""

    name: str
    done: bool
    seconds: float
    line: str = ""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: Where everything is.
        quantities: Measured and computed.
        stages: What became of each stage.
    """

    folder: Path
    quantities: Quantities
    stages: tuple[StageReport, ...]

    def summary(self) -> str:
        """Two or three lines: what was done, what was up to date, where the results are."""
        done = ", ".join(f"{s.name} {s.seconds:.1f} s" for s in self.stages if s.done)
        kept = ", ".join(s.name for s in self.stages if not s.done)
        named = [n for n in ("report.html", "results.pvd", QUANTITIES) if (self.folder / n).exists()]
        lines = [f"done: {done}" if done else "", f"up to date: {kept}" if kept else "",
                 "results: " + ", ".join(os.path.relpath(self.folder / n) for n in named)]  # fmt: skip
        return "\n".join(line for line in lines if line)


def run_study(
    study: Study,
    *,
    until: str = "report",
    ranks: int | None = None,
    restart: bool = False,
    progress: Progress = SILENT,
) -> Run:
    """Do every stage of a study that is not up to date.

    A stage is up to date when its options, what it is made from, our code for it and the versions of the
    packages it stands on are as they were, and its files are untouched. A run that was killed goes on
    with the stage it was in.

    Args:
        study: What to do.
        until: The last stage to do.
        ranks: MPI processes of the solver; as the study says when None.
        restart: Forget earlier results in the folder and do everything again.
        progress: Where to show what is going on.

    Returns:
        The folder, the quantities, and what became of each stage.

    Raises:
        Pxm2meshError: Whatever a stage raises; the stages before it are kept.
    """
    chosen = _chosen(study, until)
    with locked(study.folder) as lock, logging_to(study.folder / "log.txt"):
        work = Work(study, study.folder, ranks or study.solver.ranks, lock)
        record = Record(study.folder)
        record.about = {"study": study.digest(), "versions": dict(versions())}
        record.forget(NAMES if restart else [stage.name for stage in STAGES if not stage.wanted(study)])
        if restart:
            shutil.rmtree(study.folder / "checkpoints", ignore_errors=True)
        reports = []
        with progress.task("stages", total=len(chosen)) as task:
            for stage in chosen:
                reports.append(_bring_up_to_date(stage, work, record, progress))
                if stage.name == "volume":
                    _settle_names(work, record)
                if stage.name in stages.NUMBERS:
                    _merge_quantities(study.folder, [s.name for s in reports])
                task.advance(note=stage.name)
        return Run(study.folder, Quantities.read(study.folder / QUANTITIES), tuple(reports))


def plan_study(study: Study, *, until: str = "report") -> tuple[StageReport, ...]:
    """What `run_study` would do: nothing is read but the record and what decides results, nothing is written.

    Args:
        study: What to do.
        until: The last stage to do.

    Returns:
        The stages in their order; ``done`` says that the stage would have to be done.

    Raises:
        UsageError: No stage of that name.
        StudyError: The file of the sample cannot be read.
    """
    chosen = _chosen(study, until)
    work, record = Work(study, study.folder, study.solver.ranks, None), Record(study.folder)
    stale: set[str] = set()
    for stage in chosen:
        if stale & set(stage.after) or not record.is_current(stage.name, _key(stage, work, record)):
            stale.add(stage.name)
    return tuple(StageReport(stage.name, stage.name in stale, 0.0) for stage in chosen)


def _chosen(study: Study, until: str) -> list[Stage]:
    if until not in NAMES:
        raise UsageError(f"unknown stage {until!r};", hint=did_you_mean(until, NAMES))
    return [stage for stage in STAGES[: NAMES.index(until) + 1] if stage.wanted(study)]


def _bring_up_to_date(stage: Stage, work: Work, record: Record, progress: Progress) -> StageReport:
    key = _key(stage, work, record)
    if record.is_current(stage.name, key):
        logger.info("%s: up to date", stage.name)
        return StageReport(stage.name, False, 0.0)
    record.forget([stage.name, "report"])
    (work.folder / "report.html").unlink(missing_ok=True)  # it would tell of what is no longer there
    start = time.perf_counter()
    outcome = stage.work(work, progress)
    seconds = time.perf_counter() - start
    record.stages[stage.name] = _record(key, outcome, work.folder, seconds)
    record.write()
    logger.info("%s: %s (%.1f s)", stage.name, outcome.line, seconds)
    return StageReport(stage.name, True, seconds, outcome.line)


def _key(stage: Stage, work: Work, record: Record) -> str:
    before = [record.stages[name].identity for name in stage.after if name in record.stages]
    source = ""
    if stage.name == "volume" and work.study.volume.file is not None:
        try:
            source = source_digest(work.study.volume.file)
        except OSError as error:
            raise StudyError(
                f"volume.file: cannot read {work.study.volume.file}: {error.strerror};",
                hint="correct the path; relative ones start at the study file.",
            ) from error
    return digest_of(stage.name, stage.options(work.study), before, source, code_digest(*stage.rooms))


def _record(key: str, outcome: Outcome, folder: Path, seconds: float) -> StageRecord:
    return StageRecord(
        key=key,
        identity=outcome.identity or key,
        outputs={str(file.relative_to(folder)): state_of(file) for file in outcome.files},
        facts=outcome.facts,
        seconds=round(seconds, 3),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )


def _settle_names(work: Work, record: Record) -> None:
    """A phantom brings its phases: the names in the study can be held against them only now."""
    work.study = with_phases(work.study, stages.phases_of(record.stages["volume"].facts))
    write_study(work.study, work.folder / "study.toml")


def _merge_quantities(folder: Path, up_to_date: Sequence[str]) -> None:
    """``quantities.json`` from the stages that are up to date by now; without times: reproducible."""
    files = [folder / file for stage, file in stages.NUMBERS.items() if stage in up_to_date]
    Quantities(row for file in files for row in Quantities.read(file)).write(folder / QUANTITIES)
