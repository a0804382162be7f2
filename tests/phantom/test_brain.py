import dataclasses
from collections import Counter

import numpy as np
import pytest

from sagittal.phantom.brain import VISIBLE_PUSH_MM, BrainSubject, draw_patient, evolve_patient
from sagittal.phantom.brain_build import Grid, build, rotation
from sagittal.phantom.brain_head import HELDOUT, TRAIN, Head, draw_head
from sagittal.phantom.brain_lesions import Lesion, midline_shift_mm, push
from sagittal.phantom.brain_shape import TISSUES
from sagittal.phantom.truth import LABELS
from sagittal.report.finding import ChangeKind

GRID = Grid((16, 64, 64), (9.6, 3.6, 3.6), (-113.4, -113.4, -66.0))


def head(seed: int = 3, atrophy: float = 0.0, age: float = 50.0) -> Head:
    drawn = draw_head(np.random.default_rng(seed), TRAIN, sex="F", age_years=age, atrophy=atrophy)
    return dataclasses.replace(drawn, seed=seed)


def test_every_finding_is_in_a_quarter_to_two_fifths_of_patients() -> None:
    for split in ("train", "heldout"):
        rng = np.random.default_rng(5)
        seen: Counter[str] = Counter()
        for _ in range(800):
            patient = draw_patient(rng, split)  # type: ignore[arg-type]
            keys = {name.rsplit("-", 1)[0] for lesion in patient.lesions for name in lesion.findings}
            seen.update(keys | ({"cerebral_atrophy"} if patient.atrophic else set()))
        for key in LABELS["brain-mr"]:
            assert 0.25 <= seen[key] / 800 <= 0.40, (split, key, seen[key] / 800)


def test_splits_never_overlap() -> None:
    for field in dataclasses.fields(TRAIN):
        low, high = getattr(TRAIN, field.name), getattr(HELDOUT, field.name)
        assert low[1] < high[0] or high[1] < low[0], field.name
    rng = np.random.default_rng(0)
    train = [draw_patient(rng, "train").head.fold_mm for _ in range(200)]
    heldout = [draw_patient(rng, "heldout").head.fold_mm for _ in range(200)]
    assert max(train) < min(heldout)


def test_fractions_are_shares_and_the_same_head_is_the_same() -> None:
    first, second = build(head(), GRID), build(head(), GRID)
    assert np.array_equal(first.fraction, second.fraction)
    assert np.array_equal(first.cover, second.cover)
    for values in (first.fraction, first.cover):
        assert values.min() >= -1e-6
        np.testing.assert_allclose(values.sum(0), 1.0, atol=1e-5)


def test_anatomy_is_where_it_belongs() -> None:
    anatomy = build(head(), GRID)

    def centre(name: str) -> tuple[float, float, float]:
        weight = anatomy.fraction[TISSUES.index(name)]
        return tuple(float((weight * p).sum() / weight.sum()) for p in (anatomy.x, anatomy.y, anatomy.z))  # type: ignore[return-value]

    assert abs(centre("ventricle")[0]) < 3
    assert abs(centre("deep_grey")[0]) < 2 and 0 < centre("deep_grey")[2] < 15
    assert centre("stem")[2] < -15
    volume = np.prod(GRID.spacing_mm) / 2 / 1000
    brain = sum(anatomy.fraction[TISSUES.index(n)].sum() for n in ("grey", "white", "deep_grey", "stem"))
    assert 900 < brain * volume < 1700  # mL


def test_atrophy_leaves_less_brain_and_more_fluid() -> None:
    shares = []
    for atrophy in (0.0, 1.0):
        drawn = draw_head(np.random.default_rng(1), TRAIN, sex="M", age_years=60, atrophy=atrophy)
        fraction = build(drawn, GRID).fraction
        shares.append(fraction[[TISSUES.index("csf"), TISSUES.index("ventricle")]].sum() / fraction.sum())
    assert shares[1] > shares[0] + 0.04


def test_children_are_smaller() -> None:
    sizes = [
        draw_head(np.random.default_rng(1), TRAIN, sex="M", age_years=age, atrophy=0).scale for age in (3, 30)
    ]
    assert np.prod(sizes[0]) < 0.85 * np.prod(sizes[1])


def test_rotation_is_one() -> None:
    turn = rotation((4.0, -3.0, 7.0))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)


def _pushing(mm: float) -> Lesion:
    return Lesion(
        "glioma", ("intra_axial_mass-1",), 1, "frontal_lobe", ((25.0, 0.0, 15.0, 14.0),),
        push_mm=mm, reach_mm=20.0,
    )  # fmt: skip


def test_push_moves_by_as_much_as_it_says_and_never_the_skull() -> None:
    back = push((_pushing(6.0),))
    r = np.linspace(1, 60, 400, dtype=np.float32)
    zero = np.zeros_like(r)
    x, _, _ = back(25 + r, zero, zero + 15, zero + 40)
    moved = (25 + r) - x
    assert moved.max() == pytest.approx(6.0, abs=0.02)
    assert r[moved.argmax()] == pytest.approx(20.0, abs=0.5)
    assert (np.diff(x) > 0).all()  # tissue is compressed, never folded over
    x, y, z = back(25 + r, zero, zero + 15, zero)
    np.testing.assert_array_equal(x, 25 + r)
    np.testing.assert_array_equal(y, zero)
    np.testing.assert_array_equal(z, zero + 15)


def test_midline_shift_follows_the_mass() -> None:
    assert midline_shift_mm((), 1.0) == 0
    assert midline_shift_mm((_pushing(3.0),), 1.0) < midline_shift_mm((_pushing(9.0),), 1.0) < 9.0


def test_mass_effect_is_either_plain_or_slight() -> None:
    rng = np.random.default_rng(8)
    for _ in range(300):
        for lesion in draw_patient(rng, "train").lesions:
            assert lesion.push_mm >= VISIBLE_PUSH_MM if lesion.name("mass_effect") else lesion.push_mm <= 1.0


def test_follow_up_keeps_the_head_and_names_every_change() -> None:
    rng = np.random.default_rng(2)
    kinds = set()
    for _ in range(200):
        before = draw_patient(rng, "train")
        after, changes = evolve_patient(before, rng)
        kinds |= set(changes.values())
        assert after.head == before.head
        named = {n for s in (before, after) for lesion in s.lesions for n in lesion.findings}
        assert set(changes) == named
        gone = {n for n, kind in changes.items() if kind is ChangeKind.RESOLVED}
        assert gone.isdisjoint(n for lesion in after.lesions for n in lesion.findings)
        _sizes_agree(before, after, changes)
    assert kinds == {
        ChangeKind.NEW, ChangeKind.LARGER, ChangeKind.SMALLER, ChangeKind.STABLE, ChangeKind.RESOLVED
    }  # fmt: skip


def _sizes_agree(before: BrainSubject, after: BrainSubject, changes: dict[str, ChangeKind]) -> None:
    old = {lesion.seed: lesion for lesion in before.lesions}
    for lesion in after.lesions:
        if lesion.seed not in old or not lesion.centres:
            continue
        ratio = lesion.centres[0][3] / old[lesion.seed].centres[0][3]
        kind = changes[lesion.findings[0]]
        assert (ratio > 1) == (kind is ChangeKind.LARGER)
        assert (ratio < 1) == (kind is ChangeKind.SMALLER)
