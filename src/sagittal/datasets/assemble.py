"""A study out of the files a set keeps and what its tables say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from sagittal.study import limits
from sagittal.study.context import Context
from sagittal.study.open import open_study
from sagittal.study.stated import age_from, apply_assume
from sagittal.study.study import Patient, Series, Study
from sagittal.study.uid import derived_uid


@dataclass(frozen=True)
class Image:
    """One file or DICOM folder of a study.

    Args:
        path: relative to the set's folder.
        said: what the set says of it, in the keys of `parse_assume`; empty values are left out.
    """

    path: str
    said: Mapping[str, str] = field(default_factory=dict)


def assemble(
    folder: Path,
    images: tuple[Image, ...],
    source: str,
    *,
    patient: Patient | None = None,
    report: str = "",
    context: Context | None = None,
    day: date | None = None,
) -> Study:
    """Open the images as one study. What a file says itself is kept; the set fills the rest.

    Args:
        source: the set's name: everything it says is recorded in ``Study.stated`` as its word.
        report: put into ``context.notes``.

    Raises:
        BadInput: a file is missing or damaged.
    """
    opened = [_one(folder, image, source) for image in images]
    return combine(opened, source, patient=patient, report=report, context=context, day=day)


def _one(folder: Path, image: Image, source: str) -> Study:
    return stated(open_study(folder / image.path), image.said, source)


def stated(study: Study, said: Mapping[str, str], source: str) -> Study:
    """The study with what ``source`` says of it where its files say nothing."""
    before = study.stated
    if said.get("sequence"):
        # A NIfTI file's weighting is guessed from its name (t2f reads as T2): the set knows better.
        study = replace(
            study, series=tuple(one if one.instances else _unweighted(one) for one in study.series)
        )
    study = apply_assume(study, {key: value for key, value in said.items() if value})
    new = {key: f"{value}, by {source}" for key, value in study.stated.items() if key not in before}
    return replace(study, stated={**before, **new})


def _unweighted(series: Series) -> Series:
    return replace(series, acquisition=replace(series.acquisition, sequence=None))


def combine(
    opened: list[Study],
    source: str,
    *,
    patient: Patient | None = None,
    report: str = "",
    context: Context | None = None,
    day: date | None = None,
) -> Study:
    """Several files' studies as the one examination the set says they are."""
    series: dict[str, Series] = {}
    words: dict[str, dict[str, None]] = {}
    for one in opened:
        series |= {item.uid: item for item in one.series}
        for key, value in one.stated.items():
            words.setdefault(key, {})[value] = None
    base = opened[0]
    known = context or Context()
    if report:
        known = replace(known, notes=(*known.notes, report))
    given, mine = patient or Patient(), base.patient
    who = replace(
        mine,
        id=mine.id or given.id,
        sex=mine.sex or given.sex,
        age_years=given.age_years if mine.age_years is None else mine.age_years,
    )
    told = {key: "; ".join(values) for key, values in words.items()}
    if mine.age_years is None and who.age_years is not None:
        told["age"] = f"{who.age_years:g} years, by {source}"
    if mine.sex is None and who.sex is not None:
        told["sex"] = f"{who.sex}, by {source}"
    problems = [line for one in opened for line in one.problems]
    uid = base.uid if len(opened) == 1 else derived_uid("study", *sorted(series))
    return replace(
        base,
        uid=uid,
        patient=who,
        series=tuple(series.values()),
        date=base.date or day,
        context=known if known != Context() else base.context,
        stated=told,
        problems=limits.capped(problems),
    )


def person(identity: str, sex: str = "", age: str = "") -> Patient:
    """A patient as tables write them: F / Female, 58 / 058Y; what makes no sense is left unknown."""
    letter = sex.strip()[:1].upper()
    return Patient(
        id=identity,
        sex=letter if letter in ("M", "F", "O") else None,
        age_years=age_from(age.strip()) if age.strip() else None,
    )


def day_of(text: str) -> date | None:
    """A date written 20160131 or 2016-01-31; None where it is neither."""
    digits = text.split(".")[0].replace("-", "").strip()
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if len(digits) == 8 else None
    except ValueError:
        return None
