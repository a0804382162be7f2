"""Three-dimensional images: a pyramid ConvNet whose stages may treat z apart from the plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sagittal.layers.features import Features
from sagittal.layers.mixer import MixerConfig
from sagittal.layers.trunk import Trunk

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class VolumeConfig:
    """One entry a stage, finest first; every width a multiple of 8; triples are z, y, x.

    Thick slices want kernel (1, 3, 3) and stride (1, 2, 2) until the voxel is about as wide as it is tall.
    ``mixer`` of the ``mixers`` blocks over the coarsest map; None: attention with ``heads`` heads.
    ``finest``: the stage at which the mask decoder stops; ``detail``: how much finer than that it draws.
    """

    kind: Literal["volume"] = "volume"
    channels: int = 1
    widths: tuple[int, ...] = (16, 32, 64, 128, 192)
    blocks: tuple[int, ...] = (1, 1, 1, 1, 1)
    kernels: tuple[Triple, ...] = ((3, 3, 3),) * 5
    strides: tuple[Triple, ...] = ((2, 2, 2),) * 4 + ((1, 1, 1),)
    mixers: int = 1
    heads: int = 6
    detail: Triple = (1, 1, 1)
    finest: int = 0
    mixer: MixerConfig | None = None


class VolumeEncoder(nn.Module):
    """image (B, C, Z, Y, X), present (B, C) bool or None -> Features with tokens (B, N, width)."""

    def __init__(self, config: VolumeConfig, width: int) -> None:
        super().__init__()
        self.trunk = Trunk(
            width,
            channels=config.channels,
            widths=config.widths,
            blocks=config.blocks,
            kernels=config.kernels,
            strides=config.strides,
            mixers=config.mixers,
            mixer=config.mixer or MixerConfig(heads=config.heads),
        )

    def forward(self, image: Tensor, present: Tensor | None = None) -> Features:
        return self.trunk(image, present)
