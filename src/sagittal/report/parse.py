"""Report text into findings, in every language of ``languages/``.

Text is cut into sections, sentences and clauses; in a clause every observation of the vocabulary
gets the places, sizes, grades, numbers and changes that belong to it, and the negation, certainty
and time that reach it. What `sagittal.report.render` writes comes back exactly:
``parse(render(findings)) == [stated(f) for f in findings]``.

The scope rules follow NegEx (Chapman et al., J Biomed Inform 2001;34:301) with a certainty scale.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from sagittal.report.finding import Evidence, Finding
from sagittal.report.language import detect
from sagittal.report.language import language as _language
from sagittal.report.lexicon import elected
from sagittal.report.names import DEFAULT
from sagittal.report.priors import Prior, named_priors
from sagittal.report.remarks import Remarked, remarked
from sagittal.report.report import Report, Sentence
from sagittal.report.segment import sentences, undictated
from sagittal.report.sentence import findings, heard

SILENT = frozenset({"technique", "comparison", "limitations", "recommendation"})
"""Sections that state no finding of this study."""


@dataclass(frozen=True)
class Parsed:
    """What was read out of a text, and what was not.

    Args:
        findings: in order; ``evidence.span`` is the (start, end) of the clause each was read from.
        unparsed: spans of sentences in which no finding, remark or prior was recognised.
        language: in which the text was read.
        remarks: limitations and recommendations, in order.
        priors: earlier studies that it names by their date, in order.
    """

    findings: tuple[Finding, ...]
    unparsed: tuple[tuple[int, int], ...]
    language: str = DEFAULT
    remarks: tuple[Remarked, ...] = ()
    priors: tuple[Prior, ...] = ()


def parse_document(text: str, language: str | None = None) -> Parsed:
    """Findings with the span each was read from, and the sentences that named none.

    Never raises on any text; time grows linearly with its length.

    Args:
        language: its ISO 639-1 code; None: the likeliest of those that are there.

    Raises:
        BadInput: a language that is not there.
    """
    spoken = _language(language or detect(text))
    text = undictated(text, spoken)
    every = sentences(text, spoken)
    remarks = tuple(remarked(text, every, spoken))
    priors = tuple(named_priors(text, every, spoken))
    aside = sorted([*(r.start for r in remarks), *(p.start for p in priors)])
    pieces = [piece for piece in every if piece.section not in SILENT]
    said = [text[piece.start : piece.end] for piece in pieces]
    whole = [heard(each, piece.section, spoken) for each, piece in zip(said, pieces, strict=True)]
    region = elected(vote for each in whole for vote in each.votes)
    found: list[Finding] = []
    unparsed: list[tuple[int, int]] = []
    for each, piece, sentence in zip(said, pieces, whole, strict=True):
        read = findings(each, piece.section, spoken, region if sentence.open else None)
        for start, end, finding in read:
            span = piece.start + start, piece.start + end
            found.append(finding.resting_on(Evidence(span=span)))
        if not read and bisect_left(aside, piece.start) == bisect_left(aside, piece.end):
            unparsed.append((piece.start, piece.end))
    return Parsed(tuple(found), tuple(unparsed), spoken.code, remarks, priors)


def parse(text: str | Report | Iterable[Sentence | str], language: str | None = None) -> list[Finding]:
    """Findings stated by a text, a report, or sentences, in order.

    Args:
        text: report text, a `Report`, or what `render` returned.
        language: its ISO 639-1 code; None: that of the report, or the likeliest.
    """
    if isinstance(text, Report):
        language = language or text.language
        text = text.text
    if isinstance(text, str):
        found = parse_document(text, language).findings
        return [finding.resting_on(None) for finding in found]
    lines = (line.text if isinstance(line, Sentence) else line for line in text)
    return [finding for line in lines for finding in parse(line, language)]
