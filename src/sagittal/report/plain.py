"""A reading for the patient: short sentences in everyday words, and no word that needs explaining.

Every finding is told once, from the finding itself: how sure it is, what it is, where, how large, how it
has changed. There are no probabilities and no treatment. Lay words stand after a colon ("We saw: small
round spot."), so that no article, case or gender of theirs has to be known in any language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sagittal.report import grammar
from sagittal.report.disclosure import signed
from sagittal.report.draft import ordered
from sagittal.report.finding import (
    MM,
    Change,
    ChangeKind,
    Finding,
    Kind,
    Laterality,
    Measurement,
    Presence,
    Temporality,
)
from sagittal.report.language import Language, language
from sagittal.report.phrasebook import recognise
from sagittal.report.reading import Reading
from sagittal.report.report import Report, Section, Sentence
from sagittal.report.stated import IMAGE_SIDES, category, stated
from sagittal.report.translate import restated

URGENT = 2
"""Findings of this ACR category or a lower one are to be asked about first."""
_MODALITY = {"CR": "DX", "PT": "NM"}


def plain(reading: Reading, code: str) -> Report:
    """The reading in plain words.

    Every finding of the reading is named by exactly one sentence of the sections "findings" (there, or
    perhaps there), "not found" and "not assessed".
    """
    spoken = language(code)
    words: Mapping[str, Any] = spoken.file["patient"]
    lines: Mapping[str, str] = words["lines"]
    own, more = _differently_worded(reading), _says_more(reading)
    told: dict[str, list[Sentence]] = {"findings": [], "not found": [], "not assessed": []}
    # What it means comes after what was seen.
    for finding in sorted(ordered(reading.findings), key=lambda f: stated(f).kind is Kind.INFERENCE):
        section = section_of(finding)
        text = explain(finding, spoken)
        if finding.tracking_uid in own:
            section, text = "findings", lines["own_words"].format(thing=_name(finding, spoken))
        told[section].append(Sentence(text, (finding.tracking_uid,) if finding.tracking_uid else ()))
    if not told["findings"] and not more:
        told["findings"].append(Sentence(lines[_silence(reading)]))
    told["findings"] += [Sentence(lines["more_in_report"])] if more else []
    told["not assessed"] += _unchecked(reading, spoken)
    told["not assessed"].append(Sentence(lines["only_named"]))
    sections = (
        Section("examination", tuple(map(Sentence, _examination(reading, words)))),
        *(Section(name, tuple(sentences)) for name, sentences in told.items() if sentences),
        Section("next steps", (Sentence(lines["next"]),)),
        Section("about", tuple(map(Sentence, _about(reading, lines)))),
    )
    return Report(sections, language=code, audience="patient")


def section_of(finding: Finding) -> str:
    """Where a patient reads of a finding."""
    said = stated(finding)
    if said.presence is Presence.NOT_ASSESSED:
        return "not assessed"
    resolved = said.change is not None and said.change.kind is ChangeKind.RESOLVED
    return "not found" if said.presence is Presence.ABSENT and not resolved else "findings"


def explain(finding: Finding, spoken: Language) -> str:
    """A finding in plain words: everything that its sentence for radiologists states, but for the method
    of a measurement and the rule of a comparison."""
    said = stated(finding)
    words: Mapping[str, Any] = spoken.file["patient"]
    lines: Mapping[str, str] = words["lines"]
    name, place = _name(said, spoken), _place(said, spoken)
    seen = section_of(said) == "findings"
    # A place of its own sentence must not be read without the "not" of the sentence before.
    thing = name if seen or not place else words["at"].format(thing=name, place=place)
    frame, inferred = _frame(said), said.kind is Kind.INFERENCE
    frames = words["frames"] | (words["meaning"] if inferred and seen else {})
    parts = [frames[frame].format(thing=thing)]
    parts += [lines["where"].format(place=place)] if seen and place else []
    if said.temporality in (Temporality.HISTORICAL, Temporality.FAMILY):
        parts.append(lines["past" if said.temporality is Temporality.HISTORICAL else "family"])
    if said.count is not None and said.count > 1:
        parts.append(lines["how_many"].format(n=said.count))
    if said.severity is not None:
        parts.append(lines["level"].format(severity=words["severity"][said.severity.value]))
    looks = [words["attributes"].get(value, "") for _, value in said.attributes]
    sizes = [text for one in said.measurements for text in _size(one, spoken)]
    parts += [*filter(None, looks), *filter(None, sizes)]
    if said.change is not None:
        parts += _change(said, said.change, spoken)
    parts += [] if all(looks) and all(sizes) else [lines["more"]]
    parts += [lines["first"]] if flagged(finding) and (finding.actionable or 9) <= URGENT else []
    return " ".join(parts)


def flagged(finding: Finding) -> bool:
    """Whether an actionable finding is there, or may be, on this study."""
    said = stated(finding)
    there = said.presence in (Presence.PRESENT, Presence.UNCERTAIN)
    return category(finding) is not None and there and said.temporality is Temporality.CURRENT


def _name(finding: Finding, spoken: Language) -> str:
    name = spoken.names[finding.observation.key]
    return name.lay or name.term


def _place(said: Finding, spoken: Language) -> str:
    words: Mapping[str, Any] = spoken.file["patient"]
    side = ""
    if said.laterality is not None:
        neither = said.laterality is Laterality.BILATERAL and said.presence is Presence.ABSENT
        side = words["sides"]["neither" if neither else said.laterality.value]
    if said.site is None:
        return side
    site = spoken.sites[said.site.key]
    where = site.lay or site.term
    return words["place"].format(place=where, side=side) if side else where


def _frame(said: Finding) -> str:
    """The key of the frame that says how present a finding is."""
    if said.presence is Presence.NOT_ASSESSED:
        return "not_assessed"
    if said.temporality is Temporality.HYPOTHETICAL:
        return "hypothetical"
    name = said.certainty.value.replace(" ", "_") if said.certainty else ""
    if said.presence is Presence.ABSENT:
        if said.change is not None and not name:
            return "resolved"
        return f"absent_{name}" if name else "absent"
    return name or ("uncertain" if said.presence is Presence.UNCERTAIN else "present")


def _size(measurement: Measurement, spoken: Language) -> list[str]:
    """The size, and what is about as large; [""] where the report for the doctor says it."""
    words: Mapping[str, Any] = spoken.file["patient"]
    form, unit = words["quantities"][measurement.quantity], measurement.unit
    if not form or unit == "{pixel}":
        return [""]
    told = [form.format(amount=grammar.amount(measurement, spoken))]
    if measurement.quantity == "diameter":
        like = _like(max(measurement.values) * MM[unit], words["like"]["mm"])
        told += [words["lines"]["like"].format(like=like)] if like else []
    elif measurement.quantity == "volume" and unit == "mL":
        like = _like(measurement.values[0], words["like"]["mL"])
        told += [words["lines"]["volume_like"].format(like=like)] if like else []
    return told


def _like(value: float, things: Sequence[tuple[float, str]]) -> str:
    return next((thing for most, thing in things if 0 < value <= most), "")


def _change(said: Finding, change: Change, spoken: Language) -> list[str]:
    words: Mapping[str, Any] = spoken.file["patient"]
    kinds, lines = words["change"], words["lines"]
    counted = spoken.names[said.observation.key].plural is not None
    key = change.kind.value if counted else f"{change.kind.value}_uncounted"
    # What has resolved usually says so in its frame.
    told = [] if _frame(said) == "resolved" else [kinds.get(key, kinds[change.kind.value])]
    if change.since is not None:
        told.append(lines["compared"].format(date=day(change.since, words)))
    if change.prior is not None and words["quantities"][change.prior.quantity]:
        told.append(lines["before"].format(amount=grammar.amount(change.prior, spoken)))
    return told


def day(when: date, words: Mapping[str, Any]) -> str:
    """A date with the name of its month."""
    number = words["first_day"] if when.day == 1 else when.day
    text: str = words["date"].format(day=number, month=words["months"][when.month - 1], year=when.year)
    return text


def _differently_worded(reading: Reading) -> frozenset[str]:
    """Findings whose sentence in the report says something else than they do: a person's words stand
    there, and plain words from the finding would contradict them."""
    findings = {f.tracking_uid: f for f in reading.findings if f.tracking_uid}
    code, own = reading.report.language, set()
    for sentence in (s for section in reading.report.sections for s in section.sentences):
        named = [findings[uid] for uid in sentence.findings if uid in findings]
        if named and restated(sentence.text, named, code, code) is None:
            own.add(str(named[0].tracking_uid))
    return frozenset(own)


def _says_more(reading: Reading) -> bool:
    """Whether somebody wrote sentences into findings or impression that no finding stands for."""
    report, known = reading.report, {f.tracking_uid for f in reading.findings}
    free = (s for name in ("findings", "impression") for s in report.section(name).sentences)
    return any(not known & set(s.findings) and recognise(s.text, report.language) is None for s in free)


def _silence(reading: Reading) -> str:
    """What to say where nothing is there: looked for and not found, or not looked for."""
    absent = any(stated(f).presence is Presence.ABSENT for f in reading.findings)
    looked = absent or any(score.level != "not assessed" for score in reading.scores)
    return "nothing_seen" if looked else "nothing_checked"


def _unchecked(reading: Reading, spoken: Language) -> list[Sentence]:
    """What the report names as not assessed without a finding of its own."""
    form: str = spoken.file["patient"]["frames"]["not_assessed"]
    keys: dict[str, None] = {}
    for sentence in reading.report.section("not assessed").sentences:
        said = recognise(sentence.text, reading.report.language)
        if said is not None and not sentence.findings and said.key == "not_assessed":
            keys |= dict.fromkeys(said.slots["terms"])
    things = dict.fromkeys(spoken.names[key].lay or spoken.names[key].term for key in keys)
    return [Sentence(form.format(thing=thing)) for thing in things]


def _examination(reading: Reading, words: Mapping[str, Any]) -> list[str]:
    """What was done, when, and whose right and left is meant."""
    exams, lines = words["exams"], words["lines"]
    kinds = dict.fromkeys(_MODALITY.get(s.modality, s.modality) for s in reading.study.series)
    told = list(dict.fromkeys(exams[kind] for kind in kinds if kind in exams)) or [exams["other"]]
    if reading.study.date is not None:
        told.append(lines["when"].format(date=day(reading.study.date, words)))
    sides = {stated(f).laterality for f in reading.findings}
    if sides & {Laterality.RIGHT, Laterality.LEFT}:
        told.append(lines["sides"])
    if sides & set(IMAGE_SIDES):
        told.append(lines["image_sides"])
    return told


def _about(reading: Reading, lines: Mapping[str, str]) -> list[str]:
    told = [lines["signed"].format(by=reading.signed_by) if signed(reading) else lines["unsigned"]]
    told += [lines["synthetic"]] if reading.study.synthetic else []
    return [*told, lines["research"]]
