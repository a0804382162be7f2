"""Three-dimensional images: a pyramid ConvNet whose stages may treat z apart from the plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sagittal.encoders.picture import PictureConfig, PictureEncoder
from sagittal.layers.convolution import Norm
from sagittal.layers.features import Extent, Features
from sagittal.layers.mixer import MixerConfig
from sagittal.layers.trunk import Trunk

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class VolumeConfig:
    """One entry a stage, finest first; every width a multiple of 8; triples are z, y, x.

    Thick slices want kernel (1, 3, 3) and stride (1, 2, 2) until the voxel is about as wide as it is tall.
    ``mixer`` of the ``mixers`` blocks over the coarsest map; None: attention with ``heads`` heads.
    ``norm`` of the convolutions, encoder and mask decoder.
    ``inflated``: made of a picture encoder by ``inflate``.
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
    inflated: bool = False
    norm: Norm = "group"


class VolumeEncoder(nn.Module):
    """image (B, C, Z, Y, X), present (B, C) bool or None -> Features with tokens (B, N, width).

    Counts in voxels: ``extent``, the spacing in mm, is taken like every encoder takes it, and ignored.
    """

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
            inflated=config.inflated,
            norm=config.norm,
        )

    def forward(self, image: Tensor, present: Tensor | None = None, extent: Extent | None = None) -> Features:
        return self.trunk(image, present)


def inflate(
    picture: PictureEncoder, config: PictureConfig, width: int, *, kernel: int = 3,
    strides: Sequence[int] | None = None,
) -> tuple[VolumeConfig, VolumeEncoder]:  # fmt: skip
    """A volume encoder that starts from what ``picture`` (of ``config``, to tokens of ``width``) has learnt.

    I3D (Carreira 2017): every kernel is repeated ``kernel`` times along z (an odd number) and divided by it,
    so a volume that is the same in every slice gives, with attention as mixer, the features of that slice.
    ``strides`` along z, one a stage; None: as in the plane.
    """
    if config.contrast:
        raise ValueError("a picture encoder with local contrast cannot be inflated")
    deep = tuple(strides or config.strides)
    high, wide = config.detail
    inflated = VolumeConfig(
        channels=config.channels,
        widths=config.widths,
        blocks=config.blocks,
        kernels=((kernel, 3, 3),) * len(config.widths),
        strides=tuple((z, step, step) for z, step in zip(deep, config.strides, strict=True)),
        mixers=config.mixers,
        heads=config.heads,
        detail=(1, high, wide),
        finest=config.finest,
        mixer=config.mixer,
        inflated=True,
        norm=config.norm,
    )
    encoder = VolumeEncoder(inflated, width)
    state = encoder.state_dict()
    for name, flat in picture.state_dict().items():
        thick = state[name]
        state[name] = flat.unsqueeze(2).expand_as(thick) / thick.shape[2] if thick.ndim == 5 else flat
    encoder.load_state_dict(state)
    return inflated, encoder
