"""How each language calls things: the words for observations and sites in ``languages/*.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

DEFAULT = "en"


@dataclass(frozen=True)
class Name:
    """What a language calls an observation.

    Args:
        term, plural: the house's words in a report; ``plural`` is None for what is not counted.
        gender: "m", "f" or "n", where adjectives depend on it.
        lay: the words for a patient.
        synonyms, abbreviations: other words in reports; abbreviations with a capital are case-sensitive.
        patterns: regular expressions for what word lists cannot say ("the heart is enlarged").
        forms: further forms of the term by name, where the language's frames need them.
    """

    term: str
    plural: str | None = None
    gender: str = ""
    lay: str = ""
    synonyms: tuple[str, ...] = ()
    abbreviations: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    forms: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SiteName:
    """What a language calls a site.

    Args:
        at: the phrase of place, with ``{side}`` where a side can stand ("in the {side} upper lobe").
        both, either: the phrase for both sides, and for neither in a denial, where it differs.
        abbreviations: each with the side it means, or "".
    """

    term: str
    at: str
    plural: str | None = None
    gender: str = ""
    both: str = ""
    either: str = ""
    lay: str = ""
    synonyms: tuple[str, ...] = ()
    abbreviations: dict[str, str] = field(default_factory=dict)


@cache
def languages() -> tuple[str, ...]:
    """Codes of the languages that are there (ISO 639-1), English first."""
    folder = resources.files("sagittal.report").joinpath("languages")
    found = sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))
    return (DEFAULT, *(code for code in found if code != DEFAULT))


@cache
def document(code: str) -> dict[str, Any]:
    """The tables of a language's file."""
    path = resources.files("sagittal.report").joinpath("languages", f"{code}.toml")
    return tomllib.loads(path.read_text("utf-8"))


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


@cache
def names(code: str) -> dict[str, Name]:
    """Observation key -> its name in that language."""
    return {key: Name(**_fields(row)) for key, row in document(code)["observations"].items()}


@cache
def site_names(code: str) -> dict[str, SiteName]:
    """Site key -> its name in that language."""
    return {key: SiteName(**_fields(row)) for key, row in document(code)["sites"].items()}
