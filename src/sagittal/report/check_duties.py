"""What a report owes: a prior for what it compares, a recommendation, a call for what is critical."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sagittal.report.check_difference import lengths
from sagittal.report.check_patient import Patient
from sagittal.report.finding import Certainty, Presence
from sagittal.report.problem import Grade, Problem, ProblemKind
from sagittal.report.statement import Draft, Statement, positive
from sagittal.report.vocabulary import observation

_NO_PRIOR = re.compile(
    r"^\W*(?:none|no(?:ne)?\s+(?:available|prior|previous|relevant|comparisons?)\b.*|not\s+available|n/?a|"
    r"(?:there\s+(?:is|are)\s+)?no\s+(?:comparison|prior|previous)\b.*|nil|unavailable)\W*$",
    re.IGNORECASE,
)
_CLAIM = re.compile(
    r"\b(?:(?:un|not\s+(?:\w+ly\s+)?)changed|no\s+(?:\w+\s+)?(?:interval\s+)?change|interval\s+(?:change|increase|"
    r"decrease|development|resolution|improvement|worsening)|(?:compared|comparison)\s+(?:to|with)\s+(?:the\s+)?"
    r"(?:\w+\s+){0,2}?(?:prior|previous|earlier|old|last)|since\s+(?:the\s+)?(?:prior|previous|last)|"
    r"(?:larger|smaller|increased|decreased|stable|new)\s+(?:since|compared|from)\b|"
    r"(?:prior|previous|earlier)\s+(?:stud(?:y|ies)|exam\w*|ct|mri?|radiographs?|films?|x-?rays?)\b)",
    re.IGNORECASE,
)
_RECOMMENDED = re.compile(
    r"recommend|follow[\s-]?up|biops|surveillance|\bPET\b|advis|suggest\w*\s+(?:ct|pet|repeat|further)|"
    r"\b(?:repeat|further)\s+(?:ct|imaging|evaluation|study)|short[\s-]term|should\s+be",
    re.IGNORECASE,
)
_COMMUNICATED = re.compile(
    r"\b(?:discussed\s+with|communicat\w+|notif\w+|informed|called|telephon\w+|phoned|paged|relayed|conveyed|"
    r"reported\s+(?:to|by)|veriphy|critical\s+results?|alerted|told\s+to|spoke\s+with)\b",
    re.IGNORECASE,
)
_CT = re.compile(r"\b(?:CT|computed\s+tomograph\w*|tomograph\w*)\b")
_CANCER = re.compile(
    r"\b(?:cancer|carcinoma|malignan\w+|metasta\w+|lymphoma|sarcoma|melanoma|immunosuppress\w*|immunocompromis\w*"
    r"|screening|transplant)\b|\bca\b",
    re.IGNORECASE,
)
FLEISCHNER_MM, FLEISCHNER_YEARS = 6.0, 35.0
FLEISCHNER = "Fleischner Society 2017"
HIGH = (1, 2)
"""ACR actionable categories whose findings are told at once: within minutes and within hours."""


@dataclass(frozen=True)
class Circumstances:
    """What is known beside the text.

    Args:
        priors: number of earlier studies; None where it is not known.
        modalities: of the study's series ("CT", "DX"); empty where they are not known.
        communicated: something was told to someone, outside the text.
        recommended: there are recommendations outside the text.
    """

    priors: int | None = None
    modalities: frozenset[str] = frozenset()
    communicated: bool = False
    recommended: bool = False


def duties(draft: Draft, known: Circumstances, who: Patient) -> Iterator[Problem]:
    """Comparisons without a prior; nodules without a recommendation; critical findings told to nobody."""
    yield from _comparisons(draft, known)
    yield from _follow_up(draft, known, who)
    yield from _communication(draft, known)


def _comparisons(draft: Draft, known: Circumstances) -> Iterator[Problem]:
    said = draft.section("comparison")
    none = bool(_NO_PRIOR.match(said)) if said.strip() else False
    if known.priors == 0 and not said.strip():
        none = True
    if not none and known.priors != 0:
        return
    reason = "no prior study is named" if none else "the study has no prior"
    for piece in draft.body():
        if match := _CLAIM.search(draft.text, piece.start, piece.end):
            yield Problem(ProblemKind.COMPARISON, match.span(), match[0], reason, Grade.WARNING)


def _follow_up(draft: Draft, known: Circumstances, who: Patient) -> Iterator[Problem]:
    is_ct = "CT" in known.modalities if known.modalities else bool(_CT.search(draft.section("technique", "")))
    if not is_ct or known.recommended or _RECOMMENDED.search(draft.text):
        return
    if (who.age_years is not None and who.age_years < FLEISCHNER_YEARS) or _CANCER.search(draft.text):
        # Fleischner does not speak of the young, of cancer, of suppressed immunity or of screening.
        return
    for statement in draft.statements:
        if statement.key == "nodule" and positive(statement.finding) and _sure(statement):
            mean = max(
                (sum(v) / len(v) for m in statement.finding.measurements if (v := lengths(m)[:2])), default=0
            )
            calcified = ("density", "calcified") in statement.finding.attributes
            if mean >= FLEISCHNER_MM and not calcified:
                reason = f"a nodule of {mean:.0f} mm without a recommendation ({FLEISCHNER}: 6 mm or more)"
                yield _problem(draft, statement, ProblemKind.FOLLOW_UP, reason)
                return


def _communication(draft: Draft, known: Circumstances) -> Iterator[Problem]:
    if known.communicated or _COMMUNICATED.search(draft.text):
        return
    told: set[str] = set()
    for statement in draft.statements:
        category = statement.finding.actionable or observation(statement.key).actionable
        if (
            category in HIGH
            and positive(statement.finding)
            and _sure(statement)
            and statement.key not in told
        ):
            told.add(statement.key)
            when = "minutes" if category == 1 else "hours"
            reason = f"ACR actionable category {category} ({when}): say who was told, when and how"
            yield _problem(draft, statement, ProblemKind.COMMUNICATION, reason)


def _sure(statement: Statement) -> bool:
    finding = statement.finding
    stable = finding.change is not None and finding.change.kind.value in ("stable", "smaller", "resolved")
    return (
        finding.presence is Presence.PRESENT
        and finding.certainty in (None, Certainty.CONSISTENT_WITH, Certainty.PROBABLE)
        and not stable
    )


def _problem(draft: Draft, statement: Statement, kind: ProblemKind, reason: str) -> Problem:
    return Problem(
        kind, statement.span, draft.words(statement.span), reason, Grade.WARNING, statement.finding
    )
