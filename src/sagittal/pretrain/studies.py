"""Studies as samples for the learning tower: each opened, prepared and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sagittal.datasets.dataset import Dataset
from sagittal.datasets.reading import reason_of
from sagittal.datasets.splits import check_leaks
from sagittal.encoders.tokenizer import Tokenizer
from sagittal.errors import BadInput
from sagittal.layers.features import Tokens
from sagittal.model import Earlier
from sagittal.study.context import Context
from sagittal.study.spec import InputSpec
from sagittal.zoo.ours import before, context_text, shown


class Texts(NamedTuple):
    """How texts become tokens: each (length,), cut or padded."""

    tokenizer: Tokenizer
    length: int = 128

    def __call__(self, text: str) -> Tokens:
        found = self.tokenizer([text], self.length)
        missing = self.length - found.ids.shape[1]
        return Tokens(*(functional.pad(each[0], (0, missing)) for each in found))


@dataclass(frozen=True)
class Studies(Sequence[dict[str, Tensor]]):
    """The studies of a data set, by number, as tensors of one shape for all.

    ``image`` (C, *S) float32; ``labels`` (L), NaN where unknown; ``patient`` () int64, the same for all
    studies of one patient. With ``texts``: ``report.ids``, ``report.mask`` (T) of what was written after the
    study, and ``context.ids``, ``context.mask`` (T) of what was known before it. With ``priors``:
    ``earlier.images`` (P, C, *S) and ``earlier.days`` (P). `texts_of` and `earlier_of` take them out of a
    batch.

    A study that cannot be read, or is outside ``spec``, raises BadInput naming it; `stream.Tolerant` then
    takes the next one and keeps the list.
    """

    data: Dataset
    spec: InputSpec
    texts: Texts | None = None
    priors: int = 0
    numbers: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        patients = dict.fromkeys(row.patient for row in self.data.rows)
        object.__setattr__(self, "numbers", {patient: n for n, patient in enumerate(patients)})

    @classmethod
    def of(
        cls,
        data: Dataset,
        spec: InputSpec,
        split: str = "train",
        *,
        texts: Texts | None = None,
        priors: int = 0,
    ) -> Studies:
        """The studies of one split of ``data``, which shares no patient with another.

        Raises:
            BadInput: a patient stands in two splits, or no study in this one.
        """
        check_leaks(data)
        return cls(data.only(split), spec, texts, priors)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Tensor]:  # type: ignore[override]
        row = self.data.rows[index]
        try:
            study = row.load()
            image = shown(study, self.spec).array
        except Exception as error:
            raise BadInput(f"{row.study} cannot be used: {reason_of(error)}") from error
        patient = self.numbers[row.patient]
        sample = {
            "image": torch.from_numpy(image),
            "labels": torch.from_numpy(self.data.targets[index]),
            "patient": torch.tensor(patient),
        }
        if self.texts is not None:
            told = {"report": row.report, "context": context_text(unreported(study.context, row.report))}
            for name, text in told.items():
                tokens = self.texts(text)
                sample |= {f"{name}.ids": tokens.ids, f"{name}.mask": tokens.mask}
        if self.priors:
            images = np.zeros((self.priors, *image.shape), np.float32)
            days = np.full(self.priors, np.nan, np.float32)
            for place, (one, age) in enumerate(before(study, self.spec, self.priors)):
                images[place], days[place] = one, age
            sample |= {"earlier.images": torch.from_numpy(images), "earlier.days": torch.from_numpy(days)}
        return sample


def unreported(context: Context, report: str) -> Context:
    """What was known before the report was written: published sets keep it among the notes."""
    own = " ".join(report.split())
    return replace(context, notes=tuple(note for note in context.notes if " ".join(note.split()) != own))


def texts_of(batch: dict[str, Tensor], name: str) -> Tokens:
    """The ``report`` or ``context`` of a batch, cut to its longest text."""
    ids, mask = batch[f"{name}.ids"], batch[f"{name}.mask"]
    longest = max(1, int(mask.sum(1).max()))
    return Tokens(ids[:, :longest], mask[:, :longest])


def earlier_of(batch: dict[str, Tensor]) -> Earlier:
    """The earlier images of a batch."""
    return Earlier(batch["earlier.images"], batch["earlier.days"])


def wordings(data: Dataset) -> list[str]:
    """The texts of a set, for `train_tokenizer`; only the reports are read. Those without one are left out.

    Raises:
        BadInput: no study has one.
    """
    found = [text for row in data.rows if (text := row.report.strip())]
    if not found:
        raise BadInput(f"{data.name} has no reports", "a set with reports", "see docs/how-to/datasets.md")
    return found
