"""Sliding windows: run a network over a volume larger than it takes, in bounded memory, in float32."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Window:
    """``size`` of the window (voxels an axis), ``overlap`` of neighbours as a share of it, ``batch`` at once.

    ``skip_below``: a window whose largest absolute value is at most this is not shown to the network; its
    output is ``empty``. None shows every window.
    """

    size: tuple[int, ...]
    overlap: float = 0.5
    batch: int = 4
    skip_below: float | None = None
    empty: float = -20.0

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1 or self.batch < 1 or any(n < 1 for n in self.size):
            raise ValueError("a window needs sizes and batch of at least 1 and an overlap from 0 to below 1")


def gaussian(size: Sequence[int]) -> Tensor:
    """Weights of a window: 1 in the middle, sigma an eighth of the size (nnU-Net), at least 1e-3."""
    weight = torch.ones(())
    for n in size:
        axis = torch.arange(n, dtype=torch.float32) - (n - 1) / 2
        weight = weight.unsqueeze(-1) * torch.exp(-0.5 * (axis / (n / 8)) ** 2)
    return weight.clamp(min=1e-3)


def starts(length: int, size: int, overlap: float) -> list[int]:
    """First indices of windows that cover ``length`` evenly, the last one ending at its end."""
    if length <= size:
        return [0]
    step = max(1, int(size * (1 - overlap)))
    count = -(-(length - size) // step) + 1
    return [round(i * (length - size) / (count - 1)) for i in range(count)]


@torch.no_grad()
def slide(
    predict: Callable[[Tensor], Tensor],
    image: Tensor,
    window: Window,
    *,
    finish: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Run ``predict`` (b, C, *window) -> (b, K, *window) over image (C, *S); blend to (K, *S) float32.

    ``finish`` (K, n, *S[1:]) -> (K', n, *S[1:]), for example an argmax, is applied as soon as a slab of the
    first axis is complete: with it, no more than one window's depth of K channels is ever held.
    An image smaller than the window is padded with its own edge and cropped again.
    """
    shape = image.shape[1:]
    if len(shape) != len(window.size):
        raise ValueError(f"window must have {len(shape)} axes, got {len(window.size)}")
    image = _pad(image.float(), window.size)
    slabs = [
        finish(slab) if finish else slab
        for slab in _slabs(predict, image, window, gaussian(window.size).to(image.device))
    ]
    whole = torch.cat(slabs, dim=1)
    crop = tuple(slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(image.shape[1:], shape, strict=True))
    return whole[(slice(None), *crop)]


def _slabs(
    predict: Callable[[Tensor], Tensor], image: Tensor, window: Window, weight: Tensor
) -> Iterator[Tensor]:
    """Finished slabs (K, n, *S[1:]) from first to last."""
    first, *others = (
        starts(n, size, window.overlap) for n, size in zip(image.shape[1:], window.size, strict=True)
    )
    depth = window.size[0]
    held = total = None
    for index, top in enumerate(first):
        corners = [(top, *rest) for rest in itertools.product(*others)]
        for corner, logits in _predictions(predict, image, window, corners):
            if held is None:
                held = torch.zeros(logits.shape[0], depth, *image.shape[2:], device=image.device)
                total = torch.zeros(depth, *image.shape[2:], device=image.device)
            assert total is not None
            place = tuple(slice(c, c + n) for c, n in zip((0, *corner[1:]), window.size, strict=True))
            held[(slice(None), *place)] += weight * logits.float()
            total[place] += weight
        assert held is not None and total is not None
        done = (first[index + 1] if index + 1 < len(first) else top + depth) - top
        yield held[:, :done] / total[:done]
        held = torch.cat([held[:, done:], torch.zeros_like(held[:, :done])], dim=1)
        total = torch.cat([total[done:], torch.zeros_like(total[:done])], dim=0)


def _predictions(
    predict: Callable[[Tensor], Tensor], image: Tensor, window: Window, corners: Sequence[tuple[int, ...]]
) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """(corner, logits (K, *window)) of each window, the empty ones filled in last."""
    empty: list[tuple[int, ...]] = []
    seen: list[tuple[int, ...]] = []
    channels = 0
    for corner in corners:
        bare = (
            window.skip_below is not None
            and _cut(image, corner, window.size).abs().max() <= window.skip_below
        )
        (empty if bare else seen).append(corner)
    if empty and not seen:
        # the number of classes is only known from the network: show it one window
        seen.append(empty.pop())
    for at in range(0, len(seen), window.batch):
        group = seen[at : at + window.batch]
        logits = predict(torch.stack([_cut(image, corner, window.size) for corner in group]))
        channels = logits.shape[1]
        yield from zip(group, logits, strict=True)
    for corner in empty:
        yield corner, torch.full((channels, *window.size), window.empty, device=image.device)


def _cut(image: Tensor, corner: Sequence[int], size: Sequence[int]) -> Tensor:
    return image[(slice(None), *(slice(c, c + n) for c, n in zip(corner, size, strict=True)))]


def _pad(image: Tensor, size: Sequence[int]) -> Tensor:
    """Grow every axis to at least ``size``, evenly, by repeating the edge."""
    pads: list[int] = []
    for length, wanted in zip(reversed(image.shape[1:]), reversed(size), strict=True):
        extra = max(0, wanted - length)
        pads += [extra // 2, extra - extra // 2]
    return functional.pad(image[None], pads, mode="replicate")[0] if any(pads) else image
