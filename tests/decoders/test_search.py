"""Search: the best text by enumeration, draws by chi-square, and the decoder's own probabilities."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from sagittal.decoders.language import LanguageConfig, LanguageDecoder
from sagittal.decoders.search import Written, beam, greedy, narrowed, sample
from sagittal.layers.features import Features, Tokens

END, VOCABULARY, MOST = 2, 6, 4


def model(seed: int, sharp: float = 2) -> LanguageDecoder:
    torch.manual_seed(seed)
    made = LanguageDecoder(LanguageConfig(VOCABULARY, 16, layers=1, heads=2), 8)
    with torch.no_grad():
        made.embed.weight.mul_(sharp)
    return made.eval()


def image(batch: int) -> Features:
    tokens = torch.randn(batch, 3, 8, generator=torch.Generator().manual_seed(1))
    return Features((), tokens, tokens.mean(1))


def start(batch: int) -> Tokens:
    return Tokens(torch.ones(batch, 1, dtype=torch.int64), torch.ones(batch, 1, dtype=torch.bool))


def every_text(decoder: LanguageDecoder, context: Features) -> dict[tuple[int, ...], float]:
    """Log-probability of each text of at most MOST tokens, by the forward pass without any memory."""
    words = [i for i in range(VOCABULARY) if i not in (0, 1, END)]
    texts = [(*head, END) for n in range(MOST) for head in itertools.product(words, repeat=n)] + list(
        itertools.product(words, repeat=MOST)
    )
    found = {}
    for text in texts:
        ids = torch.tensor([[1, *text]])
        with torch.no_grad():
            logits = decoder(Tokens(ids, torch.ones_like(ids, dtype=torch.bool)), context)[0]
        logits[:, :2] = -torch.inf
        logp = logits.log_softmax(-1)
        found[text] = float(sum(logp[place, token] for place, token in enumerate(text)))
    return found


def row(written: Written, index: int) -> tuple[int, ...]:
    return tuple(written.text.ids[index][written.text.mask[index]].tolist())


@pytest.mark.parametrize("penalty", [0.0, 1.5])
def test_a_wide_beam_finds_the_best_of_all_texts(penalty: float) -> None:
    better = 0
    for seed in range(6):
        decoder, context = model(seed, sharp=0.8), image(2)
        found = beam(decoder, start(2), context, end=END, most=MOST, beams=3 ** (MOST - 1), penalty=penalty)
        plain = greedy(decoder, start(2), context, end=END, most=MOST)
        for index in range(2):
            one = Features((), context.tokens[index : index + 1], context.pooled[index : index + 1])
            texts = every_text(decoder, one)
            assert sum(math.exp(value) for value in texts.values()) == pytest.approx(1, abs=1e-4)
            score = {text: value / ((5 + len(text)) / 6) ** penalty for text, value in texts.items()}
            best = max(score, key=score.__getitem__)
            assert row(found, index) == best
            assert float(found.log_probability[index]) == pytest.approx(texts[best], abs=1e-4)
            assert bool(found.ended[index]) == (best[-1] == END)
            assert float(plain.log_probability[index]) == pytest.approx(texts[row(plain, index)], abs=1e-4)
            better += row(plain, index) != best
    assert better > 0  # else greedy would have passed this test too


def test_drawing_among_one_is_greedy() -> None:
    for seed in range(6):
        decoder, context = model(seed), image(3)
        plain = greedy(decoder, start(3), context, end=END, most=8)
        cold = sample(decoder, start(3), context, end=END, most=8, top_k=1)
        assert torch.equal(plain.text.ids, cold.text.ids)
        torch.testing.assert_close(plain.log_probability, cold.log_probability)


@pytest.mark.parametrize(
    "how",
    [{}, {"temperature": 1.7}, {"top_k": 2}, {"top_p": 0.7}, {"temperature": 0.8, "top_k": 3, "top_p": 0.9}],
)
def test_draws_follow_the_exact_probabilities(how: dict[str, float]) -> None:
    decoder, n = model(2, sharp=0.7), 3000
    context = image(1)
    many = Features((), context.tokens.expand(n, -1, -1), context.pooled.expand(n, -1))
    drawn = sample(decoder, start(n), many, end=END, most=2, seed=5, **how)  # type: ignore[arg-type]
    assert torch.equal(
        drawn.text.ids,
        sample(decoder, start(n), many, end=END, most=2, seed=5, **how).text.ids,  # type: ignore[arg-type]
    )
    exact = _two_tokens(decoder, context, how)
    counts = dict.fromkeys(exact, 0)
    for index in range(n):
        counts[row(drawn, index)] += 1  # a text that cannot be is a KeyError
    expected = {text: n * p for text, p in exact.items()}
    large = [text for text, count in expected.items() if count >= 5]
    seen, wanted = [counts[t] for t in large], [expected[t] for t in large]
    if len(large) < len(exact):
        seen.append(n - sum(seen))
        wanted.append(n - sum(wanted))
    assert len(seen) > 2
    wanted = [n * value / sum(wanted) for value in wanted]  # to the last bit
    assert chisquare(seen, wanted).pvalue > 1e-3
    flat = [n / len(seen)] * len(seen)
    assert chisquare(seen, flat).pvalue < 1e-6  # so many draws would tell a wrong distribution


def _two_tokens(
    decoder: LanguageDecoder, context: Features, how: dict[str, float]
) -> dict[tuple[int, ...], float]:
    def chances(text: list[int]) -> Tensor:
        ids = torch.tensor([[1, *text]])
        with torch.no_grad():
            logits = decoder(Tokens(ids, torch.ones_like(ids, dtype=torch.bool)), context)[0, -1]
        logits[:2] = -torch.inf
        p = (logits / how.get("temperature", 1.0)).softmax(-1)
        order = sorted(range(VOCABULARY), key=lambda i: -p[i])
        kept, total = [], 0.0
        whole = float(p[order[: int(how.get("top_k", VOCABULARY))]].sum())
        for index in order[: int(how.get("top_k", VOCABULARY))]:
            if total < how.get("top_p", 1.0):
                kept.append(index)
                total += float(p[index]) / whole
        return torch.where(torch.isin(torch.arange(VOCABULARY), torch.tensor(kept)), p, 0.0) / p[kept].sum()

    exact = {}
    for first, p in enumerate(chances([]).tolist()):
        if first == END and p:
            exact[(END,)] = p
        elif p:
            exact |= {(first, second): p * q for second, q in enumerate(chances([first]).tolist()) if q}
    return exact


def test_narrowing_by_hand() -> None:
    logp = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log()
    torch.testing.assert_close(narrowed(logp, top_k=2).exp(), torch.tensor([[2 / 3, 1 / 3, 0, 0]]))
    torch.testing.assert_close(narrowed(logp, top_p=0.75).exp(), torch.tensor([[2 / 3, 1 / 3, 0, 0]]))
    torch.testing.assert_close(
        narrowed(logp, top_p=0.76).exp(), torch.tensor([[0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0]])
    )
    torch.testing.assert_close(narrowed(logp, top_p=1e-9).exp(), torch.tensor([[1.0, 0, 0, 0]]))
    squared = torch.tensor([[0.25, 0.0625, 0.0225, 0.01]])
    torch.testing.assert_close(narrowed(logp, temperature=0.5).exp(), squared / squared.sum())
    torch.testing.assert_close(narrowed(logp, top_k=9).exp(), logp.exp())
    for bad in ({"temperature": 0.0}, {"top_k": -1}, {"top_p": 0.0}):
        with pytest.raises(ValueError, match="temperature must be above 0"):
            narrowed(logp, **bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("search", [greedy, beam, sample])
def test_a_row_is_written_as_if_it_were_alone(search: object) -> None:
    """Prompts of different lengths in one batch, some of which end early."""
    decoder, context = model(3), image(3)
    mask = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])
    prompt = Tokens(torch.tensor([[1, 4, 5], [1, 0, 0], [1, 3, 0]]), mask)
    how = {"top_k": 1} if search is sample else {}
    together = search(decoder, prompt, context, end=END, most=6, **how)  # type: ignore[operator]
    for index in range(3):
        alone = search(  # type: ignore[operator]
            decoder,
            Tokens(prompt.ids[index : index + 1][:, mask[index]], mask[index : index + 1][:, mask[index]]),
            Features((), context.tokens[index : index + 1], context.pooled[index : index + 1]),
            end=END, most=6, **how,
        )  # fmt: skip
        assert row(alone, 0) == row(together, index)
        torch.testing.assert_close(alone.log_probability[0], together.log_probability[index])
    assert not (together.text.ids == 1).any()


def test_the_start_may_be_the_end_too() -> None:
    """In a tokenizer that has no end of its own, id 1 is both."""
    decoder, context = model(3, sharp=1), image(8)
    made = sample(decoder, start(8), context, end=1, most=12)
    last = made.text.mask.sum(1) - 1
    assert made.ended.any()
    for index in range(8):
        ids = made.text.ids[index][made.text.mask[index]].tolist()
        assert (ids.index(1) == last[index]) if made.ended[index] else (1 not in ids)


def test_a_prompt_without_a_token_is_an_error() -> None:
    with pytest.raises(ValueError, match="every prompt must have a token"):
        greedy(model(0), Tokens(start(1).ids, ~start(1).mask), end=END)
    with pytest.raises(ValueError, match="beams must be at least 1"):
        beam(model(0), start(1), end=END, beams=0)
