"""A finding as a sentence of a language, by the tables of the language's file.

The grammar is small and total: every finding of the vocabulary has exactly one sentence, and
`sagittal.report.parse` reads that sentence back. Probabilities are never written as numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from sagittal.report.finding import (
    Change,
    ChangeKind,
    Finding,
    Laterality,
    Measurement,
    Presence,
    Temporality,
)
from sagittal.report.language import Forms, Language, form
from sagittal.report.stated import UNITS, is_adjective, number, stated
from sagittal.report.vocabulary import site

_SIDES = (Laterality.RIGHT, Laterality.LEFT)


def _tidy(text: str) -> str:
    return " ".join(text.split())


def _contracted(text: str, language: Language) -> str:
    """The text with the contractions of the language ("de le" -> "du")."""
    for pattern, instead in language.grammar["contractions"]:
        text = re.sub(pattern, instead, text)
    return text


def location(finding: Finding, language: Language) -> str:
    """The phrase of place ("in the right upper lobe"); empty where nothing is stated."""
    side, none = finding.laterality, finding.presence is Presence.ABSENT
    beside = language.grammar["beside"]
    aside = "" if side is None else str(beside[side.value])
    if side is Laterality.BILATERAL and none:
        aside = str(beside.get("neither", aside))
    if finding.site is None:
        return aside
    name, paired = language.sites[finding.site.key], site(finding.site.key).paired
    if paired and side in _SIDES:
        assert side is not None
        return _tidy(name.at.format(side=form(language.grammar["sides"][side.value], name.gender)))
    if paired and name.both and side is Laterality.BILATERAL:
        return name.either if none and name.either else name.both
    return _tidy(f"{name.at.format(side='')} {aside}")


def amount(measurement: Measurement, language: Language) -> str:
    """ "12 x 8 mm", with the language's decimal sign and unit."""
    unit = language.file["units"].get(measurement.unit, UNITS[measurement.unit])
    values = " x ".join(number(v, measurement.unit) for v in measurement.values)
    return values.replace(".", language.grammar["decimal"]) + ("" if unit in ("", "%") else " ") + unit


def phrase(measurement: Measurement, language: Language) -> str:
    """ "measuring 12 x 8 mm (axial plane)" or "with a volume of 3.1 mL", at rendered precision."""
    table = language.file["measure"]
    details = [
        table["plane"].format(plane=measurement.plane) if measurement.plane else "",
        table["method"].format(method=measurement.method) if measurement.method else "",
        table["scale"].format(source=measurement.spacing_source) if measurement.spacing_source else "",
    ]
    notes = "; ".join(detail for detail in details if detail)
    size = amount(measurement, language)
    if measurement.quantity == "diameter":
        text = table["diameter"].format(amount=size)
    else:
        quantity = language.file["quantities"][measurement.quantity]
        text = table["quantity"].format(amount=size, quantity=quantity, a=article(quantity, language))
    return text + (f" ({notes})" if notes else "")


def article(noun: str, language: Language) -> str:
    """The indefinite article of a noun; empty in languages whose reports do without."""
    for start, word in language.grammar["articles"]:
        if re.match(start, noun, re.IGNORECASE):
            return str(word)
    return ""


def day(when: date, language: Language) -> str:
    """A date as the language writes it."""
    return when.strftime(language.grammar["date"])


def _changed(change: Change, counted: bool, gender: str, plural: bool, language: Language) -> str:
    table, measure = language.file["change"], language.file["measure"]
    word: Forms = table[change.kind.value]
    if not counted:
        # What is not counted does not grow, it increases.
        word = table.get(f"{change.kind.value}_uncounted", word)
    when = ""
    if change.since is not None:
        link = "with" if change.kind is ChangeKind.NOT_COMPARABLE else "since"
        when = table[link].format(date=day(change.since, language))
    elif change.kind is ChangeKind.NOT_COMPARABLE:
        when = table["with_prior"]
    text = f"{form(word, gender, plural)} {when}".strip()
    if change.criterion:
        criterion = language.file.get("criteria", {}).get(change.criterion, change.criterion)
        text += f" ({measure['criterion'].format(criterion=criterion)})"
    if change.prior is not None:
        text += ", " + measure["previously"].format(measurement=phrase(change.prior, language))
    return text


class _Noun:
    """The noun of a finding with what agrees with it."""

    def __init__(self, finding: Finding, language: Language) -> None:
        self.finding, self.language = finding, language
        name, grammar = language.names[finding.observation.key], language.grammar
        count = finding.count
        self.counted = name.plural is not None
        self.gender, self.many = name.gender, count is not None and count > 1
        self.plural = self.many and self.counted
        term = name.plural if self.plural and name.plural else name.term
        agree = self.gender, self.plural
        counts = grammar["count"]
        number_ = areas = ""
        if count is not None and self.counted:
            number_ = form(counts["one"] if count == 1 else counts["many"], *agree).format(n=count)
        elif count is not None:
            areas = form(counts["area"] if count == 1 else counts["areas"], *agree).format(n=count)
        key = finding.observation.key
        adjectives = [value for what, value in finding.attributes if is_adjective(key, (what, value))]
        severity = form(grammar["severity"][finding.severity.value], *agree) if finding.severity else ""
        self.text = _tidy(
            grammar["noun"].format(
                count=number_,
                areas=areas,
                severity=severity,
                adjectives=" ".join(form(grammar["adjectives"][value], *agree) for value in adjectives),
                term=term,
            )
        )
        # What denies it agrees with it as well ("kein", "keine").
        self.no = form(grammar["no"], *agree)

    def described(self) -> str:
        """Noun, place, attributes, sizes and change."""
        finding, language = self.finding, self.language
        key = finding.observation.key
        order = language.grammar["phrase"]
        text = _tidy(order.format(noun=self.text, place=location(finding, language)))
        rest = [pair for pair in finding.attributes if not is_adjective(key, pair)]
        if rest:
            named, values = language.file["attributes"], language.file["attribute_values"]
            items = (f"{named.get(name, name)}: {values.get(value, value)}" for name, value in rest)
            text += " (" + "; ".join(items) + ")"
        tail = [phrase(m, language) for m in finding.measurements]
        if finding.change is not None:
            tail.append(_changed(finding.change, self.counted, self.gender, self.plural, language))
        return ", ".join([text, *tail])


def describe(finding: Finding, language: Language) -> str:
    """The finding as a noun phrase with its qualifiers, without presence and certainty."""
    return _contracted(_Noun(finding, language).described(), language)


def statement(finding: Finding, language: Language) -> str:
    """The sentence of a finding in its stated form, without capital and full stop."""
    frames: Mapping[str, str] = language.file["frames"]
    noun = _Noun(finding, language)
    thing, no = noun.described(), noun.no
    when, presence, word = finding.temporality, finding.presence, finding.certainty
    if presence is Presence.NOT_ASSESSED:
        return frames["not_assessed"].format(thing=thing)
    if when is Temporality.HYPOTHETICAL:
        return frames["hypothetical"].format(thing=thing)
    past = when in (Temporality.HISTORICAL, Temporality.FAMILY)
    resolved = finding.change is not None and finding.change.kind is ChangeKind.RESOLVED
    absent = presence is Presence.ABSENT and not resolved
    name = "present" if word is None else word.value.replace(" ", "_")
    if word is None and presence is Presence.UNCERTAIN:
        name = "uncertain"
    if absent:
        # A denial has frames of its own where the language does not say it by "absence of".
        own = "absent" if word is None else f"absent_{name}"
        if past and f"{own}_{when.value}" in frames:
            return frames[f"{own}_{when.value}"].format(thing=thing, no=no)
        if past:
            thing = frames[when.value].format(thing=thing)
        if own in frames:
            return frames[own].format(thing=thing, no=no)
        thing = frames["absence"].format(thing=thing, no=no)
    elif past:
        thing = frames[when.value].format(thing=thing)
    with_article = (past or noun.counted or finding.count == 1) and not noun.plural and not absent
    many = noun.many and not past and not absent
    uncounted = finding.count is not None and not past and not absent
    frame = frames.get(f"{name}_counted", frames[name]) if uncounted else frames[name]
    frame = frames.get(f"{name}_many", frame) if many else frame
    return _tidy(
        frame.format(
            thing=thing,
            a_thing=_tidy(f"{article(thing, language) if with_article else ''} {thing}"),
            be=language.grammar["be"]["many" if many else "one"],
            comma="," if finding.measurements or finding.change else "",
        )
    )


def sentence(finding: Finding, language: Language) -> str:
    """One sentence that states the finding, and nothing that it does not say."""
    text = _contracted(statement(stated(finding), language), language)
    return capital(text, language) + "."


def capital(text: str, language: Language) -> str:
    """The text with a capital at its beginning."""
    if language.code == "tr" and text.startswith("i"):
        return "İ" + text[1:]
    return text[:1].upper() + text[1:]
