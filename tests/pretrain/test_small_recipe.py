"""`recipes/small.py` at its smallest: one kind, films whose findings are bright places."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sagittal.errors import BadInput
from sagittal.meter import Usage, total
from sagittal.pretrain.recipe import open_recipe, run_recipe
from sagittal.report.codec import dumps, read_json
from sagittal.training.loop import Progress
from sagittal.zoo.load import load

LOADED = open_recipe(Path(__file__).resolve().parents[2] / "recipes/small.py")
SMALL_PY: Any = sys.modules["recipe_small"]
KINDS: Any = sys.modules["kinds"]
BRANCHES: Any = sys.modules["branches"]
BUNDLE: Any = sys.modules["bundle"]
KIND = "chest-xray"
SMALL = replace(
    LOADED.settings, kinds=(KIND,), shrink=4, films=40, held_out_films=60, measured=30, most_steps=4,
    probe_steps=2, aside=8, pretrain_batch=4, pretrain_texts=8, coarse_batch=4, film_batch=4, statistics=2,
    wordings=2, align_steps=20, align_passes=1, texts=8, lead=-1.0, hippocampus="",
)  # fmt: skip


def planted(folder: Path, n: int, seed: int) -> None:
    """``n`` films of 64 pixels as `arrays.cohort` leaves them."""
    rng = np.random.default_rng(seed)
    labels, masks = SMALL_PY.LABELS[KIND], BUNDLE.mask_names(KIND)
    shown = (rng.random((n, len(labels))) < 0.4).astype(np.uint8)
    images = 0.1 * rng.random((n, 1, 64, 64))
    outlines = np.zeros((n, len(masks), 32, 32), np.uint8)
    outlines[:, : len(masks) - len(labels) + 1, 8:24, 8:24] = 255
    rows = []
    for image, outline, row in zip(images, outlines, shown, strict=True):
        lesions = []
        for place in np.flatnonzero(row):
            top = 7 * int(place)
            image[0, top : top + 6, 20:44] += 0.8
            if labels[place] in masks:
                outline[masks.index(labels[place]), top // 2 : top // 2 + 3, 10:22] = 255
                lesions.append({"key": labels[place], "mask": "", "cnr": 5.0, "diameter_mm": 20.0})
        said = [
            f"{'' if yes else 'No '}{key.replace('_', ' ')}." for key, yes in zip(labels, row, strict=True)
        ]
        rows.append({"report": " ".join(said), "context": "Cough.", "lesions": lesions, "demographics": {}})
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", images.astype(np.float16))
    np.save(folder / "masks.npy", outlines)
    np.save(folder / "labels.npy", shown)
    for start in range(0, n, 20):
        (folder / f"rows-{start:06d}.json").write_text(json.dumps(rows[start : start + 20]))


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    planted(tmp_path / f"{KIND}-train", SMALL.films, 0)
    planted(tmp_path / f"{KIND}-heldout", SMALL.held_out_films, 1)
    return tmp_path


def test_all_stages_in_one_command_that_goes_on(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stopped in pre-training and in a fit, finished, and asked again; the package's own model stays."""
    package = (BUNDLE.PACKAGE / "card.json").read_bytes()
    seen: list[Progress] = []

    def stop_at(term: str) -> None:
        def stop(progress: Progress) -> None:
            seen.append(progress)
            if term in progress.losses:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_recipe(LOADED, SMALL, cohort, report=stop)

    stop_at("masked")
    stop_at("mask")
    assert (cohort / "pretrained/config.json").exists() and not (cohort / KIND / "evaluation.json").exists()
    model, used = run_recipe(LOADED, SMALL, cohort, report=seen.append)
    # pre-training is not run again once it is done; a fit is two steps, of which the first was stopped
    terms = [next(iter(progress.losses)) for progress in seen]
    assert terms == ["contrastive", "contrastive", "label", "label", "label"]
    assert all(set(p.probes) == {f"retrieval of {KIND}"} for p in seen[:2])
    assert all(0 <= p.probes[f"retrieval of {KIND}"] <= 1 for p in seen[:2])
    assert model == cohort / "model" and capsys.readouterr().out == ""
    card = load(model).card
    assert card.version == f"{BUNDLE.VERSION}+{cohort.name}"  # not to be taken for the one in the package
    assert set(card.branches) == {KIND, "hippocampus"} and card.branches[KIND].input.size == (64, 64)
    parts = [read_json(Usage, cohort / f"{name}-usage.json") for name in ("pretrain", KIND, f"{KIND}-align")]
    # the card has what its stages took, also those that were stopped; not what drawing and measuring took
    assert card.training == total(parts) and 0 < card.training.co2e_g < used.co2e_g
    assert len((cohort / "progress.jsonl").read_text().splitlines()) == len(seen)

    count = len(seen)
    _, more = run_recipe(LOADED, SMALL, cohort, report=seen.append)
    assert len(seen) == count and more.seconds > used.seconds
    assert load(model).card == card
    assert (BUNDLE.PACKAGE / "card.json").read_bytes() == package

    # the same folder by its stages: what is missing is refused, and what is no better than a thumbnail
    with pytest.raises(BadInput, match="chest-ct was not evaluated; run evaluate"):
        BUNDLE.pack(replace(SMALL, kinds=(KIND, "chest-ct")), cohort, cohort / "other")
    with pytest.raises(BadInput, match="no branch beats the thumbnail"):
        BUNDLE.pack(replace(SMALL, lead=1.0), cohort, cohort / "other")
    assert not (cohort / "other").exists()


def test_what_calibrates_is_not_what_is_measured(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that are right on the first 30 held-out films and wrong on the last 30, and the reverse."""
    truth = np.load(cohort / f"{KIND}-heldout/labels.npy").astype(float)
    rng = np.random.default_rng(5)
    right = 2 * truth - 1 + 0.5 * rng.normal(size=truth.shape)
    outlines = np.zeros((60, len(BUNDLE.mask_names(KIND)), 32, 32), bool)
    pooled = rng.normal(size=(60, 4))
    pooled[30:] += 100  # a gate that had seen these would let them through

    def evaluated(logits: Any) -> Any:
        monkeypatch.setattr(BUNDLE, "outputs", lambda *_: (logits, outlines, pooled, torch.zeros(60, 128)))
        BUNDLE.evaluate(SMALL, cohort, KIND)
        return read_json(BUNDLE.Evaluation, cohort / KIND / "evaluation.json")

    monkeypatch.setattr(BUNDLE, "prompt_results", lambda *_: [])
    monkeypatch.setattr(BUNDLE, "load", lambda _: None)
    first = evaluated(np.concatenate([right[:30], -right[30:]]))
    auroc = {r.of: r.interval.value for r in first.results if r.measure == "auroc"}
    assert max(auroc.values()) < 0.1
    assert all(label.slope > 0 for label in first.branch.labels)
    second = evaluated(np.concatenate([-right[:30], right[30:]]))
    assert min(r.interval.value for r in second.results if r.measure == "auroc") > 0.9
    assert all(label.slope < 0 for label in second.branch.labels)
    assert first.branch.gate.threshold < 20
    assert first.data[0].n == SMALL.films


def test_old_stands_beside_new_with_the_difference(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = BUNDLE.packed(KIND)
    moved = [
        replace(r, interval=replace(r.interval, value=r.interval.value - 0.25)) if r.of == "mass" else r
        for r in old.results
        if r.of != "nodule"
    ]
    new = BUNDLE.Evaluation(old.branch, results=tuple(moved))
    (cohort / KIND).mkdir()
    (cohort / KIND / "evaluation.json").write_text(dumps(new))
    BUNDLE.compare(replace(SMALL, kinds=(KIND, "chest-ct")), cohort)  # what was not measured is no line
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == f"{KIND}: in the package, new" and len(lines) == len(old.results)
    for line, result in zip(lines, old.results, strict=True):
        assert str(result.interval) in line
        change = {"mass": "-0.250", "nodule": ""}.get(result.of, "+0.000")
        assert line.endswith(f"-  {change}" if result.of == "nodule" else change)


@pytest.mark.parametrize("kind", ["chest-ct", "brain-mr"])
def test_a_piece_is_cut_from_image_and_masks_alike(kind: str) -> None:
    steps, names = KINDS.STEPS[kind], BUNDLE.mask_names(kind)
    rng = np.random.default_rng(0)
    size = KINDS.spec_of(replace(SMALL, shrink=2), kind).size
    coarse = tuple(n // k for n, k in zip(size, steps, strict=True))
    masks = np.zeros((1, len(names), *coarse), np.uint8)
    masks[0, :, 5, 7, 9] = 255  # a lesion of one coarse voxel, one of many places
    whole = rng.integers(0, 255, coarse).astype(np.uint8)
    masks[0, 0] = whole
    image = np.kron(whole, np.ones(steps))[None, None].astype(np.float16)
    data = KINDS.Arrays(image, masks, np.zeros((1, 1), np.uint8), [{}])
    holds = 0
    for index in range(60):
        piece, cut = BRANCHES.crop(data, kind, 0, np.random.default_rng(index), 2)
        assert piece.shape[1:] == tuple(n // 2 for n in KINDS.CROPS[kind])
        np.testing.assert_allclose(np.kron(cut[0].numpy() * 255, np.ones(steps)), piece[0].numpy(), atol=0.5)
        holds += bool(cut[-1].max() > 0)
    assert holds >= 35  # two thirds at least


def test_every_row_comes_once_an_epoch_and_again_the_same() -> None:
    data = KINDS.Arrays(np.zeros(10), np.zeros(10), np.zeros((10, 1)), [{}] * 10)
    drawn = [KINDS.picked(data, step, 5, 3)[0].tolist() for step in range(4)]
    assert sorted(drawn[0] + drawn[1]) == sorted(drawn[2] + drawn[3]) == list(range(10))
    assert drawn[:2] != drawn[2:]
    again, generator = KINDS.picked(data, 3, 5, 3)
    assert again.tolist() == drawn[3]
    other = KINDS.picked(data, 2, 5, 3)[1]
    assert torch.rand(1, generator=generator) != torch.rand(1, generator=other)


def test_notes_are_the_report_the_context_or_nothing_in_turn() -> None:
    row = {"report": "Mass.", "context": "Cough."}
    assert [SMALL_PY.noted(row, step) for step in range(4)] == ["Mass.", "Cough.", None, "Mass."]


def test_a_prompt_names_what_is_shown_in_any_order() -> None:
    labels = SMALL_PY.LABELS[KIND]
    none = np.zeros(len(labels), np.uint8)
    assert SMALL_PY.prompt(KIND, none, torch.Generator()) == "Nothing abnormal"
    two = none.copy()
    two[:2] = 1
    said = {SMALL_PY.prompt(KIND, two, torch.Generator().manual_seed(seed)) for seed in range(20)}
    first, second = (SMALL_PY.concept(label).meaning for label in labels[:2])
    assert said == {f"{first}. {second}", f"{second}. {first}"}
