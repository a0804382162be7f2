"""The learning rate as a function of how much of the run is done."""

from __future__ import annotations

import math


def warmup_cosine(done: float, *, warmup: float = 0.05, floor: float = 0.01) -> float:
    """Factor of the learning rate at ``done`` in 0..1: linear up, then cosine to ``floor``."""
    done = min(max(done, 0.0), 1.0)
    if done < warmup:
        return max(done / warmup, 1e-3)
    turn = (done - warmup) / max(1 - warmup, 1e-9)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * turn))
