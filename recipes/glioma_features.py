"""The phantom glioma cohort as features on disk: images and priors through the frozen bundled model once.

Written in chunks by worker processes and resumable: a chunk that is there is not drawn again.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sagittal.decoders.label import mask_evidence
from sagittal.phantom.glioma import draw_glioma
from sagittal.phantom.truth import Split
from sagittal.study.prepare import prepare
from sagittal.study.study import Study
from sagittal.zoo.load import load
from sagittal.zoo.ours import SagittalModel, inputs

BRANCH = "brain-mr"
LABS = ("Lactate dehydrogenase", "Neutrophil-lymphocyte ratio", "MGMT promoter methylation", "Sodium")
SOURCES = ("image", "prior", "notes", "labs")
CHUNK = 25


@dataclass(frozen=True)
class Cohort:
    """N patients.

    ``masks`` (N, 2, M, 12): what each mask shows (`mask_evidence`) now and on the prior, zero without one;
    ``notes`` N texts; ``labs`` (N, 4) with NaN; ``there`` (N, 4) bool by `SOURCES`; ``truth`` (N,) bool;
    ``evidence`` (N, 4): the ideal observer's log likelihood ratios.
    """

    masks: NDArray[np.float32]
    notes: NDArray[np.str_]
    labs: NDArray[np.float64]
    there: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    evidence: NDArray[np.float64]


def cohort(folder: Path, *, n: int, seed: int, split: Split, workers: int = 2) -> Cohort:
    """Draw (or continue drawing) ``n`` patients and read them."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, n, CHUNK)
    paths = [folder / f"{split}-{seed}-{start:06d}-{min(CHUNK, n - start)}.npz" for start in starts]
    todo = [(path, start) for path, start in zip(paths, starts, strict=True) if not path.exists()]
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(_chunk, path, start, min(CHUNK, n - start), seed, split) for path, start in todo]
        for done, job in enumerate(jobs, 1):
            job.result()
            print(f"  {split}: {done} of {len(jobs)} chunks drawn", flush=True)
    parts = [np.load(path) for path in paths]
    return Cohort(*(np.concatenate([part[name] for part in parts]) for name in Cohort.__dataclass_fields__))


def _chunk(path: Path, start: int, n: int, seed: int, split: Split) -> None:
    torch.set_num_threads(1)
    model = load("sagittal-small")
    assert isinstance(model, SagittalModel)
    rows: dict[str, list[object]] = {name: [] for name in Cohort.__dataclass_fields__}
    for index in range(start, start + n):
        case = draw_glioma(seed=seed, index=index, split=split)
        study = case.study
        now = _encode(model, study)
        before = _encode(model, study.priors[0]) if study.priors else np.zeros_like(now)
        labs = {lab.name: lab.value for lab in study.context.labs}
        evidence = case.clues.evidence()
        rows["masks"].append(np.stack([now, before]))
        rows["notes"].append(" ".join(study.context.notes))
        rows["labs"].append([labs.get(name, np.nan) for name in LABS])
        rows["there"].append([True, bool(study.priors), bool(study.context.notes), bool(labs)])
        rows["truth"].append(case.clues.progression)
        rows["evidence"].append([evidence[name] for name in SOURCES])
    partial = path.with_suffix(".tmp.npz")
    np.savez(partial, **{name: np.array(values) for name, values in rows.items()})
    partial.replace(path)


@torch.inference_mode()
def _encode(model: SagittalModel, study: Study) -> NDArray[np.float32]:
    """What each mask of the bundled model shows, (M, 12)."""
    spec = model.card.branch(BRANCH).input
    prepared = prepare(inputs(study, spec)[0], spec, study)
    output = model.model(BRANCH, torch.from_numpy(prepared.array[None]), upsample=False)
    return np.asarray(mask_evidence(output.mask_logits)[0].numpy())
