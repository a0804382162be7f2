"""Residual convolution blocks and the pyramid built of them, the same code in 2D and 3D.

Plain convolutions: on processors without bf16 they ran faster than depthwise convolution with layer norm.
Group normalisation treats one image the same whatever shares its batch, in training too; with batch
normalisation films learn several times as fast (`docs/log.md`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.layers.batch_norm import BatchNorm
from sagittal.layers.config import shallow

GROUPS = 8
Norm = Literal["group", "batch"]


def convolution(
    inside: int,
    outside: int,
    kernel: Sequence[int],
    stride: Sequence[int] | None = None,
    *,
    edge: bool = False,
) -> nn.Module:
    """A 2D or 3D convolution (by ``len(kernel)``) without bias that keeps size / stride, rounded up.

    ``edge``, in 3D: beyond the first and last slice it sees that slice again, not zeros.
    """
    kind: Any = {2: nn.Conv2d, 3: EdgeConvolution if edge else Convolution3d}[len(kernel)]
    padding = tuple(k // 2 for k in kernel)
    return kind(
        inside,
        outside,
        tuple(kernel),
        stride=tuple(stride or (1,) * len(kernel)),
        padding=padding,
        bias=False,
    )


class Convolution3d(nn.Conv3d):
    """A 3D convolution that learns from two slices as well.

    Of exactly two, torch's bfloat16 gradient of the weight holds memory that nobody wrote (2.13 on a
    processor: up to 1e38); with an empty third slice the same numbers come out, and come out right.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] == 2 and self.kernel_size[0] > 1 and self.stride[0] == 1:
            return super().forward(functional.pad(x, (0, 0, 0, 0, 0, 1)))[:, :, :2]
        return super().forward(x)


class EdgeConvolution(nn.Conv3d):
    """A 3D convolution that sees the end slices repeated beyond them, and zeros around the plane."""

    def forward(self, x: Tensor) -> Tensor:
        deep, *plane = (int(n) for n in self.padding)
        x = functional.pad(x, (0, 0, 0, 0, deep, deep), mode="replicate")
        return functional.conv3d(x, self.weight, self.bias, self.stride, (0, *plane))


def shuffle(x: Tensor, detail: Sequence[int]) -> Tensor:
    """(B, C * prod(detail), *S) -> (B, C, *S * detail): channels become finer pixels (Shi 2016), 2D or 3D."""
    if all(step == 1 for step in detail):
        return x
    n, size = len(detail), x.shape[2:]
    x = x.reshape(x.shape[0], -1, *detail, *size)
    order = [0, 1, *(axis for i in range(n) for axis in (2 + n + i, 2 + i))]
    return x.permute(order).reshape(x.shape[0], -1, *(s * d for s, d in zip(size, detail, strict=True)))


def norm(width: int, kind: Norm = "group") -> nn.Module:
    """Normalisation of maps (B, width, *S), in groups of ``width / 8`` channels or over the batch."""
    if width % GROUPS:
        raise ValueError(f"width must be a multiple of {GROUPS}, got {width}")
    return nn.GroupNorm(GROUPS, width) if kind == "group" else BatchNorm(width)


def resize(x: Tensor, size: Sequence[int], *, smooth: bool = True) -> Tensor:
    """Interpolate (B, C, *S) to ``size``: linear when ``smooth``, else nearest; itself if it fits."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    if not smooth:
        return functional.interpolate(x, size=tuple(size), mode="nearest")
    mode = {3: "linear", 4: "bilinear", 5: "trilinear"}[x.ndim]
    return functional.interpolate(x, size=tuple(size), mode=mode, align_corners=False)


def grow(x: Tensor, step: Sequence[int]) -> Tensor:
    """Extend every axis of (B, C, *S) at its end to a multiple of ``step``, by repeating the edge."""
    pads: list[int] = []
    for length, each in zip(reversed(x.shape[2:]), reversed(step), strict=True):
        pads += [0, -length % each]
    return functional.pad(x, pads, mode="replicate") if any(pads) else x


def cut(x: Tensor, patch: Sequence[int]) -> Tensor:
    """(B, C, *S) -> patches (B, *ceil(S / patch), C * prod(patch)); the edge is repeated to fill the last."""
    x = grow(x, patch)
    axes = range(len(patch))
    split = [part for n, step in zip(x.shape[2:], patch, strict=True) for part in (n // step, step)]
    order = [0, *(2 + 2 * axis for axis in axes), 1, *(3 + 2 * axis for axis in axes)]
    return x.reshape(*x.shape[:2], *split).permute(order).flatten(1 + len(axes))


def fill(image: Tensor, present: Tensor | None, constant: Tensor) -> Tensor:
    """image (B, C, *S) with ``constant`` (C,) where a channel is not ``present`` (B, C)."""
    if present is None:
        return image
    ones = (1,) * (image.ndim - 2)
    return torch.where(present.reshape(*present.shape, *ones), image, constant.reshape(1, -1, *ones))


class Patchify(nn.Sequential):
    """(B, C_in, *S) -> (B, C_out, *ceil(S / stride)): one look at each patch, nothing between them.

    The convolution is done as one matrix product over patches: with a single input channel the library's own
    weight gradient took a tenth of a whole training step.
    """

    def __init__(self, inside: int, outside: int, stride: Sequence[int], kind: Norm = "group") -> None:
        conv: Any = {2: nn.Conv2d, 3: nn.Conv3d}[len(stride)]
        look = conv(inside, outside, tuple(stride), stride=tuple(stride), bias=False)
        super().__init__(look, norm(outside, kind), nn.ReLU(inplace=True))
        self.stride = tuple(stride)

    def forward(self, x: Tensor) -> Tensor:
        look, normalise, rectify = self
        weight = look.get_parameter("weight")
        patches = cut(x, self.stride)
        return rectify(normalise((patches @ weight.flatten(1).T).movedim(-1, 1)))


def enlarge(x: Tensor, size: Sequence[int]) -> Tensor:
    """Interpolate (B, C, *ceil(size / k)) by the whole number k an axis, then cut the surplus off the end."""
    factors = [-(-n // cells) for n, cells in zip(size, x.shape[2:], strict=True)]
    whole = resize(x, [cells * k for cells, k in zip(x.shape[2:], factors, strict=True)])
    return whole[(slice(None), slice(None), *(slice(0, n) for n in size))]


class ResidualBlock(nn.Module):
    """(B, C_in, *S) -> (B, C_out, *ceil(S / stride)): two convolutions beside an averaged shortcut."""

    def __init__(
        self, inside: int, outside: int, kernel: Sequence[int], stride: Sequence[int], *, edge: bool = False,
        kind: Norm = "group",
    ) -> None:  # fmt: skip
        super().__init__()
        self.first = convolution(inside, outside, kernel, stride, edge=edge)
        self.first_norm = norm(outside, kind)
        self.second = convolution(outside, outside, kernel, edge=edge)
        self.second_norm = norm(outside, kind)
        self.stride = tuple(stride)
        changes = inside != outside or any(step != 1 for step in stride)
        self.shortcut = convolution(inside, outside, (1,) * len(kernel)) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.first_norm(self.first(x)), inplace=True)
        y = self.second_norm(self.second(y))
        return functional.relu(y + self._beside(x), inplace=True)

    def _beside(self, x: Tensor) -> Tensor:
        if self.shortcut is None:
            return x
        if any(step != 1 for step in self.stride):
            pool = functional.avg_pool2d if x.ndim == 4 else functional.avg_pool3d
            x = pool(x, self.stride, ceil_mode=True)
        return self.shortcut(x)


class Pyramid(nn.Module):
    """(B, C, *S) -> feature maps (B, widths[i], *S_i), finest first; each stage divides by its stride.

    A stage of 0 blocks only patchifies: cheap where the grid is still fine.

    A channel that a study lacks is told by ``present`` (B, C) bool and replaced with a learned constant, so
    "not acquired" never looks like "dark". ``edge``: see ``convolution``.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        blocks: Sequence[int],
        kernels: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        *,
        edge: bool = False,
        kind: Norm = "group",
    ) -> None:
        super().__init__()
        if not len(widths) == len(blocks) == len(kernels) == len(strides):
            raise ValueError("widths, blocks, kernels and strides must have one entry a stage")
        shallow("blocks", blocks)
        self.channels = channels
        self.missing = nn.Parameter(torch.zeros(channels))
        stages: list[nn.Module] = []
        inside = channels
        for width, count, kernel, stride in zip(widths, blocks, kernels, strides, strict=True):
            if count == 0:
                stages.append(Patchify(inside, width, stride, kind))
                inside = width
                continue
            still = (1,) * len(stride)
            stages.append(
                nn.Sequential(
                    ResidualBlock(inside, width, kernel, stride, edge=edge, kind=kind),
                    *(
                        ResidualBlock(width, width, kernel, still, edge=edge, kind=kind)
                        for _ in range(count - 1)
                    ),
                )
            )
            inside = width
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor, present: Tensor | None = None) -> tuple[Tensor, ...]:
        image = fill(image, present, self.missing)
        maps = []
        for stage in self.stages:
            image = stage(image)
            maps.append(image)
        return tuple(maps)
