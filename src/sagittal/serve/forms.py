"""What browsers send, turned into values; everything is bounded and checked here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import numpy as np
from fastapi import Request
from starlette.concurrency import run_in_threadpool

from sagittal.errors import BadInput
from sagittal.report.finding import Certainty, Evidence, Laterality, Presence, Severity
from sagittal.report.reading import Reading
from sagittal.report.report import Communication
from sagittal.serve.review import Corrections, communication, urgent
from sagittal.serve.shelf import Opened
from sagittal.study.open import open_study

NONE = "none"
_SUFFIXES = (".zip", ".dcm", ".nii", ".nii.gz", ".png", ".jpg", ".jpeg")
Choice = TypeVar("Choice", bound=StrEnum)


def _choice(kind: type[Choice], text: str) -> Choice | None:
    if text in ("", NONE):
        return None
    try:
        return kind(text)
    except ValueError:
        words = ", ".join(member.value for member in kind)
        raise BadInput(f"{kind.__name__.lower()} {text[:40]!r} is unknown", f"one of {words}") from None


def corrections(presence: str, certainty: str, laterality: str, severity: str, size: str) -> Corrections:
    """The edit form: an empty field leaves the value, "none" clears it; size is "12" or "12 x 9" in mm."""
    given = {"certainty": certainty, "laterality": laterality, "severity": severity}
    lengths: tuple[float, ...] | None = None
    if size.strip():
        parts = re.split(r"\s*[x×,;]\s*", re.sub(r"\s*mm\s*$", "", size.strip()))
        try:
            lengths = tuple(float(part) for part in parts)
        except ValueError:
            raise BadInput(f"size {size[:40]!r} is no length", "millimetres, as 12 or 12 x 9") from None
        if not all(np.isfinite(lengths)):
            raise BadInput(f"size {size[:40]!r} is no length", "millimetres, as 12 or 12 x 9")
    return Corrections(
        presence=_choice(Presence, presence),
        certainty=_choice(Certainty, certainty),
        laterality=_choice(Laterality, laterality),
        severity=_choice(Severity, severity),
        diameter_mm=lengths,
        clear=tuple(name for name, text in given.items() if text == NONE),
    )


def communications(form: Mapping[str, str], reading: Reading, by: str) -> list[Communication]:
    """The records that came with a signature, one for every category 1-2 finding that has one."""
    told = []
    for finding in urgent(reading):
        uid = finding.tracking_uid or ""
        to, how = form.get(f"to-{uid}", ""), form.get(f"how-{uid}", "")
        if not (to.strip() or how.strip()):
            continue
        when = form.get(f"when-{uid}", "")
        try:
            # The browser's local time without a zone: this machine's own.
            at = datetime.fromisoformat(when).astimezone()
        except ValueError:
            raise BadInput("the time of the communication is missing", "a date and a time") from None
        read_back = form.get(f"read_back-{uid}", "") != ""
        told.append(communication(uid, by=by, to=to, how=how, when=at, read_back=read_back))
    return told


def place(opened: Opened, key: str, k: str) -> Evidence | None:
    """Where the reader was looking when a finding was added: a series, and a slice of it if acquired so."""
    shown = opened.shown.get(key)
    if shown is None or key.startswith("p"):
        return None
    shape = shown.series.shape
    if len(shape) == 3 and k.isascii() and k.isdigit():
        # The viewer counts hung planes; evidence counts the series' own slices.
        axis, reverse = shown.view.steps[0]
        if axis == 0 and int(k) < shape[0]:
            native = shape[0] - 1 - int(k) if reverse else int(k)
            return Evidence(series_uid=shown.series.uid, slices_index=(native,))
    return Evidence(series_uid=shown.series.uid)


async def receive(request: Request, folder: Path, name: str) -> Path:
    """Write an upload's body to a file of ours; only the kind of file is taken from its name."""
    suffix = next((s for s in sorted(_SUFFIXES, key=len, reverse=True) if name.lower().endswith(s)), ".dcm")
    path = folder / f"study{suffix}"
    size = 0
    with path.open("xb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            file.write(chunk)
    if not size:
        raise BadInput("the upload is empty", "a DICOM file, a zip of DICOM files, NIfTI, PNG or JPEG")
    return path


async def check_readable(path: Path) -> None:
    """Open the upload once; BadInput says what is wrong with it, without our own path."""
    try:
        await run_in_threadpool(open_study, path)
    except BadInput as error:
        raise BadInput(str(error).replace(str(path), "the upload")) from None
