"""A draft held against itself: contradictions, sides and sizes that differ, holes, what is said twice."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache

from sagittal.report.check_difference import covers, differences, overlap
from sagittal.report.check_duties import HIGH
from sagittal.report.finding import Certainty, Finding, Kind, Presence
from sagittal.report.names import DEFAULT, document
from sagittal.report.problem import Grade, Problem, ProblemKind
from sagittal.report.statement import Draft, Statement, negative, positive
from sagittal.report.vocabulary import observation

_PLAIN_NO = re.compile(
    r"^\W*(?:\d+[.)]\s*)?(?:there\s+(?:is|are)\s+)?(?:no|without)\s+(?:(?:evidence|sign|radiographic\s+evidence)\s+"
    r"(?:of|for)\s+)?(?:(?:an?|any)\s+)?",
    re.IGNORECASE,
)
_HOLE = re.compile(
    r"\b(?:there\s+(?:is|are)\s+(?:no|an?|mild|small|minimal|moderate)?(?:\s+evidence\s+of)?"
    r"|no\s+evidence\s+(?:of|for)|consistent\s+with|compatible\s+with|suggestive\s+of|in\s+the|of\s+the|"
    r"measuring(?:\s+(?:up\s+to|approximately|about))?|with\s+an?|(?:^|[.]\s+)no)\s*(?=[.;](?:\s|$))",
    re.IGNORECASE,
)
_NO_ITEM = re.compile(
    r"(?<![\d.,])\b[1-9]\.[ \t]+(?=[2-9]\.(?:\s|$))|(?<=\s)[1-9]\.[ \t]*\Z|[•*][ \t]+(?=[•*])"
)


@cache
def _empty(code: str) -> re.Pattern[str]:
    """A heading of findings or impression that the next section or the end follows at once. Headings of
    their own under it ("Lungs:") are what stands there."""
    tables = document(DEFAULT)["sections"], document(code)["sections"]

    def one_of(*names: str) -> str:
        words = {w for t in tables for name in names or t for w in t.get(name, ())}
        return "|".join(sorted(map(re.escape, words), key=len, reverse=True))

    return re.compile(
        rf"^[ \t]*+(?:{one_of('findings', 'impression')})[ \t]*+:?[ \t]*+"
        rf"(?:\Z|\n\s*+(?=\Z|(?:{one_of()})[ \t]*+(?::|$)))",
        re.MULTILINE | re.IGNORECASE,
    )


_HOLES = (
    (_HOLE, "the sentence ends where something should follow"),
    (_NO_ITEM, "a number or bullet with nothing after it"),
)
_TWICE = re.compile(r"\b([A-Za-z]{2,})\s+\1\b", re.IGNORECASE)
_MAY_REPEAT = frozenset({"that", "had", "xx", "xxx", "xxxx", "very", "much"})

_NORMAL = re.compile(
    r"^\W*(?:\d+[.)]\s*)?(?:no\s+(?:evidence\s+of\s+)?(?:acute\s+|active\s+)*(?:cardio)?(?:pulmonary|thoracic|chest)?\s*"
    r"(?:abnormalit(?:y|ies)|disease|findings?|process)|normal\s+(?:chest|study|examination|ct|mri?)\b.*|"
    r"normal|unremarkable\s+(?:chest|study|examination))(?:\s+(?:identified|seen|detected|noted))?\W*$",
    re.IGNORECASE,
)
UNIQUE = frozenset(
    {
        "pleural_effusion",
        "pericardial_effusion",
        "pneumothorax",
        "pneumomediastinum",
        "pneumoperitoneum",
        "cardiomegaly",
        "pulmonary_embolism",
        "pulmonary_oedema",
        "hiatal_hernia",
        "emphysema",
        "subcutaneous_emphysema",
        "tuberculosis",
        "hydrocephalus",
        "midline_shift",
        "mass_effect",
        "herniation",
        "intracranial_haemorrhage",
        "subdural_collection",
        "acute_infarct",
        "aortic_aneurysm",
        "ascites",
        "hydronephrosis",
        "cholelithiasis",
        "cholecystitis",
        "appendicitis",
        "splenomegaly",
        "hepatomegaly",
        "pancreatitis",
    }
)
"""Of these a body has one, or one a side, so that "no X" and "X" cannot both be true. Of lesions, nodes
and opacities there may be one here and none there."""

KIN = (
    frozenset(
        {"opacity", "consolidation", "atelectasis", "ground_glass_opacity", "interstitial_pattern"}
        | {"lung_hypoinflation", "fibrotic_sequela", "pulmonary_oedema"}
    ),
    frozenset({"nodule", "mass", "lesion", "granuloma", "lung_cancer", "metastasis"}),
    frozenset({"fracture", "rib_fracture", "healed_fracture", "vertebral_compression_fracture"}),
    frozenset({"emphysema", "hyperinflation"}),
    frozenset({"pleural_effusion", "loculated_effusion", "pleural_thickening"}),
)
"""Words that findings and impression use for one thing: either supports the other."""

KINDS = {
    "fracture": frozenset(
        {"rib_fracture", "sternal_fracture", "clavicle_fracture", "skull_fracture", "facial_fracture"}
        | {"vertebral_compression_fracture", "stress_fracture", "posterior_element_fracture"}
    ),
    "intracranial_haemorrhage": frozenset(
        {"epidural_haematoma", "subarachnoid_haemorrhage", "intraventricular_haemorrhage"}
    ),
}
"""Of what there are kinds, each an observation of its own: who denies the first denies these."""

ALARMING = frozenset(
    {"pneumothorax", "pneumoperitoneum", "pulmonary_embolism", "consolidation", "pulmonary_oedema", "mass"}
)
"""What an impression that says "no acute abnormality" cannot stand beside."""


def inside(draft: Draft) -> Iterator[Problem]:
    """Problems that need nothing but the draft."""
    by_key: dict[str, list[Statement]] = defaultdict(list)
    for statement in draft.statements:
        by_key[statement.key].append(statement)
    for said in by_key.values():
        yield from _contradictions(draft, said)
        yield from _sections(draft, said)
    yield from _impossible(draft)
    yield from _normal(draft)
    yield from _holes(draft)
    yield from _repeated(draft)


def _contradictions(draft: Draft, said: Sequence[Statement]) -> Iterator[Problem]:
    """ "No X" and "X" of the same place, both said plainly and by the same word."""
    if not said or said[0].key not in UNIQUE:
        return
    word = _nouns(said[0].key, draft.code)
    said = [s for s in said if word.search(draft.words(s.span))]
    yes = [s for s in said if _there(s.finding)]
    no = [s for s in said if negative(s.finding) and _denies(draft, s)]
    for denial in no[:_MOST]:
        claim = next((s for s in yes[:_MOST] if overlap(denial.finding, s.finding)), None)
        if claim is not None:
            there = draft.words(claim.span)
            reason = f"elsewhere the report says “{_short(there)}”"
            yield _at(draft, denial, ProblemKind.CONTRADICTION, reason)
            return


@cache
def _nouns(key: str, code: str) -> re.Pattern[str]:
    """The words that name the thing itself: in English the noun of its term ("effusion" of "pleural
    effusion"), elsewhere its names."""
    name = observation(key).name(code)
    words = [name.term, name.plural or "", *name.synonyms]
    if code == DEFAULT:
        words = [name.term.split()[-1].removesuffix("s")]
    return re.compile("|".join(re.escape(word) for word in words if word), re.IGNORECASE)


def _there(finding: Finding) -> bool:
    return (
        positive(finding)
        and finding.presence is Presence.PRESENT
        and finding.certainty in (None, Certainty.CONSISTENT_WITH)
        and finding.change is None
    )


def _denies(draft: Draft, statement: Statement) -> bool:
    """Whether a denial is plain (in English of the form "no X"), without a word that leaves other X open."""
    finding, words = statement.finding, draft.words(statement.span)
    if finding.change is not None or finding.certainty is not None or draft.qualified(statement):
        return False
    return draft.code != DEFAULT or bool(_PLAIN_NO.match(words))


def _sections(draft: Draft, said: Sequence[Statement]) -> Iterator[Problem]:
    """What the impression says otherwise than the findings."""
    body = [s for s in said if s.section == "findings" and positive(s.finding)][:_MOST]
    for statement in [s for s in said if s.section == "impression" and positive(s.finding)][:_MOST]:
        if not body:
            continue
        told = [differences(s.finding, statement.finding) for s in body]
        if all(told):
            least = min(told, key=len)
            first = least[0]
            where = _short(draft.words(body[told.index(least)].span))
            if first.kind is ProblemKind.SIDE:
                yield _at(draft, statement, ProblemKind.SIDE, f"the findings say “{where}”")
            elif first.kind is ProblemKind.SIZE:
                yield _at(draft, statement, ProblemKind.SIZE, f"the findings say “{where}”")


def _impossible(draft: Draft) -> Iterator[Problem]:
    for match in _NOT_THERE.finditer(draft.text):
        reason = (
            "there is no such place: the middle lobe and the minor fissure are right, the lingula is left"
        )
        yield Problem(ProblemKind.SIDE, match.span(), match[0], reason, Grade.ERROR)


_NOT_THERE = re.compile(
    r"\bleft\s+(?:lung\s+)?(?:middle\s+lobe|(?:minor|horizontal)\s+fissure)\b|\bright\s+(?:lung\s+)?lingula\w*\b"
    r"|\bmiddle\s+lobe\s+of\s+(?:the\s+)?left\b|\blingula\w*\s+of\s+(?:the\s+)?right\b",
    re.IGNORECASE,
)


def _normal(draft: Draft) -> Iterator[Problem]:
    """A normal impression after findings that are none."""
    last = [s for s in draft.sentences if s.section == "impression"]
    if not last or not all(_NORMAL.match(draft.text[s.start : s.end]) for s in last):
        return
    for statement in draft.statements:
        alarming = statement.section == "findings" and statement.key in ALARMING
        if alarming and _there(statement.finding):
            where = _short(draft.text[last[0].start : last[0].end])
            yield _at(draft, statement, ProblemKind.CONTRADICTION, f"the impression says “{where}”")


def _holes(draft: Draft) -> Iterator[Problem]:
    for match in _empty(draft.code).finditer(draft.text):
        reason = "a heading with nothing under it"
        yield Problem(ProblemKind.OMISSION, match.span(), match[0], reason, Grade.ERROR)
    for pattern, reason in _HOLES:
        for match in pattern.finditer(draft.text):
            yield Problem(ProblemKind.OMISSION, match.span(), match[0], reason, Grade.ERROR)


def _repeated(draft: Draft) -> Iterator[Problem]:
    for match in _TWICE.finditer(draft.text):
        if match[1].lower() not in _MAY_REPEAT:
            yield Problem(ProblemKind.INSERTION, match.span(), match[0], "a word twice", Grade.ERROR)
    seen: dict[tuple[str, str], tuple[int, int]] = {}
    for piece in draft.body():
        words = " ".join(draft.text[piece.start : piece.end].lower().split())
        if len(words) > 20 and (piece.section, words) in seen:
            span = piece.start, piece.end
            yield Problem(ProblemKind.INSERTION, span, draft.words(span), "a sentence twice", Grade.WARNING)
        seen[piece.section, words] = piece.start, piece.end


def unsupported(draft: Draft) -> Iterator[Problem]:
    """What the impression states without the findings, and what is critical and not in the impression."""
    findings = [s for s in draft.statements if s.section == "findings"]
    impression = [s for s in draft.statements if s.section == "impression"]
    if not findings or not impression:
        return
    known = {s.key for s in findings if positive(s.finding)}
    for statement in impression:
        entry = observation(statement.key)
        support = {entry.key, *(entry.support if entry.kind is Kind.INFERENCE else ())}
        support |= next((kin for kin in KIN if entry.key in kin), frozenset())
        # What is only held possible is read into something else that the findings name.
        if _there(statement.finding) and not support & known:
            denial = next((s for s in findings if _general(draft, s, statement)), None)
            if denial is not None:
                where = _short(draft.words(denial.span))
                yield _at(draft, statement, ProblemKind.CONTRADICTION, f"the findings say “{where}”")
                continue
            reason = "the findings do not state it"
            yield _at(draft, statement, ProblemKind.UNSUPPORTED, reason, Grade.WARNING)
    told = {s.key for s in impression}
    for statement in findings:
        category = statement.finding.actionable or observation(statement.key).actionable
        if category in HIGH and _there(statement.finding) and statement.key not in told:
            reason = f"ACR actionable category {category}, and not in the impression"
            yield _at(draft, statement, ProblemKind.OMISSION, reason, Grade.WARNING)
            told.add(statement.key)


def _general(draft: Draft, denial: Statement, claim: Statement) -> bool:
    """Whether a denial is of all that the claim is one of: "no fracture" and a skull fracture."""
    same = denial.key == claim.key or claim.key in KINDS.get(denial.key, ())
    plain = same and negative(denial.finding) and _denies(draft, denial)
    return plain and covers(denial.finding, claim.finding)


_MOST = 50


def _short(text: str, most: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _at(
    draft: Draft, statement: Statement, kind: ProblemKind, reason: str, grade: Grade = Grade.ERROR
) -> Problem:
    return Problem(kind, statement.span, draft.words(statement.span), reason, grade, statement.finding)
