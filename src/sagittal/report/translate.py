"""A reading's report in another language.

Sentences that name findings are written anew from the findings, fixed sentences from the phrasebook.
A sentence that a person worded so that it says something else than its findings is not translated but
marked as in the original language: nobody's words are changed by guessing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sagittal.report import grammar
from sagittal.report.draft import conclusion
from sagittal.report.finding import Finding
from sagittal.report.language import language
from sagittal.report.parse import parse_document
from sagittal.report.phrasebook import say, translated
from sagittal.report.reading import Reading
from sagittal.report.remarks import read_remarks
from sagittal.report.report import Limitation, Report, Section, Sentence
from sagittal.report.stated import stated

SPARE = 3
"""Words that a person's wording may have more than the house's ("there is a"); with more, it says more."""
IN_OWN_WORDS = ("indication", "technique", "comparison", "limitations")
"""Sections whose free text (a request, a series' problem) is quoted as it came and needs no mark."""


def in_language(reading: Reading, code: str) -> Report:
    """The reading's report in that language; as it is stored in its own.

    Raises:
        BadInput: the language of the stored report is not there.
    """
    report = reading.report
    source = language(report.language).code
    if source == code:
        return report
    findings = {f.tracking_uid: f for f in reading.findings if f.tracking_uid}
    unnamed = {grammar.sentence(f, language(source)): f for f in reading.findings if not f.tracking_uid}

    def section(old: Section) -> Section:
        mark = old.name not in IN_OWN_WORDS
        return replace(
            old,
            sentences=tuple(
                replace(s, text=grammar.sentence(unnamed[s.text], language(code)))
                if s.text in unnamed
                else _sentence(s, findings, source, code, mark=mark)
                for s in old.sentences
            ),
        )

    return replace(
        report,
        sections=tuple(map(section, report.sections)),
        limitations=tuple(_limitation(one, source, code) for one in report.limitations),
        language=code,
    )


def _limitation(limit: Limitation, source: str, target: str) -> Limitation:
    text = translated(f"{limit.text.removesuffix('.')}.", source, target)
    return limit if text is None else replace(limit, text=text.removesuffix("."))


def _sentence(
    old: Sentence, findings: Mapping[str, Finding], source: str, target: str, *, mark: bool
) -> Sentence:
    named = [findings[uid] for uid in old.findings if uid in findings]
    if named and len(named) == len(old.findings):
        text = restated(old.text, named, source, target)
    else:
        text = translated(old.text, source, target)
    if text is None:
        text = say("original", target, text=old.text) if mark else old.text
    return replace(old, text=text)


def restated(text: str, named: Sequence[Finding], source: str, target: str) -> str | None:
    """The findings that a sentence names, said in the target language; None where the sentence says
    something else, or more, than they do."""
    first, *rests = named
    if text == conclusion(first, rests, source):
        return conclusion(first, rests, target)
    if not says(text, named, source):
        return None
    return conclusion(first, rests, target) if rests else grammar.sentence(first, language(target))


def says(text: str, named: Sequence[Finding], code: str) -> bool:
    """Whether a text states these findings and nothing else: no further sentence, nothing to be done."""
    if len(named) == 1 and text == grammar.sentence(named[0], language(code)):
        return True
    read = parse_document(text, code)
    house = " ".join(grammar.sentence(f, language(code)) for f in named)
    longer = len(text.split()) > len(house.split()) + SPARE
    if read.unparsed or longer or read_remarks(text, code):
        return False
    return [replace(f, evidence=None) for f in read.findings] == [stated(f) for f in named]
