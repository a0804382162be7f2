"""HTML, XML and RTF stripped to the text that a reader would see, in one pass over the source.

Not `html.parser`: its time grows with the square of the length on hostile input (80 kB of "<a " take
over a minute in CPython 3.11). RTF follows the Rich Text Format Specification 1.9.1.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

# HTML ---------------------------------------------------------------------------------------------------

_INLINE_NAMES = """a abbr acronym b bdi bdo big cite code content del dfn em font i ins kbd label mark o:p q s
samp small span strike strong sub sup tt u var wbr"""
_INLINE = frozenset(_INLINE_NAMES.split())
_CELLS = frozenset({"td", "th"})
_UNSEEN = frozenset({"script", "style", "head", "template"})
_HTML = re.compile(
    r"\A\s*<(?:!doctype\s+html|\?xml|html|body|div|p)\b|<br\s*/?>"
    r"|</(?:a|b|body|div|em|font|h[1-6]|html|i|li|p|pre|span|strong|table|td|tr|u|ul)\s*>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:amp|lt|gt|nbsp|quot|apos|deg|[aouAOU]uml|szlig|#\d{1,7}|#x[0-9a-fA-F]{1,6});")
_HUGE = re.compile(r"&#(?:\d{8}|[xX][0-9a-fA-F]{7})[0-9a-fA-F]*+;?")
_TAG = re.compile(
    r"<!--|<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9:]{0,30})(?=[\s/>])"
    r"(?:\"[^\"<]*+\"|'[^'<]*+'|[^<>\"'])*+>|<[!?][^<>]{0,2000}+>"
)
_SPACE = re.compile(r"\s+")
_SPACES = re.compile(r" {2,}")


def looks_like_html(text: str) -> bool:
    """Whether the text is HTML or XML and not a report that writes "<5 mm"."""
    return _HTML.search(text) is not None


def unescape(text: str) -> str:
    """Character references ("&lt;", "&#176;") as characters; those of no character as U+FFFD."""
    if _ENTITY.search(text) is None:
        return text
    return html.unescape(_HUGE.sub("\ufffd", text))


def html_text(source: str) -> str:
    """The text of an HTML or XML document: a line a block, no scripts, styles, comments or head."""
    pieces: list[str] = []
    at, unseen, kept = 0, "", False

    def keep(raw: str) -> None:
        pieces.append(_unescaped(raw) if kept else _SPACE.sub(" ", _unescaped(raw)))

    while match := _TAG.search(source, at):
        if not unseen:
            keep(source[at : match.start()])
        at = match.end()
        name = (match["name"] or "").lower()
        if match[0] == "<!--":
            close = source.find("-->", at)
            at = len(source) if close < 0 else close + 3
        elif unseen:
            unseen = "" if match["close"] and name == unseen else unseen
        elif name in _UNSEEN:
            unseen = "" if match["close"] else name
        elif name == "pre":
            kept = not match["close"]
            pieces.append("\n")
        elif name in _CELLS:
            pieces.append(" ")
        elif name and name not in _INLINE:
            pieces.append("\n")
    if not unseen:
        keep(source[at:])
    lines = (_SPACES.sub(" ", line).strip(" ") for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line)


def _unescaped(raw: str) -> str:
    return html.unescape(_HUGE.sub("\ufffd", raw)) if "&" in raw else raw


# RTF ----------------------------------------------------------------------------------------------------

_RTF_TOKEN = re.compile(
    r"\\(?P<word>[A-Za-z]{1,32})(?P<number>-?\d{1,10})?[ ]?|\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<sign>.)"
    r"|(?P<brace>[{}])|[\r\n\0]+|(?P<plain>[^\\{}\r\n\0]+)|\\",
    re.DOTALL,
)
_BREAKS = {"par": "\n", "line": "\n", "sect": "\n", "page": "\n", "row": "\n", "softline": "\n"}
_SIGNS = _BREAKS | {
    "tab": "\t",
    "cell": " ",
    "nestcell": " ",
    "nestrow": "\n",
    "emdash": "—",
    "endash": "–",
    "emspace": " ",
    "enspace": " ",
    "qmspace": " ",
    "bullet": "•",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "~": " ",
    "_": "-",
    "-": "",
    "{": "{",
    "}": "}",
    "\\": "\\",
    "\n": "\n",
    "\r": "\n",
}
_UNREAD_NAMES = """annotation atnauthor atndate atnid atnref author bkmkend bkmkstart buptim category
colorschememapping colortbl comment company creatim datafield datastore doccomm fldinst filetbl footer footerf
footerl footerr footnote generator header headerf headerl headerr info keywords latentstyles listoverridetable
listpicture listtable manager mmathPr nonshppict objclass objdata object operator pict pntxta pntxtb printim
private revtbl revtim rsidtbl shpinst stylesheet subject themedata title txe xe xmlnstbl"""
_UNREAD = frozenset(_UNREAD_NAMES.split())
"""Destinations that are no part of the body. Headers and footers are left out with them: they name people
and pages, not findings."""
_CODE_PAGES = {
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    134: "cp936",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
}
"""``\\fcharset`` of a font -> the code page of its bytes; others have the document's."""


def looks_like_rtf(text: str) -> bool:
    """Whether the text is an RTF document."""
    return text.lstrip()[:5] == "{\\rtf"


@dataclass(frozen=True)
class _State:
    """What a group inherits and gives back."""

    skip: bool = False
    hidden: bool = False
    fonts: bool = False
    font: int | None = None
    fallback: int = 1


@dataclass
class _Body:
    """The text so far; bytes wait until the run of them ends, since one letter may take two."""

    page: str = "cp1252"
    pages: dict[int, str] = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)
    waiting: bytearray = field(default_factory=bytearray)
    waiting_page: str = "cp1252"

    def flush(self) -> None:
        if self.waiting:
            self.pieces.append(self.waiting.decode(self.waiting_page, "replace"))
            self.waiting.clear()

    def put(self, text: str) -> None:
        self.flush()
        self.pieces.append(text)

    def put_byte(self, value: int, font: int | None) -> None:
        page = self.page if font is None else self.pages.get(font, self.page)
        if page != self.waiting_page:
            self.flush()
            self.waiting_page = page
        self.waiting.append(value)


def _tokens(source: str) -> Iterator[re.Match[str]]:
    """The tokens in order; the bytes that follow ``\\binN`` are no tokens."""
    at = 0
    while match := _RTF_TOKEN.match(source, at):
        at = match.end()
        if match["word"] == "bin":
            at += max(0, int(match["number"] or 0))
        yield match


def rtf_text(source: str, *, raw: bool = False) -> str:
    """The body text of an RTF document; whatever is broken in it is passed over.

    Args:
        raw: characters of ``source`` are bytes (decoded as Latin-1), whose code page the document names.
    """
    body, state, outer = _Body(), _State(), [_State()]
    optional = False
    drop = 0  # characters that repeat, for old readers, the Unicode character before them
    for token in _tokens(source):
        if (brace := token["brace"]) is not None:
            body.flush()
            drop, optional = 0, False
            if brace == "{":
                outer.append(state)
            elif len(outer) > 2:
                state = outer.pop()
            else:
                break
            continue
        silent = state.skip or state.hidden or state.fonts
        if (plain := token["plain"]) is not None:
            kept, drop = plain[drop:], max(0, drop - len(plain))
            if silent or not kept:
                continue
            if raw and not kept.isascii():
                for letter in kept:
                    body.put_byte(ord(letter), state.font)
            else:
                body.put(kept)
        elif (value := token["hex"]) is not None:
            if drop:
                drop -= 1
            elif not silent:
                body.put_byte(int(value, 16), state.font)
        elif (sign := token["sign"]) is not None:
            if sign == "*":
                optional = True
            elif drop:
                drop -= 1
            elif not silent:
                body.put(_SIGNS.get(sign, ""))
        elif (word := token["word"]) is not None:
            number = None if token["number"] is None else int(token["number"])
            if word == "u":
                drop = state.fallback
                if number is not None and not silent:
                    body.put(chr(number & 0xFFFF))
            else:
                state = _controlled(word, number, state, body, optional)
                if word in _SIGNS and not silent:
                    body.put(_SIGNS[word])
            optional = False
    body.flush()
    # Characters beyond U+FFFF come as two halves.
    return "".join(body.pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _controlled(word: str, number: int | None, state: _State, body: _Body, optional: bool) -> _State:
    """The state after a control word."""
    if word == "fonttbl":
        return replace(state, fonts=True)
    if optional or word in _UNREAD:
        return replace(state, skip=True)
    if word in ("v", "deleted"):
        return replace(state, hidden=number != 0)
    if word == "plain":
        return replace(state, hidden=False)
    if word == "uc":
        return replace(state, fallback=min(max(number or 0, 0), 64))
    if word == "f":
        return replace(state, font=number)
    if word == "fcharset" and state.fonts and state.font is not None and number in _CODE_PAGES:
        body.pages[state.font] = _CODE_PAGES[number]
    elif word == "ansicpg" and number is not None:
        body.page = body.waiting_page = _page(number)
    return state


def _page(number: int) -> str:
    name = "utf-8" if number == 65001 else f"cp{number}"
    try:
        b"".decode(name)
        "".encode(name)
    except LookupError:
        return "cp1252"
    return name
