"""The meter counts what was used, and says how it knows."""

from __future__ import annotations

import time

from sagittal.meter import WATTS_PER_BUSY_CORE, metered


def test_busy_work_costs_processor_seconds_and_sleep_does_not() -> None:
    with metered() as busy:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
    with metered() as asleep:
        time.sleep(0.05)
    assert busy.usage.cpu_seconds >= 0.05 > asleep.usage.cpu_seconds
    assert asleep.usage.seconds >= 0.05


def test_energy_is_marked_and_an_estimate_follows_the_stated_rule() -> None:
    with metered() as meter:
        sum(range(100_000))
    usage = meter.usage
    kind = usage.energy_source.split(":")[0]
    assert kind in ("measured", "estimated")
    if kind == "estimated":
        assert abs(usage.energy_wh - usage.cpu_seconds * WATTS_PER_BUSY_CORE / 3600) < 1e-12


def test_usage_is_final_after_the_block() -> None:
    with metered() as meter:
        pass
    assert meter.usage == meter.usage
    assert meter.usage.peak_memory_mb > 1
