"""Radiographs: physics with known answers, reproducible bytes, splits that never meet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sagittal.phantom.chest import XRAY_LABELS, ChestSubject, draw_chest
from sagittal.phantom.radiograph import Film, attenuation, contrast, draw_beam, radiograph


def _film(seed: int, split: str = "train", size: int = 128) -> tuple[ChestSubject, Film]:
    rng = np.random.default_rng(seed)
    subject = draw_chest(rng, split)  # type: ignore[arg-type]
    return subject, radiograph(subject, rng, split=split, size=size)  # type: ignore[arg-type]


def test_same_seed_same_bytes() -> None:
    (_, a), (_, b), (_, c) = _film(3), _film(3), _film(4)
    assert a.pixels.tobytes() == b.pixels.tobytes() != c.pixels.tobytes()
    assert a.contrast_to_noise == b.contrast_to_noise


def test_water_attenuates_as_tabulated_and_bone_more_at_low_voltage() -> None:
    # 118.4 kVp has an effective energy of 60 keV here: 0.2059 cm2/g for water (NIST XCOM).
    water, mineral = attenuation((60 - 15) / 0.38)
    assert water == pytest.approx(0.02059, rel=1e-3)
    assert mineral / water > 1.5
    low = attenuation(75)
    assert low[1] / low[0] > mineral / water


def test_films_have_the_declared_form() -> None:
    for seed in range(4):
        subject, film = _film(seed)
        assert film.pixels.dtype == np.uint16 and film.pixels.shape == (128, 128)
        assert film.pixels.max() <= 4095 and film.pixels.std() > 200
        assert (film.view, film.position) == (
            ("PA", "ERECT") if subject.chest.pose == "erect" else ("AP", "RECUMBENT")
        )
        names = {"lung_right", "lung_left", "heart"} | {lesion.name for lesion in subject.lesions}
        assert set(film.masks) == names
        assert set(film.contrast_to_noise) == {lesion.name for lesion in subject.lesions}


def test_sides_and_apex_are_where_patient_orientation_says() -> None:
    _, film = _film(1, size=192)
    columns = np.arange(192)
    right = (film.masks["lung_right"].sum(0) * columns).sum() / film.masks["lung_right"].sum()
    left = (film.masks["lung_left"].sum(0) * columns).sum() / film.masks["lung_left"].sum()
    heart = (film.masks["heart"].sum(0) * columns).sum() / film.masks["heart"].sum()
    assert right < heart < left
    assert heart > (right + left) / 2


def test_lungs_are_darker_than_heart() -> None:
    for seed in range(5):
        _, film = _film(seed)
        lungs = film.masks["lung_right"] & ~film.masks["heart"]
        assert np.median(film.pixels[lungs]) < np.median(film.pixels[film.masks["heart"]])


def test_splits_never_share_habitus_vessels_or_acquisition() -> None:
    subjects = {
        split: [draw_chest(np.random.default_rng(i), split) for i in range(150)]  # type: ignore[arg-type]
        for split in ("train", "heldout")
    }
    for name in ("branching", "tortuosity", "rib_height"):
        train, held = ([getattr(s.chest, name) for s in subjects[k]] for k in ("train", "heldout"))
        assert max(train) <= min(held) or max(held) <= min(train), name
    shape = {k: [s.chest.depth / s.chest.width for s in subjects[k]] for k in subjects}
    assert max(shape["train"]) <= min(shape["heldout"])
    beams = {
        k: [draw_beam(np.random.default_rng(i), s, k) for i, s in enumerate(subjects[k])]  # type: ignore[arg-type]
        for k in subjects
    }
    for name in ("kvp", "vendor"):
        assert not {getattr(b, name) for b in beams["train"]} & {getattr(b, name) for b in beams["heldout"]}
    for name in ("blur", "detail", "gamma"):
        assert max(getattr(b, name) for b in beams["train"]) <= min(
            getattr(b, name) for b in beams["heldout"]
        )


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_every_finding_is_in_25_to_40_percent_of_studies(split: str) -> None:
    subjects = [draw_chest(np.random.default_rng(i), split) for i in range(800)]  # type: ignore[arg-type]
    for key in XRAY_LABELS:
        assert 0.25 < np.mean([s.has(key) for s in subjects]) < 0.40
    assert {s.chest.pose for s in subjects} == {"erect", "supine"}
    assert any(s.chest.child for s in subjects)


def test_names_follow_sizes() -> None:
    for i in range(200):
        subject = draw_chest(np.random.default_rng(i))
        for lesion in subject.lesions:
            if lesion.key == "nodule":
                assert 6 <= lesion.diameter_mm(subject.chest) <= 30
            if lesion.key == "mass":
                assert lesion.diameter_mm(subject.chest) > 30
        assert subject.has("cardiomegaly") == (subject.chest.ratio > 0.5)


def test_contrast_to_noise_of_a_disc_on_white_noise() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:120, :120]
    mask = (y - 60) ** 2 + (x - 60) ** 2 < 15**2
    quiet = rng.normal(0, 0.5, (120, 120)).astype(np.float32)
    assert contrast(1.5 * mask, quiet, mask, np.ones_like(mask), 1.0) == pytest.approx(3.0, rel=0.1)


def test_a_denser_nodule_has_more_contrast_and_is_seen() -> None:
    subject = next(
        s
        for s in (draw_chest(np.random.default_rng(i)) for i in range(200))
        if s.has("nodule") and len(s.lesions) == 1
    )
    lesion = subject.lesions[0]
    denser = replace(subject, lesions=(replace(lesion, density=1.04),))
    faint = replace(subject, lesions=(replace(lesion, density=0.6),))
    a, b = (radiograph(s, np.random.default_rng(1), size=128) for s in (denser, faint))
    assert a.contrast_to_noise[lesion.name] > b.contrast_to_noise[lesion.name] > 0
