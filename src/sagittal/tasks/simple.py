"""What of a language model's plain words for a patient may stand.

Lay words are not parsed: there is no grammar that "a small round spot" could be read with. So the model
gets, one by one, only the explanations of what is plainly there, and each comes back within tight bounds:
all its telling words and numbers kept, none added but the small words of the list "plain" in
``wording.toml``, and not harder to read. Denials, doubts and changes stay in the house's own words, where
one moved word could turn them round.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sagittal.errors import BadInput
from sagittal.report.codec import from_json
from sagittal.report.finding import Finding, Presence, Temporality
from sagittal.report.language import language as language_of
from sagittal.report.readability import grade
from sagittal.report.report import Sentence
from sagittal.report.stated import stated
from sagittal.tasks.supported import MAX_RECORDED, SIGNS, Checked, Removed, wording

GRADE = 6.0
"""School years that a patient's text may ask for (`CLINICAL.md`)."""
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class _Entries:
    statements: tuple[str, ...]


def entries(answer: str) -> tuple[str, ...] | None:
    """The texts of ``{"statements": [...]}``; None where an answer is anything else."""
    try:
        return from_json(_Entries, json.loads(answer)).statements
    except (ValueError, RecursionError, BadInput):
        return None


def rewordable(sentence: Sentence, findings: Sequence[Finding], language: str) -> bool:
    """Whether an explanation says only that things are there, plainly and now."""
    said = [stated(f) for f in findings if f.tracking_uid in sentence.findings]
    denied = _words(wording(language).get("negations", ""), language) & _words(sentence.text, language)
    return bool(said) and not denied and all(map(_plainly_there, said))


def _plainly_there(said: Finding) -> bool:
    current = said.temporality is Temporality.CURRENT and said.change is None
    return said.presence is Presence.PRESENT and said.certainty is None and current


def simplified(told: Sequence[str], own: Sequence[Sentence], language: str) -> Checked:
    """Each of the model's explanations where it holds, otherwise the house's own."""
    kept, removed, restored = [], [], []
    for text, sentence in zip(told, own, strict=True):
        text = " ".join(text.split())
        reason = _wrong(text, sentence.text, language)
        if reason:
            removed.append(Removed(text[:MAX_RECORDED], reason))
            restored.append(sentence)
        kept.append(sentence if reason else Sentence(text, sentence.findings))
    return Checked(tuple(kept), tuple(removed), tuple(restored))


def _words(text: str, language: str) -> set[str]:
    norm = language_of(language).norm
    return {norm(word) for word in _WORD.findall(text)}


def _wrong(text: str, own: str, language: str) -> str:
    """Why an explanation may not stand; "" where it may."""
    glue = _words(wording(language).get("plain", ""), language)
    said, wanted = _words(text, language), _words(own, language)
    if missing := wanted - glue - said:
        return f"leaves out {min(missing)[:40]!r}"
    if more := said - wanted - glue:
        return f"says more: {min(more)[:40]!r}"
    if Counter(_NUMBER.findall(text)) != Counter(_NUMBER.findall(own)):
        return "says other numbers"
    if any(not (c.isalnum() or c.isspace() or c in SIGNS or c in own) for c in text):
        return "holds a sign that does not belong there"
    if grade(text, language).grade > max(GRADE, grade(own, language).grade):
        return "is harder to read"
    return ""
