"""State space and gated recurrence against transformers' own, weights copied: outputs within 1e-4."""

from __future__ import annotations

import pytest
import torch

from sagittal.layers.mixer import MixerConfig, build

pytest.importorskip("transformers")


def copy(pairs: dict[torch.Tensor, torch.Tensor]) -> None:
    with torch.no_grad():
        for ours, theirs in pairs.items():
            ours.copy_(theirs.reshape(ours.shape))


def close(ours: torch.nn.Module, tokens: torch.Tensor, theirs: torch.Tensor) -> None:
    out = ours(tokens)
    assert theirs.abs().max() > 0.05  # else nothing was compared
    assert (out - theirs).abs().max() <= 1e-4
    state = ours.begin(len(tokens), tokens.shape[1])
    for step in range(tokens.shape[1]):
        out, state = ours.extend(tokens[:, step : step + 1], state)
        assert (out[:, 0] - theirs[:, step]).abs().max() <= 1e-4


def test_state_space_is_mamba() -> None:
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    torch.manual_seed(0)
    ours = build(MixerConfig("state_space", causal=True, state=8), 32)
    config = MambaConfig(hidden_size=32, state_size=8, num_hidden_layers=1, use_conv_bias=True)
    theirs = MambaMixer(config, layer_idx=0).eval()
    torch.nn.init.normal_(theirs.A_log), torch.nn.init.normal_(theirs.D)
    core = ours.ahead
    copy(
        {
            core.enter.weight: theirs.in_proj.weight,
            core.short.weight: theirs.conv1d.weight,
            core.short.bias: theirs.conv1d.bias,
            core.select.weight: theirs.x_proj.weight,
            core.step_size.weight: theirs.dt_proj.weight,
            core.step_size.bias: theirs.dt_proj.bias,
            core.log_decay: theirs.A_log,
            core.skip: theirs.D,
            core.leave.weight: theirs.out_proj.weight,
        }
    )
    assert sum(p.numel() for p in core.parameters()) == sum(p.numel() for p in theirs.parameters())
    tokens = 3 * torch.randn(2, 70, 32)
    with torch.no_grad():
        close(ours, tokens, theirs(tokens))


def test_recurrence_is_griffins() -> None:
    from transformers import RecurrentGemmaConfig
    from transformers.models.recurrent_gemma.modeling_recurrent_gemma import RecurrentGemmaRecurrentBlock

    torch.manual_seed(0)
    ours = build(MixerConfig("recurrent", causal=True, heads=4), 32)
    config = RecurrentGemmaConfig(
        hidden_size=32, lru_width=32, num_attention_heads=4, num_hidden_layers=1, vocab_size=8
    )
    theirs = RecurrentGemmaRecurrentBlock(config, layer_idx=0).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.25)
    core, unit = ours.ahead, theirs.rg_lru
    copy(
        {
            core.enter.weight: theirs.linear_x.weight,
            core.enter.bias: theirs.linear_x.bias,
            core.gate.weight: theirs.linear_y.weight,
            core.gate.bias: theirs.linear_y.bias,
            core.leave.weight: theirs.linear_out.weight,
            core.leave.bias: theirs.linear_out.bias,
            core.short.weight: theirs.conv_1d.weight,
            core.short.bias: theirs.conv_1d.bias,
            core.gates: torch.cat([unit.input_gate_weight, unit.recurrent_gate_weight], -1),
            core.gates_bias: torch.cat([unit.input_gate_bias, unit.recurrent_gate_bias], -1),
            core.decay: unit.recurrent_param,
        }
    )
    assert sum(p.numel() for p in core.parameters()) == sum(p.numel() for p in theirs.parameters())
    tokens = torch.randn(2, 70, 32)
    with torch.no_grad():
        wanted = theirs(tokens, torch.arange(70)[None], None, use_cache=False)[0]
        close(ours, tokens, wanted)
