"""Processes on a leash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pxm2mesh.processes import leashed


def test_the_exit_code_and_the_output_are_those_of_the_command() -> None:
    code = "import sys; print('said'); sys.exit(7)"
    done = subprocess.run(leashed([sys.executable, "-c", code]), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (7, "said\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_the_command_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    """Catches: a plain subprocess, which lives on for its two hours."""
    note = tmp_path / "pid"
    child = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    starter = (
        "import subprocess, sys; from pxm2mesh.processes import leashed;"
        f"subprocess.run(leashed([sys.executable, '-c', {child!r}]))"
    )
    assert _ends_with([sys.executable, "-c", starter], note, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="the private user space is Linux")
def test_what_bubblewrap_runs_ends_when_it_is_told_to_end(tmp_path: Path) -> None:
    """Catches: SIGTERM ends bubblewrap and leaves the run alone."""
    note, bwrap = tmp_path / "pid", tmp_path / "bwrap"
    bwrap.write_text('#!/bin/sh\n"$@"\nexit $?\n', encoding="utf-8")
    bwrap.chmod(0o755)
    run = (
        "import os, time; from pxm2mesh.processes import end_on_request; end_on_request();"
        f"open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    assert _ends_with([str(bwrap), sys.executable, "-c", run], note, signal.SIGTERM)


def _ends_with(command: list[str], note: Path, how: signal.Signals) -> bool:
    """Whether the process that wrote its number into ``note`` ends when its starter gets a signal."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(how)
    process.wait()
    pid = int(note.read_text())
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.05)
    return not _alive(pid)


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_starter_that_is_gone_already_starts_nothing() -> None:
    command = leashed([sys.executable, "-c", "print('ran')"])
    command[4] = str(os.getpid() + 1)  # not the parent
    assert subprocess.run(command, capture_output=True, text=True).stdout == ""
