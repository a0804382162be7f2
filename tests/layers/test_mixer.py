"""Every mixer behind the one interface: padding, time, going on from a state, gradients, learning."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional

from sagittal.errors import BadInput
from sagittal.layers import state_space
from sagittal.layers.attention import Attention
from sagittal.layers.block import Block
from sagittal.layers.config import from_json, to_json
from sagittal.layers.mixer import MixerConfig, blocks, build

WIDTH = 12
CONFIGS = {
    "attention": MixerConfig(heads=3),
    "local": MixerConfig(heads=3, window=4),
    "state_space": MixerConfig("state_space", state=4),
    "recurrent": MixerConfig("recurrent", heads=3),
    "lstm": MixerConfig("lstm"),
    "hybrid": MixerConfig("hybrid", heads=3, window=4),
}


@pytest.fixture(autouse=True)
def few_tokens_a_chunk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(state_space, "CHUNK", 7)
    yield


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> MixerConfig:
    return CONFIGS[request.param]


def causal(config: MixerConfig) -> MixerConfig:
    return MixerConfig(**{**to_json(config), "causal": True})


def stack(config: MixerConfig, seed: int = 0) -> nn.ModuleList:
    """Three blocks, so that a hybrid has all its parts."""
    torch.manual_seed(seed)
    return blocks(config, WIDTH, 3).double()


def run(layers: nn.ModuleList, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    for layer in layers:
        tokens = layer(tokens, mask)
    return tokens


@pytest.mark.parametrize("forwards", [True, False])
def test_padding_is_as_if_it_were_not_there(config: MixerConfig, forwards: bool) -> None:
    """Wherever the padding stands, and whatever it holds."""
    layers = stack(causal(config) if forwards else config)
    real = torch.randn(2, 17, WIDTH, dtype=torch.float64)
    mask = torch.zeros(2, 25, dtype=torch.bool)
    mask[0, 8:], mask[1] = True, torch.randperm(25) < 17
    padded = 100 * torch.randn(2, 25, WIDTH, dtype=torch.float64)
    padded[mask] = real.flatten(0, 1)
    padded.requires_grad_()
    out = run(layers, padded, mask)
    torch.testing.assert_close(out[mask].reshape(2, 17, WIDTH), run(layers, real))
    out[mask].square().sum().backward()
    assert padded.grad is not None
    assert padded.grad[~mask].abs().max() == 0
    assert padded.grad[mask].abs().min(-1).values.min() > 0


def test_a_row_without_a_real_token_is_finite_and_apart(config: MixerConfig) -> None:
    layers = stack(config)
    tokens = torch.randn(2, 9, WIDTH, dtype=torch.float64, requires_grad=True)
    out = run(layers, tokens, torch.tensor([[False] * 9, [True] * 9]))
    torch.testing.assert_close(out[1:], run(layers, tokens[1:]))
    out.sum().backward()
    assert tokens.grad is not None
    assert torch.isfinite(tokens.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in layers.parameters() if p.grad is not None)


def test_causal_never_looks_ahead_and_the_others_do(config: MixerConfig) -> None:
    tokens = torch.randn(1, 20, WIDTH, dtype=torch.float64)
    other = tokens.clone()
    other[:, 11, 0] += 1
    ahead = stack(causal(config))
    apart = (run(ahead, tokens) - run(ahead, other)).abs().amax(-1)[0]
    assert apart[:11].max() == 0
    assert apart[11:14].min() > 0
    both = stack(config)
    assert (run(both, tokens) - run(both, other)).abs().amax(-1)[0, 9] > 0


def test_token_by_token_is_all_at_once(config: MixerConfig) -> None:
    """However it is split; and rows of a state may be chosen."""
    layers = stack(causal(config))
    tokens = torch.randn(3, 20, WIDTH, dtype=torch.float64)
    states = [layer.begin(3, 20) for layer in layers]
    found = []
    for part in tokens.split([9, 1, 1, 1, 3, 1, 1, 3], 1):
        for index, layer in enumerate(layers):
            part, states[index] = layer.extend(part, states[index])
        found.append(part)
    torch.testing.assert_close(torch.cat(found, 1), run(layers, tokens))
    chosen = [tuple(x[[2, 2]] for x in layer.begin(3, 4)) for layer in layers]
    assert all(len(x) == 2 for state in chosen for x in state)
    if config.kind != "attention":
        with pytest.raises(ValueError, match="must be causal"):
            stack(config)[0].begin(1, 4)


def test_gradients_are_right_and_reach_every_weight(config: MixerConfig) -> None:
    layers = stack(config)
    tokens = torch.randn(1, 9, WIDTH, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: run(layers, x), tokens, fast_mode=True)
    run(layers, tokens).square().sum().backward()
    assert [n for n, p in layers.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []


def test_the_chunks_of_a_state_space_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = build(MixerConfig("state_space", causal=True, state=4), WIDTH).double()
    tokens = torch.randn(1, 30, WIDTH, dtype=torch.float64)
    found = []
    for chunk in (1, 7, 30):
        monkeypatch.setattr(state_space, "CHUNK", chunk)
        layer.zero_grad()
        out = layer(tokens)
        out.square().sum().backward()
        found.append([out.detach(), *(p.grad.clone() for p in layer.parameters())])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("window", [1, 3, 5, 11, 12, 50])
@pytest.mark.parametrize("forwards", [True, False])
def test_local_attention_is_attention_with_a_band(window: int, forwards: bool) -> None:
    torch.manual_seed(0)
    layer = build(MixerConfig(heads=3, window=window, causal=forwards), WIDTH).double()
    tokens = torch.randn(2, 12, WIDTH, dtype=torch.float64)
    apart = torch.arange(12)[:, None] - torch.arange(12)
    allowed = (apart.abs() < window) & ((apart >= 0) | (not forwards))
    q, (k, v) = layer.query(tokens), layer.key_value(tokens).chunk(2, -1)
    heads = [x.unflatten(-1, (3, 4)).transpose(1, 2) for x in (q, k, v)]
    wanted = functional.scaled_dot_product_attention(*heads, attn_mask=allowed).transpose(1, 2).flatten(2)
    torch.testing.assert_close(layer(tokens), layer.out(wanted))


def test_attention_as_a_mixer_is_the_attention_that_was_there() -> None:
    layer, core = build(MixerConfig(heads=3), WIDTH), Attention(WIDTH, 3)
    core.load_state_dict(layer.state_dict())
    tokens, mask = torch.randn(2, 9, WIDTH), torch.rand(2, 9) < 0.7
    assert torch.equal(layer(tokens, mask), core(tokens, tokens, mask))


def test_a_hybrid_is_two_recurrences_and_one_local_attention() -> None:
    layers = blocks(MixerConfig("hybrid", heads=3), WIDTH, 6)
    kinds = [type(layer.mix).__name__ for layer in layers]
    assert kinds == ["BothWays", "BothWays", "SelfAttention"] * 2
    assert layers[2].mix.window == 128


def test_configurations_come_back_and_wrong_ones_are_told() -> None:
    config = MixerConfig("hybrid", causal=True, window=9)
    assert from_json(MixerConfig, to_json(config)) == config
    with pytest.raises(BadInput, match=r"config\.kind is 'mamba'; expected one of 'attention'"):
        from_json(MixerConfig, {"kind": "mamba"})
    for wrong in (MixerConfig(heads=0), MixerConfig(window=-1), MixerConfig("state_space", kernel=0)):
        with pytest.raises(ValueError, match="at least 1"):
            build(wrong, WIDTH)
    with pytest.raises(ValueError, match="multiple of heads, got 12 and 5"):
        build(MixerConfig("recurrent", heads=5), WIDTH)


@pytest.mark.parametrize("kind", ["attention", "state_space", "recurrent", "lstm"])
def test_learns_to_recall_what_stood_at_the_mark(kind: str) -> None:
    """One token of sixteen carries a mark; the last token must tell what it held. Chance is a quarter."""
    torch.manual_seed(0)
    embed, read = nn.Embedding(8, 24), nn.Linear(24, 4)
    layer = Block(24, build(MixerConfig(kind, causal=True, heads=2, state=8), 24))
    everything = nn.ModuleList([embed, layer, read])
    optimiser = torch.optim.Adam(everything.parameters(), 1e-2)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        ids, place = torch.randint(0, 4, (64, 16)), torch.randint(0, 15, (64,))
        answer = ids[torch.arange(64), place]
        ids[torch.arange(64), place] += 4
        return read(layer(embed(ids)))[:, -1], answer

    for _ in range(60):
        guess, answer = batch()
        optimiser.zero_grad()
        functional.cross_entropy(guess, answer).backward()
        optimiser.step()
    with torch.no_grad():
        guess, answer = batch()
    assert (guess.argmax(1) == answer).float().mean() > 0.8


def test_half_precision_is_close_and_its_memory_is_not_half(config: MixerConfig) -> None:
    layers = stack(causal(config)).float()
    tokens = torch.randn(2, 40, WIDTH)
    whole = run(layers, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        half = run(layers, tokens)
        state = layers[0].begin(2, 40)
        _, state = layers[0].extend(tokens, state)
    assert 0 < (half - whole).abs().max() < 0.05
    if config.kind in ("state_space", "recurrent"):
        assert state[1].dtype == torch.float32
