"""Cases and cohorts: a pure function from a seed and an index to a study whose truth is known."""

from __future__ import annotations

import csv
import importlib
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sagittal.errors import BadInput
from sagittal.phantom.files import write_case
from sagittal.phantom.identity import age_on, draw_identity, later
from sagittal.phantom.narrative import draw_context, draw_report
from sagittal.phantom.truth import (
    KINDS,
    LABELS,
    SPLITS,
    Acquired,
    Case,
    CaseKind,
    Scope,
    Split,
    Subject,
    Truth,
    uid,
)
from sagittal.report.finding import Change, ChangeKind, Finding, Measurement, Presence
from sagittal.study.study import Patient, Study

SIZES: dict[CaseKind, tuple[int, int, int]] = {
    "chest-xray": (256, 64, 1024),
    "chest-ct": (128, 32, 512),
    "brain-mr": (128, 64, 256),
}
"""Default, smallest and largest ``size`` (edge in voxels; in the plane for brain MR)."""

MAX_STUDIES = 1_000_000
REPORTS = "reports.csv"
VALIDATION_SHARE = 10
"""In a train cohort every tenth patient is "val"; held-out patients are "test"."""

_MODULES: dict[CaseKind, str] = {
    "chest-xray": "sagittal.phantom.film",
    "chest-ct": "sagittal.phantom.ct",
    "brain-mr": "sagittal.phantom.mr",
}
CRITERION = "phantom truth"


class _KindModule(Protocol):
    def draw_subject(self, rng: np.random.Generator, split: Split) -> Subject: ...

    def evolve(self, subject: Any, rng: np.random.Generator) -> tuple[Subject, dict[str, ChangeKind]]: ...

    def acquire(
        self, subject: Any, rng: np.random.Generator, *, split: Split, size: int, scope: Scope
    ) -> Acquired: ...


def draw(kind: CaseKind, *, seed: int, index: int, split: Split = "train", size: int | None = None) -> Case:
    """Draw one case; the same arguments always give the same case, bit by bit.

    Args:
        size: edge length in pixels or voxels; None: the kind's default in `SIZES`.

    Raises:
        BadInput: an argument is out of range; says what is in range.
    """
    return _Patient(kind, seed, index, split, _checked(kind, seed, index, split, size)).first()


def draw_followup(
    kind: CaseKind, *, seed: int, index: int, split: Split = "train", size: int | None = None
) -> tuple[Case, Case]:
    """Draw the case that `draw` draws and the same patient's next study, as (prior, current).

    The current study has the prior among its ``priors``; its truth tells every lesion's change.
    """
    patient = _Patient(kind, seed, index, split, _checked(kind, seed, index, split, size))
    prior = patient.first()
    return prior, patient.second(prior)


def _checked(kind: str, seed: int, index: int, split: str, size: int | None) -> int:
    if kind not in KINDS:
        raise BadInput(f"phantom kind {kind!r} is unknown", f"one of {', '.join(KINDS)}")
    if split not in SPLITS:
        raise BadInput(f"phantom split {split!r} is unknown", f"one of {', '.join(SPLITS)}")
    if seed < 0 or index < 0:
        raise BadInput(f"seed {seed} and index {index}", "both 0 or more")
    default, smallest, largest = SIZES[kind]
    if size is not None and not smallest <= size <= largest:
        raise BadInput(f"phantom size {size} of {kind}", f"{smallest} to {largest}")
    return size or default


@dataclass(frozen=True)
class _Patient:
    """Everything random about one patient, each part with a generator of its own.

    Streams are separate so that, say, one more word in a note does not move a lesion.
    """

    kind: CaseKind
    seed: int
    index: int
    split: Split
    size: int

    def rng(self, stream: int, timepoint: int = 0) -> np.random.Generator:
        place = [self.seed, self.index, KINDS.index(self.kind), SPLITS.index(self.split), timepoint, stream]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(place)))

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.split}/{self.seed}/{self.index}"

    @property
    def module(self) -> _KindModule:
        module: Any = importlib.import_module(_MODULES[self.kind])
        return module

    def first(self) -> Case:
        subject = self.module.draw_subject(self.rng(0), self.split)
        identity = draw_identity(self.rng(1), self.key, sex=subject.sex, age_years=subject.age_years)
        return self.case(subject, identity.patient, identity.study_date, 0)

    def second(self, prior: Case) -> Case:
        before = self.module.draw_subject(self.rng(0), self.split)
        subject, changes = self.module.evolve(before, self.rng(0, 1))
        day = later(self.rng(1, 1), prior.truth.date)
        birth = prior.study.patient.birth_date
        assert birth is not None, "identities have a birth date"
        patient = replace(prior.study.patient, age_years=age_on(birth, day))
        case = self.case(subject, patient, day, 1, prior=prior, changes=changes)
        return replace(case, study=case.study.with_(priors=(prior.study,)))

    def case(
        self,
        subject: Subject,
        patient: Patient,
        day: date,
        timepoint: int,
        prior: Case | None = None,
        changes: dict[str, ChangeKind] | None = None,
    ) -> Case:
        scope = Scope(self.key, f"{self.key}/{timepoint}/{self.size}", day)
        acquired = self.module.acquire(
            subject, self.rng(2, timepoint), split=self.split, size=self.size, scope=scope
        )
        missing = set(LABELS[self.kind]) ^ set(acquired.labels)
        assert not missing, f"labels must be those of {self.kind}, differ in {missing}"
        age = patient.age_years or 0.0
        findings = acquired.findings
        if prior is not None:
            named = {scope.tracking_uid(lesion): change for lesion, change in (changes or {}).items()}
            findings = _with_changes(findings, prior, named)
        context = draw_context(self.rng(3, timepoint), self.kind, acquired.labels, age, day)
        study = Study(
            uid=scope.uid("study"),
            patient=patient,
            series=acquired.series,
            date=day,
            description=acquired.description,
            accession_number=f"PA{int(uid(scope.study_key, 'accession')[5:]) % 10**10:010d}",
            context=context,
            synthetic=True,
        )
        truth = Truth(
            kind=self.kind,
            seed=self.seed,
            index=self.index,
            split=self.split,
            study_uid=study.uid,
            date=day,
            findings=findings,
            labels=acquired.labels,
            contrast_to_noise=acquired.contrast_to_noise,
            measurements=acquired.measurements,
            demographics=_demographics(patient, acquired),
            report=draw_report(
                findings, acquired.labels, context, acquired.series, prior.truth.date if prior else None
            ),
            timepoint=timepoint,
        )
        return Case(study, acquired.masks, truth)


def _demographics(patient: Patient, acquired: Acquired) -> dict[str, Any]:
    age = patient.age_years or 0.0
    band = "child" if age < 16 else "16-39" if age < 40 else "40-64" if age < 65 else "65+"
    first = acquired.series[0]
    return {
        "sex": patient.sex,
        "age_years": age,
        "age_band": band,
        "view": acquired.view,
        "manufacturer": first.acquisition.manufacturer or "",
    }


def _with_changes(
    findings: tuple[Finding, ...], prior: Case, changes: dict[str, ChangeKind]
) -> tuple[Finding, ...]:
    """Findings with their true change, then those that resolved, as absent ones."""
    before = {f.tracking_uid: f for f in prior.truth.findings if f.tracking_uid}

    def change(finding: Finding, kind: ChangeKind) -> Change:
        old = before.get(finding.tracking_uid or "")
        size: Measurement | None = old.measurements[0] if old and old.measurements else None
        return Change(kind, since=prior.truth.date, criterion=CRITERION, prior=size)

    now = [
        replace(f, change=change(f, changes[f.tracking_uid])) if f.tracking_uid in changes else f
        for f in findings
    ]
    gone = [
        replace(
            before[key],
            presence=Presence.ABSENT,
            severity=None,
            measurements=(),
            evidence=None,
            change=change(before[key], kind),
        )
        for key, kind in changes.items()
        if kind is ChangeKind.RESOLVED and key in before
    ]
    return (*now, *gone)


def write_cohort(
    kind: CaseKind,
    n: int,
    out: str | Path,
    *,
    seed: int = 0,
    split: Split = "train",
    followup: bool = False,
    size: int | None = None,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda n: None,
) -> Path:
    """Write ``n`` patients as a data folder; the same arguments give the same bytes.

    The folder has ``labels.csv``, ``reports.csv`` (study, text) and one folder a study: DICOM files
    in a folder a series, ``context.json``, ``truth.json`` and ``truth_<mask>.nii.gz`` (``.png`` for
    radiographs). With ``followup`` every patient has two studies, ``<index>-0`` (the prior) and
    ``<index>-1``.
    Everything is made in a hidden folder beside ``out`` and renamed at the end, so that a run that
    stops leaves nothing half-written.

    Args:
        workers: processes; None: one a processor. The bytes do not depend on it.
        advance: called with the number of patients finished since the last call.

    Raises:
        BadInput: an argument is out of range, or ``out`` is there and not an empty folder.
    """
    _checked(kind, seed, 0, split, size)
    if not 1 <= n <= MAX_STUDIES:
        raise BadInput(f"--n {n}", f"1 to {MAX_STUDIES}")
    out = Path(out)
    _refuse_occupied(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial_folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise BadInput(f"{out} cannot be made ({error.strerror})", "a folder that can be written") from None
    try:
        rows: list[dict[str, str]] = []
        one = partial(
            _write_patient,
            kind=kind,
            out=partial_folder,
            seed=seed,
            split=split,
            followup=followup,
            size=size,
        )
        for written in _map(one, n, workers):
            rows += written
            advance(1)
        _write_labels(partial_folder / "labels.csv", kind, rows, followup)
        _write_table(partial_folder / REPORTS, ["study", "text"], rows)
        partial_folder.chmod(0o755)
        if out.exists():
            out.rmdir()
        partial_folder.rename(out)
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)
    return out


def _refuse_occupied(out: Path) -> None:
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise BadInput(f"{out} is there already", "a new or empty folder", "choose another --out")


def _map(
    one: Callable[[int], list[dict[str, str]]], n: int, workers: int | None
) -> Iterator[list[dict[str, str]]]:
    workers = min(n, workers or len(os.sched_getaffinity(0)))
    if workers <= 1:
        yield from map(one, range(n))
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
        yield from pool.map(one, range(n), chunksize=max(1, min(16, n // (4 * workers))))


def _write_patient(
    index: int, *, kind: CaseKind, out: Path, seed: int, split: Split, followup: bool, size: int | None
) -> list[dict[str, str]]:
    if not followup:
        case = draw(kind, seed=seed, index=index, split=split, size=size)
        name = f"{index:06d}"
        write_case(case, out / name)
        return [_row(case, name, "")]
    rows, earlier = [], ""
    for case in draw_followup(kind, seed=seed, index=index, split=split, size=size):
        name = f"{index:06d}-{case.truth.timepoint}"
        write_case(case, out / name)
        rows.append(_row(case, name, earlier))
        earlier = name
    return rows


def _row(case: Case, name: str, prior: str) -> dict[str, str]:
    truth = case.truth
    part = "test" if truth.split == "heldout" else "train"
    if part == "train" and truth.index % VALIDATION_SHARE == VALIDATION_SHARE - 1:
        part = "val"
    groups = {"sex": "sex", "age": "age_band", "view": "view", "manufacturer": "manufacturer"}
    return {
        "study": name,
        "patient": case.study.patient.id,
        "split": part,
        "prior": prior,
        **{f"group:{name}": str(truth.demographics[key]) for name, key in groups.items()},
        **{key: str(value) for key, value in truth.labels.items()},
        "text": " ".join(
            sentence.text
            for name in ("findings", "impression")
            for sentence in truth.report.section(name).sentences
        ),
    }


def _write_labels(path: Path, kind: CaseKind, rows: list[dict[str, str]], followup: bool) -> None:
    columns = ["study", "patient", "split", "prior", "group:sex", "group:age", "group:view"]
    columns += ["group:manufacturer", *LABELS[kind]]
    empty = {"prior"} if not followup else set()
    if kind != "chest-xray":
        empty.add("group:view")
    _write_table(path, [name for name in columns if name not in empty], rows)


def _write_table(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
