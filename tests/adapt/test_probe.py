"""Linear probes: the optimum of scikit-learn, a planted signal, and honest cards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sagittal.adapt.probe import fit_head
from sagittal.errors import BadInput
from sagittal.study.spec import InputSpec
from sagittal.zoo.card import BranchCard, Card, LabelCard, weights_digest
from sagittal.zoo.probe import Head, load_probe, save_probe


def planted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(3, 2, (n, 6)).astype(np.float32)
    y = (rng.uniform(size=n) < 1 / (1 + np.exp(-(x[:, 0] - x[:, 1])))).astype(np.float32)
    return x, y[:, None]


def test_the_sigmoid_head_is_scikit_learns_optimum() -> None:
    x, y = planted(400, 0)
    penalty = 1e-2
    head = fit_head((x, y), planted(200, 1), exclusive=False, penalties=(penalty,)).head
    scaled = (x - x.mean(0)) / x.std(0)
    oracle = LogisticRegression(C=1 / (2 * penalty * len(x)), tol=1e-10, max_iter=5000).fit(scaled, y[:, 0])
    np.testing.assert_allclose(head.weight[0], oracle.coef_[0], atol=2e-3)
    np.testing.assert_allclose(head.bias, oracle.intercept_, atol=2e-3)


def test_the_softmax_head_is_scikit_learns_optimum() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    kind = np.argmax(x[:, :3] + rng.normal(size=(300, 3)), axis=1)
    targets = np.eye(3, dtype=np.float32)[kind]
    penalty = 1e-2
    head = fit_head((x, targets), (x, targets), exclusive=True, penalties=(penalty,)).head
    scaled = (x - x.mean(0)) / x.std(0)
    oracle = LogisticRegression(C=1 / (2 * penalty * len(x)), tol=1e-10, max_iter=5000).fit(scaled, kind)
    np.testing.assert_allclose(head.probabilities(x, exclusive=True), oracle.predict_proba(scaled), atol=2e-3)


def test_unknown_answers_are_left_out_and_a_single_answer_is_refused() -> None:
    x, y = planted(300, 0)
    holes = y.copy()
    holes[::3] = np.nan
    whole = fit_head((np.delete(x, np.s_[::3], 0), np.delete(y, np.s_[::3], 0)), (x, y), exclusive=False)
    gaps = fit_head((x, holes), (x, y), exclusive=False)
    assert abs(whole.validation - gaps.validation) < 0.01
    with pytest.raises(BadInput, match="one answer only"):
        fit_head((x, np.ones_like(y)), (x, y), exclusive=False)


class Base:
    """A base whose features are the array's mean and spread."""

    def __init__(self, digest: str = "d") -> None:
        spec = InputSpec(("DX",))
        self.card = Card("base", "1", "sagittal", "", "Apache-2.0", digest, {"film": BranchCard(spec)})

    def features(self, branch: str, images: np.ndarray) -> np.ndarray:
        flat = images.reshape(len(images), -1)
        return np.stack([flat.mean(1), flat.std(1)], 1)


def saved(folder: Path) -> Card:
    head = Head(np.ones((1, 2), np.float32), np.zeros(1, np.float32), np.zeros(2), np.ones(2))
    branch = BranchCard(InputSpec(("DX",)), (LabelCard("nodule"),))
    card = Card(
        "p", "1", "probe", "", "Apache-2.0", "", {"film": branch}, base={"name": "base", "digest": "d"}
    )
    return save_probe(folder, head, card)


def test_a_probe_survives_the_disk_and_only_on_the_base_it_was_fitted_on(tmp_path: Path) -> None:
    card = saved(tmp_path)
    assert card.digest == weights_digest(tmp_path)
    back = load_probe(tmp_path, card, Base())
    np.testing.assert_array_equal(back.head.weight, np.ones((1, 2)))
    with pytest.raises(BadInput, match="another base"):
        load_probe(tmp_path, card, Base("e"))
    with pytest.raises(BadInput, match="no features"):
        load_probe(tmp_path, card, object())
    (tmp_path / "head.safetensors").write_bytes(b"x")
    with pytest.raises(BadInput, match="not those of its card"):
        load_probe(tmp_path, card, Base())
