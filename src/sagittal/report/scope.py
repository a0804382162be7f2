"""How far negation, certainty and time reach in a clause."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sagittal.report import cues
from sagittal.report.attach import Clause
from sagittal.report.finding import Certainty, Laterality, Presence, Temporality
from sagittal.report.lexicon import Hit
from sagittal.report.vocabulary import observation

_QUESTION = re.compile(r"\s?\?")
_PARTLY = re.compile(r"\b(?:otherwise|remainder|remaining|rest)\b", re.IGNORECASE)
_OR = re.compile(r"\s*or\b", re.IGNORECASE)
_WITH = re.compile(r"\bwith\b(?!in|out)", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not|never|no\s+longer)\b", re.IGNORECASE)
_GLUE = re.compile(r"(?:\W|\b(?:and|or|nor|the|an?|versus|vs|any)\b)*", re.IGNORECASE)


@dataclass(frozen=True)
class Assertion:
    """What the clause asserts of one observation."""

    presence: Presence
    certainty: Certainty | None
    temporality: Temporality


def _listed(clause: Clause, start: int, hit: Hit) -> bool:
    """Whether ``hit`` follows ``start`` without a new statement: no comma, or a list."""
    gap = clause.text[start : hit.start]
    if cues.FINITE.search(gap) or cues.NEGATION_END.search(gap):
        return False
    if "," not in gap or _OR.match(gap[gap.rfind(",") + 1 :]):
        return True
    rest = list(gap)
    for other in clause.hits:
        if start <= other.start and other.end <= hit.start:
            rest[other.start - start : other.end - start] = " " * (other.end - other.start)
    return _GLUE.fullmatch("".join(rest)) is not None


def _negated(clause: Clause, hit: Hit) -> re.Match[str] | None:
    """The negation that reaches ``hit`` from before it."""
    for match in clause.leading(cues.NEGATION_BEFORE, hit.start):
        gap = clause.text[match.end() : hit.start]
        if cues.NEGATION_END.search(gap):
            continue
        comma = gap.rfind(",")
        if comma >= 0:
            start = match.end() + comma + 1
            stop = clause.text.find(",", hit.end, clause.end)
            last = clause.text[start : clause.end if stop < 0 else stop]
            if cues.FINITE.search(last) and not cues.COORDINATED.match(last):
                continue
        return match
    return None


def _denied(clause: Clause, hit: Hit, pattern: re.Pattern[str]) -> bool:
    """Whether ``pattern`` after ``hit`` speaks of it: no other statement between."""
    for match in clause.trailing(pattern, hit.end):
        gap = clause.text[hit.end : match.start()]
        if not cues.FINITE.search(gap) and not _WITH.search(gap):
            return True
    return False


def _speaks_back(clause: Clause, word: Certainty | None, match: re.Match[str]) -> int | None:
    """Where the verb of a closing certainty begins ("… is unlikely"); None if the word looks ahead."""
    lead = cues.CERTAINTY_AFTER.search(clause.text, max(clause.start, match.start() - 20), match.start())
    start = lead.start() if lead else match.start()
    if cues.ALWAYS_AFTER.search(match[0]):
        return start
    closing = word in (Certainty.LESS_LIKELY, Certainty.UNLIKELY)
    follows = bool(clause.hits) and clause.hits[-1].start >= match.end()
    return start if lead and (closing or not follows) else None


def _certainties(clause: Clause, hit: Hit) -> Iterator[tuple[int, int, Certainty | None, bool]]:
    """(distance, place, word, after) of each certainty word that reaches ``hit``."""
    for word, pattern in cues.CERTAINTY:
        for match in clause.leading(pattern, hit.start):
            if _speaks_back(clause, word, match) is None and _listed(clause, match.end(), hit):
                yield hit.start - match.end(), match.end(), word, False
        for match in clause.trailing(pattern, hit.end):
            verb = _speaks_back(clause, word, match)
            if verb is not None and not cues.FINITE.search(clause.text[hit.end : max(hit.end, verb)]):
                yield match.start() - hit.end, match.start(), word, True


def _reached(clause: Clause, hit: Hit, pattern: re.Pattern[str]) -> bool:
    return any(_listed(clause, match.end(), hit) for match in clause.leading(pattern, hit.start))


def assertion(clause: Clause, hit: Hit, section: str) -> Assertion:
    """Presence, certainty and temporality of ``hit`` in its clause."""
    text = clause.text
    colon = clause.leading(cues.NOT_ASSESSED_COLON, hit.start)
    if (
        colon
        or section == "not assessed"
        or _reached(clause, hit, cues.NOT_ASSESSED_BEFORE)
        or _denied(clause, hit, cues.NOT_ASSESSED_AFTER)
    ):
        return Assertion(Presence.NOT_ASSESSED, None, Temporality.CURRENT)
    when = Temporality.HYPOTHETICAL if section == "indication" else Temporality.CURRENT
    if _reached(clause, hit, cues.FAMILY):
        when = Temporality.FAMILY
    elif _reached(clause, hit, cues.HISTORICAL):
        when = Temporality.HISTORICAL
    elif _reached(clause, hit, cues.HYPOTHETICAL):
        when = Temporality.HYPOTHETICAL
    if hit.pattern and _NOT.search(text, hit.start, hit.end):
        # "The heart is not significantly enlarged": the negation stands inside the observation's words.
        return Assertion(Presence.ABSENT, None, when)
    negation = _negated(clause, hit)
    nearest = min(_certainties(clause, hit), default=None, key=lambda c: c[0])
    if negation is not None:
        word = None
        if nearest is not None:
            _, at, said, after = nearest
            # "Probable absence of", "absence of … is unlikely"; not "no … to suggest …".
            close = not after and not text[at : negation.start()].strip() and at <= negation.start()
            word = said if close or (after and negation[0].lower().startswith("absence")) else None
        return Assertion(Presence.ABSENT, word, when)
    if _denied(clause, hit, cues.NEGATION_AFTER) and not (nearest and nearest[3]):
        return Assertion(Presence.ABSENT, None, when)
    if nearest is None and _QUESTION.match(text, hit.end, clause.end):
        return Assertion(Presence.UNCERTAIN, Certainty.POSSIBLE, when)
    if nearest is None:
        return Assertion(Presence.PRESENT, None, when)
    word = nearest[2]
    return Assertion(Presence.UNCERTAIN if word is None else Presence.PRESENT, word, when)


def normal(clause: Clause) -> Iterator[Hit]:
    """Observations that a normal statement denies: "heart size is normal", "lungs are clear"."""
    for key, pattern in cues.SUBJECTS:
        for match in clause.found(pattern):
            if clause.inside(*match.span()) is not None or _PARTLY.search(
                clause.text, clause.start, match.start()
            ):
                continue
            lead = cues.NORMAL_BEFORE.search(clause.text, clause.start, match.start())
            tail = cues.NORMAL_AFTER.match(clause.text, match.end(), clause.end)
            if cues.PART.match(clause.text, match.end(), clause.end):
                # "The lung bases are clear" says nothing of the rest of the lungs.
                continue
            side = _one_side(clause, key, match.start())
            if tail is not None and not any(match.end() <= h.start < tail.end() for h in clause.hits):
                yield Hit(match.start(), tail.end(), (key,), side=side)
            elif lead is not None:
                yield Hit(lead.start(), match.end(), (key,), side=side)


def _one_side(clause: Clause, key: str, start: int) -> Laterality | None:
    """The one side that a normal statement is about ("the right lung is clear")."""
    before = cues.ONE_SIDE.search(clause.text, clause.start, start)
    if before is None or observation(key).laterality != "sided":
        return None
    return Laterality(before[1].lower())
