"""What frozen features know: a linear probe in closed form, cheap enough to log while training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sagittal.measure.discrimination import auroc


def linear_probe(train: Tensor, targets: Tensor, test: Tensor, ridge: float = 1.0) -> Tensor:
    """Scores (M, L) of test (M, D), by ridge regression on train (N, D) and targets (N, L), NaN unknown.

    Features are brought to mean 0 and deviation 1 of the training rows; a score of 0 lies half way between
    absent and present.
    """
    mean, spread = train.mean(0), train.std(0).clamp(min=1e-6)
    x, z = (train - mean) / spread, (test - mean) / spread
    x, z = (torch.cat([rows, rows.new_ones(len(rows), 1)], 1).double() for rows in (x, z))
    penalty = torch.full((x.shape[1],), ridge, dtype=x.dtype)
    penalty[-1] = 0
    columns = []
    for wanted in targets.double().T:
        known = ~wanted.isnan()
        rows = x[known]
        # as many numbers as rows at most: solve in the smaller of the two spaces through least squares
        weights = torch.linalg.lstsq(
            torch.cat([rows, penalty.sqrt().diag()]),
            torch.cat([2 * wanted[known] - 1, x.new_zeros(x.shape[1])])[:, None],
        ).solution
        columns.append(z @ weights[:, 0])
    return torch.stack(columns, 1).float()


def probed(
    encode: Callable[[Tensor], Tensor],
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    module: nn.Module | None = None,
) -> float:
    """Mean AUROC over labels of a linear probe on ``encode(images) -> (B, D)``.

    Args:
        train, test: images (N, C, *S) and targets (N, L), NaN where unknown.
        module: brought to evaluation mode for the time, and back.

    Returns:
        NaN where no label has both answers in the test rows.
    """
    was = module.training if module is not None else False
    if module is not None:
        module.eval()
    with torch.no_grad():
        features = [torch.cat([encode(piece) for piece in images.split(64)]) for images, _ in (train, test)]
    if module is not None:
        module.train(was)
    scores = linear_probe(features[0], train[1], features[1])
    found = []
    for score, wanted in zip(scores.T, test[1].T, strict=True):
        known = ~wanted.isnan()
        answers = wanted[known].unique()
        if len(answers) == 2:
            found.append(float(auroc(wanted[known].numpy(), score[known].numpy())))
    return sum(found) / len(found) if found else float("nan")
