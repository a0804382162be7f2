"""Text that came with a study is data: how it is shown to a language model, and how a leak is known.

Notes, headers and earlier reports may hold instructions. They never stand in the system prompt; they
are one JSON document in the user's message, whose strings they cannot end and in which no chat
template's own marks survive. That is not relied on: `tasks.supported` checks whatever comes back.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from collections.abc import Mapping, Sequence

MAX_PART = 8000
"""Characters of one note or report that are shown; the rest is left out, and said to be."""
LEFT_OUT = " [left out here: the rest]"
SHARED_WORDS = 7
"""So many words in a row that an answer shares with its instructions make a leak."""

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
"""Control; format (bidirectional marks, zero width, tags); unassigned; private use; surrogates."""
_MARKS = re.compile(r"\[\s*(/?)\s*([A-Za-z_]{3,12})\s*\]|(</?s>|<\|)")
_SPACES = re.compile(r"[^\S\n]+")
_WORD = re.compile(r"\w+")


def clean(text: str, limit: int = MAX_PART) -> str:
    """Text without control, format and private characters (invisible ones can hide instructions).

    Line breaks stay; other white space becomes one space; more than ``limit`` characters are cut.
    """
    text = text[: 4 * limit].replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _UNSEEN)
    kept = _SPACES.sub(" ", kept).strip()
    return kept if len(kept) <= limit else kept[:limit] + LEFT_OUT


def as_data(parts: Mapping[str, str | Sequence[str]]) -> str:
    """One JSON object of strings and lists of strings, safe to put into a prompt.

    Angle brackets are escaped and bracketed marks such as [INST] opened, so that nothing in it can
    pass for a turn of the conversation.
    """
    plain = {k: _defused(v) if isinstance(v, str) else list(map(_defused, v)) for k, v in parts.items()}
    text = json.dumps(plain, ensure_ascii=False, indent=1)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("|", "\\u007c")


def _defused(text: str) -> str:
    return _MARKS.sub(lambda m: f"({m[1]}{m[2]})" if m[2] else m[0], text)


def canary() -> str:
    """A word nobody can guess: an answer that holds it repeats its instructions."""
    return f"canary{secrets.token_hex(8)}"


def leaks(answer: str, system: str, word: str) -> bool:
    """Whether an answer repeats its system prompt: the canary in any spacing or direction, or a run
    of `SHARED_WORDS` words."""
    squeezed = "".join(c for c in answer.casefold() if c.isalnum())
    secret = word.casefold().removeprefix("canary")
    if secret in squeezed or secret[::-1] in squeezed:
        return True
    mine, theirs = _runs(system), _runs(answer)
    return not mine.isdisjoint(theirs)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    return {tuple(words[i : i + SHARED_WORDS]) for i in range(len(words) - SHARED_WORDS + 1)}
