"""`sagittal segment`: grids, naming, refusal; the bundled hippocampus on cases never seen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest

from sagittal.measure.segmentation import dice
from sagittal.zoo.load import BUNDLED

BUNDLE = pytest.mark.skipif(
    not (BUNDLED / "sagittal-small" / "card.json").is_file(), reason="the bundled weights are not here"
)


def unseen(folder: Path) -> list[str]:
    """The 48 cases that `recipes/hippocampus.py` never trains on: the first by the hash of their names."""
    names = (path.name for path in folder.glob("*.nii.gz"))
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:48]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--task", "spleen", "--out", "m.nii.gz"), "one of hippocampus"),
        (("--task", "brain", "--out", "m.txt"), ".nii.gz"),
        (("--task", "brain", "--out", "nowhere/m.nii.gz"), "folder does not exist"),
        (("--task", "brain", "--model", "nothing", "--out", "m.nii.gz"), "unknown model"),
    ],
)
def test_bad_requests_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sagittal: Callable[..., Any],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    image = nibabel.Nifti1Image(np.random.default_rng(0).random((20, 20, 20), np.float32), np.eye(4))
    nibabel.save(image, tmp_path / "x.nii.gz")
    ran = sagittal("segment", "x.nii.gz", *arguments)
    assert ran.code == 2
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["x.nii.gz"]


def mean_dice(data: Path, cases: list[str], out: Path, sagittal: Callable[..., Any]) -> float:
    found = []
    for name in cases:
        ran = sagittal("segment", data / "images" / name, "--task", "hippocampus", "--out", out, "--json")
        assert ran.code == 0, ran.err
        drawn, image = nibabel.load(out), nibabel.load(data / "images" / name)
        np.testing.assert_allclose(drawn.affine, image.affine, atol=1e-4)
        assert drawn.shape == image.shape
        truth = np.asarray(nibabel.load(data / "labels" / name).dataobj)
        labels = np.asarray(drawn.dataobj)
        assert set(np.unique(labels)) <= {0, 1, 2}
        found.append(np.mean([dice(labels == k, truth == k) for k in (1, 2)]))
    return float(np.mean(found))


@BUNDLE
def test_the_bundled_hippocampus_on_unseen_cases(
    shared_data: Path, tmp_path: Path, sagittal: Callable[..., Any]
) -> None:
    data = shared_data / "msd_hippocampus"
    assert mean_dice(data, unseen(data / "images")[:5], tmp_path / "m.nii.gz", sagittal) > 0.84


@BUNDLE
@pytest.mark.slow
def test_the_bundled_hippocampus_reaches_its_goal_on_all_unseen_cases(
    shared_data: Path, tmp_path: Path, sagittal: Callable[..., Any]
) -> None:
    data = shared_data / "msd_hippocampus"
    assert mean_dice(data, unseen(data / "images"), tmp_path / "m.nii.gz", sagittal) >= 0.87


@BUNDLE
def test_a_whole_head_is_refused_by_the_hippocampus_task(
    tmp_path: Path, sagittal: Callable[..., Any]
) -> None:
    voxels = np.random.default_rng(0).random((120, 140, 110), np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "head.nii.gz")
    out = tmp_path / "m.nii.gz"
    ran = sagittal("segment", tmp_path / "head.nii.gz", "--task", "hippocampus", "--out", out)
    assert ran.code == 3
    assert "field of view" in ran.err
    assert not out.exists()


@BUNDLE
def test_naming_the_task_is_recorded_as_stated_and_written_as_dicom(
    shared_data: Path, tmp_path: Path, sagittal: Callable[..., Any]
) -> None:
    data = shared_data / "msd_hippocampus" / "images"
    out = tmp_path / "m.dcm"
    ran = sagittal("segment", data / unseen(data)[0], "--task", "hippocampus", "--out", out, "--json")
    assert ran.code == 0, ran.err
    assert any("modality MR: stated by user" in line for line in ran.json["stated"])
    assert 0.5 < ran.json["volumes_ml"]["hippocampus_anterior"] < 5
    dataset = pydicom.dcmread(out)
    assert dataset.Modality == "SEG"
    assert [s.SegmentLabel for s in dataset.SegmentSequence] == [
        "hippocampus_anterior",
        "hippocampus_posterior",
    ]
