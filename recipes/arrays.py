"""Phantoms as arrays on disk, through the same `prepare` that reads a patient's study.

Each kind and split becomes a folder of memory-mapped arrays, written in chunks by worker processes
and resumable: a chunk whose marker exists is not drawn again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from sagittal.phantom.cohort import draw
from sagittal.phantom.truth import LABELS, CaseKind, Split
from sagittal.study.prepare import prepare
from sagittal.study.spec import InputSpec
from sagittal.zoo.ours import context_text, inputs

ANATOMY: dict[str, tuple[str, ...]] = {
    "chest-xray": ("lung_right", "lung_left", "heart"),
    "chest-ct": ("lung_right", "lung_left"),
    "brain-mr": ("brain",),
}
"""Anatomy masks of each kind; the lesion masks, one a label, follow them."""

FIELDLESS = ("cardiomegaly", "cerebral_atrophy", "mass_effect")
"""Labels that are a proportion of the anatomy, not a place: no mask of their own."""

CHUNK = 20


def mask_names(kind: str) -> tuple[str, ...]:
    """Channels of the mask decoder of a kind."""
    return ANATOMY[kind] + tuple(label for label in LABELS[kind] if label not in FIELDLESS)


@dataclass(frozen=True)
class Arrays:
    """A cohort on disk.

    ``images`` (N, C, *size) float16, ``masks`` (N, M, *half) uint8 in 0..255 (share of the coarse
    voxel), ``labels`` (N, L) uint8, ``rows`` one dictionary a study: report, context text, lesions
    with contrast-to-noise, size and mask name, demographics.
    """

    images: NDArray[np.float16]
    masks: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    rows: list[dict[str, Any]]

    def last(self, n: int) -> Arrays:
        """The last ``n`` studies."""
        return Arrays(self.images[-n:], self.masks[-n:], self.labels[-n:], self.rows[-n:])


def _halved(mask: NDArray[Any], steps: tuple[int, ...]) -> NDArray[np.uint8]:
    """Block means of a mask as 0..255."""
    shape: list[int] = []
    for length, step in zip(mask.shape, steps, strict=True):
        shape += [length // step, step]
    blocks = mask.astype(np.float32).reshape(shape)
    return np.rint(255 * blocks.mean(axis=tuple(range(1, 2 * mask.ndim, 2)))).astype(np.uint8)


def one(kind: CaseKind, spec: InputSpec, seed: int, index: int, split: Split, steps: tuple[int, ...]) -> Any:
    """(image, masks, labels, row) of one phantom."""
    case = draw(kind, seed=seed, index=index, split=split, size=max(spec.size) if spec.size else None)
    prepared = prepare(inputs(case.study, spec)[0], spec, case.study)
    names = mask_names(kind)
    masks = np.zeros((len(names), *(n // s for n, s in zip(spec.size or (), steps, strict=True))), np.uint8)
    for name, volume in case.masks.items():
        key = name.split("-")[0]
        if key in names:
            placed = prepared.from_native(volume.voxels.astype(bool))
            channel = names.index(key)
            masks[channel] = np.maximum(masks[channel], _halved(placed, steps))
    lesions = []
    for finding in case.truth.findings:
        if finding.tracking_uid in case.truth.contrast_to_noise:
            size = [m.values[0] for m in finding.measurements if m.quantity == "diameter"]
            lesions.append(
                {
                    "key": finding.observation.key,
                    "mask": finding.evidence.mask if finding.evidence else None,
                    "cnr": case.truth.contrast_to_noise[finding.tracking_uid],
                    "diameter_mm": size[0] if size else None,
                }
            )
    row = {
        "report": " ".join(
            s.text for name in ("findings", "impression") for s in case.truth.report.section(name).sentences
        ),
        "context": context_text(case.study.context),
        "lesions": lesions,
        "demographics": {
            k: v for k, v in case.truth.demographics.items() if isinstance(v, str | int | float)
        },
    }
    labels = np.array([case.truth.labels[name] for name in LABELS[kind]], np.uint8)
    return prepared.array.astype(np.float16), masks, labels, row


def _chunk(
    folder: Path,
    kind: CaseKind,
    spec: InputSpec,
    seed: int,
    split: Split,
    steps: tuple[int, ...],
    start: int,
    n: int,
) -> int:
    images = np.load(folder / "images.npy", mmap_mode="r+")
    masks = np.load(folder / "masks.npy", mmap_mode="r+")
    labels = np.load(folder / "labels.npy", mmap_mode="r+")
    rows = []
    for index in range(start, start + n):
        images[index], masks[index], labels[index], row = one(kind, spec, seed, index, split, steps)
        rows.append(row)
    del images, masks, labels
    part = folder / f"rows-{start:06d}.json"
    part.with_suffix(".tmp").write_text(json.dumps(rows), "utf-8")
    part.with_suffix(".tmp").replace(part)
    return n


def cohort(
    folder: Path,
    kind: CaseKind,
    spec: InputSpec,
    *,
    n: int,
    seed: int,
    split: Split,
    steps: tuple[int, ...],
    workers: int = 2,
) -> Arrays:
    """Draw (or continue drawing) a cohort, and open it."""
    size = spec.size or ()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "labels.npy").exists():
        coarse = tuple(a // b for a, b in zip(size, steps, strict=True))
        shapes = {
            "images": ((n, spec.channels, *size), np.float16),
            "masks": ((n, len(mask_names(kind)), *coarse), np.uint8),
            "labels": ((n, len(LABELS[kind])), np.uint8),
        }
        for name, (shape, dtype) in shapes.items():
            open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape).flush()
    starts = [s for s in range(0, n, CHUNK) if not (folder / f"rows-{s:06d}.json").exists()]
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [
            pool.submit(_chunk, folder, kind, spec, seed, split, steps, s, min(CHUNK, n - s)) for s in starts
        ]
        for done, job in enumerate(jobs, 1):
            job.result()
            if done % 10 == 0:
                print(f"  {kind} {split}: {done}/{len(jobs)} chunks", flush=True)
    rows: list[dict[str, Any]] = []
    for start in range(0, n, CHUNK):
        rows += json.loads((folder / f"rows-{start:06d}.json").read_text("utf-8"))
    opened = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "masks", "labels")}
    return Arrays(opened["images"], opened["masks"], np.asarray(opened["labels"]), rows)
