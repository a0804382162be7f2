"""A data folder: any set of studies plus ``labels.csv``, and ``reports.csv`` where there are reports.

Columns: ``study`` (path relative to the folder), ``patient``, optional ``split``, ``prior``, ``mask``,
optional ``group:NAME``; then one column a label with 0 / 1, or one column of class names; empty means
unknown. ``time`` and ``event`` belong to survival and are no labels. ``reports.csv`` has the columns
``study`` and ``text``; a report is no part of what `load` gives: it was written after the study.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sagittal.datasets.dataset import SPLITS, Dataset, Row
from sagittal.datasets.tables import read_table
from sagittal.errors import BadInput
from sagittal.study.open import open_study
from sagittal.study.study import Study

MAX_ROWS = 1_000_000
MAX_CHARACTERS = 100_000
REPORTS = "reports.csv"
_FIXED = ("study", "patient", "split", "prior", "mask", "time", "event")


def open_folder(folder: str | Path) -> Dataset:
    """Open a data folder; studies are opened only when asked for.

    Raises:
        BadInput: ``labels.csv`` is missing or wrong; names the line.
    """
    folder = Path(folder)
    path = folder / "labels.csv"
    header, lines = _lines(path)
    texts = _reports(folder / REPORTS, {line["study"] for _, line in lines})
    label_columns = [name for name in header if name not in _FIXED and not name.startswith("group:")]
    rows = tuple(
        replace(_row(folder, path, number, line), read_report=partial(str, texts.get(line["study"], "")))
        for number, line in lines
    )
    if len({row.study for row in rows}) != len(rows):
        raise BadInput(f"{path} names a study twice", "one row a study")
    labels, targets, exclusive = label_targets(path, label_columns, lines)
    return Dataset(folder.resolve().name, rows, labels, targets, exclusive, folder=folder)


def _lines(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    lines: list[tuple[int, dict[str, str]]] = []
    layout = "a data folder with labels.csv: study and patient, each name once, then the labels"
    for number, line in read_table(path, "study", "patient", layout=layout):
        if len(lines) == MAX_ROWS:
            raise BadInput(f"{path} has over {MAX_ROWS} rows")
        lines.append((number, line))
    if not lines:
        raise BadInput(f"{path} has no rows", "a row a study")
    return list(lines[0][1]), lines


def _reports(path: Path, studies: set[str]) -> dict[str, str]:
    """Study -> text, of the studies of the set; empty where the file is not there."""
    if not path.exists():
        return {}
    texts: dict[str, str] = {}
    for number, line in read_table(path, "study", "text", layout="a line a study: study, text"):
        if len(line["text"]) > MAX_CHARACTERS:
            raise BadInput(
                f"{path} line {number}: the text is too long", f"at most {MAX_CHARACTERS} characters"
            )
        if line["study"] in texts:
            raise BadInput(f"{path} line {number}: {line['study']!r} is there twice", "one report a study")
        if line["study"] in studies:
            texts[line["study"]] = line["text"]
    return texts


def _row(folder: Path, path: Path, number: int, line: dict[str, str]) -> Row:
    study, split = line["study"], line.get("split", "")
    if not study or not line["patient"]:
        raise BadInput(f"{path} line {number} lacks study or patient")
    if split and split not in SPLITS:
        raise BadInput(f"{path} line {number}: split is {split!r}", f"one of {', '.join(SPLITS)} or empty")
    for name in (study, line.get("prior", ""), line.get("mask", "")):
        _inside(folder, path, number, name)
    groups = {k.removeprefix("group:"): v for k, v in line.items() if k.startswith("group:")}
    prior = line.get("prior", "")
    load = partial(_open, folder, study, prior)
    return Row(study, line["patient"], split, load, prior, line.get("mask", ""), groups)


def _inside(folder: Path, path: Path, number: int, name: str) -> None:
    root = folder.resolve()
    if "\0" in name or not (root / name).resolve().is_relative_to(root):
        raise BadInput(f"{path} line {number}: {name!r} lies outside the folder", "a path inside it")


def _open(folder: Path, study: str, prior: str) -> Study:
    """A prior that cannot be opened is left out and noted: the study itself is not at fault."""
    if not prior:
        return open_study(folder / study)
    try:
        return open_study(folder / study, prior=folder / prior)
    except BadInput as reason:
        current = open_study(folder / study)
        return current.with_(problems=(*current.problems, f"prior {prior} is left out: {reason}"))


def label_targets(
    path: Path, columns: list[str], lines: list[tuple[int, dict[str, str]]]
) -> tuple[tuple[str, ...], NDArray[np.float32], bool]:
    """Label names, (N, L) targets, exclusive: columns of 0, 1 and empty, or a single one of class names.

    Raises:
        BadInput: something else in a cell; names the line.
    """
    named = [c for c in columns if any(line[c] not in ("", "0", "1") for _, line in lines)]
    if not named:
        values = [[_number(line[c]) for c in columns] for _, line in lines]
        return tuple(columns), np.asarray(values, np.float32).reshape(len(lines), len(columns)), False
    if len(columns) > 1:
        other = next((n, line[named[0]]) for n, line in lines if line[named[0]] not in ("", "0", "1"))
        raise BadInput(
            f"{path} line {other[0]}: {named[0]} is {other[1]!r}",
            "0, 1 or empty in each of several label columns, or a single column of class names",
        )
    cells = [line[columns[0]] for _, line in lines]
    classes = tuple(sorted(set(cells) - {""}))
    targets = np.full((len(cells), len(classes)), np.nan, np.float32)
    for i, cell in enumerate(cells):
        if cell:
            targets[i] = [cell == name for name in classes]
    return classes, targets, True


def _number(cell: str) -> float:
    return float(cell) if cell else float("nan")
