"""OpenI, the Indiana University chest radiographs: 3,955 reports with MeSH terms, 7,470 images.

Two layouts are read (Demner-Fushman et al., JAMIA 2016)::

    ecgen-radiology/*.xml (NLMCXR_reports.tgz) and CXR1_1_IM-0001-3001.png ... (NLMCXR_png.tgz)
    indiana_reports.csv      uid, MeSH, Problems, image, indication, comparison, findings, impression
    indiana_projections.csv  uid, filename, projection; images in images/images_normalized/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from sagittal.datasets.assemble import Image, assemble, person
from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.tables import inside, published, read_table
from sagittal.errors import BadInput
from sagittal.study.context import Context
from sagittal.study.study import Study

NAME = "OpenI"
LICENCE = "CC BY-NC-ND 4.0"
LAYOUT = "ecgen-radiology/*.xml beside the PNG files, or indiana_reports.csv and indiana_projections.csv"
_FOLDERS = ("", "images/images_normalized/", "images_normalized/", "images/", "NLMCXR_png/")
_NO_PROBLEM = {"", "normal", "no indexing"}


@dataclass(frozen=True)
class _Report:
    uid: str
    problems: frozenset[str] | None
    indication: str
    text: str
    images: tuple[tuple[str, str], ...]
    """(file name, view or "")."""


def open_openi(folder: str | Path) -> Dataset:
    """One row a report, with its images. Labels are all MeSH problems that occur.

    Raises:
        BadInput: a file or column is missing or wrong.
    """
    folder = Path(folder)
    reports = list(_csv(folder) if (folder / "indiana_reports.csv").is_file() else _xml(folder))
    if not reports:
        raise BadInput(f"{folder} has no reports", LAYOUT)
    labels = tuple(sorted(frozenset().union(*(r.problems for r in reports if r.problems))))
    index = {label: column for column, label in enumerate(labels)}
    targets = np.zeros((len(reports), len(labels)), np.float32)
    rows = []
    for number, report in enumerate(reports):
        if report.problems is None:
            targets[number] = np.nan
        for label in report.problems or ():
            targets[number, index[label]] = 1
        load = partial(_study, folder, report)
        rows.append(Row(report.uid, report.uid, "", load, read_report=partial(str, report.text)))
    caveats = (
        "no official split: see split_patients",
        "no patient ids: every report stands for a patient of its own",
        "names and dates in the texts are blacked out as XXXX",
    )
    return Dataset(NAME, tuple(rows), labels, targets, False, LICENCE, folder=folder, caveats=caveats)


def _sections(comparison: str, findings: str, impression: str) -> str:
    named = (("COMPARISON", comparison), ("FINDINGS", findings), ("IMPRESSION", impression))
    return "\n".join(f"{name}: {text}" for name, text in named if text)


def _problems(words: list[str]) -> frozenset[str] | None:
    """Problems without their qualifiers; None where nobody indexed the report."""
    named = {word.split("/")[0].strip() for word in words}
    if not named - {""} or {word.lower() for word in named} == {"no indexing"}:
        return None
    return frozenset(word for word in named if word.lower() not in _NO_PROBLEM)


def _csv(folder: Path) -> Iterator[_Report]:
    table = published(folder, "indiana_projections.csv", layout=LAYOUT)
    images: dict[str, list[tuple[str, str]]] = {}
    for number, line in read_table(table, "uid", "filename", "projection", layout=LAYOUT):
        view = "LATERAL" if line["projection"] == "Lateral" else ""
        images.setdefault(line["uid"], []).append((inside(line["filename"], table, number), view))
    path = folder / "indiana_reports.csv"
    columns = ("uid", "Problems", "indication", "comparison", "findings", "impression")
    for _, line in read_table(path, *columns, layout=LAYOUT):
        yield _Report(
            line["uid"],
            _problems(line["Problems"].split(";")),
            line["indication"],
            _sections(line["comparison"], line["findings"], line["impression"]),
            tuple(images.get(line["uid"], ())),
        )


def _xml(folder: Path) -> Iterator[_Report]:
    published(folder, "ecgen-radiology/*.xml", layout=LAYOUT)
    for path in sorted((folder / "ecgen-radiology").glob("*.xml"), key=lambda p: (len(p.stem), p.stem)):
        try:
            root = ElementTree.parse(path).getroot()
        except (ElementTree.ParseError, OSError, ValueError) as error:
            raise BadInput(f"{path} is not XML ({error})", LAYOUT) from None
        text = {str(n.get("Label")).upper(): (n.text or "").strip() for n in root.iter("AbstractText")}
        images = tuple((f"{image.get('id')}.png", "") for image in root.iter("parentImage"))
        yield _Report(
            path.stem,
            _problems([node.text or "" for node in root.findall("./MeSH/major")]),
            text.get("INDICATION", ""),
            _sections(*(text.get(name, "") for name in ("COMPARISON", "FINDINGS", "IMPRESSION"))),
            images,
        )


def _study(folder: Path, report: _Report) -> Study:
    if not report.images:
        raise BadInput(f"report {report.uid} of {NAME} names no image")
    images = []
    for name, view in report.images:
        places = (f"{place}{name}" for place in _FOLDERS)
        path = next((place for place in places if (folder / place).is_file()), name)
        images.append(Image(path, {"modality": "DX", "body_part": "CHEST", "view": view}))
    return assemble(
        folder,
        tuple(images),
        NAME,
        patient=person(report.uid),
        report=report.text,
        context=Context(indication=report.indication),
    )
