"""Slices become a volume only where they make a regular grid."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from sagittal.errors import BadInput
from sagittal.study.dicom.image import write_series
from sagittal.study.geometry import Geometry
from sagittal.study.open import open_study
from sagittal.study.study import Acquisition
from sagittal.study.volume import Volume

Edit = Callable[..., None]


def only(folder: Path) -> Any:
    (series,) = open_study(folder).series
    return series


def test_order_comes_from_position_not_from_names_or_numbers(ct_folder: Path, ct: Volume, edit: Edit) -> None:
    for index, path in enumerate(sorted(ct_folder.iterdir())):
        edit(path, InstanceNumber=(index * 5) % 7)
        path.rename(ct_folder / f"{(index * 5) % 7}-x.dcm")
    assert np.array_equal(only(ct_folder).volume.voxels, ct.voxels)
    assert only(ct_folder).geometry == ct.geometry


def test_copies_are_dropped_and_said(ct_folder: Path, ct: Volume) -> None:
    shutil.copy(ct_folder / "0002.dcm", ct_folder / "copy.dcm")
    series = only(ct_folder)
    assert series.problems == ("1 copies of the same instance were dropped",)
    assert np.array_equal(series.volume.voxels, ct.voxels)


def test_another_instance_at_the_same_place_is_dropped_and_said(
    ct_folder: Path, ct: Volume, edit: Edit
) -> None:
    shutil.copy(ct_folder / "0002.dcm", ct_folder / "again.dcm")
    edit(ct_folder / "again.dcm", SOPInstanceUID="2.25.999", InstanceNumber=50)
    series = only(ct_folder)
    assert "1 slices at a place already taken" in series.problems[0]
    assert np.array_equal(series.volume.voxels, ct.voxels)


def test_a_missing_slice_is_never_bridged(ct_folder: Path) -> None:
    (ct_folder / "0003.dcm").unlink()
    series = only(ct_folder)
    assert not series.readable
    assert (
        "irregular spacing: 2.5 to 5 mm between 5 slices; 1 slices seem to be missing" in series.problems[0]
    )
    with pytest.raises(BadInput, match="irregular spacing"):
        _ = series.volume


def test_uneven_slices_are_never_stacked(ct_folder: Path, edit: Edit) -> None:
    edit(ct_folder / "0004.dcm", ImagePositionPatient=[-10.5, 20.25, -291.9])
    series = only(ct_folder)
    assert not series.readable
    assert "irregular spacing: 1.9 to 3.1 mm" in series.problems[0]


def test_a_slice_off_the_line_is_never_stacked(ct_folder: Path, edit: Edit) -> None:
    edit(ct_folder / "0004.dcm", ImagePositionPatient=[-5.5, 20.25, -292.5])
    series = only(ct_folder)
    assert not series.readable
    assert "do not lie on one line" in series.problems[0]


def test_gantry_tilt_is_kept_as_shear_and_said(build: Any, tmp_path: Path) -> None:
    affine = Geometry.from_spacing((3.0, 1.0, 1.0)).affine.copy()
    affine[1, 0] = 3.0 * np.tan(np.radians(15.0))
    tilted = Volume(np.arange(4 * 8 * 8, dtype=np.int16).reshape(4, 8, 8), Geometry(affine), "HU")
    write_series(*build(tilted), tmp_path)
    series = only(tmp_path)
    assert series.readable
    assert "gantry tilt: slices are offset by 15.0 degrees" in series.problems[0]
    assert series.geometry == tilted.geometry
    assert np.array_equal(series.volume.voxels, tilted.voxels)


def test_two_orientations_in_one_series_become_two(build: Any, ct: Volume, tmp_path: Path) -> None:
    write_series(*build(ct), tmp_path / "axial")
    coronal = np.eye(4)
    coronal[:3, :3] = np.array([[0, 0, 1], [-2, 0, 0], [0, -1, 0]], float)
    write_series(*build(Volume(ct.voxels[:4], Geometry(coronal), "HU")), tmp_path / "coronal")
    for index, path in enumerate(sorted((tmp_path / "coronal").iterdir())):
        ds = dcmread(path)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"2.25.5000{index}"
        ds.save_as(path)
    first, second = open_study(tmp_path).series
    assert {first.shape[0], second.shape[0]} == {6, 4}
    assert {first.part_of, second.part_of} == {None, "2.25.77"}
    assert first.uid != second.uid
    assert {first.geometry.orientation, second.geometry.orientation} == {"SPL", "PIL"}


def test_echoes_in_one_series_become_volumes_of_their_own(build: Any, tmp_path: Path, edit: Edit) -> None:
    geometry = Geometry.from_spacing((4.0, 1.0, 1.0))
    for echo, te in enumerate((10.0, 90.0)):
        voxels = np.full((5, 8, 8), 100 * (echo + 1), np.int16)
        technique = Acquisition(tr_ms=3000.0, te_ms=te, slice_thickness_mm=4.0)
        write_series(*build(Volume(voxels, geometry), "MR", acquisition=technique), tmp_path / str(echo))
        for path in (tmp_path / str(echo)).iterdir():
            edit(path, SOPInstanceUID=f"2.25.{echo}{path.stem}1".replace("2.25.0", "2.25.9"))
    series = open_study(tmp_path).series
    assert sorted(s.volume.voxels.mean() for s in series) == [100, 200]
    assert {s.acquisition.te_ms for s in series} == {10.0, 90.0}
    assert all(s.readable and s.shape == (5, 8, 8) for s in series)


def test_thick_slices_and_gaps_are_said(build: Any, tmp_path: Path) -> None:
    voxels = np.zeros((22, 8, 8), np.int16)
    technique = Acquisition(slice_thickness_mm=5.0)
    write_series(
        *build(Volume(voxels, Geometry.from_spacing((6.5, 1, 1)), "HU"), acquisition=technique), tmp_path
    )
    assert only(tmp_path).problems == (
        "thick slices: 22 at 6.5 mm",
        "gaps: slices 5 mm thick every 6.5 mm",
    )


def test_localisers_and_secondary_captures_stay_out_of_volumes(
    ct_folder: Path, ct: Volume, build: Any, edit: Edit, tmp_path: Path
) -> None:
    scout = Volume(ct.voxels[:1], Geometry.from_spacing((5, 1, 1), (0, 0, 50)), "HU")
    write_series(*build(scout, uid="2.25.77"), tmp_path / "scout")
    path = tmp_path / "scout" / "0001.dcm"
    edit(
        path,
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        SOPInstanceUID="2.25.3",
        SeriesInstanceUID="2.25.4",
    )
    shutil.move(path, ct_folder / "scout.dcm")
    shutil.copy(ct_folder / "0001.dcm", ct_folder / "capture.dcm")
    edit(ct_folder / "capture.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SOPInstanceUID="2.25.5")
    by_problem = {" ".join(s.problems): s for s in open_study(ct_folder).series}
    assert np.array_equal(by_problem[""].volume.voxels, ct.voxels)
    assert not by_problem["localiser: kept out of volumes"].readable
    assert by_problem["secondary capture: kept out of volumes"].shape == (12, 10)
    assert len(by_problem) == 3
