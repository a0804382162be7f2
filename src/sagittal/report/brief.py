"""The report for the referring clinician: the impression first, nothing about models."""

from __future__ import annotations

from dataclasses import replace

from sagittal.report import grammar
from sagittal.report.finding import Presence
from sagittal.report.language import language
from sagittal.report.phrasebook import phrases, recognise, say
from sagittal.report.reading import Reading
from sagittal.report.report import Report, Section, Sentence
from sagittal.report.stated import stated

ORDER = (
    "impression",
    "recommendation",
    "communication",
    "findings",
    "comparison",
    "not assessed",
    "limitations",
)
DROPPED = ("uncalibrated", "absence_unproven", "not_in_view", "lungs_outlined", "lungs_outlined_hung")
"""What speaks of a model and changes nothing for the patient: what was not assessed is named anyway."""
SHORT = ("no_positive", "none_assessed", "nothing", "not_assessed", "brain_volume")
"""Phrases that have a form without a model, "…_brief"."""
UNUSED = ("not_read", "not_read_far")


def brief(report: Report, reading: Reading) -> Report:
    """A radiologist's report (in its language) as a clinician reads it."""
    code = report.language
    unassessed = {
        f.tracking_uid: phrases(code)["not_assessed_brief"].format(
            terms=grammar.describe(stated(f), language(code))
        )
        for f in reading.findings
        if f.presence is Presence.NOT_ASSESSED and f.tracking_uid
    }
    house = {
        f.tracking_uid: grammar.sentence(f, language(code))
        for f in reading.findings
        if f.tracking_uid in unassessed
    }

    def sentence(old: Sentence) -> Sentence | None:
        uid = next(iter(old.findings), None)
        if uid in unassessed and old.text == house[uid]:
            return replace(old, text=unassessed[uid])
        return old if old.findings else _plain(old, code)

    def section(name: str) -> Section:
        old = report.section(name)
        kept = dict.fromkeys(new for s in old.sentences if (new := sentence(s)) is not None)
        return replace(old, sentences=tuple(kept) or (Sentence(say("none", code)),))

    there = {s.name for s in report.sections}
    return replace(
        report, audience="clinician", sections=tuple(section(name) for name in ORDER if name in there)
    )


def _plain(old: Sentence, code: str) -> Sentence | None:
    """A fixed sentence without models; None where nothing is left of it."""
    said = recognise(old.text, code)
    if said is None:
        return old
    if said.key in DROPPED:
        return None
    if said.key in UNUSED:
        return Sentence(say("not_read_brief", code, series=said.slots["series"]))
    if said.key in SHORT:
        slots = {name: value for name, value in said.slots.items() if name in ("terms", "volume")}
        return Sentence(say(f"{said.key}_brief", code, **slots))
    return old
