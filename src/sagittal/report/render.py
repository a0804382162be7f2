"""Findings as sentences, and a reading's report for a reader: language, audience and style.

The sentences are those of `sagittal.report.grammar`: every finding of the vocabulary has exactly one, and
`sagittal.report.parse` reads it back. Probabilities are never written as numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from sagittal.errors import BadInput, Refused
from sagittal.report import grammar
from sagittal.report.brief import brief
from sagittal.report.disclosure import signed
from sagittal.report.finding import Finding, Measurement
from sagittal.report.known import check_known
from sagittal.report.language import language as _language
from sagittal.report.names import DEFAULT
from sagittal.report.parted import parted, redrawn
from sagittal.report.phrasebook import say
from sagittal.report.plain import flagged, plain
from sagittal.report.reading import Reading
from sagittal.report.report import Communication, Recommendation, Report, Section, Sentence
from sagittal.report.stated import category
from sagittal.report.styles import STYLES, loose, styled
from sagittal.report.translate import in_language

AUDIENCES = ("radiologist", "clinician", "patient")
NEEDS_SIGNATURE = ("clinician", "patient")
"""Readers who see signed readings only."""
NO_SOURCE = Recommendation("").source


def describe(finding: Finding, language: str = DEFAULT) -> str:
    """The finding as a noun phrase with its qualifiers, without presence and certainty."""
    return grammar.describe(finding, _language(language))


def phrase(measurement: Measurement, language: str = DEFAULT) -> str:
    """ "measuring 12 x 8 mm (axial plane)" or "with a volume of 3.1 mL", at rendered precision."""
    return grammar.phrase(measurement, _language(language))


def sentence(finding: Finding, language: str = DEFAULT) -> str:
    """One sentence that states the finding, and nothing that it does not say."""
    return grammar.sentence(finding, _language(language))


@overload
def render(
    what: Reading, *, language: str = ..., audience: str = ..., style: str = ..., preview: bool = ...
) -> Report: ...


@overload
def render(
    what: Sequence[Finding],
    *,
    language: str = ...,
    audience: str = ...,
    style: str = ...,
    preview: bool = ...,
) -> tuple[Sentence, ...]: ...


def render(
    what: Reading | Sequence[Finding],
    *,
    language: str = DEFAULT,
    audience: str = "radiologist",
    style: str = "narrative",
    preview: bool = False,
) -> Report | tuple[Sentence, ...]:
    """Findings as sentences; or a reading's report for a reader.

    Args:
        what: findings -> a `Sentence` each, naming its tracking UID (and headings); a `Reading` -> its
            `Report`.
        language: ISO 639-1 code of one of the languages that are there.
        audience: "radiologist": the whole report; "clinician": the impression first, without models;
            "patient": plain words. The last two get signed readings only.
        style: "narrative", "structured" (by organ), "bullet" or "impression" (alone). Of loose
            findings, "narrative" is their sentences alone, in the order given; the other styles have the
            most important first and flag what is critical.
        preview: show an unsigned reading to such a reader all the same, every section stamped.

    Raises:
        BadInput: a language, audience or style that is not there; the message lists what is.
        Refused: an unsigned reading for a clinician or patient, without ``preview``.
        BadInput: a finding outside the vocabulary; or a signed text that does not say what its findings
            say and that no recorded edit explains. An unsigned one is drawn up again from the findings, and
            its limitations say so.
    """
    _language(language)
    for name, value, known in (("audience", audience, AUDIENCES), ("style", style, STYLES)):
        if value not in known:
            raise BadInput(f"{name} {value!r} is not available", f"one of {', '.join(known)}")
    check_known(what)
    if not isinstance(what, Reading):
        if audience != "radiologist":
            raise Refused("loose findings have no signature", wanted="a signed reading", got="findings alone")
        return loose(what, language, style)
    final = signed(what)
    if audience in NEEDS_SIGNATURE and not final and not preview:
        raise Refused(f"an unsigned reading is not for a {audience}", wanted="signed", got=what.status.value)
    what = _whole(what)
    report = plain(what, language) if audience == "patient" else _report(what, language, audience)
    report = styled(report, what, style)
    return _stamped(report) if preview and not final else report


def _whole(reading: Reading) -> Reading:
    """The reading with a text that its findings stand behind. A signed text is never changed: where it has
    parted from its findings, neither of the two can be trusted."""
    difference = parted(reading)
    if difference is None and reading.report.sections:
        return reading
    if difference is not None and signed(reading) and reading.report.sections:
        raise BadInput(
            f"the signed report does not say what its findings say: {difference}",
            "a text of its findings, or the edit that changed it",
            "amend the reading",
        )
    return replace(reading, report=redrawn(reading))


def _report(reading: Reading, language: str, audience: str) -> Report:
    """The report for a doctor, flags, recommendations and communications included."""
    report = replace(in_language(reading, language), audience="radiologist")
    sections: list[Section] = []
    added = [section for section in _added(report, reading) if section.sentences]
    for section in report.sections:
        sections += [section, *added] if section.name == "impression" else [section]
    flags = {f.tracking_uid: category(f) for f in reading.findings if f.tracking_uid and flagged(f)}
    report = replace(
        report, sections=tuple(sections), actionable={uid: n for uid, n in flags.items() if n is not None}
    )
    return brief(report, reading) if audience == "clinician" else report


def _added(report: Report, reading: Reading) -> tuple[Section, Section]:
    """Recommendations and communications, which are no sentences of the draft."""
    code = report.language
    told = {f.tracking_uid: f for f in reading.findings}

    def recommended(one: Recommendation) -> Sentence:
        source = say("no_source", code) if one.source == NO_SOURCE else one.source
        text = say("recommended", code, text=one.text.strip().rstrip("."), source=source)
        # What to do is never translated by guessing.
        kept = code == reading.report.language
        return Sentence(text if kept else say("original", code, text=text), one.findings)

    def communicated(one: Communication) -> Sentence:
        what = describe(told[one.finding], code) if one.finding in told else one.finding
        key = "told" if one.read_back else "told_not_read_back"
        slots = {"to": one.to, "by": one.by, "when": one.when, "how": one.how}
        text = say(key, code, text=grammar.capital(what, _language(code)), **slots)
        return Sentence(text, (one.finding,))

    return (
        Section("recommendation", tuple(map(recommended, report.recommendations))),
        Section("communication", tuple(map(communicated, report.communications))),
    )


def _stamped(report: Report) -> Report:
    stamp = Sentence(say("preview", report.language))
    sections = tuple(replace(s, sentences=(stamp, *s.sentences)) for s in report.sections)
    return replace(report, sections=sections)
