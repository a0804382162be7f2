"""What of a finding a sentence can carry.

`stated` is the other half of the promise ``parse(render(findings)) == [stated(f) for f in findings]``:
it drops probability, evidence, tracking UID and source, which are not words, and brings the rest to
the precision and the few normal forms in which reports are written. It is idempotent.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace

from sagittal.report.finding import (
    Certainty,
    Change,
    ChangeKind,
    Finding,
    Laterality,
    Measurement,
    Presence,
    Temporality,
)
from sagittal.report.vocabulary import observation, site

UNITS = {
    "mm": "mm",
    "cm": "cm",
    "mL": "mL",
    "mm2": "mm2",
    "cm2": "cm2",
    "[hnsf'U]": "HU",
    "deg": "degrees",
    "%": "%",
    "{pixel}": "pixels",
    "1": "",
}
"""UCUM unit -> how a report writes it."""

LENGTHS = ("mm", "cm", "{pixel}")

QUANTITIES = (
    "diameter",
    "long axis",
    "short axis",
    "thickness",
    "shift",
    "depth",
    "width",
    "height",
    "height loss",
    "length",
    "distance",
    "area",
    "volume",
    "brain volume",
    "ratio",
    "cardiothoracic ratio",
    "angle",
    "density",
    "attenuation",
    "extent",
)
"""Quantities that text names; a diameter has one to three values, the others one."""

ADJECTIVES = {
    "solid": "density",
    "part-solid": "density",
    "subsolid": "density",
    "calcified": "density",
    "smooth": "margin",
    "lobulated": "margin",
    "spiculated": "margin",
    "ill-defined": "margin",
    "well-defined": "margin",
}
"""Attribute values that are written before the noun, with the attribute they belong to."""

DESCRIBED = frozenset({"nodule", "mass", "opacity", "intra_axial_mass", "extra_axial_mass"})
"""Observations that take those adjectives."""

SPECIFIC = frozenset({("pneumothorax", ("type", "tension"))})
"""Adjectives of one observation alone; written in parentheses, as other attributes are."""

MAX_COUNT = 999
MAX_VALUE = 1e6

_SAFE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9≥≤<>=%+/,:' -]|\.(?=\d)){0,99}")
_NAME = re.compile(r"[a-z][a-z ]{0,29}")
_PLANE = re.compile(r"[a-z]{1,20}")
CRITERION = "criterion"


def is_reserved(name: str) -> bool:
    """Whether the word before a colon in parentheses is not an attribute's name."""
    return name in ("scale", CRITERION) or name.startswith("by ")


def number(value: float, unit: str) -> str:
    """A value as reports print it: whole millimetres from 10 on, tenths below, no false precision."""
    if unit in ("1", ""):
        digits = 2
    elif unit in ("cm", "cm2", "%"):
        digits = 1
    elif unit in ("mm", "mL", "{pixel}"):
        digits = 1 if abs(value) < 10 else 0
    else:
        digits = 0
    text = f"{value:.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _plain(text: str | None) -> str | None:
    """A short text that fits inside parentheses, or None."""
    if text is None:
        return None
    text = " ".join(text.split())
    return text if _SAFE.fullmatch(text) and text == text.strip() else None


def measured(measurement: Measurement) -> Measurement | None:
    """The measurement at rendered precision; None when text cannot carry it."""
    quantity, unit, values = measurement.quantity.replace("_", " "), measurement.unit, measurement.values
    most = 3 if quantity == "diameter" else 1
    if quantity not in QUANTITIES or unit not in UNITS or not 1 <= len(values) <= most:
        return None
    if (unit == "1") != ("ratio" in quantity) or (quantity == "diameter" and unit not in LENGTHS):
        return None
    lowest = -MAX_VALUE if unit == "[hnsf'U]" else 0.0
    if not all(math.isfinite(v) and lowest <= v < MAX_VALUE for v in values):
        return None
    plane = measurement.plane if measurement.plane and _PLANE.fullmatch(measurement.plane) else None
    return Measurement(
        quantity,
        tuple(float(number(v, unit)) for v in values),
        unit,
        _plain(measurement.method),
        plane,
        _plain(measurement.spacing_source),
    )


def _measurements(measurements: tuple[Measurement, ...]) -> tuple[Measurement, ...]:
    return tuple(kept for kept in map(measured, measurements) if kept is not None)


def _attributes(key: str, attributes: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    before: list[tuple[str, str]] = []
    after: list[tuple[str, str]] = []
    for name, value in attributes:
        tidy, text = name.replace("_", " "), _plain(value)
        if text is None or not _NAME.fullmatch(tidy) or tidy != tidy.strip() or is_reserved(tidy):
            continue
        pair = (" ".join(tidy.split()), text)
        group = before if is_adjective(key, pair) else after
        if pair not in group:
            group.append(pair)
    return (*before, *after)


def is_adjective(key: str, attribute: tuple[str, str]) -> bool:
    """Whether the attribute is written before the noun ("spiculated nodule")."""
    return key in DESCRIBED and ADJECTIVES.get(attribute[1]) == attribute[0]


def _change(change: Change | None) -> Change | None:
    if change is None:
        return None
    prior = measured(change.prior) if change.prior is not None else None
    return Change(change.kind, change.since, _plain(change.criterion), prior)


def settled(
    presence: Presence, word: Certainty | None, when: Temporality, change: Change | None
) -> tuple[Presence, Certainty | None, Temporality, Change | None]:
    """Presence, certainty, temporality and change as one sentence can say them together."""
    if presence is Presence.NOT_ASSESSED:
        return presence, None, Temporality.CURRENT, None
    if when is Temporality.HYPOTHETICAL:
        return Presence.UNCERTAIN, None, when, None
    if change is not None and change.kind is ChangeKind.RESOLVED:
        # What has resolved is no longer there; "uncertain whether … has resolved" is two claims.
        if presence is Presence.UNCERTAIN and word is None:
            return presence, None, when, None
        return Presence.ABSENT, word, when, change
    if presence is Presence.ABSENT:
        return presence, word, when, None
    if word is not None:
        # A sentence has one certainty term; it says how present the thing is.
        sure = word in (Certainty.CONSISTENT_WITH, Certainty.PROBABLE)
        presence = Presence.PRESENT if sure else Presence.UNCERTAIN
    return presence, word, when, change


def stated(finding: Finding) -> Finding:
    """The finding as a sentence states it; equal to what `parse` reads from its rendering.

    Kept: observation, presence, certainty, site, laterality, temporality, and for what is described
    (not absent, not unassessed) severity, attributes, count, measurements at rendered precision and
    change. A certainty word fixes presence: consistent with and probable are present; possible, less
    likely and unlikely are uncertain. What has resolved is absent; a question is uncertain.

    Raises:
        KeyError: the observation or site is not of the vocabulary.
    """
    entry = observation(finding.observation.key)
    place = site(finding.site.key) if finding.site is not None else None
    presence, word, when, change = settled(
        finding.presence, finding.certainty, finding.temporality, _change(finding.change)
    )
    side = finding.laterality
    if side is None and place is not None:
        side = place.implies
    kept = Finding(
        entry.concept,
        entry.kind,
        presence,
        word,
        site=place.concept if place is not None else None,
        laterality=side,
        temporality=when,
        change=change,
    )
    resolved = change is not None and change.kind is ChangeKind.RESOLVED
    if presence is Presence.NOT_ASSESSED or (presence is Presence.ABSENT and not resolved):
        return kept
    count = finding.count
    return replace(
        kept,
        severity=finding.severity,
        attributes=_attributes(entry.key, finding.attributes),
        count=count if count is not None and 1 <= count <= MAX_COUNT else None,
        measurements=_measurements(finding.measurements),
    )


def category(finding: Finding) -> int | None:
    """The ACR actionable category of a finding: its own, or that of its observation where it is there."""
    there = stated(finding).presence is Presence.PRESENT
    return finding.actionable or (observation(finding.observation.key).actionable if there else None)


IMAGE_SIDES = (Laterality.IMAGE_LEFT, Laterality.IMAGE_RIGHT)
"""Sides of the picture, where the file does not say which side of the patient they are."""
