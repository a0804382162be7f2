"""Batch normalisation that sees the whole batch when several processes share it; also on a processor.

torch's own `SyncBatchNorm` runs on CUDA devices alone.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm


class BatchNorm(_BatchNorm):
    """(B, C, *S) -> (B, C, *S): `nn.BatchNorm2d` and `nn.BatchNorm3d`, to the bit, weights of the same names.

    While ``across`` and while it trains, mean and variance are those of the batches of all processes
    together (Peng 2018), which may differ in size; every process has to call it as often as the others.
    Statistics are in float32 at least. In evaluation nobody is asked.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    across: bool = False

    def __init__(self, width: int, momentum: float | None = 0.1) -> None:
        super().__init__(width, momentum=momentum)

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.across and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(x)
        self._check_input_dim(x)
        y, mean, variance, count = cast(Any, _Normalised).apply(x, self.weight, self.bias, self.eps)
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            rate = 1.0 / self.num_batches_tracked if self.momentum is None else self.momentum
            unbiased = variance * (count / (count - 1).clamp(min=1))
            for running, seen in ((self.running_mean, mean), (self.running_var, unbiased)):
                running.mul_(1 - rate).add_(rate * seen.to(running.dtype))
        return y

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected (B, C, *S), got {tuple(input.shape)}")


def across(module: nn.Module, on: bool) -> None:
    """Let every `BatchNorm` in ``module`` see the batches of all processes, or its own process's alone."""
    for part in module.modules():
        if isinstance(part, BatchNorm):
            part.across = on


class _Normalised(torch.autograd.Function):
    """(x, weight, bias, eps) -> (y, mean (C,), biased variance (C,), elements a channel ()) of all."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        axes = [axis for axis in range(x.ndim) if axis != 1]
        count = exact.new_full((1,), x.numel() / x.shape[1])
        # means and deviations are joined (Chan 1979): a difference of sums of squares would lose its digits
        variance, mean = (
            torch.var_mean(exact, axes, correction=0) if len(x) else exact.new_zeros(2, x.shape[1])
        )
        parts = _of_all(torch.cat([count, mean, variance]))
        counts, means, variances = parts.split([1, x.shape[1], x.shape[1]], 1)
        total = counts.sum()
        mean = (counts * means).sum(0) / total
        variance = (counts * (variances + (means - mean).square())).sum(0) / total
        y = functional.batch_norm(x, mean, variance, weight, bias, eps=eps)
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps), total)
        ctx.mark_non_differentiable(mean, variance, total)
        return y, mean, variance, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, inverse, total = ctx.saved_tensors
        axes = [axis for axis in range(x.ndim) if axis != 1]
        ones = (1, -1, *(1,) * (x.ndim - 2))
        exact = slope.to(mean.dtype)
        normal = (x.to(mean.dtype) - mean.reshape(ones)) * inverse.reshape(ones)
        # a process's own share of the slopes of weight and bias: DDP and FSDP2 join those
        of_bias, of_weight = exact.sum(axes), (exact * normal).sum(axes)
        joined = torch.stack([of_bias, of_weight])
        dist.all_reduce(joined)
        along, turned = (each.reshape(ones) for each in joined / total)
        of_x = (exact - along - normal * turned) * (weight * inverse).reshape(ones)
        return of_x.to(x.dtype), of_weight.to(weight.dtype), of_bias.to(weight.dtype), None


def _of_all(mine: Tensor) -> Tensor:
    """(N,) of each process -> (processes, N)."""
    parts = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, mine)
    return torch.stack(parts)
