"""What the reading room remembers: SQLite for the lists, files for the images and masks.

Readings and events are append-only; the database itself refuses to change or delete them.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sagittal.errors import BadInput, Refused
from sagittal.report.codec import dumps, from_json
from sagittal.report.reading import Reading

WAITING, AT_WORK, READ, FAILED = "waiting", "being read", "read", "failed"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS studies (
  id TEXT PRIMARY KEY, arrived TEXT NOT NULL, state TEXT NOT NULL, problem TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL, prior TEXT NOT NULL DEFAULT '',
  label TEXT NOT NULL DEFAULT '', patient_id TEXT NOT NULL DEFAULT '', patient_name TEXT NOT NULL DEFAULT '',
  sex TEXT NOT NULL DEFAULT '', age TEXT NOT NULL DEFAULT '', study_date TEXT NOT NULL DEFAULT '',
  modality TEXT NOT NULL DEFAULT '', description TEXT NOT NULL DEFAULT '',
  synthetic INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS readings (
  study TEXT NOT NULL REFERENCES studies(id), version INTEGER NOT NULL, status TEXT NOT NULL,
  created TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (study, version)
);
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, study TEXT NOT NULL,
  actor TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL DEFAULT ''
);
CREATE TRIGGER IF NOT EXISTS readings_stay BEFORE UPDATE ON readings
  BEGIN SELECT RAISE(ABORT, 'a reading is never overwritten'); END;
CREATE TRIGGER IF NOT EXISTS readings_remain BEFORE DELETE ON readings
  BEGIN SELECT RAISE(ABORT, 'a reading is never deleted'); END;
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events
  BEGIN SELECT RAISE(ABORT, 'an event is never overwritten'); END;
CREATE TRIGGER IF NOT EXISTS events_remain BEFORE DELETE ON events
  BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END;
"""


@dataclass(frozen=True)
class Row:
    """A line of the worklist. Strings come from files: escape them where they are shown."""

    id: str
    arrived: str
    state: str
    problem: str
    source: str
    prior: str
    label: str
    patient_id: str
    patient_name: str
    sex: str
    age: str
    study_date: str
    modality: str
    description: str
    synthetic: bool
    status: str = ""
    version: int = 0


@dataclass(frozen=True)
class Event:
    """Something a person or the worker did."""

    at: str
    study: str
    actor: str
    action: str
    detail: str


def now() -> datetime:
    """The present moment, with its time zone, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


class Store:
    """The reading room's memory in one folder. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(folder / "reading_room.sqlite", check_same_thread=False)
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise BadInput(f"{folder} cannot hold the store ({error})", "a writable folder") from None
        self.folder = folder
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA foreign_keys = ON")
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the database; the store cannot be used afterwards."""
        with self._lock:
            self._db.close()

    # studies ----------------------------------------------------------------------------------

    def new_folder(self) -> tuple[str, Path]:
        """A fresh study id (random, says nothing of the patient) and an empty folder for its files."""
        study = secrets.token_hex(6)
        folder = self.folder / "studies" / study
        folder.mkdir(parents=True)
        return study, folder

    def discard(self, study: str) -> None:
        """Remove the folder of a study that was never added (an upload that could not be read)."""
        if self._one("SELECT 1 FROM studies WHERE id = ?", study) is None:
            shutil.rmtree(self.folder / "studies" / study, ignore_errors=True)

    def add(self, study: str, source: Path, prior: Path | None = None, label: str = "") -> None:
        """Put a study on the worklist, waiting to be read."""
        with self._lock, self._db:
            self._db.execute(
                "INSERT INTO studies (id, arrived, state, source, prior, label) VALUES (?, ?, ?, ?, ?, ?)",
                (study, now().isoformat(), WAITING, str(source), str(prior or ""), label),
            )

    def describe(self, study: str, **columns: str | bool) -> None:
        """Fill in what was learnt of the study when it was opened."""
        allowed = {"patient_id", "patient_name", "sex", "age", "study_date", "modality"}
        if not set(columns) <= allowed | {"description", "synthetic", "state", "problem"}:
            raise ValueError(f"unknown column in {sorted(columns)}")
        assignments = ", ".join(f"{name} = ?" for name in columns)
        with self._lock, self._db:
            self._db.execute(f"UPDATE studies SET {assignments} WHERE id = ?", (*columns.values(), study))

    def take(self) -> str | None:
        """The study that waits longest, now marked as being read; None when none waits."""
        with self._lock, self._db:
            row = self._one("SELECT id FROM studies WHERE state = ? ORDER BY rowid LIMIT 1", WAITING)
            if row is None:
                return None
            self._db.execute("UPDATE studies SET state = ? WHERE id = ?", (AT_WORK, row["id"]))
            return str(row["id"])

    def requeue(self) -> None:
        """After a stop: studies that were being read wait again."""
        with self._lock, self._db:
            self._db.execute("UPDATE studies SET state = ? WHERE state = ?", (WAITING, AT_WORK))

    def rows(self) -> list[Row]:
        """The worklist in order of arrival."""
        return [self._row(row) for row in self._all(f"{_ROWS} ORDER BY studies.rowid")]

    def row(self, study: str) -> Row:
        """One line of the worklist; KeyError when there is none."""
        row = self._one(f"{_ROWS} WHERE studies.id = ?", study)
        if row is None:
            raise KeyError(study)
        return self._row(row)

    @staticmethod
    def _row(row: sqlite3.Row) -> Row:
        values = dict(row)
        return Row(**{**values, "synthetic": bool(values["synthetic"])})

    # readings ---------------------------------------------------------------------------------

    def append(self, study: str, reading: Reading) -> None:
        """Append the next version of a study's reading.

        Raises:
            Refused: the version is not the one after the latest (somebody else was faster).
        """
        with self._lock, self._db:
            latest = self._one("SELECT MAX(version) AS version FROM readings WHERE study = ?", study)
            expected = ((latest["version"] if latest else None) or 0) + 1
            if reading.version != expected:
                raise Refused(
                    "the reading has changed since it was opened; load it again",
                    wanted=f"version {expected}",
                    got=f"version {reading.version}",
                )
            self._db.execute(
                "INSERT INTO readings VALUES (?, ?, ?, ?, ?)",
                (study, reading.version, reading.status.value, now().isoformat(), dumps(reading)),
            )

    def reading(self, study: str, version: int | None = None) -> Reading:
        """The latest (or the named) version; KeyError when there is none."""
        where = "AND version = ?" if version is not None else "ORDER BY version DESC LIMIT 1"
        values = (study,) if version is None else (study, version)
        row = self._one(f"SELECT document FROM readings WHERE study = ? {where}", *values)
        if row is None:
            raise KeyError(study)
        return from_json(Reading, json.loads(row["document"]), "reading")

    def versions(self, study: str) -> list[tuple[int, str, str]]:
        """(version, status, when) of every version, oldest first."""
        rows = self._all(
            "SELECT version, status, created FROM readings WHERE study = ? ORDER BY version", study
        )
        return [(row["version"], row["status"], row["created"]) for row in rows]

    # events -----------------------------------------------------------------------------------

    def log(self, study: str, actor: str, action: str, detail: str = "") -> None:
        """Append an event."""
        with self._lock, self._db:
            self._db.execute(
                "INSERT INTO events (at, study, actor, action, detail) VALUES (?, ?, ?, ?, ?)",
                (now().isoformat(), study, actor, action, detail),
            )

    def events(self, study: str) -> list[Event]:
        """What happened to a study, oldest first."""
        rows = self._all(
            "SELECT at, study, actor, action, detail FROM events WHERE study = ? ORDER BY number", study
        )
        return [Event(**dict(row)) for row in rows]

    # masks ------------------------------------------------------------------------------------

    def save_masks(self, study: str, masks: Mapping[str, NDArray[np.bool_]]) -> None:
        """Keep the masks of a reading, bit-packed, in one file written whole or not at all."""
        folder = self.folder / "masks"
        folder.mkdir(exist_ok=True)
        arrays: dict[str, NDArray[np.generic]] = {}
        for number, (name, mask) in enumerate(masks.items()):
            arrays[f"name{number}"] = np.array(name)
            arrays[f"shape{number}"] = np.array(mask.shape)
            arrays[f"bits{number}"] = np.packbits(mask.astype(bool, copy=False))
        target = folder / f"{study}.npz"
        partial = folder / f".{study}.{secrets.token_hex(4)}"
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)

    def masks(self, study: str) -> dict[str, NDArray[np.bool_]]:
        """The kept masks, name -> bool array on the grid of their series; empty when there are none."""
        path = self.folder / "masks" / f"{study}.npz"
        if not path.is_file():
            return {}
        found: dict[str, NDArray[np.bool_]] = {}
        with np.load(path, allow_pickle=False) as arrays:
            for number in range(len(arrays.files) // 3):
                shape = tuple(int(n) for n in arrays[f"shape{number}"])
                bits = np.unpackbits(arrays[f"bits{number}"], count=int(np.prod(shape)))
                found[str(arrays[f"name{number}"])] = bits.astype(bool).reshape(shape)
        return found

    # ------------------------------------------------------------------------------------------

    def _one(self, query: str, *values: object) -> sqlite3.Row | None:
        with self._lock:
            row: sqlite3.Row | None = self._db.execute(query, values).fetchone()
            return row

    def _all(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(query, values).fetchall()


_ROWS = """
SELECT studies.*, COALESCE(latest.status, '') AS status, COALESCE(latest.version, 0) AS version
FROM studies LEFT JOIN readings AS latest ON latest.study = studies.id
  AND latest.version = (SELECT MAX(version) FROM readings WHERE study = studies.id)
"""
