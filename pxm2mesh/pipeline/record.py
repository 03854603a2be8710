"""What a run folder remembers of each stage: enough to know whether it has to be done again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pxm2mesh.files import file_digest, write_json

NAME = "record.json"


@dataclass(frozen=True)
class FileState:
    """A file as it was when its stage ended; the time is a short cut, the digest decides."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class StageRecord:
    """One finished stage.

    Attributes:
        key: Digest of all that decides the result: options, what came before, code, versions.
        identity: Digest that later stages build on: of the content where a stage knows it, else the key.
        outputs: Files by their path in the run folder.
        facts: What the report says of the stage.
        seconds: Wall time.
        finished: When, in UTC.
        peak_memory_mb: The most memory the process has held so far.
    """

    key: str
    identity: str
    outputs: Mapping[str, FileState] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    finished: str = ""
    peak_memory_mb: float = 0.0


class Record:
    """``record.json``: read once, written whole after every change.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._folder = folder
        self.about: dict[str, Any] = {}
        self.stages: dict[str, StageRecord] = {}
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            for name, entry in content.pop("stages").items():
                outputs = {file: FileState(**state) for file, state in entry.pop("outputs").items()}
                self.stages[name] = StageRecord(outputs=outputs, **entry)
            self.about = content
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            self.stages = {}  # absent, or of another version: every stage is done again

    def is_current(self, name: str, key: str) -> bool:
        """Whether the stage was finished with this key and its files are still as it left them."""
        entry = self.stages.get(name)
        return (
            entry is not None
            and entry.key == key
            and all(self._unchanged(file, state) for file, state in entry.outputs.items())
        )

    def _unchanged(self, file: str, state: FileState) -> bool:
        path = self._folder / file
        try:
            now = path.stat()
        except OSError:
            return False
        if now.st_size != state.size:
            return False
        return now.st_mtime_ns == state.mtime_ns or file_digest(path) == state.sha256

    def forget(self, names: Iterable[str]) -> None:
        """Drop stages, on disk too: from here on their files may change."""
        gone = [name for name in names if self.stages.pop(name, None) is not None]
        if gone:
            self.write()

    def write(self) -> None:
        """Write the file, whole or not at all."""
        write_json(
            self._path, {**self.about, "stages": {name: asdict(entry) for name, entry in self.stages.items()}}
        )


def state_of(path: Path) -> FileState:
    """The state of a file now."""
    now = path.stat()
    return FileState(now.st_size, now.st_mtime_ns, file_digest(path))


def source_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, or of the names and contents of all files below a folder."""
    place = Path(str(path).partition("::")[0])
    if not place.is_dir():
        return file_digest(place)
    state = hashlib.sha256()
    for file in sorted(p for p in place.rglob("*") if p.is_file()):
        state.update(f"{file.relative_to(place)}\0{file_digest(file)}\n".encode())
    return state.hexdigest()
