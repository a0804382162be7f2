import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagittal.phantom.mr_signal import IMAGES, Material, Protocol, diffusion_coefficient, materials, signals

PROTOCOL = Protocol(1.5, 500, 10, 90, 4500, 100, 9000, 110, 2400, 5000, 80, 1000)


def one(pd: float = 1.0, t1: float = 800, t2: float = 80, adc: float = 8e-4, uptake: float = 0.0) -> Material:
    return Material(("white",), *(np.array([v]) for v in (pd, t1, t2, adc, uptake)))


def row(material: Material, image: str, protocol: Protocol = PROTOCOL) -> float:
    return float(signals(material, protocol)[IMAGES.index(image), 0])


def test_spin_echo_equals_the_equation() -> None:
    assert row(one(), "T1") == pytest.approx((1 - np.exp(-500 / 800)) * np.exp(-10 / 80), rel=1e-5)
    assert row(one(), "T2") == pytest.approx((1 - np.exp(-4500 / 800)) * np.exp(-100 / 80), rel=1e-5)


def test_spoiled_gradient_echo_is_largest_at_the_ernst_angle() -> None:
    ernst = np.rad2deg(np.arccos(np.exp(-500 / 800)))
    at = [
        row(one(), "T1", dataclasses.replace(PROTOCOL, t1_flip=angle))
        for angle in (ernst - 8, ernst, ernst + 6)
    ]
    assert ernst < 60
    assert at[1] == max(at)


def test_inversion_recovery_nulls_at_its_inversion_time() -> None:
    t1, tr = 4000.0, 9000.0
    null = t1 * (np.log(2) - np.log1p(np.exp(-tr / t1)))
    protocol = dataclasses.replace(PROTOCOL, flair_tr=tr, flair_ti=null)
    assert abs(row(one(t1=t1, t2=1500), "FLAIR", protocol)) < 1e-6
    assert row(one(t1=t1, t2=1500), "FLAIR", dataclasses.replace(protocol, flair_ti=null + 300)) > 0.01


def test_contrast_agent_shortens_t1_by_its_relaxivity() -> None:
    shortened = 1 / (1 / 800 + 4.3e-3 * 1.0)
    assert row(one(uptake=1.0), "T1c") == pytest.approx(row(one(t1=shortened), "T1"), rel=1e-5)
    assert row(one(), "T1c") == row(one(), "T1")


@given(adc=st.floats(1e-4, 3e-3), b=st.sampled_from([800.0, 1000.0, 1200.0]))
def test_diffusion_comes_back_from_two_images(adc: float, b: float) -> None:
    table = signals(one(adc=adc), dataclasses.replace(PROTOCOL, b_value=b))
    found = diffusion_coefficient(table[4], table[5], b, 0.01)
    assert found[0] == pytest.approx(adc * 1e6, rel=1e-3)


def test_background_has_no_diffusion_coefficient() -> None:
    weak = np.array([0.01], np.float32)
    assert diffusion_coefficient(weak, weak / 2, 1000, 0.1)[0] == 0


@pytest.mark.parametrize("field", [1.5, 3.0])
def test_tissues_look_as_they_do_in_every_textbook(field: float) -> None:
    names = ("csf", "grey", "white", "infarct", "oedema", "pus", "gliosis", "rim", "fat")
    protocol = dataclasses.replace(PROTOCOL, field_t=field, flair_ti=2450)
    table = signals(materials(names, field, np.random.default_rng(0), spread=0.0), protocol, fat_kept=0.05)
    s = {image: dict(zip(names, table[k].tolist(), strict=True)) for k, image in enumerate(IMAGES)}
    assert s["T1"]["csf"] < s["T1"]["grey"] < s["T1"]["white"] < s["T1"]["fat"]
    assert s["T2"]["white"] < s["T2"]["grey"] < s["T2"]["oedema"] < s["T2"]["csf"]
    assert s["FLAIR"]["csf"] < s["FLAIR"]["white"] < s["FLAIR"]["grey"] < s["FLAIR"]["gliosis"]
    assert s["T1c"]["rim"] > 1.2 * s["T1c"]["white"] > s["T1"]["rim"]
    assert s["DWI"]["infarct"] > 1.4 * s["DWI"]["grey"]
    assert s["DWI"]["pus"] > s["DWI"]["oedema"] > s["DWI"]["csf"]
    assert s["DWI"]["fat"] < 0.1 * s["DWI"]["grey"] + 0.05


def test_immature_white_matter_is_brighter_on_t2() -> None:
    rng = np.random.default_rng
    old = signals(materials(("white",), 1.5, rng(1)), PROTOCOL)
    young = signals(materials(("white",), 1.5, rng(1), maturity=0.2), PROTOCOL)
    assert young[2, 0] > 1.3 * old[2, 0]
    assert young[0, 0] < old[0, 0]
