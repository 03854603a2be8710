"""``[solver]``, ``[output]`` and ``[report]``."""

from __future__ import annotations

from pydantic import Field

from pxm2mesh.study.fields import FilePath, Section


class SolverSection(Section):
    """``[solver]``: how the equations are solved.

    Attributes:
        ranks: MPI processes; ``--np`` on the command line takes precedence.
        tolerance: Relative residual at which a linear solve has converged.
        max_iterations: Of a linear solve, before it is given up.
    """

    ranks: int = Field(default=1, ge=1)
    tolerance: float = Field(default=1e-10, gt=0, lt=1)
    max_iterations: int = Field(default=1000, ge=1)


class OutputSection(Section):
    """``[output]``: where everything goes.

    Attributes:
        folder: The run folder; ``runs/`` and the name of the study file when absent.
    """

    folder: FilePath


class ReportSection(Section):
    """``[report]``: what the HTML page shows.

    Attributes:
        title: The headline; the name of the run folder when absent.
        pictures: Three-dimensional pictures, drawn off-screen.
        interactive: A sample that turns, in place of its still when one asks for it; about 200 kB.
        note: A sentence or two below the headline.
    """

    title: str = ""
    pictures: bool = True
    interactive: bool = True
    note: str = ""
