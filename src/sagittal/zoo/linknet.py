"""The network of DeepBet: a 3D LinkNet whose state dict is the published one, tensor for tensor.

Written from the published tensors' names and shapes; instance norms have no weights. Source: Fisch
et al., deepbet: Fast brain extraction of T1-weighted MRI, 2024 (arXiv 2308.07003), MIT.
"""

from __future__ import annotations

from torch import Tensor, nn


def _conv_norm(c_in: int, c_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv3d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
        nn.InstanceNorm3d(c_out),
    ]


class _Residual(nn.Module):
    """(B, c_in, ...) -> (B, c_out, ... / stride)."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            *_conv_norm(c_in, c_out, 3, stride), nn.ReLU(), *_conv_norm(c_out, c_out, 3)
        )
        self.downsample = None if c_in == c_out else nn.Sequential(*_conv_norm(c_in, c_out, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        out: Tensor = nn.functional.relu(self.double_conv(x) + skip)
        return out


class _Down(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.block1 = _Residual(c_in, c_out, stride)
        self.block2 = _Residual(c_out, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block2(self.block1(x))
        return out


class _Up(nn.Module):
    """Narrow to a quarter, upsample by ``stride``, widen to ``c_out``."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        c = c_in // 4
        self.conv1 = nn.Sequential(*_conv_norm(c_in, c, 1), nn.ReLU())
        self.tp_conv = nn.Sequential(
            nn.ConvTranspose3d(c, c, 3, stride, 1, output_padding=stride - 1, bias=False),
            nn.InstanceNorm3d(c),
            nn.ReLU(),
        )
        self.conv2 = nn.Sequential(*_conv_norm(c, c_out, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.tp_conv(self.conv1(x)))
        return out


class LinkNet3d(nn.Module):
    """(B, 1, D, H, W), each a multiple of 32, -> (B, 2, D, H, W) probabilities: outside, brain."""

    def __init__(self) -> None:
        super().__init__()
        self.init = nn.Sequential(*_conv_norm(1, 16, 7, 2), nn.ReLU(), nn.MaxPool3d(3, 2, 1))
        self.down0 = _Down(16, 16, 1)
        self.down1 = _Down(16, 32, 2)
        self.down2 = _Down(32, 64, 2)
        self.down3 = _Down(64, 128, 2)
        self.up0 = _Up(128, 64, 2)
        self.up1 = _Up(64, 32, 2)
        self.up2 = _Up(32, 16, 2)
        self.up3 = _Up(16, 16, 1)
        self.tp_conv1 = nn.Sequential(
            nn.ConvTranspose3d(16, 8, 3, 2, 1, output_padding=1), nn.InstanceNorm3d(8), nn.ReLU()
        )
        self.conv = nn.Sequential(nn.Conv3d(8, 8, 3, 1, 1), nn.InstanceNorm3d(8), nn.ReLU())
        self.tp_conv2 = nn.ConvTranspose3d(8, 2, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x0 = self.init(x)
        x1 = self.down0(x0)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        y = self.up0(self.down3(x3)) + x3
        y = self.up1(y) + x2
        y = self.up2(y) + x1
        y = self.up3(y) + x0
        out: Tensor = self.tp_conv2(self.conv(self.tp_conv1(y))).softmax(1)
        return out
