"""Previous and current studies: a report of the current one states what has changed (BioViL-T, Bannur 2023).

earlier = Earlier(images, days)                              # any number of dates
there = model.embed(branch, image, earlier=earlier)
oldest, later = reversed_dates(image, earlier)               # the same images, time running backwards
back = model.embed(branch, oldest, earlier=later)
loss = progression_loss(there, back, model.encode_text(*report), model.scale, changed)

A hidden image foretold with the earlier ones in view is `masked.MaskedHead` on
``model.encode(branch, head.hide(image, blocks), earlier=earlier)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sagittal.model import Earlier
from sagittal.pretrain.contrastive import attract


def reversed_dates(image: Tensor, earlier: Earlier) -> tuple[Tensor, Earlier]:
    """The sequence backwards: each row's oldest image (B, C, *S) is the current one, `Earlier` the rest.

    What lay ``d`` days before the current of a span of ``s`` days lies ``s - d`` before the oldest. A row
    without an earlier image comes back as it is.
    """
    there = ~earlier.days.isnan()
    rows = there.any(1).nonzero()[:, 0]
    oldest = earlier.days.masked_fill(~there, -1.0).argmax(1)[rows]
    span = earlier.days[rows, oldest]
    current, images, days = image.clone(), earlier.images.clone(), earlier.days.clone()
    current[rows] = earlier.images[rows, oldest]
    images[rows, oldest] = image[rows]
    days[rows] = span[:, None] - earlier.days[rows]
    days[rows, oldest] = span
    return current, Earlier(images, days)


def progression_loss(
    there: Tensor,
    back: Tensor,
    text: Tensor,
    scale: Tensor,
    changed: Tensor,
    same: Tensor | None = None,
) -> Tensor:
    """Contrastive, of image sequences and reports; run backwards, a sequence is wrong for a report of change.

    Without the reversed ones a report fits by what the current image shows alone, and the earlier ones need
    not be looked at: "larger" and "smaller" are said of the same nodule.

    Args:
        there, back: (B, E) of length 1, of the sequences and of the same reversed.
        text: (B, E) of length 1, of the reports.
        scale: log of the inverse temperature.
        changed: (B,) bool, the report says that something has changed (of no change, both ways are right).
        same: as in `contrastive_loss`.
    """
    wanted = torch.eye(len(there), device=there.device) if same is None else same
    wrong = back[changed]
    candidates = torch.cat([there, wrong])
    right = torch.cat([wanted.T, wanted.new_zeros(len(text), len(wrong))], 1)
    return (attract(there, text, scale, wanted) + attract(text, candidates, scale, right)) / 2


def direction_known(there: Tensor, back: Tensor, text: Tensor, changed: Tensor) -> float:
    """Share of the reports of change that fit the sequence better than the same reversed: .5 is chance.

    The probe to log while training; NaN where no report tells of a change.
    """
    better = ((there - back) * text).sum(1)[changed]
    return float((better > 0).float().mean() + 0.5 * (better == 0).float().mean())
