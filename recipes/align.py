"""The last step of a branch, once encoder and masks stay as they are: its embedding, and its proportions.

Tokens and what the masks show are computed once and kept; what learns from them learns in a minute. A small
lesion is lost in a mean of tokens, so the embedding sees the masks' evidence beside them. A label that is a
proportion (an enlarged heart, a shrunken brain) is read off the same evidence in closed form, where
that beats what the label decoder has learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict
from torch import Tensor
from torch.nn import functional

from sagittal.branch import Branch
from sagittal.decoders.label import mask_evidence
from sagittal.layers.features import Features
from sagittal.measure.discrimination import auroc
from sagittal.model import Model
from sagittal.training.precision import bf16_pays


@dataclass(frozen=True)
class Known:
    """Of N images: tokens (N, T, D), evidence (N, K), label logits (N, L) and which rows they are of."""

    tokens: Tensor
    evidence: Tensor
    logits: Tensor
    rows: Tensor


def known(model: Model, kind: str, batches: Iterable[tuple[Tensor, Tensor]]) -> Known:
    """Of (image, rows) batches, without texts."""
    branch = model.branch(kind)
    assert branch.masks is not None and branch.labels is not None
    found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    fast = bf16_pays(torch.device("cpu"))
    with torch.no_grad():
        for image, rows in batches:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
                features = model.encode(kind, image)
                masks = branch.masks(features.pyramid, features.tokens).float()
            tokens = features.tokens.float()
            found.append((tokens, mask_evidence(masks).flatten(1), branch.labels(tokens, masks), rows))
    return Known(*(torch.cat(each) for each in zip(*found, strict=True)))


def widened(model: Model) -> Model:
    """The same model, whose embeddings know the masks; what they make of them is nothing yet."""
    wide = Model(replace(model.config, embed_masks=True), model.tokenizer)
    state = model.state_dict()
    for name, wanted in wide.state_dict().items():
        if name.endswith("project.weight") and state[name].shape != wanted.shape:
            state[name] = functional.pad(state[name], (0, wanted.shape[1] - state[name].shape[1]))
    wide.load_state_dict(state)
    return wide.eval()


def align(
    model: Model,
    kind: str,
    seen: Known,
    loss: Callable[[Tensor, Tensor, torch.Generator], Tensor],
    *,
    steps: int = 2000,
    batch: int = 64,
    rate: float = 2e-3,
    seed: int = 0,
) -> None:
    """Fit the embedding of a branch: ``loss(embedding (B, E), rows (B,), generator)``."""
    branch, generator = model.branch(kind), torch.Generator().manual_seed(seed)
    parameters = [*branch.pool.parameters(), *branch.project.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.05)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - step / steps)
        chosen = torch.randint(len(seen.tokens), (batch,), generator=generator)
        value = loss(embedded(branch, seen, chosen), seen.rows[chosen], generator)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()


def embedded(branch: Branch, seen: Known, chosen: Tensor) -> Tensor:
    """Embeddings (B, E) of the chosen ones."""
    tokens = seen.tokens[chosen]
    return branch.embed(Features((), tokens, tokens.mean(1)), evidence=seen.evidence[chosen])


def proportions(
    model: Model,
    kind: str,
    seen: Known,
    labels: Sequence[str],
    which: Sequence[str],
    truth: NDArray[np.uint8],
) -> list[str]:
    """Read the labels ``which`` off the evidence by ridge regression where that is better; returns those.

    Better: AUROC over images it was not fitted to is above the decoder's on images that it was fitted to.
    """
    decoder = model.branch(kind).labels
    assert decoder is not None and decoder.evidence is not None
    evidence, changed = seen.evidence.double().numpy(), []
    mean, spread = evidence.mean(0), evidence.std(0) + 1e-6
    table = (evidence - mean) / spread
    for name in which:
        row = labels.index(name)
        wanted = truth[seen.rows.numpy(), row]
        ridge = RidgeCV(np.logspace(0, 6, 13))
        # Every image may be there in several variants: they stay together.
        folds = cross_val_predict(ridge, table, 2.0 * wanted - 1, cv=GroupKFold(5), groups=seen.rows.numpy())
        unseen = auroc(wanted, folds)
        now = auroc(wanted, seen.logits[:, row].numpy())
        print(f"{kind} {name}: AUROC {now:.3f} of the decoder, {unseen:.3f} of its evidence", flush=True)
        if unseen <= now:
            continue
        ridge.fit(table, 2.0 * wanted - 1)
        weight = 4 * ridge.coef_ / spread  # -1..1 becomes about a logit; calibration does the rest
        with torch.no_grad():
            decoder.evidence.weight[row] = torch.from_numpy(weight).float()
            decoder.weight[row] = 0
            decoder.bias[row] = float(4 * ridge.intercept_ - weight @ mean)
        changed.append(name)
    return changed
