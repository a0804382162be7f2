"""Mixers of tokens behind one interface, chosen by one configuration.

mix = build(MixerConfig("state_space", causal=True), width=192)
mix(tokens, mask)                                # (B, N, D), (B, N) bool | None -> (B, N, D)
state = mix.begin(batch, length)                 # causal ones also go on, token by token
out, state = mix.extend(tokens, state)           # (B, T, D) -> (B, T, D)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from sagittal.layers.attention import SelfAttention
from sagittal.layers.block import Block
from sagittal.layers.config import shallow
from sagittal.layers.order import BothWays
from sagittal.layers.recurrent import GatedRecurrence, Lstm
from sagittal.layers.state_space import StateSpace

PERIOD = 3  # a hybrid's every third block is attention (Griffin, De 2024)
WINDOW = 128  # of a hybrid that names none


@dataclass(frozen=True)
class MixerConfig:
    """How tokens learn of each other.

    Attributes:
        kind: attention; state_space (Mamba); recurrent (RG-LRU); lstm; hybrid (two blocks of RG-LRU, then one
            of local attention, and again).
        causal: a token sees itself and those before it; otherwise recurrences run in both directions.
        heads: of attention, and blocks of the gates of RG-LRU; the width is a multiple of it.
        window: attention reaches fewer than so many tokens away; 0 is all (hybrid: 128).
        state: numbers a channel of the state space remembers; expand: its channels, in widths.
        kernel: of the short convolution before state space and RG-LRU.
    """

    kind: Literal["attention", "state_space", "recurrent", "lstm", "hybrid"] = "attention"
    causal: bool = False
    heads: int = 6
    window: int = 0
    state: int = 16
    expand: int = 2
    kernel: int = 4


def build(config: MixerConfig, width: int, depth: int = 0) -> nn.Module:
    """mix(tokens (B, N, width), mask (B, N) bool | None) -> (B, N, width); ``depth`` counts blocks from 0.

    Raises:
        ValueError: a size below 1 (``window``: below 0), or a width that heads do not divide.
    """
    if min(config.heads, config.state, config.expand, config.kernel, config.window + 1) < 1:
        raise ValueError("heads, state, expand and kernel must be at least 1, window at least 0")
    kind, window = config.kind, config.window
    if kind == "hybrid":
        kind, window = ("attention", window or WINDOW) if depth % PERIOD == PERIOD - 1 else ("recurrent", 0)
    if kind == "attention":
        return SelfAttention(width, config.heads, causal=config.causal, window=window)
    cores: dict[str, Callable[[], nn.Module]] = {
        "state_space": lambda: StateSpace(width, config.state, config.expand, config.kernel),
        "recurrent": lambda: GatedRecurrence(width, config.heads, config.kernel),
        "lstm": lambda: Lstm(width),
    }
    return BothWays(cores[kind](), None if config.causal else cores[kind]())


def blocks(config: MixerConfig, width: int, count: int, ratio: int = 3) -> nn.ModuleList:
    """``count`` pre-norm blocks of that mixer, each (tokens (B, N, width), mask | None) -> (B, N, width)."""
    shallow("layers", [count])
    return nn.ModuleList(Block(width, build(config, width, depth), ratio) for depth in range(count))
