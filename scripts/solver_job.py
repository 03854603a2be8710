"""pytest plugin of the solver job: a skip is a failure; what crashes beside DOLFINx is not importable."""

import importlib.abc
import sys
from collections.abc import Iterator

import pytest

CRASHING = frozenset({"gmsh", "pymeshlab", "pyvista", "vtk", "vtkmodules"})


class Refuse(importlib.abc.MetaPathFinder):
    """Refuses to find the packages that must not be in the process that runs DOLFINx."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname.partition(".")[0] in CRASHING:
            raise ImportError(
                f"{fullname} crashes beside DOLFINx: do this in a process of its own", name=fullname
            )


def pytest_configure(config: pytest.Config) -> None:
    sys.meta_path.insert(0, Refuse())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"in the solver job a skip is a failure: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"in the solver job a skip is a failure: {report.longrepr}"
    return report
