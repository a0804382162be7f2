"""MedMNIST files: the real one, its known leak, and files that are not one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sagittal.datasets.medmnist import open_medmnist
from sagittal.datasets.open import open_data
from sagittal.errors import BadInput


def small(path: Path, **changes: np.ndarray) -> Path:
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 6), ("val", 4), ("test", 5)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28)).astype(np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n) % 2).astype(np.uint8)[:, None]
    np.savez(path, **{**arrays, **changes})
    return path


def test_the_real_pneumoniamnist_has_its_published_counts(shared_data: Path) -> None:
    data = open_data(shared_data / "pneumoniamnist" / "pneumoniamnist_full_reassembled.npz")
    assert [len(data.only(split)) for split in ("train", "val", "test")] == [4708, 524, 624]
    assert data.labels == ("pneumonia",)
    assert data.targets.mean() == pytest.approx(0.73, abs=0.01)  # 4273 of 5856
    assert data.only("test").targets.mean() == 0.625  # 390 of 624
    study = data.rows[123].load()
    assert data.rows[123].study == "train/000123"
    assert study.series[0].volume.shape == (28, 28)
    assert study.series[0].view == "AP"
    assert "1 to 5 years" in study.stated["age"]
    uids = {row.load().series[0].uid for row in data.only("val").rows}
    assert len(uids) == 524


def test_a_set_is_known_by_its_name_or_its_official_counts(tmp_path: Path) -> None:
    known = open_medmnist(small(tmp_path / "PneumoniaMNIST_28.npz"))
    assert known.labels == ("pneumonia",)
    assert known.licence == "CC BY 4.0"
    unknown = open_medmnist(small(tmp_path / "mine.npz"))
    assert unknown.labels == ("label_0",)
    study = unknown.rows[0].load()
    assert (study.series[0].modality, study.patient.age_years, study.stated) == ("OT", None, {})


def test_classes_become_one_column_each_and_colour_becomes_luminance(tmp_path: Path) -> None:
    red = np.zeros((6, 28, 28, 3), np.uint8)
    red[..., 0] = 200
    path = small(
        tmp_path / "derma.npz", train_images=red, train_labels=np.array([0, 1, 2, 0, 1, 2], np.uint8)[:, None]
    )
    data = open_medmnist(path)
    assert data.labels == ("class_0", "class_1", "class_2")
    assert data.exclusive
    np.testing.assert_array_equal(data.targets.sum(1), 1)
    assert data.rows[0].load().series[0].volume.voxels.mean() == pytest.approx(200 * 0.299)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"train_images": np.zeros((6, 28, 28), np.float32)}, "uint8"),
        ({"train_images": np.zeros((5, 28, 28), np.uint8)}, "as many"),
        ({"train_images": np.zeros((6, 8, 8, 8), np.uint8)}, "(n, y, x)"),
        ({"train_labels": np.full((6, 1), 70000)}, "1000"),
    ],
)
def test_files_that_are_not_medmnist_say_so(
    tmp_path: Path, changes: dict[str, np.ndarray], says: str
) -> None:
    with pytest.raises(BadInput) as caught:
        open_medmnist(small(tmp_path / "x.npz", **changes))
    assert says in str(caught.value)


def test_a_pickled_array_and_a_truncated_file_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", train_images=np.array([print], dtype=object), train_labels=np.zeros(1))
    with pytest.raises(BadInput, match="cannot be read"):
        open_medmnist(tmp_path / "evil.npz")
    whole = small(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="cannot be read"):
        open_data(tmp_path / "half.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(BadInput, match="no data set"):
        open_data(tmp_path / "text.npz")


def test_an_absent_split_names_those_there_are(tmp_path: Path) -> None:
    data = open_medmnist(small(tmp_path / "mine.npz"))
    with pytest.raises(BadInput, match="test, train, val"):
        data.only("heldout")
