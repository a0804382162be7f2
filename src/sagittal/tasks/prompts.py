"""Zero-shot: a model is asked in words whether a study shows what no label was ever given for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sagittal.errors import BadInput
from sagittal.study.study import Series, Study
from sagittal.zoo.capability import Asks, Loaded, Prompt, Question, Scores

MOST, LONGEST = 64, 300


def parse_prompts(texts: Sequence[str]) -> tuple[Prompt, ...]:
    """ "broken rib" is held against "No broken rib.", "a large heart | a normal heart" against its own.

    Raises:
        BadInput: a prompt is empty or too long, there are more than `MOST`, or one is asked twice.
    """
    if len(texts) > MOST:
        raise BadInput(f"{len(texts)} prompts", f"at most {MOST}")
    prompts = tuple(_parse(text) for text in texts)
    names = [each.present for each in prompts]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"the prompt {twice[0]!r} is asked twice")
    return prompts


def _parse(text: str) -> Prompt:
    present, *other = (re.sub(r"\s+", " ", part).strip() for part in text.split("|"))
    if not present or len(other) > 1 or other == [""]:
        raise BadInput(f"prompt {text[:80]!r}", 'a statement, or "statement | what holds otherwise"')
    if len(text) > LONGEST:
        raise BadInput(f"the prompt that begins {text[:40]!r} is too long", f"at most {LONGEST} characters")
    if not other and _DENIED.match(present):
        raise BadInput(
            f"prompt {text[:80]!r} is a denial", 'the other side behind a bar: "no fracture | fracture"'
        )
    return Prompt(_sentence(present), _sentence(other[0] if other else _denied(present)))


_DENIED = re.compile(r"(no|not|without|absence of)\b", re.IGNORECASE)
_ARTICLE = re.compile(r"(there (is|are) )?((an?|the|some) )?", re.IGNORECASE)


def _denied(present: str) -> str:
    """ "a broken rib" -> "no broken rib", "There is a nodule." -> "no nodule." """
    words = present[_ARTICLE.match(present).end() :]  # type: ignore[union-attr]
    lowered = words[:1].lower() + words[1:] if words[1:2].islower() else words
    return f"no {lowered}"


def _sentence(words: str) -> str:
    """With a capital and a full stop: as reports are written, which the model has read."""
    return words[0].upper() + words[1:].rstrip(".") + "."


@dataclass(frozen=True)
class Prompted:
    """A model whose ``labels`` are prompts, as they were typed: a `Classifies` for every task that scores."""

    model: Asks
    labels: tuple[str, ...]
    question: Question

    def classify(self, study: Study, series: Sequence[Series], *, branch: str) -> Scores:
        """`Asks.ask`."""
        scores = self.model.ask(study, series, self.question, branch=branch)
        pairs = zip(self.labels, self.question.prompts, strict=True)
        named = {label: scores.raw[prompt.present] for label, prompt in pairs}
        return replace(scores, raw=named, calibrated=dict(named))


def prompted(model: Loaded, texts: Sequence[str]) -> Prompted:
    """``model`` asked in these words.

    Raises:
        BadInput: the model answers no prompts, or as `parse_prompts`.
    """
    if not isinstance(model, Asks):
        raise BadInput(f"model {model.card.name} answers no prompts", "a model with a text encoder")
    return Prompted(model, tuple(texts), model.hear(parse_prompts(texts)))
