"""A linear head on another model's features, as `adapt --method probe` writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.special import expit, softmax

from sagittal.errors import BadInput
from sagittal.study.prepare import prepare
from sagittal.study.study import Series, Study
from sagittal.zoo.calibrator import calibrate
from sagittal.zoo.capability import Encodes, Scores
from sagittal.zoo.card import Card, weights_digest, write_card
from sagittal.zoo.gate import FILE as GATE_FILE
from sagittal.zoo.gate import Gate, load_gates, save_gates

FILE = "head.safetensors"


@dataclass(frozen=True, eq=False)
class Head:
    """logits = weight @ ((x - mean) / scale) + bias.

    Args:
        weight: (L, D); bias: (L,); mean, scale: (D,) of the features it was fitted on.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    def probabilities(self, features: NDArray[np.float32], *, exclusive: bool) -> NDArray[np.float64]:
        """(N, D) -> (N, L): softmax over exclusive classes, otherwise a sigmoid each."""
        logits = ((features.astype(np.float64) - self.mean) / self.scale) @ self.weight.T + self.bias
        return np.asarray(softmax(logits, axis=1) if exclusive else expit(logits))


@dataclass
class Probe:
    """A loaded probe: `Classifies` and `Embeds`, by the features of its base."""

    card: Card
    base: Encodes
    head: Head
    gate: Gate | None = None
    device: str = "cpu"

    def embed(self, study: Study, series: Sequence[Series], *, branch: str) -> NDArray[np.float32]:
        """The base's features (D,). Raises Refused outside the probe's own `InputSpec`."""
        prepared = prepare(series[0], self.card.branch(branch).input, study)
        return self.base.features(branch, prepared.array[None])[0]

    def classify(self, study: Study, series: Sequence[Series], *, branch: str) -> Scores:
        """Probabilities of the probe's labels. Raises Refused as `embed`."""
        card = self.card.branch(branch)
        features = self.embed(study, series, branch=branch)
        p = self.head.probabilities(features[None], exclusive=card.exclusive)[0]
        raw = {label.observation: float(v) for label, v in zip(card.labels, p, strict=True)}
        calibrated = {key: calibrate(card, key, value) for key, value in raw.items()}
        return Scores(branch, raw, calibrated, self.gate.distance(features) if self.gate else None)


def save_probe(folder: Path, head: Head, card: Card, gate: Gate | None = None) -> Card:
    """Write head, gate and, last, the card; returns the card with its digest filled in."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").unlink(missing_ok=True)
    arrays = {"weight": head.weight, "bias": head.bias, "mean": head.mean, "scale": head.scale}
    save_file({k: np.ascontiguousarray(v, np.float32) for k, v in arrays.items()}, folder / FILE)
    if gate is not None:
        save_gates({next(iter(card.branches)): gate}, folder)
    else:
        (folder / GATE_FILE).unlink(missing_ok=True)
    changes = {"digest": weights_digest(folder), "parameters": head.weight.size + head.bias.size}
    card = Card(**{**vars(card), **changes})
    write_card(card, folder)
    return card


def load_probe(folder: Path, card: Card, base: object, device: str = "cpu") -> Probe:
    """Load a probe onto its base.

    Raises:
        BadInput: head or base are not the ones the card names.
    """
    if weights_digest(folder) != card.digest:
        raise BadInput(f"the weights in {folder} are not those of its card.json", fix="adapt the model again")
    try:
        arrays = load_file(folder / FILE)
        head = Head(arrays["weight"], arrays["bias"], arrays["mean"], arrays["scale"])
    except (OSError, KeyError, SafetensorError) as error:
        raise BadInput(f"{folder / FILE} is damaged ({error})", "the head written by adapt") from None
    if not isinstance(base, Encodes):
        raise BadInput(f"model {card.base.get('name')} gives no features for the probe in {folder}")
    if base.card.digest != card.base.get("digest"):
        raise BadInput(
            f"the probe in {folder} was fitted on another {base.card.name}",
            f"digest {card.base.get('digest', '')[:12]}",
            "adapt it again on the present weights",
        )
    name, branch = next(iter(card.branches.items()))
    if head.weight.shape != (len(branch.labels), len(head.mean)) or head.scale.shape != head.mean.shape:
        raise BadInput(f"{folder}: the head's shape {head.weight.shape} does not fit its card")
    return Probe(card, base, head, load_gates(folder).get(name), device)
