"""Hedges that the house forbids (CLINICAL rule 4), listed in ``languages/*.toml``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sagittal.report.names import DEFAULT
from sagittal.report.problem import Grade, Problem, ProblemKind
from sagittal.report.statement import Draft, listed

_TERMS = {
    "consistent with": r"consistent\s+with|compatible\s+with|in\s+keeping\s+with",
    "probable": r"probabl[ey]|(?<!less )(?<!un)likely|suggest(?:s|ive|ing|ed)?(?!\w)",
    "possible": r"possibl[ey]|may|might|could(?!\s+not)|perhaps|questionable",
    "less likely": r"less\s+likely",
    "unlikely": r"unlikely|doubtful",
}
_TERM = re.compile("|".join(rf"\b(?P<t{i}>{p})\b" for i, p in enumerate(_TERMS.values())), re.IGNORECASE)


def style(draft: Draft) -> Iterator[Problem]:
    """Phrases that say nothing, and (in English) sentences with more than one certainty term."""
    forbidden = listed(draft.code, "hedges")
    for piece in draft.body():
        for match in forbidden.finditer(draft.text, piece.start, piece.end):
            reason = "a hedge that the house does not write: say how likely, or what to do"
            yield Problem(ProblemKind.HEDGE, match.span(), match[0], reason, Grade.STYLE)
        if draft.code != DEFAULT:
            continue
        terms = list(_TERM.finditer(draft.text, piece.start, piece.end))
        if len({match.lastgroup for match in terms}) > 1:
            span = terms[0].start(), terms[-1].end()
            reason = "more than one certainty term in a sentence"
            yield Problem(ProblemKind.HEDGE, span, draft.text[span[0] : span[1]], reason, Grade.STYLE)
