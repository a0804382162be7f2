"""How hard the brain-MR phantoms are: prevalence, contrast-to-noise, and what a thumbnail can tell.

A logistic regression sees every sequence shrunk to a coarse grid (z, y, x = 4, 8, 8 means, and 16 x 16
of the middle slice), each study standardised; what it reaches is what needs no looking. Run:
``python benchmarks/phantom_difficulty_mr.py [--train 600] [--test 300] [--split train] [--out FILE.json]``
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sagittal.phantom.cohort import draw
from sagittal.phantom.truth import LABELS, Split

Row = tuple[NDArray[np.float32], list[int], list[tuple[str, float]], dict[str, float]]


def thumbnail(voxels: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Standardised block means: (4, 8, 8) of the volume and (16, 16) of the middle slices."""
    v = voxels.astype(np.float32)
    v /= v.mean() + 1e-6
    z, y, x = v.shape
    blocks = v.reshape(4, z // 4, 8, y // 8, 8, x // 8).mean((1, 3, 5))
    middle = v[z // 2 : z // 2 + 4].mean(0).reshape(16, y // 16, 16, x // 16).mean((1, 3))
    return np.concatenate([blocks.ravel(), middle.ravel()])


def one(index: int, *, seed: int, split: Split, size: int) -> Row:
    case = draw("brain-mr", seed=seed, index=index, split=split, size=size)
    pixels = np.concatenate([thumbnail(s.volume.voxels) for s in case.study.series])
    names = {f.tracking_uid: f.observation.code for f in case.truth.findings}
    contrast = [(names[k], v) for k, v in case.truth.contrast_to_noise.items()]
    return pixels, [case.truth.labels[k] for k in LABELS["brain-mr"]], contrast, case.truth.measurements


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=600)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--split", choices=("train", "heldout"), default="train")
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    job = partial(one, seed=args.seed, split=args.split, size=args.size)
    with ProcessPoolExecutor(args.workers) as pool:
        rows = list(pool.map(job, range(args.train + args.test), chunksize=8))
    pixels = np.stack([r[0] for r in rows])
    truth = np.array([r[1] for r in rows])
    cut = args.train
    result: dict[str, object] = {"train": args.train, "test": args.test, "split": args.split, "labels": {}}
    table: dict[str, dict[str, float]] = {}
    print(f"{'label':28s} share  thumbnail AUROC")
    for column, key in enumerate(LABELS["brain-mr"]):
        best = 0.0
        for strength in (3e-4, 3e-3, 3e-2):
            model = make_pipeline(
                StandardScaler(),
                PCA(min(200, cut // 2), whiten=False, random_state=0),
                LogisticRegression(C=strength, max_iter=2000),
            )
            model.fit(pixels[:cut], truth[:cut, column])
            score = roc_auc_score(truth[cut:, column], model.decision_function(pixels[cut:]))
            best = max(best, float(score))  # the strongest of three regularisations: an upper estimate
        table[key] = {"prevalence": float(truth[:, column].mean()), "thumbnail_auroc": best}
        print(f"{key:28s} {table[key]['prevalence']:.3f}  {best:.3f}")
    result["labels"] = table
    contrast = [pair for r in rows for pair in r[2]]
    values = np.array([v for _, v in contrast])
    share = float((values < 3).mean())
    result["contrast_to_noise"] = {"lesions": len(values), "share_under_3": share}
    quantiles = np.percentile(values, [5, 25, 50, 75, 95]).round(2)
    print(f"contrast-to-noise: {len(values)} lesions, {share:.3f} under 3; 5/25/50/75/95 %: {quantiles}")
    for code in sorted({c for c, _ in contrast}):
        part = np.array([v for c, v in contrast if c == code])
        print(
            f"  {code:28s} n={len(part):4d} median {np.median(part):.2f} 10 % {np.percentile(part, 10):.2f}"
        )
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
