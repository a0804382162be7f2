"""The fixed sentences of a report in every language: written from templates, recognised, translated.

A phrase has one key and one template a language, in the table ``phrases`` of ``languages/*.toml``. What
stands in its slots is kept neutral, so that it can be written in another language: observations by key,
dates as dates, numbers with a point. Anything else in a slot is text in its own words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

from sagittal.report.language import language as _language
from sagittal.report.names import DEFAULT, names

_SLOT = re.compile(r"\{(\w+)\}")
UNDATED = "undated"
"""Key of the phrase for a study without a date."""


@dataclass(frozen=True)
class Said:
    """A phrase with what stands in its slots."""

    key: str
    slots: Mapping[str, Any]


def phrases(code: str = DEFAULT) -> Mapping[str, str]:
    """Key -> template in that language."""
    table: Mapping[str, str] = _language(code).file["phrases"]
    return table


def day(when: date | None, code: str) -> str:
    """A date as the language writes it, or the words for a study without one."""
    if when is None:
        return phrases(code)[UNDATED]
    return when.strftime(_language(code).grammar["date"])


def moment(when: datetime, code: str) -> str:
    """A date with the time of day."""
    return f"{day(when, code)} {when:%H:%M}"


def _read_day(text: str, code: str) -> date | None:
    """Raises ValueError where the text is no date of the language."""
    if text == phrases(code)[UNDATED]:
        return None
    return datetime.strptime(text, _language(code).grammar["date"]).date()


def listed(items: Sequence[str]) -> str:
    """Items in a row."""
    return ", ".join(items)


@cache
def _terms(code: str) -> dict[str, str]:
    return {name.term: key for key, name in names(code).items()}


def _decimal(text: str, code: str) -> str:
    return text.replace(".", _language(code).grammar["decimal"])


def _number(text: str, code: str) -> str:
    return text.replace(_language(code).grammar["decimal"], ".")


_NUMBERS = ("spacing", "distance", "threshold", "volume")
_PATTERNS = dict.fromkeys(_NUMBERS, r"\d+(?:[.,]\d+)?") | {"count": r"\d+"}
_WRITE: dict[str, Callable[[Any, str], str]] = {
    "terms": lambda keys, code: listed([names(code)[key].term for key in keys]),
    "dates": lambda days, code: listed([day(when, code) for when in days]),
    "date": day,
    "when": moment,
    "reason": lambda said, code: _inner(said, code),
    "series": lambda said, code: _inner(said, code),
} | dict.fromkeys(_NUMBERS, _decimal)
_READ: dict[str, Callable[[str, str], Any]] = {
    "terms": lambda text, code: tuple(_terms(code)[term] for term in text.split(", ")),
    "dates": lambda text, code: tuple(_read_day(one, code) for one in text.split(", ")),
    "date": _read_day,
    "when": lambda text, code: datetime.strptime(text, _language(code).grammar["date"] + " %H:%M"),
    "reason": lambda text, code: recognise(text, code) or text,
    "series": lambda text, code: Said("the_study", {}) if text == phrases(code)["the_study"] else text,
} | dict.fromkeys(_NUMBERS, _number)


def _inner(said: Said | str, code: str) -> str:
    """A phrase inside a phrase, or somebody's own words."""
    return say(said.key, code, **said.slots) if isinstance(said, Said) else said


def say(key: str, code: str = DEFAULT, **slots: Any) -> str:
    """The phrase in a language.

    Args:
        slots: ``terms`` are keys of observations, ``date`` and ``dates`` dates (None: without a date),
            ``when`` a date with a time, numbers text with a point, ``reason`` text or a `Said`; others
            text that stays as it is.
    """
    written = {
        name: _WRITE[name](value, code) if name in _WRITE else str(value) for name, value in slots.items()
    }
    return phrases(code)[key].format(**written)


@cache
def _recognisers(code: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Phrases by pattern, the one with the most fixed letters first."""
    found = []
    for key, template in phrases(code).items():
        parts = _SLOT.split(template)
        fixed = parts[::2]
        if not re.search(r"\w\w", "".join(fixed)):
            # "{series}: {problem}." would recognise anything.
            continue
        pattern = "".join(
            f"(?P<{part}>{_PATTERNS.get(part, '.+?')})" if i % 2 else re.escape(part)
            for i, part in enumerate(parts)
        )
        found.append((len("".join(fixed)), key, re.compile(pattern)))
    return tuple((key, pattern) for _, key, pattern in sorted(found, key=lambda item: -item[0]))


def recognise(text: str, code: str = DEFAULT) -> Said | None:
    """Which phrase of that language the text is; None for words of somebody's own."""
    for key, pattern in _recognisers(code):
        match = pattern.fullmatch(text)
        if match is None:
            continue
        try:
            slots = {
                n: _READ[n](value, code) if n in _READ else value for n, value in match.groupdict().items()
            }
        except (KeyError, ValueError):
            continue
        return Said(key, slots)
    return None


def translated(text: str, source: str, target: str) -> str | None:
    """A phrase of one language in another; None for what is no phrase."""
    said = recognise(text, source)
    return None if said is None else say(said.key, target, **said.slots)
