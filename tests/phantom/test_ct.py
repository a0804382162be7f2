"""Chest CT phantoms: lesions of the stated size and density, in the lungs, as often as promised."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import pytest

from sagittal.phantom import ct, film, mr
from sagittal.phantom.ct_body import Body, body, fit_grid
from sagittal.phantom.ct_lesions import CtLesion
from sagittal.phantom.ct_texture import lobe
from sagittal.phantom.truth import LABELS, Scope
from sagittal.phantom.voxels import Grid
from sagittal.report.finding import ChangeKind


def _subject(seed: int = 2) -> ct.CtSubject:
    subject = ct.draw_subject(np.random.default_rng(seed), "train")
    return replace(subject, lesions=(), mimics=())


def _grid(subject: ct.CtSubject, size: int = 96) -> Grid:
    return fit_grid(subject.chest, (size, size, size), 360.0, (5.0, 5.0))


@cache
def _drawn(key: str, **_: float) -> tuple[Body, float, CtLesion, Grid]:
    subject = _subject()
    k = subject.chest.scale
    grid = _grid(subject)
    lesion = {
        "nodule": CtLesion("nodule", "nodule-1", "right", (-75.0, 0.0, 20.0), 24 / k, 1.03, 0.3, 5),
        "pleural_effusion": CtLesion("pleural_effusion", "pleural_effusion-1", "left", size=150.0, seed=5),
        "emphysema": CtLesion("emphysema", "emphysema-1", "both", size=0.25, density=0.6, seed=5),
        "consolidation": CtLesion(
            "consolidation", "consolidation-1", "right", (-70.0, 10.0, 0.0), 50 / k, 0.8, seed=5
        ),
    }[key]
    cell = float(np.prod(grid.pitch)) * k**3 / 1000
    return body(subject.chest, [lesion], [], grid), cell, lesion, grid


@cache
def _subjects(split: str) -> list[ct.CtSubject]:
    rng = np.random.default_rng(8)
    return [ct.draw_subject(rng, split) for _ in range(200)]  # type: ignore[arg-type]


def test_lungs_and_heart_have_human_sizes_and_densities() -> None:
    for seed in range(3):
        subject = _subject(seed)
        if subject.chest.child:
            continue
        grid = _grid(subject, 64)
        healthy = body(subject.chest, [], [], grid)
        cell = float(np.prod(grid.pitch)) * subject.chest.scale**3 / 1000
        lung = healthy.masks["lung_right"] | healthy.masks["lung_left"]
        assert 2500 < lung.sum() * cell < 8500, "mL at full inspiration"
        assert 300 < healthy.masks["heart"].sum() * cell < 1400
        assert -900 < np.median(healthy.hu[lung]) < -780
        assert 20 < np.median(healthy.hu[healthy.masks["heart"]]) < 60
        assert healthy.hu.max() > 500, "cortical bone"
        assert not (healthy.masks["lung_right"] & healthy.masks["lung_left"]).any()


def test_a_nodule_has_its_volume_and_density() -> None:
    drawn, cell, _, _ = _drawn("nodule")
    mask = drawn.lesions["nodule-1"]
    assert mask.sum() * cell == pytest.approx(4 / 3 * np.pi * 12**3 / 1000, rel=0.3)
    assert (drawn.hu - drawn.healthy)[mask].mean() > 500
    changed = np.abs(drawn.hu - drawn.healthy) > 1
    assert not (changed & ~(drawn.masks["lung_right"])).any(), "a nodule stays in its lung"


def test_fluid_lies_behind_and_is_as_dense_as_water() -> None:
    drawn, cell, _, grid = _drawn("pleural_effusion")
    mask = drawn.lesions["pleural_effusion-1"]
    assert mask.sum() * cell == pytest.approx(150, rel=0.25)
    assert not (mask & ~drawn.masks["lung_left"]).any()
    assert abs(np.median(drawn.hu[mask]) - 10) < 15
    lung = drawn.masks["lung_left"]
    y = grid.y[None, :, None]
    assert (y * mask).sum() / mask.sum() > (y * lung).sum() / lung.sum() + 25


def test_emphysema_takes_its_share_and_only_lowers_density() -> None:
    drawn, _, _, _ = _drawn("emphysema")
    mask = drawn.lesions["emphysema-1"]
    lung = drawn.masks["lung_right"] | drawn.masks["lung_left"]
    change = drawn.hu - drawn.healthy
    assert mask.sum() / lung.sum() == pytest.approx(0.25, abs=0.09)
    assert change.max() < 1
    assert change[mask].mean() < -30


def test_consolidation_spares_the_airways() -> None:
    drawn, _, _, _ = _drawn("consolidation")
    mask = drawn.lesions["consolidation-1"]
    values = drawn.hu[mask]
    assert np.percentile(values, 75) > -350
    assert np.percentile(values, 3) < -400, "open bronchi inside"


@pytest.mark.parametrize("size", [64, 96])
def test_the_same_lesion_lies_at_the_same_place_on_any_grid(size: int) -> None:
    subject = _subject()
    lesion = CtLesion("nodule", "nodule-1", "right", (-75.0, 0.0, 20.0), 20.0, 1.03, 0.3, 5)
    grid = _grid(subject, size)
    mask = body(subject.chest, [lesion], [], grid).lesions["nodule-1"]
    index = np.argwhere(mask).mean(axis=0)
    found = [np.interp(i, np.arange(len(a)), a) for i, a in zip(index, (grid.z, grid.y, grid.x), strict=True)]
    assert found == pytest.approx([20.0, 0.0, -75.0], abs=2.5)


def test_lobes_are_where_anatomy_puts_them() -> None:
    for seed in range(20):
        chest = _subject(seed).chest
        assert lobe(chest, "right", (-60.0, 0.0, chest.apex - 20)) == "upper_lobe"
        assert lobe(chest, "left", (60.0, 50.0, -60.0)) == "lower_lobe"
        assert lobe(chest, "right", (-60.0, -60.0, -45.0)) == "middle_lobe"


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_every_label_is_there_in_a_quarter_to_two_fifths_of_patients(split: str) -> None:
    subjects = _subjects(split)
    for key in LABELS["chest-ct"]:
        share = np.mean([any(lesion.key == key for lesion in s.lesions) for s in subjects])
        assert 0.25 <= share <= 0.44, (key, share)
    diameters = [o.size * s.chest.scale for s in subjects for o in s.lesions if o.key == "nodule"]
    assert min(diameters) > ct.SMALLEST_MM
    assert max(diameters) <= ct.LARGEST_MM


def test_held_out_chests_share_no_range_with_training() -> None:
    drawn = {s: [subject.chest for subject in _subjects(s)] for s in ("train", "heldout")}
    for name in ("lung", "branching", "tortuosity", "vessel_gain", "rib_height"):
        a, b = ([getattr(chest, name) for chest in drawn[s]] for s in ("train", "heldout"))
        assert max(a) <= min(b) or max(b) <= min(a), name


@pytest.mark.parametrize("module", [ct, film, mr])
def test_every_kind_of_change_happens_and_names_real_lesions(module: object) -> None:
    seen = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        before = module.draw_subject(rng, "train")  # type: ignore[attr-defined]
        after, changes = module.evolve(before, rng)  # type: ignore[attr-defined]
        assert after.sex == before.sex
        seen |= set(changes.values())
    assert set(ChangeKind) - {ChangeKind.NOT_COMPARABLE} <= seen


def test_contrast_grows_with_density() -> None:
    subject = _subject()
    scope = Scope("p", "p/0", date(2020, 1, 1))

    def ratio(density: float) -> float:
        lesion = CtLesion("nodule", "nodule-1", "right", (-75.0, 0.0, 20.0), 22.0, density, 0.3, 5)
        case = ct.acquire(
            replace(subject, lesions=(lesion,)), np.random.default_rng(1), split="train", size=64, scope=scope
        )
        return next(iter(case.contrast_to_noise.values()))

    faint, middling, dense = ratio(0.24), ratio(0.6), ratio(1.0)
    assert faint < middling < dense
    assert dense > 3 > faint
