"""Labelled studies, opened one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sagittal.datasets.tables import nearest
from sagittal.errors import BadInput
from sagittal.study.study import Study

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Box:
    """A rectangle somebody drew.

    Args:
        box_index: (y0, x0, y1, x1) in pixels of the image as published, as in `Evidence`.
        images: the images it lies on: file names, or SOP instance UIDs of DICOM slices; empty where the
            study has one image.
        reader: who drew it, where the set says so.
        grades: what the reader rated, e.g. {"malignancy": 4}.
    """

    label: str
    box_index: tuple[float, float, float, float]
    images: tuple[str, ...] = ()
    reader: str = ""
    grades: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """A question about a study with the published answer.

    Args:
        kind: closed (yes/no or a choice) or open, as the set says.
        language: ISO 639-1.
        about: the set's own kind of question, e.g. "PRES" or "Modality".
    """

    text: str
    answer: str
    kind: Literal["open", "closed"] = "open"
    language: str = "en"
    about: str = ""


@dataclass(frozen=True, eq=False)
class Row:
    """One labelled study.

    Args:
        study: its name in the set, e.g. "train/000123" or a path relative to the folder.
        patient: the set's patient; where it names none, the image's own name.
        split: train, val, test, or "" where the set states none.
        load: opens it; may raise BadInput.
        prior, mask: paths relative to the folder, or "". A mask is one file of label values, or a folder
            with one file a structure; see `read_mask`.
        groups: sex, site, scanner ... -> value, for fairness.
        read_report: reads the report of this very examination; see `report`.
        order: sorts the studies of one patient by time (a date, a follow-up number); "" unknown.
    """

    study: str
    patient: str
    split: str
    load: Callable[[], Study]
    prior: str = ""
    mask: str = ""
    groups: dict[str, str] = field(default_factory=dict)
    read_report: Callable[[], str] = str
    questions: tuple[Question, ...] = ()
    boxes: tuple[Box, ...] = ()
    order: str = ""

    @property
    def report(self) -> str:
        """The report's text; "" where the set has none. `load` of a published set has it in ``context.notes``
        as well."""
        return self.read_report()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled set.

    Args:
        labels: (L,) names; targets: (N, L) 0, 1 or NaN for unknown.
        exclusive: the labels are classes of which exactly one holds.
        licence: as the set states it; "" where it does not.
    """

    name: str
    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    targets: NDArray[np.float32]
    exclusive: bool = False
    licence: str = ""
    age_years: tuple[float, float] | None = None
    """Ages the set says it covers, where it does not say them patient by patient."""
    folder: Path | None = None
    """What ``prior`` and ``mask`` of the rows are relative to."""
    mask_labels: Mapping[int, str] = field(default_factory=dict)
    """Value in a mask -> structure; 0 is background and is not listed."""
    caveats: tuple[str, ...] = ()
    """What the set does not say, or what is known to be wrong with it; one line each."""

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, split: str) -> Dataset:
        """The rows of one split.

        Raises:
            BadInput: no row is of that split; says which there are.
        """
        keep = [i for i, row in enumerate(self.rows) if row.split == split]
        if not keep:
            there = ", ".join(sorted({row.split or "none stated" for row in self.rows}))
            raise BadInput(f"{self.name} has no split {split!r}", f"one of: {there}")
        return replace(self, rows=tuple(self.rows[i] for i in keep), targets=self.targets[keep])

    def has(self, split: str) -> bool:
        """Whether any row is of that split."""
        return any(row.split == split for row in self.rows)

    def labelled(self, *labels: str) -> Dataset:
        """The same rows with these labels only, in this order.

        Raises:
            BadInput: no such label; says the nearest one.
        """
        for label in labels:
            if label not in self.labels:
                raise BadInput(f"{self.name} has no label {label!r}", nearest(label, self.labels))
        columns = [self.labels.index(label) for label in labels]
        return replace(self, labels=labels, targets=self.targets[:, columns])
