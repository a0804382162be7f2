"""Films as `recipes/arrays.py` leaves them on disk, whose findings are bright places."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sagittal.phantom.truth import LABELS

FINDINGS = LABELS["chest-xray"]


def planted(folder: Path, seed: int) -> None:
    """40 films as `arrays.cohort` leaves them, with reports that name what is there and what is not."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((40, len(FINDINGS))) < 0.35).astype(np.uint8)
    images = 0.1 * rng.random((40, 1, 64, 64))
    rows = []
    for image, row in zip(images, labels, strict=True):
        there = [key.replace("_", " ") for key, yes in zip(FINDINGS, row, strict=True) if yes]
        absent = [key.replace("_", " ") for key, yes in zip(FINDINGS, row, strict=True) if not yes]
        for place in np.flatnonzero(row):
            image[0, 9 * place : 9 * place + 8, 20:44] += 0.8
        said = [f"{name.capitalize()}." for name in there] or ["Nothing abnormal among what was looked for."]
        report = [*said, *(f"No {name}." for name in absent), *said]
        rows.append({"report": " ".join(report)})
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", images.astype(np.float16))
    np.save(folder / "masks.npy", np.zeros((40, 10, 32, 32), np.uint8))
    np.save(folder / "labels.npy", labels)
    for start in (0, 20):
        (folder / f"rows-{start:06d}.json").write_text(json.dumps(rows[start : start + 20]))


@pytest.fixture
def plant() -> Callable[[Path, int], None]:
    """Writes 40 films into a folder that is not there yet: (folder, seed)."""
    return planted
