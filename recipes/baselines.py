"""Networks for one task, trained from nothing on labels: what a pre-trained encoder is measured against."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from films import Batch, Floats, batches
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from sagittal.training.loop import FitConfig, Progress, fit


class ResNet18(nn.Module):
    """ResNet-18 (He 2016) for one channel: image (B, 1, H, W) -> (B, outputs)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        look = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        stages: list[nn.Module] = [look, nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
        widths = (64, 64, 128, 256, 512)
        for inside, outside in pairwise(widths):
            stages += [_Basic(inside, outside, 1 if inside == outside else 2), _Basic(outside, outside, 1)]
        self.body = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(512, outputs)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.body(image))


def _stage(inside: int, outside: int, stride: int) -> nn.Module:
    look = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
    return nn.Sequential(look, nn.BatchNorm2d(outside), nn.ReLU(inplace=True))


class _Basic(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.body = nn.Sequential(_stage(inside, outside, stride), second, nn.BatchNorm2d(outside))
        same = stride == 1 and inside == outside
        self.beside: nn.Module = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.beside(x))


def trained(
    net: nn.Module, images: NDArray[Any], wanted: Floats, config: FitConfig, *, batch: int, seed: int,
    balanced: bool, report: Callable[[Progress], None] | None = None,
) -> nn.Module:  # fmt: skip
    """``net`` fitted to images (N, 1, H, W) and answers (N,) of 0 and 1, in evaluation mode.

    ``balanced``: half of every batch has the finding. Drawn as it is, a rare one is hardly learnt
    (`docs/log.md`).
    """
    strata = [np.flatnonzero(wanted == answer) for answer in (0, 1)] if balanced else []
    answers, draw = torch.from_numpy(wanted), batches(images, batch, seed, strata)

    def loss(batch: Batch) -> dict[str, Tensor]:
        guess = net(batch[0])[:, 0]
        return {"bce": functional.binary_cross_entropy_with_logits(guess, answers[batch[1]])}

    fit(net, loss, draw, config, report=report)
    settle(net, draw, min(30, config.steps))
    return net.eval()


def settle(net: nn.Module, draw: Callable[[int], Any], count: int) -> None:
    """Batch statistics from ``count`` batches: an average of weights has its own (Izmailov 2018)."""
    update_bn((batch[0] for batch, _ in zip(draw(0), range(count), strict=False)), net)


def encoded(net: Callable[[Tensor], Tensor], images: NDArray[Any]) -> Floats:
    """Outputs (N, D) of a network in evaluation mode."""
    with torch.no_grad():
        pieces = [
            net(torch.from_numpy(np.asarray(images[i : i + 256], np.float32)))
            for i in range(0, len(images), 256)
        ]
    return torch.cat(pieces).numpy()


def probe(
    train: Floats, wanted: Floats, test: Floats, *, prompt: bool = False, balanced: bool = False
) -> Floats:
    """Scores of test rows by a ridge regression whose penalty leave-one-out errors choose.

    ``prompt``: the last column is the answer to a prompt. The regression is then of what the prompt leaves
    unexplained: few labels, which choose a strong penalty, stay with the prompt. ``balanced``: positives
    weigh as much as negatives; or else the regression of a rare finding says no everywhere, and takes the
    prompt back.
    """
    from sklearn.linear_model import RidgeCV

    mean, spread = train.mean(0), train.std(0) + 1e-6
    train, test = (train - mean) / spread, (test - mean) / spread
    told, asked = (table[:, -1] if prompt else np.zeros(len(table), np.float32) for table in (train, test))
    share = wanted.mean()
    weight = np.where(wanted == 1, 0.5 / share, 0.5 / (1 - share)) if balanced else None
    model = RidgeCV(np.logspace(-1, 6, 22)).fit(train, 2 * wanted - 1 - told, sample_weight=weight)
    return np.asarray(asked + model.predict(test), np.float32)
