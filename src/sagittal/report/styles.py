"""How a report is laid out: narrative, structured by organ, as a list, or its impression alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain

from sagittal.errors import BadInput
from sagittal.report import grammar
from sagittal.report.draft import URGENT, ordered
from sagittal.report.finding import Finding, Kind, Presence, Temporality
from sagittal.report.language import language
from sagittal.report.names import document
from sagittal.report.parse import parse
from sagittal.report.phrasebook import recognise, say
from sagittal.report.reading import Reading
from sagittal.report.report import Report, Section, Sentence
from sagittal.report.stated import category, stated
from sagittal.report.vocabulary import Exam, observation, observations, site

STYLES = ("narrative", "structured", "bullet", "impression")
KEPT = {
    "radiologist": ("impression", "recommendation"),
    "clinician": ("impression", "recommendation"),
    "patient": ("findings", "next steps", "about"),
}
"""Sections of a report that is its impression alone."""
MEASURED = ("brain_volume", "brain_volume_brief", "lungs_outlined", "lungs_outlined_hung")
"""Phrases for what was measured or drawn without being a finding."""
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

PLACELESS = ("inference", "devices", "trauma", "nuclear medicine")
"""Headings that are of no organ."""

ANYWHERE = frozenset(
    {"nodule", "mass", "lesion", "cyst", "haemangioma", "calcification", "fluid_collection"}
    | {"lymphadenopathy"}
)
"""What is found in many organs."""

TEMPLATES: Mapping[Exam, tuple[str, ...]] = {
    "chest-xray": ("lung", "pleura", "heart and mediastinum", "wall and abdomen", "devices"),
    "chest-ct": ("lung", "pleura", "heart and mediastinum", "wall and abdomen", "bones and joints"),
    "brain-mr": ("brain", "vessels"),
    "head-ct": ("brain", "vessels", "bones and joints"),
    "neck": ("neck", "vessels"),
    "abdomen-ct": ("abdomen", "bowel", "urinary tract", "pelvis", "vessels", "bones and joints"),
    "spine": ("spine",),
    "bone-xray": ("bones and joints", "soft tissue"),
    "joint-mr": ("bones and joints", "soft tissue"),
    "breast": ("breast",),
    "ultrasound": (),
    "nuclear": ("nuclear medicine",),
}
"""Examination -> the organs that a report of it goes through, as the templates of radreport.org do; an
ultrasound may be of anything."""


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
    groups: dict[str | None, str] = {
        grammar.sentence(f, language(report.language)): _group(f) for f in reading.findings
    }
    groups |= {f.tracking_uid: _group(f) for f in reading.findings if f.tracking_uid}
    rows: dict[str, list[Sentence]] = {}
    for sentence in report.section("findings").sentences:
        rows.setdefault(_place(sentence, groups, report.language), []).append(sentence)
    left, usual = report.section("not assessed").sentences, expected(reading)
    if report.audience != "patient":
        left = _moved(left, rows, groups, report.language)
        rows |= {group: [] for group in usual if group not in rows}
    return replace(
        report,
        sections=tuple(
            replace(section, sentences=_grouped(rows, headings, report.language, usual))
            if section.name == "findings"
            else replace(section, sentences=left)
            if section.name == "not assessed"
            else section
            for section in report.sections
        ),
    )


def _group(finding: Finding) -> str:
    """The heading of a finding: that of its observation, or of the place of what is found in many (a nodule
    of the liver)."""
    group = observation(finding.observation.key).group
    if finding.site is None or finding.observation.key not in ANYWHERE:
        return group
    there = _groups_at(finding.site.key)
    return group if group in there or not there else there[0]


@cache
def _groups_at(key: str) -> tuple[str, ...]:
    """The headings of what is usually found at a site, or at what it is a part of, the commonest first."""
    own = (o for o in observations() if o.sites[:1] == (key,) and o.region != "general")
    found = Counter(o.group for o in own if o.group not in PLACELESS)
    outer = site(key).part_of
    if not found and outer is not None:
        return _groups_at(outer)
    return tuple(group for group, _ in found.most_common())


def _place(sentence: Sentence, groups: Mapping[str | None, str], code: str) -> str:
    """The organ that a sentence is about; "other" for a measurement that is no finding; "" for what nothing
    can be read out of."""
    for name in (*sentence.findings, sentence.text):
        if name in groups:
            return groups[name]
    said = recognise(sentence.text, code)
    if said is not None:
        return "other" if said.key in MEASURED else ""
    found = parse(sentence.text, code)
    return _group(found[0]) if found else ""


def _grouped(
    rows: Mapping[str, Sequence[Sentence]], headings: Mapping[str, str], code: str, usual: Sequence[str] = ()
) -> tuple[Sentence, ...]:
    made: list[Sentence] = []
    # What is about no organ has no heading, and so comes first; then what the examination is about.
    for group in dict.fromkeys(("", *usual, *headings, *rows)):
        if group in rows:
            titled = group in headings
            heading = say("group", code, group=headings[group]) if titled else ""
            if rows[group]:
                made += [*([Sentence(heading)] if titled else []), *rows[group]]
            else:
                made.append(Sentence(f"{heading} {say('group_not_assessed', code)}"))
    return tuple(made)


def _moved(
    sentences: Sequence[Sentence],
    rows: dict[str, list[Sentence]],
    groups: Mapping[str | None, str],
    code: str,
) -> tuple[Sentence, ...]:
    """Move what was not assessed to its organs.

    Returns:
        The sentences that name no observation.
    """
    left = []
    for sentence in sentences:
        named = next((n for n in (*sentence.findings, sentence.text) if n in groups), None)
        said = recognise(sentence.text, code)
        if named is not None:
            rows.setdefault(groups[named], []).append(sentence)
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
    return TEMPLATES[next(iter(possible))]


def loose(findings: Sequence[Finding], code: str, style: str) -> tuple[Sentence, ...]:
    """Findings without a reading, in a style.

    In a narrative they are sentences alone, in the order given, and read back as they are. The other styles
    have the most important first and flag what is critical.
    """
    spoken = language(code)

    def sentence(finding: Finding) -> Sentence:
        text, number = grammar.sentence(finding, spoken), category(finding)
        if style != "narrative" and number is not None and _seen(finding):
            text = f"{text} {say(f'actionable_{number}', code)}"
        return Sentence(text, (finding.tracking_uid,) if finding.tracking_uid else ())

    if style == "narrative":
        return tuple(map(sentence, findings))
    told = ordered(findings)
    if style == "bullet":
        return _bullets(Section("findings", tuple(map(sentence, told)))).sentences
    if style == "impression":
        # What it means, then what was seen; what is urgent before either.
        seen = [f for f in told if _seen(f)]
        seen.sort(key=_rank)
        return tuple(map(sentence, seen)) or (Sentence(say("no_positive_brief", code)),)
    rows: dict[str, list[Sentence]] = {}
    for finding in told:
        rows.setdefault(_group(finding), []).append(sentence(finding))
    return _grouped(rows, document(code)["groups"], code)


def _rank(finding: Finding) -> tuple[int, bool]:
    number = category(finding) or 9
    return number if number <= URGENT else 9, stated(finding).kind is not Kind.INFERENCE


def _seen(finding: Finding) -> bool:
    """Whether it is, or may be, there on this study."""
    said = stated(finding)
    there = said.presence in (Presence.PRESENT, Presence.UNCERTAIN)
    return there and said.temporality is Temporality.CURRENT
