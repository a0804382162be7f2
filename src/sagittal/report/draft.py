"""The draft: findings put into the report's fixed skeleton, under the house's rules.

Absence is written only for findings that come in as absent and, where the caller says which absences
may be stated, only for those; everything else that was looked for is named under "not assessed". Technique,
comparison and indication come from the data or are said to be missing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from functools import cache

from sagittal.report import grammar
from sagittal.report.finding import (
    Certainty,
    ChangeKind,
    Finding,
    Kind,
    Presence,
    Severity,
    Temporality,
)
from sagittal.report.language import language
from sagittal.report.names import DEFAULT, document, languages
from sagittal.report.phrasebook import say
from sagittal.report.reading import Refusal, Score, SeriesSummary, StudySummary
from sagittal.report.report import Limitation, Report, Section, Sentence
from sagittal.report.stated import IMAGE_SIDES, category, stated
from sagittal.report.vocabulary import observation

_RANK = {Presence.PRESENT: 0, Presence.UNCERTAIN: 1, Presence.ABSENT: 3, Presence.NOT_ASSESSED: 4}
_GRADE = {Severity.SEVERE: 0, Severity.MODERATE: 1, None: 2, Severity.MILD: 3}
_SURE = {None: 0} | {word: number for number, word in enumerate(Certainty, 1)}
IMPRESSIONS = 5
"""At most this many findings are repeated in the impression, and all that are urgent."""
URGENT = 2
"""ACR category of findings that are told within hours (2) or minutes (1)."""


def _resolved(finding: Finding) -> bool:
    return finding.change is not None and finding.change.kind is ChangeKind.RESOLVED


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """Most important first: what is there before what may be and what is not; then by actionable
    category (the usual one of what is urgent, where the finding has none), certainty, severity and size.
    What has resolved comes between doubtful and absent."""

    def rank(finding: Finding) -> tuple[int, int, int, int, float]:
        usual = observation(finding.observation.key).actionable or 4
        presence = 2 if _resolved(finding) else _RANK[stated(finding).presence]
        sizes = [m for m in finding.measurements if m.quantity == "diameter" and m.values]
        largest = max((max(m.values) * (10 if m.unit == "cm" else 1) for m in sizes), default=0.0)
        return (
            presence,
            finding.actionable or (usual if usual <= URGENT else 4),
            _SURE[finding.certainty],
            _GRADE[finding.severity],
            -largest,
        )

    return sorted(findings, key=rank)


def permitted(findings: Sequence[Finding], may_state_absent: Collection[str] | None) -> list[Finding]:
    """The findings as they may be written: an absence that may not be claimed becomes "not assessed".

    Args:
        may_state_absent: keys whose absence may be stated; None where the findings were already
            judged by the card.
    """
    if may_state_absent is None:
        return list(findings)
    return [
        replace(f, presence=Presence.NOT_ASSESSED, certainty=None, change=None)
        if stated(f).presence is Presence.ABSENT and f.observation.key not in may_state_absent
        else f
        for f in findings
    ]


def draft(
    study: StudySummary,
    findings: Sequence[Finding],
    *,
    indication: str = "",
    prior_dates: Sequence[date | None] = (),
    not_compared: Sequence[str] = (),
    scores: Sequence[Score] = (),
    refusals: Sequence[Refusal] = (),
    measured: Sequence[Sentence] = (),
    notes: Sequence[str] = (),
    may_state_absent: Collection[str] | None = None,
) -> Report:
    """A report of ``findings`` in the skeleton of `sagittal.report.report.SECTIONS`.

    Args:
        indication: from the request; empty: "Not stated."
        prior_dates: of the studies compared with; empty: "None available."
        not_compared: priors that are there and could not be compared with, each with the reason.
        scores: what was scored; those with no finding to their name are "not assessed".
        refusals: series and models that could not be used; each becomes a limitation.
        measured: sentences about what was measured or drawn without being a finding (volumes).
        notes: further limitations.
        may_state_absent: see `permitted`.
    """
    findings = permitted(findings, may_state_absent)
    told = [f for f in ordered(findings) if f.presence is not Presence.NOT_ASSESSED]
    seen = [f for f in told if observation(f.observation.key).kind is Kind.OBSERVATION]
    inferred = [f for f in told if observation(f.observation.key).kind is Kind.INFERENCE]
    unoriented = any(series.orientation == "not stated" for series in study.series)
    if unoriented or any(f.laterality in IMAGE_SIDES for f in findings):
        notes = (say("orientation"), *notes)
    limits = _limitations(study, scores, refusals, notes)
    sections = (
        Section("indication", (Sentence(_ended(_quoted(indication)) if indication else say("not_stated")),)),
        Section("technique", _technique(study)),
        Section("comparison", _comparison(prior_dates, not_compared)),
        Section("findings", (*map(_sentence, seen), *measured) or (Sentence(say("nothing")),)),
        Section("impression", _impression(seen, inferred) or (_silence(told, scores),)),
        Section(
            "limitations", tuple(Sentence(_ended(limit.text)) for limit in limits) or (Sentence(say("none")),)
        ),
        Section("not assessed", _not_assessed(findings, scores)),
    )
    return Report(sections=sections, limitations=limits)


def _sentence(finding: Finding) -> Sentence:
    text = grammar.sentence(finding, language())
    return Sentence(text, (finding.tracking_uid,) if finding.tracking_uid else ())


@cache
def _opening() -> re.Pattern[str]:
    """A word that opens a section in one of the languages, with its colon."""
    tables = (document(code)["sections"] for code in languages())
    words = {word for table in tables for all_ in table.values() for word in all_}
    named = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    return re.compile(rf"(?<!\w)({named})\s*:", re.IGNORECASE)


def _quoted(text: str) -> str:
    """Text of a file or a request as it may stand inside a section: "FINDINGS: no nodule" in a series
    description must not open a section of this report."""
    return _opening().sub(r"\1 -", text)


def _ended(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _technique(study: StudySummary) -> tuple[Sentence, ...]:
    lines = tuple(Sentence(_taken(series)) for series in study.series)
    return lines or (Sentence(say("not_stated")),)


def _taken(series: SeriesSummary) -> str:
    name = _quoted(" ".join(f"{series.modality} {series.description}".split()))
    if len(series.shape) != 3:
        return say("one_image", series=name)
    if series.shape[0] == 1:
        return say("one_slice", series=name)
    if not series.spacing_mm:
        return say("slices", series=name, count=series.shape[0])
    return say("spaced_slices", series=name, count=series.shape[0], spacing=f"{series.spacing_mm[0]:.1f}")


def _comparison(dates: Sequence[date | None], not_compared: Sequence[str]) -> tuple[Sentence, ...]:
    compared = (Sentence(say("compared", dates=dates)),) if dates else ()
    told = (*compared, *(Sentence(_ended(text)) for text in not_compared))
    return told or (Sentence(say("none_available")),)


def _impression(seen: Sequence[Finding], inferred: Sequence[Finding]) -> tuple[Sentence, ...]:
    lines = []
    for finding in inferred:
        support = set(observation(finding.observation.key).support)
        # Only what is stated plainly can carry a conclusion: a sentence has one certainty term.
        rests = [f for f in seen if f.observation.key in support and _plain(f)]
        ids = [f.tracking_uid for f in (finding, *rests) if f.tracking_uid]
        lines.append(Sentence(conclusion(finding, rests), tuple(ids)))
    positive = [f for f in seen if f.presence is not Presence.ABSENT or _resolved(f)]
    # What somebody has to be told of at once stands before what it means.
    urgent = [f for f in positive if _plain(f) and (category(f) or 9) <= URGENT]
    rest = [f for f in positive[:IMPRESSIONS] if f not in urgent]
    return (*map(_sentence, urgent), *lines, *map(_sentence, rest))


def conclusion(finding: Finding, rests: Sequence[Finding], code: str = DEFAULT) -> str:
    """The sentence of an inference with the findings it rests on, or that it rests on none."""
    text = grammar.sentence(finding, language(code))
    if rests:
        terms = list(dict.fromkeys(f.observation.key for f in rests))
        return say("supported", code, statement=text.removesuffix("."), terms=terms)
    if stated(finding).presence is Presence.ABSENT:
        return text
    return say("unsupported", code, statement=text.removesuffix("."))


def _silence(told: Sequence[Finding], scores: Sequence[Score]) -> Sentence:
    """The impression where nothing positive is stated: looked for and not found, or not looked for."""
    looked = told or any(score.level != "not assessed" for score in scores)
    return Sentence(say("no_positive" if looked else "none_assessed"))


def _plain(finding: Finding) -> bool:
    current = finding.temporality is Temporality.CURRENT and not _resolved(finding)
    return finding.presence is Presence.PRESENT and finding.certainty is None and current


def _limitations(
    study: StudySummary, scores: Sequence[Score], refusals: Sequence[Refusal], notes: Sequence[str]
) -> tuple[Limitation, ...]:
    said = [_limit("synthetic_study")] if study.synthetic else []
    names = {series.uid: _quoted(series.description) or series.modality for series in study.series}
    for refusal in refusals:
        slots = {
            "model": refusal.model,
            "series": names.get(refusal.series_uid, say("the_study")),
            "reason": refusal.reason,
        }
        if refusal.distance is None or refusal.threshold is None:
            said.append(_limit("not_read", refusal.series_uid, **slots))
        else:
            far = {"distance": f"{refusal.distance:.2f}", "threshold": f"{refusal.threshold:.2f}"}
            said.append(_limit("not_read_far", refusal.series_uid, **slots, **far))
    for series in study.series:
        for problem in series.problems:
            said.append(_limit("problem", series.uid, series=names[series.uid], problem=problem))
    said += [Limitation(problem) for problem in study.problems]
    said += [_limit("stated_by_user", what=f"{key} {value}") for key, value in study.stated.items()]
    for note in dict.fromkeys(score.note for score in scores if score.note):
        terms = dict.fromkeys(observation(s.observation.key).term for s in scores if s.note == note)
        whole = f"{note[0].upper()}{note[1:]} ({', '.join(terms)})"
        said.append(Limitation(f"Scores are {note}" if note.startswith("not ") else whole))
    said += [Limitation(note.removesuffix(".")) for note in notes]
    return tuple(dict.fromkeys(said))


def _limit(key: str, series_uid: str | None = None, **slots: str) -> Limitation:
    return Limitation(say(key, **slots).removesuffix("."), series_uid)


def _not_assessed(findings: Sequence[Finding], scores: Sequence[Score]) -> tuple[Sentence, ...]:
    named = {f.observation.key for f in findings}
    silent = [score for score in scores if score.observation.key not in named]
    lines = [_sentence(f) for f in findings if f.presence is Presence.NOT_ASSESSED]
    terms = list(dict.fromkeys(score.observation.key for score in silent))
    if terms:
        lines.append(Sentence(say("not_assessed", terms=terms)))
    lines.append(Sentence(say("only_named")))
    return tuple(lines)


def mention(finding: Finding) -> str:
    """The finding as a short noun phrase, for lists beside the images."""
    return grammar.describe(stated(finding), language())
