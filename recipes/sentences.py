"""Sentences of reports beside their images: what each says, and whether it tells of a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import torch
from torch import Tensor
from torch.nn import functional

from sagittal.encoders.tokenizer import Tokenizer
from sagittal.layers.features import Tokens
from sagittal.pretrain.studies import Studies
from sagittal.report.finding import ChangeKind, Finding
from sagittal.report.parse import parse_document
from sagittal.report.vocabulary import observations

TURNS = {ChangeKind.NEW: 1, ChangeKind.LARGER: 1, ChangeKind.SMALLER: -1, ChangeKind.RESOLVED: -1}
OBSERVATIONS = tuple(sorted(each.concept.key for each in observations()))
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Said:
    """A sentence of a report.

    Attributes:
        about: the finding, of several the first; meaning: what it says of all, as a number above 0.
        turn: 1 where something is new or larger, -1 where it is smaller or gone, else 0.
    """

    text: str
    about: str
    meaning: int
    turn: int


@lru_cache(maxsize=100_000)
def said(report: str) -> list[Said]:
    """The sentences that state a finding, as our parser reads them."""
    found: dict[tuple[int, int], list[Finding]] = {}
    for finding in parse_document(report).findings:
        assert finding.evidence is not None and finding.evidence.span is not None
        found.setdefault(finding.evidence.span, []).append(finding)
    return [
        Said(report[start:end], each[0].observation.key, _meaning(each), _turn(each[0]))
        for (start, end), each in found.items()
    ]


def _turn(finding: Finding) -> int:
    return TURNS.get(finding.change.kind, 0) if finding.change else 0


def _meaning(findings: list[Finding]) -> int:
    whats = sorted(
        (f.observation.key, f.presence.value, str(f.laterality), str(f.change.kind) if f.change else "")
        for f in findings
    )
    return 1 + int.from_bytes(sha256(repr(whats).encode()).digest()[:6], "big")


@dataclass(frozen=True)
class Told(Sequence[Batch]):
    """Studies with the sentences of their reports: ids, mask (J, T), meaning, turn and about (J).

    A meaning of 0: there is no further sentence.
    """

    studies: Studies
    tokenizer: Tokenizer
    length: int
    sentences: int

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, index: int) -> Batch:  # type: ignore[override]
        sample = self.studies[index]
        many = self.sentences
        found = said(self.studies.data.rows[index].report)[:many]
        tokens = self.tokenizer([each.text for each in found], self.length)
        missing = (0, self.length - tokens.ids.shape[1], 0, many - len(found))
        sample["ids"] = functional.pad(tokens.ids, missing)
        sample["mask"] = functional.pad(tokens.mask, missing)
        told = {"meaning": [each.meaning for each in found], "turn": [each.turn for each in found]}
        told["about"] = [OBSERVATIONS.index(each.about) for each in found]
        for name, values in told.items():
            sample[name] = torch.tensor(values + [0] * (many - len(found)))
        return sample


def chosen(batch: Batch) -> tuple[Tokens, Tensor, Tensor]:
    """One sentence of each report, by chance: its tokens, meaning (B,) and turn (B,).

    What has changed is what the report was written for, and is drawn five times as often.
    """
    there = (batch["meaning"] != 0).float() * (1 + 4 * (batch["turn"] != 0))
    there[:, 0] += (there.sum(1) == 0).float()  # a report without any finding: its meaning is 0, of no image
    which = torch.multinomial(there, 1)[:, 0]
    rows = torch.arange(len(which))
    return (
        Tokens(batch["ids"][rows, which], batch["mask"][rows, which]),
        batch["meaning"][rows, which],
        batch["turn"][rows, which],
    )
