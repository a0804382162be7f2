"""The linear recurrence h_t = a_t * h_{t-1} + b_t, element by element: what state spaces and gates share.

``sequential`` is the definition. ``scan`` gives the same states in about 3 * sqrt(N) steps instead of N: the
sequence is cut into sqrt(N) chunks that advance together, twice; first to learn what each chunk adds to and
keeps of the state it starts with, then, once those starts are known, to write the states. Nothing is divided
and no product of decays is inverted, so it is as stable as the definition (Martin & Cundy 2018 scan in
parallel; the two passes are the blocked scan of Blelloch 1990). Its gradient is the same recurrence, run
backwards.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

SHORT = 8


def exact(x: Tensor) -> Tensor:
    """x in float32 when it has fewer bits than that: a recurrence adds up thousands of steps."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def sequential(decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
    """decay, drive (B, N, *F), start (B, *F) -> states (B, N, *F), one step after the other."""
    states, state = [], start
    for step in range(drive.shape[1]):
        state = decay[:, step] * state + drive[:, step]
        states.append(state)
    return torch.stack(states, 1) if states else drive


def scan(decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
    """decay, drive (B, N, *F), start (B, *F) -> states (B, N, *F): as ``sequential``, in parallel."""
    if drive.shape[1] < SHORT:
        return sequential(decay, drive, start)
    return _Scan.apply(decay, drive, start)  # type: ignore[no-untyped-call]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
        states = _chunked(decay, drive, start)
        ctx.save_for_backward(decay, states, start)
        return states

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        decay, states, start = ctx.saved_tensors
        # g_t = grad_t + a_{t+1} * g_{t+1}: the scan itself, from the last step to the first
        later = torch.cat([torch.zeros_like(decay[:, :1]), decay[:, 1:].flip(1)], 1)
        drive = scan(later, grad.flip(1), torch.zeros_like(start)).flip(1)
        before = torch.cat([start.unsqueeze(1), states[:, :-1]], 1)
        needs_decay, _, needs_start = ctx.needs_input_grad
        return (
            drive * before if needs_decay else None,
            drive,
            decay[:, 0] * drive[:, 0] if needs_start else None,
        )


def _chunked(decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
    count = drive.shape[1]
    length = math.isqrt(count)
    chunks = count // length
    whole = chunks * length
    a = decay[:, :whole].unflatten(1, (chunks, length))
    b = drive[:, :whole].unflatten(1, (chunks, length))
    added, kept = (
        b[:, :, 0].clone(),
        a[:, :, 0].clone(),
    )  # what a chunk makes of a zero start, and of its start
    for step in range(1, length):
        added.mul_(a[:, :, step]).add_(b[:, :, step])
        kept.mul_(a[:, :, step])
    starts = [start]
    for chunk in range(chunks):
        starts.append(torch.addcmul(added[:, chunk], kept[:, chunk], starts[-1]))
    states = torch.empty_like(drive)
    inside = states[:, :whole].unflatten(1, (chunks, length))
    state = torch.stack(starts[:-1], 1)
    for step in range(length):
        state = torch.addcmul(b[:, :, step], a[:, :, step], state, out=inside[:, :, step])
    for step in range(whole, count):
        torch.addcmul(drive[:, step], decay[:, step], states[:, step - 1], out=states[:, step])
    return states
