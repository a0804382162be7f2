"""Real files of many makers: right geometry, right values, never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset

from sagittal.errors import BadInput
from sagittal.study.dicom.suv import suv_factor
from sagittal.study.open import open_study
from sagittal.study.study import Series


def by_description(path: Path) -> dict[str, Series]:
    return {series.description: series for series in open_study(path).series}


def same_as_simpleitk(series: Series, folder: Path, tolerance: float = 0.0) -> None:
    """Geometry and voxels as ITK's own reader (GDCM) has them."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    geometry: Any = series.geometry
    assert np.allclose(geometry.spacing_mm[::-1], image.GetSpacing(), atol=1e-3)
    assert np.allclose(geometry.to_mm((0, 0, 0)), image.GetOrigin(), atol=1e-3)
    last = [n - 1 for n in series.shape]
    assert np.allclose(geometry.to_mm(last), image.TransformIndexToPhysicalPoint(last[::-1]), atol=2e-2)
    assert np.abs(series.volume.voxels - sitk.GetArrayFromImage(image)).max() <= tolerance


def test_brain_tumour_study_has_every_sequence(shared_data: Path) -> None:
    folder = shared_data / "brain_tumor_mr_dicom" / "Study3"
    study = open_study(folder)
    found = {s.description: s.acquisition.sequence for s in study.series}
    assert found == {
        "T1post": "T1c",
        "T1pre_reg": "T1",
        "T2_reg": "T2",
        "FLAIR_reg": "FLAIR",
        "HippoCrop": None,
    }
    assert (study.patient.sex, study.patient.age_years) == ("M", 41.0)
    assert not study.synthetic
    for series in study.series:
        if series.description == "HippoCrop":
            assert series.shape == (40, 50, 34)
            continue
        assert series.shape == (22, 320, 280)
        assert "thick slices: 22 at 6.5 mm" in series.problems
        assert np.allclose(series.geometry.spacing_mm, (6.5, 0.6875, 0.6875), atol=1e-3)
    for name, sub in (("T1post", "11-T1post-18670"), ("HippoCrop", "11_HCropVolume")):
        same_as_simpleitk({s.description: s for s in study.series}[name], folder / sub)


def test_ct_pet_and_mr_of_one_patient(shared_data: Path) -> None:
    folder = shared_data / "sts_ct_pet_mr" / "dicom" / "STS_002"
    study = open_study(folder)
    units = {s.modality: s.unit for s in study.series}
    assert units == {"CT": "HU", "PT": "SUV", "MR": "arbitrary"}
    assert len(study.others) == 3
    assert study.patient.age_years == 61.0
    for series in study.series:
        name = {"CT": "CT", "PT": "PET", "MR": "MR_T1"}[series.modality]
        # PET slopes: float32 against ITK's double.
        same_as_simpleitk(series, folder / name / "image", 0.0 if series.modality == "CT" else 1e-3)


@pytest.mark.parametrize("name", ["CT1", "MR1", pytest.param("RG3", marks=pytest.mark.slow), "US1", "XA1"])
def test_lossless_compression_changes_nothing(shared_data: Path, name: str) -> None:
    root = shared_data / "dicom_wg04"
    reference = open_study(root / "REF" / f"{name}_UNC").series[0].volume.voxels
    compared = 0
    for syntax in ("J2KR", "JLSL", "JPLL", "RLE"):
        path = root / syntax / f"{name}_{syntax}"
        if path.exists():
            assert np.array_equal(open_study(path).series[0].volume.voxels, reference), syntax
            compared += 1
    for syntax in ("J2KI", "JLSN"):
        path = root / syntax / f"{name}_{syntax}"
        if path.exists():
            near = open_study(path).series[0].volume.voxels.astype(float)
            span = float(np.ptp(reference))
            assert np.abs(near - reference).mean() < 0.01 * span, syntax
            compared += 1
    assert compared >= 3


def test_variety_never_gives_a_traceback(shared_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    read = refused = undecoded = 0
    for path in sorted((shared_data / "dicom_variety").rglob("*")):
        if not path.is_file():
            continue
        try:
            study = open_study(path)
        except BadInput as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        read += 1
        for series in study.series:
            if not series.readable:
                continue
            try:
                voxels = series.volume.voxels
            except BadInput as error:
                assert "\n" not in str(error)
                undecoded += 1
                continue
            assert voxels.shape == series.shape
            assert np.isfinite(voxels).all()
    assert read >= 185
    assert refused <= 92
    # 12-bit JPEG Extended (no permissive decoder) and a deliberately split JPEG 2000 stream.
    assert undecoded <= 4
    assert capfd.readouterr() == ("", "")


def test_every_encoding_of_one_image_reads_the_same(shared_data: Path) -> None:
    folder = shared_data / "dicom_variety" / "test_files"
    reference = open_study(folder / "MR_small.dcm").series[0].volume.voxels
    for other in (
        "_RLE",
        "_bigendian",
        "_expb",
        "_implicit",
        "_jp2klossless",
        "_jpeg_ls_lossless",
        "_padded",
    ):
        path = folder / f"MR_small{other}.dcm"
        assert np.array_equal(open_study(path).series[0].volume.voxels, reference), other


def test_enhanced_mr_equals_its_nifti_reference(shared_data: Path) -> None:
    root = shared_data / "dicom_enhanced_mr"
    philips = by_description(root / "In" / "Philips")
    magnitude = next(s for d, s in philips.items() if d.endswith("/M)"))
    field = next(s for d, s in philips.items() if d.endswith("FIELD_MAP)"))
    same_as_nifti(field, nib.load(root / "Ref" / "Philips_WIP_B0_NS_801_e2_fieldmaphz.nii"), 1e-4)
    # The reference holds Philips' private "precise" values; the standard rescale differs by one factor.
    precise: Any = nib.load(root / "Ref" / "Philips_WIP_B0_NS_801_e1.nii")
    factor = magnitude.volume.voxels.max() / np.asarray(precise.dataobj).max()
    scaled = nib.Nifti1Image(np.asarray(precise.dataobj) * factor, precise.affine)
    same_as_nifti(magnitude, scaled, 1e-4)
    siemens = open_study(root / "In" / "Siemens").series
    whole: Any = nib.load(root / "Ref" / "Siemens_REST1_w_SMS_PF7-8_6.nii")
    ordered = sorted(siemens, key=lambda s: s.description)
    assert len(ordered) == 4
    for time, series in enumerate(ordered):
        same_as_nifti(series, whole.slicer[..., time], 0.0)


def same_as_nifti(series: Series, image: Any, tolerance: float) -> None:
    """Every voxel centre holds the same value in both."""
    data = np.asarray(image.dataobj, float)
    inverse = np.linalg.inv(image.affine)
    index = np.stack(np.meshgrid(*map(np.arange, series.shape), indexing="ij"), -1).reshape(-1, 3)
    point = series.geometry.to_mm(index) * (-1, -1, 1)  # type: ignore[union-attr]
    theirs = point @ inverse[:3, :3].T + inverse[:3, 3]
    assert np.abs(theirs - np.rint(theirs)).max() < 0.01
    i, j, k = np.rint(theirs).astype(int).T
    ours = series.volume.voxels.reshape(-1).astype(float)
    assert np.abs(ours - data[i, j, k]).max() <= tolerance * np.abs(data).max()


def test_seg_and_enhanced_ct_of_other_makers(shared_data: Path) -> None:
    folder = shared_data / "dicom_seg_sr" / "data" / "segmentations" / "23x38x3"
    single = open_study(folder / "image").series[0]
    multi = open_study(folder / "multiframe").series[0]
    assert single.shape == multi.shape == (3, 38, 23)
    assert single.geometry == multi.geometry
    assert np.array_equal(single.volume.voxels, multi.volume.voxels)


def test_monochrome1_is_inverted(tmp_path: Path, build: Any, edit: Any) -> None:
    from sagittal.study.dicom.image import write_series
    from sagittal.study.geometry import Plane
    from sagittal.study.volume import Volume

    stored = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60
    write_series(*build(Volume(stored, Plane((1.0, 1.0))), "CR"), tmp_path)
    edit(tmp_path / "0001.dcm", PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(open_study(tmp_path).series[0].volume.voxels, 4095 - stored)


def pet(**changes: Any) -> Dataset:
    """A header whose SUV factor is known: 70 kg, 370 MBq, one half-life between injection and scan."""
    ds = Dataset()
    ds.Units, ds.DecayCorrection, ds.PatientWeight = "BQML", "START", 70.0
    ds.SeriesDate = ds.AcquisitionDate = "20200101"
    ds.SeriesTime = ds.AcquisitionTime = "100000"
    tracer = Dataset()
    tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = 370e6, 3600.0
    tracer.RadiopharmaceuticalStartTime = "090000"
    for keyword, value in changes.items():
        setattr(tracer if keyword.startswith("Radio") else ds, keyword, value)
    ds.RadiopharmaceuticalInformationSequence = [tracer]
    return ds


def test_suv_by_hand() -> None:
    # 70 kg * 1000 / (370 MBq / 2) g/Bq
    assert suv_factor(pet())[0] == pytest.approx(70e3 / 185e6)
    assert suv_factor(pet(DecayCorrection="ADMIN"))[0] == pytest.approx(70e3 / 370e6)
    assert suv_factor(pet(Units="GML", SUVType="BW")) == (1.0, None)
    # A post-processed series time: the acquisition's is the reference.
    assert suv_factor(pet(SeriesTime="153000"))[0] == pytest.approx(70e3 / 185e6)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"PatientWeight": None}, "weight"),
        ({"RadionuclideTotalDose": 370.0}, "MBq meant"),
        ({"DecayCorrection": "NONE"}, "decay correction"),
        ({"RadiopharmaceuticalStartTime": ""}, "time is missing"),
        ({"Units": "CPS"}, "CPS"),
        ({"Units": "GML", "SUVType": "LBM"}, "LBM"),
        ({"Units": "CNTS"}, "counts"),
    ],
)
def test_suv_is_not_guessed(change: dict[str, Any], why: str) -> None:
    factor, reason = suv_factor(pet(**change))
    assert factor is None
    assert reason is not None
    assert why in reason


def test_no_rescale_means_no_hounsfield_units(ct_folder: Path, edit: Any) -> None:
    for path in ct_folder.iterdir():
        edit(path, RescaleIntercept=None, RescaleSlope=None, RescaleType=None)
    series = open_study(ct_folder).series[0]
    assert series.unit == "arbitrary"
    assert "not known to be HU" in series.problems[0]


def test_fuzzed_bytes_never_give_a_traceback(ct_folder: Path, tmp_path: Path) -> None:
    whole = (ct_folder / "0001.dcm").read_bytes()
    rng = np.random.default_rng(3)
    target = tmp_path / "fuzzed.dcm"
    for _ in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 6):
            damaged[place] = int(rng.integers(256))
        target.write_bytes(bytes(damaged[: int(rng.integers(200, len(whole) + 1))]))
        try:
            for series in open_study(target).series:
                if series.readable:
                    assert series.volume.shape == series.shape
        except BadInput as error:
            assert "\n" not in str(error)


def test_age_comes_from_the_age_string_or_the_birth_date(ct_folder: Path, edit: Any) -> None:
    for path in ct_folder.iterdir():
        edit(path, PatientAge=None)
    assert open_study(ct_folder).patient.age_years == 60.0
    for path in ct_folder.iterdir():
        edit(path, PatientAge="018M")
    study = open_study(ct_folder)
    assert study.patient.age_years == 1.5
    assert "disagree" in study.problems[0]


def test_spacing_of_radiographs_says_what_it_rests_on(tmp_path: Path, build: Any) -> None:
    from sagittal.study.dicom.describe import plane

    def header(**values: Any) -> Dataset:
        ds = Dataset()
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        return ds

    uncorrected = "at the detector, uncorrected"
    assert plane(header(ImagerPixelSpacing=[0.2, 0.1])).spacing_mm == (0.2, 0.1)
    assert plane(header(ImagerPixelSpacing=[0.2, 0.2])).spacing_source == uncorrected
    both = plane(header(ImagerPixelSpacing=[0.2, 0.2], PixelSpacing=[0.2, 0.2]))
    assert both.spacing_source == uncorrected
    assert "not stated" in str(plane(header(PixelSpacing=[0.2, 0.2])).spacing_source)
    fiducial = plane(
        header(
            PixelSpacing=[0.18, 0.18], ImagerPixelSpacing=[0.2, 0.2], PixelSpacingCalibrationType="FIDUCIAL"
        )
    )
    assert fiducial.spacing_mm == (0.18, 0.18)
    assert "known size" in str(fiducial.spacing_source)
    assert plane(header()).spacing_mm is None
    assert plane(header(PatientOrientation=["L", "F"])).right_is_image_left is True
    assert plane(header()).orientation == "not stated"


def test_a_marked_quality_phantom_alone_is_not_synthetic(ct_folder: Path, edit: Any) -> None:
    for path in ct_folder.iterdir():
        edit(path, QualityControlImage="YES")
    assert not open_study(ct_folder).synthetic
    for path in ct_folder.iterdir():
        edit(path, ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "SYNTHETIC"])
    assert open_study(ct_folder).synthetic
    edit(sorted(ct_folder.iterdir())[0], QualityControlImage="NO")
    assert not open_study(ct_folder).synthetic


def test_voxels_are_decoded_only_when_asked_for(ct_folder: Path) -> None:
    series = open_study(ct_folder).series[0]
    for path in ct_folder.iterdir():
        ds = dcmread(path)
        ds.PixelData = ds.PixelData[:-10]
        ds.save_as(path)
    assert series.shape == (6, 12, 10)
    with pytest.raises(BadInput, match="cannot be decoded"):
        _ = series.volume


def test_a_localiser_among_the_slices_is_kept_out(ct_folder: Path, edit: Any) -> None:
    paths = sorted(ct_folder.glob("*.dcm"))
    for path in (paths[0], paths[-1]):
        edit(path, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    volume, scout = sorted(open_study(ct_folder).series, key=lambda one: not one.readable)
    assert (volume.shape[0], volume.readable) == (4, True)
    assert not scout.readable
    assert "localiser: kept out of volumes" in scout.problems


def test_several_frames_of_reference_are_said(ct_folder: Path, edit: Any) -> None:
    edit(sorted(ct_folder.glob("*.dcm"))[0], FrameOfReferenceUID="1.2.3")
    (series,) = open_study(ct_folder).series
    assert "the slices name 2 frames of reference: their places may not be comparable" in series.problems


def test_two_names_under_one_id_are_said(ct_folder: Path, edit: Any) -> None:
    paths = sorted(ct_folder.glob("*.dcm"))
    edit(paths[0], PatientName="DOE^JO^")
    assert not open_study(ct_folder).problems
    edit(paths[0], PatientName="Poe^Edgar")
    (problem,) = open_study(ct_folder).problems
    assert "names" in problem
    assert "Poe" not in problem


def test_a_rescale_beyond_numbers_is_bad_input(ct_folder: Path, edit: Any, recwarn: Any) -> None:
    edit(sorted(ct_folder.glob("*.dcm"))[0], RescaleSlope="1e40")
    with pytest.raises(BadInput, match="not finite"):
        _ = open_study(ct_folder).series[0].volume
    assert not recwarn.list
