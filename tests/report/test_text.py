"""Reports from outside: encodings, markup, what is not seen, and what is refused."""

from __future__ import annotations

import contextlib
import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sagittal.errors import BadInput
from sagittal.report.text import MAX_REPORT, clean, encoding_of, from_text, read, read_text

TURKISH = "Sağ akciğerde 8 mm nodül. Plevral sıvı izlenmedi. İnce kesit şüphesi."
FRENCH = "Épanchement pleural gauche. Pas de pneumothorax. Nodule de 8 mm à l'apex."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_unicode_encodings_are_certain(encoding: str) -> None:
    plain = read(TURKISH.encode(encoding))
    assert plain.text == TURKISH and not plain.stripped
    assert bool(plain.notes) == (encoding in ("utf-16-le", "utf-16-be"))


@pytest.mark.parametrize(("text", "page"), [(FRENCH, "1252"), (TURKISH, "1254"), ("Größe 8 mm", "1252")])
def test_a_windows_code_page_is_a_guess_that_is_said(text: str, page: str) -> None:
    plain = read(text.encode(f"cp{page}"), "a.txt")
    assert plain.text == text
    assert plain.notes and f"Windows-{page}" in plain.notes[0] and "a.txt" in plain.notes[0]


def test_an_encoding_is_found_however_the_file_is_cut() -> None:
    data = (FRENCH * 50).encode("utf-8")
    for size in (1, 3, 1000):
        assert encoding_of(data[i : i + size] for i in range(0, len(data), size)) == ("utf-8", None)
    half = data[: len(data) - len("à l'apex.".encode()) + 1]  # ends inside a letter
    assert encoding_of([half])[0] == "cp1252"


DICOM = bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b" \n\t\r\n ", "is empty"),
        ("\u200b\ufeff \u202e".encode(), "is empty"),
        (b"<html><body> <p></p></body></html>", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is a PNG image"),
        (b"%PDF-1.7\n1 0 obj\n", "is a PDF"),
        (b"PK\x03\x04 word/document.xml", "an Office document"),
        (DICOM, "is a DICOM file"),
        (bytes(range(256)), "binary"),
        (bytes(range(128)) * 9, "binary"),
        (bytes(1000), "binary"),
        (b"\xff\xfe\x00nodule", "is not text"),
        (bytes((i * 97 + i // 7) % 256 for i in range(5000)), "binary"),
    ],
)
def test_what_is_no_report_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read(data)


def test_ten_megabytes_are_read_and_the_limit_is_a_limit() -> None:
    sentence = b"No pleural effusion. "
    assert len(read_text(sentence * (10 * 2**20 // len(sentence)))) > 9 * 2**20
    with pytest.raises(BadInput, match="larger than 32 MiB"):
        read(b"a" * (MAX_REPORT + 1))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "<p>FINDINGS: Nodule &lt; 5&nbsp;mm.</p><p>No effusion.</p>",
            "FINDINGS: Nodule < 5 mm.\nNo effusion.",
        ),
        ("<b>No</b> effu<i>sion</i>.<br>Heart\n  normal.", "No effusion.\nHeart normal."),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<html><head><title>x</title></head><script>no()</script><style>p{}</style><body>Clear", "Clear"),
        ("<p>a<!-- <p>no effusion</p> -->b</p>", "ab"),
        (
            "<p>T &#176; &#x2264; &szlig; &copy; &bogus; &#999999999999999999999;</p>",
            "T ° ≤ ß © &bogus; \ufffd",
        ),
        ('<p title="a > b">size <5 mm and >3 mm</p>', "size <5 mm and >3 mm"),
        ("<pre>a\n  b</pre>", "a\nb"),
        ("<?xml version='1.0'?><doc><section>A</section><section>B</section></doc>", "A\nB"),
    ],
)
def test_html_is_stripped_to_what_is_read(source: str, text: str) -> None:
    plain = from_text(source)
    assert plain.text == text and plain.stripped and "HTML" in plain.notes[0]


@pytest.mark.parametrize("text", ["Nodule <5 mm, >3 mm.", "T1<T2 & L1>L2", "a < b\nc > d", "x <b and c> y"])
def test_signs_of_size_are_no_markup(text: str) -> None:
    assert from_text(text).text == text and not from_text(text).stripped


def test_references_in_plain_text_are_read_and_the_lines_stay() -> None:
    plain = from_text("Nodule &lt; 5 mm.\nR&D. 5 &plusmn; 1, &#176;")
    assert plain.text == "Nodule < 5 mm.\nR&D. 5 ± 1, °" and plain.stripped


RTF = (
    r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial;}{\f1\fcharset162 Arial Tur;}}"
    r"{\colortbl;\red255\green0\blue0;}{\stylesheet{\s0 Normal;}}{\*\generator Riched20;}"
    r"{\header Doe, Jane}\pard\b FINDINGS:\b0\par No effusion.\line Gr\'f6\'dfe 8\~mm \{a\}\\.\par "
    r"\f1 S\u305?v\u305? yok, \'fel\'fd\'f0\f0\'fe.\par {\pict\wmetafile8 0102ab}"
    r"\uc2\u8804 <=5 {\v hidden}{\deleted gone}shown{\field{\*\fldinst HYPERLINK}{\fldrslt link}}"
    r" \u-10179?\u-8704?\par}"
)


def test_rtf_is_stripped_to_its_body() -> None:
    plain = read(RTF.encode("ascii") + b"trailing")
    assert plain.text.splitlines() == [
        "FINDINGS:",
        "No effusion.",
        "Größe 8 mm {a}\\.",
        "Sıvı yok, şlığþ.",
        "≤5 shownlink 😀",
    ]
    assert plain.notes == ("RTF was stripped to its text",) and plain.stripped


def test_rtf_bytes_have_the_code_page_that_it_names() -> None:
    body = "{\\rtf1\\ansi\\ansicpg1254 şüpheli \\bin3 {{{ son}"
    assert read_text(body.encode("cp1254")) == "şüpheli  son"
    assert read_text(rb"{\rtf1\ansi\ansicpg932 \'82\'a0\'82" + rb"\'a2}") == "あい"
    assert from_text(r"{\rtf1\ansi\ansicpg99999 \'e9}").text == "é"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("pneumo\u200bthorax", "pneumothorax"),
        ("No \u202eeffusion\u202c", "No effusion"),
        ("\ufeffNodule\u00ad", "Nodule"),
        ("8\u00a0mm\u202fx\u20075 mm", "8 mm x 5 mm"),
        ("a\r\nb\rc\u2028d\x0be", "a \nb\nc\nd\ne"),
        ("a\x00b\x07c\x9fd", "a b c d"),
        ("con\ufb02uent in\ufb01ltrate", "confluent infiltrate"),
        ("Gro\u0308\u00dfe", "Größe"),
        ("\U000e0041\U000e0042Nodule", "Nodule"),
        ("a\ud800b", "a\ufffdb"),
        ("T1/T2 ≥ 5 µm – “ok”", "T1/T2 ≥ 5 µm – “ok”"),
        ("胸水なし。か\u3099", "胸水なし。が"),
    ],
)
def test_what_is_not_seen_is_taken_out(text: str, seen: str) -> None:
    assert clean(text) == seen == clean(seen)


@example("\u1100\u1161\u0308\u3099")
@example("か\u3099\u0300\u0316")  # a voicing mark and two more, in an order of their own
@given(st.text() | st.text(alphabet="eE\u0301\u0316\u0308\u200b\u1100\u1161\u11a8か\u3099\r\n\ufb01"))
def test_clean_is_done_at_once_and_in_one_form(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n" for c in once)
    once.encode("utf-8")


@given(st.text(alphabet="ab <>/&#;\\'{}\"!-1pu\n\u0301\x00", max_size=60))
def test_any_text_is_read(text: str) -> None:
    for start in ("", "<p>", "{\\rtf1 "):
        told = from_text(start + text).text
        assert clean(told) == told


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_bad_input(data: bytes) -> None:
    for start in (b"", b"{\\rtf1 ", b"<html>", b"\xff\xfe"):
        with contextlib.suppress(BadInput):
            assert read(start + data).text.strip()


HOSTILE = [
    "<p>" + "<a ",
    "<p>" + "<!--",
    "<p>" + "<a b='",
    "<p>" + "<a \"'",
    "<p>" + "&#1",
    "<p>" + "<?",
    "<p>" + "</",
    "{\\rtf1 " + "{\\*\\x ",
    "{\\rtf1 " + "\\uc9\\u1 ",
    "{\\rtf1 " + "\\'e9",
    "\u0301\u0316",
    "e\u0301\u0316",
    "<br>" + " \n",
]


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds, the least of three."""
    times = []
    for _ in range(3):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_with_length_only(unit: str) -> None:
    head = next((h for h in ("<p>", "{\\rtf1 ", "<br>") if unit.startswith(h)), "")
    body = unit.removeprefix(head)
    small, large = (head + body * (n // len(body)) for n in (20_000, 160_000))
    # Eight times the text may take sixteen times as long; with the square it would be 64 times.
    assert seconds(lambda: from_text(large)) < 16 * seconds(lambda: from_text(small)) + 0.02
