"""What is written is valid DICOM, says what the series says, and other readers agree."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from sagittal.errors import BadInput
from sagittal.study.dicom.image import write_series
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.open import open_study
from sagittal.study.study import Acquisition
from sagittal.study.volume import Volume

FILM = Plane((1.6, 1.6), "at the detector, uncorrected", ("L", "F"))


def film() -> Volume:
    return Volume(np.random.default_rng(0).integers(0, 4000, (33, 31)).astype(np.uint16), FILM)


def brain() -> Volume:
    voxels = np.random.default_rng(0).random((5, 20, 18)).astype(np.float32) * 3000
    return Volume(voxels.round(), Geometry.from_spacing((5.0, 1.0, 1.2), (3.0, 4.0, 5.0)))


CASES = {
    "DX": (film, {"view": "PA", "position": "ERECT"}),
    "CR": (film, {"view": "AP"}),
    "CT": (lambda: Volume(brain().voxels - 1024, brain().geometry, "HU"), {}),
    "MR": (brain, {"acquisition": Acquisition(tr_ms=500.0, te_ms=9.0, field_strength_t=3.0)}),
}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("modality", CASES)
@pytest.mark.parametrize("synthetic", [True, False])
def test_dciodvfy_finds_no_error(build: Any, tmp_path: Path, modality: str, synthetic: bool) -> None:
    make, fields = CASES[modality]
    study, series = build(make(), modality, synthetic=synthetic, **fields)
    for path in write_series(study, series, tmp_path):
        ran = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True)
        said = (ran.stdout + ran.stderr).splitlines()
        assert not [line for line in said if line.startswith("Error")], said


@pytest.mark.parametrize("modality", CASES)
def test_same_series_same_bytes(build: Any, tmp_path: Path, modality: str) -> None:
    make, fields = CASES[modality]
    study, series = build(make(), modality, **fields)
    first = [path.read_bytes() for path in write_series(study, series, tmp_path / "a")]
    assert first == [path.read_bytes() for path in write_series(study, series, tmp_path / "b")]


@pytest.mark.parametrize("modality", CASES)
def test_what_was_written_is_read_back(build: Any, tmp_path: Path, modality: str) -> None:
    make, fields = CASES[modality]
    volume = make()
    study, series = build(volume, modality, synthetic=True, **fields)
    write_series(study, series, tmp_path)
    read = open_study(tmp_path)
    (one,) = read.series
    assert (one.uid, one.modality, one.body_part) == (series.uid, modality, "CHEST")
    assert (one.view, one.unit) == (series.view, volume.unit)
    assert np.array_equal(one.volume.voxels, volume.voxels)
    assert one.geometry == volume.geometry
    assert read.synthetic
    assert read.patient == study.patient
    assert read.date == study.date


def test_position_of_a_radiograph_comes_back(build: Any, tmp_path: Path) -> None:
    for position in ("ERECT", "SUPINE", "PRONE", "RECUMBENT", "SEMI-ERECT"):
        study, series = build(film(), "DX", position=position)
        write_series(study, series, tmp_path / position)
        assert open_study(tmp_path / position).series[0].position == position


def test_technique_comes_back(build: Any, tmp_path: Path) -> None:
    technique = Acquisition(
        manufacturer="Maker", model_name="One", tr_ms=9000.0, te_ms=110.0, ti_ms=2500.0,
        flip_angle_deg=150.0, field_strength_t=1.5, slice_thickness_mm=4.0, sequence="FLAIR",
    )  # fmt: skip
    study, series = build(brain(), "MR", acquisition=technique, description="ax FLAIR")
    write_series(study, series, tmp_path)
    assert open_study(tmp_path).series[0].acquisition == technique


@pytest.mark.parametrize(
    ("sequence", "b_value", "agent"),
    [("T1", None, None), ("T1c", None, "gadobutrol"), ("T2", None, None), ("DWI", 1000.0, None),
     ("ADC", None, None), ("FLAIR", None, None)],
)  # fmt: skip
def test_every_mr_sequence_is_known_again(
    build: Any, tmp_path: Path, sequence: str, b_value: float | None, agent: str | None
) -> None:
    technique = Acquisition(sequence=sequence, b_value=b_value, contrast_agent=agent)
    study, series = build(brain(), "MR", acquisition=technique, description="")
    write_series(study, series, tmp_path)
    read = open_study(tmp_path).series[0]
    assert (read.acquisition.sequence, read.acquisition.b_value) == (sequence, b_value)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    spacing=st.tuples(*[st.floats(0.3, 8)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
)
def test_any_orientation_puts_every_voxel_where_simpleitk_puts_it(
    build: Any, tmp_path_factory: Any, seed: int, spacing: tuple[float, ...], origin: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * spacing, origin
    volume = Volume(rng.integers(0, 900, (4, 6, 5)).astype(np.int16), Geometry(affine), "HU")
    folder = tmp_path_factory.mktemp("any")
    study, series = build(volume)
    write_series(study, series, folder)
    read = open_study(folder).series[0].volume
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    oracle = reader.Execute()
    for index in np.ndindex(4, 6, 5):
        point = volume.geometry.to_mm(index)  # type: ignore[union-attr]
        ours = read.geometry.to_index(point)  # type: ignore[union-attr]
        nearest = np.rint(ours).astype(int)
        assert np.allclose(ours, nearest, atol=1e-2)
        assert read.voxels[tuple(nearest)] == volume.voxels[index]
        theirs = oracle.TransformPhysicalPointToIndex([float(p) for p in point])
        assert oracle[theirs] == volume.voxels[index]


def test_uids_and_dates_are_those_of_the_study(ct_folder: Path) -> None:
    headers = [dcmread(path) for path in sorted(ct_folder.iterdir())]
    assert {ds.StudyInstanceUID for ds in headers} == {"2.25.7"}
    assert {ds.SeriesInstanceUID for ds in headers} == {"2.25.77"}
    assert len({ds.SOPInstanceUID for ds in headers}) == 6
    assert {ds.StudyDate for ds in headers} == {"20210203"}
    assert [ds.InstanceNumber for ds in headers] == [1, 2, 3, 4, 5, 6]


def test_what_cannot_be_written_truthfully_is_refused(build: Any, tmp_path: Path) -> None:
    no_pitch = Volume(film().voxels, Plane())
    with pytest.raises(BadInput, match="pixel pitch"):
        write_series(*build(no_pitch, "DX"), tmp_path)
    with pytest.raises(BadInput, match="0 to 65535"):
        write_series(*build(Volume(brain().voxels - 1e5, brain().geometry), "MR"), tmp_path)
    bad = brain().voxels.copy()
    bad[0, 0, 0] = np.nan
    with pytest.raises(BadInput, match="not finite"):
        write_series(*build(Volume(bad, brain().geometry), "MR"), tmp_path)
    with pytest.raises(BadInput, match="PT"):
        write_series(*build(brain(), "PT"), tmp_path)
    assert list(tmp_path.iterdir()) == []
