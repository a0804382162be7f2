"""Seconds, memory and energy of a piece of work; energy says whether it was measured or estimated."""

from __future__ import annotations

import logging
import math
import re
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sagittal.errors import BadInput
from sagittal.optional import needs

_RAPL = Path("/sys/class/powercap")
WATTS_PER_BUSY_CORE = 10.0
"""Estimate where the processor has no readable counter: a server core with its share of memory
and power supply draws about 5 to 15 W under load."""
GRAMS_PER_KWH = 473.0
"""Carbon dioxide (equivalent) of a kilowatt-hour: the mean of the world's power in 2024 (Ember 2025)."""
PHONE_WH = 12.0
"""Watt-hours of one charge of a telephone, as in Luccioni, Jernite and Strubell (FAccT 2024): 0.012 kWh."""
IMAGE_CHARGES = 0.5
"""Charges that one image by a generative model takes, as the field quotes Luccioni 2024."""
LITRES, ANSWERS = 0.5, (10, 50)
"""Fresh water that 10 to 50 medium-length answers of a chatbot (GPT-3) take, by place and time (Li, Yang,
Islam and Ren, Making AI Less "Thirsty", 2023)."""
LITRES_PER_KWH = 0.55 + 1.17 * 3.14
"""Water of a server's kilowatt-hour, on site and for making the power (with the building's overhead of 1.17):
the mean of data centres in the United States in Li 2023. An estimate wherever else the work was done."""


@dataclass(frozen=True)
class Usage:
    """What a piece of work took.

    Args:
        seconds: wall clock; cpu_seconds: summed over the process's threads.
        peak_memory_mb: the process's high-water mark (not this work's alone).
        energy_wh: watt-hours; energy_source: "measured: ..." or "estimated: ...".
        co2e_g: grams of carbon dioxide equivalent; co2e_source says from what.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    energy_wh: float = 0.0
    energy_source: str = ""
    co2e_g: float = 0.0
    co2e_source: str = ""


def total(usages: Sequence[Usage]) -> Usage:
    """What several pieces of work took together; the sources are the last one's."""
    return Usage(
        sum(u.seconds for u in usages),
        sum(u.cpu_seconds for u in usages),
        max((u.peak_memory_mb for u in usages), default=0.0),
        sum(u.energy_wh for u in usages),
        usages[-1].energy_source if usages else "",
        sum(u.co2e_g for u in usages),
        usages[-1].co2e_source if usages else "",
    )


def compared(usage: Usage, *, images: int = 0, answers: int = 0) -> tuple[str, ...]:
    """The energy beside half a phone charge an image, and the water beside half a litre for 10 to 50 answers.

    One line each for the whole work; one more for each of ``images`` read or drawn and ``answers`` written,
    where there are any. Energy is marked as measured or estimated; water is always estimated.

    Raises:
        ValueError: images or answers below 0.
    """
    if images < 0 or answers < 0:
        raise ValueError(f"images and answers must be at least 0, got {images} and {answers}")
    image, kind = IMAGE_CHARGES * PHONE_WH, usage.energy_source.split(":")[0] or "unknown"
    few, many = ANSWERS
    charges, images_as_much = _number(usage.energy_wh / PHONE_WH), _number(usage.energy_wh / image)
    water, low, high = usage.energy_wh * LITRES_PER_KWH, 1000 * LITRES / many, 1000 * LITRES / few  # ml
    lines = [
        f"energy {_number(usage.energy_wh)} Wh ({kind}): {charges} phone charges, "
        f"or {images_as_much} generated images at half a charge each (Luccioni 2024)",
        f"water {_number(water)} ml (estimated, {LITRES_PER_KWH:.1f} l/kWh): {_number(water / high)} to "
        f"{_number(water / low)} chatbot answers at half a litre for {few}-{many} (Li 2023)",
    ]
    if images:
        each = usage.energy_wh / images
        share = _number(each / image)
        lines.append(f"{images} images: {_number(each)} Wh each ({kind}), {share} of half a phone charge")
    if answers:
        each = water / answers
        lines.append(
            f"{answers} answers: {_number(each)} ml of water each (estimated), beside {low:g} to {high:g} ml"
        )
    return tuple(lines)


def _number(value: float) -> str:
    """Two digits that count, never as a power of ten."""
    if value == 0 or value >= 100:
        return f"{value:.0f}"
    return f"{value:.{max(0, 1 - math.floor(math.log10(value)))}f}"


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
    """Runs while a `metered` block runs; `usage` may be asked at any time.

    With a ``country`` (ISO 3166, three letters) codecarbon's offline tracker counts energy, that of graphics
    cards too, and carbon at the end; it asks no network. MissingExtra where it is not installed.
    """

    def __init__(self, country: str | None = None) -> None:
        self._country, self._tracker = country, _tracker(country) if country else None
        self._wall, self._cpu, self._joules = time.perf_counter(), time.process_time(), _rapl_microjoules()
        self._final: Usage | None = None

    @property
    def usage(self) -> Usage:
        """So far, or final once the block has ended."""
        return self._final or self._now()

    def stop(self) -> Usage:
        if self._final is None:
            self._final = self._now()
            if self._tracker is not None:
                kilograms = self._tracker.stop() or 0.0
                self._final = replace(
                    self._final,
                    energy_wh=1000 * float(self._tracker.final_emissions_data.energy_consumed),
                    energy_source="estimated: codecarbon, this process",
                    co2e_g=1000 * float(kilograms),
                    co2e_source=f"codecarbon, mean of {self._country}",
                )
        return self._final

    def _now(self) -> Usage:
        seconds = time.perf_counter() - self._wall
        cpu = time.process_time() - self._cpu
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = kilobytes / (1024.0**2 if sys.platform == "darwin" else 1024.0)
        now = _rapl_microjoules()
        # A counter that wrapped around reads lower than before; then estimate.
        if now is not None and self._joules is not None and now > self._joules:
            energy, source = (now - self._joules) / 3.6e9, "measured: RAPL, whole processor"
        else:
            energy = cpu * WATTS_PER_BUSY_CORE / 3600.0
            source = f"estimated: processor seconds x {WATTS_PER_BUSY_CORE:g} W"
        carbon = f"{GRAMS_PER_KWH:g} g/kWh, mean of the world in 2024"
        return Usage(seconds, cpu, peak, energy, source, energy / 1000 * GRAMS_PER_KWH, carbon)


def _tracker(country: str) -> Any:
    if not re.fullmatch("[A-Z]{3}", country):
        raise BadInput(f"country {country[:20]!r}", "three capital letters as in ISO 3166, such as DEU")
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it would say that it begins
    codecarbon = needs("codecarbon", feature="carbon by country", extra="energy")
    tracker = codecarbon.OfflineEmissionsTracker(
        country_iso_code=country,
        save_to_file=False,
        log_level="critical",
        tracking_mode="process",
        allow_multiple_runs=True,
    )
    tracker.start()
    return tracker


@contextmanager
def metered(country: str | None = None) -> Iterator[Meter]:
    """``with metered() as meter: ...`` then ``meter.usage``."""
    meter = Meter(country)
    try:
        yield meter
    finally:
        meter.stop()
