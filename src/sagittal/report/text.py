"""What comes in as a report, made into text that can be read: bytes decoded, markup stripped, characters
that are not seen taken out.

Spans of findings refer to the text returned here. For plain text it has the length of what came in,
character by character, unless letters were decomposed or invisible characters stood between them.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from sagittal.errors import BadInput
from sagittal.report.markup import html_text, looks_like_html, looks_like_rtf, rtf_text, unescape

MAX_REPORT = 32 * 2**20
"""Longest report in bytes; the longest real ones have some 50 kB."""

_KINDS = (
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_TURKISH = frozenset(b"\xd0\xdd\xde\xf0\xfd\xfe")
"""Ğ İ Ş ğ ı ş in Windows-1254; in Windows-1252 letters of Icelandic only."""
_CONTROLS = bytes(sorted({*range(32), 127} - set(b"\t\n\v\f\r")))
_MAX_CONTROLS = 0.1
"""Largest share of control characters in text; in programs and images it is far higher."""


@dataclass(frozen=True)
class Plain:
    """A report as text.

    Args:
        text: what spans refer to.
        notes: what had to be guessed or taken off on the way, for people.
        stripped: markup was taken off or the length changed: spans do not fit what came in.
    """

    text: str
    notes: tuple[str, ...] = ()
    stripped: bool = False


def encoding_of(chunks: Iterable[bytes], name: str = "the report") -> tuple[str, str | None]:
    """The encoding of a file given piece by piece, and a note where it is a guess.

    UTF-8, or UTF-16 and UTF-32 with a byte order mark, are certain. UTF-16 without a mark is known by its
    zeros; everything else is taken for Windows-1254 where letters stand that only Turkish has, or
    Windows-1252 (the Latin-1 of practice).

    Raises:
        BadInput: it is no text.
    """
    utf8 = codecs.getincrementaldecoder("utf-8")()
    head, size, controls, valid = b"", 0, 0, True
    zeros, seen = [0, 0], set[int]()
    for chunk in chunks:
        head = head if len(head) >= 132 else (head + chunk)[:132]
        controls += len(chunk) - len(chunk.translate(None, _CONTROLS))
        for parity in (0, 1):
            zeros[(size + parity) % 2] += chunk[parity::2].count(0)
        seen |= _TURKISH.intersection(chunk)
        size += len(chunk)
        try:
            utf8.decode(chunk) if valid else None
        except UnicodeDecodeError:
            valid = False
    try:
        utf8.decode(b"", final=True) if valid else None
    except UnicodeDecodeError:
        valid = False
    kind = next((kind for start, kind in _KINDS if head.startswith(start)), None)
    kind = "a DICOM file" if head[128:132] == b"DICM" else kind
    if kind is not None:
        raise BadInput(f"{name} is {kind}, not text", "a report as text, HTML or RTF")
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, None
    for order, (low, high) in {"le": zeros, "be": zeros[::-1]}.items():
        if high > 0.6 * (size // 2) and low <= 0.02 * size:
            return f"utf-16-{order}", f"{name} is read as UTF-16; it has no byte order mark"
    if controls > _MAX_CONTROLS * size or (not valid and controls > 0.01 * size):
        raise BadInput(f"{name} is not text but binary data", "a report as text, HTML or RTF")
    if valid:
        return "utf-8", None
    windows, language = ("cp1254", "Turkish") if seen else ("cp1252", "Western European")
    return windows, f"{name} is not UTF-8; it is read as Windows-{windows[2:]} ({language})"


def read(data: bytes, name: str = "the report") -> Plain:
    """A report file as text.

    Args:
        data: the bytes of the file: text in UTF-8, UTF-16, UTF-32 or a Windows code page, HTML or RTF.
        name: what to call it in errors and notes.

    Raises:
        BadInput: it is empty, larger than `MAX_REPORT`, or no text.
    """
    if len(data) > MAX_REPORT:
        raise BadInput(f"{name} is larger than {MAX_REPORT // 2**20} MiB", "one report")
    note = None
    if data[:32].lstrip().startswith(b"{\\rtf"):
        # RTF says itself which code page its bytes have.
        plain = _stripped(rtf_text(data.decode("latin-1"), raw=True), "RTF")
    else:
        encoding, note = encoding_of([data], name)
        plain = from_text(_decoded(data, encoding, name))
    if not plain.text.strip():
        raise BadInput(f"{name} is empty", "a report with text in it")
    return Plain(plain.text, (*([note] if note else ()), *plain.notes), plain.stripped)


def _decoded(data: bytes, encoding: str, name: str) -> str:
    try:
        # The five bytes that the Windows code pages leave out become U+FFFD.
        text = data.decode(encoding, "replace" if encoding.startswith("cp") else "strict")
    except UnicodeDecodeError:
        raise BadInput(f"{name} is not text: broken {encoding}", "a report as text, HTML or RTF") from None
    head = text[:2000]
    if sum(unicodedata.category(c) in ("Cn", "Co", "Cs") for c in head) > _MAX_CONTROLS * len(head):
        raise BadInput(f"{name} is not text but binary data", "a report as text, HTML or RTF")
    return text


def read_text(data: bytes, name: str = "the report") -> str:
    """The text of `read` alone."""
    return read(data, name).text


def from_text(source: str) -> Plain:
    """A text that may be HTML or RTF, as in a table's cell. Never raises."""
    if looks_like_rtf(source):
        return _stripped(rtf_text(source), "RTF")
    if looks_like_html(source):
        return _stripped(html_text(source), "HTML")
    text = clean(unescape(source))
    return Plain(text, stripped=len(text) != len(source))


def _stripped(text: str, markup: str) -> Plain:
    return Plain(clean(text), (f"{markup} was stripped to its text",), stripped=True)


_BLANKS: dict[int, str | None] = {
    **dict.fromkeys((*range(32), *range(127, 160)), " "),
    **dict.fromkeys((*b"\n\v\f", 0x85, 0x2028, 0x2029), "\n"),
    **dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " "),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
    ord("\t"): "\t",
}
_UNSEEN: dict[int, str | None] = dict.fromkeys(
    (
        0xAD,  # soft hyphen
        0x61C,
        0x180E,
        *range(0x200B, 0x2010),  # zero width, left-to-right and right-to-left marks
        *range(0x202A, 0x202F),  # bidirectional embeddings and overrides
        *range(0x2060, 0x2070),  # word joiner, isolates
        *range(0xFE00, 0xFE10),  # variation selectors
        0xFEFF,
        *range(0xFFF9, 0xFFFC),
        *range(0xE0000, 0xE0080),  # tags: ASCII that no one sees
        *range(0xE0100, 0xE01F0),
    )
)
_LIGATURES = dict(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True))
_TABLE: dict[int, str | None] = {**_BLANKS, **_UNSEEN, **_LIGATURES}
_TO_DO = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\xa0\xad\u0300-\u036f\u061c\u1100-\u11ff\u1680\u180e\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u206f\u3000\u3099\u309a\ud800-\udfff\ufb00-\ufb06\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e01ef]"
)
"""Every character of `_TABLE` and the marks that compose."""
# A letter with its marks (accents, voicing, the rest of a Korean syllable) is composed as a whole, in
# runs of at most 30: ordering a longer run takes time with its square.
_DECOMPOSED = re.compile(r"[^\W\d_][\u0300-\u036f\u1160-\u11ff\u3099\u309a]{1,30}")


def clean(text: str) -> str:
    """The text as its reader sees it, in one composed form (NFC).

    Control characters and rare spaces become a space each, line breaks of every kind a line feed; zero
    width and bidirectional control characters, soft hyphens and tags are removed (they hide words from a
    reader or a parser); ligatures of typesetting ("ﬁ") become letters.
    """
    if _TO_DO.search(text) is None:
        return text
    text = re.sub(r"\r(?!\n)", "\n", text).translate(_TABLE)
    return _DECOMPOSED.sub(lambda match: unicodedata.normalize("NFC", match[0]), text)
