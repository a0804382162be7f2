"""A finding as somebody may put it into words, and its denial: what zero-shot prompts are learnt from.

Wordings come from the vocabulary; the last synonym of each finding and one frame are kept from training,
so that prompts can be tried in words that were never shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sagittal.measure.discrimination import auroc_interval
from sagittal.model import Model
from sagittal.report.vocabulary import observation
from sagittal.zoo.capability import Prompt
from sagittal.zoo.card import Result

FRAMES = (
    ("{}.", "No {}."),
    ("{} is seen.", "{} is not seen."),
    ("There is evidence of {}.", "There is no evidence of {}."),
    ("Signs of {}.", "Without signs of {}."),
)
UNSEEN_FRAME = ("The study shows {}.", "The study shows no {}.")
MOST = 6


def wordings(label: str) -> tuple[str, ...]:
    """What a finding is called, the house's word first, the one kept from training last."""
    name = observation(label).name()
    return tuple(dict.fromkeys([name.term, *name.synonyms[:MOST]]))


def framed(frame: tuple[str, str], words: str) -> Prompt:
    """The words in a frame, with a capital."""
    present, absent = (each.format(words) for each in frame)
    return Prompt(present[0].upper() + present[1:], absent[0].upper() + absent[1:])


def drawn(label: str, generator: torch.Generator) -> Prompt:
    """One of the wordings and frames of training, by chance."""
    known = wordings(label)[:-1] or wordings(label)
    word, frame = (int(torch.randint(len(each), (1,), generator=generator)) for each in (known, FRAMES))
    return framed(FRAMES[frame], known[word])


def every_text(labels: Sequence[str]) -> list[str]:
    """All statements of training: what a tokenizer should know."""
    pairs = [framed(frame, words) for label in labels for words in wordings(label)[:-1] for frame in FRAMES]
    return [text for pair in pairs for text in (pair.present, pair.absent)]


@torch.inference_mode()
def prompt_results(
    model: Model, embedding: Tensor, truth: Tensor, labels: Sequence[str], kind: str
) -> list[Result]:
    """AUROC by prompts alone: the house's word in a frame, and another word, neither shown in training."""
    found = []
    for name, place in (("unseen sentence", 0), ("unseen word and sentence", -1)):
        prompts = [framed(UNSEEN_FRAME, wordings(label)[place]) for label in labels]
        score = model.asked(embedding, model.axes(prompts)).numpy()
        data, domain = f"{len(truth)} unseen held-out phantoms", f"phantom {kind}"
        areas = [auroc_interval(truth[:, i].numpy(), score[:, i]) for i in range(len(labels))]
        for label, area in zip(labels, areas, strict=True):
            words = wordings(label)[place]
            found.append(Result("auroc by prompt", f"{label}, {name}: {words}", area, data, domain))
        mean = sum(area.value for area in areas) / len(areas)
        print(f"  prompts, {name}: mean AUROC {mean:.3f}")
    return found
