"""What Sagittal can name: 64 observations, 6 inferences and the sites they are found at.

The content is ``vocabulary.json`` beside this file. Codes are used only where a dictionary shipped
with pydicom 3.0.2 gives the code one meaning; every other concept is in the scheme 99SAGITTAL.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from sagittal.report.code import Concept
from sagittal.report.finding import Kind, Laterality

Exam = Literal["chest-xray", "chest-ct", "brain-mr"]


@dataclass(frozen=True)
class Observation:
    """One thing a finding may be about.

    Args:
        concept: key, scheme, code and the code's meaning.
        kind: observation (seen) or inference (what it means).
        term, plural: the house's words in a report; ``plural`` is None for what is not counted.
        exams: where it is looked for.
        laterality: "sided", "midline" or "none" (no side is expected).
        sites: keys of the usual sites, the likeliest first.
        synonyms, abbreviations: other words in reports; abbreviations are case-sensitive.
        patterns: regular expressions for what word lists cannot say ("the heart is enlarged").
        graded_by_size: "small" and "large" say how severe it is (an effusion), not how big (a nodule).
        actionable: category when present (ACR: 1 minutes, 2 hours, 3 days), None where there is none.
        ct_rate, chexpert: its column in those label sets.
        support: keys of the observations that can support it (inferences only).
        group: heading it is shown under.
    """

    concept: Concept
    kind: Kind
    term: str
    plural: str | None
    exams: tuple[Exam, ...]
    laterality: Literal["sided", "midline", "none"]
    sites: tuple[str, ...]
    synonyms: tuple[str, ...]
    abbreviations: tuple[str, ...]
    patterns: tuple[str, ...]
    graded_by_size: bool
    actionable: int | None
    ct_rate: str | None
    chexpert: str | None
    support: tuple[str, ...]
    group: str

    @property
    def key(self) -> str:
        return self.concept.key


@dataclass(frozen=True)
class Site:
    """A place.

    Args:
        part_of: key of the site it belongs to.
        paired: there is one on the right and one on the left.
        preposition: "in" the lobe, "at" the hilum, "of" the rib, "along" the fissure.
        implies: the only side it exists on (middle lobe, lingula).
        abbreviations: case-sensitive; each with the side it means, or None.
    """

    concept: Concept
    term: str
    plural: str | None
    part_of: str | None
    paired: bool
    preposition: str
    synonyms: tuple[str, ...]
    implies: Laterality | None
    abbreviations: dict[str, Laterality | None]

    @property
    def key(self) -> str:
        return self.concept.key


@cache
def _content() -> dict[str, Any]:
    text = resources.files("sagittal.report").joinpath("vocabulary.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _concept(row: dict[str, Any]) -> Concept:
    return Concept(row["key"], row["scheme"], row["code"], row["meaning"])


@cache
def _observations() -> dict[str, Observation]:
    return {
        row["key"]: Observation(
            concept=_concept(row),
            kind=Kind(row["kind"]),
            term=row["term"],
            plural=row["plural"],
            exams=tuple(row["exams"]),
            laterality=row["laterality"],
            sites=tuple(row["sites"]),
            synonyms=tuple(row["synonyms"]),
            abbreviations=tuple(row["abbreviations"]),
            patterns=tuple(row["patterns"]),
            graded_by_size=row["graded_by_size"],
            actionable=row["actionable"],
            ct_rate=row["ct_rate"],
            chexpert=row["chexpert"],
            support=tuple(row["support"]),
            group=row["group"],
        )
        for row in _content()["observations"]
    }


@cache
def _sites() -> dict[str, Site]:
    return {
        row["key"]: Site(
            concept=_concept(row),
            term=row["term"],
            plural=row["plural"],
            part_of=row["part_of"],
            paired=row["paired"],
            preposition=row["preposition"],
            synonyms=tuple(row["synonyms"]),
            implies=Laterality(row["implies"]) if row["implies"] else None,
            abbreviations={
                word: Laterality(side) if side else None for word, side in row["abbreviations"].items()
            },
        )
        for row in _content()["sites"]
    }


def observations(exam: Exam | None = None) -> tuple[Observation, ...]:
    """All observations, then all inferences; only those of one kind of examination if given."""
    found = _observations().values()
    return tuple(o for o in found if exam is None or exam in o.exams)


def observation(key: str) -> Observation:
    """The entry of that key; KeyError for a key that the vocabulary does not have."""
    return _observations()[key]


def concept(key: str) -> Concept:
    """The concept of an observation or inference; KeyError for an unknown key."""
    return _observations()[key].concept


def sites() -> tuple[Site, ...]:
    """All sites."""
    return tuple(_sites().values())


def site(key: str) -> Site:
    """The site of that key; KeyError for a key that the vocabulary does not have."""
    return _sites()[key]


def within(inner: str, outer: str) -> bool:
    """Whether the site ``inner`` is ``outer`` or a part of it."""
    key: str | None = inner
    while key is not None:
        if key == outer:
            return True
        key = _sites()[key].part_of
    return False
