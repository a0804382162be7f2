"""The backbone of `figure5.py`: pre-trained on films and their reports, instructed, prompted.

An image encoder and a text encoder learn what is said of which film; then they are frozen, and a decoder
learns to follow two instructions. No label is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arrays import Arrays
from films import WIDTH, Batch, Floats, Matcher, Seen, batches, matching, reports, sentences
from numpy.typing import NDArray
from torch import Tensor, nn

from sagittal.decoders.language import LanguageConfig, LanguageDecoder, joined, opened
from sagittal.decoders.search import greedy
from sagittal.encoders.tokenizer import Tokenizer, train_tokenizer
from sagittal.layers.features import Features
from sagittal.measure.discrimination import auroc
from sagittal.pretrain.captioning import caption_loss, text_log_probability
from sagittal.report.vocabulary import observation
from sagittal.training.loop import FitConfig, Progress, fit

REPORT, TRIAGE = "write the report.", "how urgent is it?"
URGENCY = {None: "routine", 3: "days", 2: "hours", 1: "minutes"}
"""ACR category -> answer, from least to most urgent; none of the phantoms' findings is of category 2."""
LENGTH = 128

Report = Callable[[Progress], None]


def urgency(present: Sequence[str]) -> int:
    """Level 0 (routine) to 3 (minutes) of a film with these findings: that of the most urgent one."""
    levels = list(URGENCY)
    return max((levels.index(observation(key).actionable) for key in present), default=0)


@dataclass(frozen=True)
class Said:
    """What the reports say. A statement is a finding, there or not, on a side; many wordings say the same.

    Attributes:
        wordings: of each statement; of_film: statements of each film.
        impressions: a film's last sentences, what counts. urgent: its level, as read from its report.
    """

    wordings: tuple[tuple[str, ...], ...]
    of_film: tuple[tuple[int, ...], ...]
    impressions: tuple[str, ...]
    urgent: tuple[int, ...]


def impression(report: str) -> str:
    """What follows the last denial: a report names findings, what is not there, and then what matters."""
    said = sentences(report)
    denials = [i for i, each in enumerate(said) if each.startswith("No ")]
    return " ".join(said[denials[-1] + 1 :] if denials else said)


def read(films: Arrays) -> Said:
    """The films' reports, by our parser, which says what is the same."""
    told = reports(films)
    present = (
        {key for j in row for key, there, _ in told.statements[j] if there == "present"}
        for row in told.of_film
    )
    return Said(
        tuple(tuple(sorted(wordings)) for wordings in told.wordings),
        told.of_film,
        tuple(impression(row["report"]) for row in films.rows),
        tuple(urgency(sorted(keys)) for keys in present),
    )


class Backbone(Matcher):
    """Image encoder and text encoder, and a language decoder beside them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self.language = LanguageDecoder(LanguageConfig(tokenizer.size, LENGTH, layers=2, heads=4), WIDTH)


def built(said: Said) -> Backbone:
    """An untrained backbone with the tokenizer of the reports."""
    every = [text for wordings in said.wordings for text in wordings]
    return Backbone(train_tokenizer([*every, *said.impressions, REPORT, TRIAGE, *URGENCY.values()], 512))


def pretrain(
    model: Backbone,
    images: NDArray[Any],
    said: Said,
    plan: FitConfig,
    batch: int,
    folder: Path,
    report: Report,
    aside: Arrays,
) -> None:
    """Which statements are true of which film; ``aside``: films on which it is asked while training."""
    others = read(aside)

    def terms(taken: Batch) -> dict[str, Tensor]:
        image, which, number = taken
        rng = np.random.default_rng([plan.seed, number])
        return {"pairs": matching(model, model.encoder(image), which, said, rng)}

    def probes() -> dict[str, float]:
        return {"statements": told_apart(model, aside.images, others)}

    draw = batches(images, batch, plan.seed)
    fit(model, terms, draw, plan, folder=folder, report=report, probes=probes)
    model.eval()


@torch.no_grad()
def told_apart(model: Backbone, images: NDArray[Any], said: Said) -> float:
    """Mean AUROC over statements, each asked in its first wording; NaN where all films are told the same."""
    found = torch.cat(
        [
            model.match(some, [each[0] for each in said.wordings])
            for some in pieces(seen(model.encoder, images))
        ]
    )
    areas = []
    for j, score in enumerate(found.T):
        right = np.array([j in row for row in said.of_film])
        if 0 < right.sum() < len(right):
            areas.append(auroc(right, score.numpy()))
    return float(np.mean(areas)) if areas else float("nan")


@torch.no_grad()
def seen(encoder: nn.Module, images: NDArray[Any]) -> Seen:
    """What the frozen encoder sees on each film, in float16."""
    parts = [
        [each.half() for each in encoder(torch.from_numpy(np.asarray(images[i : i + 256], np.float32)))]
        for i in range(0, len(images), 256)
    ]
    return Seen(*(torch.cat(each) for each in zip(*parts, strict=True)))


def pieces(films: Seen) -> Iterator[Seen]:
    """256 films at a time, in float32."""
    for coarse, fine in zip(films.coarse.split(256), films.fine.split(256), strict=True):
        yield Seen(coarse.float(), fine.float())


def context(model: Backbone, coarse: Tensor) -> Features:
    """What the decoder looks at: each place, which knows where it is."""
    with torch.no_grad():  # only the decoder learns
        tokens = model.places.where(coarse.float())
    return Features((), tokens, tokens.mean(1))


def instruct(
    model: Backbone, films: Seen, said: Said, plan: FitConfig, batch: int, folder: Path, report: Report
) -> None:
    """Instruction tuning of the decoder: half of each batch writes the report, half says how urgent it is."""
    tokenizer, answers = model.tokenizer, list(URGENCY.values())

    def draw(start: int) -> Iterator[Tensor]:
        for number in range(start, 10**9):
            random = torch.Generator().manual_seed(plan.seed + number)
            yield torch.randperm(len(said.impressions), generator=random)[:batch]

    def terms(index: Tensor) -> dict[str, Tensor]:
        half, found = len(index) // 2, {}
        reports = [said.impressions[i] for i in index[:half].tolist()]
        levels = [answers[said.urgent[i]] for i in index[half:].tolist()]
        for name, rows, asked, told in (
            ("report", index[:half], REPORT, reports),
            ("triage", index[half:], TRIAGE, levels),
        ):
            text, counted = joined(tokenizer([asked] * len(rows), 16), tokenizer(told, LENGTH - 16, end=True))
            logits = model.language(text, context(model, films.coarse[rows]))
            found[name] = caption_loss(logits, text, written=counted)
        return found

    fit(model.language, terms, draw, plan, folder=folder, report=report)
    model.eval()


@torch.no_grad()
def prompted(model: Backbone, films: Seen, yes: Sequence[str], no: str) -> Floats:
    """(N,) zero-shot: log-odds of the likeliest sentence that names the finding, less those of its denial."""
    parts = [model.match(some, [*yes, no]) for some in pieces(films)]
    near = torch.cat(parts)
    return np.asarray(near[:, :-1].logsumexp(1) - near[:, -1], np.float32)


@torch.no_grad()
def written(model: Backbone, films: Seen) -> list[str]:
    """A report of each film."""
    texts = []
    for some in films.coarse.split(256):
        prompt = opened(model.tokenizer([REPORT] * len(some), 16))
        made = greedy(model.language, prompt, context(model, some), end=model.tokenizer.end, most=LENGTH - 24)
        texts += [model.tokenizer.decode(row.tolist()) for row in made.text.ids]
    return texts


@torch.no_grad()
def triaged(model: Backbone, films: Seen) -> Floats:
    """(N, 4) probability of each answer, renormalised over the four."""
    every = []
    for some in films.coarse.split(256):
        asked, columns = model.tokenizer([TRIAGE] * len(some), 16), []
        for answer in URGENCY.values():
            text, counted = joined(asked, model.tokenizer([answer] * len(some), 16, end=True))
            columns.append(text_log_probability(model.language(text, context(model, some)), text, counted))
        every.append(torch.stack(columns, 1).softmax(1))
    return torch.cat(every).numpy()
