"""Findings as English sentences, one a finding, and a reading's report for a reader.

The grammar is small and total: every finding of the vocabulary has exactly one sentence, and
`sagittal.report.parse` reads that sentence back. Probabilities are never written as numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from sagittal.errors import BadInput, Refused
from sagittal.report import grammar
from sagittal.report.disclosure import NO_PLAIN_TEXT, PREVIEW, signed
from sagittal.report.finding import Finding, Measurement
from sagittal.report.language import language as _language
from sagittal.report.names import DEFAULT
from sagittal.report.reading import Reading
from sagittal.report.report import Report, Section, Sentence

AUDIENCES = ("radiologist",)
NEEDS_SIGNATURE = ("clinician", "patient")
"""Readers who see signed readings only."""


def describe(finding: Finding, language: str = DEFAULT) -> str:
    """The finding as a noun phrase with its qualifiers, without presence and certainty."""
    return grammar.describe(finding, _language(language))


def phrase(measurement: Measurement, language: str = DEFAULT) -> str:
    """ "measuring 12 x 8 mm (axial plane)" or "with a volume of 3.1 mL", at rendered precision."""
    return grammar.phrase(measurement, _language(language))


def sentence(finding: Finding, language: str = DEFAULT) -> str:
    """One sentence that states the finding, and nothing that it does not say."""
    return grammar.sentence(finding, _language(language))


def _supported(language: str, audience: str) -> None:
    _language(language)
    if audience not in (*AUDIENCES, *NEEDS_SIGNATURE):
        known = ", ".join((*AUDIENCES, *NEEDS_SIGNATURE))
        raise BadInput(f"audience {audience!r} is not available", f"one of {known}")


@overload
def render(what: Reading, *, language: str = ..., audience: str = ..., preview: bool = ...) -> Report: ...


@overload
def render(
    what: Sequence[Finding], *, language: str = ..., audience: str = ..., preview: bool = ...
) -> tuple[Sentence, ...]: ...


def render(
    what: Reading | Sequence[Finding],
    *,
    language: str = "en",
    audience: str = "radiologist",
    preview: bool = False,
) -> Report | tuple[Sentence, ...]:
    """Findings as sentences, in the order given; or a reading's report for a reader.

    Args:
        what: findings -> one `Sentence` each, naming its tracking UID; a `Reading` -> its `Report`.
        language: "en".
        audience: "radiologist"; clinicians and patients get signed readings only.
        preview: show an unsigned reading to such a reader all the same, every page stamped.

    Raises:
        BadInput: a language or audience that is not there; the message lists what is.
        Refused: an unsigned reading for a clinician or patient, without ``preview``.
        KeyError: a finding outside the vocabulary.
    """
    _supported(language, audience)
    if not isinstance(what, Reading):
        if audience != "radiologist":
            raise Refused("loose findings have no signature", wanted="a signed reading", got="findings alone")
        return tuple(
            Sentence(sentence(f, language), (f.tracking_uid,) if f.tracking_uid else ()) for f in what
        )
    final = signed(what)
    if audience in NEEDS_SIGNATURE and not final and not preview:
        raise Refused(f"an unsigned reading is not for a {audience}", wanted="signed", got=what.status.value)
    notes = [PREVIEW] if preview and not final else []
    notes += [NO_PLAIN_TEXT] if audience == "patient" else []
    head = tuple(Sentence(note) for note in notes)
    sections = tuple(Section(s.name, (*head, *s.sentences)) for s in what.report.sections)
    return replace(what.report, sections=sections, language=language, audience=audience)
