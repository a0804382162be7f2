"""The page: self-contained, no scripts, nothing hidden, nothing that may not be shown."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime

from sagittal.report.disclosure import disclosure
from sagittal.report.html import html
from sagittal.report.phrasebook import say
from sagittal.report.reading import Reading, Status

DRAFTED, RESEARCH, SYNTHETIC = say("drafted", "en"), say("research", "en"), say("synthetic", "en")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))


def test_the_page_holds_everything_and_reaches_for_nothing(reading: Reading) -> None:
    page = html(reading, {("1.2.3.1", "nodule-1"): PNG})
    assert page.startswith("<!doctype html>")
    assert "<script" not in page.lower() and not re.search(r"https?://", page)
    assert base64.b64encode(PNG).decode() in page
    for section in reading.report.sections:
        for sentence in section.sentences:
            assert sentence.text.split("(")[0].strip() in page.replace("&#34;", '"')
    assert reading.uid in page and reading.models[0].digest[:16] in page


def test_a_draft_says_on_every_page_that_it_is_one(reading: Reading) -> None:
    page = html(reading)
    assert DRAFTED in page and RESEARCH in page and SYNTHETIC not in page
    assert "not for primary diagnosis" in page
    # What stands in a table's head is printed on every page.
    assert DRAFTED in page[page.index("<thead>") : page.index("</thead>")]
    synthetic = replace(reading, study=replace(reading.study, synthetic=True))
    assert SYNTHETIC in disclosure(synthetic)


def test_a_signed_page_names_who_signed(reading: Reading) -> None:
    when = datetime(2026, 3, 5, 9, 30, tzinfo=UTC)
    done = replace(reading, status=Status.SIGNED, signed_by="Dr A. Reader", signed_at=when)
    page = html(done)
    assert "reviewed and signed by Dr A. Reader on 2026-03-05 09:30" in page and DRAFTED not in page
    # A status without a name is no signature.
    assert DRAFTED in html(replace(done, signed_by=None))


def test_a_phantom_probability_is_no_number_on_a_real_image(reading: Reading) -> None:
    assert "0.91" not in html(reading)
    assert "not calibrated on this kind of image" in html(reading)
    assert "0.91 (phantom chest-ct)" in html(replace(reading, study=replace(reading.study, synthetic=True)))


def test_no_probability_is_rounded_to_certainty(reading: Reading) -> None:
    phantom = replace(reading, study=replace(reading.study, synthetic=True))
    for probability, shown in ((0.9997, "&gt; 0.99 (phantom"), (0.0004, "&lt; 0.01 (phantom")):
        sure = [replace(f, probability=probability, domain="phantom chest-ct") for f in phantom.findings]
        assert shown in html(replace(phantom, findings=tuple(sure)))


def test_sentences_lead_to_their_evidence(reading: Reading) -> None:
    page = html(reading)
    targets = set(re.findall(r'href="#(finding-\d+)"', page))
    assert targets and targets <= set(re.findall(r'id="(finding-\d+)"', page))


def test_hostile_text_is_text(reading: Reading) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    study = replace(reading.study, patient_id=evil, description=evil)
    page = html(replace(reading, study=study), {("1.2.3.1", evil): PNG})
    assert "<script" not in page and "<img src=x" not in page
