"""Questions about images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sagittal.datasets.open import open_data
from sagittal.datasets.splits import check_leaks, leaks
from sagittal.datasets.vqa import open_slake
from sagittal.errors import BadInput


def test_the_published_vqa_rad_file_splits_by_its_phrase_type(make: Any) -> None:
    entry = {
        "qid": "0",
        "phrase_type": "freeform",
        "image_name": "synpic1.jpg",
        "image_organ": "HEAD",
        "question": "Are regions of the brain infarcted?",
        "question_type": "PRES",
        "answer": "Yes",
        "answer_type": "CLOSED ",
    }
    test = entry | {"phrase_type": "test_freeform", "answer": 2, "answer_type": "OPEN"}
    make.text("VQA_RAD Dataset Public.json", json.dumps([entry, test]))
    make.film("VQA_RAD Image Folder/synpic1.jpg")
    data = open_data(make.folder)
    assert [r.split for r in data.rows] == ["train", "test"]
    (question,) = data.rows[0].questions
    assert (question.kind, question.answer, question.about, question.language) == (
        "closed",
        "Yes",
        "PRES",
        "en",
    )
    assert data.rows[1].questions[0].answer == "2"
    assert data.rows[0].load().series[0].body_part == "HEAD"
    make.text("VQA_RAD Dataset Public.json", json.dumps([{"question": "?", "image": "x"}]))
    with pytest.raises(BadInput, match="entry 0 has no 'image_name'; expected 'image', the nearest"):
        open_data(make.folder)


def test_the_real_vqa_rad_and_its_known_leak(shared_data: Path) -> None:
    data = open_data(shared_data / "vqa_rad")
    assert data.name == "VQA-RAD"
    assert [sum(len(r.questions) for r in data.only(s).rows) for s in ("train", "test")] == [3064, 451]
    assert len({row.patient for row in data.rows}) == 315 - 1  # One of the images is asked nothing about.
    # All 203 test images are training images as well.
    assert len(leaks(data)) == len(data.only("test")) == 203
    with pytest.raises(BadInput, match="203 leaks between splits; patient synpic"):
        check_leaks(data)
    study = data.rows[0].load()
    assert study.series[0].volume.shape[0] > 100


def test_the_real_slake_has_its_published_counts(shared_data: Path) -> None:
    data = open_data(shared_data / "slake_text")
    counts = [sum(len(r.questions) for r in data.only(s).rows) for s in ("train", "val", "test")]
    assert counts == [9835, 2099, 2094]
    assert {q.language for r in data.rows for q in r.questions} == {"en", "zh"}
    # This copy is split by question: an image may be in two splits, but no question is.
    images = [{row.patient for row in data.only(split).rows} for split in ("train", "val", "test")]
    shared = (images[0] & images[1]) | (images[0] & images[2]) | (images[1] & images[2])
    assert {leak.what for leak in leaks(data)} == shared
    assert (len(set.union(*images)), len(shared)) == (642, 298)


def test_slake_reads_boxes_and_says_modality_and_body_part(make: Any) -> None:
    entry = {
        "img_id": 1, "img_name": "xmlab1/source.jpg", "question": "肺是异常的吗?", "answer": "不是",
        "q_lang": "zh", "location": "Lung", "modality": "X-Ray",
        "answer_type": "CLOSED", "content_type": "Abnormality",
    }  # fmt: skip
    for name, entries in (("train", [entry]), ("validation", []), ("test", [])):
        make.text(f"{name}.json", json.dumps(entries))
    make.film("imgs/xmlab1/source.jpg")
    make.text("imgs/xmlab1/detection.json", json.dumps([{"Left Lung": [10.0, 20.0, 30.0, 40.0]}]))
    data = open_data(make.folder)
    assert data.rows[0].boxes[0].box_index == (20, 10, 60, 40)
    series = data.rows[0].load().series[0]
    assert (series.modality, series.body_part) == ("DX", "CHEST")
    with pytest.raises(BadInput, match="no question in 'en'"):
        open_slake(make.folder, language="en")
    (make.folder / "test.json").unlink()
    with pytest.raises(BadInput, match=r"has no test\.json"):
        open_slake(make.folder)
