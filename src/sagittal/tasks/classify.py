"""A probability a label for every study of a data set: `sagittal predict`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sagittal.datasets.dataset import Dataset, Row
from sagittal.datasets.reading import Unreadable, reason_of, summary
from sagittal.errors import BadInput, Refused
from sagittal.study.stated import apply_assume, parse_assume
from sagittal.study.study import Study
from sagittal.tasks.prompts import prompted
from sagittal.zoo.capability import Classifies, Loaded, Scores
from sagittal.zoo.card import Card
from sagittal.zoo.ours import inputs


@dataclass(frozen=True)
class Prediction:
    """One study's probabilities.

    Args:
        probability: label -> calibrated probability; empty where the model refused.
        refused: why it did, or ""; unreadable: why the study's files could not be read, or "".
        inside: False where the gate says the image is unlike what was learnt; None without a gate.
    """

    study: str
    patient: str
    split: str
    probability: dict[str, float]
    refused: str = ""
    inside: bool | None = None
    unreadable: str = ""


@dataclass(frozen=True)
class Predictions:
    """All of them. ``labels``: the columns, in the card's order."""

    model: str
    labels: tuple[str, ...]
    rows: tuple[Prediction, ...]

    @property
    def refused(self) -> int:
        """How many studies the model would not score."""
        return sum(bool(row.refused) for row in self.rows)

    @property
    def unreadable(self) -> tuple[Unreadable, ...]:
        """The studies whose files could not be read, and why."""
        return tuple(Unreadable(row.study, row.unreadable) for row in self.rows if row.unreadable)

    @property
    def outside(self) -> int:
        """How many were scored although the gate calls them unlike the training data."""
        return sum(row.inside is False for row in self.rows)


def predict(
    data: Dataset,
    model: Loaded,
    *,
    split: str | None = None,
    branch: str | None = None,
    assume: str | Mapping[str, str] | None = None,
    prompts: Sequence[str] = (),
    advance: Callable[[int], None] | None = None,
) -> Predictions:
    """Score every study of ``data``.

    A model with one branch, or a named branch, states modality and body part where the files do not
    say them. A study outside the gate is scored all the same and counted: judging a model needs every
    row. One outside the `InputSpec`, or whose files are damaged, has no probability. With ``prompts``
    (`tasks.prompts.parse_prompts`) these are the labels, and their numbers rank studies: nothing has
    calibrated them.

    Raises:
        BadInput: no such split or branch, a model that does not classify, or no study can be read.
        Refused: every study that can be read was refused; says why of the first.
    """
    asked = prompted(model, prompts) if prompts else None
    scorer = asked or model
    if not isinstance(scorer, Classifies):
        raise BadInput(f"model {model.card.name} scores no labels", "a model that does")
    if split is not None:
        data = data.only(split)
    card = model.card
    names = [branch] if branch else [name for name, b in card.branches.items() if b.labels]
    if asked and not names:  # a model that only ever learnt what belongs together
        names = list(card.branches)
    if not names:
        raise BadInput(f"model {card.name} has no branch with labels")
    scored = (x.observation for name in names for x in card.branch(name).labels)
    labels = asked.labels if asked else tuple(dict.fromkeys(scored))
    user = parse_assume(assume)
    rows = []
    for row in data.rows:
        rows.append(_one(row, scorer, card, names, user))
        if advance is not None:
            advance(1)
    found = Predictions(card.name, labels, tuple(rows))
    if len(found.unreadable) == len(rows):
        raise BadInput(summary(found.unreadable, len(rows)))
    if found.refused + len(found.unreadable) == len(rows):
        why = next(row.refused for row in rows if row.refused)
        raise Refused(f"model {card.name} refused all {found.refused} studies: {why}")
    return found


def _one(row: Row, model: Classifies, card: Card, names: list[str], user: Mapping[str, str]) -> Prediction:
    nothing = Prediction(row.study, row.patient, row.split, {})
    try:
        loaded = row.load()
    except Exception as error:
        return replace(nothing, unreadable=reason_of(error))
    study = apply_assume(loaded, user)
    reason = broken = ""
    for name in names:
        spec = card.branch(name).input
        told = _told(study, spec.modality, spec.body_part, user) if len(names) == 1 else study
        for series in inputs(told, spec):
            try:
                for one in series:
                    _ = one.volume  # damage that shows only in the pixels
            except Exception as error:
                broken = reason_of(error)
                continue
            try:
                scores = model.classify(told, series, branch=name)
            except Refused as refusal:
                reason = str(refusal)
                continue
            return _scored(row, scores)
    unread = "; ".join(problem for one in study.series if not one.readable for problem in one.problems)
    if broken or (unread and not reason):
        return replace(nothing, unreadable=broken or unread)
    return replace(nothing, refused=reason or "no series fits the model")


def _told(study: Study, modality: tuple[str, ...], body_part: str | None, user: Mapping[str, str]) -> Study:
    """What naming the model says of a study whose files do not say it."""
    named = {"modality": modality[0], "body_part": body_part or ""}
    unknown = {
        "modality": any(s.modality == "OT" for s in study.series),
        "body_part": any(not s.body_part for s in study.series),
    }
    return apply_assume(study, {k: v for k, v in named.items() if v and unknown[k] and k not in user})


def _scored(row: Row, scores: Scores) -> Prediction:
    inside = scores.distance.ok if scores.distance is not None else None
    return Prediction(row.study, row.patient, row.split, dict(scores.calibrated), "", inside)


def write_csv(predictions: Predictions, out: Path) -> Path:
    """study, patient, split, then a probability a label; empty where the model refused.

    Raises:
        BadInput: the file cannot be written.
    """
    partial = out.with_name(f".{out.name}.partial")
    try:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["study", "patient", "split", *predictions.labels])
            for row in predictions.rows:
                cells = [
                    f"{row.probability[name]:.6f}" if name in row.probability else ""
                    for name in predictions.labels
                ]
                writer.writerow([row.study, row.patient, row.split, *cells])
        partial.replace(out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise BadInput(f"{out} cannot be written ({error.strerror})") from None
    return out
