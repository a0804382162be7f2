"""Images out of noise: flow matching (Lipman 2023, Liu 2023) conditioned on tokens, in 2D and 3D.

A network tells with which velocity a noisy image moves towards a real one; following it from noise (t = 0) to
t = 1 draws an image. What is asked for are the tokens of any encoder (a text, a table of findings); with
classifier-free guidance (Ho 2022) the difference that they make is enlarged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.layers.attention import Attention
from sagittal.layers.convolution import ResidualBlock, convolution, resize
from sagittal.layers.features import Features

Velocity = Callable[[Tensor, Tensor, Features | None], Tensor]
"""(x (B, C, *S), t (B,) in 0..1, condition or None) -> velocity (B, C, *S).

A row of the condition whose mask is all False is unconditional, as is every row without a condition.
"""


def asked(condition: Features | None, rows: int, device: torch.device) -> Tensor:
    """(B,) bool: which rows have a condition."""
    if condition is None:
        return torch.zeros(rows, dtype=torch.bool, device=device)
    if condition.mask is None:
        return torch.ones(rows, dtype=torch.bool, device=device)
    return condition.mask.any(1)


class Modulated(nn.Module):
    """A residual block whose output is scaled and shifted by time and condition (B, E)."""

    def __init__(
        self, inside: int, outside: int, kernel: Sequence[int], stride: Sequence[int], embedding: int
    ) -> None:
        super().__init__()
        self.block = ResidualBlock(inside, outside, kernel, stride)
        self.modulate = nn.Linear(embedding, 2 * outside)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        x = self.block(x)
        scale, shift = self.modulate(embedded).reshape(len(x), -1, *(1,) * (x.ndim - 2)).chunk(2, 1)
        return x * (1 + scale) + shift


class ImageDecoder(nn.Module):
    """A small U-Net that is a `Velocity`; one entry a level, finest first, as in `Pyramid`.

    Time and the condition's ``pooled`` modulate every block; its tokens are looked at from the coarsest map.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 128),
        kernels: Sequence[Sequence[int]] = ((3, 3),) * 3,
        strides: Sequence[Sequence[int]] = ((1, 1), (2, 2), (2, 2)),
    ) -> None:
        super().__init__()
        if not len(widths) == len(kernels) == len(strides):
            raise ValueError("widths, kernels and strides must have one entry a level")
        self.width = width
        self.clock = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.wish = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))
        self.no_wish = nn.Parameter(torch.zeros(width))
        insides = (channels, *widths[:-1])
        self.down = nn.ModuleList(
            Modulated(i, o, kernel, stride, width)
            for i, o, kernel, stride in zip(insides, widths, kernels, strides, strict=True)
        )
        coarse, still = widths[-1], (1,) * len(kernels[0])
        self.norm, self.to_tokens = nn.LayerNorm(coarse), nn.Linear(coarse, width)
        self.look, self.from_tokens = Attention(width, heads), nn.Linear(width, coarse)
        self.middle = Modulated(coarse, coarse, kernels[-1], still, width)
        self.up = nn.ModuleList(
            Modulated(coarse + fine, fine, kernel, still, width)
            for fine, coarse, kernel in zip(widths[-2::-1], widths[:0:-1], kernels[-2::-1], strict=True)
        )
        finest = widths[0]
        self.last = Modulated(finest + channels, finest, kernels[0], still, width)
        self.out = convolution(finest, channels, still)
        nn.init.zeros_(self.out.get_parameter("weight"))

    def forward(self, x: Tensor, t: Tensor, condition: Features | None = None) -> Tensor:
        there = asked(condition, len(x), x.device)
        wish = self.no_wish.expand(len(x), -1)
        if condition is not None:
            wish = torch.where(there[:, None], self.wish(condition.pooled), wish)
        embedded = functional.silu(self.clock(_waves(t, self.width)) + wish)
        noisy, maps = x, []
        for block in self.down:
            x = block(x, embedded)
            maps.append(x)
        if condition is not None:
            tokens = self.norm(x.flatten(2).transpose(1, 2))
            seen = self.look(self.to_tokens(tokens), condition.tokens, condition.mask)
            added = self.from_tokens(seen).transpose(1, 2).reshape(x.shape)
            x = torch.where(there.reshape(-1, *(1,) * (x.ndim - 1)), x + added, x)
        x = self.middle(x, embedded)
        for block, finer in zip(self.up, maps[-2::-1], strict=True):
            x = block(torch.cat([resize(x, finer.shape[2:], smooth=False), finer], 1), embedded)
        x = torch.cat([resize(x, noisy.shape[2:], smooth=False), noisy], 1)
        return self.out(self.last(x, embedded))


def _waves(t: Tensor, width: int) -> Tensor:
    """Sines and cosines (B, D) of time (B,), periods from 1/16 to 4."""
    bands = torch.logspace(math.log10(0.25), math.log10(16), width // 2, device=t.device, dtype=t.dtype)
    angle = 2 * math.pi * t[:, None] * bands
    return functional.pad(torch.cat([angle.sin(), angle.cos()], 1), (0, width % 2))


@torch.no_grad()
def sample(
    network: Velocity,
    shape: Sequence[int],
    condition: Features | None = None,
    *,
    steps: int = 20,
    solver: Literal["euler", "heun"] = "heun",
    guidance: float = 1.0,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Draw images (B, C, *S) of ``shape`` by following the velocity from noise.

    Args:
        steps: of equal length; Heun's method (second order) asks the network twice a step.
        guidance: v = v_without + guidance * (v_with - v_without): 0 ignores the condition, 1 takes it as it
            is, more exaggerates it (sharper, less varied).
        seed: of a generator on the CPU: the same noise on every device.

    Raises:
        ValueError: steps below 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    noise = torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))
    x = noise.to(device)

    def velocity(x: Tensor, time: float) -> Tensor:
        t = torch.full((len(x),), time, dtype=x.dtype, device=x.device)
        if condition is None or guidance == 0:
            return network(x, t, None)
        wished = network(x, t, condition)
        if guidance == 1:
            return wished
        without = network(x, t, None)
        return without + guidance * (wished - without)

    for step in range(steps):
        now, then = step / steps, (step + 1) / steps
        v = velocity(x, now)
        moved = x + (then - now) * v
        if solver == "heun":
            moved = x + (then - now) * 0.5 * (v + velocity(moved, then))
        x = moved
    return x
