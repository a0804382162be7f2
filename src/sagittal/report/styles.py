"""How a report is laid out: narrative, structured by organ, as a list, or its impression alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

from sagittal.errors import BadInput
from sagittal.report.finding import Finding, Kind
from sagittal.report.names import document
from sagittal.report.phrasebook import recognise, say
from sagittal.report.reading import Reading
from sagittal.report.report import Report, Section, Sentence
from sagittal.report.vocabulary import Exam, observation, observations

STYLES = ("narrative", "structured", "bullet", "impression")
KEPT = {
    "radiologist": ("impression", "recommendation"),
    "clinician": ("impression", "recommendation"),
    "patient": ("findings", "next steps", "about"),
}
"""Sections of a report that is its impression alone."""
LISTED = ("not_assessed", "not_assessed_brief")
"""Phrases that name what was not assessed."""

EXAMS: Mapping[str, frozenset[Exam]] = {
    "CR": frozenset({"chest-xray", "bone-xray"}),
    "DX": frozenset({"chest-xray", "bone-xray"}),
    "MG": frozenset({"breast"}),
    "CT": frozenset({"chest-ct", "head-ct", "abdomen-ct", "neck", "spine"}),
    "MR": frozenset({"brain-mr", "joint-mr", "spine", "neck", "breast"}),
    "US": frozenset({"ultrasound", "neck", "breast"}),
    "NM": frozenset({"nuclear"}),
    "PT": frozenset({"nuclear"}),
}
"""Modality (DICOM) -> the examinations of the vocabulary that it may be."""


def styled(report: Report, reading: Reading, style: str) -> Report:
    """The report in that style; the sentences and what they name stay the same.

    Raises:
        BadInput: no such style; the message lists those that are there.
    """
    if style not in STYLES:
        raise BadInput(f"style {style!r} is not available", f"one of {', '.join(STYLES)}")
    if style == "structured":
        return structured(report, reading)
    if style == "bullet":
        return replace(report, sections=tuple(map(_bullets, report.sections)))
    if style == "impression":
        kept = KEPT[report.audience]
        return replace(report, sections=tuple(s for s in report.sections if s.name in kept))
    return report


def _bullets(section: Section) -> Section:
    return replace(section, sentences=tuple(replace(s, text=f"- {s.text}") for s in section.sentences))


def structured(report: Report, reading: Reading) -> Report:
    """The findings under the headings of their organs, like the templates of the RSNA: what is there, what
    is not, what was not assessed; an organ of the examination that nothing is said of is "not assessed"."""
    words = document(report.language)
    headings = words["patient"]["groups"] if report.audience == "patient" else words["groups"]
    groups = {f.tracking_uid: _group(f) for f in reading.findings if f.tracking_uid}
    rows: dict[str, list[Sentence]] = {}
    for sentence in report.section("findings").sentences:
        uid = next(iter(sentence.findings), None)
        rows.setdefault(groups.get(uid, "other") if uid else "other", []).append(sentence)
    left = report.section("not assessed").sentences
    if report.audience != "patient":
        left = _moved(left, rows, groups, report.language)
        rows |= {group: [] for group in expected(reading) if group not in rows}
    return replace(
        report,
        sections=tuple(
            replace(section, sentences=_grouped(rows, headings, report.language))
            if section.name == "findings"
            else replace(section, sentences=left)
            if section.name == "not assessed"
            else section
            for section in report.sections
        ),
    )


def _group(finding: Finding) -> str:
    return observation(finding.observation.key).group


def _grouped(
    rows: Mapping[str, Sequence[Sentence]], headings: Mapping[str, str], code: str
) -> tuple[Sentence, ...]:
    made: list[Sentence] = []
    for group in dict.fromkeys((*headings, *rows)):
        if group in rows:
            # What belongs to no organ comes last and needs no heading where it is all there is.
            titled = group in headings and not (group == "other" and len(rows) == 1)
            heading = say("group", code, group=headings[group]) if titled else ""
            if rows[group]:
                made += [*([Sentence(heading)] if titled else []), *rows[group]]
            else:
                made.append(Sentence(f"{heading} {say('group_not_assessed', code)}"))
    return tuple(made)


def _moved(
    sentences: Sequence[Sentence],
    rows: dict[str, list[Sentence]],
    groups: Mapping[str, str],
    code: str,
) -> tuple[Sentence, ...]:
    """Move what was not assessed to its organs.

    Returns:
        The sentences that name no observation.
    """
    left = []
    for sentence in sentences:
        uid = next(iter(sentence.findings), "")
        said = recognise(sentence.text, code)
        if uid in groups:
            rows.setdefault(groups[uid], []).append(sentence)
        elif said is not None and said.key in LISTED:
            terms: dict[str, list[str]] = {}
            for key in said.slots["terms"]:
                terms.setdefault(observation(key).group, []).append(key)
            for group, keys in terms.items():
                rows.setdefault(group, []).append(Sentence(say("not_assessed_brief", code, terms=keys)))
        else:
            left.append(sentence)
    return tuple(left)


def expected(reading: Reading) -> tuple[str, ...]:
    """The organs that an examination of this kind looks at; none where its kind is not plain from its
    modality and from what was looked for."""
    keys = {f.observation.key for f in reading.findings} | {s.observation.key for s in reading.scores}
    possible = set(chain.from_iterable(EXAMS.get(s.modality, ()) for s in reading.study.series))
    for key in keys:
        possible &= set(observation(key).exams)
    if len(possible) != 1:
        return ()
    seen = observations(next(iter(possible)))
    return tuple(dict.fromkeys(o.group for o in seen if o.kind is Kind.OBSERVATION))
