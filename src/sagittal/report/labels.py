"""Findings as the 0/1 columns of public label sets."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal

from sagittal.report.attach import Clause
from sagittal.report.finding import Finding, Presence, Temporality
from sagittal.report.language import Language, language
from sagittal.report.lexicon import Hit, find_sites, tokens
from sagittal.report.parse import SILENT, Parsed, parse_document
from sagittal.report.scope import assertion
from sagittal.report.segment import clauses, sentences
from sagittal.report.vocabulary import observation, observations, regions, within

LabelSet = Literal["chexpert14", "ctrate18"]
LABEL_SETS: tuple[LabelSet, ...] = ("chexpert14", "ctrate18")
NO_FINDING, _DEVICES = "No Finding", "Support Devices"
_ELSEWHERE = ("abdomen", "pelvis", "head", "neck", "breast")
_NOT_LUNG = (
    "mediastinum",
    "heart",
    "axilla",
    "chest_wall",
    "oesophagus",
    "bone",
    "muscle",
    "soft_tissue",
    "lymph_node",
)
_ANYWHERE = ("Medical material", "Support Devices", "Fracture", "Lymphadenopathy")
"""Columns that count what lies outside the chest too."""
_GENERAL = frozenset({"nodule", "mass", "opacity"})
"""What any organ may have, so that words near by have to say which, where its own do not."""


def names(label_set: LabelSet) -> tuple[str, ...]:
    """The set's columns: CT-RATE's 18, or CheXpert's 14 (Irvin et al., AAAI 2019) with "No Finding"."""
    attribute = "ct_rate" if label_set == "ctrate18" else "chexpert"
    found = dict.fromkeys(name for o in observations() if (name := getattr(o, attribute)))
    return (*found, NO_FINDING) if label_set == "chexpert14" else tuple(found)


def labels(findings: Iterable[Finding], label_set: LabelSet) -> dict[str, int]:
    """1 where a current finding of the chest is present, else 0; every column of the set is there.

    Possible and unlikely findings count as 0: neither set has a column for uncertainty. "No Finding" is 1
    where something is said of the chest and, devices apart, no column's finding is present or uncertain
    (as the CheXpert labeller has it, Irvin et al., AAAI 2019, which calls an empty text normal too).
    """
    attribute = "ct_rate" if label_set == "ctrate18" else "chexpert"
    columns = dict.fromkeys(names(label_set), 0)
    said = disputed = False
    for finding in findings:
        key, presence = finding.observation.key, finding.presence
        name = getattr(observation(key), attribute)
        here = not _elsewhere(finding)
        if finding.temporality is not Temporality.CURRENT:
            continue
        counts = bool(name) and (name in _ANYWHERE or here)
        if counts and presence is Presence.PRESENT:
            columns[name] = 1
        disputed |= counts and presence is Presence.UNCERTAIN and name != _DEVICES
        said |= presence in (Presence.PRESENT, Presence.ABSENT) and here and "chest" in regions(key)
    if NO_FINDING in columns:
        found = disputed or any(value for name, value in columns.items() if name != _DEVICES)
        columns[NO_FINDING] = int(said and not found)
    return columns


def _elsewhere(finding: Finding, places: Sequence[str] = ()) -> bool:
    """Whether its place, or else all places named near by, are outside the chest; for a nodule, mass or
    opacity, outside the lungs."""
    key = finding.observation.key
    other = (*_ELSEWHERE, *_NOT_LUNG) if key in _GENERAL else _ELSEWHERE
    named = (finding.site.key,) if finding.site is not None else places
    return bool(named) and all(any(within(place, whole) for whole in other) for place in named)


def text_labels(text: str, label_set: LabelSet, parsed: Parsed | None = None) -> dict[str, int]:
    """The columns of one report text.

    Args:
        parsed: what `parse_document` read in it, where that is at hand.

    CT-RATE counts any lymph node that is described, however small; the vocabulary calls only enlarged
    ones lymphadenopathy. For that set the mention of a node that is not denied is enough.
    """
    parsed = parsed or parse_document(text)
    nearby = _Nearby(text, language(parsed.language))
    kept = [
        finding
        for finding in parsed.findings
        if finding.site is not None
        or finding.observation.key not in _GENERAL
        or not _elsewhere(finding, nearby.places(finding))
    ]
    columns = labels(kept, label_set)
    if label_set == "ctrate18" and not columns["Lymphadenopathy"]:
        columns["Lymphadenopathy"] = int(_describes_node(text))
    if label_set == "chexpert14" and not parsed.findings and _NORMAL.search(text):
        columns[NO_FINDING] = 1
    return columns


_NORMAL = re.compile(
    r"\b(?:normal chest|chest is normal|no (?:active|acute) (?:(?:cardio)?pulmonary |cardiothoracic |chest )?"
    r"(?:disease|abnormalit(?:y|ies)|findings?|process))\b",
    re.IGNORECASE,
)
"""What says it of the whole chest and names no finding."""


class _Nearby:
    """The places that a text names round a finding without one."""

    def __init__(self, text: str, spoken: Language) -> None:
        self._text, self._language = text, spoken
        self._sentences = sentences(text, spoken)

    def _named(self, start: int, end: int) -> list[str]:
        words = tokens(self._text, start, end, self._language)
        return [hit.keys[0] for hit in find_sites(self._text, words, self._language)]

    def places(self, finding: Finding) -> list[str]:
        """Those of its clause, else of its sentence, else of the sentence before it."""
        span = finding.evidence.span if finding.evidence is not None else None
        if span is None:
            return []
        i = bisect_right(self._sentences, span[0], key=lambda s: s.start) - 1
        around = [span, *((s.start, s.end) for s in reversed(self._sentences[max(0, i - 1) : i + 1]))]
        return next((named for start, end in around if (named := self._named(start, end))), [])


_NODE = re.compile(r"\b(?:lymph\s+nodes?|LAPs?|lymphadenomegal\w+)\b", re.IGNORECASE)


def _describes_node(text: str) -> bool:
    english = language()
    for sentence in sentences(text, english):
        for clause in clauses(text, sentence, english) if sentence.section not in SILENT else ():
            hits = tuple(
                Hit(m.start(), m.end(), ("lymphadenopathy",))
                for m in _NODE.finditer(text, clause.start, clause.end)
            )
            whole = Clause(text, clause.start, clause.end, hits, english)
            if any(assertion(whole, hit, clause.section).presence is Presence.PRESENT for hit in hits):
                return True
    return False
