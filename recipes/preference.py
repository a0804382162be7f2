"""Preference tuning from edited reports (DPO, Rafailov 2023), on phantom films at toy size.

    sagittal pretrain recipes/preference.py [--set beta=0.2] [--out runs/preference]      resumable

caption   an image encoder and a decoder learn to draft impressions of phantom films, in the grammar's words;
          the findings stand before them as a prefix, in no order: what is said is given, how is learnt
edited    a simulated radiologist signs a few of them, shorter: "Mild left pleural effusion." A reading and
          its signed version each, turned into pairs by `tasks.edits` as the reading room's own would be
tune      the decoder learns to prefer what was signed; results.json says what that changed on other films

Two minutes. With real readings: pairs = edited_pairs(store's versions), de-identified first.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor

from sagittal.branch import BranchConfig
from sagittal.decoders.language import LanguageConfig, LanguageDecoder, joined, opened
from sagittal.decoders.search import greedy
from sagittal.encoders.picture import PictureConfig
from sagittal.encoders.tokenizer import Tokenizer, train_tokenizer
from sagittal.layers.features import Features, Tokens
from sagittal.layers.weights import write_atomic
from sagittal.model import Model, ModelConfig, save
from sagittal.phantom.cohort import draw
from sagittal.phantom.truth import Split
from sagittal.pretrain.captioning import caption_loss, foretold, image_gain
from sagittal.pretrain.preference import (
    Pairs,
    divergence,
    margins,
    pair_log_probabilities,
    preference_terms,
    with_reference,
)
from sagittal.report.finding import Presence
from sagittal.report.parse import parse
from sagittal.report.reading import Provenance, Reading, Status, StudySummary
from sagittal.report.report import Report, Section, Sentence
from sagittal.study.prepare import prepare
from sagittal.study.spec import InputSpec
from sagittal.tasks.edits import edited_pairs
from sagittal.training.loop import FitConfig, Progress, fit
from sagittal.zoo.ours import inputs


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run.

    Attributes:
        films: to learn to draft from; edited: how many of their readings are signed; held_out: to measure on.
        aside: further films, whose drafts are foretold every ``probe_steps`` of learning to draft.
        mixed: share of the films whose report is in the short style from the start: somebody wrote so before.
        beta, keep: see `preference_terms`.
    """

    films: int = 400
    held_out: int = 80
    edited: int = 60
    size: int = 64
    width: int = 64
    aside: int = 16
    caption_steps: int = 500
    probe_steps: int = 100
    tune_steps: int = 20
    batch: int = 16
    learning_rate: float = 2e-3
    tune_rate: float = 1e-4
    mixed: float = 0.2
    beta: float = 0.1
    keep: float = 1.0
    save_seconds: float = 30.0
    bf16: bool | None = None
    seed: int = 0


KIND, PREFIX, LENGTH = "chest-xray", 90, 150
WORDY = re.compile(r"(pneumothorax|pleural effusion) in the (left|right) pleural space")
SHORT = re.compile(r"(left|right) (pneumothorax|pleural effusion)\b")


def shortened(text: str) -> str:
    """The simulated radiologist's hand: the side comes first, and the pleural space goes without saying."""
    return WORDY.sub(r"\2 \1", text)


@dataclass(frozen=True)
class Films:
    """images (N, 1, S, S), the findings of each as a prefix, and the impression, as the grammar drafts it."""

    images: Tensor
    prefixes: tuple[str, ...]
    drafts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.drafts)


def drawn(recipe: Recipe, count: int, split: Split, start: int = 0) -> Films:
    """Phantom films with their impressions, from number ``start`` on."""
    spec = InputSpec(
        modality=("DX", "CR"), body_part="CHEST", orientation="LF", size=(recipe.size, recipe.size),
        fit="resize", normalise="percentile",
    )  # fmt: skip
    images, prefixes, drafts = [], [], []
    for index in range(start, start + count):
        case = draw(KIND, seed=recipe.seed, index=index, split=split, size=max(64, 4 * recipe.size))
        images.append(torch.from_numpy(prepare(inputs(case.study, spec)[0], spec, case.study).array).float())
        told = [
            " ".join(str(word) for word in (f.severity, f.observation.key, f.laterality) if word)
            for f in case.truth.findings
            if f.presence is Presence.PRESENT
        ]
        prefixes.append(", ".join(sorted(told)) or "nothing")
        drafts.append(" ".join(s.text for s in case.truth.report.section("impression").sentences))
    return Films(torch.stack(images), tuple(prefixes), tuple(drafts))


def signed(films: Films, count: int) -> list[Reading]:
    """A draft and its signed version of each of the first ``count`` films: what a store would hold."""
    when = datetime(2026, 1, 1, tzinfo=UTC)
    versions = []
    for index, text in enumerate(films.drafts[:count]):
        study = StudySummary(f"2.25.{index}", f"film {index}", synthetic=True)
        said = Report((Section("impression", (Sentence(text),)),))
        first = Reading(f"{index}-draft", Status.DRAFT, study, (), (), (), (), said, Provenance(when, 0))
        edited = Report((Section("impression", (Sentence(shortened(text)),)),))
        versions += [
            first,
            replace(first, uid=f"{index}-signed", status=Status.SIGNED, report=edited, version=2,
                    supersedes=first.uid, signed_by="Simulated", signed_at=when),
        ]  # fmt: skip
    return versions


def endless(recipe: Recipe, count: int) -> Callable[[int], Iterator[Tensor]]:
    """Rows (B,) int64 of each step, the same at every call."""

    def batches(start: int) -> Iterator[Tensor]:
        step = start
        while True:
            random = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
            yield torch.randperm(count, generator=random)[: recipe.batch]
            step += 1

    return batches


def told(tokenizer: Tokenizer, films: Films, said: list[str], index: Tensor) -> tuple[Tokens, Tensor]:
    """Texts behind the prefixes of films ``index``, and which tokens are the texts'."""
    prefixes = tokenizer([films.prefixes[i] for i in index.tolist()], PREFIX)
    return joined(prefixes, tokenizer(said, LENGTH, end=True))


def rows(features: Features, index: Tensor) -> Features:
    """Some rows of features without a mask."""
    return Features((), features.tokens[index], features.pooled[index])


def run(recipe: Recipe, folder: Path, *, report: Callable[[Progress], None]) -> Path:
    """Learn to draft, sign a few, tune; measured on films of neither; saved."""
    train, test = drawn(recipe, recipe.films, "train"), drawn(recipe, recipe.held_out, "heldout")
    both = [*train.drafts, *map(shortened, train.drafts)]
    tokenizer = train_tokenizer([*both, *train.prefixes], 512)
    torch.manual_seed(recipe.seed)
    encoder = PictureConfig(widths=(16, 32, 64), blocks=(1, 1, 1), strides=(2, 2, 2), heads=4)
    config = ModelConfig(
        {KIND: BranchConfig(encoder)},
        width=recipe.width, embedding=32, heads=4,
        language=LanguageConfig(tokenizer.size, PREFIX + LENGTH + 1, layers=2, heads=4),
    )  # fmt: skip
    model = Model(config, tokenizer)
    decoder = model.language
    assert decoder is not None

    def texts(said: list[str], index: Tensor) -> tuple[Tokens, Tensor]:
        return told(tokenizer, train, said, index)

    mixed = [
        shortened(text) if index % 100 < 100 * recipe.mixed else text
        for index, text in enumerate(train.drafts)
    ]

    def caption(index: Tensor) -> dict[str, Tensor]:
        text, written = texts([mixed[i] for i in index.tolist()], index)
        return {
            "caption": caption_loss(
                decoder(text, model.encode(KIND, train.images[index])), text, written=written
            )
        }

    plan = FitConfig(
        steps=recipe.caption_steps, learning_rate=recipe.learning_rate, save_seconds=recipe.save_seconds,
        probe_steps=recipe.probe_steps, bf16=recipe.bf16, seed=recipe.seed,
    )  # fmt: skip
    aside = drawn(recipe, recipe.aside, "train", start=recipe.films)

    def probes() -> dict[str, float]:
        """Share of the tokens foretold, and what the image is worth, as `compared` has them at the end."""
        text, counted = told(tokenizer, aside, list(aside.drafts), torch.arange(len(aside)))
        seen = model.encode(KIND, aside.images)
        return {
            "foretold": foretold(decoder(text, seen), text, counted),
            "image_gain": image_gain(decoder, text, seen, counted),
        }

    batches = endless(recipe, len(train))
    fit(model, caption, batches, plan, folder=folder / "caption", report=report, probes=probes)
    model.eval()

    pairs = edited_pairs(signed(train, recipe.edited), sections=("impression",))
    taught = torch.tensor([int(pair.study.rpartition(".")[2]) for pair in pairs])
    with torch.no_grad():
        seen = model.encode(KIND, train.images[taught])
        unseen = model.encode(KIND, test.images)

    def picked(index: Tensor, reference: Tensor | None) -> Pairs:
        some = [pairs[i] for i in index.tolist()]
        edited, drafted = [p.edited for p in some], [p.draft for p in some]
        sides = (texts(edited, taught[index]), texts(drafted, taught[index]))
        return Pairs(*sides, rows(seen, index), None if reference is None else reference[index])

    before = copy.deepcopy(decoder)
    everything = with_reference(before, picked(torch.arange(len(pairs)), None)).reference
    fit(
        decoder,
        lambda index: preference_terms(
            decoder, picked(index, everything), beta=recipe.beta, keep=recipe.keep
        ),
        endless(recipe, len(pairs)),
        replace(
            plan, steps=recipe.tune_steps, learning_rate=recipe.tune_rate, weight_decay=0.0, average=None
        ),
        folder=folder / "tune",
        report=report,
    )
    decoder.eval()
    results = {"pairs": float(len(pairs))} | compared(before, decoder, tokenizer, test, unseen)
    write_atomic(folder / "results.json", (json.dumps(results, indent=1) + "\n").encode())
    save(model, folder / "model")
    return folder / "model"


@torch.no_grad()
def compared(
    before: LanguageDecoder, after: LanguageDecoder, tokenizer: Tokenizer, test: Films, seen: Features
) -> dict[str, float]:
    """What tuning changed on films that nobody edited.

    preferred: share of pairs whose edited text is the likelier one, before and after; margin: nats gained.
    short: share of pleural findings that the written reports state in the edited style.
    kept: share of films whose written report states the same findings as before, read by our parser.
    divergence: KL to the decoder before, in nats a token, on drafts with a pleural finding and on the rest.
    drafts: share of the drafts' tokens foretold, and what the image is worth, before tuning.
    """
    every = torch.arange(len(test))
    pleural = torch.tensor([i for i, text in enumerate(test.drafts) if WORDY.search(text)])
    rest = torch.tensor([i for i, text in enumerate(test.drafts) if not WORDY.search(text)])
    drafts = [test.drafts[i] for i in pleural.tolist()]
    short = [shortened(text) for text in drafts]
    sides = (told(tokenizer, test, said, pleural) for said in (short, drafts))
    held = Pairs(*sides, rows(seen, pleural))
    logp = [pair_log_probabilities(each, held) for each in (before, after)]
    written = []
    for each in (before, after):
        made = greedy(each, opened(tokenizer(test.prefixes, PREFIX)), seen, end=tokenizer.end, most=LENGTH)
        written.append([tokenizer.decode(row.tolist()) for row in made.text.ids])
    said = [{(f.observation.key, f.laterality) for f in parse(text)} for text in (*written[0], *written[1])]
    whole, counted = told(tokenizer, test, list(test.drafts), every)
    found = {
        "drafts_foretold": foretold(before(whole, seen), whole, counted),
        "image_gain": image_gain(before, whole, seen, counted),
        "margin": float(margins(logp[1], logp[0]).mean()),
        "kept": sum(a == b for a, b in zip(said[: len(test)], said[len(test) :], strict=True)) / len(test),
    }
    for name, values, texts_written in zip(("before", "after"), logp, written, strict=True):
        found[f"preferred_{name}"] = float((values[:, 0] > values[:, 1]).float().mean())
        brief, wordy = (sum(len(p.findall(t)) for t in texts_written) for p in (SHORT, WORDY))
        found[f"short_{name}"] = brief / max(1, brief + wordy)
    for name, index in (("pleural", pleural), ("rest", rest)):
        some, there = told(tokenizer, test, [test.drafts[i] for i in index.tolist()], index)
        logits = [each(some, rows(seen, index)) for each in (after, before)]
        found[f"divergence_{name}"] = divergence(logits[0], logits[1], there)
    return found
