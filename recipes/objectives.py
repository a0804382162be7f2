"""One encoder for three objectives: which sentences are true of a film, what is hidden of it, or both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from films import WIDTH, Batch, Floats, Matcher, Reports, Seen, matching, pooled
from numpy.typing import NDArray
from torch import Tensor

from sagittal.encoders.tokenizer import Tokenizer
from sagittal.layers.features import Features
from sagittal.pretrain.masked import MaskedHead, Masking, block_mask, masked_loss, target

MASKING = Masking((8, 8), 0.5, (2, 2))
OBJECTIVES = ("contrastive", "both", "masked")
TOLD = ("contrastive", "both")
"""Those that read reports: they can be prompted."""


class Pretrained(Matcher):
    """Image and text encoder with a masked-image head beside them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self.masked = MaskedHead(WIDTH, WIDTH, 1, MASKING)


def objective(model: Pretrained, kind: str, said: Reports, seed: int) -> Callable[[Batch], dict[str, Tensor]]:
    """The loss terms of a batch of film indices and images."""

    def terms(batch: Batch) -> dict[str, Tensor]:
        image, which, number = batch
        found: dict[str, Tensor] = {}
        if kind in ("contrastive", "both"):
            rng = np.random.default_rng([seed, number])
            found["pairs"] = matching(model, model.encoder(image), which, said, rng)
        if kind in ("masked", "both"):
            blocks = block_mask(len(image), image.shape[2:], MASKING)
            tokens = model.encoder(model.masked.hide(image, blocks)).coarse
            grid = tokens.transpose(1, 2).unflatten(2, tuple(blocks.shape[2:]))
            guess = model.masked(Features((grid,), tokens, tokens.mean(1)), blocks.shape[2:])
            found["masked"] = masked_loss(guess, target(image, MASKING), blocks)
        return found

    return terms


def strata(said: Reports) -> list[NDArray[np.int64]]:
    """Films by which of their statements is the rarest among all: in batches of equal parts, what is seldom
    said is seen often, and no label is asked (after Xu, Demystifying CLIP Data, 2023)."""
    films = Counter(statement for row in said.of_film for statement in row)
    rarest = np.array([min(row, key=lambda j: (films[j], j), default=-1) for row in said.of_film])
    return [np.flatnonzero(rarest == statement) for statement in np.unique(rarest)]


@torch.no_grad()
def features(model: Pretrained, kind: str, said: Reports, finding: str, images: NDArray[Any]) -> Floats:
    """(N, 320) of pictures; of those that read, one more column: what the prompt for ``finding`` says."""
    rows = []
    for start in range(0, len(images), 256):
        seen = model.encoder(torch.from_numpy(np.asarray(images[start : start + 256], np.float32)))
        asked = [prompted(model, seen, said, finding)] if kind in TOLD else []
        rows.append(torch.cat([pooled(seen), *asked], 1))
    return torch.cat(rows).numpy()


def prompted(model: Pretrained, seen: Seen, said: Reports, finding: str) -> Tensor:
    """(B, 1): log-odds of the likeliest sentence that names the finding, less those of its denial."""
    named = [
        (presence, words[0])
        for triples, words in zip(said.statements, said.wordings, strict=True)
        for key, presence, _ in triples
        if key == finding and len(triples) == 1
    ]
    yes, no = ([w for p, w in named if (p == "present") == there] for there in (True, False))
    return (model.match(seen, yes).logsumexp(1) - model.match(seen, no).logsumexp(1)).unsqueeze(1)
