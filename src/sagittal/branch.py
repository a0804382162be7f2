"""One kind of image: its encoder, and what is decoded from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.decoders.image import ImageDecoder
from sagittal.decoders.label import LabelDecoder, evidence_size, mask_evidence
from sagittal.decoders.mask import MaskDecoder
from sagittal.decoders.ordinal import OrdinalDecoder
from sagittal.decoders.prompt import PromptDecoder
from sagittal.decoders.survival import HazardDecoder, RiskDecoder
from sagittal.encoders.image import ImageConfig, Plan, build, plan
from sagittal.fusion.late import LateFusion
from sagittal.layers.attention import AttentionPool
from sagittal.layers.features import Features


@dataclass(frozen=True)
class BranchConfig:
    """One kind of image: its encoder, and what is decoded from it; each may be empty.

    Attributes:
        labels, masks: findings that are there or not, structures that are drawn.
        grades: findings of ``levels`` steps in order (BI-RADS, Kellgren-Lawrence).
        events: what happens later: a log risk each, or hazards in intervals that end at ``edges``.
        prompts: draw what points, boxes, a text or an earlier mask ask for.
        draws: widths, finest first, of a network that draws such images out of noise.
    """

    encoder: ImageConfig
    labels: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    grades: tuple[str, ...] = ()
    levels: int = 4
    events: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    prompts: bool = False
    draws: tuple[int, ...] = ()


class Branch(nn.Module):
    """The parts that belong to one kind of image; the model's own settings are explained in `ModelConfig`.

    ``late``: what stands beside the image and says labels, grades and risks by itself (late fusion).
    """

    def __init__(
        self,
        config: BranchConfig,
        *,
        width: int,
        heads: int,
        embedding: int,
        embed_masks: bool,
        priors: bool,
        late: Sequence[str] = (),
    ) -> None:
        super().__init__()
        out = plan(config.encoder)
        self.encoder = build(config.encoder, width)
        self.axes, self.channels = out.axes, out.channels
        self.pool = AttentionPool(width, 1, heads)
        labels, masks = config.labels, config.masks
        self.shown = len(masks) * evidence_size(self.axes) if embed_masks else 0
        self.project = nn.Linear(2 * width + self.shown, embedding)
        self.remember = nn.Linear(self.shown, width) if self.shown and priors else None
        self.masks = (
            MaskDecoder(width, out.widths, out.kernels, len(masks), out.detail, out.finest, out.norm)
            if masks
            else None
        )
        self.labels = LabelDecoder(width, heads, labels, masks, self.axes) if labels else None
        self.grades = OrdinalDecoder(width, heads, config.grades, config.levels) if config.grades else None
        self.risk: HazardDecoder | RiskDecoder | None = None
        if config.events and config.edges:
            self.risk = HazardDecoder(width, heads, config.events, config.edges)
        elif config.events:
            self.risk = RiskDecoder(width, heads, config.events)
        self.prompt = (
            PromptDecoder(width, heads, out.widths, out.kernels, detail=out.detail, finest=out.finest)
            if config.prompts
            else None
        )
        self.draw = drawer(out, width, heads, config.draws) if config.draws else None
        counts = {
            "labels": len(labels),
            "grades": len(config.grades),
            "risk": len(config.events) * max(1, len(config.edges)),
        }
        self.late = nn.ModuleDict(
            {name: LateFusion(width, late, n, beside=("image",)) for name, n in counts.items() if n and late}
        )

    def drawn(self, features: Features) -> Tensor | None:
        """Mask logits (B, M, *S) of an image alone, where its embedding knows them."""
        return (
            self.masks(features.pyramid, features.tokens) if self.shown and self.masks is not None else None
        )

    def embed(
        self, features: Features, masks: Tensor | None = None, *, evidence: Tensor | None = None
    ) -> Tensor:
        """Image tokens -> (B, E) of length 1: what one query finds, the mean, and what the masks show.

        ``masks``: the logits (B, M, *S) of the image alone, `drawn` where they are not given; ``evidence``
        (B, K): what `mask_evidence` makes of them, where that is known.
        """
        seen = [self.pool(features.tokens, features.mask)[:, 0], features.pooled]
        if self.shown:
            drawn = self.drawn(features) if masks is None and evidence is None else masks
            seen.append(mask_evidence(drawn).flatten(1) if drawn is not None else evidence)
        return functional.normalize(self.project(torch.cat(seen, dim=1)), dim=1)

    def dated(self, tokens: Tensor, evidence: Tensor | None = None) -> Features:
        """One date as later ones see it: its tokens (B, N, D), and one more of what its masks show (B, K)."""
        if self.remember is not None and evidence is not None:
            tokens = torch.cat([tokens, self.remember(evidence).unsqueeze(1)], dim=1)
        return Features((), tokens, tokens.mean(1))

    def combined(self, name: str, made: Tensor, others: Mapping[str, Features]) -> Tensor:
        """What the image says by itself, ``made`` (B, ...), with what the others say: under late fusion."""
        if name not in self.late:
            return made
        flat = self.late[name](others, len(made), {"image": made.flatten(1)})
        return flat.reshape(made.shape)


def drawer(out: Plan, width: int, heads: int, widths: Sequence[int]) -> ImageDecoder:
    """What draws images like a branch's own, each level of half the size of the one before."""
    still, halved = (1,) * out.axes, (2,) * out.axes
    return ImageDecoder(
        width,
        heads,
        channels=out.channels,
        widths=widths,
        kernels=((3,) * out.axes,) * len(widths),
        strides=(still, *(halved,) * (len(widths) - 1)),
    )
