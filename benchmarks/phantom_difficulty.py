"""Are the phantom radiographs' findings neither obvious nor invisible?

    python benchmarks/phantom_difficulty.py [--train 1500] [--test 500] [--json FILE]

Prints, for each label: prevalence, AUROC of a logistic regression on 16 x 16 thumbnails, the quartiles
of the lesions' contrast-to-noise, and which share of all lesions is under 3. The definition is fixed in
docs/log.md; `sagittal.phantom.radiograph.contrast` computes it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sagittal.phantom.chest import XRAY_LABELS, draw_chest
from sagittal.phantom.radiograph import radiograph

Array = NDArray[np.float32]


def draw(n: int, split: str, seed: int) -> tuple[Array, NDArray[np.int_], list[tuple[str, float]]]:
    """(n, 256) thumbnails, (n, 7) labels, and (key, contrast-to-noise) of every lesion."""
    thumbs, labels, lesions = [], [], []
    for index in range(n):
        rng = np.random.default_rng((seed, index))
        subject = draw_chest(rng, split)  # type: ignore[arg-type]
        film = radiograph(subject, rng, split=split)  # type: ignore[arg-type]
        thumbs.append(film.pixels.reshape(16, 16, 16, 16).mean((1, 3)).ravel() / 4095)
        labels.append([subject.has(key) for key in XRAY_LABELS])
        lesions += [(name.rsplit("-", 1)[0], value) for name, value in film.contrast_to_noise.items()]
    return np.array(thumbs, np.float32), np.array(labels, int), lesions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=1500)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    x, y, _ = draw(args.train, "train", 31)
    xt, yt, lesions = draw(args.test, "heldout", 32)
    xs, ys, more = draw(args.test, "train", 33)
    lesions += more
    result = {}
    for k, key in enumerate(XRAY_LABELS):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=3000)).fit(x, y[:, k])
        auc = {
            split: float(roc_auc_score(b[:, k], model.predict_proba(a)[:, 1]))
            for split, a, b in (("train", xs, ys), ("heldout", xt, yt))
        }
        cnr = np.array([value for name, value in lesions if name == key])
        quartiles = [float(v) for v in np.percentile(cnr, (10, 25, 50, 75, 90))] if cnr.size else []
        result[key] = {"prevalence": float(y[:, k].mean()), "thumbnail_auroc": auc, "cnr": quartiles}
        print(
            f"{key:17} prevalence {y[:, k].mean():.2f}   thumbnail AUROC {auc['train']:.3f} "
            f"(held out {auc['heldout']:.3f})   CNR 10/25/50/75/90 % "
            + " ".join(f"{q:.1f}" for q in quartiles)
        )
    under = float(np.mean([value < 3 for _, value in lesions]))
    result["share_under_3"] = under
    print(f"lesions with CNR under 3: {under:.2f} of {len(lesions)}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
