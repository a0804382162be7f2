"""What Sagittal can name: observations, inferences, and the sites they are found at.

The content is in ``concepts/*.toml`` beside this file, one file a region of the body; the words for it
are in ``languages/*.toml``. Codes are used only where a dictionary shipped with pydicom 3.0.2 gives the
code one meaning; every other concept is in the scheme 99SAGITTAL. ``actionable`` is recalled from the
ACR Actionable Reporting Work Group (J Am Coll Radiol 2014;11:552), to be confirmed by each department.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

from sagittal.report.code import PRIVATE_SCHEME, Concept
from sagittal.report.finding import Kind, Laterality
from sagittal.report.names import DEFAULT, Name, SiteName, names, site_names

Exam = Literal[
    "chest-xray",
    "chest-ct",
    "brain-mr",
    "head-ct",
    "neck",
    "abdomen-ct",
    "spine",
    "bone-xray",
    "joint-mr",
    "breast",
    "ultrasound",
    "nuclear",
]
EXAMS: tuple[Exam, ...] = get_args(Exam)


@dataclass(frozen=True)
class Observation:
    """One thing a finding may be about.

    Args:
        concept: key, scheme, code and the code's meaning.
        kind: observation (seen) or inference (what it means).
        exams: where it is looked for.
        laterality: "sided", "midline" or "none" (no side is expected).
        sites: keys of the usual sites, the likeliest first.
        graded_by_size: "small" and "large" say how severe it is (an effusion), not how big (a nodule).
        actionable: category when present (ACR: 1 minutes, 2 hours, 3 days), None where there is none.
        ct_rate, chexpert: its column in those label sets.
        mesh: its headings in the MeSH terms of the Indiana reports.
        support: keys of the observations that can support it (inferences only).
        overrides: keys of vaguer observations whose words a pattern of this one may contain.
        group: heading it is shown under.
        region: the part of the body whose file it stands in.
        sex: "F" or "M" where it can only be found in women or men.
    """

    concept: Concept
    kind: Kind
    exams: tuple[Exam, ...]
    laterality: Literal["sided", "midline", "none"]
    sites: tuple[str, ...]
    graded_by_size: bool
    actionable: int | None
    ct_rate: str | None
    chexpert: str | None
    mesh: tuple[str, ...]
    support: tuple[str, ...]
    overrides: tuple[str, ...]
    group: str
    region: str
    sex: Literal["F", "M"] | None

    @property
    def key(self) -> str:
        return self.concept.key

    def name(self, language: str = DEFAULT) -> Name:
        """Its words in a language."""
        return names(language)[self.key]

    @property
    def term(self) -> str:
        """The house's English word."""
        return self.name().term

    @property
    def plural(self) -> str | None:
        """Its English plural; None for what is not counted."""
        return self.name().plural


@dataclass(frozen=True)
class Site:
    """A place.

    Args:
        part_of: key of the site it belongs to.
        paired: there is one on the right and one on the left.
        implies: the only side it exists on (middle lobe, lingula).
    """

    concept: Concept
    part_of: str | None
    paired: bool
    implies: Laterality | None

    @property
    def key(self) -> str:
        return self.concept.key

    def name(self, language: str = DEFAULT) -> SiteName:
        """Its words in a language."""
        return site_names(language)[self.key]

    @property
    def term(self) -> str:
        """The house's English word."""
        return self.name().term


@cache
def _content() -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Rows of observations (each with its region) and of sites."""
    seen: dict[str, dict[str, Any]] = {}
    places: dict[str, dict[str, Any]] = {}
    folder = resources.files("sagittal.report").joinpath("concepts")
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            tables = tomllib.loads(file.read_text("utf-8"))
            region = file.name.removesuffix(".toml")
            seen |= {k: {**row, "region": region} for k, row in tables.get("observations", {}).items()}
            places |= tables.get("sites", {})
    return seen, places


def _concept(key: str, row: dict[str, Any]) -> Concept:
    scheme, code = row.get("code", f"{PRIVATE_SCHEME} {key}").split(" ", 1)
    return Concept(key, scheme, code, row["meaning"])


@cache
def _observations() -> dict[str, Observation]:
    found = [
        Observation(
            concept=_concept(key, row),
            kind=Kind(row.get("kind", Kind.OBSERVATION)),
            exams=tuple(row["exams"]),
            laterality=row["laterality"],
            sites=tuple(row["sites"]),
            graded_by_size=row.get("graded_by_size", False),
            actionable=row.get("actionable"),
            ct_rate=row.get("ct_rate"),
            chexpert=row.get("chexpert"),
            mesh=tuple(row.get("mesh", ())),
            support=tuple(row.get("support", ())),
            overrides=tuple(row.get("overrides", ())),
            group=row["group"],
            region=row["region"],
            sex=row.get("sex"),
        )
        for key, row in _content()[0].items()
    ]
    # Observations, then inferences.
    return {o.key: o for o in sorted(found, key=lambda o: o.kind is Kind.INFERENCE)}


@cache
def _sites() -> dict[str, Site]:
    return {
        key: Site(
            concept=_concept(key, row),
            part_of=row.get("part_of"),
            paired=row.get("paired", False),
            implies=Laterality(row["implies"]) if "implies" in row else None,
        )
        for key, row in _content()[1].items()
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


def root(key: str) -> str:
    """The region of the body that a site belongs to: the last of the places it is a part of."""
    while (outer := _sites()[key].part_of) is not None:
        key = outer
    return key


@cache
def regions(key: str) -> frozenset[str]:
    """The regions of the body (roots of the sites) that an observation is found in."""
    return frozenset(map(root, _observations()[key].sites))
