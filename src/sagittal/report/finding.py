"""A finding: coded, localised, measured, with a probability that says what it was calibrated on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sagittal.report.code import Concept


class Kind(StrEnum):
    """What is seen (goes to findings) or what it means (goes to the impression)."""

    OBSERVATION = "observation"
    INFERENCE = "inference"


class Presence(StrEnum):
    PRESENT = "present"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"
    NOT_ASSESSED = "not assessed"


class Certainty(StrEnum):
    """Five levels: > 90 %, about 75, 50, 25, < 10 %."""

    CONSISTENT_WITH = "consistent with"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    LESS_LIKELY = "less likely"
    UNLIKELY = "unlikely"


class Laterality(StrEnum):
    """Patient sides; the image sides only where the file does not state the orientation."""

    RIGHT = "right"
    LEFT = "left"
    BILATERAL = "bilateral"
    MIDLINE = "midline"
    IMAGE_LEFT = "image-left"
    IMAGE_RIGHT = "image-right"


class Severity(StrEnum):
    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"


class Temporality(StrEnum):
    CURRENT = "current"
    HISTORICAL = "historical"
    HYPOTHETICAL = "hypothetical"
    FAMILY = "family"


class ChangeKind(StrEnum):
    NEW = "new"
    LARGER = "larger"
    SMALLER = "smaller"
    STABLE = "stable"
    RESOLVED = "resolved"
    NOT_COMPARABLE = "not comparable"


MM = {"mm": 1.0, "cm": 10.0}
"""Unit of a length in a body (UCUM) -> millimetres."""


@dataclass(frozen=True)
class Measurement:
    """A measured quantity.

    Args:
        quantity: "diameter" (1-3 values, longest first), "volume", "ratio", "shift", "thickness" ...
        values: the numbers, in ``unit`` (UCUM: mm, cm, mL, 1 for a ratio, {pixel}).
        method, plane: how and in which plane it was taken.
        spacing_source: what the millimetres rest on, for radiographs.
    """

    quantity: str
    values: tuple[float, ...]
    unit: str
    method: str | None = None
    plane: str | None = None
    spacing_source: str | None = None


@dataclass(frozen=True)
class Change:
    """Change against a named date. ``criterion`` names the rule; ``prior`` the earlier measurement."""

    kind: ChangeKind
    since: date | None = None
    criterion: str | None = None
    prior: Measurement | None = None


@dataclass(frozen=True)
class Evidence:
    """What a finding rests on; images by UID, masks by name.

    Args:
        mask: name of a mask that travels beside the reading (a SEG segment label).
        box_mm: LPS (x0, y0, z0, x1, y1, z1), for volumes.
        box_index: (y0, x0, y1, x1), for radiographs and pictures.
        slices_index: zero-based slices it is seen on, most conspicuous first.
        attribution: name of an attribution map.
        span: (start, end) in the report text, for findings parsed from text.
    """

    series_uid: str | None = None
    mask: str | None = None
    box_mm: tuple[float, ...] | None = None
    box_index: tuple[int, ...] | None = None
    slices_index: tuple[int, ...] = ()
    attribution: str | None = None
    span: tuple[int, int] | None = None


@dataclass(frozen=True)
class Finding:
    """One finding. A study may hold several of one observation.

    Args:
        observation: what; a concept of the vocabulary.
        certainty: the house's five levels; None for a plain statement.
        probability: in [0, 1], only ever shown for the ``domain`` it was calibrated on.
        site: where; a site of the vocabulary.
        attributes: named qualifiers, e.g. {"density": "ground-glass", "margin": "spiculated"}.
        actionable: ACR category 1 (minutes), 2 (hours), 3 (days).
        tracking_uid: the same lesion keeps it across objects and dates; sentences refer to it.
        source: "model NAME", "radiologist", "text" or "phantom".
    """

    observation: Concept
    kind: Kind = Kind.OBSERVATION
    presence: Presence = Presence.PRESENT
    certainty: Certainty | None = None
    probability: float | None = None
    domain: str | None = None
    site: Concept | None = None
    laterality: Laterality | None = None
    severity: Severity | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    count: int | None = None
    temporality: Temporality = Temporality.CURRENT
    measurements: tuple[Measurement, ...] = ()
    change: Change | None = None
    actionable: int | None = None
    tracking_uid: str | None = None
    evidence: Evidence | None = None
    source: str | None = None

    def resting_on(self, evidence: Evidence | None) -> Finding:
        """The same finding with other evidence."""
        # `dataclasses.replace` sets all fields anew, one by one; a parser does this for every finding.
        other = object.__new__(Finding)
        other.__dict__.update(self.__dict__, evidence=evidence)
        return other
