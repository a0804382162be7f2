"""Any folder with a CSV, by path or by UID; what belongs to no set; and large tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sagittal.datasets.chestxray14 import open_chestxray14
from sagittal.datasets.open import KNOWN, open_data
from sagittal.datasets.table import open_table
from sagittal.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]


def two_studies(make: Any) -> None:
    for study, z in ((1, 0), (1, 1), (2, 0)):
        make.dicom(
            f"all/{study}-{z}.dcm", z=z, PatientID=f"P{study}", StudyInstanceUID=f"2.25.10{study}",
            SeriesInstanceUID=f"2.25.20{study}",
        )  # fmt: skip


@pytest.mark.parametrize("key", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_a_dicom_folder_is_joined_by_uid(make: Any, key: str) -> None:
    two_studies(make)
    start = "2.25.10" if key == "StudyInstanceUID" else "2.25.20"
    make.text(
        "cases.csv",
        f"{key},PatientID,split,nodule,age\n{start}1,P1,training,1,60\n{start}2,P2,valid,,70\n{start}3,P3,,0,\n",
    )
    data = open_data(make.folder)
    assert (data.labels, [r.split for r in data.rows]) == (("nodule",), ["train", "val", ""])
    np.testing.assert_equal(data.targets[:, 0], [1, np.nan, 0])
    assert [row.load().series[0].shape for row in data.rows[:2]] == [(2, 8, 8), (1, 8, 8)]
    with pytest.raises(BadInput, match=f"no file below .* has the {key} {start}3"):
        data.rows[2].load()


def test_paths_need_no_suffix_and_stay_inside(make: Any) -> None:
    two_studies(make)
    path = make.text("cases.csv", "image,Subject_ID,kind\n1-0,P1,benign\n2-0,P2,malignant\n")
    data = open_table(path, make.folder / "all", suffix=".dcm", labels=("kind",))
    assert (data.labels, data.exclusive) == (("benign", "malignant"), True)
    assert data.rows[1].load().patient.id == "P2"
    with pytest.raises(BadInput, match=r"no column 'kinds'.*'kind', the nearest"):
        open_table(path, labels=("kinds",))
    make.text("cases.csv", "image,nodule\n../1-0.dcm,1\n")
    with pytest.raises(BadInput, match=r"line 2: .* outside"):
        open_table(path)
    make.text("cases.csv", "image,nodule\na,1\na,0\n")
    with pytest.raises(BadInput, match="line 3: image is 'a'"):
        open_table(path)
    make.text("cases.csv", "name,nodule\na,1\n")
    with pytest.raises(BadInput, match="has the columns name, nodule"):
        open_table(path)


def test_a_real_table_whose_images_lie_one_folder_below(shared_data: Path) -> None:
    data = open_table(shared_data / "cxr_notes" / "metadata.csv", study="image", patient="patientid")
    assert len(data) == 177
    assert len({row.patient for row in data.rows}) < 177
    study = data.rows[0].load()
    assert study.series[0].volume.shape == study.series[0].shape


def test_a_folder_that_is_no_set_names_those_that_are_known(make: Any) -> None:
    make.text("readme.txt", "hello")
    with pytest.raises(BadInput, match=r"no labels\.csv.*MIMIC-CXR-JPG.*SLAKE") as caught:
        open_data(make.folder)
    assert "\n" not in str(caught.value)


def test_rows_are_made_without_opening_an_image(make: Any, no_images: Callable[[], None]) -> None:
    rows = "".join(f"{n:08d}_000.png,Mass|Nodule,0,{n},58,M,PA,2048,2048,0.1,0.1,\n" for n in range(5_000))
    make.text(
        "Data_Entry_2017.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        f"OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n{rows}",
    )
    no_images()
    data = open_chestxray14(make.folder)
    assert len(data) == 5_000
    assert data.targets.sum() == 10_000


def test_every_known_set_is_in_the_table_of_the_guide() -> None:
    guide = (ROOT / "docs" / "how-to" / "datasets.md").read_text("utf-8")
    for known in KNOWN:
        line = next((line for line in guide.splitlines() if line.startswith(f"| {known.name} |")), None)
        assert line is not None, known.name
        assert known.licence in line, known.name
        assert any(pattern in line for group in known.files for pattern in group), known.name
