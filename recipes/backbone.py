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
from labels_needed import Batch, Floats, batches, reports, sentences
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sagittal.decoders.language import LanguageConfig, LanguageDecoder, joined, opened
from sagittal.decoders.search import greedy
from sagittal.encoders.text import TextConfig, TextEncoder
from sagittal.encoders.tokenizer import Tokenizer, train_tokenizer
from sagittal.layers.features import Features
from sagittal.pretrain.captioning import caption_loss, text_log_probability
from sagittal.report.vocabulary import observation
from sagittal.training.loop import FitConfig, Progress, fit

REPORT, TRIAGE = "write the report.", "how urgent is it?"
URGENCY = {None: "routine", 3: "days", 2: "hours", 1: "minutes"}
"""ACR category -> answer, from least to most urgent; none of the phantoms' findings is of category 2."""
LENGTH = 128
WIDTHS = (16, 32, 64, 128)
WIDTH = WIDTHS[-1]

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


class FilmEncoder(nn.Module):
    """image (B, 1, 64, 64) -> tokens (B, 64, D) of what is where.

    A plain convolutional network with batch statistics, which sees each place beside its surroundings: in
    the few hundred steps there are here, the residual networks of `encoders/` do not leave the base rates.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inside = 2
        for width, stride in zip(WIDTHS, (2, 1, 2, 2), strict=True):
            for before, step in ((inside, stride), (width, 1)):
                layers += [nn.Conv2d(before, width, 3, step, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inside = width
        self.body = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """Brightness, and brightness against the 13 x 13 pixels around."""
        mean = functional.avg_pool2d(functional.pad(image, (6,) * 4, mode="reflect"), 13, 1)
        spread = functional.avg_pool2d(functional.pad((image - mean) ** 2, (6,) * 4, mode="reflect"), 13, 1)
        both = torch.cat([(image - mean) / (spread + 1e-3).sqrt(), 3 * (image - 0.5)], 1)
        return self.body(both).flatten(2).transpose(1, 2)


def pooled(tokens: Tensor) -> Tensor:
    """(B, T, D) -> (B, 2 D): mean and highest."""
    return torch.cat([tokens.mean(1), tokens.amax(1)], 1)


class Conventional(nn.Module):
    """The same network for one task: image -> (B, classes), of the whole and of its strongest place."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.encoder = FilmEncoder()
        self.whole, self.place = nn.Linear(2 * WIDTH, classes), nn.Linear(WIDTH, classes)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.encoder(image)
        return self.whole(pooled(tokens)) + self.place(tokens).amax(1)


class Backbone(nn.Module):
    """Image encoder, text encoder and language decoder."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.encoder = FilmEncoder()
        self.text = TextEncoder(TextConfig(vocabulary=tokenizer.size, length=32, layers=2, heads=4), WIDTH)
        # With the usual 0.02 all sentences begin nearly alike, and words that share theirs ("effusion",
        # "pneumothorax in the pleural space") are not told apart in a few hundred steps.
        nn.init.normal_(self.text.embed.weight)
        self.whole, self.place = nn.Linear(2 * WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.prior = nn.Linear(WIDTH, 1)
        self.language = LanguageDecoder(LanguageConfig(tokenizer.size, LENGTH, layers=2, heads=4), WIDTH)

    def match(self, tokens: Tensor, sentences: Sequence[str]) -> Tensor:
        """Tokens (B, T, D) -> (B, J) log-odds that each sentence is true of each film.

        The whole film beside the sentence, and the one place that answers it best (as FILIP, Yao 2022); how
        often such a sentence is true belongs to the sentence.
        """
        said = self.text(self.tokenizer(sentences, 32)).pooled
        best = (self.place(tokens) @ said.T).amax(1)
        return (self.whole(pooled(tokens)) @ said.T + best) / WIDTH**0.5 + self.prior(said)[:, 0]


def built(said: Said) -> Backbone:
    """An untrained backbone with the tokenizer of the reports."""
    every = [text for wordings in said.wordings for text in wordings]
    return Backbone(train_tokenizer([*every, *said.impressions, REPORT, TRIAGE, *URGENCY.values()], 512))


def moved(image: Tensor, rng: np.random.Generator) -> Tensor:
    """The films moved by some pixels."""
    down, right = rng.integers(-4, 5, 2).tolist()
    return image.roll((down, right), (2, 3))


def pretrain(
    model: Backbone,
    images: NDArray[Any],
    said: Said,
    plan: FitConfig,
    batch: int,
    folder: Path,
    report: Report,
) -> None:
    """Which statements are true of which film, each pair a question of its own (as SigLIP, Zhai 2023)."""

    def terms(taken: Batch) -> dict[str, Tensor]:
        image, which, number = taken
        rng = np.random.default_rng([plan.seed, number])
        rows = [said.of_film[i] for i in which.tolist()]
        pool = sorted({j for row in rows for j in row})
        right = torch.tensor([[float(j in row) for j in pool] for row in map(set, rows)])
        words = [said.wordings[j][rng.integers(len(said.wordings[j]))] for j in pool]
        logits = model.match(model.encoder(image), words).float()
        return {"pairs": functional.binary_cross_entropy_with_logits(logits, right)}

    fit(model, terms, batches(images, batch, plan.seed, moved), plan, folder=folder, report=report)
    model.eval()


@torch.no_grad()
def seen(encoder: nn.Module, images: NDArray[Any]) -> Tensor:
    """Tokens (N, T, D), float16, of each film through the frozen encoder."""
    parts = [
        encoder(torch.from_numpy(np.asarray(images[i : i + 256], np.float32))).half()
        for i in range(0, len(images), 256)
    ]
    return torch.cat(parts)


def context(tokens: Tensor) -> Features:
    """What the decoder looks at."""
    return Features((), tokens.float(), tokens.float().mean(1))


def instruct(
    model: Backbone, films: Tensor, said: Said, plan: FitConfig, batch: int, folder: Path, report: Report
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
            logits = model.language(text, context(films[rows]))
            found[name] = caption_loss(logits, text, written=counted)
        return found

    fit(model.language, terms, draw, plan, folder=folder, report=report)
    model.eval()


@torch.no_grad()
def prompted(model: Backbone, films: Tensor, yes: Sequence[str], no: str) -> Floats:
    """(N,) zero-shot: log-odds of the likeliest sentence that names the finding, less those of its denial."""
    parts = [model.match(some.float(), [*yes, no]) for some in films.split(256)]
    near = torch.cat(parts)
    return np.asarray(near[:, :-1].logsumexp(1) - near[:, -1], np.float32)


@torch.no_grad()
def written(model: Backbone, films: Tensor) -> list[str]:
    """A report of each film."""
    texts = []
    for some in films.split(256):
        prompt = opened(model.tokenizer([REPORT] * len(some), 16))
        made = greedy(model.language, prompt, context(some), end=model.tokenizer.end, most=LENGTH - 24)
        texts += [model.tokenizer.decode(row.tolist()) for row in made.text.ids]
    return texts


@torch.no_grad()
def triaged(model: Backbone, films: Tensor) -> Floats:
    """(N, 4) probability of each answer, renormalised over the four."""
    every = []
    for some in films.split(256):
        asked, columns = model.tokenizer([TRIAGE] * len(some), 16), []
        for answer in URGENCY.values():
            text, counted = joined(asked, model.tokenizer([answer] * len(some), 16, end=True))
            columns.append(text_log_probability(model.language(text, context(some)), text, counted))
        every.append(torch.stack(columns, 1).softmax(1))
    return torch.cat(every).numpy()
