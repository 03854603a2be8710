"""Reports: one self-contained HTML page for each run folder."""

from pxm2mesh.report.page import write_report

__all__ = ["write_report"]
