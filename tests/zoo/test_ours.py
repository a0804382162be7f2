"""Our own family on studies: contracts, grids, gates; and damage to its folder."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sagittal.errors import BadInput, Refused
from sagittal.measure.calibration import Platt
from sagittal.study.context import Context, Lab
from sagittal.study.prepare import prepare
from sagittal.study.study import Acquisition, Study
from sagittal.zoo.capability import Classifies, Embeds, Encodes, Infers, Segments, capabilities
from sagittal.zoo.load import load
from sagittal.zoo.ours import SagittalModel, context_text, inputs


@pytest.fixture(scope="module")
def model(folder: Path) -> SagittalModel:
    loaded = load(folder)
    assert isinstance(loaded, SagittalModel)
    return loaded


def test_it_has_every_capability_it_claims(model: SagittalModel) -> None:
    for protocol in (Classifies, Segments, Embeds, Infers, Encodes):
        assert isinstance(model, protocol)
    assert capabilities(model) == ("embeds", "classifies", "segments")


def test_scores_are_the_networks_own_on_the_prepared_array(
    model: SagittalModel, film: Callable[..., Study]
) -> None:
    study = film()
    spec = model.card.branch("film").input
    array = prepare(study.series[0], spec, study).array
    with torch.inference_mode():
        logits = model.model("film", torch.from_numpy(array)[None]).label_logits[0]
    scores = model.classify(study, study.series[:1], branch="film")
    np.testing.assert_allclose(list(scores.raw.values()), logits.sigmoid().numpy(), atol=1e-6)
    assert list(scores.raw) == ["nodule", "mass"]
    assert scores.calibrated["nodule"] == pytest.approx(float(Platt(2.0, 0.0).apply(scores.raw["nodule"])))
    assert scores.calibrated["mass"] == pytest.approx(scores.raw["mass"])
    assert scores.distance is not None
    assert scores.distance.threshold == pytest.approx(model.gates["film"].threshold)


def test_one_pass_says_what_the_single_questions_say(
    model: SagittalModel, film: Callable[..., Study]
) -> None:
    study = film(3)
    whole = model.infer(study, study.series, branch="film")
    assert whole.scores == model.classify(study, study.series, branch="film")
    drawn = model.segment(study, study.series, branch="film")
    for name, mask in whole.masks.masks.items():
        np.testing.assert_array_equal(mask.voxels, drawn.masks[name].voxels)
        assert mask.voxels.shape == study.series[0].shape
        assert mask.voxels.dtype == bool
    np.testing.assert_allclose(whole.embedding, model.embed(study, study.series, branch="film"), atol=1e-6)


def test_the_gate_passes_its_own_kind_and_stops_another(
    model: SagittalModel, film: Callable[..., Study]
) -> None:
    study = film(5, (32, 32))
    scores = model.classify(study, study.series, branch="film")
    assert scores.distance is not None
    flat = film(5, (32, 32)).series[0].volume.voxels * 0
    flat[::2] = 1.0
    odd = study.with_(
        series=(dataclasses.replace(study.series[0], decode=lambda: study.series[0].volume.like(flat)),)
    )
    far = model.classify(odd, odd.series, branch="film").distance
    assert far is not None
    assert far.distance > scores.distance.distance
    assert not far.ok


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"age": 4.0}, "18 to 90"),
        ({"age": None}, "unknown"),
        ({"modality": "CT"}, "DX"),
        ({"body_part": "HAND"}, "CHEST"),
    ],
)
def test_input_outside_the_contract_is_refused(
    model: SagittalModel, film: Callable[..., Study], changes: dict[str, object], says: str
) -> None:
    study = film(**changes)
    with pytest.raises(Refused, match=says):
        model.classify(study, study.series, branch="film")


@pytest.mark.parametrize("shape", [(18, 22, 20), (10, 40, 16), (16, 16, 16)])
def test_crops_of_any_size_come_back_on_their_own_grid_each_voxel_in_one_mask(
    model: SagittalModel, crop: Callable[..., Study], shape: tuple[int, int, int]
) -> None:
    study = crop(shape)
    masks = model.segment(study, study.series, branch="crop").masks
    assert {name: mask.voxels.shape for name, mask in masks.items()} == {"front": shape, "back": shape}
    assert not (masks["front"].voxels & masks["back"].voxels).any()
    assert masks["front"].geometry == study.series[0].geometry


def test_the_same_anatomy_stored_another_way_gets_the_same_mask(
    model: SagittalModel, crop: Callable[..., Study]
) -> None:
    study = crop()
    first = model.segment(study, study.series, branch="crop").masks["front"]
    volume = study.series[0].volume
    flipped = volume.voxels[::-1, :, ::-1].transpose(1, 2, 0)
    affine = volume.geometry.affine @ np.array(
        [[0, 0, -1, volume.shape[0] - 1], [1, 0, 0, 0], [0, -1, 0, volume.shape[2] - 1], [0, 0, 0, 1]]
    )
    other = crop(flipped.shape, affine)
    moved = dataclasses.replace(
        other.series[0], decode=lambda: type(volume)(flipped, other.series[0].geometry)
    )
    again = model.segment(other, (moved,), branch="crop").masks["front"]
    np.testing.assert_array_equal(again.voxels, first.voxels[::-1, :, ::-1].transpose(1, 2, 0))


def test_a_field_larger_than_it_ever_saw_is_refused(model: SagittalModel, crop: Callable[..., Study]) -> None:
    study = crop((20, 70, 20))
    with pytest.raises(Refused, match="field of view"):
        model.segment(study, study.series, branch="crop")


def test_channels_are_found_by_sequence_in_the_specs_order(
    crop: Callable[..., Study], model: SagittalModel
) -> None:
    base = crop().series[0]

    def named(sequence: str) -> object:
        return dataclasses.replace(base, uid=sequence, acquisition=Acquisition(sequence=sequence))

    study = crop().with_(series=tuple(named(s) for s in ("FLAIR", "T2", "T1")))
    spec = dataclasses.replace(model.card.branch("crop").input, sequence=("T1", "T2"), channels=2)
    assert [s.uid for s in inputs(study, spec)[0]] == ["T1", "T2"]
    assert inputs(study, dataclasses.replace(spec, sequence=("T1", "DWI"))) == []
    either = dataclasses.replace(spec, sequence=("T1", "T1c"), channels=1)
    assert [s[0].uid for s in inputs(study, either)] == ["T1"]


def test_what_the_text_encoder_reads_is_only_what_is_known() -> None:
    assert context_text(Context()) == ""
    known = Context("cough", ("smoker",), (Lab("CRP", 12.0, "mg/L"),))
    assert context_text(known) == "cough smoker CRP 12 mg/L"


@pytest.mark.parametrize("damage", ["digest", "branch", "labels", "shard", "family"])
def test_a_folder_that_does_not_hold_together_is_not_loaded(
    folder: Path, tmp_path: Path, damage: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    card = json.loads((copy / "card.json").read_text())
    if damage == "digest":
        card["digest"] = "0" * 64
    elif damage == "branch":
        card["branches"]["other"] = card["branches"]["film"]
    elif damage == "labels":
        card["branches"]["film"]["labels"].reverse()
    elif damage == "family":
        card["family"] = "unheard of"
    else:
        shard = next(copy.glob("model*.safetensors"))
        data = bytearray(shard.read_bytes())
        data[-1] ^= 1
        shard.write_bytes(bytes(data))
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(BadInput) as caught:
        load(copy)
    assert "\n" not in str(caught.value)
