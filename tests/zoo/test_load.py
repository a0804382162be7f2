"""Finding models by name or folder, and saying so when there is none."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from sagittal.errors import BadInput, MissingExtra
from sagittal.zoo.card import RESEARCH_ONLY
from sagittal.zoo.load import BUNDLED, card, load, names


@pytest.mark.parametrize("name", ["no-such-model", "../../etc", "", "a\0b", "/"])
def test_an_unknown_model_lists_what_there_is(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(name)
    text = str(caught.value)
    assert "\n" not in text
    assert "deepbet" in text or "card.json" in text


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cuda:99", ""])
def test_a_device_that_is_not_here_is_bad_input(folder: Path, device: str) -> None:
    with pytest.raises(BadInput, match="device"):
        load(folder, device)


def test_every_bundled_model_has_a_card_and_small_shards() -> None:
    for path in BUNDLED.glob("*/card.json"):
        found = card(path.parent.name)
        assert found.intended_use == RESEARCH_ONLY
        assert found.data
        assert all(use.licence for use in found.data)
        assert found.results
        for shard in path.parent.glob("*.safetensors"):
            assert shard.stat().st_size < 16 * 2**20
        assert not list(path.parent.glob("*.pt")) + list(path.parent.glob("*.pkl"))
    assert sum(f.stat().st_size for f in BUNDLED.rglob("*.safetensors")) <= 30 * 2**20


def test_every_bundled_model_loads() -> None:
    for name in names():
        if name != "deepbet":
            assert load(name).card.name == name


def test_without_the_package_deepbet_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(MissingExtra, match=r"pip install --no-deps deepbet"):
        load("deepbet")
    assert card("deepbet").licence == "MIT"


def test_zoo_list_and_show(sagittal: Callable[..., Any], folder: Path) -> None:
    listed = sagittal("zoo", "list", "--json")
    assert listed.code == 0
    assert "deepbet" in [m["name"] for m in listed.json["models"]]
    shown = sagittal("zoo", "show", folder, "--json")
    assert shown.json["branches"]["film"]["input"]["age_years"] == [18.0, 90.0]
    text = sagittal("zoo", "show", "deepbet")
    assert "research use only" in text.out
    missing = sagittal("zoo", "show", "nothing")
    assert (missing.code, missing.out) == (2, "")
    assert missing.err.count("\n") == 1
