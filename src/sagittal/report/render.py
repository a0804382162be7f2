"""Findings as English sentences, one a finding, and a reading's report for a reader.

The grammar is small and total: every finding of the vocabulary has exactly one sentence, and
`sagittal.report.parse` reads that sentence back. Probabilities are never written as numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from sagittal.errors import BadInput, Refused
from sagittal.report.disclosure import NO_PLAIN_TEXT, PREVIEW, signed
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
from sagittal.report.reading import Reading
from sagittal.report.report import Report, Section, Sentence
from sagittal.report.stated import UNITS, is_adjective, number, stated
from sagittal.report.vocabulary import Observation, observation, site

LANGUAGES = ("en",)
AUDIENCES = ("radiologist",)
NEEDS_SIGNATURE = ("clinician", "patient")
"""Readers who see signed readings only."""

_SIDES = {
    Laterality.RIGHT: "on the right",
    Laterality.LEFT: "on the left",
    Laterality.BILATERAL: "on both sides",
    Laterality.MIDLINE: "in the midline",
    Laterality.IMAGE_LEFT: "on the image left",
    Laterality.IMAGE_RIGHT: "on the image right",
}
_CHANGES = {
    ChangeKind.NEW: "new",
    ChangeKind.LARGER: "larger",
    ChangeKind.SMALLER: "smaller",
    ChangeKind.STABLE: "unchanged",
    ChangeKind.RESOLVED: "resolved",
    ChangeKind.NOT_COMPARABLE: "not comparable",
}


def _location(finding: Finding) -> str:
    """ "in the right upper lobe", with a leading space; empty where nothing is stated."""
    side, none = finding.laterality, finding.presence is Presence.ABSENT
    beside = "" if side is None else _SIDES[side]
    if side is Laterality.BILATERAL and none:
        beside = "on either side"
    if finding.site is None:
        return f" {beside}" if beside else ""
    place = site(finding.site.key)
    if place.paired and side in (Laterality.RIGHT, Laterality.LEFT):
        return f" {place.preposition} the {side.value} {place.term}"
    if place.paired and place.plural and side is Laterality.BILATERAL:
        both = f"either {place.term}" if none else f"both {place.plural}"
        return f" {place.preposition} {both}"
    return f" {place.preposition} the {place.term}" + (f" {beside}" if beside else "")


def phrase(measurement: Measurement) -> str:
    """ "measuring 12 x 8 mm (axial plane)" or "with a volume of 3.1 mL", at rendered precision."""
    values = " x ".join(number(v, measurement.unit) for v in measurement.values)
    unit = UNITS[measurement.unit]
    amount = values + ("" if unit in ("", "%") else " ") + unit
    details = [
        f"{measurement.plane} plane" if measurement.plane else "",
        f"by {measurement.method}" if measurement.method else "",
        f"scale: {measurement.spacing_source}" if measurement.spacing_source else "",
    ]
    notes = "; ".join(detail for detail in details if detail)
    article = "an" if measurement.quantity[0] in "aeiou" else "a"
    head = "measuring" if measurement.quantity == "diameter" else f"with {article} {measurement.quantity} of"
    return f"{head} {amount}" + (f" ({notes})" if notes else "")


def _changed(change: Change, entry: Observation) -> str:
    word = _CHANGES[change.kind]
    if entry.plural is None:
        # What is not counted does not grow, it increases.
        word = {"larger": "increased", "smaller": "decreased"}.get(word, word)
    if change.kind is ChangeKind.NOT_COMPARABLE:
        when = f"with {change.since.isoformat()}" if change.since else "with the prior study"
    else:
        when = f"since {change.since.isoformat()}" if change.since else ""
    text = f"{word} {when}".strip()
    if change.criterion:
        text += f" (criterion: {change.criterion})"
    if change.prior is not None:
        text += f", previously {phrase(change.prior)}"
    return text


def _noun(finding: Finding, entry: Observation) -> str:
    """Count, severity, adjectives and term."""
    count = finding.count
    adjectives = [value for name, value in finding.attributes if is_adjective(entry.key, (name, value))]
    words = [finding.severity.value] if finding.severity else []
    plural = count is not None and count > 1
    term = entry.plural if plural and entry.plural else entry.term
    words += [*adjectives, term]
    if count is not None:
        amount = "single" if count == 1 else str(count)
        if entry.plural is None:
            amount += " area of" if count == 1 else " areas of"
        words.insert(0, amount)
    return " ".join(words)


def _article(noun: str, entry: Observation, finding: Finding) -> str:
    if entry.plural is None and finding.count != 1:
        return noun
    if finding.count is not None and finding.count > 1:
        return noun
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def describe(finding: Finding, *, article: bool = False) -> str:
    """The finding as a noun phrase with its qualifiers, without presence and certainty."""
    entry = observation(finding.observation.key)
    noun = _noun(finding, entry)
    if article:
        noun = _article(noun, entry, finding)
    text = noun + _location(finding)
    rest = [(n, v) for n, v in finding.attributes if not is_adjective(entry.key, (n, v))]
    if rest:
        text += " (" + "; ".join(f"{name}: {value}" for name, value in rest) + ")"
    tail = [phrase(m) for m in finding.measurements]
    if finding.change is not None:
        tail.append(_changed(finding.change, entry))
    return ", ".join([text, *tail])


def _sentence(finding: Finding) -> str:
    """The sentence of a finding that is already in its stated form."""
    if finding.presence is Presence.NOT_ASSESSED:
        return f"Not assessed by the model: {describe(finding)}"
    if finding.temporality is Temporality.HYPOTHETICAL:
        return f"Evaluate for {describe(finding)}"
    history = {Temporality.HISTORICAL: "history of ", Temporality.FAMILY: "family history of "}.get(
        finding.temporality, ""
    )
    resolved = finding.change is not None and finding.change.kind is ChangeKind.RESOLVED
    absent = finding.presence is Presence.ABSENT and not resolved
    word = finding.certainty
    if absent and word is None:
        return f"No {history}{describe(finding)}"
    if absent:
        history = f"absence of {history}"
    thing = history + describe(finding)
    counted = finding.count is not None and not history
    if word is Certainty.CONSISTENT_WITH:
        return f"Appearance consistent with {history}{describe(finding, article=not history)}"
    if word in (Certainty.PROBABLE, Certainty.POSSIBLE):
        adverb = "Probably" if word is Certainty.PROBABLE else "Possibly"
        return f"{adverb if counted else word.value} {thing}"
    if word in (Certainty.LESS_LIKELY, Certainty.UNLIKELY):
        several = finding.count is not None and finding.count > 1 and not history
        subject = history + describe(finding, article=not history)
        comma = "," if finding.measurements or finding.change else ""
        return f"{subject}{comma} {'are' if several else 'is'} {word.value}"
    if finding.presence is Presence.UNCERTAIN:
        several = finding.count is not None and finding.count > 1 and not history
        subject = f"a {history}{describe(finding)}" if history else describe(finding, article=True)
        return f"It is uncertain whether there {'are' if several else 'is'} {subject}"
    return thing


def sentence(finding: Finding) -> str:
    """One English sentence that states the finding, and nothing that it does not say."""
    text = _sentence(stated(finding))
    return text[0].upper() + text[1:] + "."


def _supported(language: str, audience: str) -> None:
    if language not in LANGUAGES:
        raise BadInput(f"language {language!r} is not available", f"one of {', '.join(LANGUAGES)}")
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
        return tuple(Sentence(sentence(f), (f.tracking_uid,) if f.tracking_uid else ()) for f in what)
    final = signed(what)
    if audience in NEEDS_SIGNATURE and not final and not preview:
        raise Refused(f"an unsigned reading is not for a {audience}", wanted="signed", got=what.status.value)
    notes = [PREVIEW] if preview and not final else []
    notes += [NO_PLAIN_TEXT] if audience == "patient" else []
    head = tuple(Sentence(note) for note in notes)
    sections = tuple(Section(s.name, (*head, *s.sentences)) for s in what.report.sections)
    return replace(what.report, sections=sections, language=language, audience=audience)
