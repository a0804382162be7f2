"""How hard the chest CT phantoms are: prevalence, contrast-to-noise, and what a thumbnail gives away.

python benchmarks/phantom_difficulty_ct.py --train 1200 --test 400 --size 64 --out ct_difficulty.json
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sagittal.phantom.cohort import draw
from sagittal.phantom.truth import LABELS

KIND = "chest-ct"
THUMBNAIL = 16


def one(
    index: int, seed: int, split: str, size: int
) -> tuple[np.ndarray, list[int], list[tuple[str, float]]]:
    case = draw(KIND, seed=seed, index=index, split=split, size=size)
    hu = np.clip(case.study.series[0].volume.voxels, -1000, 200).astype(np.float32)
    k = size // THUMBNAIL
    small = hu.reshape(THUMBNAIL, k, THUMBNAIL, k, THUMBNAIL, k).mean(axis=(1, 3, 5))
    known = case.truth.contrast_to_noise
    ratios = [
        (f.observation.key, known[f.tracking_uid]) for f in case.truth.findings if f.tracking_uid in known
    ]
    return small.ravel(), [case.truth.labels[key] for key in LABELS[KIND]], ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=1200)
    parser.add_argument("--test", type=int, default=400)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows = {}
    with ProcessPoolExecutor(args.workers) as pool:
        for name, n, split in (("train", args.train, "train"), ("test", args.test, "heldout")):
            job = partial(one, seed=args.seed, split=split, size=args.size)
            rows[name] = list(pool.map(job, range(n), chunksize=8))
    result: dict[str, object] = {"train": args.train, "test": args.test, "size": args.size}
    ratios: dict[str, list[float]] = {}
    for key, value in (pair for row in rows["train"] for pair in row[2]):
        ratios.setdefault(key, []).append(value)
    everything = np.concatenate([np.array(v) for v in ratios.values()])
    result["share of lesions under CNR 3"] = round(float((everything < 3).mean()), 3)
    result["CNR quartiles"] = {
        k: np.percentile(v, (5, 25, 50, 75, 95)).round(2).tolist() for k, v in ratios.items()
    }
    x = {name: np.stack([row[0] for row in rows[name]]) for name in rows}
    y = {name: np.array([row[1] for row in rows[name]]) for name in rows}
    result["prevalence"] = {
        name: dict(zip(LABELS[KIND], y[name].mean(axis=0).round(3).tolist(), strict=True)) for name in y
    }
    # A quarter of the training patients is held back as well: there the change of split is not what fails.
    cut = len(x["train"]) * 3 // 4
    tests = {
        "same split": (x["train"][cut:], y["train"][cut:]),
        "held-out split": (x["test"], y["test"]),
    }
    shapes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "16 x 16, coronal mean": lambda v: (
            v.reshape(-1, THUMBNAIL, THUMBNAIL, THUMBNAIL).mean(2).reshape(len(v), -1)
        ),
        "16 x 16 x 16": lambda v: v,
    }
    scores: dict[str, dict[str, dict[str, float]]] = {}
    for shape, cast in shapes.items():
        for column, key in enumerate(LABELS[KIND]):
            model = make_pipeline(
                StandardScaler(),
                LogisticRegressionCV(
                    Cs=[1e-5, 1e-4, 1e-3, 1e-2, 1e-1], cv=3, scoring="roc_auc", max_iter=1000
                ),
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(cast(x["train"][:cut]), y["train"][:cut, column])
            for name, (images, labels) in tests.items():
                auc = float(roc_auc_score(labels[:, column], model.decision_function(cast(images))))
                scores.setdefault(shape, {}).setdefault(name, {})[key] = round(auc, 3)
    result["thumbnail AUROC"] = scores
    print(json.dumps(result, indent=1))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
