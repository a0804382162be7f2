"""Two-dimensional images: a pyramid ConvNet whose coarsest map is mixed by attention or another mixer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sagittal.layers.features import Extent, Features
from sagittal.layers.mixer import MixerConfig
from sagittal.layers.trunk import Trunk


@dataclass(frozen=True)
class PictureConfig:
    """One entry a stage, finest first; every width a multiple of 8.

    Attributes:
        kind: what tells this from a volume encoder in a saved file.
        channels: of the input picture.
        widths, blocks, strides: channels, residual blocks and division of each stage.
        mixers: blocks over the coarsest map, of ``mixer``; None: attention with ``heads`` heads.
        finest: the stage at which the mask decoder stops; detail: how much finer than that it draws, an axis.
    """

    kind: Literal["picture"] = "picture"
    channels: int = 1
    widths: tuple[int, ...] = (16, 32, 64, 128, 224)
    blocks: tuple[int, ...] = (1, 1, 1, 2, 2)
    strides: tuple[int, ...] = (2, 2, 2, 2, 2)
    mixers: int = 1
    heads: int = 6
    detail: tuple[int, ...] = (1, 1)
    finest: int = 0
    mixer: MixerConfig | None = None


class PictureEncoder(nn.Module):
    """image (B, C, H, W), present (B, C) bool or None -> Features with tokens (B, N, width)."""

    def __init__(self, config: PictureConfig, width: int) -> None:
        super().__init__()
        self.trunk = Trunk(
            width,
            channels=config.channels,
            widths=config.widths,
            blocks=config.blocks,
            kernels=[(3, 3)] * len(config.widths),
            strides=[(step, step) for step in config.strides],
            mixers=config.mixers,
            mixer=config.mixer or MixerConfig(heads=config.heads),
        )

    def forward(self, image: Tensor, present: Tensor | None = None, extent: Extent | None = None) -> Features:
        """``extent`` changes nothing here: a convolution counts in pixels."""
        return self.trunk(image, present)
