"""Selective state space (Mamba, Gu & Dao 2023): a linear memory whose step size follows what it reads."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from sagittal.layers.features import State
from sagittal.layers.scan import exact, scan
from sagittal.layers.short import ShortConvolution

CHUNK = 256  # tokens whose states (B, CHUNK, S, W) are held at once; between chunks only the last one is kept


class StateSpace(nn.Module):
    """tokens (B, N, D) -> (B, N, D), each seeing itself and those before it.

    Inside, W = ``expand`` * D channels with ``state`` numbers each:
    h_t = exp(dt_t * A) h_{t-1} + dt_t * B_t * u_t and y_t = C_t h_t + skip * u_t, where dt (softplus, per
    channel), B and C are linear in u_t; u is the token after a short convolution, y is gated by the token.
    """

    def __init__(self, width: int, state: int = 16, expand: int = 2, kernel: int = 4) -> None:
        super().__init__()
        inner, self.rank, self.state = expand * width, math.ceil(width / 16), state
        self.enter = nn.Linear(width, 2 * inner, bias=False)
        self.short = ShortConvolution(inner, kernel)
        self.select = nn.Linear(inner, self.rank + 2 * state, bias=False)
        self.step_size = nn.Linear(self.rank, inner)
        self.log_decay = nn.Parameter(torch.arange(1, state + 1).float().log().repeat(inner, 1))
        self.skip = nn.Parameter(torch.ones(inner))
        self.leave = nn.Linear(inner, width, bias=False)
        with torch.no_grad():  # steps between .001 and .1, evenly in their logarithm, as published
            steps = torch.exp(torch.rand(inner) * math.log(100) + math.log(1e-3))
            self.step_size.bias.copy_(steps + torch.log(-torch.expm1(-steps)))
            nn.init.uniform_(self.step_size.weight, -(self.rank**-0.5), self.rank**-0.5)

    def begin(self, batch: int, length: int = 0) -> State:
        """Nothing read: the past of the convolution (B, kernel - 1, W) and the memory (B, S, W)."""
        return self.short.begin(batch), self.log_decay.new_zeros(batch, self.state, len(self.skip))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.extend(tokens, self.begin(len(tokens)))[0]

    def extend(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The next tokens (B, T, D) after ``state`` -> (B, T, D) and the state after them."""
        u, gate = self.enter(tokens).chunk(2, -1)
        u, past = self.short(u, state[0])
        u = functional.silu(u)
        low, write, read = self.select(u).split([self.rank, self.state, self.state], -1)
        dt = functional.softplus(exact(self.step_size(low)))
        y, memory = self._remember(exact(u), dt, exact(write), exact(read), state[1])
        return self.leave(y.to(gate.dtype) * functional.silu(gate)), (past, memory)

    def _remember(
        self, u: Tensor, dt: Tensor, write: Tensor, read: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor]:
        """u, dt (B, T, W), write, read (B, T, S), memory (B, S, W) -> y (B, T, W) and the last memory.

        Chunk by chunk, and the inside of a chunk is computed again for its gradient: the states of all tokens
        would be S times as large as everything else together.
        """
        ys = []
        for parts in zip(*(x.split(CHUNK, 1) for x in (u, dt, write, read)), strict=True):
            arguments = (*parts, memory, self.log_decay)
            if torch.is_grad_enabled() and u.shape[1] > CHUNK:
                y, memory = checkpoint(_chunk, *arguments, use_reentrant=False, preserve_rng_state=False)
            else:
                y, memory = _chunk(*arguments)
            ys.append(y)
        return torch.cat(ys, 1) + self.skip * u, memory


def _chunk(
    u: Tensor, dt: Tensor, write: Tensor, read: Tensor, memory: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor]:
    decay = torch.exp(dt.unsqueeze(2) * -log_decay.exp().T)
    states = scan(decay, (dt * u).unsqueeze(2) * write.unsqueeze(-1), memory)
    return (read.unsqueeze(2) @ states).squeeze(2), states[:, -1].clone()  # not a view: that would keep all
