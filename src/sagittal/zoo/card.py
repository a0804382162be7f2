"""What a model is, what it accepts, what was measured. Saved as ``card.json`` beside the weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from sagittal.errors import BadInput
from sagittal.measure.statistics import Interval
from sagittal.meter import Usage
from sagittal.report.codec import dumps, read_json
from sagittal.study.spec import InputSpec

RESEARCH_ONLY = "research use only"


@dataclass(frozen=True)
class DataUse:
    """Data the model learnt from: name, licence, how much, and any duty that follows from it."""

    name: str
    licence: str
    n: int
    note: str = ""


@dataclass(frozen=True)
class Result:
    """A measured number with its interval.

    Args:
        measure: "auroc", "accuracy", "dice", "box iou", "volume mL" ...
        of: the observation, mask or class it is about; "mean" over all.
        data, domain: what it was measured on, never seen in training.
        baseline, baseline_name: what to hold it against.
    """

    measure: str
    of: str
    interval: Interval
    data: str
    domain: str
    baseline: float | None = None
    baseline_name: str = ""


@dataclass(frozen=True)
class Threshold:
    """Where a calibrated probability becomes a statement, in one domain.

    Args:
        present: stated present at or above; None: never.
        absent: below it absence may be claimed, if ``sensitivity`` allows; None: never.
        sensitivity: of "not below ``absent``", measured on this domain.
    """

    domain: str
    present: float | None = None
    absent: float | None = None
    sensitivity: Interval | None = None


@dataclass(frozen=True)
class LabelCard:
    """A label a branch scores: its calibration, the domain that holds for, and its thresholds.

    Args:
        slope, offset: Platt's, on the logit of the raw probability.
        calibrated_on: domain the calibrated probability belongs to; None: not calibrated.
    """

    observation: str
    slope: float = 1.0
    offset: float = 0.0
    calibrated_on: str | None = None
    thresholds: tuple[Threshold, ...] = ()

    def threshold(self, domain: str) -> Threshold | None:
        """The thresholds of that domain, or None where nothing was measured there."""
        return next((t for t in self.thresholds if t.domain == domain), None)


@dataclass(frozen=True)
class GateCard:
    """The out-of-distribution gate: distances above ``threshold`` are refused.

    Args:
        quantile: share of held-out studies that the threshold lets through.
        n_fit, n_heldout: studies the distance and the threshold rest on.
    """

    threshold: float
    quantile: float
    n_fit: int
    n_heldout: int


@dataclass(frozen=True)
class BranchCard:
    """One input the model takes: its contract, what it scores and draws, and its gate."""

    input: InputSpec
    labels: tuple[LabelCard, ...] = ()
    masks: tuple[str, ...] = ()
    gate: GateCard | None = None
    exclusive: bool = False
    """Labels are classes of which exactly one holds (softmax), not independent findings (sigmoid)."""
    exclusive_masks: bool = False
    """A voxel belongs to at most one mask: the one with the highest logit, where that is over 0."""
    window: tuple[int, ...] | None = None
    """Masks are drawn in sliding windows of this size (z, y, x); None: the whole input at once."""
    max_extent_mm: tuple[float, ...] | None = None
    """Largest field (z, y, x) it was shown; a larger one holds anatomy it never learnt."""

    def label(self, observation: str) -> LabelCard:
        """Raises KeyError when the branch does not score it."""
        for label in self.labels:
            if label.observation == observation:
                return label
        raise KeyError(observation)


@dataclass(frozen=True)
class Card:
    """A model's card.

    Args:
        family: which loader understands the folder ("sagittal", "probe", "deepbet").
        digest: sha256 of the weights, see `weights_digest`.
        branches: name -> input contract, labels, masks, gate.
        base: for a head on another model: that model's name and digest, and its folder where it does not
            come with the package.
        required_sensitivity: lower 95 % bound that a sensitivity must reach before absence is said.
    """

    name: str
    version: str
    family: str
    summary: str
    licence: str
    digest: str
    branches: dict[str, BranchCard]
    data: tuple[DataUse, ...] = ()
    results: tuple[Result, ...] = ()
    limitations: tuple[str, ...] = ()
    intended_use: str = RESEARCH_ONLY
    required_sensitivity: float = 0.90
    parameters: int = 0
    training: Usage | None = None
    base: dict[str, str] = field(default_factory=dict)
    read_by_default: bool = True
    """Whether `read` may use it unasked; a model for a narrow population is only named explicitly."""

    def branch(self, name: str) -> BranchCard:
        """Raises BadInput listing the branches when there is none of that name."""
        if name not in self.branches:
            raise BadInput(f"model {self.name} has no branch {name!r}", f"one of {', '.join(self.branches)}")
        return self.branches[name]


def weights_digest(folder: Path) -> str:
    """sha256 (hex) over the names and bytes of a folder's ``*.safetensors``, in name order."""
    total = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        total.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(2**20):
                total.update(block)
    return total.hexdigest()


def read_card(folder: Path) -> Card:
    """The card of a model folder.

    Raises:
        BadInput: there is none, or it is not a card.
    """
    path = folder / "card.json"
    if not path.is_file():
        raise BadInput(
            f"{folder} is no model folder: card.json is missing", "model.safetensors and card.json"
        )
    return read_json(Card, path)


def write_card(card: Card, folder: Path) -> Path:
    """Write ``card.json``; whole or not at all."""
    path = folder / "card.json"
    partial = path.with_suffix(".json.partial")
    partial.write_text(dumps(card), "utf-8")
    partial.replace(path)
    return path
