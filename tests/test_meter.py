"""The meter counts what was used, and says how it knows."""

from __future__ import annotations

import importlib.util
import time

import pytest

from sagittal.errors import BadInput, MissingExtra
from sagittal.meter import GRAMS_PER_KWH, WATTS_PER_BUSY_CORE, Meter, Usage, compared, metered, total


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


def test_carbon_follows_the_energy_and_totals_add_up() -> None:
    with metered() as meter:
        sum(range(100_000))
    usage = meter.usage
    assert abs(usage.co2e_g - usage.energy_wh / 1000 * GRAMS_PER_KWH) < 1e-12
    both = total([usage, usage])
    assert both.energy_wh == 2 * usage.energy_wh and both.co2e_g == 2 * usage.co2e_g
    assert both.peak_memory_mb == usage.peak_memory_mb
    assert total([]) == Usage()


def test_a_country_is_three_letters_and_asks_for_codecarbon() -> None:
    with pytest.raises(BadInput, match="three capital letters"):
        Meter("Germany")
    if importlib.util.find_spec("codecarbon") is None:
        with pytest.raises(MissingExtra, match=r"carbon by country needs codecarbon.*sagittal\[energy\]"):
            Meter("DEU")
        return
    with metered("FRA") as meter:
        sum(range(10_000_000))
    assert meter.usage.energy_wh > 0
    assert 10 < 1000 * meter.usage.co2e_g / meter.usage.energy_wh < 200  # mostly nuclear power
    assert meter.usage.co2e_source == "codecarbon, mean of FRA"


def test_the_footprint_stands_beside_a_phone_and_a_bottle() -> None:
    estimated = Usage(energy_wh=6.0, energy_source="estimated: processor seconds x 10 W")
    energy, water = compared(estimated)
    # 6 Wh: half a charge of 12 Wh, which is one image; at 4.22 l/kWh 25 ml, at 10 to 50 ml an answer
    assert energy.startswith("energy 6.0 Wh (estimated): 0.50 phone charges, or 1.0 generated images at half")
    assert water.startswith("water 25 ml (estimated, 4.2 l/kWh): 0.51 to 2.5 chatbot answers at half a litre")
    *same, image, answer = compared(estimated, images=1000, answers=5)
    assert same == [energy, water]
    assert image == "1000 images: 0.0060 Wh each (estimated), 0.0010 of half a phone charge"
    assert answer == "5 answers: 5.1 ml of water each (estimated), beside 10 to 50 ml"


def test_what_was_measured_says_so_and_nothing_is_nothing() -> None:
    lines = compared(Usage(energy_wh=1200.0, energy_source="measured: RAPL, whole processor"), answers=1)
    assert "1200 Wh (measured): 100 phone charges, or 200 generated images" in lines[0]
    assert "(estimated" in lines[1] and len(lines) == 3
    assert compared(Usage())[0].startswith("energy 0 Wh (unknown): 0 phone charges, or 0 generated")
    with pytest.raises(ValueError, match="at least 0"):
        compared(Usage(), images=-1)
