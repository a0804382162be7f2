"""Findings out of free text with a language model as a second reader.

The findings are those that the parser reads. What a model reads besides is a proposal for a person, and
only with the words of the text that it rests on; so nothing that stands in a text, or that a model makes
up, becomes a finding here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sagittal.errors import BadInput
from sagittal.report.codec import from_json
from sagittal.report.finding import Evidence, Finding, Laterality, Presence, Temporality
from sagittal.report.parse import parse_document
from sagittal.report.reading import ModelUse
from sagittal.report.vocabulary import concept, observation, observations
from sagittal.tasks.injection import clean
from sagittal.tasks.supported import MAX_RECORDED, Removed
from sagittal.tasks.writer import Known, ask, model_use
from sagittal.zoo.capability import Writes

MAX_LISTED = 200
"""Findings of one answer that are looked at; no report states more."""
MIN_QUOTE = 4
"""Characters of a quotation that can name something."""


@dataclass(frozen=True)
class _Said:
    """One entry of an answer; the schema it is held to."""

    observation: str
    presence: Literal["present", "absent", "uncertain"]
    quote: str
    laterality: Literal["right", "left", "bilateral"] | None = None


@dataclass(frozen=True)
class _Answer:
    findings: tuple[_Said, ...]


@dataclass(frozen=True)
class Extracted:
    """What a text states.

    Args:
        findings: as the parser reads them.
        agreed: how many of them the model read alike.
        missed: those the model did not read, or read otherwise.
        proposals: what only the model read; each rests on ``evidence.span`` of the text, and a person
            has to accept it.
        removed: what the model said and the text does not bear out.
    """

    findings: tuple[Finding, ...]
    agreed: int = 0
    missed: tuple[Finding, ...] = ()
    proposals: tuple[Finding, ...] = ()
    removed: tuple[Removed, ...] = ()
    notes: tuple[str, ...] = ()
    writer: ModelUse | None = None
    prompts: tuple[str, ...] = ()


def extract(
    text: str, writer: Writes | None, *, language: str = "en", known: Known | None = None
) -> Extracted:
    """Findings of a report text, and what a language model reads differently.

    Args:
        writer: None: the parser alone.
        known: the patient, for de-identification before anything leaves.
    """
    parsed = parse_document(text, language=language).findings
    keys = ", ".join(o.key for o in observations())
    asked = ask(
        writer,
        "extract",
        {"text": text},
        language=language,
        known=known,
        json=True,
        use=lambda answer: _schema(answer) is not None,
        observations=keys,
    )
    used = model_use(writer) if writer else None
    said = _schema(asked.answer) if asked.answer is not None else None
    if said is None:
        return Extracted(parsed, notes=asked.notes, writer=used, prompts=asked.prompts)
    proposals, removed = [], []
    agreed: set[int] = set()
    for each in said.findings[:MAX_LISTED]:
        same = [i for i, finding in enumerate(parsed) if _alike(each, finding)]
        if same:
            agreed.update(same[:1] if same[0] not in agreed else same)
            continue
        found, reason = _proposal(each, text, parsed)
        if found is None:
            removed.append(Removed(clean(f"{each.presence} {each.observation}", MAX_RECORDED), reason))
        elif found not in proposals:
            proposals.append(found)
    missed = tuple(f for i, f in enumerate(parsed) if i not in agreed)
    return Extracted(
        parsed,
        len(agreed),
        missed,
        tuple(proposals),
        tuple(removed),
        asked.notes,
        used,
        asked.prompts,
    )


def _schema(answer: str) -> _Answer | None:
    """The answer as its schema wants it; None for anything else, unknown keys included."""
    text = answer.strip()
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json")
    try:
        return from_json(_Answer, json.loads(text))
    except (ValueError, RecursionError, BadInput):
        return None


def _alike(said: _Said, finding: Finding) -> bool:
    side = finding.laterality.value if finding.laterality else None
    return (
        said.observation == finding.observation.key
        and said.presence == finding.presence.value
        and (said.laterality == side or (said.laterality is None and finding.presence is Presence.ABSENT))
        and finding.temporality is Temporality.CURRENT
    )


def _proposal(said: _Said, text: str, parsed: Sequence[Finding]) -> tuple[Finding | None, str]:
    """What a person may be shown, or why not."""
    try:
        observation(said.observation)
    except KeyError:
        return None, "not in the vocabulary"
    quote = said.quote.strip()
    start = text.find(quote) if len(quote) >= MIN_QUOTE else -1
    if start < 0:
        return None, "its quotation is not in the text"
    end = start + len(quote)
    for finding in parsed:
        span = finding.evidence.span if finding.evidence else None
        if finding.observation.key == said.observation and span and span[0] < end and start < span[1]:
            return None, "the parser reads the same words otherwise"
    found = Finding(
        concept(said.observation),
        kind=observation(said.observation).kind,
        presence=Presence(said.presence),
        laterality=Laterality(said.laterality) if said.laterality else None,
        evidence=Evidence(span=(start, end)),
        source="language model, proposed",
    )
    return found, ""
