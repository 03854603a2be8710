"""Runs a study: every stage that is not up to date, into one folder."""

from pxm2mesh.pipeline.run import Run, StageReport, plan_study, run_study

__all__ = ["Run", "StageReport", "plan_study", "run_study"]
