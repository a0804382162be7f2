"""The language decoder: causal, blind to padding, and the same with its memory as without."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sagittal.decoders.language import LanguageConfig, LanguageDecoder, joined, opened
from sagittal.layers.features import Features, Tokens
from sagittal.layers.mixer import MixerConfig

WIDTH, VOCABULARY = 24, 40
MIXERS = [
    MixerConfig(causal=True, heads=2),
    MixerConfig(causal=True, heads=2, window=3),
    MixerConfig("state_space", causal=True),
    MixerConfig("lstm", causal=True),
    MixerConfig("hybrid", causal=True, heads=2, window=4),
]


def decoder(mixer: MixerConfig | None = None, seed: int = 0) -> LanguageDecoder:
    torch.manual_seed(seed)
    made = LanguageDecoder(LanguageConfig(VOCABULARY, 32, layers=3, heads=2, mixer=mixer), WIDTH)
    with torch.no_grad():
        made.embed.weight.mul_(2)
    return made.eval()


def image(batch: int, mask: Tensor | None = None) -> Features:
    tokens = torch.randn(batch, 5, WIDTH, generator=torch.Generator().manual_seed(7))
    return Features((), tokens, tokens.mean(1), mask)


def texts(lengths: list[int], seed: int = 0) -> Tokens:
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = torch.randint(2, VOCABULARY, mask.shape, generator=torch.Generator().manual_seed(seed))
    return Tokens(ids, mask)


@pytest.mark.parametrize("mixer", MIXERS, ids=lambda m: f"{m.kind}{m.window or ''}")
@pytest.mark.parametrize("seen", [True, False])
def test_memory_equals_the_whole_forward(mixer: MixerConfig, seen: bool) -> None:
    """Prompts of different lengths, then one token at a time; rows see a context, some of it or none."""
    model, prompt = decoder(mixer), texts([6, 2, 4])
    context = image(3, torch.tensor([[True] * 5, [True, False, True, False, False], [False] * 5]))
    context_or_none = context if seen else None
    more = texts([5, 5, 5], seed=1)
    whole, _ = joined(prompt, more)
    with torch.no_grad():
        wanted = model(whole, context_or_none)
        logits, memory = model.extend(prompt.ids, model.begin(3, 11, context_or_none), prompt.mask)
        got = [logits]
        for column in range(5):
            logits, memory = model.extend(more.ids[:, column : column + 1], memory)
            got.append(logits)
    for row in range(3):
        ours = torch.cat([got[0][row, prompt.mask[row]], torch.cat(got[1:], 1)[row]])
        torch.testing.assert_close(ours, wanted[row, whole.mask[row]], atol=1e-5, rtol=1e-5)
    assert memory.count.tolist() == [11, 7, 9]


def test_memory_keeps_its_shapes_and_its_place() -> None:
    model = decoder()
    memory = model.begin(2, 8, image(2))
    places = [[tensor.data_ptr() for tensor in state[:2]] for state in memory.states]
    shapes = [[tensor.shape for tensor in state] for state in memory.states]
    assert shapes[0][0] == (2, 2, 8, WIDTH // 2)
    for _ in range(8):
        _, memory = model.extend(torch.full((2, 1), 5), memory)
        assert [[tensor.data_ptr() for tensor in state[:2]] for state in memory.states] == places
        assert [[tensor.shape for tensor in state] for state in memory.states] == shapes
    with pytest.raises(ValueError, match="room for 8 tokens, got 9"):
        model.extend(torch.full((2, 1), 5), memory)


def test_rows_fork() -> None:
    """Two rows forked from one go their own ways, each as if it had been alone."""
    model, prompt = decoder(), texts([4, 3])
    _, memory = model.extend(prompt.ids, model.begin(2, 6, image(2)), prompt.mask)
    forked = memory.rows(torch.tensor([1, 1, 0]))
    got, _ = model.extend(torch.tensor([[5, 6], [9, 3], [5, 6]]), forked)
    for row, (origin, tail) in enumerate([(1, [5, 6]), (1, [9, 3]), (0, [5, 6])]):
        ids = torch.cat([prompt.ids[origin][prompt.mask[origin]], torch.tensor(tail)])[None]
        whole = model(Tokens(ids, torch.ones_like(ids, dtype=torch.bool)), _row(image(2), origin))
        torch.testing.assert_close(got[row], whole[0, -2:], atol=1e-5, rtol=1e-5)


def _row(features: Features, row: int) -> Features:
    return Features((), features.tokens[row : row + 1], features.pooled[row : row + 1])


def test_no_token_sees_what_comes_after_and_all_see_the_context() -> None:
    model, text, context = decoder(), texts([6]), image(1)
    context.tokens.requires_grad_()
    embedded = model.embed.weight
    for place in range(6):
        model.zero_grad()
        context.tokens.grad = None
        model.embed.weight.requires_grad_(False)
        model(text, context)[0, place].square().sum().backward()
        assert context.tokens.grad is not None
        assert context.tokens.grad.abs().max() > 0
    changed = text.ids.clone()
    changed[0, 4] = (changed[0, 4] + 1) % VOCABULARY
    with torch.no_grad():
        before, after = model(text, context), model(Tokens(changed, text.mask), context)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().amax(-1).min() > 1e-3
    assert embedded.shape == (VOCABULARY, WIDTH)


def test_padding_counts_nothing_and_nothing_to_see_is_as_no_context() -> None:
    model, text = decoder(), texts([5])
    gaps = torch.tensor([[False, True, True, False, True, True, True, False]])
    ids = torch.full((1, 8), 3).masked_scatter(gaps, text.ids)
    torch.testing.assert_close(model(Tokens(ids, gaps))[gaps][None], model(text))
    empty = image(1, torch.zeros(1, 5, dtype=torch.bool))
    assert torch.equal(model(text, empty), model(text))


def test_prefix_and_text_are_joined_without_gaps() -> None:
    question, answer = texts([3, 1, 2]), texts([2, 4, 1], seed=3)
    question.mask[2] = False  # no question
    whole, written = joined(question, answer)
    assert whole.mask.sum(1).tolist() == [5, 5, 1]
    assert written.int().tolist() == [[0, 0, 0, 0, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]]
    assert whole.ids[0].tolist() == [*question.ids[0, :3].tolist(), *answer.ids[0, :2].tolist()]
    assert whole.ids[2, 1:].tolist() == [0, 0, 0, 0]
    prompt = opened(question)
    assert prompt.mask.sum(1).tolist() == [4, 2, 1]
    assert [prompt.ids[0, 3], prompt.ids[1, 1], prompt.ids[2, 0]] == [1, 1, 1]


def test_wrong_sizes_are_named() -> None:
    with pytest.raises(ValueError, match="at most 32 tokens, got 33"):
        decoder()(texts([33]))
    with pytest.raises(ValueError, match="1 to 32, got 33"):
        decoder().begin(1, 33)
    with pytest.raises(ValueError, match="must be causal"):
        LanguageDecoder(LanguageConfig(VOCABULARY, mixer=MixerConfig()), WIDTH)
