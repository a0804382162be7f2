"""Previous and current studies: a report of the current one states what has changed (BioViL-T, Bannur 2023).

earlier = Earlier(images, days)                              # any number of dates
there = model.embed(branch, image, earlier=earlier)
oldest, later = reversed_dates(image, earlier)               # the same images, time running backwards
back = model.embed(branch, oldest, earlier=later)
text = model.encode_text(*report)
contrastive_loss(there, text, model.scale) + progression_loss(there, back, text, model.scale, changed)

A hidden image foretold with the earlier ones in view is `masked.MaskedHead` on
``model.looked_back(branch, model.encode(branch, head.hide(image, blocks)), earlier)``.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from sagittal.model import MAX_SCALE, Earlier


def reversed_dates(image: Tensor, earlier: Earlier) -> tuple[Tensor, Earlier]:
    """The sequence backwards: each row's oldest image (B, C, *S) is the current one, `Earlier` the rest.

    What lay ``d`` days before the current of a span of ``s`` days lies ``s - d`` before the oldest. A row
    without an earlier image comes back as it is. All images are of one extent.
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


def progression_loss(there: Tensor, back: Tensor, text: Tensor, scale: Tensor, changed: Tensor) -> Tensor:
    """Of a report of change, which way round are the images? Mean cross-entropy, in nats; log 2 is chance.

    Beside `contrastive_loss`, which alone can be met by what the current image shows: "larger" and "smaller"
    are said of the same nodule, and the earlier image need not be looked at. 0 where nothing has changed.

    Args:
        there, back: (B, E) of length 1, of the sequences and of the same reversed.
        text: (B, E) of length 1, of the reports.
        scale: log of the inverse temperature.
        changed: (B,) bool, the report says that something has changed (of no change, both ways are right).
    """
    better = ((there - back) * text).sum(1) * scale.clamp(max=MAX_SCALE).exp()
    return -(functional.logsigmoid(better) * changed).sum() / changed.sum().clamp(min=1)


def direction_known(there: Tensor, back: Tensor, text: Tensor, changed: Tensor) -> float:
    """Share of the reports of change that fit the sequence better than the same reversed: .5 is chance.

    The probe to log while training; NaN where no report tells of a change.
    """
    better = ((there - back) * text).sum(1)[changed]
    return float((better > 0).float().mean() + 0.5 * (better == 0).float().mean())
