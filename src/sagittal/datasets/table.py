"""Any folder of studies with a CSV that names them, by path or by DICOM UID."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from sagittal.datasets.dataset import SPLITS, Dataset, Row
from sagittal.datasets.folder import label_targets
from sagittal.datasets.tables import header, inside, nearest, read_table
from sagittal.errors import BadInput
from sagittal.study.open import open_files, open_study
from sagittal.study.study import Study

PATHS = (
    "study",
    "path",
    "file",
    "filename",
    "file_path",
    "filepath",
    "image_path",
    "image",
    "folder",
    "dicom_path",
)
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
PATIENTS = ("patient", "patient_id", "patientid", "subject", "subject_id", "subjectid")
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
LAYOUT = f"a CSV with a column {', '.join(PATHS[:4])} ... or {', '.join(UIDS)}, beside the studies"


def key_of(columns: list[str]) -> str:
    """The column that names the study: a path, else the narrowest UID; "" where there is none."""
    lower = {name.lower(): name for name in columns}
    named = [lower[name] for name in PATHS if name in lower]
    uids = [lower[name.lower()] for name in UIDS if name.lower() in lower]
    return (named or uids or [""])[0]


def open_table(
    table: str | Path,
    folder: str | Path | None = None,
    *,
    study: str = "",
    patient: str = "",
    split: str = "",
    labels: tuple[str, ...] | None = None,
    suffix: str = "",
) -> Dataset:
    """One row a line of ``table``.

    Args:
        folder: what paths are relative to (or to one folder in it), and where UIDs are looked for; by
            default the table's own.
        study: the column with a path, or a StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID; by default
            the first of `PATHS` and `UIDS` there is.
        patient, split: their columns; by default those called so, else no patient is known.
        labels: the label columns (0, 1, empty, or one of class names); by default every other column that
            holds nothing else.
        suffix: put behind a path that has none, e.g. ".dcm".

    UIDs are found in the headers below ``folder``, which are read once, when the first study is opened.

    Raises:
        BadInput: a column is missing (names the nearest), a cell is wrong (names the line), or no rows.
    """
    table = Path(table)
    folder = table.parent if folder is None else Path(folder)
    columns = header(table)
    key = study or key_of(columns)
    if not key:
        raise BadInput(f"{table} has the columns {', '.join(columns)}", LAYOUT)
    who = patient or next((c for c in columns if c.lower() in PATIENTS), "")
    part = split or next((c for c in columns if c.lower() == "split"), "")
    needed = [c for c in (key, who, part, *(labels or ())) if c]
    lines = list(read_table(table, *needed, layout=LAYOUT))
    if not lines:
        raise BadInput(f"{table} has no rows", LAYOUT)
    fixed = {key, who, part}
    taken = list(labels) if labels is not None else _label_columns(columns, fixed, lines)
    by_uid = key.lower() in {name.lower() for name in UIDS}
    index = _Index(folder, key) if by_uid else None
    rows, seen = [], set()
    for number, line in lines:
        name = line[key]
        if not name or name in seen:
            raise BadInput(f"{table} line {number}: {key} is {name!r}", "one line a study, each named")
        seen.add(name)
        if index is None:
            name = inside(name, table, number)
            load = partial(_open, folder, name if Path(name).suffix or not suffix else name + suffix)
        else:
            load = partial(index.open, name)
        word = line[part].lower() if part else ""
        if word and word not in _SPLITS:
            raise BadInput(
                f"{table} line {number}: split is {word!r}", f"one of {', '.join(SPLITS)} or empty"
            )
        rows.append(Row(name, (line[who] if who else "") or name, _SPLITS.get(word, ""), load))
    names, targets, exclusive = label_targets(table, taken, lines)
    caveats = () if who else ("no patient column: every study stands for a patient of its own",)
    return Dataset(
        folder.resolve().name, tuple(rows), names, targets, exclusive, folder=folder, caveats=caveats
    )


def _label_columns(columns: list[str], fixed: set[str], lines: list[tuple[int, dict[str, str]]]) -> list[str]:
    """Columns of nothing but 0, 1 and empty, with at least one value."""
    rest = [c for c in columns if c and c not in fixed]
    kept = []
    for column in rest:
        values = {line[column] for _, line in lines}
        if values <= {"", "0", "1", "0.0", "1.0"} and values != {""}:
            kept.append(column)
    return kept


def _open(folder: Path, name: str) -> Study:
    path = folder / name
    if not path.exists() and folder.is_dir():
        # Tables often leave out the one folder that all images lie in.
        below = [one / name for one in sorted(folder.iterdir()) if (one / name).exists()]
        path = below[0] if len(below) == 1 else path
    return open_study(path)


class _Index:
    """Where the files of each UID lie. The headers are read once, when first asked."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = next(name for name in UIDS if name.lower() == key.lower())

    @cached_property
    def files(self) -> dict[str, list[Path]]:
        """UID -> files."""
        found: dict[str, list[Path]] = {}
        for path in sorted(self.folder.rglob("*")):
            if not path.is_file() or path.name.startswith("."):
                continue
            try:
                head = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[self.key])
            except (InvalidDicomError, OSError, ValueError, KeyError, NotImplementedError):
                continue
            found.setdefault(str(head.get(self.key, "")), []).append(path)
        return found

    def open(self, uid: str) -> Study:
        """The study of a UID. BadInput: no file has it."""
        files = self.files.get(uid)
        if not files:
            raise BadInput(f"no file below {self.folder} has the {self.key} {uid}", nearest(uid, self.files))
        return open_files(files)
