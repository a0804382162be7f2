"""Nothing of a text that was read stays in a cache after `forget`."""

from __future__ import annotations

from sagittal.privacy.text import deidentify_text
from sagittal.privacy.words import fold
from sagittal.report import sentence
from sagittal.report.language import language
from sagittal.report.memory import forget
from sagittal.report.parse import parse
from sagittal.report.spelling import known, misspelt

KEPT = (sentence.heard, sentence.findings, known, fold, language("en").norm)


def test_what_was_read_is_forgotten() -> None:
    text = "Nodule in the right upper lobe, discussed with Dr Quibbleton."
    found = parse(text)
    list(misspelt(text))
    deidentify_text(text)
    assert all(each.cache_info().currsize for each in KEPT)
    forget()
    assert not any(each.cache_info().currsize for each in KEPT)
    assert parse(text) == found
