"""Augmentation on batches of tensors: what a film or scan may look like elsewhere, never another side.

No flips: left and right are findings. Geometry moves image and masks together; intensity moves the
image alone.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)


def film(image: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Radiographs (B, 1, H, W) in [0, 1] with masks (B, M, h, w): position, exposure, sharpness, marks."""
    b = len(image)
    angle = _uniform(b, -0.14, 0.14, generator)
    scale_y = torch.exp(_uniform(b, -0.22, 0.16, generator))
    scale_x = scale_y * torch.exp(_uniform(b, -0.1, 0.1, generator))
    shift = torch.stack([_uniform(b, -0.12, 0.12, generator), _uniform(b, -0.12, 0.12, generator)], 1)
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack(
        [
            torch.stack([cos * scale_x, -sin * scale_x, shift[:, 0]], 1),
            torch.stack([sin * scale_y, cos * scale_y, shift[:, 1]], 1),
        ],
        1,
    )
    image = F.grid_sample(
        image, F.affine_grid(theta, list(image.shape), align_corners=False), align_corners=False
    )
    masks = F.grid_sample(
        masks, F.affine_grid(theta, list(masks.shape), align_corners=False), align_corners=False
    )

    gamma = torch.exp(_uniform(b, -0.6, 0.6, generator)).view(b, 1, 1, 1)
    image = image.clamp(0, 1) ** gamma
    contrast = torch.exp(_uniform(b, -0.4, 0.3, generator)).view(b, 1, 1, 1)
    mean = image.mean((2, 3), keepdim=True)
    image = (image - mean) * contrast + mean + _uniform(b, -0.08, 0.08, generator).view(b, 1, 1, 1)
    noise = (_uniform(b, 0.0, 1.0, generator) ** 3 * 0.05).view(b, 1, 1, 1)
    image = image + noise * torch.randn(image.shape, generator=generator)
    for i in range(b):
        draw = torch.rand(4, generator=generator)
        if draw[0] < 0.15:
            image[i] = F.avg_pool2d(image[i : i + 1], 3, 1, 1)[0]
        if draw[1] < 0.2:
            _stamp(image[i, 0], generator)
        if draw[2] < 0.12:
            _border(image[i, 0], masks[i], generator)
    return image.clamp(0, 1), masks


def _stamp(picture: Tensor, generator: torch.Generator) -> None:
    """A burned-in mark: letters are small bright boxes near a corner."""
    h, w = picture.shape
    for _ in range(int(torch.randint(1, 4, (1,), generator=generator))):
        y, x = (int(torch.randint(0, n, (1,), generator=generator)) for n in (h, w))
        high = int(torch.randint(4, 14, (1,), generator=generator))
        wide = int(torch.randint(4, 40, (1,), generator=generator))
        picture[y : y + high, x : x + wide] = torch.rand(1, generator=generator)


def _border(picture: Tensor, masks: Tensor, generator: torch.Generator) -> None:
    """Collimation: an edge of the film turned flat."""
    side = int(torch.randint(0, 4, (1,), generator=generator))
    share = 0.03 + 0.1 * float(torch.rand(1, generator=generator))
    level = float(torch.rand(1, generator=generator) < 0.25)
    for plane, keep in ((picture, False), *((mask, True) for mask in masks)):
        n = max(1, math.floor(share * plane.shape[side % 2]))
        cut = slice(0, n) if side < 2 else slice(-n, None)
        region = (cut, slice(None)) if side % 2 == 0 else (slice(None), cut)
        plane[region] = 0.0 if keep else level


def scan(
    image: Tensor, masks: Tensor, generator: torch.Generator, *, shift: bool = True
) -> tuple[Tensor, Tensor]:
    """Volumes (B, C, D, H, W) in [0, 1] with masks (B, M, d, h, w): position and intensity a channel."""
    b, c = image.shape[:2]
    steps = [n // m for n, m in zip(image.shape[2:], masks.shape[2:], strict=True)]
    if shift:
        # By whole coarse voxels, so that image and masks stay on each other exactly.
        moved = [
            int(torch.randint(-n // 16, n // 16 + 1, (1,), generator=generator)) for n in masks.shape[2:]
        ]
        masks = torch.roll(masks, moved, (2, 3, 4))
        image = torch.roll(image, [s * k for s, k in zip(moved, steps, strict=True)], (2, 3, 4))
    view = (b, c, 1, 1, 1)
    gain = torch.exp(0.15 * torch.randn(b, c, generator=generator)).view(view)
    bend = (0.3 * torch.randn(b, c, generator=generator)).clamp(-0.6, 0.6).view(view)
    image = image.clamp(0, 1)
    image = image * (1 + bend * (1 - image)) * gain  # much like a gamma curve, and far cheaper than one
    sigma = (torch.rand(b, generator=generator) ** 3 * 0.04).tolist()
    for row, spread in zip(image, sigma, strict=True):
        if spread > 0.01:
            row += spread * torch.randn(row.shape, generator=generator)
    return image.clamp(0, 1.2), masks
