"""RSNA challenges, and slices grouped to studies by their headers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sagittal.datasets.by_header import by_header
from sagittal.datasets.open import open_data
from sagittal.datasets.rsna import CHALLENGES
from sagittal.datasets.splits import leaks, split_patients
from sagittal.errors import BadInput


def test_pneumonia_2018_has_boxes_and_the_third_class(make: Any) -> None:
    make.text(
        "stage_2_train_labels.csv",
        "patientId,x,y,width,height,Target\nn1,,,,,0\nn2,,,,,0\np1,264.0,152.0,213.0,379.0,1\n"
        "p1,562.0,152.0,256.0,453.0,1\n",
    )
    make.text(
        "stage_2_detailed_class_info.csv",
        "patientId,class\nn1,No Lung Opacity / Not Normal\nn2,Normal\np1,Lung Opacity\np1,Lung Opacity\n",
    )
    make.dicom("stage_2_train_images/p1.dcm", Modality="CR", PatientID="p1")
    data = open_data(make.folder)
    assert dict(zip([r.study for r in data.rows], data.targets.tolist(), strict=True)) == {
        "n1": [0, 0],
        "n2": [0, 1],
        "p1": [1, 0],
    }
    assert [box.box_index for box in data.rows[2].boxes] == [(152, 264, 531, 477), (152, 562, 605, 818)]
    assert data.rows[2].load().series[0].modality == "CR"  # The file says so: it is kept.


def test_haemorrhage_2019_slices_become_studies_by_their_headers(make: Any) -> None:
    kinds = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")
    lines = ["ID,Label"]
    for name, patient, z, bleeds in (("ID_a", "A", 0, 0), ("ID_b", "B", 0, 0), ("ID_c", "A", 1, 1)):
        make.dicom(
            f"stage_2_train/{name}.dcm", z=z, PatientID=patient, StudyInstanceUID=f"2.25.{ord(patient)}",
            SeriesInstanceUID=f"2.25.1{ord(patient)}",
        )  # fmt: skip
        lines += [f"{name}_{kind},{bleeds if kind in ('subdural', 'any') else 0}" for kind in kinds]
    make.text("stage_2_train.csv", "\n".join(lines) + "\n")
    data = open_data(make.folder)
    assert (len(data), data.labelled("any").targets.sum()) == (3, 1)
    seen: list[int] = []
    studies = by_header(data, "stage_2_train/{}.dcm", {"modality": "CT"}, advance=seen.append)
    assert [
        (r.patient, v) for r, v in zip(studies.rows, studies.labelled("subdural").targets[:, 0], strict=True)
    ] == [
        ("A", 1),
        ("B", 0),
    ]
    assert sum(seen) == 3
    assert studies.rows[0].load().series[0].shape == (2, 8, 8)
    assert not leaks(split_patients(studies, (0.5, 0, 0.5)))
    make.text("stage_2_train.csv", "\n".join(lines[:-1]) + "\n")
    with pytest.raises(BadInput, match="ID_c lacks one of the six kinds"):
        open_data(make.folder)


def test_challenges_alike_are_told_by_their_columns(make: Any) -> None:
    make.text(
        "spine/train.csv",
        "StudyInstanceUID,patient_overall,C1,C2,C3,C4,C5,C6,C7\n1.2.3,1,0,1,0,0,0,0,0\n1.2.4,0,0,0,0,0,0,0,0\n",
    )
    for z in range(2):
        make.dicom(f"spine/train_images/1.2.3/{z + 1}.dcm", z=z)
    make.volume("spine/segmentations/1.2.3.nii")
    spine = open_data(make.folder / "spine")
    assert (spine.name, spine.targets.shape) == ("RSNA cervical spine 2022", (2, 8))
    assert [row.mask for row in spine.rows] == ["segmentations/1.2.3.nii", ""]
    assert spine.rows[0].load().series[0].shape == (2, 8, 8)

    make.text(
        "breast/train.csv",
        "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,density,machine_id,"
        "difficult_negative_case\n2,10006,462822612,L,CC,61,0,0,0,,0,,29,False\n2,10006,1459541791,R,MLO,61,1,1,0,,0,,29,True\n",
    )
    make.dicom("breast/train_images/10006/462822612.dcm", Modality="MG", PatientID="10006")
    breast = open_data(make.folder / "breast")
    assert breast.targets.tolist() == [[0, 0, 0, 0], [1, 1, 0, 1]]
    assert [r.patient for r in breast.rows] == ["10006", "10006"]
    assert breast.rows[0].load().patient.age_years == 61

    lumbar = next(c for c in CHALLENGES if "lumbar" in c.name)
    cells = ["Normal/Mild", "", *["Severe"] * 23]
    make.text("lumbar/train.csv", f"study_id,{','.join(lumbar.labels)}\n77,{','.join(cells)}\n")
    data = open_data(make.folder / "lumbar")
    assert data.labels[:3] == tuple(
        f"spinal_canal_stenosis_l1_l2={w}" for w in ("Normal/Mild", "Moderate", "Severe")
    )
    np.testing.assert_equal(data.targets[0, :6], [1, 0, 0, np.nan, np.nan, np.nan])
    make.text("lumbar/train.csv", f"study_id,{','.join(lumbar.labels)}\n77,{','.join(['Mild'] * 25)}\n")
    with pytest.raises(BadInput, match="line 2: spinal_canal_stenosis_l1_l2 is 'Mild'"):
        open_data(make.folder / "lumbar")
