"""Every encoder of images by the kind of its configuration, and what a mask decoder must know of it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from sagittal.encoders.picture import PictureConfig, PictureEncoder
from sagittal.encoders.slices import SliceConfig, SliceEncoder
from sagittal.encoders.vit import VitConfig, VitEncoder
from sagittal.encoders.volume import VolumeConfig, VolumeEncoder

ImageConfig = PictureConfig | VolumeConfig | VitConfig | SliceConfig


@dataclass(frozen=True)
class Plan:
    """``channels`` of the image; of the pyramid, finest first, ``widths`` and the ``kernels`` that suit it."""

    channels: int
    widths: tuple[int, ...]
    kernels: tuple[tuple[int, ...], ...]
    detail: tuple[int, ...]
    finest: int

    @property
    def axes(self) -> int:
        """2 for pictures, 3 for volumes."""
        return len(self.kernels[0])


def build(config: ImageConfig, width: int) -> nn.Module:
    """encode(image (B, C, *S), present (B, C) | None, extent | None) -> Features of tokens (B, N, width)."""
    match config:
        case PictureConfig():
            return PictureEncoder(config, width)
        case VolumeConfig():
            return VolumeEncoder(config, width)
        case VitConfig():
            return VitEncoder(config, width)
        case SliceConfig():
            return SliceEncoder(config, width)


def plan(config: ImageConfig) -> Plan:
    """What comes out of ``build(config)``."""
    if isinstance(config, SliceConfig):
        flat = plan(config.picture)
        kernels = tuple((1, *kernel) for kernel in flat.kernels)
        return Plan(flat.channels, flat.widths, kernels, (1, *flat.detail) if flat.detail else (), flat.finest)
    if isinstance(config, VolumeConfig):
        kernels: tuple[tuple[int, ...], ...] = config.kernels
    else:
        axes = 2 if isinstance(config, PictureConfig) else len(config.patch)
        kernels = ((3,) * axes,) * len(config.widths)
    return Plan(config.channels, config.widths, kernels, config.detail, config.finest)
