"""Questions about images: VQA-RAD and SLAKE. One row an image and split, with its questions.

VQA-RAD (Lau et al., Scientific Data 2018): 315 images, 2,248 questions::

    VQA_RAD Dataset Public.json, VQA_RAD Image Folder/     test questions have phrase_type test_*
    trainset.json, testset.json, images/                    the layout its users pass on

SLAKE 1.0 (Liu et al., ISBI 2021): 642 images, 14,028 questions in English and Chinese::

    train.json, validate.json (or validation.json), test.json
        img_name, question, answer, q_lang, location, modality ...
    imgs/xmlab0/source.jpg, detection.json (boxes [x, y, width, height] by structure), mask.png
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sagittal.datasets.assemble import Image, assemble, person
from sagittal.datasets.dataset import Box, Dataset, Question, Row
from sagittal.datasets.tables import inside, published, read_json_file, read_list
from sagittal.errors import BadInput

RAD_LICENCE = "CC0 1.0"
SLAKE_LICENCE = "CC BY 4.0"
RAD_LAYOUT = (
    "'VQA_RAD Dataset Public.json' and 'VQA_RAD Image Folder/', or trainset.json, testset.json, images/"
)
SLAKE_LAYOUT = "train.json, validate.json, test.json and imgs/xmlabN/source.jpg"
_RAD_KEYS = ("image_name", "image_organ", "question", "answer", "answer_type", "question_type", "phrase_type")
_SLAKE_KEYS = (
    "img_name",
    "question",
    "answer",
    "q_lang",
    "location",
    "modality",
    "answer_type",
    "content_type",
)
_ORGANS = {"CHEST": "CHEST", "HEAD": "HEAD", "ABD": "ABDOMEN"}
_MODALITIES = {"CT": "CT", "MRI": "MR", "X-RAY": "DX"}
_LOCATIONS = {
    "brain": "BRAIN",
    "lung": "CHEST",
    "chest": "CHEST",
    "abdomen": "ABDOMEN",
    "neck": "NECK",
    "pelvic": "PELVIS",
}


def open_vqa_rad(folder: str | Path) -> Dataset:
    """VQA-RAD. Its split is by question: most test images are training images too, which `leaks` names.

    Raises:
        BadInput: a file or key is missing or wrong.
    """
    folder = Path(folder)
    public = folder / "VQA_RAD Dataset Public.json"
    asked: list[tuple[str, dict[str, Any]]] = []
    if public.is_file():
        for entry in read_list(public, *_RAD_KEYS, layout=RAD_LAYOUT):
            asked.append(("test" if str(entry["phrase_type"]).startswith("test") else "train", entry))
        place = "VQA_RAD Image Folder"
    else:
        for name, split in (("trainset.json", "train"), ("testset.json", "test")):
            path = published(folder, name, layout=RAD_LAYOUT)
            asked += [(split, entry) for entry in read_list(path, *_RAD_KEYS, layout=RAD_LAYOUT)]
        place = "images"
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for split, entry in asked:
        grouped.setdefault((split, inside(str(entry["image_name"]), folder, 0)), []).append(entry)
    rows = []
    for (split, image), entries in grouped.items():
        said = {"body_part": _ORGANS.get(str(entries[0]["image_organ"]).strip().upper(), "")}
        load = partial(assemble, folder, (Image(f"{place}/{image}", said),), "VQA-RAD", patient=person(image))
        questions = tuple(_question(e, str(e["question_type"]), "en") for e in entries)
        rows.append(Row(f"{split}/{image}", image, split, load, questions=questions))
    caveats = ("the split is by question: test images are training images as well",)
    return _dataset("VQA-RAD", folder, rows, RAD_LICENCE, caveats)


def open_slake(folder: str | Path, *, language: str = "") -> Dataset:
    """SLAKE, with the boxes of ``detection.json`` where they are there.

    Args:
        language: only the questions in "en" or "zh"; "" both.

    Raises:
        BadInput: a file or key is missing or wrong, or no question in that language.
    """
    folder = Path(folder)
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name, split in (("train.json", "train"), ("validat*.json", "val"), ("test.json", "test")):
        path = published(folder, name, layout=SLAKE_LAYOUT)
        for number, entry in enumerate(read_list(path, *_SLAKE_KEYS, layout=SLAKE_LAYOUT)):
            if not language or entry["q_lang"] == language:
                grouped.setdefault((split, inside(str(entry["img_name"]), path, number)), []).append(entry)
    if not grouped:
        raise BadInput(f"{folder} has no question in {language!r}", "en or zh")
    rows = []
    for (split, image), entries in grouped.items():
        where = str(entries[0]["location"]).replace("_", " ").split()[0].lower()
        modality = _MODALITIES.get(str(entries[0]["modality"]).upper(), "")
        said = {"modality": modality, "body_part": _LOCATIONS.get(where, "")}
        patient = image.split("/")[0]
        load = partial(assemble, folder, (Image(f"imgs/{image}", said),), "SLAKE", patient=person(patient))
        questions = tuple(_question(e, str(e["content_type"]), str(e["q_lang"])) for e in entries)
        boxes = _boxes(folder / "imgs" / image)
        rows.append(Row(f"{split}/{patient}", patient, split, load, questions=questions, boxes=boxes))
    caveats = (
        "no patient ids: every image stands for a patient of its own",
        "some copies split by question: test images are training images as well",
    )
    return _dataset("SLAKE", folder, rows, SLAKE_LICENCE, caveats)


def _question(entry: dict[str, Any], about: str, language: str) -> Question:
    # VQA-RAD has answers that are numbers, and kinds with a blank behind them.
    kind = "closed" if str(entry["answer_type"]).strip().upper() == "CLOSED" else "open"
    text, answer = str(entry["question"]).strip(), str(entry["answer"]).strip()
    return Question(text, answer, kind, language, about.strip())  # type: ignore[arg-type]


def _boxes(image: Path) -> tuple[Box, ...]:
    path = image.with_name("detection.json")
    if not path.is_file():
        return ()
    boxes = []
    for entry in read_json_file(path):
        try:
            ((label, (x, y, w, h)),) = entry.items()
            boxes.append(Box(str(label), (float(y), float(x), float(y + h), float(x + w))))
        except (AttributeError, TypeError, ValueError):
            raise BadInput(f"{path} has the box {entry!r}", '{"Lung": [x, y, width, height]}') from None
    return tuple(boxes)


def _dataset(name: str, folder: Path, rows: list[Row], licence: str, caveats: tuple[str, ...]) -> Dataset:
    if not rows:
        raise BadInput(f"{folder} has no questions", SLAKE_LAYOUT if name == "SLAKE" else RAD_LAYOUT)
    nothing = np.zeros((len(rows), 0), np.float32)
    return Dataset(name, tuple(rows), (), nothing, False, licence, folder=folder, caveats=caveats)
