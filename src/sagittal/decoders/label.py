"""Labels: what each one's own query finds among the tokens, plus what the masks show."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sagittal.layers.attention import AttentionPool

EVIDENCE = 3


def mask_evidence(logits: Tensor, few: int = 8, share: float = 0.01) -> Tensor:
    """Three numbers a mask, (B, M, *S) -> (B, M, 3), each about -1..1 for logits of -10..10.

    The mean of the ``few`` highest logits (a small lesion is a few pixels), the mean of the highest
    ``share`` of all, and the logit of the share of the picture that the mask covers (how large is it).
    """
    flat = logits.flatten(2)
    count = flat.shape[2]
    many = max(min(few, count), int(share * count))
    highest = flat.topk(many, dim=2).values
    covered = flat.sigmoid().mean(2).clamp(1e-6, 1 - 1e-6).logit()
    return torch.stack([highest[..., :few].mean(2), highest.mean(2), covered], dim=2) / 10


class LabelDecoder(nn.Module):
    """tokens (B, N, D), mask logits (B, M, *S) or None -> one logit a label (B, L).

    Every label may use every mask (an enlarged heart shows in the heart's mask beside the lungs'); a label
    that shares its name with a mask starts by trusting it.
    """

    def __init__(self, width: int, heads: int, labels: Sequence[str], masks: Sequence[str]) -> None:
        super().__init__()
        self.pool = AttentionPool(width, len(labels), heads)
        self.norm = nn.LayerNorm(width)
        self.weight = nn.Parameter(torch.randn(len(labels), width) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(len(labels)))
        self.evidence = nn.Linear(len(masks) * EVIDENCE, len(labels), bias=False) if masks else None
        if self.evidence is not None:
            trust = torch.zeros(len(labels), len(masks), EVIDENCE)
            for row, label in enumerate(labels):
                if label in masks:
                    trust[row, masks.index(label), 0] = 2.0
            with torch.no_grad():
                self.evidence.weight.copy_(trust.flatten(1))

    def forward(self, tokens: Tensor, mask_logits: Tensor | None = None) -> Tensor:
        gathered = self.norm(self.pool(tokens))
        logits = (gathered * self.weight).sum(-1) + self.bias
        if self.evidence is not None and mask_logits is not None:
            logits = logits + self.evidence(mask_evidence(mask_logits).flatten(1))
        return logits
