"""Header values that may be absent, empty or nonsense, as plain Python values or None."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's and the decoders' remarks off stderr; what matters becomes a problem line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def raw(ds: Dataset, keyword: str) -> Any:
    """The element's value, or None where it is absent, empty or cannot be converted."""
    try:
        value = ds.get(keyword)
    except Exception:
        # pydicom converts lazily; a malformed value raises here with any of many types.
        return None
    return None if value is None or value == "" else value


def string(ds: Dataset, keyword: str) -> str:
    """One line of text; the first of several values."""
    value = raw(ds, keyword)
    if value is not None and not isinstance(value, str) and hasattr(value, "__getitem__") and len(value):
        value = value[0]
    text = " ".join(str(value).split()) if value is not None else ""
    return "".join(c for c in text if c.isprintable())[:256]


def strings(ds: Dataset, keyword: str) -> tuple[str, ...]:
    """All values as text."""
    value = raw(ds, keyword)
    if value is None:
        return ()
    if isinstance(value, str):
        return (value.strip(),)
    try:
        return tuple(str(item).strip() for item in value)
    except TypeError:
        return (str(value).strip(),)


def number(ds: Dataset, keyword: str) -> float | None:
    """A finite number; the first of several values."""
    found = numbers(ds, keyword)
    return found[0] if found else None


def numbers(ds: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """Finite numbers, exactly ``count`` of them where given; otherwise None."""
    value = raw(ds, keyword)
    if value is None:
        return None
    try:
        items = [value] if isinstance(value, str | int | float) else list(value)
        found = tuple(float(item) for item in items)
    except (TypeError, ValueError, OverflowError):
        return None
    if not found or not all(map(math.isfinite, found)) or (count is not None and len(found) != count):
        return None
    return found


def whole(ds: Dataset, keyword: str) -> int | None:
    value = number(ds, keyword)
    return None if value is None else int(value)


def items(ds: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none where it is absent."""
    value = raw(ds, keyword)
    return list(value) if isinstance(value, Sequence) else []


def first(ds: Dataset, *keywords: str) -> Dataset:
    """The first item of nested sequences; an empty dataset where any is absent."""
    for keyword in keywords:
        found = items(ds, keyword)
        if not found:
            return Dataset()
        ds = found[0]
    return ds


def day(ds: Dataset, *keywords: str) -> date | None:
    """The first of the keywords that holds a valid date."""
    for keyword in keywords:
        text = string(ds, keyword).replace(".", "").replace("-", "")
        try:
            return datetime.strptime(text[:8], "%Y%m%d").date()
        except ValueError:
            continue
    return None


def moment(day_text: str, time_text: str) -> datetime | None:
    """A DICOM date and time as one moment; None where either is not valid."""
    try:
        start = datetime.strptime(day_text[:8], "%Y%m%d")
        whole_part, _, fraction = time_text.strip().partition(".")
        digits = whole_part.replace(":", "")
        if len(digits) < 2:
            return None
        digits = digits.ljust(6, "0")
        hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
        return start + timedelta(hours=hours, minutes=minutes, seconds=seconds + float(f"0.{fraction or 0}"))
    except ValueError:
        return None


def age_years(ds: Dataset, study_day: date | None) -> tuple[float | None, str | None]:
    """Age at the study from PatientAge, else from the birth date; and a problem where they disagree."""
    stated: float | None = None
    text = string(ds, "PatientAge").upper()
    if len(text) >= 2 and text[:-1].isdigit() and text[-1] in "DWMY":
        stated = int(text[:-1]) / {"D": 365.25, "W": 365.25 / 7, "M": 12, "Y": 1}[text[-1]]
    birth = day(ds, "PatientBirthDate")
    computed = None if birth is None or study_day is None else (study_day - birth).days / 365.25
    if computed is not None and not 0 <= computed < 130:
        computed = None
    if stated is None:
        # Whole years, as the header would have said.
        return (None if computed is None else float(int(computed)) if computed >= 2 else computed), None
    if computed is not None and abs(computed - stated) > 1.5:
        return stated, "PatientAge and the birth date disagree; PatientAge is used"
    return stated, None
