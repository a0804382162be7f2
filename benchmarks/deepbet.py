"""DeepBet: our network against the archives' own code, and the time and volume on a real study.

    python benchmarks/deepbet.py STUDY      a folder with T1-weighted MR of a head

The only place where the archives' code runs.
"""

from __future__ import annotations

import json
import sys
import time

import torch

from sagittal.measure.segmentation import volume_ml
from sagittal.study.open import open_study
from sagittal.zoo import deepbet
from sagittal.zoo.ours import inputs


@torch.inference_mode()
def differences() -> dict[str, float]:
    """Largest absolute difference of probabilities on noise, an archive."""
    found = {}
    for name in deepbet.ARCHIVES:
        theirs = torch.jit.load(str(deepbet.archive(name)), map_location="cpu").eval()
        ours = deepbet.network(name)
        torch.manual_seed(0)
        x = 0.226 * torch.randn(1, 1, 96, 128, 64) + 0.449
        found[name] = float((theirs(x) - ours(x)).abs().max())
    return found


def volumes(path: str) -> list[dict[str, object]]:
    """Brain volume and seconds of every T1-weighted series."""
    study, rows = open_study(path), []
    model = deepbet.load_deepbet()
    for (series,) in inputs(study, deepbet.SPEC):
        began = time.perf_counter()
        mask = model.segment(study, (series,), branch=deepbet.BRANCH).masks["brain"]
        seconds = time.perf_counter() - began
        ml = volume_ml(mask.voxels, series.geometry.spacing_mm or ())
        rows.append({"series": series.description, "ml": round(ml, 1), "seconds": round(seconds, 2)})
    return rows


if __name__ == "__main__":
    print(json.dumps({"differences": differences(), "volumes": volumes(sys.argv[1])}, indent=1))
