"""Free text without the people in it, and the way back.

A first version: rules and the header's own values, no learnt model. What a header names is found in any
form; what it does not name is found by its shape or the words around it, in English, German, French,
Spanish, Italian and Turkish. A name that stands bare in the text and in no header is not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from sagittal.privacy.addresses import addresses
from sagittal.privacy.dates import ages, dates, shift_of
from sagittal.privacy.found import KINDS, Found, disjoint
from sagittal.privacy.names import known_names
from sagittal.privacy.numbers import known_identifiers, labelled, net, shaped, telephones
from sagittal.privacy.people import houses, people
from sagittal.report.language import detect

_TOKEN = re.compile(r"\[[^\[\]\n]{1,80}\]")
_KINDS = "|".join(KINDS)
_LIKE_OURS = re.compile(rf"(?<![A-Za-z])(?:{_KINDS})[\s_-]{{0,2}}(\d{{1,6}})", re.IGNORECASE)
# As a model may write a surrogate back: without brackets, in another case, spaced or escaped.
_CORE = rf"(?:{_KINDS})[\s_-]{{0,2}}\d{{1,7}}[a-z]{{0,3}}"
_ALTERED = rf"\\?[\[【⟦]\s{{0,2}}{_CORE}\s{{0,2}}\\?[\]】⟧]|(?<![A-Za-z\[]){_CORE}(?!\w)"


@dataclass(frozen=True)
class Masked:
    """A text without the people in it.

    Args:
        text: with a surrogate in square brackets in place of each name, date, number and address:
            ``[NAME-1]``, ``[12 March 2023]`` (a shifted date).
        surrogates: (surrogate, original), each once. None is part of another, and none stood in the
            original text.
    """

    text: str
    surrogates: tuple[tuple[str, str], ...]

    def restore(self, text: str) -> str:
        """A text made from ``self.text`` (by a language model, say) with the originals put back.

        A surrogate may be missing, or be there more than once. One that is nowhere to be found as it was
        is looked for without its brackets, in another case or spacing. What was never a surrogate stays:
        ``masked.restore(masked.text)`` is the original.
        """
        originals = dict(self.surrogates)
        there = {m[0] for m in _TOKEN.finditer(text)}
        missing = {s[1:-1]: o for s, o in self.surrogates if s not in there}
        altered = {_plain(core): original for core, original in missing.items()}
        bare = [core for core in missing if not _OURS.fullmatch(core)]
        pattern = _restoring(bare) if missing else _TOKEN

        def back(match: re.Match[str]) -> str:
            if match[0] in originals:
                return originals[match[0]]
            return altered.get(_plain(match[0].strip("\\[]【】⟦⟧ ")), match[0])

        return pattern.sub(back, text)


_OURS = re.compile(rf"(?:{_KINDS})-\d+[a-z]*")


def _plain(core: str) -> str:
    """A surrogate without what a model may change: case, spaces, the hyphen."""
    return re.sub(r"[\s_-]+", "-", core.strip()).casefold()


def _restoring(bare: Sequence[str]) -> re.Pattern[str]:
    """What may be a surrogate: in brackets as it was, changed, or a shifted date without brackets."""
    forms = [_TOKEN.pattern, _ALTERED]
    if bare:
        longest = sorted(bare, key=len, reverse=True)
        dated = "|".join(r"\s+".join(map(re.escape, core.split())) for core in longest)
        forms.append(rf"(?<![\w/.-])(?<!\d\s)(?:{dated})(?![\w/-])")
    return re.compile("|".join(forms), re.IGNORECASE)


def deidentify_text(
    text: str,
    *,
    names: Sequence[str] = (),
    dates: Sequence[date] = (),
    identifiers: Sequence[str] = (),
    language: str | None = None,
    seed: int = 0,
) -> Masked:
    """Take names, dates, identifiers, telephones, e-mails, URLs, addresses and hospitals out of a text.

    Never raises on text; time grows linearly with its length.

    Args:
        names: of the patient and of physicians, as in the DICOM header ("Doe^John^^Dr") or in plain.
        dates: of the header (birth, study); they settle how ambiguous dates of the text are read.
        identifiers: of the header (patient ID, accession number ...).
        language: ISO 639-1 code; None: the likeliest. It settles what is ambiguous ("M.", 3/4/2024).
        seed: decides how far dates move (whole weeks, all the same); see `sagittal.privacy.dates.shift_of`.

    Returns:
        The text with surrogates, and what they stand for. Years and times of day stay; ages over 89 go.
    """
    spoken = language or detect(text)
    found = disjoint(_all(text, names, dates, identifiers, spoken.lower()[:2], seed))
    surrogates = _Surrogates(text)
    pieces, at = [], 0
    for this in found:
        pieces += [text[at : this.start], surrogates.of(text[this.start : this.end], this)]
        at = this.end
    return Masked("".join([*pieces, text[at:]]), surrogates.pairs())


def _all(
    text: str,
    names: Sequence[str],
    days: Sequence[date],
    identifiers: Sequence[str],
    language: str,
    seed: int,
) -> Iterator[Found]:
    """What the detectors find; where two find the same, the first decides what it is."""
    yield from known_names(text, names, language)
    yield from net(text)
    yield from addresses(text)
    yield from houses(text)
    yield from people(text, language)
    yield from dates(text, days, language, shift_of(seed))
    yield from known_identifiers(text, identifiers)
    yield from labelled(text)
    yield from telephones(text)
    yield from shaped(text)
    yield from ages(text)


class _Surrogates:
    """Hands out one surrogate a form: forms of one person share the number ("NAME-1", "NAME-1a")."""

    def __init__(self, text: str) -> None:
        self._there = {m[0] for m in _TOKEN.finditer(text)}
        taken = [int(m[1]) for m in _LIKE_OURS.finditer(text)]
        self._first = max(taken, default=0) + 1
        self._by_original: dict[tuple[str, str], str] = {}
        self._used: dict[str, str] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._count: dict[str, int] = {}
        self._forms: dict[tuple[str, str], int] = {}

    def of(self, original: str, found: Found) -> str:
        """The surrogate of a stretch of text."""
        same = (found.kind, original)
        if same not in self._by_original:
            wanted = None if found.instead is None else f"[{' '.join(found.instead.split())}]"
            if wanted is None or wanted in self._used or wanted in self._there:
                wanted = self._numbered(found)
            self._by_original[same] = wanted
            self._used[wanted] = original
        return self._by_original[same]

    def _numbered(self, found: Found) -> str:
        thing = (found.kind, found.key)
        if thing not in self._numbers:
            self._count[found.kind] = self._count.get(found.kind, self._first - 1) + 1
            self._numbers[thing] = self._count[found.kind]
        form = self._forms[thing] = self._forms.get(thing, -1) + 1
        return f"[{found.kind}-{self._numbers[thing]}{_letters(form)}]"

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(surrogate, original) in order of first use."""
        return tuple(self._used.items())


def _letters(n: int) -> str:
    """0 -> "", 1 -> "a", 26 -> "z", 27 -> "aa"."""
    letters = ""
    while n:
        n, rest = divmod(n - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters
