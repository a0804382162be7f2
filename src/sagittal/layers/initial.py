"""How parameters begin: without a number drawn where a model is only built for the weights it will be given.

There (on the device "meta") drawing makes torch import its compiler, which takes most of a second.
"""

from __future__ import annotations

import torch
from torch import nn


def normal(*size: int, std: float) -> nn.Parameter:
    """A parameter drawn from a normal distribution of mean 0."""
    parameter = nn.Parameter(torch.empty(*size))
    if not parameter.is_meta:
        nn.init.normal_(parameter, std=std)
    return parameter


def embedding(count: int, width: int, std: float) -> nn.Embedding:
    """ids -> (..., width), begun by `normal`."""
    return nn.Embedding.from_pretrained(normal(count, width, std=std), freeze=False)
