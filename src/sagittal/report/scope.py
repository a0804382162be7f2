"""How far negation, certainty and time reach in a clause."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sagittal.report.attach import Clause
from sagittal.report.finding import Certainty, Laterality, Presence, Temporality
from sagittal.report.lexicon import Hit
from sagittal.report.vocabulary import observation

DEVICES = "devices"
"""The group of the vocabulary whose things stay where a procedure put them."""

_QUESTION = re.compile(r"\s?\?")


@dataclass(frozen=True)
class Said:
    """What a text says of one phrase: whether it is there, how sure, and of when or whom."""

    presence: Presence
    certainty: Certainty | None = None
    temporality: Temporality = Temporality.CURRENT

    @property
    def word(self) -> Literal["present", "absent", "uncertain", "historical"]:
        """One word for it.

        What is denied is absent, whenever. Of what is not: a history, the patient's or a relative's,
        is historical; a question ("evaluate for", "if"), what was not assessed and what is at most
        possible is uncertain; the probable is present.
        """
        if self.presence is Presence.ABSENT:
            return "absent"
        if self.temporality in (Temporality.HISTORICAL, Temporality.FAMILY):
            return "historical"
        if self.presence is Presence.PRESENT and self.temporality is Temporality.CURRENT:
            return "present"
        return "uncertain"


def _listed(clause: Clause, start: int, hit: Hit) -> bool:
    """Whether ``hit`` follows ``start`` without a new statement: no comma, or a list."""
    cues, gap = clause.language.cues, clause.text[start : hit.start]
    if cues.finite.search(gap) or cues.negation_end.search(gap):
        return False
    if "," not in gap or cues.or_.match(gap[gap.rfind(",") + 1 :]):
        return True
    rest = list(gap)
    for other in clause.hits:
        if start <= other.start and other.end <= hit.start:
            rest[other.start - start : other.end - start] = " " * (other.end - other.start)
    return cues.glue.fullmatch("".join(rest)) is not None or _in_series(clause, start, hit)


_ITEM = 6
"""Most words of an item of a series."""


def _in_series(clause: Clause, start: int, hit: Hit) -> bool:
    """Whether ``hit`` stands in a series that begins at ``start`` ("diabetes, gout, and asthma"): short
    items without a verb, a grade or a change, joined by a word before the last."""
    cues, at = clause.language.cues, start
    for number, item in enumerate(clause.text[start : clause.end].split(",")):
        end = at + len(item)
        if cues.or_.match(item) or cues.coordinated.match(item) or (number and cues.joined.search(item)):
            return hit.start < end
        if len(item.split()) > _ITEM or cues.finite.search(item) or cues.with_.search(item):
            return False
        if number and (cues.change.pattern.search(item) or cues.severity.pattern.search(item)):
            return False
        at = end + 1
    return False


def _negated(clause: Clause, hit: Hit) -> re.Match[str] | None:
    """The negation that reaches ``hit`` from before it."""
    cues = clause.language.cues
    for match in clause.leading(cues.negation_near, hit.start):
        if not clause.text[match.end() : hit.start].strip():
            return match
    for match in clause.leading(cues.negation_before, hit.start):
        gap = clause.text[match.end() : hit.start]
        if cues.negation_end.search(gap) or cues.cause.search(gap) or _pseudo(clause, match):
            continue
        comma = gap.rfind(",")
        if comma >= 0:
            start = match.end() + comma + 1
            stop = clause.text.find(",", hit.end, clause.end)
            last = clause.text[start : clause.end if stop < 0 else stop]
            if cues.finite.search(last) and not cues.coordinated.match(last):
                continue
        return match
    return None


def _pseudo(clause: Clause, negation: re.Match[str]) -> bool:
    """Whether it only looks like a negation: "no change in …", not "no emphysematous change"."""
    for match in clause.found(clause.language.cues.negation_pseudo):
        if match.start() <= negation.start() < match.end() and not clause.inside(*match.span()):
            return True
    return False


def _denied(clause: Clause, hit: Hit, pattern: re.Pattern[str]) -> bool:
    """Whether ``pattern`` after ``hit`` speaks of it: no other statement between."""
    cues = clause.language.cues
    for match in clause.trailing(pattern, hit.end):
        gap = clause.text[hit.end : match.start()]
        if not cues.finite.search(gap) and not cues.with_.search(gap):
            return True
    return False


def _speaks_back(clause: Clause, word: Certainty | None, match: re.Match[str]) -> int | None:
    """Where the verb of a closing certainty begins ("… is unlikely"); None if the word looks ahead."""
    cues = clause.language.cues
    lead = cues.certainty_after.search(clause.text, max(clause.start, match.start() - 20), match.start())
    start = lead.start() if lead else match.start()
    if cues.always_after.search(match[0]):
        return start
    closing = word in (Certainty.LESS_LIKELY, Certainty.UNLIKELY)
    follows = bool(clause.hits) and clause.hits[-1].start >= match.end()
    return start if lead and (closing or not follows) else None


_STOPPED = re.compile(r"\s*(?:$|[,.;)])")


def _closes(clause: Clause, hit: Hit, match: re.Match[str]) -> bool:
    """Whether a certainty word stands last, and of ``hit`` alone ("épanchement gauche probable")."""
    gap = clause.text[hit.end : match.start()]
    alone = not any(hit.end <= other.start for other in clause.hits)
    return alone and "," not in gap and _STOPPED.match(clause.text, match.end(), clause.end) is not None


def _certainties(clause: Clause, hit: Hit) -> Iterator[tuple[int, int, Certainty | None, bool]]:
    """(distance, place, word, after) of each certainty word that reaches ``hit``."""
    cues = clause.language.cues
    for word, pattern in cues.certainty:
        if not clause.found(pattern):
            continue
        for match in clause.leading(pattern, hit.start):
            if _speaks_back(clause, word, match) is None and _listed(clause, match.end(), hit):
                yield hit.start - match.end(), match.end(), word, False
        if hit.pattern:
            # "The heart is possibly enlarged": the word stands inside those of the observation.
            for match in clause.found(pattern):
                if hit.start <= match.start() and match.end() <= hit.end:
                    yield 0, match.start(), word, False
        for match in clause.trailing(pattern, hit.end):
            verb = _speaks_back(clause, word, match)
            if verb is None and _closes(clause, hit, match):
                verb = match.start()
            if verb is not None and not cues.finite.search(clause.text[hit.end : max(hit.end, verb)]):
                yield match.start() - hit.end, match.start(), word, True


def _reached(clause: Clause, hit: Hit, pattern: re.Pattern[str]) -> bool:
    return any(_listed(clause, match.end(), hit) for match in clause.leading(pattern, hit.start))


def _done(clause: Clause, hit: Hit) -> bool:
    """Whether a procedure's name, and no more, stands between "status post" and ``hit``."""
    cues = clause.language.cues
    for match in clause.leading(cues.done, hit.start):
        gap = clause.text[match.end() : hit.start]
        if "," not in gap and not cues.with_.search(gap) and _listed(clause, match.end(), hit):
            return True
    return False


def _later(clause: Clause, hit: Hit) -> Temporality | None:
    """What follows it says: whose it is ("in his mother"), or that a year follows at once ("a PE in 2019")
    and nothing is compared with it."""
    cues = clause.language.cues
    for match in clause.trailing(cues.later.pattern, hit.end)[:1]:
        gap, when = clause.text[hit.end : match.start()], cues.later.value(match)
        if when is Temporality.HISTORICAL:
            near = len(gap.split()) <= 2 and "," not in gap
            return when if near and not clause.found(cues.change.pattern) else None
        return None if cues.finite.search(gap) or cues.with_.search(gap) else when
    return None


def _former(clause: Clause, hit: Hit) -> bool:
    """Whether the clause speaks of a history of ``hit``."""
    cues = clause.language.cues
    if _reached(clause, hit, cues.historical):
        return True
    if _done(clause, hit):
        device = bool(hit.keys[0]) and observation(hit.keys[0]).group == DEVICES
        return not device and not cues.placed.match(clause.text, hit.end + 1, clause.end)
    if clause.found(cues.change.pattern):
        return False
    gap = (clause.text[m.end() : hit.start] for m in clause.leading(cues.formerly, hit.start))
    return any(not between.strip() for between in gap)


def assertion(clause: Clause, hit: Hit, section: str) -> Said:
    """Presence, certainty and temporality of ``hit`` in its clause."""
    text, cues = clause.text, clause.language.cues
    colon = clause.leading(cues.not_assessed_colon, hit.start)
    if (
        colon
        or section == "not assessed"
        or _reached(clause, hit, cues.not_assessed_before)
        or _denied(clause, hit, cues.not_assessed_after)
    ):
        return Said(Presence.NOT_ASSESSED, None, Temporality.CURRENT)
    when = Temporality.HYPOTHETICAL if section == "indication" else Temporality.CURRENT
    later = _later(clause, hit)
    if _reached(clause, hit, cues.family) or later is Temporality.FAMILY:
        when = Temporality.FAMILY
    elif later is not None or _former(clause, hit):
        when = Temporality.HISTORICAL
    elif _reached(clause, hit, cues.hypothetical):
        when = Temporality.HYPOTHETICAL
    if hit.pattern and cues.negation_inside.search(text, hit.start, hit.end):
        # "The heart is not significantly enlarged": the negation stands inside the observation's words.
        return Said(Presence.ABSENT, None, when)
    negation = _negated(clause, hit)
    nearest = min(_certainties(clause, hit), default=None, key=lambda c: c[0])
    if negation is not None:
        word = None
        if nearest is not None:
            _, at, said, after = nearest
            # "Probable absence of", "absence of … is unlikely"; not "no … to suggest …".
            close = not after and not text[at : negation.start()].strip() and at <= negation.start()
            word = said if close or (after and cues.absence.match(negation[0])) else None
        return Said(Presence.ABSENT, word, when)
    if _denied(clause, hit, cues.negation_after) and not (nearest and nearest[3]):
        return Said(Presence.ABSENT, None, when)
    if nearest is None and _QUESTION.match(text, hit.end, clause.end):
        return Said(Presence.UNCERTAIN, Certainty.POSSIBLE, when)
    if nearest is None:
        return Said(Presence.PRESENT, None, when)
    word = nearest[2]
    return Said(Presence.UNCERTAIN if word is None else Presence.PRESENT, word, when)


def normal(clause: Clause) -> Iterator[Hit]:
    """Observations that a normal statement denies: "heart size is normal", "lungs are clear"."""
    cues = clause.language.cues
    for key, pattern in cues.subjects:
        for match in clause.found(pattern):
            if clause.inside(*match.span()) is not None or cues.partly.search(
                clause.text, clause.start, match.start()
            ):
                continue
            lead = cues.normal_before.search(clause.text, clause.start, match.start())
            tail = cues.normal_after.match(clause.text, match.end(), clause.end)
            if cues.normal_part.match(clause.text, match.end(), clause.end):
                # "The lung bases are clear" says nothing of the rest of the lungs.
                continue
            side = _one_side(clause, key, match.start())
            if tail is not None and not any(match.end() <= h.start < tail.end() for h in clause.hits):
                yield Hit(match.start(), tail.end(), (key,), side=side)
            elif lead is not None:
                yield Hit(lead.start(), match.end(), (key,), side=side)


def _one_side(clause: Clause, key: str, start: int) -> Laterality | None:
    """The one side that a normal statement is about ("the right lung is clear")."""
    before = clause.language.cues.one_side.search(clause.text, clause.start, start)
    if before is None or observation(key).laterality != "sided":
        return None
    side = clause.language.cues.side.pattern.search(before[0])
    return clause.language.cues.side.value(side) if side else None
