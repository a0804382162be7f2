"""What of a language model's answer the findings support.

An answer is cut into sentences, each is parsed again, and it stays only if

- every finding it states is one of ours: same thing, presence, certainty, side, size, time and change;
- every word, number and sign in it is a name of those findings, a word of the grammar's own sentences,
  or a word that says the same ("likely" for what is probable), listed in ``wording.toml``.

What is missing then is put back in the grammar's own words. So a model can join, reorder and reword,
and cannot add, drop or change anything, whoever told it to.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from sagittal.report.finding import Finding, Measurement, Presence
from sagittal.report.grammar import capital
from sagittal.report.language import language as language_of
from sagittal.report.names import names, site_names
from sagittal.report.report import Sentence
from sagittal.report.vocabulary import observation

MAX_RECORDED = 300
"""Characters of a removed statement that are kept as a record."""
MAX_ANSWER = 20_000
"""Characters of an answer that are looked at."""
MAX_SENTENCES = 100
SIGNS = frozenset(".,;:()-–/'’%×")

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.)](?=\s))\s*")
_EMPHASIS = re.compile(r"\*\*|__|`")
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d+")
_HEADING = re.compile(r"^\s*([^\W\d_]{3,20}):\s*")
_FENCE = re.compile(r"^\s*```\w*\s*|\s*```\s*$")
_ROUND = ' \t"“”„«»[]{},'
_END = re.compile(r"(?<=[.!?])\s+")

Read = Callable[[str], list[Finding]]
"""What a sentence states, in stated form."""


@dataclass(frozen=True)
class Statement:
    """A sentence of the grammar with what it states.

    Args:
        findings: in stated form, as `parse` reads them; none: the sentence stays as it is.
        required: it is put back where an answer lacks it.
    """

    sentence: Sentence
    findings: tuple[Finding, ...] = ()
    required: bool = True


@dataclass(frozen=True)
class Removed:
    """A statement that was taken out of an answer, and why."""

    text: str
    reason: str


@dataclass(frozen=True)
class Checked:
    """What stands, in the grammar's order; what was taken out; what was put back."""

    sentences: tuple[Sentence, ...]
    removed: tuple[Removed, ...]
    restored: tuple[Sentence, ...]


@dataclass(frozen=True)
class _Kept:
    text: str
    claims: tuple[tuple[int, int], ...]
    """(statement, finding in it)."""


def checked(
    answer: str, statements: Sequence[Statement], read: Read, *, language: str = "en", exact: bool = True
) -> Checked:
    """The supported part of ``answer``, completed from ``statements``.

    Args:
        read: how a sentence is read again.
        exact: a sentence must say all of a finding; otherwise it may leave out where exactly, what
            it looks like and since when (for a summary), never presence, certainty, side and size.
    """
    same = _equal if exact else _summed_up
    kept: list[_Kept] = []
    removed: list[Removed] = []
    claimed: set[tuple[int, int]] = set()
    for text in split(answer, language):
        found = read(text)
        claims, reason = _claims(found, statements, claimed, same)
        if not reason:
            reason = _unsaid(text, [statements[i] for i, _ in claims], found, language)
        if reason:
            removed.append(Removed(text[:MAX_RECORDED], reason))
        else:
            kept.append(_Kept(text, tuple(claims)))
            claimed |= set(claims)
    kept, dropped = _whole(kept, statements)
    return _completed(kept, [*removed, *dropped], statements)


def split(answer: str, language: str = "en") -> list[str]:
    """Sentences of an answer, each once, without headings, marks of lists, quotation or emphasis, JSON
    round them, or thinking aloud; at most `MAX_SENTENCES`."""
    headings = _words(wording(language).get("headings", ""))
    found: dict[str, None] = {}
    for line in _lines(_THOUGHT.sub("\n", answer[:MAX_ANSWER])):
        line = _BULLET.sub("", _EMPHASIS.sub("", line)).strip(_ROUND)
        heading = _HEADING.match(line)
        if heading and heading[1].casefold() in headings:
            line = line[heading.end() :].strip(_ROUND)
        pieces = (" ".join(piece.split()).lstrip(",;: ") for piece in _END.split(line))
        found |= {_sentence(piece, language): None for piece in pieces if any(c.isalnum() for c in piece)}
    return list(found)[:MAX_SENTENCES]


def _lines(answer: str) -> list[str]:
    """The lines of an answer; of one that is JSON, its strings."""
    try:
        value = json.loads(_FENCE.sub("", answer))
    except (ValueError, RecursionError):
        return answer.splitlines()
    found: list[str] = []
    waiting = [value]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, str):
            found += one.splitlines()
        elif isinstance(one, list | dict):
            waiting = [*(one.values() if isinstance(one, dict) else one), *waiting]
    return found


def _sentence(text: str, language: str) -> str:
    return capital(text, language_of(language)) + ("" if text.endswith((".", "!", "?")) else ".")


Same = Callable[[Finding, Finding], bool]


def _claims(
    found: Sequence[Finding], statements: Sequence[Statement], taken: set[tuple[int, int]], same: Same
) -> tuple[list[tuple[int, int]], str]:
    """Which findings of ours a sentence states; or why it may not stand."""
    if not found:
        return [], "states no finding"
    ours = [((i, j), f) for i, s in enumerate(statements) for j, f in enumerate(s.findings)]
    claims: list[tuple[int, int]] = []
    for said in found:
        fits = [place for place, finding in ours if same(said, finding)]
        free = [place for place in fits if place not in taken and place not in claims]
        if free:
            claims.append(free[0])
        elif fits:
            return [], f"says {_term(said)} again"
        else:
            return [], _difference(said, [finding for _, finding in ours])
    return claims, ""


def _term(finding: Finding) -> str:
    return observation(finding.observation.key).term


_FACETS = (
    "presence",
    "certainty",
    "temporality",
    "laterality",
    "site",
    "measurements",
    "severity",
    "count",
    "change",
    "attributes",
)


def _difference(said: Finding, ours: Sequence[Finding]) -> str:
    """Why nothing supports what was said: the facets in which the nearest of our findings differs."""
    like = [f for f in ours if f.observation.key == said.observation.key]
    if not like:
        return f"no finding supports {_term(said)}"
    apart = [[name for name in _FACETS if getattr(said, name) != getattr(f, name)] for f in like]
    fewest = sorted(apart, key=len)[0]
    return f"{_term(said)}: another {', '.join(fewest)}"


def _equal(said: Finding, finding: Finding) -> bool:
    return said == finding


def _amounts(measurements: Iterable[Measurement]) -> Counter[tuple[str, tuple[float, ...], str]]:
    return Counter((m.quantity, m.values, m.unit) for m in measurements)


def _summed_up(said: Finding, finding: Finding) -> bool:
    """Whether ``said`` is the finding, perhaps without place, looks, number, grade or date."""
    kept = (
        said.observation == finding.observation
        and said.presence is finding.presence
        and said.certainty is finding.certainty
        and said.temporality is finding.temporality
        and said.laterality is finding.laterality
        and _amounts(said.measurements) == _amounts(finding.measurements)
        and (said.change.kind if said.change else None) == (finding.change.kind if finding.change else None)
    )
    return (
        kept
        and said.site in (None, finding.site)
        and said.severity in (None, finding.severity)
        and said.count in (None, finding.count)
        and set(said.attributes) <= set(finding.attributes)
    )


def _whole(kept: list[_Kept], statements: Sequence[Statement]) -> tuple[list[_Kept], list[Removed]]:
    """Sentences that say a statement in part go out with it, until each is said in full or not at all."""
    removed: list[Removed] = []
    while True:
        claimed = Counter(i for each in kept for i, _ in each.claims)
        partly = {i for i, n in claimed.items() if n < len(statements[i].findings)}
        bad = [each for each in kept if any(i in partly for i, _ in each.claims)]
        if not bad:
            return kept, removed
        removed += [Removed(each.text[:MAX_RECORDED], "says only a part") for each in bad]
        kept = [each for each in kept if each not in bad]


def _completed(kept: Sequence[_Kept], removed: Sequence[Removed], statements: Sequence[Statement]) -> Checked:
    """Kept sentences and missing ones in the grammar's order."""
    said = {i for each in kept for i, _ in each.claims}
    lines: list[tuple[int, Sentence]] = []
    for each in kept:
        indices = sorted({i for i, _ in each.claims})
        ids = dict.fromkeys(uid for i in indices for uid in statements[i].sentence.findings)
        lines.append((indices[0], Sentence(each.text, tuple(ids))))
    restored = []
    for i, statement in enumerate(statements):
        if i in said or not (statement.required or not statement.findings):
            continue
        lines.append((i, statement.sentence))
        if statement.findings:
            restored.append(statement.sentence)
    lines.sort(key=lambda line: line[0])
    return Checked(tuple(sentence for _, sentence in lines), tuple(removed), tuple(restored))


@cache
def wording(language: str) -> dict[str, str]:
    """The words of ``wording.toml`` for one language; empty where it has none."""
    text = resources.files("sagittal.tasks").joinpath("wording.toml").read_text("utf-8")
    found: dict[str, dict[str, str]] = tomllib.loads(text)
    return found.get(language, {})


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}


def _groups(finding: Finding) -> list[str]:
    """The groups of ``wording.toml`` that fit what a finding says."""
    facets = (finding.presence, finding.temporality, finding.certainty, finding.laterality, finding.severity)
    groups = [str(facet) for facet in facets if facet is not None]
    groups += [str(finding.change.kind)] if finding.change else []
    groups += [f"count {finding.count}"] if finding.count else []
    if finding.certainty is not None and "uncertain" in groups:
        groups.remove("uncertain")
    return groups


def _named(finding: Finding, language: str) -> str:
    """Every name the language has for a finding and its site; of a pattern, its plain words."""
    name = names(language)[finding.observation.key]
    said = [name.term, name.plural or "", name.lay, *name.synonyms, *name.abbreviations, *name.patterns]
    if finding.site is not None:
        place = site_names(language)[finding.site.key]
        said += [place.term, place.plural or "", place.lay, *place.synonyms, *place.abbreviations]
    return " ".join(re.sub(r"\\[a-zA-Z]", " ", text) for text in said)


def _allowed(statements: Sequence[Statement], found: Sequence[Finding], language: str) -> set[str]:
    """Words that may tell these findings."""
    listed = wording(language)
    groups = ["glue", *(group for finding in found for group in _groups(finding))]
    said = [statement.sentence.text for statement in statements]
    said += [_named(finding, language) for finding in found]
    said += [listed.get(group, "") for group in groups]
    return _words(" ".join(said))


def _unsaid(text: str, statements: Sequence[Statement], found: Sequence[Finding], language: str) -> str:
    """The first word, number or sign that the findings do not support; "" where there is none."""
    norm = language_of(language).norm
    allowed = {norm(word) for word in _allowed(statements, found, language)}
    for word in _WORD.findall(text):
        if norm(word) not in allowed:
            return f"says more than its findings: {word[:40]!r}"
    source = " ".join(statement.sentence.text for statement in statements)
    negations = {norm(word) for word in _words(wording(language).get("negations", ""))}

    def negated(words: str) -> int:
        return sum(norm(word) in negations for word in _WORD.findall(words))

    if negated(text) > max(negated(source), sum(f.presence is Presence.ABSENT for f in found)):
        return "denies twice"
    if extra := Counter(_NUMBER.findall(text)) - Counter(_NUMBER.findall(source)):
        return f"says a number its findings do not: {next(iter(extra))[:20]}"
    for sign in text:
        if not (sign.isalnum() or sign.isspace() or sign in SIGNS or sign in source):
            return f"holds the sign {sign!r}"
    return ""
