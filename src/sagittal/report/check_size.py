"""Sizes that cannot be: over what a thing is by definition, or over what a body has room for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sagittal.report.check_difference import lengths
from sagittal.report.finding import Finding, Measurement
from sagittal.report.problem import Grade, Problem, ProblemKind
from sagittal.report.stated import UNITS, number
from sagittal.report.statement import Draft, Statement, positive
from sagittal.report.vocabulary import within

HOUSE = "plausibility bound of the house"


@dataclass(frozen=True)
class Limit:
    """Smallest and largest length in mm, and where the numbers come from."""

    least: float
    most: float
    source: str


LIMITS = {
    "nodule": Limit(0.5, 30, "a nodule measures at most 30 mm (Fleischner Society glossary 2008)"),
    "mass": Limit(10, 300, HOUSE),
    "pleural_effusion": Limit(1, 250, HOUSE),
    "pericardial_effusion": Limit(1, 80, HOUSE),
    "pneumothorax": Limit(1, 250, HOUSE),
    "pleural_thickening": Limit(0.5, 60, HOUSE),
    "lymphadenopathy": Limit(1, 150, HOUSE),
    "midline_shift": Limit(0.5, 40, HOUSE),
    "aortic_aneurysm": Limit(15, 150, HOUSE),
    "hiatal_hernia": Limit(5, 250, HOUSE),
    "cavity": Limit(2, 200, HOUSE),
    "septal_thickening": Limit(0.1, 20, HOUSE),
    "peribronchial_thickening": Limit(0.1, 20, HOUSE),
    "microhaemorrhage": Limit(0.5, 10, "a microbleed measures at most 10 mm (STRIVE-2, 2023)"),
    "intra_axial_mass": Limit(1, 150, HOUSE),
    "extra_axial_mass": Limit(1, 150, HOUSE),
    "intracranial_haemorrhage": Limit(1, 150, HOUSE),
    "subdural_collection": Limit(0.5, 60, HOUSE),
    "white_matter_hyperintensity": Limit(0.5, 150, HOUSE),
}
"""By observation. Where the definition is not a guideline's, the bound is what no adult patient exceeds,
so that a slip of mm for cm shows; it is no statement about normality."""

ELSEWHERE = Limit(0.5, 300, HOUSE)
"""A nodule of another organ than the lung: its name does not bound it."""

ANYTHING = Limit(0.1, 500, HOUSE)
"""A lesion is not longer than half a metre."""

ODD_DISTANCE_MM = 400.0
OTHER_ORGAN = re.compile(
    r"thyroid|kidney|renal|liver|hepatic|spleen|splenic|adrenal|surrenal|pancrea|breast|uter|ovar|prostat|soft\s+tissue",
    re.IGNORECASE,
)
"""Where "nodule" has no upper size by definition."""


def sizes(draft: Draft) -> Iterator[Problem]:
    """Sizes of the draft outside their limits."""
    for statement in draft.statements:
        if positive(statement.finding):
            for measurement in statement.finding.measurements:
                yield from _outside(draft, statement, measurement)


def _outside(draft: Draft, statement: Statement, measurement: Measurement) -> Iterator[Problem]:
    long = lengths(measurement)
    if not long:
        if measurement.unit == "%" and measurement.values[0] > 100:
            yield _problem(draft, statement, measurement, "more than 100 %")
        return
    if measurement.quantity == "distance":
        if long[0] > ODD_DISTANCE_MM:
            yield _problem(draft, statement, measurement, f"a distance over 400 mm: {HOUSE}")
        return
    limit = limit_of(statement.finding, draft.words(statement.span))
    if limit.least <= long[0] <= limit.most:
        return
    bound = f"over {limit.most:g} mm" if long[0] > limit.most else f"under {limit.least:g} mm"
    reason = f"{bound}: {limit.source}"
    factor, meant = (0.1, "mm") if measurement.unit == "cm" else (10.0, "cm")
    if limit.least <= long[0] * factor <= limit.most:
        reason += f"; was {meant} meant?"
    yield _problem(draft, statement, measurement, reason)


def limit_of(finding: Finding, words: str = "") -> Limit:
    """The limits that hold for a finding's lengths, ``words`` being the clause that states it."""
    place = finding.site.key if finding.site is not None else None
    if finding.observation.key == "nodule" and (
        OTHER_ORGAN.search(words) or not (place is None or within(place, "chest"))
    ):
        return ELSEWHERE
    return LIMITS.get(finding.observation.key, ANYTHING)


def _problem(draft: Draft, statement: Statement, measurement: Measurement, reason: str) -> Problem:
    values = " x ".join(number(v, measurement.unit) for v in measurement.values)
    said = f"{values} {UNITS[measurement.unit]}".strip()
    words = draft.words(statement.span)
    return Problem(
        ProblemKind.SIZE, statement.span, words, f"{said} is {reason}", Grade.ERROR, statement.finding
    )
