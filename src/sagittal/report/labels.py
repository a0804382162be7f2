"""Findings as the 0/1 columns of public label sets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from sagittal.report.attach import Clause
from sagittal.report.finding import Finding, Presence, Temporality
from sagittal.report.language import language
from sagittal.report.lexicon import Hit
from sagittal.report.parse import SILENT, parse_document
from sagittal.report.scope import assertion
from sagittal.report.segment import clauses, sentences
from sagittal.report.vocabulary import observation, observations, within

LabelSet = Literal["chexpert14", "ctrate18"]
LABEL_SETS: tuple[LabelSet, ...] = ("chexpert14", "ctrate18")
NO_FINDING = "No Finding"
_ELSEWHERE = ("upper_abdomen", "neck", "brain", "breast")


def names(label_set: LabelSet) -> tuple[str, ...]:
    """The set's columns: CT-RATE's 18, or CheXpert's 14 (Irvin et al., AAAI 2019) with "No Finding"."""
    attribute = "ct_rate" if label_set == "ctrate18" else "chexpert"
    found = dict.fromkeys(name for o in observations() if (name := getattr(o, attribute)))
    return (*found, NO_FINDING) if label_set == "chexpert14" else tuple(found)


def labels(findings: Iterable[Finding], label_set: LabelSet) -> dict[str, int]:
    """1 where a current finding of the chest is present, else 0; every column of the set is there.

    Possible and unlikely findings count as 0: neither set has a column for uncertainty.
    """
    attribute = "ct_rate" if label_set == "ctrate18" else "chexpert"
    columns = dict.fromkeys(names(label_set), 0)
    for finding in findings:
        name = getattr(observation(finding.observation.key), attribute)
        current = finding.presence is Presence.PRESENT and finding.temporality is Temporality.CURRENT
        place = finding.site.key if finding.site is not None else None
        outside = place is not None and any(within(place, other) for other in _ELSEWHERE)
        if name and current and not outside:
            columns[name] = 1
    if NO_FINDING in columns:
        found = any(v for name, v in columns.items() if name != "Support Devices")
        columns[NO_FINDING] = int(not found)
    return columns


def text_labels(text: str, label_set: LabelSet) -> dict[str, int]:
    """The columns of one report text.

    CT-RATE counts any lymph node that is described, however small; the vocabulary calls only enlarged
    ones lymphadenopathy. For that set the mention of a node that is not denied is enough.
    """
    columns = labels(parse_document(text).findings, label_set)
    if label_set == "ctrate18" and not columns["Lymphadenopathy"]:
        columns["Lymphadenopathy"] = int(_describes_node(text))
    return columns


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
