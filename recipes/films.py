"""Films of 64 pixels and what is said of them: reading the reports, drawing batches, the network that looks.

`labels_needed.py` and `figure5.py` share this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from arrays import Arrays
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sagittal.encoders.picture import local_contrast
from sagittal.encoders.text import TextConfig, TextEncoder
from sagittal.encoders.tokenizer import Tokenizer
from sagittal.report.parse import parse
from sagittal.study.spec import InputSpec

Floats = NDArray[np.float32]
KIND = "chest-xray"
SPEC = InputSpec(
    modality=("DX", "CR"),
    body_part="CHEST",
    orientation="LF",
    size=(64, 64),
    fit="resize",
    normalise="percentile",
)
WIDTHS = (16, 32, 64, 128)
WIDTH = WIDTHS[-1]
Batch = tuple[Tensor, Tensor, int]
"""Images (B, 1, 64, 64), their indices (B,), the number of the batch."""


# --- reports ---


def statements(text: str) -> frozenset[tuple[str, str, str]]:
    """What a sentence says, as far as two images may share it: observation, presence, side."""
    return frozenset(
        (f.observation.key, f.presence.value, str(f.laterality or "")) for f in parse(text, "en")
    )


@dataclass(frozen=True)
class Reports:
    """What the reports of films say; what says the same, as our parser reads it, is one statement.

    Attributes:
        statements: what each says; wordings: its sentences, in the order met.
        of_film: statements of each film.
    """

    statements: tuple[frozenset[tuple[str, str, str]], ...]
    wordings: tuple[tuple[str, ...], ...]
    of_film: tuple[tuple[int, ...], ...]


def sentences(report: str) -> list[str]:
    """The report cut at its full stops."""
    return report.replace(". ", ".\n").split("\n")


def reports(films: Arrays) -> Reports:
    """The films' reports; the parser is asked once a wording."""
    known: dict[frozenset[tuple[str, str, str]], int] = {}
    wordings: list[list[str]] = []
    read: dict[str, int] = {}
    rows = []
    for row in films.rows:
        mine = set()
        for sentence in sentences(row["report"]):
            if sentence not in read:
                said = statements(sentence)
                if said and said not in known:
                    known[said] = len(known)
                    wordings.append([])
                read[sentence] = known.get(said, -1)
                if said:
                    wordings[read[sentence]].append(sentence)
            mine.add(read[sentence])
        rows.append(tuple(sorted(mine - {-1})))
    return Reports(tuple(known), tuple(map(tuple, wordings)), tuple(rows))


# --- batches ---


def moved(image: Tensor, rng: np.random.Generator) -> Tensor:
    """The films moved by some pixels."""
    down, right = rng.integers(-4, 5, 2).tolist()
    return image.roll((down, right), (2, 3))


def batches(
    images: NDArray[Any], size: int, seed: int, strata: Sequence[NDArray[np.int64]] = ()
) -> Callable[[int], Iterator[Batch]]:
    """Batches of moved images, the same at every call.

    ``strata``: rows that give equal shares of every batch, the smaller ones again and again; none: all alike.
    """
    parts = strata or (np.arange(len(images)),)
    each = min(size // len(parts), max(map(len, parts)))

    def draw(start: int) -> Iterator[Batch]:
        for number in range(start, 10**9):
            rng = np.random.default_rng([seed, number])
            which = np.sort(
                np.concatenate([rng.choice(part, each, replace=len(part) < each) for part in parts])
            )
            image = torch.from_numpy(np.asarray(images[which], np.float32))
            yield moved(image, rng), torch.from_numpy(which), number

    return draw


# --- the network ---


class Seen(NamedTuple):
    """What is where on films, at two scales: coarse (B, 64, 128), fine (B, 256, 64)."""

    coarse: Tensor
    fine: Tensor


class FilmEncoder(nn.Module):
    """image (B, 1, 64, 64) -> Seen.

    A plain convolutional network with batch statistics, which sees each place beside its surroundings: in
    the few hundred steps there are here, the residual networks of `encoders/` do not leave the base rates.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = WIDTHS
        self.fine = nn.Sequential(
            _convolution(2, first, 2),
            _convolution(first, second),
            _convolution(second, second),
            _convolution(second, third, 2),
            _convolution(third, third),
        )
        self.coarse = nn.Sequential(_convolution(third, fourth, 2), _convolution(fourth, fourth))

    def forward(self, image: Tensor) -> Seen:
        """Brightness, and brightness against the 13 x 13 pixels around."""
        fine = self.fine(torch.cat([local_contrast(image, 13), 3 * (image - 0.5)], 1))
        coarse = self.coarse(fine)
        return Seen(coarse.flatten(2).transpose(1, 2), fine.flatten(2).transpose(1, 2))


def _convolution(inside: int, outside: int, stride: int = 1) -> nn.Module:
    look = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
    return nn.Sequential(look, nn.BatchNorm2d(outside), nn.ReLU())


def pooled(seen: Seen) -> Tensor:
    """(B, 320): mean and highest of the coarse places, highest of the fine ones."""
    return torch.cat([seen.coarse.mean(1), seen.coarse.amax(1), seen.fine.amax(1)], 1)


POOLED = 2 * WIDTH + WIDTHS[-2]


class Places(nn.Module):
    """Seen -> the whole (B, D), and every place at two scales, (B, 64, D) and (B, 256, D).

    A place knows where it is: without that, "on the left" and "on the right" are one question to a
    convolution, and a rib fracture, a few pixels somewhere, is not found (`docs/log.md`).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.whole = nn.Linear(POOLED, width)
        self.coarse, self.fine = nn.Linear(WIDTH, width), nn.Linear(WIDTHS[-2], width)
        self.coarse_positions = nn.Parameter(torch.zeros(64, width))
        self.fine_positions = nn.Parameter(torch.zeros(256, width))

    def where(self, coarse: Tensor) -> Tensor:
        """The coarse places alone."""
        return self.coarse(coarse) + self.coarse_positions

    def forward(self, seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.fine(seen.fine) + self.fine_positions
        return self.whole(pooled(seen)), self.where(seen.coarse), fine


def answer(whole: Tensor, *places: Tensor) -> Tensor:
    """(B, J), (B, T, J) each -> (B, J): the whole's answer, and the places' most certain ones."""
    return whole + sum(each.float().logsumexp(1) - math.log(each.shape[1]) for each in places)


class Conventional(nn.Module):
    """The same network for one task: image -> (B, classes), of the whole and of its places."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.encoder, self.places = FilmEncoder(), Places(classes)

    def forward(self, image: Tensor) -> Tensor:
        return answer(*self.places(self.encoder(image)))


class Matcher(nn.Module):
    """An image encoder and a text encoder, and how well a sentence fits a film."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.encoder, self.places = FilmEncoder(), Places(WIDTH)
        self.text = TextEncoder(TextConfig(vocabulary=tokenizer.size, length=32, layers=2, heads=4), WIDTH)
        # With the usual 0.02 all sentences begin nearly alike, and words that share theirs ("effusion",
        # "pneumothorax in the pleural space") are not told apart in a few hundred steps.
        nn.init.normal_(self.text.embed.weight)
        self.prior = nn.Linear(WIDTH, 1)

    def match(self, seen: Seen, sentences: Sequence[str]) -> Tensor:
        """Films (B) and sentences (J) -> (B, J) log-odds that each sentence is true of each film.

        The whole film beside the sentence, and the places that answer it best (as FILIP, Yao 2022); how
        often such a sentence is true belongs to the sentence.
        """
        said = self.text(self.tokenizer(sentences, 32)).pooled
        asked = (part @ said.T / WIDTH**0.5 for part in self.places(seen))
        return answer(*asked) + self.prior(said)[:, 0]


class Told(Protocol):
    """Statements in their wordings, and which of them each film's report makes."""

    @property
    def wordings(self) -> tuple[tuple[str, ...], ...]: ...

    @property
    def of_film(self) -> tuple[tuple[int, ...], ...]: ...


def matching(model: Matcher, seen: Seen, which: Tensor, said: Told, rng: np.random.Generator) -> Tensor:
    """Loss of films (what is seen, their numbers) beside all statements of the batch: every pair a question
    of its own (as SigLIP, Zhai 2023), since a statement is right for many films."""
    rows = [said.of_film[i] for i in which.tolist()]
    pool = sorted({j for row in rows for j in row})
    right = torch.tensor([[float(j in row) for j in pool] for row in map(set, rows)])
    words = [said.wordings[j][rng.integers(len(said.wordings[j]))] for j in pool]
    logits = model.match(seen, words).float()
    return len(pool) / 3 * functional.binary_cross_entropy_with_logits(logits, right)
