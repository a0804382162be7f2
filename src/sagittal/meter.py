"""Seconds, memory and energy of a piece of work; energy says whether it was measured or estimated."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_RAPL = Path("/sys/class/powercap")
WATTS_PER_BUSY_CORE = 10.0
"""Estimate where the processor has no readable counter: a server core with its share of memory
and power supply draws about 5 to 15 W under load."""


@dataclass(frozen=True)
class Usage:
    """What a piece of work took.

    Args:
        seconds: wall clock; cpu_seconds: summed over the process's threads.
        peak_memory_mb: the process's high-water mark (not this work's alone).
        energy_wh: watt-hours; energy_source: "measured: ..." or "estimated: ...".
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    energy_wh: float = 0.0
    energy_source: str = ""


def _rapl_microjoules() -> float | None:
    """Sum of the package counters, or None where they cannot be read."""
    total, found = 0.0, False
    for counter in _RAPL.glob("intel-rapl:?/energy_uj"):
        try:
            total += float(counter.read_text())
            found = True
        except (OSError, ValueError):
            return None
    return total if found else None


class Meter:
    """Runs while a `metered` block runs; `usage` may be asked at any time."""

    def __init__(self) -> None:
        self._wall, self._cpu, self._joules = time.perf_counter(), time.process_time(), _rapl_microjoules()
        self._final: Usage | None = None

    @property
    def usage(self) -> Usage:
        """So far, or final once the block has ended."""
        return self._final or self._now()

    def stop(self) -> Usage:
        self._final = self._now()
        return self._final

    def _now(self) -> Usage:
        seconds = time.perf_counter() - self._wall
        cpu = time.process_time() - self._cpu
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = kilobytes / (1024.0**2 if sys.platform == "darwin" else 1024.0)
        now = _rapl_microjoules()
        # A counter that wrapped around reads lower than before; then estimate.
        if now is not None and self._joules is not None and now > self._joules:
            return Usage(seconds, cpu, peak, (now - self._joules) / 3.6e9, "measured: RAPL, whole processor")
        energy = cpu * WATTS_PER_BUSY_CORE / 3600.0
        source = f"estimated: processor seconds x {WATTS_PER_BUSY_CORE:g} W"
        return Usage(seconds, cpu, peak, energy, source)


@contextmanager
def metered() -> Iterator[Meter]:
    """``with metered() as meter: ...`` then ``meter.usage``."""
    meter = Meter()
    try:
        yield meter
    finally:
        meter.stop()
