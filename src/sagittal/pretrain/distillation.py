"""Self-distillation: a student foretells what a slowly following teacher sees of another view.

Whole pictures (DINO, Caron 2021) and hidden patches (iBOT, Zhou 2022), without labels, text or negatives.
What keeps the teacher from saying the same of everything is that its answers are centred and sharpened;
`health` tells when that has failed.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.layers.features import Features
from sagittal.layers.initial import normal
from sagittal.pretrain.masked import Masking, block_mask, hide


@dataclass(frozen=True)
class DistillationConfig:
    """How to distil.

    Attributes:
        prototypes: answers that a picture or patch may be given.
        hidden: width of the head; bottleneck: of its last layer.
        student, teacher: temperatures; the teacher's is the lower, which sharpens.
        momentum: of the teacher's weights; centre: of the running mean that is taken off its answers.
        masking: which blocks the student does not see.
    """

    prototypes: int = 512
    hidden: int = 256
    bottleneck: int = 64
    student: float = 0.1
    teacher: float = 0.04
    momentum: float = 0.996
    centre: float = 0.9
    masking: Masking = field(default_factory=lambda: Masking((16, 16), 0.4))


class Prototypes(nn.Module):
    """(..., D) -> logits (..., K): how near to each prototype, cosines of a bottleneck."""

    def __init__(self, width: int, config: DistillationConfig) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.bottleneck)
        )
        self.directions = normal(config.prototypes, config.bottleneck, std=1.0)

    def forward(self, x: Tensor) -> Tensor:
        near = functional.normalize(self.mlp(x), dim=-1)
        return near @ functional.normalize(self.directions, dim=-1).T


class Health(NamedTuple):
    """How a teacher answers, both in 0..1 of the most possible.

    Attributes:
        spread: entropy of its mean answer: near 0, it says one thing of everything.
        doubt: mean entropy of its answers: near 1, it says everything of anything.
    """

    spread: float
    doubt: float

    @property
    def collapsed(self) -> str:
        """What is wrong, or ""."""
        if self.spread < 0.1:
            return "the teacher gives every picture the same answer"
        return "the teacher gives no picture an answer of its own" if self.doubt > 0.99 else ""


def health(answers: Tensor) -> Health:
    """Probabilities (N, K) of a teacher over many pictures."""

    def entropy(p: Tensor) -> Tensor:
        return -(p * p.clamp(min=1e-12).log()).sum(-1)

    all_equal, mean = math.log(answers.shape[1]), float(entropy(answers).mean())
    # a few answers can spread no further than this, however much they differ
    most = min(all_equal, math.log(len(answers)) + mean)
    return Health(float(entropy(answers.mean(0))) / max(most, 1e-6), mean / all_equal)


class Distillation(nn.Module):
    """A student and its teacher around one image encoder: image (B, C, *S) -> `Features`.

    Give the optimiser this module; call `follow` once a step. ``student`` is what one keeps.
    """

    def __init__(self, encoder: nn.Module, width: int, channels: int, config: DistillationConfig) -> None:
        super().__init__()
        self.config = config
        self.student, self.head = encoder, Prototypes(width, config)
        self.teacher, self.teacher_head = copy.deepcopy(encoder), copy.deepcopy(self.head)
        self.teacher.requires_grad_(False)
        self.teacher_head.requires_grad_(False)
        self.hidden = nn.Parameter(torch.zeros(channels))
        self.register_buffer("centre", torch.zeros(2, config.prototypes))

    def forward(
        self, first: Tensor, second: Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Losses of two views (B, C, *S) of the same pictures: "image" across views, "patch" within each.

        In evaluation mode the centre stays as it is.
        """
        views = torch.cat([first, second])
        blocks = block_mask(len(views), views.shape[2:], self.config.masking, generator).to(views.device)
        seen = self.student(hide(views, blocks, self.config.masking, self.hidden))
        with torch.no_grad():
            known = self.teacher(views)
            pooled, tokens = self.answers(known)
        mine = self.head(seen.pooled).div(self.config.student).log_softmax(-1)
        # each view is asked for what the teacher saw in the other one
        image = -(pooled.roll(len(first), 0) * mine).sum(-1).mean()
        theirs = self.head(seen.tokens).div(self.config.student).log_softmax(-1)
        hidden = _on_tokens(blocks, known)
        each = -(tokens * theirs).sum(-1)
        patch = (each * hidden).sum() / hidden.sum().clamp(min=1e-6)
        if self.training:
            self._recentre(known)
        return {"image": image, "patch": patch}

    def answers(self, features: Features) -> tuple[Tensor, Tensor]:
        """The teacher's probabilities for pictures (B, K) and tokens (B, N, K)."""
        centre = self.get_buffer("centre")
        whole, parts = self.teacher_head(features.pooled), self.teacher_head(features.tokens)
        sharp = self.config.teacher
        return ((whole - centre[0]) / sharp).softmax(-1), ((parts - centre[1]) / sharp).softmax(-1)

    @torch.no_grad()
    def follow(self) -> None:
        """Bring the teacher a step nearer to the student."""
        pairs = ((self.teacher, self.student), (self.teacher_head, self.head))
        for teacher, student in pairs:
            for theirs, mine in zip(teacher.parameters(), student.parameters(), strict=True):
                theirs.lerp_(mine, 1 - self.config.momentum)

    @torch.no_grad()
    def _recentre(self, features: Features) -> None:
        means = [self.teacher_head(x).flatten(0, -2).mean(0) for x in (features.pooled, features.tokens)]
        self.get_buffer("centre").lerp_(torch.stack(means).float(), 1 - self.config.centre)


def _on_tokens(blocks: Tensor, features: Features) -> Tensor:
    """Hidden blocks (B, 1, *grid) -> which share of each token was hidden, (B, N)."""
    grid = features.pyramid[-1].shape[2:]
    pool: Any = functional.adaptive_avg_pool2d if len(grid) == 2 else functional.adaptive_avg_pool3d
    return pool(blocks.float(), grid).flatten(1)
