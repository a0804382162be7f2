"""What a model that stays as it is sees of each study: encoded once, kept in shards, looked back on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from sentences import Batch, Told
from torch import Tensor
from torch.utils.data import ConcatDataset

from sagittal.decoders.label import mask_evidence
from sagittal.errors import BadInput
from sagittal.layers.features import Features
from sagittal.layers.weights import write_atomic
from sagittal.model import Earlier, Model
from sagittal.pretrain.progression import reversed_dates
from sagittal.report.codec import dumps
from sagittal.training.distributed import World
from sagittal.training.shards import Shards, write_shards

UNUSED = "unused.json"


@torch.no_grad()
def encoded(model: Model, branch: str, told: Told, which: range, unused: list[str]) -> Iterator[Batch]:
    """Each study that can be used, its images replaced by what the encoder and the masks see of them.

    tokens (N, D), evidence (K), and of the earlier ones before.tokens (P, N, D), before.evidence (P, K).
    """
    part = model.branch(branch)
    for index in which:
        try:
            sample = told[index]
        except BadInput as reason:
            unused.append(str(reason))
            continue
        days = sample["earlier.days"]
        there = ~days.isnan()
        images = torch.cat([sample.pop("image")[None], sample.pop("earlier.images")[there]])
        features = model.encode(branch, images.to(model.scale.device))
        drawn = part.drawn(features)
        seen = {"tokens": features.tokens}
        seen["evidence"] = features.tokens[:, 0, :0] if drawn is None else mask_evidence(drawn).flatten(1)
        for name, values in seen.items():
            values = values.cpu().half()
            sample[name] = values[0]
            sample[f"before.{name}"] = values.new_zeros(len(days), *values.shape[1:])
            sample[f"before.{name}"][there] = values[1:]
        yield sample


def seen_once(
    model: Model, branch: str, told: Told, folder: Path, *, chunk: int, log: Path, world: World
) -> Sequence[Batch]:
    """All of `encoded`, from chunks on disk; those that are not there yet are shared among the processes.

    ``log`` is added what cannot be used, as `stream.Tolerant` writes it.

    Raises:
        BadInput: no study can be used; says why not the first.
    """
    chunks = [range(n, min(n + chunk, len(told))) for n in range(0, len(told), chunk)]
    for number, which in enumerate(chunks):
        place = folder / f"{number:06d}"
        if number % world.size != world.rank or (place / UNUSED).exists():
            continue
        unused: list[str] = []
        write_shards(encoded(model, branch, told, which, unused), place)
        write_atomic(place / UNUSED, dumps(unused).encode())
    world.barrier()
    unused, parts = [], []
    for number, which in enumerate(chunks):
        place = folder / f"{number:06d}"
        lost = json.loads((place / UNUSED).read_text("utf-8"))
        unused += lost
        if len(lost) < len(which):
            parts.append(Shards(place))
    if not parts:
        raise BadInput(
            f"none of {len(told)} studies can be used: {unused[0]}", fix="choose another --out then"
        )
    if world.rank == 0 and unused:
        with log.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in unused)
    return ConcatDataset(parts)  # type: ignore[return-value]


def embedded(model: Model, branch: str, batch: Batch, *, back: bool = False) -> Tensor:
    """(B, E) of what was `encoded`, the earlier images in view; ``back``: of the same, oldest last.

    Without priors: of the first image alone.
    """
    part, days = model.branch(branch), batch["earlier.days"]
    pairs = []
    for name in ("tokens", "evidence"):
        now, before = batch[name].float(), Earlier(batch[f"before.{name}"].float(), days)
        pairs.append(reversed_dates(now, before) if back else (now, before))
    (tokens, old), (evidence, shown) = pairs
    features = Features((), tokens, tokens.mean(1))
    if model.config.priors:
        both = zip(old.images.unbind(1), shown.images.unbind(1), strict=True)
        features = model.since(features, [part.dated(t, e) for t, e in both], old.days)
    return part.embed(features, evidence=evidence)
