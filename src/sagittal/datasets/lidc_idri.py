"""LIDC-IDRI: 1,018 chest CTs of 1,010 patients, each read for nodules by four radiologists.

Layout (Armato et al., Medical Physics 2011; The Cancer Imaging Archive)::

    LIDC-IDRI-0001/<study>/<series>/*.dcm, with the readers' marks as an .xml file beside the slices

The XML holds, by reader, nodules of 3 mm and more (outline slice by slice, nine rated features), and smaller
ones as points. Radiographs (DX, CR) of the same patients lie beside the CTs and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from sagittal.datasets.assemble import Image, assemble, person
from sagittal.datasets.dataset import Box, Dataset, Row
from sagittal.datasets.tables import published
from sagittal.errors import BadInput

NAME = "LIDC-IDRI"
LICENCE = "CC BY 3.0"
LAYOUT = "LIDC-IDRI-NNNN/<study>/<series>/ with DICOM slices and one .xml of marks"
_MARKS = "LidcReadMessage"


def open_lidc_idri(folder: str | Path, *, readers: int = 3) -> Dataset:
    """One row a CT. Every reader's nodule is a `Box` with its ratings and the slices it lies on.

    Args:
        readers: how many of the four have to mark a nodule of 3 mm or more for the scan to count as
            having one. They need not mean the same nodule: matching marks is left to who uses them.

    Raises:
        BadInput: no scan there, or an XML file that is damaged; names it.
    """
    folder = Path(folder)
    if (folder / "LIDC-IDRI").is_dir():
        folder = folder / "LIDC-IDRI"
    published(folder, "LIDC-IDRI-*", layout=LAYOUT)
    rows, targets = [], []
    for marks in sorted(folder.glob("LIDC-IDRI-*/*/*/*.xml")):
        root = _root(marks)
        if root is None:
            continue
        series = marks.parent.relative_to(folder).as_posix()
        patient = series.split("/")[0]
        sessions = [list(_nodules(session, marks)) for session in root.iter("readingSession")]
        boxes = tuple(
            Box("nodule", where, slices, f"reader {number + 1}", grades)
            for number, nodules in enumerate(sessions)
            for where, slices, grades in nodules
        )
        said = {"modality": "CT", "body_part": "CHEST"}
        load = partial(assemble, folder, (Image(series, said),), NAME, patient=person(patient))
        rows.append(Row(series, patient, "", load, boxes=boxes))
        targets.append([float(sum(map(bool, sessions)) >= readers)])
    if not rows:
        raise BadInput(f"{folder} has no CT with an .xml of marks beside its slices", LAYOUT)
    return Dataset(
        NAME,
        tuple(rows),
        ("nodule",),
        np.array(targets, np.float32),
        False,
        LICENCE,
        folder=folder,
        caveats=("no official split: see split_patients",),
    )


def _root(path: Path) -> ElementTree.Element | None:
    """The marks without their namespace; None for the XML of radiographs."""
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError) as error:
        raise BadInput(f"{path} is not XML ({error})", LAYOUT) from None
    for node in root.iter():
        node.tag = str(node.tag).rpartition("}")[2]
    return root if root.tag == _MARKS else None


def _nodules(
    session: ElementTree.Element, path: Path
) -> Iterator[tuple[tuple[float, float, float, float], tuple[str, ...], dict[str, float]]]:
    """(box, slices, ratings) of each nodule of 3 mm or more; a smaller one has a single point."""
    for nodule in session.iter("unblindedReadNodule"):
        xs: list[int] = []
        ys: list[int] = []
        slices: list[str] = []
        for roi in nodule.iter("roi"):
            # Holes in a nodule are outlined too, as exclusions.
            if (roi.findtext("inclusion") or "").strip().upper() == "FALSE":
                continue
            try:
                xs += [int(edge.findtext("xCoord") or "") for edge in roi.iter("edgeMap")]
                ys += [int(edge.findtext("yCoord") or "") for edge in roi.iter("edgeMap")]
            except ValueError:
                raise BadInput(f"{path}: an outline has a point that is no number", LAYOUT) from None
            slices.append((roi.findtext("imageSOP_UID") or "").strip())
        features = nodule.find("characteristics")
        grades = {
            node.tag: float(node.text)
            for node in (features if features is not None else ())
            if node.text and node.text.strip().isdigit()
        }
        if len(xs) > 1:
            (y0, y1), (x0, x1) = _span(ys), _span(xs)
            yield (y0, x0, y1, x1), tuple(slices), grades


def _span(points: list[int]) -> tuple[float, float]:
    """First voxel inside and the one after the last: the outline is the first ring outside the nodule."""
    low, high = min(points), max(points)
    return (low + 1.0, float(high)) if high - low > 1 else (float(low), high + 1.0)
