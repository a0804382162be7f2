"""Studies as samples for the learning tower: each opened, prepared and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sagittal.datasets.dataset import Dataset
from sagittal.datasets.splits import check_leaks
from sagittal.errors import BadInput, Refused
from sagittal.study.prepare import prepare
from sagittal.study.spec import InputSpec
from sagittal.zoo.ours import inputs


@dataclass(frozen=True)
class Studies(Sequence[dict[str, Tensor]]):
    """The studies of a data set, by number: image (C, *S) float32, labels (L) with NaN where unknown.

    A study that cannot be read, or is outside ``spec``, raises BadInput naming it; `stream.Tolerant` then
    takes the next one and keeps the list.
    """

    data: Dataset
    spec: InputSpec

    @classmethod
    def of(cls, data: Dataset, spec: InputSpec, split: str = "train") -> Studies:
        """The studies of one split of ``data``, which shares no patient with another.

        Raises:
            BadInput: a patient stands in two splits, or no study in this one.
        """
        check_leaks(data)
        return cls(data.only(split), spec)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Tensor]:  # type: ignore[override]
        row = self.data.rows[index]
        study = row.load()
        found = inputs(study, self.spec)
        if not found:
            wanted = "/".join(self.spec.modality) or "any"
            raise BadInput(f"{row.study} holds no series to learn from", f"modality {wanted}")
        try:
            image = prepare(found[0], self.spec, study).array
        except Refused as refusal:
            raise BadInput(f"{row.study} cannot be used: {refusal}") from None
        return {"image": torch.from_numpy(image), "labels": torch.from_numpy(self.data.targets[index])}
