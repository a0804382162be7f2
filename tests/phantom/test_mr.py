import dataclasses
from datetime import date
from functools import cache

import numpy as np
import pytest

from sagittal.phantom import mr
from sagittal.phantom.brain import BrainSubject, draw_patient
from sagittal.phantom.brain_lesions import Lesion
from sagittal.phantom.mr_scan import RANGES, blur, distort, draw_scan, magnitude
from sagittal.phantom.mr_signal import SEQUENCES
from sagittal.phantom.mr_truth import diameters_mm
from sagittal.phantom.truth import LABELS, Acquired, Scope
from sagittal.report.finding import Laterality
from sagittal.study.geometry import Geometry

SCOPE = Scope("patient", "study", date(2024, 5, 1))
INFARCT = Lesion(
    "infarct", ("acute_infarct-1", "restricted_diffusion-1"), 4, "parietal_lobe", ((44.0, 34.0, 28.0, 15.0),),
    strength=0.9,
)  # fmt: skip
GLIOMA = Lesion(
    "glioma", ("intra_axial_mass-1", "contrast_enhancement-1", "vasogenic_oedema-1", "mass_effect-1"), 5,
    "frontal_lobe", ((-27.0, -28.0, 28.0, 15.0),), strength=0.9, enhancement=0.9, rim_mm=4.0, oedema_mm=10.0,
    oedema=0.9, push_mm=6.0, reach_mm=24.0,
)  # fmt: skip


@cache
def case(*lesions: Lesion, size: int = 64) -> Acquired:
    patient = draw_patient(np.random.default_rng(12), "train")
    head = dataclasses.replace(patient.head, atrophy=0.0)
    patient = dataclasses.replace(patient, head=head, lesions=lesions)
    return mr.acquire(patient, np.random.default_rng(3), split="train", size=size, scope=SCOPE)


def image(acquired: Acquired, name: str) -> np.ndarray:  # type: ignore[type-arg]
    return next(s for s in acquired.series if s.acquisition.sequence == name).volume.voxels.astype(float)


def test_same_arguments_same_voxels() -> None:
    patient = draw_patient(np.random.default_rng(1), "heldout")
    a, b = (
        mr.acquire(patient, np.random.default_rng(3), split="heldout", size=64, scope=SCOPE) for _ in range(2)
    )
    for one, two in zip(a.series, b.series, strict=True):
        assert one.volume.voxels.tobytes() == two.volume.voxels.tobytes()
    assert a.findings == b.findings


def test_six_sequences_on_one_grid_with_their_settings() -> None:
    acquired = case(INFARCT, GLIOMA)
    assert tuple(s.acquisition.sequence for s in acquired.series) == SEQUENCES
    frames = set()
    for series in acquired.series:
        assert isinstance(series.geometry, Geometry)
        assert series.geometry.orientation == "SPL"
        assert series.shape == series.volume.shape == (32, 64, 64)
        assert series.volume.voxels.dtype == np.uint16
        frames.add(series.geometry.frame_of_reference_uid)
        assert series.acquisition.tr_ms and series.acquisition.te_ms and series.acquisition.field_strength_t
        assert (series.acquisition.ti_ms is not None) == (series.acquisition.sequence == "FLAIR")
        assert (series.acquisition.b_value is not None) == (series.acquisition.sequence in ("DWI", "ADC"))
        assert (series.acquisition.contrast_agent is not None) == (series.acquisition.sequence == "T1c")
    assert len(frames) == 1


def test_an_infarct_is_bright_on_diffusion_and_dark_on_its_map() -> None:
    with_it, without = case(INFARCT), case()
    mask = with_it.masks["acute_infarct-1"].voxels > 0
    brain = with_it.masks["brain"].voxels > 0
    dwi, adc = image(with_it, "DWI"), image(with_it, "ADC")
    assert dwi[mask].mean() > 1.2 * np.median(dwi[brain & ~mask])
    assert adc[mask].mean() < 0.75 * image(without, "ADC")[mask].mean()
    assert 600 < np.median(adc[brain & ~mask]) < 1100  # 1e-6 mm2/s


def test_a_glioma_enhances_and_its_oedema_is_bright_on_flair() -> None:
    with_it, without = case(GLIOMA), case()
    rim = with_it.masks["contrast_enhancement-1"].voxels > 0
    wet = with_it.masks["vasogenic_oedema-1"].voxels > 0
    brain = with_it.masks["brain"].voxels > 0
    body = with_it.masks["intra_axial_mass-1"].voxels > 0
    assert not (wet & rim & ~body).any()

    def over_brain(acquired: Acquired, name: str, mask: np.ndarray) -> float:  # type: ignore[type-arg]
        voxels = image(acquired, name)
        return float(voxels[mask].mean() / np.median(voxels[brain]))

    assert over_brain(with_it, "T1c", rim) > over_brain(with_it, "T1", rim) + 0.2
    assert over_brain(with_it, "FLAIR", wet) > over_brain(without, "FLAIR", wet) + 0.1
    assert abs(over_brain(without, "T1c", rim) - over_brain(without, "T1", rim)) < 0.1


def test_masks_lie_in_the_brain_and_findings_name_them() -> None:
    acquired = case(INFARCT, GLIOMA)
    brain = acquired.masks["brain"].voxels > 0
    volume = brain.sum() * acquired.masks["brain"].voxel_ml
    assert volume == pytest.approx(acquired.measurements["brain_volume_ml"], rel=0.12)
    for finding in acquired.findings:
        assert finding.evidence is not None and finding.evidence.mask in acquired.masks
        mask = acquired.masks[finding.evidence.mask].voxels > 0
        assert mask.any()
        assert (mask & brain).sum() > 0.85 * mask.sum()
        assert finding.evidence.series_uid in {s.uid for s in acquired.series}
        assert mask[finding.evidence.slices_index[0]].any()
        assert finding.source == "phantom"
    sides = {f.evidence.mask: f.laterality for f in acquired.findings if f.evidence}
    assert sides["acute_infarct-1"] is Laterality.LEFT
    assert sides["intra_axial_mass-1"] is Laterality.RIGHT
    # index x grows to the patient's left
    assert np.argwhere(acquired.masks["acute_infarct-1"].voxels)[:, 2].mean() > 34
    assert np.argwhere(acquired.masks["intra_axial_mass-1"].voxels)[:, 2].mean() < 30


def test_labels_are_what_the_findings_say() -> None:
    made = {name.rsplit("-", 1)[0] for lesion in (INFARCT, GLIOMA) for name in lesion.findings}
    assert {k for k, v in case(INFARCT, GLIOMA).labels.items() if v} == made
    assert set(case().labels) == set(LABELS["brain-mr"])
    assert case().contrast_to_noise == {}


def test_fainter_lesions_have_less_contrast_to_noise() -> None:
    uid = SCOPE.tracking_uid("acute_infarct-1")
    strong = case(INFARCT).contrast_to_noise[uid]
    weak = case(dataclasses.replace(INFARCT, strength=0.3)).contrast_to_noise[uid]
    assert 0 < weak < 0.6 * strong


def test_mass_effect_moves_the_midline() -> None:
    pushed = dataclasses.replace(GLIOMA, push_mm=9.0)
    assert case(pushed).measurements["midline_shift_mm"] > case(GLIOMA).measurements["midline_shift_mm"] > 0.5
    assert case().measurements["midline_shift_mm"] == 0


def test_brains_are_finer_at_a_larger_matrix_but_the_same() -> None:
    small, large = case(INFARCT), case(INFARCT, size=128)
    assert large.series[0].shape == (32, 128, 128)
    for key in ("brain_volume_ml", "acute_infarct-1_volume_ml"):
        assert large.measurements[key] == pytest.approx(small.measurements[key], rel=0.06), key


def test_noise_of_the_background_is_rayleigh() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 400, 400), dtype=np.float32)
    found = magnitude(noise[0], noise[1])
    assert found.mean() == pytest.approx(np.sqrt(np.pi / 2), rel=0.01)
    assert found.std() == pytest.approx(np.sqrt(2 - np.pi / 2), rel=0.01)


def test_blur_keeps_the_mean_and_distortion_moves_by_pixels() -> None:
    rng = np.random.default_rng(0)
    picture = rng.random((2, 3, 20, 20)).astype(np.float32)
    assert blur(picture, 0.8).mean() == pytest.approx(picture.mean(), rel=0.02)
    np.testing.assert_allclose(
        distort(picture, np.full((3, 20, 20), 2.0, np.float32))[:, :, :17], picture[:, :, 2:19]
    )


def test_scans_of_the_two_splits_never_overlap() -> None:
    for field in dataclasses.fields(RANGES["train"]):
        a, b = getattr(RANGES["train"], field.name), getattr(RANGES["heldout"], field.name)
        if field.name == "vendors":
            assert not set(a) & set(b)
        else:
            assert a[1] < b[0] or b[1] < a[0], field.name
    rng = np.random.default_rng(0)
    drawn = {s: [draw_scan(rng, s) for _ in range(200)] for s in ("train", "heldout")}  # type: ignore[arg-type]
    for name in ("noise", "bias", "slice_mm", "field_of_view_mm"):
        train, heldout = ([getattr(scan, name) for scan in drawn[s]] for s in ("train", "heldout"))
        assert max(train) < min(heldout)
    assert max(s.protocol.t2_te for s in drawn["train"]) <= min(s.protocol.t2_te for s in drawn["heldout"])


def test_diameters_of_an_ellipse() -> None:
    mask = np.zeros((3, 80, 80), bool)
    y, x = np.mgrid[:80, :80] - 40.0
    mask[1] = (x / 24) ** 2 + (y / 10) ** 2 <= 1
    long, short = diameters_mm(mask, Geometry.from_spacing((5.0, 1.0, 1.0)))
    assert long == pytest.approx(48, abs=1.5)
    assert short == pytest.approx(20, abs=1.5)
    assert diameters_mm(np.zeros((2, 4, 4), bool), Geometry.from_spacing((5.0, 1.0, 1.0))) == (0.0, 0.0)


def test_a_subject_tells_age_and_sex() -> None:
    subject = mr.draw_subject(np.random.default_rng(0), "train")
    assert isinstance(subject, BrainSubject)
    assert subject.sex in ("M", "F") and 3 < subject.age_years < 90
