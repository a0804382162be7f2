"""What a model can do, as protocols. Tasks ask for a capability, never for a family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sagittal.errors import SagittalError
from sagittal.study.study import Series, Study
from sagittal.study.volume import Volume
from sagittal.zoo.card import Card
from sagittal.zoo.gate import Distance


@dataclass(frozen=True)
class Scores:
    """What a branch scored on one input.

    Args:
        raw, calibrated: label -> probability, before and after the card's calibration.
        distance: the gate's; None where the model has no gate.
        stated: what the input rests on that a user stated, one line each.
    """

    branch: str
    raw: dict[str, float]
    calibrated: dict[str, float]
    distance: Distance | None = None
    stated: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Masks:
    """What a branch drew: name -> bool mask on the first series' own grid; distance as in `Scores`."""

    branch: str
    masks: dict[str, Volume]
    distance: Distance | None = None
    stated: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Inference:
    """One pass: scores, masks and embedding (E,) of one input."""

    scores: Scores
    masks: Masks
    embedding: NDArray[np.float32]


class Prompt(NamedTuple):
    """A question in words: what a study may show, and what holds where it does not."""

    present: str
    absent: str


@dataclass(frozen=True, eq=False)
class Question:
    """Prompts as a model has heard them, once for any number of studies; ``axes`` (P, E) of `Model.axes`."""

    prompts: tuple[Prompt, ...]
    axes: Tensor


@runtime_checkable
class Asks(Protocol):
    """Zero-shot: which of two statements an image is nearer to."""

    card: Card

    def hear(self, prompts: Sequence[Prompt]) -> Question:
        """For `ask`; BadInput where the model reads no text."""
        ...

    def ask(self, study: Study, series: Sequence[Series], question: Question, *, branch: str) -> Scores:
        """`Prompt.present` -> share of its side in both (softmax); raw and calibrated are the same, for
        nothing calibrates a sentence. Raises Refused outside the branch's `InputSpec`."""
        ...


@runtime_checkable
class Loaded(Protocol):
    """A model ready to use."""

    card: Card
    device: str


@runtime_checkable
class Encodes(Protocol):
    """Pooled features of prepared arrays: what probes and gates are fitted on."""

    card: Card

    def features(self, branch: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, C, *S) -> (B, D)."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """One vector a study."""

    def embed(self, study: Study, series: Sequence[Series], *, branch: str) -> NDArray[np.float32]:
        """Unit vector (E,). Raises Refused outside the branch's `InputSpec`."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """A probability a label."""

    def classify(self, study: Study, series: Sequence[Series], *, branch: str) -> Scores:
        """Raises Refused outside the branch's `InputSpec`; the gate's verdict is in ``distance``."""
        ...


@runtime_checkable
class Segments(Protocol):
    """A mask a structure."""

    def segment(self, study: Study, series: Sequence[Series], *, branch: str) -> Masks:
        """Raises Refused outside the branch's `InputSpec`; the gate's verdict is in ``distance``."""
        ...


@runtime_checkable
class Infers(Classifies, Segments, Embeds, Protocol):
    """Scores, masks and embedding in one pass."""

    def infer(self, study: Study, series: Sequence[Series], *, branch: str) -> Inference:
        """Raises Refused outside the branch's `InputSpec`."""
        ...


@dataclass(frozen=True)
class Answer:
    """What a language model wrote; nothing in it is believed before it is checked.

    Args:
        model: the name the model gave itself, "" where it gave none.
        cut: it stopped at its length limit, in mid-sentence perhaps.
        attempts: requests it took.
    """

    text: str
    model: str = ""
    cut: bool = False
    attempts: int = 1


class Unanswered(SagittalError):
    """A language model gave no usable answer; whoever asked goes on without it."""


@runtime_checkable
class Writes(Protocol):
    """Words for a prompt: a language model, here or behind an endpoint.

    ``remote`` says that a prompt leaves this machine's process; ``digest`` is sha256 (hex) of the weights,
    or, where nobody can see them, of what was asked for ("configuration:" and the hex).
    """

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def remote(self) -> bool: ...

    def write(self, system: str, user: str, *, json: bool = False) -> Answer:
        """Answer ``user`` under ``system``, as one JSON object where asked. Raises `Unanswered`."""
        ...


CAPABILITIES: tuple[tuple[str, Any], ...] = (
    ("embeds", Embeds),
    ("classifies", Classifies),
    ("segments", Segments),
    ("writes", Writes),
)
"""Names for people, as `zoo show` prints them."""


def capabilities(model: object) -> tuple[str, ...]:
    """Which capabilities a loaded model has."""
    return tuple(name for name, protocol in CAPABILITIES if isinstance(model, protocol))
