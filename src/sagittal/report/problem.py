"""A problem that `sagittal.report.check` sees in a draft: what, where, why, and how bad."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sagittal.report.finding import Finding


class Grade(StrEnum):
    """How bad: an error is wrong or very likely so, a warning wants a look, style is wording."""

    ERROR = "error"
    WARNING = "warning"
    STYLE = "style"


class ProblemKind(StrEnum):
    """What is wrong."""

    OMISSION = "omission"
    INSERTION = "insertion"
    SPELLING = "spelling"
    SIDE = "side"
    CONTRADICTION = "contradiction"
    SIZE = "size"
    SITE = "site"
    PATIENT = "sex or age"
    UNSUPPORTED = "impression without support"
    COMPARISON = "comparison without a prior"
    FOLLOW_UP = "missing follow-up"
    COMMUNICATION = "missing communication"
    NOT_ASSESSED = "not assessed"
    HEDGE = "hedge"


GERTZ = {
    ProblemKind.OMISSION: "omission",
    ProblemKind.INSERTION: "insertion",
    ProblemKind.SPELLING: "spelling",
    ProblemKind.SIDE: "side confusion",
}
"""The error types of Gertz et al., Radiology 2024;311(1):e232714; every other kind is "other"."""


@dataclass(frozen=True)
class Problem:
    """One problem of a draft.

    Args:
        span: (start, end) in the draft; empty, at the place where it should stand, for what is missing.
        text: the draft's words there; for what is missing, the words that would state it.
        reason: one sentence with the rule or the source of the limit.
        finding: the finding of the evidence, or else of the draft, that it is about.
        suggestion: what may have been meant (a spelling).
    """

    kind: ProblemKind
    span: tuple[int, int]
    text: str
    reason: str
    severity: Grade
    finding: Finding | None = None
    suggestion: str | None = None

    @property
    def error_type(self) -> str:
        """Gertz's type: omission, insertion, spelling, side confusion or other."""
        return GERTZ.get(self.kind, "other")
