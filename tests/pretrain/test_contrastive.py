"""Contrastive learning recovers a planted pairing and forgives equal reports."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from sagittal.pretrain.contrastive import (
    attract,
    contrastive_loss,
    in_pieces,
    retrieval,
    same_findings,
    sigmoid_loss,
    view_loss,
)
from sagittal.training.loop import FitConfig, fit


def test_recovers_a_planted_pairing() -> None:
    """Two noisy views of one hidden cause: towers that never saw the test pairs match them."""
    torch.manual_seed(0)
    views = torch.randn(6, 20), torch.randn(6, 30)

    def draw(seed: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = torch.Generator().manual_seed(seed)
        cause = torch.randn(n, 6, generator=random)
        left, right = (cause @ view for view in views)
        return tuple(v + 0.1 * torch.randn(v.shape, generator=random) for v in (left, right))  # type: ignore[return-value]

    towers = nn.ModuleList([nn.Linear(20, 8), nn.Linear(30, 8)])
    towers.register_parameter("scale", nn.Parameter(torch.tensor(2.0)))

    def embed(pair: tuple[torch.Tensor, torch.Tensor]) -> list[torch.Tensor]:
        return [functional.normalize(tower(x), dim=1) for tower, x in zip(towers, pair, strict=True)]

    test = draw(10_000, 50)
    assert retrieval(*embed(test)) < 0.2
    fit(
        towers,
        lambda pair: {"pairs": contrastive_loss(*embed(pair), towers.scale)},
        lambda start: (draw(seed, 64) for seed in range(start, 400)),
        FitConfig(steps=150, learning_rate=2e-2),
    )
    assert retrieval(*embed(test)) > 0.9


def test_loss_of_known_pairs() -> None:
    same = torch.eye(4)
    assert float(contrastive_loss(same, same, torch.tensor(10.0))) == pytest.approx(0, abs=1e-6)
    flat = functional.normalize(torch.ones(4, 4), dim=1)
    assert float(contrastive_loss(flat, flat, torch.tensor(1.0))) == pytest.approx(math.log(4))


def test_equal_findings_share_the_weight() -> None:
    findings = torch.tensor([[0, 0], [1, 0], [0, 0], [0, 0]])
    same = same_findings(findings)
    torch.testing.assert_close(same.sum(1), torch.ones(4))
    assert same[0].tolist() == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])
    assert same[1].tolist() == [0, 1, 0, 0]
    # three normal studies whose embeddings agree: no better answer exists, and no pull apart is left
    embedding = findings[:, :1] * torch.tensor([[1.0, 0.0]]) + (1 - findings[:, :1]) * torch.tensor(
        [[0.0, 1.0]]
    )
    hard = contrastive_loss(embedding, embedding, torch.tensor(4.0))
    embedding.requires_grad_()
    loss = contrastive_loss(embedding, embedding, torch.tensor(4.0), same)
    (pull,) = torch.autograd.grad(loss, embedding)
    assert loss.item() == pytest.approx(0.75 * math.log(3), abs=1e-3)  # the entropy of the soft targets
    assert hard.item() >= loss.item() - 1e-6
    assert pull.abs().max() < 1e-2
    assert retrieval(embedding, embedding, same) == 1


def test_few_images_and_many_texts() -> None:
    """Two images among four texts: the loss is that of the softmax by hand; no right text costs nothing."""
    text = torch.eye(4)
    scale = torch.tensor(2.0)
    wanted = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    loss = attract(text[:2], text, scale, wanted)
    logits = text[0] * scale.exp()
    by_hand = -(logits.log_softmax(0)[:2]).mean()
    torch.testing.assert_close(loss, by_hand / 2)
    one = torch.tensor([[1.0, 0.0, 1.0]])
    many = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    torch.testing.assert_close(same_findings(one, many), torch.tensor([[0.5, 0.0, 0.5]]))
    assert same_findings(one, many[1:2]).sum() == 0


def _unit(*size: int, seed: int = 0) -> torch.Tensor:
    return functional.normalize(torch.randn(*size, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_the_sigmoid_loss_is_the_sum_over_pairs() -> None:
    """Known answer: every pair written out, Zhai 2023, algorithm 1."""
    image, text = _unit(3, 4), _unit(3, 4, seed=1)
    scale, bias = torch.tensor(1.5), torch.tensor(-2.0)
    total = 0.0
    for i in range(3):
        for j in range(3):
            logit = float(image[i] @ text[j]) * math.exp(1.5) - 2.0
            total += math.log1p(math.exp(-logit if i == j else logit))
    assert float(sigmoid_loss(image, text, scale, bias)) == pytest.approx(total / 3, rel=1e-5)


def test_for_the_sigmoid_two_equal_reports_are_no_mismatch() -> None:
    image = _unit(4, 8)
    text = image[[0, 0, 2, 3]]
    same = torch.eye(4)
    same[0, 1] = same[1, 0] = 0.5
    scale, bias = torch.tensor(3.0), torch.tensor(-3.0)
    one, other = (sigmoid_loss(image, text, scale, bias, each) for each in (None, same))
    assert other < one


def test_two_views_are_told_from_all_others() -> None:
    """With all views orthogonal but the pairs equal, the loss is known: log(e^s + 2B - 2) - s."""
    views = torch.eye(5)
    loss = view_loss(views, views, torch.tensor(0.0))
    assert float(loss) == pytest.approx(math.log(math.e + 8) - 1, rel=1e-6)
    assert view_loss(views, views.roll(1, 0), torch.tensor(0.0)) > loss


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_pieces_give_the_gradients_of_the_whole(size: int) -> None:
    torch.manual_seed(0)
    tower = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.0), nn.Tanh(), nn.Linear(16, 5))
    x, text = torch.randn(8, 6), _unit(8, 5)

    def embed(rows: torch.Tensor) -> torch.Tensor:
        return functional.normalize(tower(rows), dim=1)

    grads = []
    for image in (embed(x), in_pieces(embed, [x], size)):
        tower.zero_grad()
        contrastive_loss(image, text, torch.tensor(2.0)).backward()
        grads.append(torch.cat([p.grad.flatten() for p in tower.parameters()]))
    assert grads[1] == pytest.approx(grads[0], abs=1e-6)


def test_pieces_repeat_their_random_numbers_and_hold_one_piece_at_a_time() -> None:
    torch.manual_seed(0)
    tower, x = nn.Sequential(nn.Linear(6, 400), nn.Dropout(0.5), nn.Linear(400, 5)), torch.randn(64, 6)
    kept: list[int] = []

    def count(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
        out = in_pieces(tower, [x], 4)
    # nothing of the wide layer is kept: only what goes in
    assert max(kept, default=0) <= x.numel()
    seen = out.detach().clone()
    out.sum().backward()
    # d sum / d weight is the hidden layer summed over rows, as it was with the first random numbers
    recovered = torch.diagonal(tower[2].weight.grad @ tower[2].weight.detach().T).sum()
    assert float(recovered) == pytest.approx(float((seen - tower[2].bias.detach()).sum()), rel=1e-3)
