"""Data folders: what labels.csv may say, and what it must not reach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sagittal.datasets.folder import open_folder
from sagittal.datasets.open import open_data
from sagittal.errors import BadInput


def folder(tmp_path: Path, text: str) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        Image.fromarray(rng.integers(0, 256, (32, 40)).astype(np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "labels.csv").write_text(text, "utf-8")
    return tmp_path


def test_binary_columns_groups_splits_and_unknowns(tmp_path: Path) -> None:
    data = open_data(
        folder(
            tmp_path,
            "study,patient,split,group:sex,nodule,mass\n"
            "a.png,1,train,F,1,0\nb.png,2,val,M,,1\nc.png,2,test,M,0,0\n",
        )
    )
    assert data.labels == ("nodule", "mass")
    assert not data.exclusive
    np.testing.assert_array_equal(data.targets, np.array([[1, 0], [np.nan, 1], [0, 0]], np.float32))
    assert data.rows[0].groups == {"sex": "F"}
    assert data.only("val").rows[0].study == "b.png"
    assert data.rows[1].load().series[0].volume.shape == (32, 40)


def test_a_column_of_class_names_becomes_exclusive_labels(tmp_path: Path) -> None:
    data = open_folder(folder(tmp_path, "study,patient,kind\na.png,1,benign\nb.png,2,\nc.png,3,malignant\n"))
    assert data.labels == ("benign", "malignant")
    assert data.exclusive
    np.testing.assert_array_equal(data.targets[0], [1, 0])
    assert np.isnan(data.targets[1]).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("patient,nodule\n1,0\n", "study and patient"),
        ("study,patient,nodule\n", "no rows"),
        ("study,patient,nodule\na.png,1\n", "line 2"),
        ("study,patient,nodule\na.png,1,0,9\n", "line 2"),
        ("study,patient,split,nodule\na.png,1,dev,0\n", "split is 'dev'"),
        ("study,patient,nodule,mass\na.png,1,2,0\n", "nodule is '2'"),
        ("study,patient,nodule\n../../etc/passwd,1,0\n", "outside the folder"),
        ("study,patient,nodule\n/etc/passwd,1,0\n", "outside the folder"),
        ("study,patient,nodule\na.png,1,0\na.png,1,1\n", "twice"),
        ("study,patient,nodule\na.png,,0\n", "lacks study or patient"),
    ],
)
def test_a_wrong_labels_csv_is_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        open_folder(folder(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_labels_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"labels\.csv"):
        open_data(tmp_path)
    with pytest.raises(BadInput, match="does not exist"):
        open_data(tmp_path / "nowhere")


def test_a_link_that_leads_outside_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("L", (8, 8)).save(secret)
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link.png").symlink_to(secret)
    (inner / "labels.csv").write_text("study,patient,nodule\nlink.png,1,0\n")
    with pytest.raises(BadInput, match="outside"):
        open_folder(inner)
