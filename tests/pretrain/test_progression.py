"""What has changed since earlier dates: known with them, in their order, and not without."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sagittal.branch import BranchConfig
from sagittal.encoders.picture import PictureConfig
from sagittal.encoders.text import TextConfig
from sagittal.encoders.tokenizer import train_tokenizer
from sagittal.model import Earlier, Model, ModelConfig
from sagittal.pretrain.contrastive import contrastive_loss
from sagittal.pretrain.masked import MaskedHead, Masking, masked_loss, target
from sagittal.pretrain.progression import direction_known, progression_loss, reversed_dates
from sagittal.training.loop import FitConfig, fit

SAID = {
    (False, True): "a nodule, larger than before.", (False, False): "a nodule, smaller than before.",
    (True, True): "an effusion, larger than before.", (True, False): "an effusion, smaller than before.",
}  # fmt: skip
Batch = tuple[Tensor, Earlier, list[str]]


@given(st.lists(st.one_of(st.none(), st.integers(1, 900)), min_size=1, max_size=4, unique=True))
def test_time_runs_backwards_and_forwards_again(ages: list[int | None]) -> None:
    days = torch.tensor([[math.nan if age is None else float(age) for age in ages]])
    known = [0, *(age for age in ages if age is not None)]
    image, images = torch.zeros(1, 1), torch.nan_to_num(days)[..., None]  # each image shows its own age
    current, earlier = reversed_dates(image, Earlier(images, days))
    assert current.item() == max(known)
    there = ~earlier.days.isnan()
    assert torch.equal(there, ~days.isnan())
    # an image of age a lies max - a days before the oldest, which is now the current one
    torch.testing.assert_close(earlier.days[there], max(known) - earlier.images[..., 0][there])
    again, once = reversed_dates(current, earlier)
    assert torch.equal(again, image)
    torch.testing.assert_close(once.days.nan_to_num().sort().values, days.nan_to_num().sort().values)


def test_the_loss_by_hand() -> None:
    there, back, text = torch.eye(3), torch.eye(3).flip(0), torch.eye(3)
    scale, changed = torch.tensor(0.0), torch.tensor([True, True, False])
    # the first fits better by 1, the second (the middle row of the flipped) equally well both ways
    loss = progression_loss(there, back, text, scale, changed)
    assert float(loss) == pytest.approx((math.log(1 + math.exp(-1)) + math.log(2)) / 2, abs=1e-6)
    assert direction_known(there, back, text, changed) == 0.75
    nothing = torch.zeros(3, dtype=torch.bool)
    assert float(progression_loss(there, back, text, scale, nothing)) == 0
    assert math.isnan(direction_known(there, back, text, nothing))


def pictures(rows: int, generator: torch.Generator) -> Batch:
    """A square or a bar that has grown or shrunk to the size that all have now; three dates, or two of half.

    The earlier dates stand in any order: only their ages tell which is the oldest.
    """
    dates = 3
    kind, grows = (torch.rand(2, rows, generator=generator) < 0.5).unbind(0)
    change = 1 + torch.rand(rows, 1, generator=generator) * 1.5
    steps = torch.linspace(1, 0, dates)[None]
    sizes = 4.5 - torch.where(grows[:, None], change, -change) * steps  # oldest first, now last
    days = (torch.arange(dates - 1, 0, -1, dtype=torch.float32) * 100).expand(rows, -1)
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    wide = torch.where(kind, 2.5, 1.0)[:, None, None, None]
    far = torch.maximum((y - 7.5).abs(), (x - 7.5).abs() / wide)
    shown = (sizes[..., None, None] - far).clamp(0, 1) + 0.05 * torch.randn(
        rows, dates, 16, 16, generator=generator
    )
    shown = shown[:, :, None]
    order = torch.randperm(dates - 1, generator=generator)
    texts = [SAID[bool(k), bool(g)] for k, g in zip(kind, grows, strict=True)]
    days = days[:, order].clone()
    days[::2, int((order == 1).nonzero())] = math.nan  # without the one between
    return shown[:, -1], Earlier(shown[:, :-1][:, order], days), texts


def small(priors: bool = True) -> Model:
    torch.manual_seed(0)
    tokenizer = train_tokenizer(SAID.values(), 300)
    encoder = PictureConfig(widths=(8, 16), blocks=(0, 1), strides=(2, 2), heads=2)
    text = TextConfig(tokenizer.size, 16, 1, 2)
    config = ModelConfig({"film": BranchConfig(encoder)}, text, 16, 16, 2, priors=priors)
    return Model(config, tokenizer)


def test_change_is_known_from_the_dates_before() -> None:
    model = small()
    changed = torch.ones(32, dtype=torch.bool)

    def batches(start: int) -> Iterator[Batch]:
        for number in range(start, 10**6):
            yield pictures(32, torch.Generator().manual_seed(number))

    def embedded(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        image, earlier, texts = batch
        assert model.tokenizer is not None
        there = model.embed("film", image, earlier=earlier)
        oldest, later = reversed_dates(image, earlier)
        back = model.embed("film", oldest, earlier=later)
        return there, back, model.encode_text(*model.tokenizer(texts, 16))

    def loss(batch: Batch) -> dict[str, Tensor]:
        same = torch.tensor([[float(a == b) for b in batch[2]] for a in batch[2]])
        same = same / same.sum(1, keepdim=True)
        there, back, text = embedded(batch)
        return {
            "pairs": contrastive_loss(there, text, model.scale, same),
            "direction": progression_loss(there, back, text, model.scale, changed),
        }

    fit(model, loss, batches, FitConfig(steps=220, learning_rate=5e-3, average=None, bf16=False))
    model.eval()
    unseen = pictures(200, torch.Generator().manual_seed(10**7))
    with torch.no_grad():
        there, back, text = embedded(unseen)
        assert direction_known(there, back, text, torch.ones(200, dtype=torch.bool)) > 0.95
        # which of the four sentences is right: with the earlier dates, and without them
        assert model.tokenizer is not None
        sentences = model.encode_text(*model.tokenizer(list(SAID.values()), 16))
        right = torch.tensor([list(SAID.values()).index(said) for said in unseen[2]])
        known = ((there @ sentences.T).argmax(1) == right).float().mean()
        alone = ((model.embed("film", unseen[0]) @ sentences.T).argmax(1) == right).float().mean()
    assert known > 0.9
    assert alone < 0.65  # square or bar is seen, its change is a guess


def test_a_hidden_image_is_foretold_from_the_earlier_one() -> None:
    """Each patient's texture is their own: hidden wholly, it is known from an earlier date alone."""
    masking = Masking((4, 4), 0.5, (2, 2))
    model = small()
    head = MaskedHead(16, 16, 1, masking)
    both = nn.ModuleDict({"model": model, "head": head})
    hidden = torch.ones(16, 1, 4, 4, dtype=torch.bool)

    def draw(number: int) -> tuple[Tensor, Earlier]:
        generator = torch.Generator().manual_seed(number)
        cell = torch.randn(16, 1, 2, 2, generator=generator)
        cell = cell.repeat_interleave(2, 2).repeat_interleave(2, 3)
        before, now = (
            cell.tile(1, 1, 4, 4) + 0.05 * torch.randn(16, 1, 16, 16, generator=generator) for _ in "ab"
        )
        return now, Earlier(before[:, None], torch.full((16, 1), 90.0))

    def error(image: Tensor, earlier: Earlier | None) -> Tensor:
        wanted = target(image, masking)
        seen = model.looked_back("film", model.encode("film", head.hide(image, hidden)), earlier)
        return masked_loss(head(seen, wanted.shape[2:-1]), wanted, hidden)

    def batches(start: int) -> Iterator[tuple[Tensor, Earlier]]:
        return map(draw, range(start, 10**6))

    plan = FitConfig(steps=240, learning_rate=5e-3, average=None, bf16=False)
    fit(both, lambda batch: {"masked": error(*batch)}, batches, plan)
    both.eval()
    image, earlier = draw(10**7)
    others = Earlier(earlier.images.roll(1, 0), earlier.days)
    with torch.no_grad():
        known, alone, another = (float(error(image, each)) for each in (earlier, None, others))
    assert known < 0.3
    assert alone > 0.9 and another > 0.9
