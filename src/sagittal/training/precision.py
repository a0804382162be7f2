"""bfloat16 where the processor gains from it: measured on this machine, not assumed."""

from __future__ import annotations

import time
from functools import lru_cache

import torch
from torch import nn

GAIN = 0.9
"""Autocast has to take at most this share of the time in float32: converting costs memory, too."""


def block_seconds(device: torch.device, *, bf16: bool) -> float:
    """Forward and backward of a convolution and of a feed-forward block of usual sizes, the best of two."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        mlp = nn.Sequential(nn.Linear(256, 1024), nn.GELU(), nn.Linear(1024, 256)).to(device)
        conv = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.GELU()).to(device)
        tokens, image = torch.randn(256, 256, device=device), torch.randn(2, 32, 48, 48, device=device)
    best = float("inf")
    for _ in range(3):  # the first one warms up
        began = time.perf_counter()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            loss = mlp(tokens).float().sum() + conv(image).float().sum()
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - began)
    return best


@lru_cache(maxsize=8)
def bf16_pays(device: torch.device) -> bool:
    """Whether autocast to bfloat16 is faster here than float32; asked once a process and device."""
    try:
        return block_seconds(device, bf16=True) < GAIN * block_seconds(device, bf16=False)
    except RuntimeError:  # the device has no kernels for it
        return False
