"""Where a key or a list item stands in a TOML file: tomllib does not tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_STRING = re.compile(r'"""(?:\\.|.)*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL)
_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_BARE = re.compile(r"[^,\]}#\n]*")


def locate(text: str, path: Sequence[str | int]) -> tuple[int, int]:
    r"""Line and column (1-based) of the deepest part of ``path`` that can be found in the TOML ``text``.

    Args:
        text: A study file.
        path: Keys and list positions, such as ``("physics", 0, "phases")``.

    Returns:
        (0, 0) where nothing of it is found.

    Example:
        >>> locate('[mesh]\nexclude = ["void", "viod"]', ("mesh", "exclude", 1))
        (2, 20)
    """
    wanted, depth, found = tuple(path), 0, -1
    for here, start, value in _entries(text):
        if len(here) <= depth or here != wanted[: len(here)]:
            continue
        depth, found = len(here), start
        if value >= 0:
            deeper, inside = _descend(text, value, wanted[depth:])
            if deeper:
                depth, found = depth + deeper, inside
    if found < 0:
        return 0, 0
    return text.count("\n", 0, found) + 1, found - (text.rfind("\n", 0, found) + 1) + 1


def _entries(text: str) -> Iterator[tuple[tuple[str | int, ...], int, int]]:
    """Path, offset, and offset of the value (-1 for a header) of every header and key that starts a line."""
    table: tuple[str | int, ...] = ()
    counts: dict[str, int] = {}
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end]
        header = _HEADER.match(line)
        key = None if header else _KEY.match(line)
        if header:
            names = _split_key(header.group(2))
            if header.group(1) == "[[":
                counts[header.group(2)] = counts.get(header.group(2), -1) + 1
                table = (*names, counts[header.group(2)])
            else:
                table = _inside_last(tuple(names), counts)
            yield table, at + line.index("["), -1
        elif key:
            value = at + key.end()
            yield (*table, *_split_key(key.group(1))), at + key.start(1), value
            end = max(end, text.find("\n", _end_of_value(text, value)))  # lists may span lines
        at = end + 1


def _inside_last(names: tuple[str, ...], counts: dict[str, int]) -> tuple[str | int, ...]:
    """``[physics.material]`` after ``[[physics]]`` belongs to the last of that list."""
    if len(names) > 1 and names[0] in counts:
        return (names[0], counts[names[0]], *names[1:])
    return names


def _descend(text: str, at: int, wanted: tuple[str | int, ...]) -> tuple[int, int]:
    """How many steps of ``wanted`` lead into the value at ``at``, and where the last one stands."""
    at = _past_blank(text, at)
    if not wanted or at >= len(text) or text[at] not in "[{":
        return 0, at
    for number, (key, start, value) in enumerate(_items(text, at)):
        if wanted[0] in (number, key) and isinstance(wanted[0], str) == (key is not None):
            deeper, inside = _descend(text, value, wanted[1:])
            return 1 + deeper, inside if deeper else start
    return 0, at


def _items(text: str, at: int) -> Iterator[tuple[str | None, int, int]]:
    """Key (None in a list), offset, and offset of the value of each item of the list or table that opens at ``at``."""
    table, at = text[at] == "{", _past_blank(text, at + 1)
    while at < len(text) and text[at] not in "]}":
        key, start = None, at
        if table:
            match = _KEY.match(text[at:])
            if match is None:
                return
            key, at = ".".join(_split_key(match.group(1))), at + match.end()
        at = _past_blank(text, at)
        yield key, start, at
        at = _past_blank(text, _end_of_value(text, at))
        if at < len(text) and text[at] == ",":
            at = _past_blank(text, at + 1)


def _end_of_value(text: str, at: int) -> int:
    at = _past_blank(text, at)
    if at >= len(text):
        return at
    string = _STRING.match(text, at)
    if string:
        return string.end()
    if text[at] in "[{":
        last = at + 1
        for _, _, value in _items(text, at):
            last = _end_of_value(text, value)
        close = _past_blank(text, last)
        close = _past_blank(text, close + 1) if text[close : close + 1] == "," else close
        return min(close + 1, len(text))
    bare = _BARE.match(text, at)
    return bare.end() if bare else at


def _past_blank(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _split_key(text: str) -> list[str]:
    return [part.strip().strip("\"'") for part in re.findall(r"""[\w-]+|"[^"]*"|'[^']*'""", text)]
