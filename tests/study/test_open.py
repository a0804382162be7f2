"""One front door for folders, files and zips; bad input is one clear line."""

from __future__ import annotations

import json
import os
import shutil
import stat
import warnings
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sagittal.errors import BadInput
from sagittal.study import limits
from sagittal.study.dicom.image import write_series
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.nifti import write_nifti
from sagittal.study.open import open_study
from sagittal.study.volume import Volume

Edit = Callable[..., None]


def image(folder: Path, name: str = "a.nii.gz", dtype: Any = np.int16) -> Path:
    voxels = np.arange(4 * 5 * 6, dtype=dtype).reshape(4, 5, 6)
    return write_nifti(folder / name, Volume(voxels, Geometry.from_spacing((3, 1, 1))))


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"study/{path.name}")
    return target


def test_folder_file_and_zip_hold_the_same(ct_folder: Path, tmp_path: Path, ct: Volume) -> None:
    from_zip = open_study(zipped(ct_folder, tmp_path / "any.bin")).series[0]
    from_folder = open_study(ct_folder).series[0]
    assert np.array_equal(from_zip.volume.voxels, from_folder.volume.voxels)
    assert from_zip.geometry == from_folder.geometry
    assert open_study(ct_folder / "0001.dcm").series[0].shape == (1, 12, 10)


def test_content_decides_not_the_name(ct_folder: Path, tmp_path: Path) -> None:
    shutil.copy(ct_folder / "0001.dcm", tmp_path / "photo.jpg")
    assert open_study(tmp_path / "photo.jpg").series[0].modality == "CT"
    os.rename(image(tmp_path), tmp_path / "x.dcm")
    assert open_study(tmp_path / "x.dcm").series[0].shape == (4, 5, 6)


def test_truth_is_never_opened(ct_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (ct_folder / "truth.json").write_text("{}")
    (ct_folder / "truth_masks").mkdir()
    shutil.copy(ct_folder / "0001.dcm", ct_folder / "truth_masks" / "m.dcm")
    image(ct_folder, "truth_nodule-1.nii.gz")
    opened: list[str] = []
    real = Path.open

    def watched(self: Path, *a: Any, **k: Any) -> Any:
        opened.append(str(self))
        return real(self, *a, **k)

    monkeypatch.setattr(Path, "open", watched)
    study = open_study(ct_folder)
    _ = study.series[0].volume
    assert opened
    assert not [name for name in opened if "truth" in Path(name).name]
    assert study.problems == ()
    with pytest.raises(BadInput, match="truth file"):
        open_study(ct_folder / "truth_nodule-1.nii.gz")
    zipped_truth = tmp_path / "z.zip"
    with zipfile.ZipFile(zipped_truth, "w") as archive:
        archive.write(ct_folder / "truth_nodule-1.nii.gz", "a/truth_nodule-1.nii.gz")
    with pytest.raises(BadInput):
        open_study(zipped_truth)


def test_empty_missing_and_foreign_paths(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("nothing to see")
    (tmp_path / "zero.dcm").write_bytes(b"")
    for path, what in (
        (tmp_path / "empty", "is empty"),
        (tmp_path / "gone", "does not exist"),
        (tmp_path / "text.txt", "not an image"),
        (tmp_path / "zero.dcm", "is empty"),
    ):
        with pytest.raises(BadInput, match=what) as caught:
            open_study(path)
        assert "\n" not in str(caught.value)


def test_truncated_and_pixelless_dicom(ct_folder: Path, tmp_path: Path, edit: Edit) -> None:
    whole = (ct_folder / "0001.dcm").read_bytes()
    cut = tmp_path / "cut.dcm"
    for length in (140, 300, 700, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(BadInput):
            open_study(cut)
    edit(ct_folder / "0001.dcm", PixelData=None)
    with pytest.raises(BadInput, match="no pixel data"):
        open_study(ct_folder / "0001.dcm")
    study = open_study(ct_folder)
    assert study.series[0].shape[0] == 5
    assert "0001.dcm has no pixel data" in study.problems[0]


def test_one_by_one_is_no_image(tmp_path: Path, build: Any) -> None:
    Image.new("L", (1, 1)).save(tmp_path / "dot.png")
    with pytest.raises(BadInput, match="1 x 1"):
        open_study(tmp_path / "dot.png")
    write_series(*build(Volume(np.zeros((1, 1), np.uint16), Plane((1.0, 1.0))), "CR"), tmp_path / "d")
    with pytest.raises(BadInput, match="1 x 1"):
        open_study(tmp_path / "d")
    write_nifti(tmp_path / "v.nii", Volume(np.zeros((1, 1, 1), np.int16), Geometry(np.eye(4))))
    with pytest.raises(BadInput, match="shape"):
        open_study(tmp_path / "v.nii")


def test_mixed_patients_are_refused_without_naming_them(ct_folder: Path, edit: Edit) -> None:
    edit(ct_folder / "0004.dcm", PatientID="SECRET2")
    with pytest.raises(BadInput, match="2 different patients") as caught:
        open_study(ct_folder)
    assert "SECRET" not in str(caught.value)


def test_spaces_and_case_of_an_id_are_no_other_patient(ct_folder: Path, edit: Edit) -> None:
    edit(ct_folder / "0004.dcm", PatientID="p1 ")
    assert len(open_study(ct_folder).series) == 1


def test_context_beside_the_images_or_named(ct_folder: Path, tmp_path: Path) -> None:
    assert open_study(ct_folder).context.indication == ""
    (ct_folder / "context.json").write_text(json.dumps({"indication": "cough"}))
    assert open_study(ct_folder).context.indication == "cough"
    other = tmp_path / "c.json"
    other.write_text(
        json.dumps({"indication": "fall", "labs": [{"name": "CRP", "value": 3, "unit": "mg/L"}]})
    )
    assert open_study(ct_folder, context=other).context.labs[0].value == 3.0
    for broken in ("{", "[]", '{"indication": 3}', '{"unknown": 1}'):
        other.write_text(broken)
        with pytest.raises(BadInput) as caught:
            open_study(ct_folder, context=other)
        assert "\n" not in str(caught.value)
    with pytest.raises(BadInput):
        open_study(ct_folder, context=tmp_path / "none.json")


def test_prior_must_be_of_the_same_patient(ct_folder: Path, tmp_path: Path, edit: Edit) -> None:
    prior = tmp_path / "prior"
    shutil.copytree(ct_folder, prior)
    for path in prior.iterdir():
        edit(path, StudyInstanceUID="2.25.6", StudyDate="20200101")
    study = open_study(ct_folder, prior=prior)
    assert [p.date for p in study.priors] == [date(2020, 1, 1)]
    assert study.problems == ()
    later = open_study(prior, prior=ct_folder)
    assert "later than the study" in later.problems[0]
    with pytest.raises(BadInput, match="the study itself"):
        open_study(ct_folder, prior=ct_folder)
    for path in prior.iterdir():
        edit(path, PatientID="P2")
    with pytest.raises(BadInput, match="another patient"):
        open_study(ct_folder, prior=prior)


def test_two_dates_in_one_folder_become_study_and_prior(ct_folder: Path, edit: Edit) -> None:
    for path in sorted(ct_folder.iterdir())[:3]:
        edit(path, StudyInstanceUID="2.25.6", SeriesInstanceUID="2.25.66", StudyDate="20190101")
    study = open_study(ct_folder)
    assert study.date == date(2021, 2, 3)
    assert [p.date for p in study.priors] == [date(2019, 1, 1)]
    assert "2 studies" in study.problems[0]
    for path in sorted(ct_folder.iterdir())[:3]:
        edit(path, StudyDate="20210203")
    with pytest.raises(BadInput, match="which is the latest"):
        open_study(ct_folder)


def test_hostile_zips(tmp_path: Path, ct_folder: Path) -> None:
    good = (ct_folder / "0001.dcm").read_bytes()
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escaped.dcm", good)
        archive.writestr("/absolute.dcm", good)
        link = zipfile.ZipInfo("link.dcm")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("ok.dcm", good)
    study = open_study(path)
    assert len(study.series) == 1
    assert any("lead out of it" in p for p in study.problems)
    assert any("link" in p for p in study.problems)
    assert not (tmp_path.parent / "escaped.dcm").exists()
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadInput):
        open_study(path)


def test_zip_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.nii", b"\0" * 3_000_000)
    monkeypatch.setattr(limits, "MAX_ZIP_BYTES", 1_000_000)
    with pytest.raises(BadInput, match="unpacks to 3000000"):
        open_study(path)
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for index in range(20):
            archive.writestr(f"{index}", b"x")
    monkeypatch.setattr(limits, "MAX_FILES", 10)
    with pytest.raises(BadInput, match="20 files"):
        open_study(path)


def test_gzip_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = image(tmp_path)
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", path.stat().st_size + 20)
    with pytest.raises(BadInput, match="unpacks to more"):
        open_study(path)


def test_links_out_of_the_folder_are_left_out(ct_folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.dcm"
    shutil.move(ct_folder / "0006.dcm", outside)
    (ct_folder / "0006.dcm").symlink_to(outside)
    (ct_folder / "again.dcm").symlink_to(ct_folder / "0001.dcm")
    study = open_study(ct_folder)
    assert study.series[0].shape[0] == 5
    assert any("link out of the folder" in p for p in study.problems)


def test_too_many_files_and_pixels(ct_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (300, 300)).save(tmp_path / "p.png")
    monkeypatch.setattr(limits, "MAX_PICTURE_PIXELS", 1000)
    with pytest.raises(BadInput, match="300 x 300"):
        open_study(tmp_path / "p.png")
    monkeypatch.setattr(limits, "MAX_VOXELS", 300)
    series = open_study(ct_folder).series[0]
    assert not series.readable
    with pytest.raises(BadInput, match="more than is read"):
        _ = series.volume
    monkeypatch.setattr(limits, "MAX_FILES", 3)
    with pytest.raises(BadInput, match="more than 3 files"):
        open_study(ct_folder)


def test_assume_fills_only_what_is_unknown(tmp_path: Path, ct_folder: Path) -> None:
    picture = tmp_path / "p.png"
    Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10)).save(picture)
    said = "modality=DX,body_part=chest,view=pa,position=erect,age=54Y,sex=f,orientation=LF,spacing_mm=0.2"
    study = open_study(picture, assume=said)
    series = study.series[0]
    assert (series.modality, series.body_part, series.view, series.position) == ("DX", "CHEST", "PA", "ERECT")
    assert (study.patient.age_years, study.patient.sex) == (54.0, "F")
    assert series.geometry == series.volume.geometry == Plane((0.2, 0.2), "stated by user", ("L", "F"))
    assert set(study.stated) == set(said.replace("=", ",").split(",")[::2])
    known = open_study(ct_folder, assume="modality=MR,age=20Y,body_part=HEAD")
    assert known.series[0].modality == "CT"
    assert known.patient.age_years == 60.0
    assert known.stated == {}
    assert len([p for p in known.problems if "the file is kept" in p]) == 3


def test_a_stated_ct_is_in_hounsfield_units(tmp_path: Path) -> None:
    series = open_study(image(tmp_path), assume={"modality": "CT"}).series[0]
    assert series.unit == series.volume.unit == "HU"
    assert "taken as HU" in series.problems[-1]


@pytest.mark.parametrize(
    "said",
    ["colour=red", "age", "age=", "age=old", "modality=XYZ", "sex=x", "orientation=LL", "sequence=T9",
     "unit=kg", "b_value=-3", "spacing_mm=0", "date=1.2.3", "view=PA,view=AP", "body_part=a;b"],
)  # fmt: skip
def test_wrong_statements_are_named(tmp_path: Path, said: str) -> None:
    with pytest.raises(BadInput, match="--assume"):
        open_study(image(tmp_path), assume=said)


@pytest.mark.parametrize(("text", "years"), [("54Y", 54), ("6M", 0.5), ("54", 54), ("10D", 10 / 365.25)])
def test_ages(tmp_path: Path, text: str, years: float) -> None:
    assert open_study(image(tmp_path), assume=f"age={text}").patient.age_years == pytest.approx(years)


def test_a_folder_of_pictures_says_that_it_names_no_patient(tmp_path: Path) -> None:
    for index in range(3):
        Image.new("L", (20, 20), index).save(tmp_path / f"{index}.png")
    study = open_study(tmp_path)
    assert len(study.series) == 3
    assert "3 files that name no patient" in study.problems[0]


def test_context_may_be_an_object_and_the_study_is_found_again(tmp_path: Path) -> None:
    path = image(tmp_path)
    assert open_study(path).uid == open_study(path).uid
    assert open_study(path).path == str(path)


def test_a_path_no_system_takes_is_bad_input() -> None:
    with pytest.raises(BadInput, match="too long"):
        open_study("x" * 5000)


def test_a_zip_among_other_files_is_named(tmp_path: Path) -> None:
    Image.new("L", (8, 9), 3).save(tmp_path / "film.png")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(tmp_path / "film.png", "film.png")
    study = open_study(tmp_path)
    assert len(study.series) == 1
    assert any("more.zip" in problem for problem in study.problems)
