"""Several runs side by side: a table, figures and a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pxm2mesh.errors import DataError, UsageError, did_you_mean
from pxm2mesh.quantify.compare import ComparedRow, Comparison, compare
from pxm2mesh.quantities import Quantities
from pxm2mesh.report.comparison import FIGURED, write_comparison_page
from pxm2mesh.report.states import COLOURS, state_names, state_volumes, write_states
from pxm2mesh.report.templates import save_svg


def compare_runs(runs: Sequence[Path], *, only: Sequence[str] | None = None) -> Comparison:
    """Read the quantities of several runs and put them side by side.

    Args:
        runs: Run folders, or files of quantities; named as `state_names` does.
        only: Names of quantities; all of them when None.

    Returns:
        One row for each quantity, subject and method that any run has.

    Raises:
        UsageError: Fewer than two runs, one named twice, or a quantity that none has.
        DataError: A run without quantities.
    """
    states: dict[str, Quantities] = {}
    for name, run in state_names(runs).items():
        file = run / "quantities.json" if run.is_dir() else run
        if not file.exists():
            raise DataError(f"{run} has no quantities;", hint="run it first, or name a file of quantities.")
        states[name] = Quantities.read(file)
    names = {q.name for quantities in states.values() for q in quantities}
    for name in only or ():
        if name not in names:
            raise UsageError(f"no run has a quantity {name!r};", hint=did_you_mean(name, sorted(names)))
    if only is not None:
        states = {s: Quantities(q for q in found if q.name in only) for s, found in states.items()}
    return compare(states)


def write_comparison(comparison: Comparison, folder: Path, runs: Sequence[Path] = ()) -> list[Path]:
    """Write the table, the figures and one self-contained page about several runs.

    Args:
        comparison: What to write.
        folder: Made where it is missing.
        runs: Their folders. Where two or more have labels, these are drawn too, as `write_states` does.

    Returns:
        ``comparison.html``, ``comparison.csv``, ``comparison.svg`` (bars with intervals of the best-known quantities),
        and the files of `write_states`.
    """
    page, table, figure = (folder / f"comparison.{kind}" for kind in ("html", "csv", "svg"))
    comparison.write_csv(table)
    _draw(comparison, figure)
    volumes = state_volumes(runs)
    states = write_states(volumes, folder) if len(volumes) > 1 else []
    write_comparison_page(page, comparison, [figure, *states], runs)
    return [page, table, figure, *states]


def _draw(comparison: Comparison, path: Path) -> None:
    from matplotlib.figure import Figure

    groups: dict[tuple[str, str, str], list[ComparedRow]] = {}
    for row in comparison.rows:
        if row.name in FIGURED and any(math.isfinite(v) for v in row.values.values()):
            groups.setdefault((row.name, row.unit, row.method), []).append(row)
    figure = Figure(figsize=(9, 2.6 * max(len(groups), 1)), layout="constrained")
    axes = figure.subplots(max(len(groups), 1), 1, squeeze=False)[:, 0]
    for ax, ((name, unit, method), rows) in zip(axes, groups.items(), strict=False):
        width = 0.8 / len(comparison.states)
        for i, state in enumerate(comparison.states):
            at = [k + (i - (len(comparison.states) - 1) / 2) * width for k in range(len(rows))]
            values = [v if math.isfinite(v := row.values[state]) else 0.0 for row in rows]
            low, high = [], []
            for row, value in zip(rows, values, strict=True):
                span = row.intervals[state] or (value, value)
                low.append(max(value - span[0], 0.0))
                high.append(max(span[1] - value, 0.0))
            error = [low, high] if any(low) or any(high) else None
            ax.bar(
                at,
                values,
                width * 0.92,
                color=COLOURS[i % len(COLOURS)],
                yerr=error,
                capsize=3,
                label=state,
            )
            for x, row in zip(at, rows, strict=True):
                if math.isinf(row.values[state]):
                    ax.annotate("∞", (x, 0), ha="center", va="bottom")
        crowded = sum(len(row.subject) for row in rows) > 70
        ax.set_xticks(
            range(len(rows)), [row.subject or "sample" for row in rows], rotation=20 if crowded else 0
        )
        ax.set_title(
            f"{name.replace('_', ' ')}{'' if unit == '1' else f' [{unit}]'} · {method}",
            loc="left",
            fontsize=10,
        )
        ax.spines[["top", "right"]].set_visible(False)
    if groups:
        axes[0].legend(frameon=False, ncols=len(comparison.states))
    save_svg(figure, path)
