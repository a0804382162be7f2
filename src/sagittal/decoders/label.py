"""Labels: what each one's own query finds among the tokens, plus what the masks show."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sagittal.layers.attention import AttentionPool
from sagittal.layers.initial import normal


def evidence_size(axes: int) -> int:
    """How many numbers `mask_evidence` gives a mask of so many axes."""
    return 3 + 3 * axes


def mask_evidence(logits: Tensor, few: int = 8, share: float = 0.01) -> Tensor:
    """What a mask shows, (B, M, *S) -> (B, M, 3 + 3 * axes); each number is about -1..1.

    Presence: the mean of the ``few`` highest logits (a small lesion is a few pixels), the mean of the highest
    ``share`` of all, and the logit of the share of the picture that the mask covers. Extent, an axis: where
    the mask begins and ends, and how long it is beside all masks together: an enlarged heart is a width, not
    a brightness, and a linear layer over these can form the cardiothoracic ratio.
    """
    flat = logits.flatten(2)
    count = flat.shape[2]
    many = max(min(few, count), int(share * count))
    highest = flat.topk(many, dim=2).values
    covered = flat.sigmoid().mean(2).clamp(1e-6, 1 - 1e-6).logit()
    presence = torch.stack([highest[..., :few].mean(2), highest.mean(2), covered], dim=2) / 10
    extents = [_extent(logits, axis) for axis in range(2, logits.ndim)]
    return torch.cat([presence, *extents], dim=2)


def _extent(logits: Tensor, axis: int) -> Tensor:
    """Begin, end and log relative length of each mask along one axis: (B, M, *S) -> (B, M, 3).

    Begin and end are in twentieths of the picture from its middle, so that a hundredth is felt.
    """
    others = [a for a in range(2, logits.ndim) if a != axis]
    profile = (logits.amax(others) if others else logits).sigmoid()
    profile = torch.cat([profile, profile.amax(1, keepdim=True)], dim=1)
    begin = 1 - profile.cummax(2).values.mean(2)
    end = profile.flip(2).cummax(2).values.mean(2)
    length = (end - begin).clamp(min=0.01).log()
    place = 20 * (torch.stack([begin, end], 2)[:, :-1] - 0.5)
    return torch.cat([place, 5 * (length[:, :-1] - length[:, -1:]).unsqueeze(2)], dim=2)


class LabelDecoder(nn.Module):
    """tokens (B, N, D), mask logits (B, M, *S) or None, real (B, N) bool or None -> a logit a label (B, L).

    Every label may use every mask (an enlarged heart shows in the heart's mask beside the lungs'); a label
    that shares its name with a mask starts by trusting it.
    """

    def __init__(
        self, width: int, heads: int, labels: Sequence[str], masks: Sequence[str], axes: int = 2
    ) -> None:
        super().__init__()
        self.pool = AttentionPool(width, len(labels), heads)
        self.norm = nn.LayerNorm(width)
        self.weight = normal(len(labels), width, std=width**-0.5)
        self.bias = nn.Parameter(torch.zeros(len(labels)))
        size = evidence_size(axes)
        self.evidence = nn.Linear(len(masks) * size, len(labels), bias=False) if masks else None
        if self.evidence is not None:
            trust = torch.zeros(len(labels), len(masks), size)
            for row, label in enumerate(labels):
                if label in masks:
                    trust[row, masks.index(label), 0] = 2.0
            with torch.no_grad():
                self.evidence.weight.copy_(trust.flatten(1))

    def forward(
        self, tokens: Tensor, mask_logits: Tensor | None = None, real: Tensor | None = None
    ) -> Tensor:
        gathered = self.norm(self.pool(tokens, real))
        logits = (gathered * self.weight).sum(-1) + self.bias
        if self.evidence is not None and mask_logits is not None:
            logits = logits + self.evidence(mask_evidence(mask_logits).flatten(1))
        return logits
