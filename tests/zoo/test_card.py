"""Cards: whole round trip, refusal of what is not one, digests that notice a changed bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from sagittal.errors import BadInput
from sagittal.measure.statistics import Interval
from sagittal.meter import Usage
from sagittal.study.spec import InputSpec
from sagittal.zoo.card import (
    RESEARCH_ONLY,
    BranchCard,
    Card,
    DataUse,
    GateCard,
    LabelCard,
    Result,
    Threshold,
    read_card,
    weights_digest,
    write_card,
)

CARD = Card(
    name="toy",
    version="1",
    family="sagittal",
    summary="a toy",
    licence="Apache-2.0",
    digest="0" * 64,
    branches={
        "chest-xray": BranchCard(
            InputSpec(
                modality=("DX", "CR"), body_part="CHEST", view=("PA",), size=(256, 256), age_years=(1, 5)
            ),
            labels=(
                LabelCard(
                    "nodule",
                    0.9,
                    -0.2,
                    "phantom chest-xray",
                    (Threshold("phantom chest-xray", 0.7, 0.02, Interval(0.97, 0.93, 0.99)),),
                ),
            ),
            masks=("lung_left",),
            gate=GateCard(2.5, 0.99, 1000, 400),
        )
    },
    data=(DataUse("phantoms", "ours", 1000),),
    results=(Result("auroc", "nodule", Interval(0.95, 0.93, 0.97, n=400), "400 films", "phantom", 0.8),),
    training=Usage(60.0, 118.0, 900.0, 1.2, "estimated"),
)


def test_a_card_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    write_card(CARD, tmp_path)
    assert read_card(tmp_path) == CARD
    assert read_card(tmp_path).intended_use == RESEARCH_ONLY
    assert not list(tmp_path.glob("*.partial"))


def test_asking_for_what_a_card_lacks_names_what_it_has() -> None:
    with pytest.raises(BadInput, match="chest-xray"):
        CARD.branch("brain-mr")
    with pytest.raises(KeyError):
        CARD.branch("chest-xray").label("mass")
    assert CARD.branch("chest-xray").label("nodule").threshold("real chest-xray") is None


@pytest.mark.parametrize("damage", ["missing", "unknown key", "wrong type", "not json"])
def test_a_damaged_card_is_one_clear_line(tmp_path: Path, damage: str) -> None:
    path = write_card(CARD, tmp_path)
    value = json.loads(path.read_text("utf-8"))
    if damage == "missing":
        path.unlink()
    elif damage == "unknown key":
        path.write_text(json.dumps(value | {"surprise": 1}))
    elif damage == "wrong type":
        path.write_text(json.dumps(value | {"branches": [1]}))
    else:
        path.write_text("{")
    with pytest.raises(BadInput) as caught:
        read_card(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_digest_changes_with_a_single_bit_and_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x00\x01")
    first = weights_digest(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x00\x03")
    second = weights_digest(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "other.safetensors")
    assert len({first, second, weights_digest(tmp_path)}) == 3


def test_every_field_has_a_json_form() -> None:
    assert dataclasses.replace(CARD, training=None).training is None
