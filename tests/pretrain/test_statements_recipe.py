"""`recipes/statements.py`: what is asked in training means what it says; some words are kept for the test."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sagittal.phantom.truth import LABELS
from sagittal.report.parse import parse

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "recipes"))
statements: Any = importlib.import_module("statements")
EVERY = sorted({label for labels in LABELS.values() for label in labels})
AMBIGUOUS = {"parenchymal mass"}  # of the lung or of the brain: without an image our parser takes the brain


@pytest.mark.parametrize("label", EVERY)
def test_a_statement_says_its_finding_and_its_denial_denies_it(label: str) -> None:
    """Read by our parser, in every wording and frame, also in those that are kept from training."""
    for words in statements.wordings(label):
        for frame in (*statements.FRAMES, statements.UNSEEN_FRAME):
            pair = statements.framed(frame, words)
            for text, presence in ((pair.present, "present"), (pair.absent, "absent")):
                read = parse(text, "en")
                assert read and {f.presence.value for f in read} == {presence}, text
                if words not in AMBIGUOUS:
                    assert label in {f.observation.key for f in read}, text


def test_what_is_kept_for_the_test_is_never_learnt() -> None:
    generator = torch.Generator().manual_seed(0)
    for label in EVERY:
        *known, kept = statements.wordings(label)
        assert known and kept not in known  # every finding has a word to spare
        learnt = {statements.drawn(label, generator) for _ in range(300)}
        every = set(statements.every_text([label]))
        assert {text for pair in learnt for text in pair} <= every
        assert len(learnt) > 0.8 * len(known) * len(statements.FRAMES)  # and nearly all of these are drawn
        frames = (*statements.FRAMES, statements.UNSEEN_FRAME)
        asked = {statements.framed(frame, kept) for frame in frames}
        asked |= {statements.framed(statements.UNSEEN_FRAME, words) for words in known}
        assert not {text for pair in asked for text in pair} & every


def test_results_are_of_words_and_sentences_that_were_not_learnt() -> None:
    """A model that knows the answers to the house's words and gives the reverse of them to others."""
    labels = LABELS["brain-mr"]
    truth = torch.stack([torch.arange(12) % (2 + i) == 0 for i in range(len(labels))], 1).float()
    asked: list[Any] = []

    class Knows:
        def axes(self, prompts: Any) -> Tensor:
            asked.extend(prompts)
            return torch.tensor(
                1.0 if statements.observation(labels[0]).name().term in prompts[0].present else -1.0
            )

        def asked(self, embedding: Tensor, axes: Tensor) -> Tensor:
            return embedding * axes

    found = statements.prompt_results(Knows(), truth, truth, labels, "brain-mr")
    assert [r.interval.value for r in found] == [1.0] * len(labels) + [0.0] * len(labels)
    assert all(r.data.startswith("12 unseen") and r.domain == "phantom brain-mr" for r in found)
    learnt = set(statements.every_text(labels))
    assert len(asked) == 2 * len(labels) and not {text for pair in asked for text in pair} & learnt
