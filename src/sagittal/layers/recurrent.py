"""Recurrences: the gated linear one of Griffin (RG-LRU, De 2024), scanned in parallel, and the LSTM."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.layers.features import State
from sagittal.layers.initial import normal
from sagittal.layers.scan import exact, scan
from sagittal.layers.short import ShortConvolution

SHARPNESS = 8.0  # c of the paper: how far a closed gate lowers the decay
LEAST = 1e-6  # below this the slope of the square root is bounded


class GatedRecurrence(nn.Module):
    """tokens (B, N, D) -> (B, N, D), each seeing itself and those before it.

    h_t = a_t h_{t-1} + sqrt(1 - a_t^2) * (i_t * u_t), a_t = exp(-8 r_t softplus(decay)): the gates r (keep)
    and i (take) are sigmoids of u_t, linear within each of ``heads`` blocks of channels; u is the token after
    a short convolution. The output is gated by the token. The first token enters with factor 1.
    """

    def __init__(self, width: int, heads: int = 6, kernel: int = 4) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, got {width} and {heads}")
        self.heads = heads
        self.enter, self.gate, self.leave = (nn.Linear(width, width) for _ in range(3))
        self.short = ShortConvolution(width, kernel)
        block = width // heads
        self.gates = normal(heads, block, 2 * block, std=block**-0.5)  # take, then keep
        self.gates_bias = nn.Parameter(torch.zeros(heads, 2 * block))
        kept = torch.empty(width).uniform_(0.9, 0.999)  # a where the gate is open, as published
        self.decay = nn.Parameter(torch.log(torch.expm1(-torch.log(kept) / SHARPNESS)))

    def begin(self, batch: int, length: int = 0) -> State:
        """The past of the convolution (B, kernel - 1, D), the memory (B, D), and that it is new (B,)."""
        memory = self.decay.new_zeros(batch, len(self.decay))
        return self.short.begin(batch), memory, torch.ones(batch, dtype=torch.bool, device=memory.device)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.extend(tokens, self.begin(len(tokens)))[0]

    def extend(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The next tokens (B, T, D) after ``state`` -> (B, T, D) and the state after them."""
        past, memory, fresh = state
        u, past = self.short(self.enter(tokens), past)
        blocks = torch.einsum("bnhi,hij->bnhj", u.unflatten(-1, (self.heads, -1)), self.gates.to(u.dtype))
        take, keep = exact(blocks + self.gates_bias).sigmoid().chunk(2, -1)
        exponent = -SHARPNESS * keep.flatten(2) * functional.softplus(self.decay)
        size = torch.sqrt((-torch.expm1(2 * exponent)).clamp(min=LEAST))
        first = torch.zeros_like(size[:, :, :1], dtype=torch.bool)
        first[:, 0] = fresh.unsqueeze(-1)
        drive = torch.where(first, 1.0, size) * take.flatten(2) * exact(u)
        states = scan(exponent.exp(), drive, memory)
        gated = states.to(u.dtype) * functional.gelu(self.gate(tokens), approximate="tanh")
        return self.leave(gated), (past, states[:, -1], torch.zeros_like(fresh))


class Lstm(nn.Module):
    """Long short-term memory (Hochreiter 1997): tokens (B, N, D) -> (B, N, D), necessarily one by one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell = nn.LSTM(width, width, batch_first=True)

    def begin(self, batch: int, length: int = 0) -> State:
        """Output and cell (B, D) before the first token."""
        zeros = next(self.parameters()).new_zeros(batch, self.cell.hidden_size)
        return zeros, zeros

    def forward(self, tokens: Tensor) -> Tensor:
        return self.cell(tokens)[0]

    def extend(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The next tokens (B, T, D) after ``state`` -> (B, T, D) and the state after them."""
        out, last = self.cell(tokens, tuple(x.unsqueeze(0).contiguous() for x in state))
        return out, tuple(x.squeeze(0) for x in last)
