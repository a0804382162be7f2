"""One worker thread that reads waiting studies; the only place here that knows the main job.

`read_with` and `redraft_with` are what the reading room needs of `tasks`; tests hand in their own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sagittal.errors import SagittalError
from sagittal.report.reading import Reading
from sagittal.report.report import Report
from sagittal.serve.shelf import Shelf
from sagittal.serve.store import FAILED, READ, Store
from sagittal.settings import ServeSettings
from sagittal.study.study import Study
from sagittal.study.volume import Volume

STATED_LEVELS = ("present", "absent", "consistent with", "probable", "possible")
"""Levels that the main job turns into findings."""

log = logging.getLogger("sagittal.serve")


class ReadStudy(Protocol):
    """What a finished reading offers: `sagittal.tasks.read.Read` does."""

    @property
    def reading(self) -> Reading: ...
    @property
    def masks(self) -> Mapping[str, Volume]: ...


@dataclass(frozen=True)
class Reader:
    """How studies are read, redrafted after a person's changes, and written.

    Args:
        read: study -> reading with masks.
        redraft: (study, reading with other findings) -> the report drawn up again.
        write: (study, reading, masks by name, folder) -> reading.json, report.txt, report.html,
            seg.dcm and sr.dcm in the folder.
    """

    read: Callable[[Study], ReadStudy]
    redraft: Callable[[Study, Reading], Report]
    write: Callable[[Study, Reading, Mapping[str, NDArray[np.bool_]], Path], object]


def reader(settings: ServeSettings) -> Reader:
    """The main job with the settings' model; torch is imported when the first study is read."""

    def read(study: Study) -> ReadStudy:
        from sagittal.tasks.read import read

        return read(study, model=settings.model, seed=settings.seed, device=settings.device)

    def redraft(study: Study, reading: Reading) -> Report:
        from sagittal.tasks.read import redraft

        return redraft(study, without_rejected(reading))

    def write(study: Study, reading: Reading, masks: Mapping[str, NDArray[np.bool_]], out: Path) -> object:
        from sagittal.tasks.read import write

        return write(study, reading, masks, out)

    return Reader(read, redraft, write)


def without_rejected(reading: Reading) -> Reading:
    """The reading without the scores whose finding a person has taken out.

    A score without a finding is reported as not assessed; what a person rejected was assessed.
    """
    held = {finding.observation.key for finding in reading.findings}
    kept = tuple(s for s in reading.scores if s.observation.key in held or s.level not in STATED_LEVELS)
    return replace(reading, scores=kept)


class Worker:
    """Takes waiting studies from the store, one after the other, until stopped."""

    def __init__(self, store: Store, shelf: Shelf, reader: Reader) -> None:
        self._store, self._shelf, self._reader = store, shelf, reader
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; studies that were interrupted are read again."""
        if self._thread is None:
            self._store.requeue()
            self._thread = threading.Thread(target=self._run, name="sagittal-worker", daemon=True)
            self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Ask the thread to end after the study at hand, and wait for it at most ``seconds``."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def wake(self) -> None:
        """A study waits."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            study = self._store.take()
            if study is None:
                self._wake.wait(1.0)
                self._wake.clear()
                continue
            try:
                self.read(study)
            except Exception as error:  # the worker outlives every study
                if self._stop.is_set():
                    # The store may be closed already; the study is read again at the next start.
                    return
                # Messages may quote file contents, so only the kind of failure is logged.
                log.error("study %s could not be read: %s", study, type(error).__name__)
                problem = str(error) if isinstance(error, SagittalError) else "a defect in sagittal"
                self._store.describe(study, state=FAILED, problem=problem)

    def read(self, study: str) -> None:
        """Read one study now and keep its reading and masks."""
        if self._store.row(study).version:
            # Stopped between the reading and its mark: it is there.
            self._store.describe(study, state=READ)
            return
        opened = self._shelf.get(study)
        describe(self._store, study, opened.study)
        done = self._reader.read(opened.study)
        self._store.save_masks(study, {n: v.voxels.astype(bool) for n, v in done.masks.items()})
        self._shelf.refresh_masks(study)
        self._store.append(study, done.reading)
        self._store.log(study, "worker", "read", done.reading.status.value)
        self._store.describe(study, state=READ)


def age_text(years: float | None) -> str:
    """An age as the worklist shows it: months below two years; empty where the file does not say."""
    if years is None:
        return ""
    return f"{years * 12:.0f} mo" if 0 < years < 2 else f"{years:.0f} y"


def describe(store: Store, study: str, opened: Study) -> None:
    """Put on the worklist what the files say of the study."""
    patient = opened.patient
    modalities = sorted({series.modality for series in opened.series})
    store.describe(
        study,
        patient_id=patient.id,
        patient_name=patient.name.replace("^", " ").strip(),
        sex=patient.sex or "",
        age=age_text(patient.age_years),
        study_date=opened.date.isoformat() if opened.date else "",
        modality=" ".join(modalities),
        description=opened.description,
        synthetic=opened.synthetic,
    )
