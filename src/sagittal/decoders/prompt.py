"""Promptable masks (Kirillov 2023) in 2D and 3D: clicks, boxes, words and an earlier mask say which one.

Prompts act twice: as tokens that talk with the image's tokens in both directions, and painted onto every map
of the pyramid, where one pixel is one pixel. Several hypotheses answer an ambiguous prompt (the core or the
whole lesion?), each with the IoU it expects of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from sagittal.decoders.mask import MaskDecoder
from sagittal.decoders.prompts import PAINTED, Positions, Prompts, paint
from sagittal.layers.attention import Attention
from sagittal.layers.convolution import convolution
from sagittal.layers.features import Features
from sagittal.layers.initial import normal
from sagittal.layers.mlp import Mlp

AGREEMENT = 2 * PAINTED + 1


@dataclass(frozen=True)
class Prompted:
    """Several answers to one prompt.

    Attributes:
        masks: logits (B, H, *S), at the resolution that the decoder draws.
        confidence: logits (B, H) of the overlap that each expects to have with what was meant.
    """

    masks: Tensor
    confidence: Tensor

    @property
    def iou(self) -> Tensor:
        """(B, H), 0..1: the intersection over union that each expects."""
        return self.confidence.sigmoid()

    def best(self) -> Tensor:
        """The mask that expects most of itself: logits (B, 1, *S)."""
        rows = torch.arange(len(self.masks), device=self.masks.device)
        return self.masks[rows, self.confidence.argmax(1)].unsqueeze(1)


class TwoWay(nn.Module):
    """Queries (B, T, D) and image tokens (B, N, D) look at each other; mask (B, T) of the real queries."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_self, self.norm_look, self.norm_mlp, self.norm_seen, self.norm_image = (
            nn.LayerNorm(width) for _ in range(5)
        )
        self.among, self.look, self.back = (Attention(width, heads) for _ in range(3))
        self.mlp = Mlp(width, 2)

    def forward(
        self, queries: Tensor, image: Tensor, positions: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        own = self.norm_self(queries)
        queries = queries + self.among(own, own, mask)
        queries = queries + self.look(self.norm_look(queries), self.norm_seen(image) + positions)
        queries = queries + self.mlp(self.norm_mlp(queries))
        image = image + self.back(self.norm_image(image) + positions, queries, mask)
        return queries, image


class PromptDecoder(nn.Module):
    """(features, prompts, image size) -> `Prompted` with masks (B, H, *S_f * detail).

    The arguments that say where it stops and how fine it draws are `MaskDecoder`'s, which draws ``channels``
    maps here; each hypothesis weighs them by what its query learned.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        widths: Sequence[int],
        kernels: Sequence[Sequence[int]],
        *,
        hypotheses: int = 3,
        layers: int = 2,
        channels: int = 16,
        detail: Sequence[int] | None = None,
        finest: int = 0,
    ) -> None:
        super().__init__()
        axes = len(kernels[0])
        self.hypotheses, self.finest = hypotheses, finest
        self.positions = Positions(axes, width)
        # outside, inside, low and high corner of a box, a word
        self.kinds = normal(5, width, std=0.1)
        self.asked = normal(hypotheses, width, std=0.5)
        self.blocks = nn.ModuleList(TwoWay(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.paint = nn.ModuleList(convolution(PAINTED, w, (1,) * axes) for w in widths[finest:])
        self.draw = MaskDecoder(width, widths, kernels, channels, detail, finest)
        nn.init.zeros_(self.draw.bias)  # these are maps to be weighed, not masks
        self.weigh = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, channels + 1))
        self.expect = nn.Sequential(nn.Linear(width + AGREEMENT, width), nn.GELU(), nn.Linear(width, 1))
        self.trust = nn.Linear(AGREEMENT, 1)
        with torch.no_grad():  # it starts by trusting a mask that does as the clicks and the box say
            self.trust.weight.copy_(torch.tensor([[2.0, -2, 0, 0, 0, 0, 4, 0, 0]]))

    def forward(self, features: Features, prompts: Prompts, size: Sequence[int]) -> Prompted:
        coarse = features.pyramid[-1]
        grid = coarse.shape[2:]
        where = self.positions.of_grid(grid, coarse.device).to(features.tokens.dtype)
        queries, mask = self._queries(prompts, len(coarse), size)
        image = features.tokens
        for block in self.blocks:
            queries, image = block(queries, image, where, mask)
        queries = self.norm(queries)
        pyramid = list(features.pyramid)
        for level, convolve in enumerate(self.paint, start=self.finest):
            painted = paint(prompts, pyramid[level], size)
            pyramid[level] = pyramid[level] + convolve(painted)
        maps = self.draw(pyramid, image)
        weights = self.weigh(queries[:, : self.hypotheses])
        masks = torch.einsum("bhc,bc...->bh...", weights[..., :-1], maps)
        bias = weights[..., -1] - 2.0  # most of a picture is not what was meant
        masks = masks + bias.reshape(*bias.shape, *(1,) * len(grid))
        agreed = agreement(masks.detach(), paint(prompts, masks, size))
        known = torch.cat([queries[:, : self.hypotheses], agreed], dim=-1)
        return Prompted(masks, (self.expect(known) + self.trust(agreed))[..., 0])

    def _queries(self, prompts: Prompts, rows: int, size: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, D): hypotheses, then prompts; and which are real (B, T)."""
        tokens = [self.asked.expand(rows, -1, -1)]
        masks = [torch.ones(tokens[0].shape[:2], dtype=torch.bool, device=tokens[0].device)]
        if prompts.points is not None and prompts.signs is not None:
            kinds = self.kinds[prompts.signs.clamp(min=0).long()]
            tokens.append(self.positions(prompts.points, size) + kinds)
            masks.append(prompts.signs >= 0)
        if prompts.boxes is not None:
            there = prompts.boxes.isfinite().all(-1).all(-1)  # (B, Q)
            corners = self.positions(prompts.boxes.nan_to_num(), size) + self.kinds[2:4]
            tokens.append(corners.flatten(1, 2))
            masks.append(there.repeat_interleave(2, dim=1))
        if prompts.text is not None:
            tokens.append(prompts.text.tokens + self.kinds[4])
            shape, device = prompts.text.tokens.shape[:2], masks[0].device
            full = torch.ones(shape, dtype=torch.bool, device=device)
            masks.append(full if prompts.text.mask is None else prompts.text.mask)
        mask = torch.cat(masks, dim=1)
        return torch.cat(tokens, dim=1).masked_fill(~mask.unsqueeze(-1), 0.0), mask


def agreement(masks: Tensor, painted: Tensor) -> Tensor:
    """How well each mask, logits (B, H, *S), fits each painted prompt (B, 4, *S): (B, H, 9) in 0..1.

    The share of the prompt that the mask covers, and the overlap of both (0 without the prompt); last the
    share of the picture that the mask covers. Which of several good masks was meant shows here.
    """
    guess, said = masks.sigmoid().flatten(2), painted.clamp(min=0).flatten(2)
    both = guess @ said.transpose(1, 2)  # (B, H, 4)
    of_mask, of_prompt = guess.sum(2)[..., None], said.sum(2)[:, None]
    shared = both / of_prompt.clamp(min=1e-3)
    return torch.cat([shared, both / (of_mask + of_prompt - both), guess.mean(2)[..., None]], dim=-1)


def with_clicks(prompts: Prompts, points: Tensor, signs: Tensor, previous: Tensor | None = None) -> Prompts:
    """The same prompts with more points (B, P, A), signs (B, P), and the mask so far, logits (B, 1, *S)."""
    if prompts.points is not None and prompts.signs is not None:
        points, signs = torch.cat([prompts.points, points], 1), torch.cat([prompts.signs, signs], 1)
    drawn = prompts.previous if previous is None else previous
    return replace(prompts, points=points, signs=signs, previous=drawn)
