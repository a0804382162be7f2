"""Promptable masks: discs among others, of which a click, a box, a word or an earlier mask says which."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sagittal.decoders.prompt import PromptDecoder, Prompted, with_clicks
from sagittal.decoders.prompts import Prompts, box_to_index, paint, to_index
from sagittal.layers.convolution import enlarge
from sagittal.layers.features import Features
from sagittal.layers.mixer import MixerConfig
from sagittal.layers.trunk import Trunk
from sagittal.training.prompting import next_click, overlap, prompt_loss

SIZE = (32, 32)
WIDTHS = (16, 24)


class Toy(nn.Module):
    """A small encoder, two words and the decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(
            24, channels=1, widths=WIDTHS, blocks=(1, 1), kernels=[(3, 3)] * 2, strides=[(2, 2)] * 2,
            mixers=1, mixer=MixerConfig(heads=2),
        )  # fmt: skip
        self.words = nn.Embedding(2, 24)
        self.decoder = PromptDecoder(
            24, 2, WIDTHS, [(3, 3)] * 2, hypotheses=2, layers=1, channels=12, detail=(2, 2)
        )

    def forward(self, image: Tensor, prompts: Prompts) -> Prompted:
        return self.decoder(self.trunk(image), prompts, SIZE)

    def word(self, which: Tensor, there: Tensor) -> Features:
        tokens = self.words(which)[:, None]
        return Features((), tokens, tokens[:, 0], there[:, None])


def scene(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images (n, 1, 32, 32) of a bright and a dark disc, their whole masks and cores (n, 2, 32, 32)."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    whole, core = torch.zeros(n, 2, 32, 32), torch.zeros(n, 2, 32, 32)
    side = torch.randint(2, (n,))
    for i in range(n):
        for k in range(2):
            left = (k + int(side[i])) % 2
            cy, cx = torch.rand(2) * torch.tensor([16.0, 4.0]) + torch.tensor([8.0, 6.0 + 16 * left])
            radius = 4.5 + 2.0 * float(torch.rand(1))
            squared = (y - cy) ** 2 + (x - cx) ** 2
            whole[i, k], core[i, k] = (squared < radius**2).float(), (squared < (0.5 * radius) ** 2).float()
    image = (whole[:, 0] - whole[:, 1] + 0.8 * core.sum(1))[:, None]
    return image + 0.15 * torch.randn(n, 1, 32, 32), whole, core


def middle(mask: Tensor) -> Tensor:
    """(B, 1, 2): the mean place of masks (B, 32, 32)."""
    place = torch.arange(32.0)
    total = mask.sum((1, 2))
    return torch.stack([(mask.sum(2) * place).sum(1) / total, (mask.sum(1) * place).sum(1) / total], -1)[
        :, None
    ]


def box(mask: Tensor) -> Tensor:
    """(B, 1, 2, 2): the box around masks (B, 32, 32)."""
    corners = [torch.stack([m.nonzero().amin(0), m.nonzero().amax(0)]) for m in mask]
    return torch.stack(corners).float()[:, None]


def ask(toy: Toy, kind: int | Tensor, which: Tensor, target: Tensor, earlier: Tensor) -> Prompts:
    """Prompts of a kind a row: 0 click, 1 box, 2 word, 3 an earlier mask, 4 that and a correcting click."""
    kind = torch.as_tensor(kind).expand(len(target))
    here = middle(target)
    fix, sign = next_click(earlier, target[:, None])
    return Prompts(
        points=torch.cat([here, fix], 1),
        signs=torch.stack([torch.where(kind == 0, 1, -1), torch.where(kind == 4, sign[:, 0], -1)], 1),
        boxes=torch.where((kind == 1)[:, None, None, None], box(target), torch.nan),
        text=toy.word(which, kind == 2),
        previous=torch.where((kind >= 3)[:, None, None, None], earlier, 0.0),
    )


def rough(target: Tensor) -> Tensor:
    """A poor earlier mask: the target moved by two pixels down and right, as logits (B, 1, 32, 32)."""
    return 8 * torch.roll(target, (2, 2), (1, 2))[:, None] - 4


def trained(steps: int = 190, n: int = 15) -> Toy:
    torch.manual_seed(0)
    toy = Toy()
    optimiser = torch.optim.AdamW(toy.parameters(), 5e-3, fused=True)
    images, whole, core = scene(300)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 5e-3 * min(1.0, (step + 1) / 10, 1.5 * (1 - step / steps))
        chosen, which, kind = torch.randint(300, (n,)), torch.randint(2, (n,)), torch.arange(n) % 5
        small = (torch.rand(n) < 0.5) & (kind != 2)  # a word means the whole disc
        target = torch.where(small[:, None, None], core[chosen, which], whole[chosen, which])
        other = torch.where(small[:, None, None], whole[chosen, which], core[chosen, which])
        earlier = torch.where((kind == 4)[:, None, None, None], 8 * other[:, None] - 4, rough(target))
        found = toy(images[chosen], ask(toy, kind, which, target, earlier))
        terms = prompt_loss(found.masks, found.confidence, target[:, None])
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
    return toy.eval()


@pytest.fixture(scope="module")
def toy() -> Toy:
    return trained()


@torch.no_grad()
def reached(toy: Toy, kind: int, name: str) -> tuple[float, float]:
    """Mean IoU of the best hypothesis and of the one that is chosen, on new pictures."""
    torch.manual_seed(9)
    image, whole, core = scene(48)
    which = torch.arange(48) % 2
    masks = {"whole": whole, "core": core}[name][torch.arange(48), which]
    found = toy(image, ask(toy, kind, which, masks, rough(masks)))
    return (
        overlap(found.masks, masks[:, None]).max(1).values.mean().item(),
        overlap(found.best(), masks[:, None]).mean().item(),
    )


def test_an_ambiguous_click_gets_several_answers(toy: Toy) -> None:
    """The same click may mean the core or the whole disc: one hypothesis is each."""
    whole, core = reached(toy, 0, "whole"), reached(toy, 0, "core")
    assert whole[0] > 0.75
    assert core[0] > 0.65
    assert whole[1] + core[1] < 1.4  # one answer cannot be both


def test_a_box_says_which_one(toy: Toy) -> None:
    assert reached(toy, 1, "whole")[1] > 0.6
    assert reached(toy, 1, "core")[1] > 0.6


def test_a_word_chooses_among_discs(toy: Toy) -> None:
    """The wrong disc would have IoU 0."""
    assert reached(toy, 2, "whole")[1] > 0.7


def test_an_earlier_mask_is_refined(toy: Toy) -> None:
    torch.manual_seed(9)
    _, whole, _ = scene(48)
    masks = whole[torch.arange(48), torch.arange(48) % 2]
    before = overlap(rough(masks), masks[:, None]).mean().item()
    assert before < 0.65
    assert reached(toy, 3, "whole")[0] > before + 0.15


@torch.no_grad()
def test_a_second_click_repairs(toy: Toy) -> None:
    torch.manual_seed(9)
    image, whole, core = scene(48)
    which = torch.arange(48) % 2
    target = core[torch.arange(48), which]
    click = Prompts(points=middle(whole[torch.arange(48), which]), signs=torch.ones(48, 1))
    first = enlarge(toy(image, click).masks, SIZE)
    wrong = overlap(first, target[:, None]).argmin(1)  # the hypothesis that meant something else
    drawn = first[torch.arange(48), wrong][:, None]
    again = with_clicks(Prompts(), *next_click(drawn, target[:, None]), drawn)
    before = overlap(drawn, target[:, None]).mean().item()
    after = overlap(toy(image, again).best(), target[:, None]).mean().item()
    assert after > before + 0.25


@pytest.mark.parametrize("axes", [2, 3])
def test_shapes_gradients_and_padding(axes: int) -> None:
    torch.manual_seed(0)
    size = (8, 16, 16)[-axes:]
    kernels, strides = [(3,) * axes] * 2, [(2,) * axes] * 2
    trunk = Trunk(
        16,
        channels=1,
        widths=(8, 16),
        blocks=(1, 1),
        kernels=kernels,
        strides=strides,
        mixers=0,
        mixer=MixerConfig(),
    )
    decoder = PromptDecoder(16, 2, (8, 16), kernels, hypotheses=3, channels=8, detail=(2,) * axes)
    features = trunk(torch.randn(2, 1, *size))
    points, signs = torch.rand(2, 3, axes) * 8, torch.tensor([[1.0, 0, -1], [1, -1, -1]])
    boxes = torch.tensor([[2.0] * axes, [6.0] * axes]).expand(2, 1, 2, axes).clone()
    boxes[1] = torch.nan
    words = torch.randn(2, 4, 16)
    text = Features((), words, words.mean(1), torch.tensor([[True] * 4, [False] * 4]))
    previous = torch.randn(2, 1, *size)
    prompts = Prompts(points, signs, boxes, text, previous)
    found = decoder(features, prompts, size)
    assert found.masks.shape == (2, 3, *size)
    assert found.iou.shape == (2, 3)
    assert found.best().shape == (2, 1, *size)
    target = torch.zeros(2, 1, *size)
    torch.stack(list(prompt_loss(found.masks, found.confidence, target).values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in decoder.parameters())
    assert decoder(features, Prompts(), size).masks.shape == (2, 3, *size)
    # what is padding says nothing: the second row has one point alone
    other_points, other_words = points.clone(), words.clone()
    other_points[1, 1:], other_words[1] = 3.0, 9.0
    other = Prompts(
        other_points, signs, boxes, Features((), other_words, other_words.mean(1), text.mask), previous
    )
    again = decoder(features, other, size)
    assert torch.equal(again.masks, found.masks)
    assert torch.equal(again.confidence, found.confidence)


def test_millimetres_are_voxels() -> None:
    """A grid with thick slices, turned and moved: points and boxes in LPS come back as indices."""
    affine = torch.tensor(
        [[0.0, 0.1, 0.8, -90], [0.0, -0.8, 0.1, 40], [5.0, 0.0, 0.0, -60], [0, 0, 0, 1]], dtype=torch.float64
    )
    index = torch.tensor([[3.0, 10, 20], [0, 0, 0], [7.5, 4, 1]], dtype=torch.float64)
    mm = index @ affine[:3, :3].T + affine[:3, 3]
    torch.testing.assert_close(to_index(mm, affine), index)
    assert to_index(mm.float(), affine).dtype == torch.float32
    flipped = torch.diag(torch.tensor([-2.0, 3.0, 1.0]))  # index 0 grows against the patient's axis
    box_mm = torch.tensor([[-8.0, 3.0], [-2.0, 9.0]])
    torch.testing.assert_close(box_to_index(box_mm, flipped), torch.tensor([[1.0, 1.0], [4.0, 3.0]]))
    slice_in_space = affine[:, [1, 2, 3]]  # a (y, x) picture: what lies beside it is dropped onto it
    beside = mm[0] - 3 * affine[:3, 0]
    torch.testing.assert_close(to_index(beside + 2 * affine[:3, 0], slice_in_space), index[0, 1:])


def test_painted_where_it_was_said() -> None:
    like = torch.zeros(1, 5, 8, 8)  # a map of an image of 16 x 32: cells of 2 x 4 pixels
    prompts = Prompts(
        points=torch.tensor([[[4.5, 9.5], [12.5, 29.5]]]),
        signs=torch.tensor([[1.0, 0.0]]),
        boxes=torch.tensor([[[[4.0, 8.0], [7.0, 15.0]], [[float("nan")] * 2] * 2]]),
        previous=torch.full((1, 1, 16, 32), 50.0),
    )
    painted = paint(prompts, like, (16, 32))[0]
    assert painted[0].argmax() == 2 * 8 + 2
    assert painted[0].max() == 1
    assert painted[1].argmax() == 6 * 8 + 7
    inside = torch.zeros(8, 8)
    inside[2:4, 2:4] = 1
    assert torch.equal(painted[2], inside)
    assert torch.equal(painted[3], torch.ones(8, 8))
    assert paint(Prompts(), like, (16, 32)).abs().max() == 0


def test_the_next_click_is_in_the_deepest_error() -> None:
    target, mask = torch.zeros(3, 1, 20, 20), torch.full((3, 1, 20, 20), -5.0)
    target[0, 0, 2:9, 2:9] = 1  # missed: 7 x 7, deepest at 5, 5
    mask[0, 0, 12:15, 12:15] = 5.0  # too much, but smaller
    target[1, 0, 3:6, 3:6] = 1
    mask[1, 0, 3:6, 3:6] = 5.0
    mask[1, 0, 10:19, 0:5] = 5.0  # too much, at the border: deepest in column 2
    points, signs = next_click(mask, target)
    assert signs.tolist() == [[1], [0], [-1]]
    assert points[0, 0].tolist() == [5.0, 5.0]
    assert points[1, 0, 1] == 2
    assert 12 <= points[1, 0, 0] <= 16
    volume = torch.zeros(1, 1, 5, 5, 5)
    volume[0, 0, 1:4, 1:4, 1:4] = 1
    assert next_click(torch.full_like(volume, -1.0), volume)[0].tolist() == [[[2.0, 2.0, 2.0]]]


def test_only_the_best_hypothesis_learns_much() -> None:
    target = torch.zeros(1, 1, 4, 4)
    target[..., :2] = 1
    right = 4 * (2 * target - 1)
    masks = torch.cat([right, -right], dim=1).requires_grad_()
    confidence = torch.zeros(1, 2, requires_grad=True)
    terms = prompt_loss(masks, confidence, target)
    terms["mask"].backward()
    alone = prompt_loss(right, confidence[:, :1], target)["mask"]
    assert alone < terms["mask"] < alone + 0.3  # a wrong one costs little beside a right one
    terms["iou"].backward()
    assert confidence.grad[0, 0] < 0 < confidence.grad[0, 1]  # expect 1 of the right one, 0 of the other
    assert overlap(torch.full((1, 1, 2, 2), -1.0), torch.zeros(1, 1, 2, 2)).item() == 1


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="given together"):
        Prompts(points=torch.zeros(1, 1, 2))
    with pytest.raises(ValueError, match=r"\(B, Q, 2, A\)"):
        Prompts(boxes=torch.zeros(1, 2, 2))
