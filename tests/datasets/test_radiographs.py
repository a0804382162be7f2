"""Sets of chest radiographs, each in its published layout."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sagittal.datasets.chestxray14 import open_chestxray14
from sagittal.datasets.chexpert import open_chexpert
from sagittal.datasets.chexpert14 import LABELS
from sagittal.datasets.mimic_cxr import open_mimic_cxr
from sagittal.datasets.open import open_data
from sagittal.datasets.openi import open_openi
from sagittal.datasets.padchest import open_padchest
from sagittal.datasets.priors import with_priors
from sagittal.datasets.vindr_cxr import open_vindr_cxr
from sagittal.errors import BadInput

FOURTEEN = ",".join(LABELS)


def mimic(make: Any) -> Path:
    make.text(
        "mimic-cxr-2.0.0-metadata.csv.gz",
        "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,"
        "StudyTime,ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,"
        "PatientOrientationCodeSequence_CodeMeaning\n"
        'aa,10000032,50414267,"CHEST (PA, LAT)",PA,3056,2544,21800506,213014.531,x,postero-anterior,Erect\n'
        'bb,10000032,50414267,"CHEST (PA, LAT)",LATERAL,3056,2544,21800506,213014.531,x,lateral,Erect\n'
        "cc,10000032,53189527,CHEST (PORTABLE AP),AP,2544,3056,21800626,165500.312,x,antero-posterior,\n"
        "dd,11000001,54000000,CHEST (PORTABLE AP),AP,2544,3056,21900101,165500.312,x,antero-posterior,\n",
    )
    make.text(
        "mimic-cxr-2.0.0-split.csv.gz",
        "dicom_id,study_id,subject_id,split\naa,50414267,10000032,train\nbb,50414267,10000032,train\n"
        "cc,53189527,10000032,train\ndd,54000000,11000001,validate\n",
    )
    make.text(
        "mimic-cxr-2.0.0-chexpert.csv.gz",
        "subject_id,study_id," + FOURTEEN + "\n"
        "10000032,50414267,1.0" + "," * 13 + "\n"
        "10000032,53189527,,,1.0,-1.0,,0.0" + "," * 8 + "\n",
    )
    for name in ("50414267/aa", "50414267/bb", "53189527/cc"):
        make.film(f"files/p10/p10000032/s{name}.jpg")
    make.text("files/p10/p10000032/s50414267.txt", "FINDINGS: clear.\n")
    return make.folder


def test_mimic_cxr_groups_films_to_studies_with_report_split_and_date(make: Any) -> None:
    data = open_data(mimic(make))
    assert data.name == "MIMIC-CXR-JPG"
    assert [(r.study, r.patient, r.split) for r in data.rows] == [
        ("p10000032/s50414267", "10000032", "train"),
        ("p10000032/s53189527", "10000032", "train"),
        ("p11000001/s54000000", "11000001", "val"),
    ]
    assert data.rows[0].report == "FINDINGS: clear."
    assert data.rows[1].report == ""
    study = data.rows[0].load()
    assert [(s.view, s.position, s.modality, s.body_part) for s in study.series] == [
        ("PA", "ERECT", "DX", "CHEST"),
        ("LATERAL", "ERECT", "DX", "CHEST"),
    ]
    assert (study.date, study.patient.id, study.context.notes) == (
        date(2180, 5, 6),
        "10000032",
        ("FINDINGS: clear.",),
    )
    assert study.stated["view"] == "PA, by MIMIC-CXR-JPG; LATERAL, by MIMIC-CXR-JPG"


@pytest.mark.parametrize(
    ("policy", "opacity", "lesion"),
    [
        ({}, np.nan, np.nan),
        ({"uncertain": "positive"}, 1, np.nan),
        ({"uncertain": "negative", "unmentioned": "negative"}, 0, 0),
    ],
)
def test_uncertain_and_unmentioned_labels_count_as_asked(
    make: Any, policy: dict[str, Any], opacity: float, lesion: float
) -> None:
    data = open_mimic_cxr(mimic(make), **policy)
    row = dict(zip(data.labels, data.targets[1], strict=True))
    assert (row["Cardiomegaly"], row["Edema"]) == (1, 0)
    np.testing.assert_equal((row["Lung Opacity"], row["Lung Lesion"]), (opacity, lesion))
    assert np.isnan(data.targets[2]).all()  # Not in the labeller's table.


def test_priors_are_the_patients_earlier_studies(make: Any) -> None:
    data = with_priors(open_mimic_cxr(mimic(make)))
    assert data.rows[1].prior == "p10000032/s50414267"
    assert [prior.date for prior in data.rows[1].load().priors] == [date(2180, 5, 6)]
    assert data.rows[0].load().priors == ()


def test_a_missing_table_column_policy_or_film_is_named(make: Any) -> None:
    folder = mimic(make)
    with pytest.raises(BadInput, match="uncertain='maybe'"):
        open_mimic_cxr(folder, uncertain="maybe")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"dd\.jpg does not exist"):
        open_mimic_cxr(folder).rows[2].load()
    make.text("mimic-cxr-2.0.0-split.csv.gz", "dicom_id,study,splits\n")
    with pytest.raises(BadInput, match=r"no column 'split'.*'splits', the nearest"):
        open_data(folder)
    (folder / "mimic-cxr-2.0.0-split.csv.gz").unlink()
    with pytest.raises(BadInput, match=r"has no mimic-cxr-\*-split.*published layout"):
        open_data(folder)
    make.text("mimic-cxr-2.0.0-split.csv", "dicom_id,study_id,subject_id,split\naa,1,1,dev\n")
    with pytest.raises(BadInput, match="line 2: split is 'dev'"):
        open_data(folder)


def chexpert(make: Any) -> Path:
    head = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{FOURTEEN}\n"
    blank = "," * 13
    start = "CheXpert-v1.0-small/train/patient00001/study1"
    make.text(
        "train.csv",
        f"{head}{start}/view1_frontal.jpg,Female,68,Frontal,AP,1.0{blank}\n"
        f"{start}/view2_lateral.jpg,Female,68,Lateral,,1.0{blank}\n"
        "CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg,Male,0,Frontal,PA,"
        f",,-1.0{',' * 11}\n",
    )
    make.text(
        "valid.csv",
        f"{head}CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,"
        + "0.0,1.0,1.0,1.0" + ",0.0" * 10 + "\n",
    )  # fmt: skip
    for place in ("train/patient00001/study1/view1_frontal", "train/patient00001/study1/view2_lateral"):
        make.film(f"{place}.jpg")
    make.film("train/patient00002/study2/view1_frontal.jpg")
    return make.folder


def test_chexpert_is_known_by_its_columns_whatever_the_folder_is_called(make: Any) -> None:
    data = open_data(chexpert(make))
    assert data.name == "CheXpert"
    assert [(r.study, r.patient, r.split) for r in data.rows][::2] == [
        ("train/patient00001/study1", "patient00001", "train"),
        ("valid/patient64541/study1", "patient64541", "val"),
    ]
    study = data.rows[0].load()
    assert [s.view for s in study.series] == ["AP", "LATERAL"]
    assert (study.patient.sex, study.patient.age_years) == ("F", 68)
    assert data.rows[1].load().patient.age_years is None
    np.testing.assert_equal(data.labelled("Cardiomegaly").targets[:, 0], [np.nan, np.nan, 1])
    assert open_chexpert(make.folder, uncertain="positive").labelled("Cardiomegaly").targets[1] == 1


def test_a_misspelt_column_or_label_names_the_nearest(make: Any) -> None:
    folder = chexpert(make)
    with pytest.raises(BadInput, match=r"no label 'Pleural Efusion'.*'Pleural Effusion', the nearest"):
        open_data(folder).labelled("Pleural Efusion")
    text = (folder / "train.csv").read_text()
    (folder / "valid.csv").unlink()
    make.text("train.csv", text.replace("AP/PA", "AP_PA"))
    with pytest.raises(BadInput, match=r"looks like CheXpert but has no column 'AP/PA'.*'AP_PA'"):
        open_data(folder)
    make.text("train.csv", text.replace("-1.0", "0.5"))
    with pytest.raises(BadInput, match=r"line 4: '0.5' is no label"):
        open_data(folder)
    make.text("train.csv", text.replace("CheXpert-v1.0-small", "../.."))
    with pytest.raises(BadInput, match=r"line 2: .* outside"):
        open_data(folder)


def test_chestxray14_has_boxes_split_and_the_spacing_of_the_resized_film(make: Any) -> None:
    make.text(
        "Data_Entry_2017_v2020.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n"
        "00000001_000.png,Cardiomegaly|Pleural_Thickening,0,1,57,M,PA,2682,2749,0.143,0.143\n"
        "00000001_001.png,No Finding,1,1,58,M,AP,2048,2500,0.168,0.168\n",
    )
    make.text(
        "BBox_List_2017.csv",
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n00000001_000.png,Infiltrate,225.1,547.0,86.8,79.2,,,\n",
    )
    make.text("train_val_list.txt", "00000001_000.png\n")
    make.text("test_list.txt", "00000001_001.png\n")
    make.film("images_001/images/00000001_000.png")
    data = open_data(make.folder)
    assert [r.split for r in data.rows] == ["train", "test"]
    assert data.targets.sum(1).tolist() == [2, 0]
    assert data.rows[0].boxes[0].label == "Infiltration"
    assert data.rows[0].boxes[0].box_index == pytest.approx((547.0, 225.1, 626.2, 311.9))
    study = data.rows[0].load()
    assert study.series[0].geometry.spacing_mm == pytest.approx(
        (0.143 * 2749 / 1024, 0.143 * 2682 / 1024), 1e-3
    )
    assert (study.patient.age_years, study.series[0].view) == (57, "PA")
    text = (make.folder / "Data_Entry_2017_v2020.csv").read_text()
    make.text("Data_Entry_2017_v2020.csv", text.replace("Cardiomegaly", "Cardiomegally"))
    with pytest.raises(BadInput, match="line 2: 'Cardiomegally' is no label; expected 'Cardiomegaly'"):
        open_chestxray14(make.folder)


def test_padchest_keeps_sixteen_bits_its_report_and_says_what_is_inverted(make: Any) -> None:
    head = (
        ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,"
        "PhotometricInterpretation_DICOM,Projection,MethodLabel,Report,Labels\n"
    )
    make.text(
        "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
        head + "0,a.png,0,20140915,S1,P1,1930.0,F,MONOCHROME1,PA,Physician,sin cambi .,"
        "\"['pulmonary fibrosis', 'unchanged', 'kyphosis']\"\n"
        "1,b.png,0,20140915,S1,P1,1930.0,F,MONOCHROME2,L,Physician,sin cambi .,\"['kyphosis']\"\n"
        "2,c.png,3,20150101,S2,P2,,M,MONOCHROME2,AP_horizontal,RNN_model,normal .,['normal']\n"
        "3,d.png,3,20150101,S3,P3,,M,MONOCHROME2,PA,RNN_model,,['exclude']\n",
    )
    make.film("0/a.png", bits=16)
    make.film("0/b.png", bits=16)
    make.film("c.png", bits=16)
    data = open_data(make.folder)
    assert data.labels == ("kyphosis", "pulmonary fibrosis")
    np.testing.assert_equal(data.targets, [[1, 1], [0, 0], [np.nan, np.nan]])
    study = data.rows[0].load()
    assert [s.view for s in study.series] == ["PA", "LATERAL"]
    assert study.series[0].volume.voxels.dtype == np.uint16
    assert study.series[0].volume.voxels.max() == 65535
    assert (study.patient.age_years, study.context.notes) == (84, ("sin cambi .",))
    assert any("MONOCHROME1" in line for line in study.problems)
    assert data.rows[1].load().series[0].position == "RECUMBENT"
    assert len(open_padchest(make.folder, physicians_only=True)) == 1


def test_vindr_cxr_counts_readers_and_keeps_their_boxes_apart(make: Any) -> None:
    make.text(
        "annotations/image_labels_train.csv",
        "image_id,rad_id,Cardiomegaly,Other diseases,No finding\ni1,R1,1,,0\ni1,R2,1,0,0\ni1,R3,0,0,1\n",
    )
    make.text(
        "annotations/image_labels_test.csv", "image_id,Cardiomegaly,Other disease,No finding\ni2,0,0,1\n"
    )
    make.text(
        "annotations/annotations_train.csv",
        "image_id,rad_id,class_name,x_min,y_min,x_max,y_max\ni1,R1,Cardiomegaly,691.0,1375.0,1653.0,1831.0\n"
        "i1,R3,No finding,,,,\n",
    )
    make.dicom("train/i1.dicom", Modality="DX")
    data = open_data(make.folder)
    assert data.labels == ("Cardiomegaly", "Other diseases", "No finding")
    assert data.targets.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert open_vindr_cxr(make.folder, readers=3).targets.tolist() == [[0, 0, 0], [0, 0, 1]]
    (box,) = data.rows[0].boxes
    assert (box.reader, box.box_index) == ("R1", (1375.0, 691.0, 1831.0, 1653.0))
    assert data.rows[0].load().series[0].body_part == "CHEST"
    make.text("annotations/image_labels_test.csv", "image_id,Cardiomegali,Other disease,No finding\n")
    with pytest.raises(BadInput, match="has the label 'Cardiomegali'"):
        open_data(make.folder)


def test_openi_reads_the_published_xml_and_the_csv_of_its_users(make: Any) -> None:
    make.text(
        "ecgen-radiology/1.xml",
        '<eCitation><MedlineCitation><Article><Abstract><AbstractText Label="INDICATION">Positive TB test'
        '</AbstractText><AbstractText Label="FINDINGS">Clear.</AbstractText><AbstractText Label="IMPRESSION">'
        "Normal chest.</AbstractText></Abstract></Article></MedlineCitation><MeSH>"
        "<major>Cardiomegaly/borderline</major></MeSH><parentImage id='CXR1_1_IM-0001-3001'/></eCitation>",
    )
    make.film("CXR1_1_IM-0001-3001.png")
    data = open_data(make.folder)
    assert (data.labels, data.targets.tolist()) == (("Cardiomegaly",), [[1]])
    study = data.rows[0].load()
    assert study.context.indication == "Positive TB test"
    assert study.context.notes == ("FINDINGS: Clear.\nIMPRESSION: Normal chest.",) == (data.rows[0].report,)
    make.text("ecgen-radiology/2.xml", "<eCitation>")
    with pytest.raises(BadInput, match=r"2\.xml is not XML"):
        open_openi(make.folder)


def test_the_real_openi_reports(shared_data: Path, no_images: Callable[[], None]) -> None:
    no_images()
    data = open_data(shared_data / "openi_reports")
    assert len(data) == 3851
    assert sum(len(row.load.args[1].images) for row in data.rows) == 7466
    assert np.nansum(data.labelled("Cardiomegaly").targets) > 200
    assert "Normal chest x-XXXX." in data.rows[0].report
    normal = data.targets.sum(1) == 0
    assert 0.3 < normal.mean() < 0.45
    with pytest.raises(AssertionError):  # A film would have to be there.
        data.rows[0].load()
