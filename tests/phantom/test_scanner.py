"""Is the CT a CT? Known answers from physics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sagittal.phantom.scanner import RANGES, Protocol, Range, draw_protocol, scan

SPACING = (2.5, 2.8, 2.8)
PROTOCOL = Protocol(
    manufacturer="A",
    model_name="B",
    kernel="k",
    blur_mm=1.2,
    boost=0.0,
    kvp=120,
    mas=100,
    slice_mm=2.5,
    field=1.05,
    noise_hu=20.0,
    table_mm=10,
    circle=False,
)


def _cylinder(depth: int = 32, edge: int = 128, radius_mm: float = 150) -> np.ndarray:
    y, x = (np.mgrid[:edge, :edge] - (edge - 1) / 2) * 2.8
    section = np.where(x**2 + y**2 < radius_mm**2, 0, -1000).astype(np.float32)
    return np.repeat(section[None], depth, axis=0)


def _rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_noise_behind_300_mm_of_water_is_the_stated_one() -> None:
    core = scan(_cylinder(), SPACING, PROTOCOL, _rng())[4:-4, 56:72, 56:72]
    assert abs(core.mean()) < 4
    # streaks add a tenth of the variance
    assert core.std() == pytest.approx(20 * np.sqrt(1.09), rel=0.12)


def test_a_thicker_patient_is_noisier() -> None:
    thin = scan(_cylinder(radius_mm=110), SPACING, PROTOCOL, _rng())[4:-4, 56:72, 56:72].std()
    thick = scan(_cylinder(radius_mm=160), SPACING, PROTOCOL, _rng())[4:-4, 56:72, 56:72].std()
    # half the attenuation of 100 mm of water in the exponent: exp(0.0214 * 100 / 2) = 2.9
    assert thick / thin == pytest.approx(np.exp(0.0214 * 100 / 2), rel=0.2)


def test_noise_spectrum_is_coloured() -> None:
    body = _cylinder(depth=64, radius_mm=170)
    difference = scan(body, SPACING, PROTOCOL, _rng()) - scan(
        body, SPACING, PROTOCOL, np.random.default_rng(4)
    )
    tile = difference[:, 48:80, 48:80] * np.outer(np.hanning(32), np.hanning(32))
    power = (np.abs(np.fft.rfft2(tile)) ** 2).mean(axis=0)
    diagonal = np.array([power[k, k] for k in range(17)])  # oblique: clear of the streaks
    peak = 2 + int(np.argmax(diagonal[2:]))
    assert 2 < peak < 12, "the ramp lifts the middle frequencies, the kernel takes the highest"
    assert max(diagonal[2], diagonal[-1]) < 0.6 * diagonal[peak]


def test_a_sharper_kernel_keeps_more_detail_and_thicker_slices_less() -> None:
    body = _cylinder()
    body[16, 64, 64] = 1000
    quiet = replace(PROTOCOL, noise_hu=0.0)

    def peak(**changes: float) -> float:
        return float(scan(body, SPACING, replace(quiet, **changes), _rng())[16, 64, 64])

    assert peak(blur_mm=0.75) > peak(blur_mm=1.2) > peak(blur_mm=1.6)
    assert peak(boost=0.4) > peak()
    assert peak(slice_mm=1.2) > peak(slice_mm=4.5)


def test_bone_is_brighter_at_lower_voltage_and_water_is_not() -> None:
    body = _cylinder()
    body[:, 60:68, 60:68] = 800
    quiet = replace(PROTOCOL, noise_hu=0.0)
    low = scan(body, SPACING, replace(quiet, kvp=90), _rng())
    high = scan(body, SPACING, replace(quiet, kvp=140), _rng())
    assert low[16, 64, 64] > high[16, 64, 64] + 100
    assert low[16, 64, 30] == pytest.approx(high[16, 64, 30], abs=15)


def test_bone_darkens_what_lies_between() -> None:
    body = _cylinder()
    quiet = replace(PROTOCOL, noise_hu=0.0)
    before = scan(body, SPACING, quiet, _rng())[16, 64, 64]
    body[:, 60:68, 30:40] = body[:, 60:68, 90:100] = 1000
    assert -40 < scan(body, SPACING, quiet, _rng())[16, 64, 64] - before < -3


def test_table_lies_under_the_patient_and_outside_of_the_body() -> None:
    body = _cylinder(radius_mm=100)
    image = scan(body, SPACING, replace(PROTOCOL, noise_hu=0.0), _rng())
    under = image[16, 64 + int(108 / 2.8) :, 64]
    assert under.max() > -900
    assert image[16, : 64 - int(108 / 2.8), 64].max() < -950
    assert image[16, 64, 64] == pytest.approx(0, abs=2)


def test_image_is_bounded_and_the_body_is_left_alone() -> None:
    body = _cylinder()
    body[:, 40:50, 40:50] = 5000
    before = body.copy()
    image = scan(body, SPACING, replace(PROTOCOL, circle=True), _rng())
    assert np.array_equal(body, before)
    assert image.dtype == np.float32
    assert image.min() >= -1024
    assert image.max() <= 3071
    assert image[0, 0, 0] == -1024


def test_same_seed_same_scan() -> None:
    first, second = (scan(_cylinder(), SPACING, PROTOCOL, _rng()) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def _overlap(a: Range, b: Range) -> bool:
    return any(low < top and bottom < high for low, high in a.bands for bottom, top in b.bands)


def test_held_out_protocols_share_nothing_with_training() -> None:
    train, heldout = RANGES["train"], RANGES["heldout"]
    for name in ("mas", "slice_mm", "field", "noise_hu", "table_mm"):
        assert not _overlap(getattr(train, name), getattr(heldout, name)), name
    rng = _rng()
    drawn = {split: [draw_protocol(rng, split) for _ in range(200)] for split in ("train", "heldout")}
    for name in ("manufacturer", "model_name", "kernel", "blur_mm", "kvp", "mas", "slice_mm", "noise_hu"):
        values = [{getattr(p, name) for p in drawn[split]} for split in drawn]
        assert not values[0] & values[1], name
