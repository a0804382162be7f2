"""Segmentations: every voxel comes back, for volumes and films, with odd sizes and overlaps."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread

from sagittal.errors import BadInput
from sagittal.report.reading import ModelUse
from sagittal.report.vocabulary import concept
from sagittal.study.dicom.image import write_series
from sagittal.study.dicom.mask import read_masks
from sagittal.study.dicom.seg import write_seg
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.open import open_study
from sagittal.study.study import Series, Study
from sagittal.study.volume import Volume

MODELS = (ModelUse("small", "0.1", "ab" * 32),)
WHEN = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def image(build: Any, folder: Path, shape: tuple[int, ...]) -> tuple[Study, Series]:
    """A CT or a film of that shape, on disk and opened again."""
    if len(shape) == 2:
        volume = Volume(np.zeros(shape, np.uint16), Plane((1.0, 1.0), "x", ("L", "F")))
        study, series = build(volume, "DX", view="PA")
    else:
        geometry = Geometry.from_spacing((3.0, 0.8, 0.7), (5.0, 6.0, 7.0))
        study, series = build(Volume(np.zeros(shape, np.int16), geometry, "HU"), "CT")
    write_series(study, series, folder)
    opened = open_study(folder)
    return opened, opened.series[0]


def drawn(shape: tuple[int, ...], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"nodule-1": rng.random(shape) > 0.7, "lung_right": rng.random(shape) > 0.5}


def write(path: Path, study: Study, series: Series, masks: dict[str, np.ndarray], **more: Any) -> list[Path]:
    given = {"tracking_uids": {"nodule-1": "2.25.42"}, "created": WHEN} | more
    return write_seg(path, study, series, masks, {"nodule-1": concept("nodule")}, MODELS, **given)


@pytest.mark.parametrize("shape", [(5, 24, 16), (4, 21, 13), (6, 9, 11), (40, 32), (33, 45)])
def test_masks_come_back_voxel_for_voxel(build: Any, tmp_path: Path, shape: tuple[int, ...]) -> None:
    study, series = image(build, tmp_path / "study", shape)
    masks = drawn(shape)
    (path,) = write(tmp_path / "study" / "seg.dcm", study, series, masks)
    again = open_study(tmp_path / "study")
    found = {mask.name: mask.volume.voxels for mask in read_masks(again)}
    assert set(found) == set(masks)
    for name in masks:
        assert np.array_equal(found[name], masks[name])
    oracle = hd.seg.segread(path)
    assert oracle.number_of_segments == 2
    assert oracle.SegmentationType == "BINARY"


def test_odd_columns_get_a_label_map_beside_them(build: Any, tmp_path: Path) -> None:
    study, series = image(build, tmp_path / "study", (4, 21, 13))
    masks = drawn((4, 21, 13))
    masks["lung_right"] &= ~masks["nodule-1"]
    binary, labelmap = write(tmp_path / "seg.dcm", study, series, masks)
    assert labelmap.name == "seg-labelmap.dcm"
    ds = dcmread(labelmap)
    assert (ds.SegmentationType, ds.BitsAllocated) == ("LABELMAP", 8)
    assert ds.SOPInstanceUID != dcmread(binary).SOPInstanceUID
    values = ds.pixel_array
    assert (values == 1).sum() == masks["nodule-1"].sum()
    assert (values == 2).sum() == masks["lung_right"].sum()
    shutil.copy(labelmap, tmp_path / "study" / "m.dcm")
    found = {mask.name: mask.volume.voxels for mask in read_masks(open_study(tmp_path / "study"))}
    assert np.array_equal(found["nodule-1"], masks["nodule-1"])
    study, series = image(build, tmp_path / "even", (4, 21, 16))
    assert len(write(tmp_path / "seg2.dcm", study, series, drawn((4, 21, 16)))) == 1


def test_it_says_what_it_is(build: Any, tmp_path: Path) -> None:
    study, series = image(build, tmp_path / "study", (5, 24, 16))
    (path,) = write(tmp_path / "seg.dcm", study, series, drawn((5, 24, 16)))
    ds = dcmread(path)
    assert (ds.StudyInstanceUID, ds.PatientID) == (study.uid, "P1")
    assert ds.FrameOfReferenceUID == series.geometry.frame_of_reference_uid  # type: ignore[union-attr]
    assert ds.SeriesDescription.startswith("AI draft: ")
    nodule, lung = ds.SegmentSequence
    assert nodule.SegmentedPropertyTypeCodeSequence[0].CodeValue == "27925004"
    assert (nodule.TrackingUID, nodule.SegmentAlgorithmType) == ("2.25.42", "AUTOMATIC")
    algorithm = nodule.SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    assert "ab" * 32 in algorithm.AlgorithmParameters
    kind = lung.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning) == (
        "39607008",
        "Right",
    )
    assert "109102" in {
        item.PurposeOfReferenceCodeSequence[0].CodeValue for item in ds.ContributingEquipmentSequence
    }
    referenced = {
        r.ReferencedSOPInstanceUID for r in ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    assert referenced == {instance.sop_instance_uid for instance in series.instances}
    (edited,) = write(tmp_path / "edited.dcm", study, series, drawn((5, 24, 16)), edited=True)
    assert dcmread(edited).SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"


def anatomy_of(path: Path) -> dict[str, tuple[str, list[str]]]:
    """Segment label -> code value of its type, and its sides."""
    found = {}
    for segment in dcmread(path).SegmentSequence:
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        sides = kind.get("SegmentedPropertyTypeModifierCodeSequence") or []
        found[str(segment.SegmentLabel)] = (kind.CodeValue, [side.CodeMeaning for side in sides])
    return found


def test_each_lung_keeps_its_own_side(build: Any, tmp_path: Path) -> None:
    study, series = image(build, tmp_path / "study", (32, 40))
    masks = {name: np.eye(32, 40, dtype=bool) for name in ("lung_right", "lung_left", "lung_left-2", "heart")}
    (path,) = write_seg(tmp_path / "seg.dcm", study, series, masks, {}, MODELS, created=WHEN)
    assert anatomy_of(path) == {
        "lung_right": ("39607008", ["Right"]),
        "lung_left": ("39607008", ["Left"]),
        "lung_left-2": ("39607008", ["Left"]),
        "heart": ("80891009", []),
    }


def test_a_film_without_orientation_codes_no_side(build: Any, tmp_path: Path) -> None:
    plane = Plane((1.0, 1.0), "x", None)
    study, series = build(Volume(np.zeros((32, 40), np.uint16), plane), "DX", view="PA")
    write_series(study, series, tmp_path / "study")
    opened = open_study(tmp_path / "study")
    masks = {"lung_right": np.eye(32, 40, dtype=bool)}
    (path,) = write_seg(tmp_path / "seg.dcm", opened, opened.series[0], masks, {}, MODELS, created=WHEN)
    assert anatomy_of(path) == {"lung_right": ("39607008", [])}


def test_same_content_same_object_other_content_other_object(build: Any, tmp_path: Path) -> None:
    study, series = image(build, tmp_path / "study", (5, 24, 16))
    masks = drawn((5, 24, 16))
    (first,) = write(tmp_path / "a.dcm", study, series, masks)
    (second,) = write(tmp_path / "b.dcm", study, series, masks)
    assert first.read_bytes() == second.read_bytes()
    (third,) = write(tmp_path / "c.dcm", study, series, drawn((5, 24, 16), seed=1))
    assert dcmread(third).SOPInstanceUID != dcmread(first).SOPInstanceUID
    assert dcmread(third).SeriesInstanceUID == dcmread(first).SeriesInstanceUID


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("shape", [(5, 24, 16), (4, 21, 13), (33, 45)])
def test_dciodvfy_finds_no_error(build: Any, tmp_path: Path, shape: tuple[int, ...]) -> None:
    study, series = image(build, tmp_path / "study", shape)
    (path,) = write(tmp_path / "seg.dcm", study, series, drawn(shape))
    ran = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True)
    said = (ran.stdout + ran.stderr).splitlines()
    assert not [line for line in said if line.startswith("Error")], said


def test_real_slices_and_multi_frame_sources(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "dicom_seg_sr" / "data" / "segmentations" / "23x38x3"
    for source in ("image", "multiframe"):
        folder = tmp_path / source
        shutil.copytree(root / source, folder)
        study = open_study(folder)
        masks = {"nodule-1": drawn(study.series[0].shape)["nodule-1"]}
        write(folder / "seg.dcm", study, study.series[0], masks)
        (folder / "seg-labelmap.dcm").unlink()
        (found,) = read_masks(open_study(folder))
        assert np.array_equal(found.volume.voxels, masks["nodule-1"])


def test_a_series_that_was_never_dicom_can_be_segmented(build: Any, tmp_path: Path) -> None:
    geometry = Geometry.from_spacing((3.0, 0.8, 0.7))
    study, series = build(Volume(np.zeros((4, 16, 16), np.float32), geometry), "OT")
    masks = {"brain": drawn((4, 16, 16))["nodule-1"]}
    (path,) = write(tmp_path / "seg.dcm", study, series, masks)
    assert hd.seg.segread(path).number_of_segments == 1


def test_wrong_masks_are_refused(build: Any, tmp_path: Path) -> None:
    study, series = image(build, tmp_path / "study", (5, 24, 16))
    for masks in ({}, {"a": np.zeros((5, 24, 15), bool)}, {"a": np.zeros((5, 24, 16), bool)}):
        with pytest.raises(BadInput):
            write(tmp_path / "seg.dcm", study, series, masks)
    assert not (tmp_path / "seg.dcm").exists()


def test_a_segmentation_on_another_grid_is_not_forced_onto_the_image(build: Any, tmp_path: Path) -> None:
    study, series = image(build, tmp_path / "study", (5, 24, 16))
    write(tmp_path / "study" / "seg.dcm", study, series, drawn((5, 24, 16)))
    ds = dcmread(tmp_path / "study" / "seg.dcm")
    for group in ds.PerFrameFunctionalGroupsSequence:
        position = group.PlanePositionSequence[0].ImagePositionPatient
        group.PlanePositionSequence[0].ImagePositionPatient = [position[0] + 0.4, position[1], position[2]]
    ds.save_as(tmp_path / "study" / "seg.dcm")
    with pytest.raises(BadInput, match="another grid"):
        read_masks(open_study(tmp_path / "study"))
