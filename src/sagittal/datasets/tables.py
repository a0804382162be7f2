"""Tables and lists as data sets publish them: CSV (plain or gzipped) and JSON, read line by line."""

from __future__ import annotations

import csv
import difflib
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sagittal.errors import BadInput

MAX_JSON_BYTES = 2**28
csv.field_size_limit(2**24)


def nearest(name: str, there: Iterable[str]) -> str:
    """What to say when ``name`` is none of ``there``: the nearest, or the first of them."""
    names = list(there)
    lower = {one.lower(): one for one in names}
    close = difflib.get_close_matches(name.lower(), lower, 1, 0.5)
    if close:
        return f"{lower[close[0]]!r}, the nearest there is"
    shown = ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
    return f"one of: {shown}" if names else "some names at all: there are none"


def same_labels(path: Path, here: tuple[str, ...], labels: tuple[str, ...]) -> None:
    """BadInput where a second table of the same set has other label columns; names the first."""
    if set(here) != set(labels):
        odd = next((name for name in here if name not in labels), "")
        missing = next((name for name in labels if name not in here), "")
        what = f"has the label {odd!r}" if odd else f"lacks the label {missing!r}"
        raise BadInput(f"{path} {what}, unlike the other part", nearest(odd or missing, labels))


def published(folder: Path, *names: str, layout: str) -> Path:
    """The first of ``names`` (patterns, for the same file) that lies in ``folder``.

    Raises:
        BadInput: none does; says what the published layout is.
    """
    for name in names:
        found = sorted(folder.glob(name))
        if found:
            return found[0]
    raise BadInput(f"{folder} has no {names[0]}", f"the published layout: {layout}")


def header(path: Path, separator: str = ",") -> list[str]:
    """The column names of a table; empty where it cannot be read as one."""
    try:
        with _text(path) as file:
            return [name.strip() for name in next(csv.reader(file, delimiter=separator), [])]
    except (OSError, UnicodeDecodeError, csv.Error, EOFError, zlib.error):
        return []


def read_table(
    path: Path, *columns: str, separator: str = ",", layout: str = ""
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, column -> stripped cell) row by row; the whole table is never held.

    Args:
        columns: that have to be there. Columns without a name are left out.

    Raises:
        BadInput: unreadable, a column missing (names the nearest), or a row of another length.
    """
    published_layout = f"; {layout}" if layout else ""
    try:
        with _text(path) as file:
            reader = csv.reader(file, strict=True, delimiter=separator)
            names = [name.strip() for name in next(reader, [])]
            given = [name for name in names if name]
            for column in columns:
                if column not in given:
                    raise BadInput(
                        f"{path} has no column {column!r}", nearest(column, given) + published_layout
                    )
            if len(set(given)) != len(given):
                raise BadInput(f"{path} has the columns {', '.join(names)}", "each name once")
            for cells in reader:
                if not cells:
                    continue
                if len(cells) < len(names) or any(cells[len(names) :]):
                    raise BadInput(f"{path} line {reader.line_num} has another number of columns than line 1")
                yield (
                    reader.line_num,
                    {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name},
                )
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error})", layout) from None
    except (UnicodeDecodeError, csv.Error, EOFError, zlib.error) as error:
        raise BadInput(f"{path} is not CSV in UTF-8 ({error})", layout) from None


def _text(path: Path) -> Any:
    opened = gzip.open if path.suffix == ".gz" else open
    return opened(path, "rt", newline="", encoding="utf-8-sig")


def read_list(path: Path, *keys: str, layout: str = "") -> list[dict[str, Any]]:
    """A JSON list of objects, each with ``keys``.

    Raises:
        BadInput: unreadable, no such list, or an entry without a key; names the entry.
    """
    entries = read_json_file(path)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadInput(f"{path} holds no list of objects", layout)
    for number, entry in enumerate(entries):
        for key in keys:
            if key not in entry:
                raise BadInput(f"{path}: entry {number} has no {key!r}", nearest(key, entry))
    return entries


def read_json_file(path: Path) -> Any:
    """The JSON in a file; BadInput where it is none."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise BadInput(f"{path} has over {MAX_JSON_BYTES} bytes")
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON ({error})") from None


def number_in(cell: str, path: Path, line: int, column: str) -> float:
    """A cell as a number; BadInput names the line."""
    try:
        return float(cell)
    except ValueError:
        raise BadInput(f"{path} line {line}: {column} is {cell!r}", "a number") from None


def inside(name: str, path: Path, line: int) -> str:
    """A relative file name out of a table, checked not to lead out of the folder."""
    plain = name.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if not parts or plain.startswith("/") or ".." in parts or "\0" in name or ":" in parts[0]:
        raise BadInput(f"{path} line {line}: {name!r} lies outside the folder", "a path inside it")
    return "/".join(parts)
