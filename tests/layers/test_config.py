"""Configurations survive JSON, and hostile ones are named in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagittal.branch import BranchConfig
from sagittal.encoders.picture import PictureConfig
from sagittal.encoders.text import TextConfig
from sagittal.encoders.volume import VolumeConfig
from sagittal.errors import BadInput
from sagittal.layers.config import from_json, to_json
from sagittal.model import ModelConfig

CONFIG = ModelConfig(
    branches={
        "chest-xray": BranchConfig(PictureConfig(), ("nodule",), ("heart", "nodule")),
        "brain-mr": BranchConfig(VolumeConfig(channels=6), masks=("brain",)),
    },
    text=TextConfig(),
)


def test_round_trip_through_text() -> None:
    assert from_json(ModelConfig, json.loads(json.dumps(to_json(CONFIG)))) == CONFIG


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"widht": 192}, "did you mean 'width'"),
        ({"width": "192"}, "config.width is '192'; expected int"),
        ({"width": True}, "config.width is 'True'; expected int"),
        ({"width": 10**12}, "at most 1000000"),
        ({"branches": []}, "config.branches"),
        ({"branches": {"a": {}}}, "config.branches.a lacks the key 'encoder'"),
        ({"branches": {"a": {"encoder": {"kind": "os.system"}}}}, "expected one of picture, volume"),
        ({"branches": {"a": {"encoder": {"kind": "picture", "widths": [8, "x"]}}}}, "widths[1]"),
        (
            {"branches": {"a": {"encoder": {"kind": "volume", "strides": [[1, 2]]}}}},
            "has 2 entries; expected 3",
        ),
        ({"text": 3}, "config.text is int; expected an object"),
    ],
)
def test_bad_configurations(change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput) as caught:
        from_json(ModelConfig, to_json(CONFIG) | change)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
