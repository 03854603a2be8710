"""Running the cases of a sweep: each a process of its own, here or on the workers of a Dask scheduler."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pxm2mesh.errors import MissingDependencyError, Pxm2meshError, UsageError
from pxm2mesh.files import write_json
from pxm2mesh.pipeline.folder import locked
from pxm2mesh.pipeline.record import Record, StageRecord
from pxm2mesh.pipeline.run import plan_study
from pxm2mesh.processes import leashed
from pxm2mesh.progress import SILENT, Progress
from pxm2mesh.study import Study, digest_of, write_study
from pxm2mesh.sweep.plan import Case, Sweep

logger = logging.getLogger(__name__)

STATE = "sweep.json"
_SHARED_STAGES = ("volume", "clean", "quantify", "surface", "mesh")
_MOST_STARTS = 2  # a case that was killed from outside is started once more; one that failed is not
_KILLED = (137, 143)
_POLL = 1.0
"""Seconds between two looks at whether a mesh that is waited for is there."""
_UPKEEP = 60.0
"""Seconds between two looks at whether a job of the cluster has ended."""
UP_TO_DATE = "up to date"
_QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "500ms"}
"""For a scheduler on this machine, which spent 5 % of a core for each worker on itself: cases are other processes."""


@dataclass(frozen=True)
class CaseState:
    """What became of a case.

    Attributes:
        name: Of the case.
        parameters: What was varied, by axis.
        status: ``waiting``, ``done``, ``failed`` (its own error) or ``killed`` (from outside, twice).
        message: Why it ended, in its own words; ``up to date`` where nothing was left to do.
        exit_code: Of its process.
        starts: How often it was started by this call.
        seconds: Wall time of its starts; of those of an earlier call where nothing was left to do.
        mesh_from: The case whose mesh it took over.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    status: str = "waiting"
    message: str = ""
    exit_code: int | None = None
    starts: int = 0
    seconds: float = 0.0
    mesh_from: str = ""


def run_sweep(
    sweep: Sweep,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    ranks: int | None = None,
    progress: Progress = SILENT,
) -> tuple[CaseState, ...]:
    """Run every case of a sweep; what is up to date in a case is skipped, so the same call resumes.

    Cases that differ only in their physics share volume and mesh: the first of them makes both, and as soon as its
    mesh is there the others start and take the files over. A case that fails does not stop the others.

    Args:
        sweep: What to do.
        workers: Cases at a time on this machine.
        scheduler: Address of a Dask scheduler, ``tcp://host:8786``, whose workers see the same files; ``"local"`` for
            one on this machine with ``workers`` workers.
        ranks: MPI processes of each case; as the study says when None.
        progress: Told of every case that ends.

    Returns:
        The state of every case, also in ``sweep.json``, which is rewritten after each.

    Raises:
        MissingDependencyError: A scheduler is asked for and Dask is not installed.
        UsageError: Another sweep is at work in the folder.
    """
    stop = threading.Event()
    with locked(sweep.folder), _executor(sweep, workers, scheduler) as (executor, spread, stoppable, upkeep):
        board = _Board(sweep)

        def start(case: Case, donor: Case | None) -> Future[CaseState]:
            state = replace(board.states[case.name], mesh_from="" if donor is None else donor.name)
            job = (
                state,
                str(case.study.folder),
                None if donor is None else str(donor.study.folder),
                ranks,
                spread,
            )
            return executor.submit(_run_case, *job, stop if stoppable else None)

        try:
            with progress.task("sweep", total=len(sweep.cases)) as task:
                for case, future in _in_groups(sweep.cases, start, upkeep):
                    state = _outcome(board.states[case.name], future)
                    board.put(state)
                    task.advance(note=f"{state.name}: {state.status}")
                    level = logging.INFO if state.status == "done" else logging.WARNING
                    logger.log(level, "%s: %s %s", state.name, state.status, state.message)
        except BaseException:
            stop.set()
            if stoppable:
                executor.shutdown(wait=True, cancel_futures=True)
            else:  # what runs on workers of our own ends with them, on those of others by itself
                executor.shutdown(wait=False)
            raise
        return tuple(board.states.values())


class _Board:
    """``sweep.json``: the state of every case, written whole after every change."""

    def __init__(self, sweep: Sweep) -> None:
        self._path = sweep.folder / STATE
        took = self._seconds()
        self.states = {
            case.name: CaseState(case.name, case.parameters, seconds=took.get(case.name, 0.0))
            for case in sweep.cases
        }
        for case in sweep.cases:
            write_study(case.study, _study_file(case.study.folder))
        self._write()

    def _seconds(self) -> dict[str, float]:
        """What the cases took in an earlier call."""
        try:
            cases = json.loads(self._path.read_text(encoding="utf-8"))["cases"]
            return {case["name"]: float(case["seconds"]) for case in cases}
        except (OSError, ValueError, TypeError, KeyError):
            return {}  # none, or none that can be read: only the times are lost

    def put(self, state: CaseState) -> None:
        self.states[state.name] = state
        self._write()

    def _write(self) -> None:
        write_json(self._path, {"cases": [asdict(state) for state in self.states.values()]})


def _study_file(folder: Path) -> Path:
    """Beside the run folder, not in it: the run writes its own resolved study there."""
    return folder.with_name(f"{folder.name}.toml")


def _in_groups(
    cases: Sequence[Case],
    start: Callable[[Case, Case | None], Future[CaseState]],
    upkeep: Callable[[], None],
) -> Iterator[tuple[Case, Future[CaseState]]]:
    """Start the first case of each group that shares a mesh and, as soon as its mesh is there, the others."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(_mesh_key(case.study), []).append(case)
    running: dict[Future[CaseState], Case] = {}
    awaited: dict[Future[CaseState], tuple[list[Case], StageRecord | None]] = {}

    def lead(group: Sequence[Case]) -> None:
        first, followers = group[0], list(group[1:])
        old = _mesh_of(first)  # one that is out of date is not waited for
        ready = bool(followers) and old is not None and _is_meshed(first)
        future = start(first, None)
        running[future] = first
        if ready:
            follow(first, followers)
        elif followers:
            awaited[future] = followers, old

    def follow(first: Case, followers: Sequence[Case]) -> None:
        running.update({start(case, first): case for case in followers})

    for group in groups.values():
        lead(group)
    while running:
        finished, _ = wait(running, timeout=_POLL, return_when=FIRST_COMPLETED)
        upkeep()
        for future, (followers, old) in list(awaited.items()):
            first = running[future]
            if _mesh_of(first) not in (None, old):
                del awaited[future]
                follow(first, followers)
            elif future in finished:  # it ended without one: the next one tries
                del awaited[future]
                lead(followers)
        for future in finished:
            yield running.pop(future), future


def _mesh_of(case: Case) -> StageRecord | None:
    return Record(case.study.folder).stages.get("mesh")


def _is_meshed(case: Case) -> bool:
    """Whether the mesh that is in the folder is the one that the study asks for."""
    try:
        return not any(stage.done for stage in plan_study(case.study, until="mesh"))
    except Pxm2meshError:
        return False  # the case itself will say so


def _outcome(state: CaseState, future: Future[CaseState]) -> CaseState:
    """The state a case ended in; a worker that was lost for good is told as one."""
    try:
        return future.result()
    except Pxm2meshError as error:
        return replace(state, status="failed", message=f"{error.message} {error.hint}".strip())
    except Exception as error:
        return replace(
            state, status="killed", message=f"its worker was lost: {type(error).__name__}: {error}"
        )


def _mesh_key(study: Study) -> str:
    return digest_of(*(getattr(study, part) for part in
                       ("volume", "segment", "clean", "quantify", "surface", "mesh", "zone")))  # fmt: skip


def _run_case(
    state: CaseState,
    folder: str,
    donor: str | None,
    ranks: int | None,
    spread: Mapping[str, str],
    stop: threading.Event | None,
) -> CaseState:
    """Run one case in a process of its own. Runs on a worker: everything it is given can be pickled."""
    place = Path(folder)
    if donor is not None:
        _take_over(Path(donor), place)
    command = [sys.executable, "-m", "pxm2mesh.cli", "run", str(_study_file(place)), "--json"]
    command += [] if ranks is None else ["--np", str(ranks)]
    before, began, starts = Record(place).stages, time.perf_counter(), 0
    while starts < _MOST_STARTS:
        starts += 1
        code, told = _watched(command, {**spread, **os.environ}, stop)
        if code == 0:
            same = before == Record(place).stages
            state = replace(state, status="done", message=UP_TO_DATE if same else "")
            break
        killed = code < 0 or code in _KILLED
        state = replace(
            state, status="killed" if killed else "failed", message=told or f"ended with code {code}"
        )
        if not killed or (stop is not None and stop.is_set()):
            break
    took = state.seconds if state.message == UP_TO_DATE else round(time.perf_counter() - began, 3)
    return replace(state, exit_code=code, starts=starts, seconds=took)


def _watched(
    command: Sequence[str], environment: Mapping[str, str], stop: threading.Event | None
) -> tuple[int, str]:
    """Exit code and error line of a process, which is ended when ``stop`` is set."""
    with subprocess.Popen(leashed(command), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          errors="replace", env=dict(environment), stdin=subprocess.DEVNULL) as process:  # fmt: skip
        asked = False
        while True:
            try:
                _, errors = process.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                if stop is not None and stop.is_set() and not asked:
                    process.terminate()
                    asked = True
    lines = [line for line in errors.splitlines() if line.startswith("error:")] or errors.splitlines()[-1:]
    told = lines[-1].removeprefix("error:").strip() if lines else ""
    code = process.returncode
    if code < 0:
        told = f"killed by signal {-code} ({signal.Signals(-code).name})"
    return code, told


def _take_over(donor: Path, folder: Path) -> None:
    """Give a case the volume and mesh of another; the run itself decides by its keys whether they hold."""
    given = Record(donor)
    with locked(folder):
        record = Record(folder)
        others = [
            name
            for name in _SHARED_STAGES
            if name in given.stages
            and (name not in record.stages or record.stages[name].key != given.stages[name].key)
        ]
        record.about = record.about or given.about
        record.forget(others)
        for name in others:
            for file in given.stages[name].outputs:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                _same_file(donor / file, folder / file)
            record.stages[name] = given.stages[name]
        record.write()


def _same_file(source: Path, target: Path) -> None:
    """A second name for the file: no writer of ours changes one in place. A copy where the disk cannot do that."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@contextlib.contextmanager
def _executor(
    sweep: Sweep, workers: int, scheduler: str | None
) -> Iterator[tuple[Executor, dict[str, str], bool, Callable[[], None]]]:
    """What runs the cases, the numbers of threads each may use, whether its cases can be told to stop, its upkeep."""
    if workers < 1:
        raise UsageError(f"{workers} workers;", hint="one or more.")
    if scheduler is None and sweep.cluster is None:
        threads = str(max(1, (os.cpu_count() or 1) // workers))
        spread = {"NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with ThreadPoolExecutor(workers, thread_name_prefix="case") as executor:
            yield executor, spread, True, _no_upkeep
        return
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingDependencyError(
            "a scheduler needs Dask;", hint="pip install 'pxm2mesh[cluster]'."
        ) from error
    upkeep = _no_upkeep
    with contextlib.ExitStack() as stack:
        if scheduler is not None and scheduler != "local":
            try:
                client = stack.enter_context(Client(scheduler, timeout="20s"))
            except (OSError, ValueError) as error:
                raise UsageError(
                    f"no scheduler at {scheduler}: {error};", hint='write "tcp://host:8786".'
                ) from error
        elif scheduler == "local":
            stack.enter_context(dask.config.set(_QUIET))
            cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            client = stack.enter_context(Client(stack.enter_context(cluster)))
        else:
            cluster, upkeep = slurm_cluster(sweep.cluster or {})
            client = stack.enter_context(Client(stack.enter_context(cluster)))
        yield client.get_executor(pure=False, retries=_MOST_STARTS), {}, False, upkeep


def _no_upkeep() -> None:
    pass


def slurm_cluster(keywords: Mapping[str, Any]) -> tuple[Any, Callable[[], None]]:
    """A Dask cluster of SLURM jobs, one case per job at a time, which has all the cores of the job.

    Args:
        keywords: Of `dask_jobqueue.SLURMCluster` (``queue``, ``cores``, ``memory``, ``walltime``, …), and ``jobs``, how
            many to ask for.

    Returns:
        The cluster, and what has to be called now and then: it asks for another job where one has ended.

    Raises:
        MissingDependencyError: `dask_jobqueue` is not installed.
        UsageError: A keyword that `SLURMCluster` does not know, or one that it needs is missing.
    """
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError as error:
        raise MissingDependencyError(
            "[cluster] needs dask-jobqueue;", hint="pip install 'pxm2mesh[cluster]'."
        ) from error
    own = {"processes": 1, "job_cpu": keywords.get("cores"), **keywords}
    if "cores" in own:
        own["cores"] = 1  # threads of the worker: the cases it does at a time
    jobs = int(own.pop("jobs", 1))
    try:
        cluster = SLURMCluster(**own)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"[cluster]: {error};", hint="the keywords are those of dask_jobqueue.SLURMCluster."
        ) from error
    cluster.scale(jobs=jobs)
    return cluster, _every(_UPKEEP, lambda: cluster.scale(jobs=jobs))


def _every(seconds: float, call: Callable[[], None]) -> Callable[[], None]:
    """The call, which does nothing until the time has passed since it was last done."""
    last = time.monotonic()

    def due() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            call()

    return due
