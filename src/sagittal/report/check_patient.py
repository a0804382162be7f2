"""Words that do not go with the patient's sex or age."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sagittal.report.problem import Grade, Problem, ProblemKind
from sagittal.report.statement import Draft

Sex = Literal["F", "M"]


@dataclass(frozen=True)
class Patient:
    """What is known of the patient: "F", "M" or None, and years."""

    sex: Sex | None = None
    age_years: float | None = None


_ORGANS: dict[Sex, re.Pattern[str]] = {
    "M": re.compile(
        r"\b(?:prostat\w*|seminal\s+vesicles?|testes|testis|testic\w+|scrot(?:um|al)|penis|penile|epididym\w+|"
        r"spermatic|hydroceles?|varicoceles?|vas\s+deferens|TURP|BPH)\b",
        re.IGNORECASE,
    ),
    "F": re.compile(
        r"\b(?:uter(?:us|ine|i)|endometri\w+|myometri\w+|ovar(?:y|ies|ian)|adnexa\w*|fallopian|vagina\w*|vulva\w*|"
        r"pregnan\w+|gravid|hysterectom\w+|oophorectom\w+|menopaus\w+|postmenopaus\w+|placenta\w*)\b",
        re.IGNORECASE,
    ),
}
_PERSON: dict[Sex, str] = {
    "M": r"man|male|gentleman|boy|father|husband",
    "F": r"woman|female|lady|girl|mother|wife",
}
_WHOLE = {
    sex: re.compile(rf"(?<!of )\b(?:{words})\b(?!\s+(?:has|had|with)\b)", re.IGNORECASE)
    for sex, words in _PERSON.items()
}
_AGED = re.compile(
    r"\b(?P<n>\d{1,3})[\s-]*(?:(?P<unit>years?|yrs?|months?|weeks?|days?)[\s-]*old|y\.?/?o\.?|(?:yr|year)s?)"
    r"(?:[\s,-]*(?P<sex>man|male|gentleman|boy|woman|female|lady|girl|m|f)\b)?"
    r"|\b(?P<n2>\d{1,3})\s?(?P<sex2>[MF])\b",
    re.IGNORECASE,
)
_UNIT = {"year": 1.0, "yr": 1.0, "month": 1 / 12, "week": 7 / 365.25, "day": 1 / 365.25}

CHILD = re.compile(
    r"\b(?:neonat(?:e|es|al)|newborn|prematur(?:e\s+(?:infant|baby|neonate)|ity)|this\s+(?:infant|baby|child)|"
    r"fontanell?es?|germinal\s+matrix|hyaline\s+membrane|surfactant\s+deficiency|"
    r"necroti[sz]ing\s+enterocolitis|open\s+(?:physes|growth\s+plates?)|normal\s+thymus)\b",
    re.IGNORECASE,
)
ADULT = re.compile(
    r"\b(?:osteophyt\w+|degenerative|spondylosis|senile|age[\s-]related|atheroscler\w+|postmenopaus\w+|"
    r"osteoporo\w+|osteoarthr\w+)\b",
    re.IGNORECASE,
)
ADULT_YEARS, CHILD_YEARS = 18.0, 10.0
"""From when on words of a newborn's report are odd, and until when those of wear are: bounds of the house."""


def stated_patient(draft: Draft) -> Patient:
    """Sex and age as the indication says them ("45 year old man", "67F"); the first that it says."""
    text = draft.section("indication", "")
    sex: Sex | None = None
    age: float | None = None
    for match in _AGED.finditer(text):
        number, word = match["n"] or match["n2"], match["sex"] or match["sex2"]
        scale = _UNIT[next((u for u in _UNIT if (match["unit"] or "year").lower().startswith(u)), "year")]
        if age is None and int(number) * scale <= 120:
            age = int(number) * scale
        if sex is None and word:
            sex = _sex_of(word)
    text = draft.section("indication")
    if sex is None:
        said = {one for one, pattern in _WHOLE.items() if pattern.search(text)}
        sex = said.pop() if len(said) == 1 else None
    return Patient(sex, age)


def _sex_of(word: str) -> Sex:
    word = word.lower()
    return "M" if word == "m" or word in _PERSON["M"].split("|") else "F"


def patient(draft: Draft, known: Patient) -> Iterator[Problem]:
    """Organs of the other sex, both sexes in one report, and words of another age."""
    stated = stated_patient(draft)
    if known.sex and stated.sex and known.sex != stated.sex:
        yield from _first(draft, _WHOLE[stated.sex], f"the study says that the patient is {_NOUN[known.sex]}")
    if known.age_years is not None and abs((stated.age_years or known.age_years) - known.age_years) > 1.5:
        reason = f"the study says that the patient is {known.age_years:.0f} years old"
        yield from _first(draft, _AGED, reason, Grade.WARNING)
    sex = known.sex or stated.sex
    if sex is not None:
        other: Sex = "F" if sex == "M" else "M"
        yield from _all(draft, _ORGANS[other], f"the patient is {_NOUN[sex]}", Grade.ERROR)
    else:
        named = {
            one: [m for s in draft.body() for m in p.finditer(draft.text, s.start, s.end)]
            for one, p in _ORGANS.items()
        }
        if all(named.values()):
            later = max(named.values(), key=lambda found: found[0].start())[0]
            reason = "organs of both sexes in one report"
            yield Problem(ProblemKind.PATIENT, later.span(), later[0], reason, Grade.ERROR)
    age = known.age_years if known.age_years is not None else stated.age_years
    if age is not None and age >= ADULT_YEARS:
        yield from _all(draft, CHILD, f"the patient is {age:.0f} years old", Grade.ERROR)
    elif age is not None and age < CHILD_YEARS:
        yield from _all(draft, ADULT, f"the patient is {age:.1f} years old", Grade.WARNING)


_NOUN = {"F": "female", "M": "male"}


def _all(draft: Draft, pattern: re.Pattern[str], reason: str, grade: Grade) -> Iterator[Problem]:
    for piece in draft.body():
        for match in pattern.finditer(draft.text, piece.start, piece.end):
            yield Problem(ProblemKind.PATIENT, match.span(), match[0], reason, grade)


def _first(
    draft: Draft, pattern: re.Pattern[str], reason: str, grade: Grade = Grade.ERROR
) -> Iterator[Problem]:
    for piece in draft.sentences:
        if match := pattern.search(draft.text, piece.start, piece.end):
            yield Problem(ProblemKind.PATIENT, match.span(), match[0], reason, grade)
            return
