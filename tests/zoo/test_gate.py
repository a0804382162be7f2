"""The gate: its covariance, its promise about held-out data, and what it must catch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from sagittal.errors import BadInput
from sagittal.zoo.gate import FILE, Distance, fit_gate, load_gates, save_gates, shrunk_covariance


@pytest.mark.parametrize(("n", "d"), [(200, 10), (30, 60), (5, 3)])
def test_the_covariance_is_ledoit_and_wolfs(n: int, d: int) -> None:
    rng = np.random.default_rng(n)
    features = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    np.testing.assert_allclose(shrunk_covariance(features), LedoitWolf().fit(features).covariance_, rtol=1e-8)


def test_new_data_of_the_same_kind_pass_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(24, 24))
    draw = lambda n: rng.normal(size=(n, 24)) @ mix  # noqa: E731
    shares = []
    for _ in range(30):
        gate = fit_gate(draw(300), draw(200), quantile=0.95)
        shares.append(np.mean(gate.distances(draw(500)) <= gate.threshold))
    assert np.mean(shares) == pytest.approx(0.95, abs=0.01)


def test_a_shift_along_a_quiet_direction_is_caught_and_along_a_loud_one_is_not() -> None:
    rng = np.random.default_rng(1)
    scale = np.array([10.0, 0.1])
    gate = fit_gate(rng.normal(size=(2000, 2)) * scale, rng.normal(size=(500, 2)) * scale)
    assert gate.distance([3.0, 0.0]).ok
    assert not gate.distance([0.0, 3.0]).ok
    assert gate.distance(np.zeros(2)).distance < 0.1


def test_what_is_not_finite_never_passes() -> None:
    gate = fit_gate(np.random.default_rng(0).normal(size=(50, 3)), np.zeros((5, 3)))
    assert not gate.distance([np.nan, 0, 0]).ok
    assert not Distance(float("nan"), 1.0).ok
    with pytest.raises(ValueError, match="finite"):
        fit_gate(np.full((5, 3), np.inf), np.zeros((2, 3)))


def test_a_constant_feature_does_not_break_the_distance() -> None:
    features = np.random.default_rng(0).normal(size=(60, 4))
    features[:, 2] = 7.0
    gate = fit_gate(features[:40], features[40:])
    assert np.isfinite(gate.distances(features)).all()


def test_gates_survive_the_disk_and_damage_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    gates = {"chest-xray": fit_gate(rng.normal(size=(40, 6)), rng.normal(size=(20, 6)))}
    save_gates(gates, tmp_path)
    back = load_gates(tmp_path)["chest-xray"]
    probe = rng.normal(size=(5, 6))
    np.testing.assert_array_equal(back.distances(probe), gates["chest-xray"].distances(probe))
    assert back.threshold == pytest.approx(gates["chest-xray"].threshold)
    (tmp_path / FILE).write_bytes(b"not safetensors")
    with pytest.raises(BadInput, match="damaged"):
        load_gates(tmp_path)
    assert load_gates(tmp_path / "elsewhere") == {}
