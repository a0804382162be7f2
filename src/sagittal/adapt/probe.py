"""A linear probe: logistic regression on a frozen model's features, computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from sagittal.adapt.common import (
    domain_of,
    inside,
    label_cards,
    results,
    selection_score,
    spec_for,
    splits,
    stack,
)
from sagittal.datasets.dataset import Dataset
from sagittal.errors import BadInput
from sagittal.measure.calibration import Platt
from sagittal.meter import metered
from sagittal.zoo.capability import Encodes
from sagittal.zoo.card import BranchCard, Card, DataUse
from sagittal.zoo.gate import fit_gate
from sagittal.zoo.probe import Head, save_probe
from sagittal.zoo.save import gate_card

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Half the L2 penalty a mean example; validation data choose."""
BATCH = 32

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A head, the penalty that validation chose, and its mean AUROC there."""

    head: Head
    penalty: float
    validation: float


def features_of(
    data: Dataset,
    model: Encodes,
    branch: str,
    spec_branch: BranchCard,
    advance: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Pooled features (N, D) of every study, in batches; each study is encoded once."""
    found = []
    for start in range(0, len(data), BATCH):
        rows = data.rows[start : start + BATCH]
        found.append(model.features(branch, stack(rows, spec_branch.input)))
        if advance is not None:
            advance(len(rows))
    return np.concatenate(found)


def fit_head(
    train: tuple[NDArray[np.float32], NDArray[np.float32]],
    val: tuple[NDArray[np.float32], NDArray[np.float32]],
    *,
    exclusive: bool,
    penalties: Sequence[float] = PENALTIES,
) -> Fitted:
    """Fit on (features (N, D), targets (N, L)); the penalty is chosen by mean AUROC on ``val``.

    Raises:
        BadInput: a label has only one answer in the training data.
    """
    features, targets = train
    for column in range(targets.shape[1]):
        answers = np.unique(targets[~np.isnan(targets[:, column]), column])
        if len(answers) < 2:
            raise BadInput(f"label {column + 1} has one answer only in the training data", "both 0 and 1")
    mean = features.mean(0)
    scale = np.maximum(features.std(0), 1e-6)
    x = ((features - mean) / scale).astype(np.float64)
    best: Fitted | None = None
    for penalty in penalties:
        weight, bias = (_softmax_fit if exclusive else _sigmoid_fit)(x, targets.astype(np.float64), penalty)
        head = Head(weight.astype(np.float32), bias.astype(np.float32), mean, scale)
        score = selection_score(val[1], head.probabilities(val[0], exclusive=exclusive))
        # An undefined score (one class only in val) keeps the first penalty.
        if best is None or score > best.validation:
            best = Fitted(head, penalty, score)
    assert best is not None
    return best


def _sigmoid_fit(x: Floats, targets: Floats, penalty: float) -> tuple[Floats, Floats]:
    weights, biases = [], []
    for column in targets.T:
        known = ~np.isnan(column)
        a, y = x[known], column[known]

        def loss(w: Floats, a: Floats = a, y: Floats = y) -> tuple[float, Floats]:
            z = a @ w[:-1] + w[-1]
            error = (expit(z) - y) / len(y)
            value = np.mean(np.logaddexp(0, z) - y * z) + penalty * np.sum(w[:-1] ** 2)
            return float(value), np.r_[a.T @ error + 2 * penalty * w[:-1], error.sum()]

        found = minimize(
            loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500}
        )
        weights.append(found.x[:-1])
        biases.append(found.x[-1])
    return np.stack(weights), np.array(biases)


def _softmax_fit(x: Floats, targets: Floats, penalty: float) -> tuple[Floats, Floats]:
    known = ~np.isnan(targets).any(1)
    a, y = x[known], targets[known]
    d, k = a.shape[1], y.shape[1]

    def loss(flat: Floats) -> tuple[float, Floats]:
        w, b = flat[: d * k].reshape(k, d), flat[d * k :]
        z = a @ w.T + b
        error = (softmax(z, axis=1) - y) / len(y)
        value = -np.mean(np.sum(y * log_softmax(z, axis=1), axis=1)) + penalty * np.sum(w**2)
        return float(value), np.r_[(error.T @ a + 2 * penalty * w).ravel(), error.sum(0)]

    found = minimize(loss, np.zeros(d * k + k), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x[: d * k].reshape(k, d), found.x[d * k :]


def probe(
    data: Dataset,
    base: Encodes,
    out: Path,
    *,
    name: str,
    branch: str | None = None,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
) -> Card:
    """Fit a probe on ``data``, save it, return its card.

    Args:
        branch: the base's branch whose encoder is used; by default the first that takes arrays of the
            data's dimensions.

    Raises:
        BadInput: unusable data, or no branch fits.
    """
    train, val, test = splits(data, seed)
    chosen = branch or _branch(base.card, train)
    spec = spec_for(train, val, base.card.branch(chosen).input)
    test, outside = inside(test, spec)
    template = BranchCard(spec, window=base.card.branch(chosen).window)
    with metered() as meter:
        encoded = {
            part: features_of(rows, base, chosen, template, advance)
            for part, rows in (("train", train), ("val", val), ("test", test))
            if rows is not None
        }
        fitted = fit_head(
            (encoded["train"], train.targets), (encoded["val"], val.targets), exclusive=data.exclusive
        )
    domain = domain_of(val)
    raw = fitted.head.probabilities(encoded["val"], exclusive=data.exclusive)
    labels = label_cards(data.labels, val.targets, raw, domain, data.exclusive)
    checked, shown = (test, "test") if test is not None else (val, "val, also used to choose and calibrate")
    unseen = fitted.head.probabilities(
        encoded["test" if test is not None else "val"], exclusive=data.exclusive
    )
    calibrated = np.stack([Platt(c.slope, c.offset).apply(unseen[:, i]) for i, c in enumerate(labels)], 1)
    quantile = 0.99
    gate = fit_gate(encoded["train"], encoded["val"], quantile=quantile)
    card = Card(
        name=name,
        version="1",
        family="probe",
        summary=f"A linear probe for {', '.join(data.labels[:5])} on {base.card.name}'s features.",
        licence=base.card.licence,
        digest="",
        branches={
            chosen: BranchCard(
                spec,
                labels,
                gate=gate_card(gate, quantile, len(train), len(val)),
                exclusive=data.exclusive,
                window=template.window,
            )
        },
        data=(*base.card.data, DataUse(data.name, data.licence or "not stated", len(train))),
        results=results(
            data.labels, checked.targets, calibrated, f"{data.name} {shown}", domain, data.exclusive
        ),
        limitations=outside,
        training=meter.usage,
        base={"name": base.card.name, "digest": base.card.digest},
        read_by_default=False,
    )
    return save_probe(out, fitted.head, card, gate)


def _branch(card: Card, data: Dataset) -> str:
    dimensions = len(data.rows[0].load().series[0].shape)
    for name, branch in card.branches.items():
        size = branch.input.size or branch.input.spacing_mm or branch.window or ()
        if len(size) == dimensions and branch.input.channels == 1:
            return name
    raise BadInput(
        f"model {card.name} has no encoder for {dimensions}-dimensional images", "another --base or --branch"
    )
