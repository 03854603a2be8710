"""``pxm2mesh doctor``."""

from __future__ import annotations

import typer

from pxm2mesh.cli.session import table

EXAMPLE = "pxm2mesh doctor"


def doctor(context: typer.Context) -> int:
    """Say what is installed, what is missing, and what to do about it."""
    from pxm2mesh.report.doctor import examine

    findings = examine()
    rows = [
        ("ok" if f.ok else "MISSING" if f.needed else "absent", f.what, f.found, f.remedy) for f in findings
    ]
    context.obj.emit([vars(f) for f in findings], lambda: table(("", "what", "found", "what to do"), rows))
    return 0 if all(f.ok or not f.needed for f in findings) else 7
