"""Sets of volumes and masks, each in its published layout."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sagittal.datasets.ct_rate import open_ct_rate
from sagittal.datasets.decathlon import open_decathlon
from sagittal.datasets.masks import read_mask
from sagittal.datasets.open import open_data
from sagittal.errors import BadInput


def test_ct_rate_groups_reconstructions_and_refuses_the_first_release(make: Any) -> None:
    make.text(
        "dataset/multi_abnormality_labels/train_predicted_labels.csv",
        "VolumeName,Medical material,Lung nodule\ntrain_1_a_1.nii.gz,0,1\ntrain_1_a_2.nii.gz,0,1\n",
    )
    make.text(
        "dataset/multi_abnormality_labels/valid_predicted_labels.csv",
        "VolumeName,Medical material,Lung nodule\nvalid_1_a_1.nii.gz,1,0\n",
    )
    make.text(
        "dataset/radiology_text_reports/train_reports.csv",
        "VolumeName,ClinicalInformation_EN,Technique_EN,Findings_EN,Impressions_EN\n"
        "train_1_a_1.nii.gz,cough,1.5 mm,A nodule.,Nodule.\n",
    )
    make.text(
        "dataset/metadata/train_metadata.csv",
        "VolumeName,PatientSex,PatientAge,StudyDate,RescaleSlope\ntrain_1_a_1.nii.gz,F,058Y,20210405,1\n",
    )
    for number in (1, 2):
        make.volume(f"dataset/train_fixed/train_1/train_1_a/train_1_a_{number}.nii.gz")
    make.volume("dataset/valid/valid_1/valid_1_a/valid_1_a_1.nii.gz")
    data = open_data(make.folder)
    assert [(r.study, r.patient, r.split) for r in data.rows] == [
        ("train_1_a", "train_1", "train"),
        ("valid_1_a", "valid_1", "val"),
    ]
    study = data.rows[0].load()
    assert [(s.modality, s.unit, s.contrast_phase) for s in study.series] == [("CT", "HU", "none")] * 2
    assert (study.patient.age_years, study.context.indication) == (58, "cough")
    assert data.rows[0].report.endswith("IMPRESSION: Nodule.")
    with pytest.raises(BadInput, match="first release"):
        data.rows[1].load()
    make.text("dataset/multi_abnormality_labels/valid_predicted_labels.csv", "VolumeName,Lung nodules\n")
    with pytest.raises(BadInput, match=r"has the label 'Lung nodules', .* expected 'Lung nodule'"):
        open_data(make.folder)


def test_real_ct_reports_in_the_published_tables(shared_data: Path, make: Any) -> None:
    with (shared_data / "ctrate_reports" / "train.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    labels = [name for name in lines[0] if name not in ("AccessionNo", "report_text")]
    folder = make.folder / "multi_abnormality_labels"
    folder.mkdir()
    with (folder / "train_predicted_labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["VolumeName", *labels])
        for number, line in enumerate(lines):
            writer.writerow([f"train_{number}_a_1.nii.gz", *(line[label] for label in labels)])
    make.text("radiology_text_reports/x", "")
    with (make.folder / "radiology_text_reports" / "train_reports.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        columns = ("ClinicalInformation_EN", "Technique_EN", "Findings_EN", "Impressions_EN")
        writer.writerow(["VolumeName", *columns])
        for number, line in enumerate(lines):
            writer.writerow([f"train_{number}_a_1.nii.gz", "", "", line["report_text"], ""])
    data = open_ct_rate(make.folder)
    assert (len(data), len(data.labels)) == (800, 18)
    want = np.array([[float(line[label]) for label in labels] for line in lines])
    np.testing.assert_array_equal(data.targets, want)
    assert all(
        r.report == f"FINDINGS: {n['report_text'].strip()}" for r, n in zip(data.rows, lines, strict=True)
    )


LIDC = """<?xml version="1.0"?><LidcReadMessage xmlns="http://www.nih.gov"><ResponseHeader/>
{sessions}</LidcReadMessage>"""
SESSION = """<readingSession><unblindedReadNodule><noduleID>1</noduleID>
<characteristics><subtlety>5</subtlety><malignancy>4</malignancy></characteristics>
<roi><imageZposition>1</imageZposition><imageSOP_UID>2.25.92</imageSOP_UID><inclusion>TRUE</inclusion>
<edgeMap><xCoord>2</xCoord><yCoord>1</yCoord></edgeMap><edgeMap><xCoord>6</xCoord><yCoord>4</yCoord></edgeMap></roi>
<roi><imageSOP_UID>2.25.92</imageSOP_UID><inclusion>FALSE</inclusion>
<edgeMap><xCoord>0</xCoord><yCoord>0</yCoord></edgeMap></roi></unblindedReadNodule>
<unblindedReadNodule><noduleID>2</noduleID><roi><imageSOP_UID>2.25.91</imageSOP_UID><inclusion>TRUE</inclusion>
<edgeMap><xCoord>3</xCoord><yCoord>3</yCoord></edgeMap></roi></unblindedReadNodule></readingSession>"""


def test_lidc_idri_keeps_every_readers_nodule_and_leaves_small_ones_out(make: Any) -> None:
    for name, readers in (("LIDC-IDRI-0001", 3), ("LIDC-IDRI-0002", 2)):
        make.text(f"{name}/1.3.1/1.3.2/069.xml", LIDC.format(sessions=SESSION * readers))
        for z in range(3):
            make.dicom(
                f"{name}/1.3.1/1.3.2/{z}.dcm", z=z, PatientID=name, SOPInstanceUID=f"2.25.9{z + 1}",
                StudyInstanceUID=f"2.25.1{readers}", SeriesInstanceUID=f"2.25.2{readers}",
            )  # fmt: skip
    make.text("LIDC-IDRI-0001/1.3.3/1.3.4/1.xml", "<IdriReadMessage/>")
    data = open_data(make.folder)
    assert (data.targets[:, 0].tolist(), [r.patient for r in data.rows]) == (
        [1, 0],
        ["LIDC-IDRI-0001", "LIDC-IDRI-0002"],
    )
    box = data.rows[0].boxes[0]
    # The outline x 2 to 6, y 1 to 4 is the first ring outside: inside are x 3 to 5 and y 2 to 3.
    assert (box.box_index, box.images, box.grades["malignancy"]) == ((2, 3, 4, 6), ("2.25.92",), 4)
    assert [b.reader for b in data.rows[0].boxes] == ["reader 1", "reader 2", "reader 3"]
    study = data.rows[0].load()
    assert study.series[0].shape == (3, 8, 8)
    assert box.images[0] in [one.sop_instance_uid for one in study.series[0].instances]


def decathlon(make: Any, modality: dict[str, str], **more: Any) -> dict[str, Any]:
    about = {
        "name": "BRATS",
        "licence": "CC-BY-SA 4.0",
        "modality": modality,
        "labels": {"0": "background", "1": "edema", "2": "tumour"},
        "training": [{"image": "./imagesTr/BRATS_001.nii.gz", "label": "./labelsTr/BRATS_001.nii.gz"}],
        "test": ["./imagesTs/BRATS_002.nii.gz"],
    } | more
    make.text("dataset.json", json.dumps(about))
    return about


def test_a_decathlon_task_with_four_modalities_is_four_series(make: Any) -> None:
    decathlon(make, {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"})
    voxels = np.arange(4 * 5 * 6 * 4).reshape(4, 5, 6, 4)
    make.volume("imagesTr/BRATS_001.nii.gz", voxels)
    mask = np.zeros((4, 5, 6), int)
    mask[1, 2, 3] = 2
    make.volume("labelsTr/BRATS_001.nii.gz", mask)
    data = open_data(make.folder)
    assert (data.name, data.licence, data.mask_labels) == ("BRATS", "CC-BY-SA 4.0", {1: "edema", 2: "tumour"})
    assert [(r.study, r.split, r.mask) for r in data.rows] == [
        ("BRATS_001", "train", "labelsTr/BRATS_001.nii.gz"),
        ("BRATS_002", "test", ""),
    ]
    study = data.rows[0].load()
    assert [(s.modality, s.acquisition.sequence) for s in study.series] == [
        ("MR", "FLAIR"),
        ("MR", "T1"),
        ("MR", "T1c"),
        ("MR", "T2"),
    ]
    for channel, series in enumerate(study.series):
        np.testing.assert_array_equal(series.volume.voxels, voxels[..., channel].transpose(2, 1, 0))
    found = read_mask(data, data.rows[0])
    assert found.voxels[3, 2, 1] == 2
    assert found.voxels.sum() == 2
    np.testing.assert_allclose(found.geometry.affine, study.series[0].geometry.affine)
    with pytest.raises(BadInput, match="has no mask"):
        read_mask(data, data.rows[1])


def test_a_decathlon_task_that_contradicts_itself_says_where(make: Any) -> None:
    decathlon(make, {"0": "CT", "1": "MRI"})
    make.volume("imagesTr/BRATS_001.nii.gz")
    make.volume("labelsTr/BRATS_001.nii.gz", np.full((4, 5, 6), 7))
    data = open_data(make.folder)
    with pytest.raises(BadInput, match="has 1 channels; expected 2: CT, MRI"):
        data.rows[0].load()
    with pytest.raises(BadInput, match="has the value 7; expected 0 or one of: 1 edema"):
        read_mask(data, data.rows[0])
    about = decathlon(make, {"0": "CT"})
    del about["training"]
    make.text("dataset.json", json.dumps(about | {"trainings": []}))
    with pytest.raises(BadInput, match="no 'training'; expected 'trainings'"):
        open_data(make.folder)


def test_the_real_hippocampus_task(shared_data: Path, make: Any) -> None:
    real = shared_data / "msd_hippocampus"
    (make.folder / "imagesTr").symlink_to(real / "images")
    (make.folder / "labelsTr").symlink_to(real / "labels")
    names = sorted(path.name for path in (real / "labels").glob("*.nii.gz"))
    cases = [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names]
    labels = {"0": "background", "1": "Anterior", "2": "Posterior"}
    decathlon(make, {"0": "MRI"}, name="Hippocampus", labels=labels, training=cases, test=[])
    data = open_data(make.folder)
    assert len(data) == 198
    for row in data.rows[:5]:
        series, mask = row.load().series[0], read_mask(data, row)
        assert (series.modality, series.body_part, series.shape) == ("MR", "BRAIN", mask.shape)
        np.testing.assert_allclose(series.geometry.affine, mask.geometry.affine, atol=1e-4)
        assert np.unique(mask.voxels).tolist() == [0, 1, 2]


def test_totalsegmentator_merges_one_file_a_structure(make: Any) -> None:
    make.text(
        "meta.csv",
        "\ufeffimage_id;age;gender;institute;study_type;split;manufacturer;scanner_model;kvp;pathology;"
        "pathology_location\ns0000;55.0;m;A;ct thorax;train;x;y;120;tumor;lung\n"
        "s0001;;f;B;ct neck;test;;;;;\n",
    )
    make.volume("s0000/ct.nii.gz")
    spleen, liver = np.zeros((4, 5, 6)), np.zeros((4, 5, 6))
    spleen[0, 0, 0] = liver[1, 1, 1] = 1
    make.volume("s0000/segmentations/spleen.nii.gz", spleen)
    make.volume("s0000/segmentations/liver.nii.gz", liver)
    data = open_data(make.folder)
    assert data.mask_labels == {1: "liver", 2: "spleen"}
    assert [(r.split, r.groups.get("sex")) for r in data.rows] == [("train", "m"), ("test", "f")]
    study = data.rows[0].load()
    assert (study.patient.age_years, study.patient.sex, study.series[0].unit) == (55, "M", "HU")
    mask = read_mask(data, data.rows[0]).voxels
    assert (mask[0, 0, 0], mask[1, 1, 1], mask.sum()) == (2, 1, 3)
    (make.folder / "s0000/segmentations/liver.nii.gz").unlink()
    with pytest.raises(BadInput, match=r"s0000 of TotalSegmentator lacks liver\.nii\.gz"):
        read_mask(data, data.rows[0])


def test_brats_of_before_and_since_2023(make: Any) -> None:
    for name in ("t1", "t1ce", "t2", "flair", "seg"):
        make.volume(f"old/HGG/Brats18_1/Brats18_1_{name}.nii.gz", np.full((4, 5, 6), 4) * (name == "seg"))
    make.text("old/survival_data.csv", "BraTS18ID,Age,Survival\nBrats18_1,60.5,289\n")
    old = open_data(make.folder / "old")
    assert (old.name, old.rows[0].groups, old.mask_labels[4]) == (
        "BraTS",
        {"grade": "HGG"},
        "enhancing tumour",
    )
    study = old.rows[0].load()
    # Identical sequences are one series to a study; these four are all zero.
    assert study.patient.age_years == 60.5
    assert set(np.unique(read_mask(old, old.rows[0]).voxels)) == {4}
    for number in ("000", "001"):
        for name in ("t1n", "t1c", "t2w", "t2f"):
            case = f"BraTS-GLI-00005-{number}"
            make.volume(f"new/{case}/{case}-{name}.nii.gz")
    new = open_data(make.folder / "new")
    assert [(r.patient, r.order, r.mask) for r in new.rows] == [
        ("BraTS-GLI-00005", "000", ""),
        ("BraTS-GLI-00005", "001", ""),
    ]
    assert [s.acquisition.sequence for s in new.rows[0].load().series] == ["T1", "T1c", "T2", "FLAIR"]
    (make.folder / "new/BraTS-GLI-00005-001/BraTS-GLI-00005-001-t1c.nii.gz").unlink()
    with pytest.raises(BadInput, match=r"001-t1c\.nii\.gz is missing"):
        open_data(make.folder / "new")


def test_a_missing_dataset_json_says_what_the_layout_is(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"has no dataset\.json; expected the published layout"):
        open_decathlon(tmp_path)
