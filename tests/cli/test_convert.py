"""`sagittal convert`: images and the masks drawn on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk


@pytest.mark.parametrize(
    "modality",
    ["CT", pytest.param("PET", marks=pytest.mark.slow), pytest.param("MR_T1", marks=pytest.mark.slow)],
)
def test_contours_become_the_published_mask(
    sagittal: Any, shared_data: Path, tmp_path: Path, modality: str
) -> None:
    folder = shared_data / "sts_ct_pet_mr"
    out = tmp_path / "mask.nii.gz"
    patient = folder / "dicom" / "STS_002"
    ran = sagittal(
        "convert", patient, out, "--mask", "--series", f"IBSI_1_STS_002_{modality}_image", "--json"
    )
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["labels"] == {"1": f"GTV_Mass_{modality}"}
    ours = sitk.ReadImage(str(out))
    theirs = sitk.ReadImage(str(folder / "nifti" / "STS_002" / f"{modality}_mask.nii.gz"))
    assert np.allclose(ours.GetOrigin(), theirs.GetOrigin(), atol=1e-3)
    assert np.allclose(ours.GetSpacing(), theirs.GetSpacing(), atol=1e-4)
    assert np.array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs) > 0)


def test_several_masked_series_must_be_told_apart(sagittal: Any, shared_data: Path, tmp_path: Path) -> None:
    patient = shared_data / "sts_ct_pet_mr" / "dicom" / "STS_002"
    for arguments in ([], ["--mask"]):
        ran = sagittal("convert", patient, tmp_path / "x.nii.gz", *arguments)
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
        assert "--series" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_image_equals_what_another_converter_made(sagittal: Any, shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "sts_ct_pet_mr"
    series = "IBSI_1_STS_002_CT_image"
    ran = sagittal("convert", folder / "dicom" / "STS_002", tmp_path / "ct.nii", "--series", series)
    assert ran.code == 0
    ours: Any = nib.load(tmp_path / "ct.nii")
    theirs: Any = nib.load(folder / "nifti" / "STS_002" / "CT_image.nii.gz")
    assert np.allclose(ours.affine, theirs.affine, atol=1e-3)
    assert np.array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))


@pytest.mark.parametrize("size", ["23x38x3", "24x38x3"])
def test_seg_of_any_column_count(sagittal: Any, shared_data: Path, tmp_path: Path, size: str) -> None:
    folder = shared_data / "dicom_seg_sr" / "data" / "segmentations" / size
    for source in ("image", "multiframe"):
        study = tmp_path / source
        study.mkdir()
        for path in (folder / source).glob("*.dcm"):
            (study / path.name).write_bytes(path.read_bytes())
        (study / "label.seg").write_bytes((folder / "seg" / "label.seg").read_bytes())
        out = tmp_path / f"{source}.nii.gz"
        ran = sagittal("convert", study, out, "--mask", "--json")
        assert ran.code == 0, ran.err
        oracle = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "nrrd" / "label.nrrd")))
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(out))) > 0, oracle > 0)


def test_names_and_masks_that_are_not_there(sagittal: Any, shared_data: Path, tmp_path: Path) -> None:
    crop = shared_data / "brain_tumor_mr_dicom" / "Study3" / "11_HCropVolume"
    for arguments in ([tmp_path / "x.png"], [tmp_path / "x.nii.gz", "--mask"]):
        ran = sagittal("convert", crop, *arguments)
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []
    assert sagittal("convert", crop, tmp_path / "x.nii.gz").code == 0
