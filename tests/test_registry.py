"""Plug-ins: from packages and from this process; what is wrong with one is said in one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagittal import registry
from sagittal.errors import BadInput

PLUGIN = """
from sagittal.measure.metrics import Metric
import numpy as np
LENGTH = Metric("length.sample", "1", "length of the candidate", "higher", 0.0, float("inf"), "sample", "0",
    lambda cases: np.array([[len(c.candidate.text), 1.0] for c in cases]), lambda row: row[0] / row[1])
NOT_ONE = 3
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package on the path with four entry points, three of them broken."""
    info = tmp_path / "toy_plug-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-plug\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[sagittal.metrics]\n"
        "length = toy_plug:LENGTH\nnone = toy_plug:MISSING\nthree = toy_plug:NOT_ONE\nlost = no_such:THING\n"
    )
    (tmp_path / "toy_plug.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._installed.cache_clear()
    yield
    sys.modules.pop("toy_plug", None)
    registry._installed.cache_clear()


def test_a_package_brings_a_plug_in_and_it_is_imported_only_when_asked_for(installed: None) -> None:
    from sagittal.measure.metrics import Metric

    assert registry.names("metrics") == ("length", "lost", "none", "three")
    assert "toy_plug" not in sys.modules
    assert registry.load("metrics", "length", Metric).name == "length.sample"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "'none' (toy_plug:MISSING of toy-plug) cannot be loaded (AttributeError"),
        ("lost", "'lost' (no_such:THING of toy-plug) cannot be loaded (ModuleNotFoundError"),
        ("three", "'three' (toy_plug:NOT_ONE of toy-plug) is a int; expected a str"),
        ("other", "no plug-in 'other' in metrics; expected one of length, lost, none, three"),
    ],
)
def test_what_is_wrong_with_a_plug_in_names_it_and_its_package(installed: None, name: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        registry.load("metrics", name, str)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_registering_and_forgetting() -> None:
    registry.register("metrics", "word", "hello")
    try:
        assert "word" in registry.names("metrics")
        assert registry.load("metrics", "word", str) == "hello"
        with pytest.raises(ValueError, match="already has 'word'"):
            registry.register("metrics", "word", "bye")
    finally:
        registry.forget("metrics", "word")
    assert "word" not in registry.names("metrics")
    with pytest.raises(KeyError):
        registry.forget("metrics", "word")


def test_an_unknown_group_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="must be one of metrics"):
        registry.names("recipes")


def test_a_package_takes_no_name_from_another(installed: None) -> None:
    with pytest.raises(ValueError, match="already has 'length'"):
        registry.register("metrics", "length", 1)
