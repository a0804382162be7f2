"""What a branch reached on phantoms it never saw, beside a baseline that is cheap.

Pure functions from arrays to `Result`s for the card; `recipes/small.py evaluate` calls them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from arrays import Arrays
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sagittal.measure.discrimination import auroc, auroc_interval
from sagittal.measure.segmentation import dice
from sagittal.measure.statistics import bootstrap, mean_interval, wilson
from sagittal.zoo.card import Result

CNR_EDGES = (0.0, 1.5, 2.0, 3.0, 4.0, 6.0, np.inf)
LARGE_MM = 15.0


def thumbnails(images: NDArray[Any], edge: int = 16) -> NDArray[np.float32]:
    """(N, C, *S) -> (N, features): block means on 16x16 pixels; a volume's 4 slabs along z, each channel."""
    rows = []
    for image in images:
        array = np.asarray(image, np.float32)
        if array.ndim == 4:
            c, z = array.shape[:2]
            array = array.reshape(c, 4, z // 4, *array.shape[2:]).mean(2).reshape(c * 4, *array.shape[2:])
        k, h, w = array.shape
        rows.append(array.reshape(k, edge, h // edge, edge, w // edge).mean((2, 4)).ravel())
    return np.stack(rows)


def thumbnail_auroc(
    train: Arrays, test: Arrays, labels: tuple[str, ...], most: int = 2000
) -> dict[str, float]:
    """AUROC of a logistic regression on thumbnails, a label."""
    fit, held = thumbnails(train.images[:most]), thumbnails(test.images)
    reached = {}
    for column, label in enumerate(labels):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
        model.fit(fit, train.labels[: len(fit), column])
        reached[label] = auroc(test.labels[:, column], model.decision_function(held))
    return reached


def label_results(
    truth: NDArray[Any], logits: NDArray[Any], labels: tuple[str, ...], baseline: dict[str, float], kind: str
) -> list[Result]:
    """AUROC with DeLong's interval a label, and their mean with a bootstrap over studies."""
    data, domain = f"{len(truth)} unseen held-out phantoms", f"phantom {kind}"
    name = "logistic regression on 16x16 thumbnails"
    found = [
        Result("auroc", label, auroc_interval(truth[:, i], logits[:, i]), data, domain, baseline[label], name)
        for i, label in enumerate(labels)
    ]

    def mean(index: NDArray[np.intp]) -> float:
        return float(np.mean([auroc(truth[index, i], logits[index, i]) for i in range(len(labels))]))

    together = bootstrap(mean, len(truth), repeats=300)
    found.append(
        Result("auroc", "mean", together, data, domain, float(np.mean(list(baseline.values()))), name)
    )
    return found


def sensitivity_by_cnr(
    rows: list[dict[str, Any]],
    probability: NDArray[Any],
    labels: tuple[str, ...],
    present: list[float],
    kind: str,
) -> list[Result]:
    """Share of studies stated present, by their most conspicuous lesion's contrast-to-noise."""
    curve = []
    for low, high in pairwise(CNR_EDGES):
        hits, n = 0, 0
        for row, scores in zip(rows, probability, strict=True):
            best: dict[str, float] = {}
            for lesion in row["lesions"]:
                best[lesion["key"]] = max(best.get(lesion["key"], 0.0), lesion["cnr"])
            for i, label in enumerate(labels):
                if label in best and low <= best[label] < high:
                    n += 1
                    hits += bool(scores[i] >= present[i])
        if n:
            of = f"contrast-to-noise {low:g} to {high:g}"
            data = f"{len(rows)} unseen held-out phantoms"
            curve.append(Result("sensitivity", of, wilson(hits, n), data, f"phantom {kind}"))
    return curve


def lesion_dice(
    test: Arrays, drawn: NDArray[np.bool_], names: tuple[str, ...], anatomy: int, kind: str
) -> list[Result]:
    """Dice a study and mask; lesions count where the study's largest of that name is over 15 mm."""
    data, domain = f"{len(test.rows)} unseen held-out phantoms", f"phantom {kind}"
    found, pooled = [], []
    for channel, name in enumerate(names):
        values = []
        for i, row in enumerate(test.rows):
            truth = test.masks[i, channel] >= 128
            sizes = [x["diameter_mm"] or 0.0 for x in row["lesions"] if x["key"] == name]
            if truth.any() and (channel < anatomy or max(sizes, default=0.0) > LARGE_MM):
                values.append(dice(truth, drawn[i, channel]))
        if values:
            of = name if channel < anatomy else f"{name} over 15 mm"
            found.append(Result("dice", of, mean_interval(values), data, domain))
            pooled += [] if channel < anatomy else values
    if pooled:
        found.append(Result("dice", "lesions over 15 mm", mean_interval(pooled), data, domain))
    return found
