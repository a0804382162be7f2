"""Where a reading's stored text and its findings have parted, and the text drawn up again from them.

A report is rendered from findings. What a person wrote (an `Edit` of the reading records it) stands as
written, even where it says something else; any other sentence has to state what it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sagittal.report import grammar
from sagittal.report.disclosure import signed
from sagittal.report.draft import conclusion, draft
from sagittal.report.finding import Finding
from sagittal.report.language import language
from sagittal.report.names import DEFAULT
from sagittal.report.parse import parse
from sagittal.report.phrasebook import recognise, say
from sagittal.report.reading import Reading
from sagittal.report.report import Limitation, Report, Section, Sentence
from sagittal.report.stated import stated
from sagittal.report.translate import in_language

STATING = ("findings", "impression", "not assessed")
"""Sections that state findings."""
WORDS = ("edit", "add")
"""Edits whose text is a person's."""


def parted(reading: Reading) -> str | None:
    """The first thing in which stored text and findings differ, in words; None where they agree.

    Either a sentence says what the findings do not, or a finding is said nowhere. The text of a finding
    that a person worded, and sentences a person added, are that person's.
    """
    return next(_parted(reading), None)


def _parted(reading: Reading) -> Iterator[str]:
    code = language(reading.report.language).code
    known = {f.tracking_uid: f for f in reading.findings if f.tracking_uid}
    claims = {stated(f) for f in reading.findings}
    keys = {f.observation.key for f in reading.findings}
    own = {e.after for e in reading.edits if e.after and e.action in WORDS}
    sentences = [s for name in STATING for s in reading.report.section(name).sentences]
    told: set[Finding] = set()
    for sentence in sentences:
        named = [known[uid] for uid in sentence.findings if uid in known]
        told |= {stated(f) for f in named}
        if any(sentence.text in text for text in own):
            continue
        if len(named) < len(sentence.findings):
            yield f"“{sentence.text}” stands for a finding that is not there"
        elif named:
            if not _states(sentence.text, named, claims, code):
                wanted = grammar.sentence(named[0], language(code))
                yield f"“{sentence.text}” stands for the finding “{wanted}”"
        elif recognise(sentence.text, code) is None:
            said = set(parse(sentence.text, code))
            told |= said
            # Who signed may have added what no finding is about; a draft has nobody who answers for it.
            spoken = {f for f in said if f.observation.key in keys} if signed(reading) else said
            if not spoken <= claims:
                yield f"“{sentence.text}” is not among the findings"
    for finding in reading.findings:
        if stated(finding) not in told:
            yield f"the finding “{grammar.sentence(finding, language(code))}” is not in the text"


def _states(text: str, named: list[Finding], claims: set[Finding], code: str) -> bool:
    """Whether a sentence states what it names, and nothing that no finding says."""
    first, *rests = named
    if text in (grammar.sentence(first, language(code)), conclusion(first, rests, code)):
        return True
    said = parse(text, code)
    return all(stated(f) in said for f in named) and claims.issuperset(said)


def redrawn(reading: Reading) -> Report:
    """The report drawn up again from the findings, in English.

    Indication, technique, comparison, limitations and what was measured are kept; sentences that state
    findings are those of the grammar. Where there was a text, a limitation says that it was not used.
    """
    old = in_language(reading, DEFAULT)
    kept = [
        s
        for s in old.section("findings").sentences
        if not s.findings and (said := recognise(s.text)) is not None and said.key != "nothing"
    ]
    fresh = draft(
        reading.study, reading.findings, scores=reading.scores, refusals=reading.refusals, measured=kept
    )
    note = say("redrawn") if any(old.section(name).sentences for name in STATING) else ""

    def section(new: Section) -> Section:
        had = old.section(new.name)
        made = had if had.sentences and new.name not in STATING else new
        if note and new.name == "limitations":
            rest = tuple(s for s in made.sentences if s.text != say("none"))
            made = replace(made, sentences=(Sentence(note), *rest))
        return made

    limits = (Limitation(note.removesuffix(".")),) if note else ()
    return replace(
        fresh,
        sections=tuple(map(section, fresh.sections)),
        recommendations=old.recommendations,
        communications=old.communications,
        limitations=(*limits, *(old.limitations or fresh.limitations)),
    )
