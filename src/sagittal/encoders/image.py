"""Every encoder of images by the kind of its configuration, and what a mask decoder must know of it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from sagittal.encoders.picture import PictureConfig, PictureEncoder
from sagittal.encoders.slices import SliceConfig, SliceEncoder
from sagittal.encoders.vit import VitConfig, VitEncoder
from sagittal.encoders.volume import VolumeConfig, VolumeEncoder
from sagittal.layers.convolution import Norm

ImageConfig = PictureConfig | VolumeConfig | VitConfig | SliceConfig


@dataclass(frozen=True)
class Plan:
    """``axes``, ``channels`` of images; of the pyramid, finest first, ``widths`` and fitting ``kernels``."""

    axes: int
    channels: int
    widths: tuple[int, ...]
    kernels: tuple[tuple[int, ...], ...]
    detail: tuple[int, ...]
    finest: int
    norm: Norm = "group"


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
        each = tuple((1, *kernel) for kernel in flat.kernels)
        return Plan(
            3, flat.channels, flat.widths, each, (1, *flat.detail) if flat.detail else (), flat.finest
        )  # the decoder's own maps are volumes: their norm is its own
    if isinstance(config, VolumeConfig):
        return Plan(
            3, config.channels, config.widths, config.kernels, config.detail, config.finest, config.norm
        )
    axes = 2 if isinstance(config, PictureConfig) else len(config.patch)
    kernels = ((3,) * axes,) * len(config.widths)
    kind = config.norm if isinstance(config, PictureConfig) else "group"
    return Plan(axes, config.channels, config.widths, kernels, config.detail, config.finest, kind)
