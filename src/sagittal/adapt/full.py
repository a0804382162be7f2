"""Train all of a small picture network on local data, or fine-tune a branch of another model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from sagittal.adapt.common import (
    Arrays,
    domain_of,
    inside,
    label_cards,
    load_arrays,
    results,
    spec_for,
    splits,
)
from sagittal.branch import BranchConfig
from sagittal.datasets.dataset import Dataset
from sagittal.encoders.picture import PictureConfig
from sagittal.errors import BadInput
from sagittal.measure.calibration import Platt
from sagittal.meter import metered
from sagittal.model import Model, ModelConfig
from sagittal.study.spec import InputSpec
from sagittal.training.loop import FitConfig, Progress, fit
from sagittal.training.objective import label_loss
from sagittal.zoo.card import BranchCard, Card, DataUse
from sagittal.zoo.gate import fit_gate
from sagittal.zoo.save import gate_card, save

SMALL = PictureConfig(widths=(16, 32, 64), blocks=(1, 1, 1), strides=(1, 2, 2), heads=4)
"""For pictures of a few dozen pixels."""


@dataclass(frozen=True)
class FullConfig:
    """How to train.

    Args:
        epochs: passes over the training set; batch: pictures a step at most.
        turn, zoom, shift, flip, gain, noise: augmentation: radians, log scale, share of the picture,
            chance, log contrast, deviation.
        smooth: label smoothing. balance: weigh classes to count the same.
        width, embedding, heads: of the network's tokens.
        encoder: for training from nothing.
    """

    epochs: int = 25
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    turn: float = 0.15
    zoom: float = 0.12
    shift: float = 0.08
    flip: float = 0.5
    gain: float = 0.25
    noise: float = 0.03
    smooth: float = 0.05
    balance: bool = True
    width: int = 96
    embedding: int = 64
    heads: int = 4
    seed: int = 0
    encoder: PictureConfig = SMALL


def picture_spec(data: Dataset, val: Dataset) -> InputSpec:
    """A contract for small pictures at the size of the set's first one (at most 64 pixels an edge)."""
    shape = data.rows[0].load().series[0].shape
    if len(shape) != 2 or max(shape) > 64:
        raise BadInput(
            f"{data.name} holds images of {' x '.join(map(str, shape))}",
            "pictures of at most 64 pixels for a network trained from nothing",
            "name a model to start from with --base",
        )
    return spec_for(data, val, InputSpec((), size=shape, fit="resize", normalise="percentile"))


def augment(images: Tensor, config: FullConfig, generator: torch.Generator) -> Tensor:
    """(B, C, H, W): small turns, scales, shifts, mirror images; contrast, brightness, noise."""
    n = len(images)

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(n, *shape, generator=generator) - 1

    angle, size = config.turn * uniform(), torch.exp(config.zoom * uniform(2))
    mirror = torch.where(torch.rand(n, generator=generator) < config.flip, -1.0, 1.0)
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack([cos * size[:, 0] * mirror, -sin, sin * mirror, cos * size[:, 1]], 1).view(n, 2, 2)
    theta = torch.cat([theta, 2 * config.shift * uniform(2, 1)], 2)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    images = grid_sample(images, grid, padding_mode="border", align_corners=False)
    images = images * torch.exp(config.gain * uniform(1, 1, 1)) + 0.3 * config.gain * uniform(1, 1, 1)
    strength = config.noise * torch.rand(n, 1, 1, 1, generator=generator)
    return images + strength * torch.randn(images.shape, generator=generator)


def full(
    data: Dataset,
    out: Path,
    *,
    name: str,
    config: FullConfig | None = None,
    report: Callable[[Progress], None] | None = None,
    folder: Path | None = None,
    limitations: tuple[str, ...] = (),
) -> Card:
    """Train a small network on a set of small pictures and save it with its card.

    Calibrated on the validation split; results are of the test split, or of the validation split
    where there is no other, and say so.

    Args:
        folder: where an interrupted training leaves its checkpoint and finds it again.
        limitations: lines for the card.

    Raises:
        BadInput: unusable data.
    """
    config = config or FullConfig()
    train, val, test = splits(data, config.seed)
    spec = picture_spec(train, val)
    test, outside = inside(test, spec)
    arrays, held = load_arrays(train, spec), load_arrays(val, spec)
    branch = data.name
    torch.manual_seed(config.seed)
    shape = ModelConfig(
        branches={branch: BranchConfig(config.encoder, data.labels)},
        text=None,
        width=config.width,
        embedding=config.embedding,
        heads=config.heads,
    )
    model = Model(shape)
    with metered() as meter:
        train_model(model, branch, arrays, data.exclusive, config, report=report, folder=folder)
    model.eval()
    raw = probabilities(model, branch, held.images, data.exclusive)
    domain = domain_of(val)
    labels = label_cards(data.labels, held.targets, raw, domain, data.exclusive)
    checked, shown = (test, "test") if test is not None else (val, "val, also used to calibrate")
    checked_arrays = load_arrays(checked, spec)
    unseen = probabilities(model, branch, checked_arrays.images, data.exclusive)
    calibrated = np.stack(
        [Platt(c.slope, c.offset).apply(unseen[:, i]) for i, c in enumerate(labels)], axis=1
    )
    quantile = 0.99
    gate = fit_gate(
        features(model, branch, arrays.images), features(model, branch, held.images), quantile=quantile
    )
    card = Card(
        name=name,
        version="1",
        family="sagittal",
        summary=f"{', '.join(data.labels[:5])}: trained on {data.name} alone.",
        licence="Apache-2.0",
        digest="",
        branches={
            branch: BranchCard(
                spec,
                labels,
                gate=gate_card(gate, quantile, len(train), len(val)),
                exclusive=data.exclusive,
            )
        },
        data=(DataUse(data.name, data.licence or "not stated", len(train)),),
        results=results(
            data.labels, checked_arrays.targets, calibrated, f"{data.name} {shown}", domain, data.exclusive
        ),
        limitations=(*limitations, *outside),
        training=meter.usage,
        read_by_default=False,
    )
    return save(out, model, card, {branch: gate})


def train_model(
    model: Model,
    branch: str,
    arrays: Arrays,
    exclusive: bool,
    config: FullConfig,
    *,
    report: Callable[[Progress], None] | None = None,
    folder: Path | None = None,
) -> None:
    """Fit ``model`` in place."""
    images, targets = torch.from_numpy(arrays.images), torch.from_numpy(arrays.targets)
    # A small set still gets eight steps a pass, or it would hardly move in them.
    size = min(config.batch, max(4, len(images) // 8))
    per_epoch = max(1, len(images) // size)
    share = torch.nanmean(targets, 0).clamp(0.01, 0.99)
    weight = (1 - share) / share if config.balance else torch.ones_like(share)

    def batches(start: int) -> Iterator[tuple[Tensor, Tensor]]:
        step = start
        while True:
            order = np.random.default_rng([config.seed, step // per_epoch]).permutation(len(images))
            place = (step % per_epoch) * size
            rows = torch.from_numpy(order[place : place + size])
            generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
            yield augment(images[rows], config, generator), targets[rows]
            step += 1

    def objective(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        logits = model(branch, batch[0]).label_logits
        assert logits is not None
        if exclusive:
            known = ~batch[1].isnan().any(1)
            loss = cross_entropy(logits[known], batch[1][known], label_smoothing=config.smooth)
            return {"label": loss}
        return {"label": label_loss(logits, batch[1], weight=weight, smooth=config.smooth)}

    plan = FitConfig(
        steps=config.epochs * per_epoch,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        average=0.995,
        seed=config.seed,
        report_steps=per_epoch,
        bf16=False,  # a head for a hospital is the same on every processor
    )
    fit(model, objective, batches, plan, folder=folder, report=report)


@torch.inference_mode()
def probabilities(
    model: Model, branch: str, images: NDArray[np.float32], exclusive: bool, batch: int = 256
) -> NDArray[np.float64]:
    """(N, C, *S) -> (N, L)."""
    found = []
    for start in range(0, len(images), batch):
        logits = model(branch, torch.from_numpy(images[start : start + batch])).label_logits
        assert logits is not None
        found.append((logits.softmax(1) if exclusive else logits.sigmoid()).double().numpy())
    return np.concatenate(found)


@torch.inference_mode()
def features(model: Model, branch: str, images: NDArray[np.float32], batch: int = 256) -> NDArray[np.float32]:
    """(N, C, *S) -> pooled features (N, D)."""
    parts = [
        model.encode(branch, torch.from_numpy(images[i : i + batch])).pooled.numpy()
        for i in range(0, len(images), batch)
    ]
    return np.concatenate(parts)
