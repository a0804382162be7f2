"""Self-distillation learns what two views share, and a collapsed teacher is told."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sagittal.encoders.picture import PictureConfig, PictureEncoder
from sagittal.pretrain.distillation import Distillation, DistillationConfig, health
from sagittal.pretrain.masked import Masking
from sagittal.pretrain.probe import linear_probe
from sagittal.training.loop import FitConfig, fit

CONFIG = DistillationConfig(
    prototypes=32, hidden=32, bottleneck=16, momentum=0.95, masking=Masking((8, 8), 0.3)
)
WIDTH = 24


def _encoder() -> PictureEncoder:
    stages = PictureConfig(widths=(32,), blocks=(0,), strides=(8,), mixers=1, heads=4)
    return PictureEncoder(stages, WIDTH)


def _stripes(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two views (B, 1, 32, 32) of stripes, upright or lying, of any phase, brightness and noise."""
    random = torch.Generator().manual_seed(seed)
    kind = torch.randint(0, 2, (count,), generator=random)

    def view() -> Tensor:
        phase = torch.rand(count, 1, 1, generator=random) * 6.28
        wave = torch.sin(torch.arange(32) * 1.2 + phase).expand(count, 32, 32)
        wave = torch.where(kind[:, None, None] == 1, wave, wave.transpose(1, 2))
        gain = 0.5 + torch.rand(count, 1, 1, generator=random)
        return (wave * gain + 1.2 * torch.randn(count, 32, 32, generator=random))[:, None]

    return view(), view(), kind


@pytest.fixture(scope="module")
def taught() -> Distillation:
    torch.manual_seed(1)
    model = Distillation(_encoder(), WIDTH, 1, CONFIG)

    def losses(views: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        model.follow()
        return model(views[0], views[1])

    batches = lambda n: (_stripes(32, seed) for seed in range(n, 10_000))  # noqa: E731
    fit(model, losses, batches, FitConfig(steps=60, learning_rate=3e-3, average=None))
    return model.eval()


def _read_off(encoder: torch.nn.Module) -> float:
    with torch.no_grad():
        sets = [_stripes(128, seed)[::2] for seed in (20_000, 20_001)]
        (train, wanted), (test, truth) = ((encoder(image).pooled, kind) for image, kind in sets)
        scores = linear_probe(train, wanted.float()[:, None], test)
    return float(((scores[:, 0] > 0) == truth.bool()).float().mean())


def test_what_two_views_share_can_be_read_off_the_student(taught: Distillation) -> None:
    torch.manual_seed(1)
    blank = _read_off(_encoder())
    assert blank < 0.8
    assert _read_off(taught.student) > 0.9


def test_a_healthy_teacher_answers_differently(taught: Distillation) -> None:
    with torch.no_grad():
        whole, parts = taught.answers(taught.teacher(_stripes(128, 30_000)[0]))
    assert whole.shape == (128, 32) and parts.shape[::2] == (128, 32)
    assert whole.sum(-1) == pytest.approx(torch.ones(128), abs=1e-4)
    assert health(whole).collapsed == ""


def test_collapse_is_told() -> None:
    same = torch.zeros(50, 8)
    same[:, 3] = 1
    assert "same answer" in health(same).collapsed
    assert "no picture" in health(torch.full((50, 8), 1 / 8)).collapsed
    each = torch.eye(8).repeat(10, 1)
    assert health(each) == pytest.approx((1.0, 0.0), abs=1e-5) and health(each).collapsed == ""
    halves = (
        torch.eye(8).reshape(2, 4, 8).sum(0)[:2] / 2
    )  # two pictures that share no answer: no further apart
    assert health(halves) == pytest.approx((1.0, 1 / 3))


def test_the_teacher_follows_and_is_not_trained() -> None:
    model = Distillation(_encoder(), WIDTH, 1, CONFIG)
    assert not any(p.requires_grad for p in (*model.teacher.parameters(), *model.teacher_head.parameters()))
    with torch.no_grad():
        for p in model.student.parameters():
            p.add_(1.0)
    before = [p.clone() for p in model.teacher.parameters()]
    model.follow()
    for old, new in zip(before, model.teacher.parameters(), strict=True):
        assert new - old == pytest.approx(torch.full_like(old, 0.05), abs=1e-5)


def test_a_patch_that_was_seen_costs_nothing() -> None:
    """With equal views the patch loss looks at hidden blocks only: visible ones have no share in it."""
    model = Distillation(_encoder(), WIDTH, 1, CONFIG).eval()
    image = torch.randn(4, 1, 32, 32)
    losses = [model(image, image, torch.Generator().manual_seed(s))["patch"] for s in (0, 1)]
    assert losses[0] != losses[1]
