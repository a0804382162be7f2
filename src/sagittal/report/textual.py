"""Metrics of words, and of models of words that other packages bring.

BLEU and ROUGE-L compare words, not facts: "no effusion" and "effusion" share most of them. They are
here because the literature reports them. They come from the packages that define them (the extra
``validate``), with three conventions said aloud: letters' case does not count, scores run from 0 to 1,
and two empty texts agree perfectly. BLEU uses the n-grams a text is long enough for ("effective
order"), since otherwise "Normal chest." would score 0 against itself.

What a model has to compute is a plug-in: `PLUG_INS` says what each needs, and `sagittal.registry` takes
the metric of a package that brings it. Nothing is downloaded from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sagittal.errors import BadInput, MissingExtra
from sagittal.measure.metrics import Metric, per_case
from sagittal.optional import needs
from sagittal.report.cases import Case

Floats = NDArray[np.float64]
_ORDER = 4
_WORD = re.compile(r"[^\W_]+")


@cache
def _bleu(order: int) -> Any:
    sacrebleu = needs("sacrebleu", feature="BLEU", extra="validate", version=">=2.4")
    return sacrebleu.BLEU(lowercase=True, effective_order=True, max_ngram_order=order)


def _bleu_rows(cases: Sequence[Case]) -> Floats:
    """Length of candidate and reference, then matched and all n-grams of each order, (n, 10)."""
    rows = np.zeros((len(cases), 2 + 2 * _ORDER))
    for row, case in zip(rows, cases, strict=True):
        candidate, reference = case.texts
        found = _bleu(_ORDER).sentence_score(candidate, [reference])
        row[:] = (found.sys_len, found.ref_len, *found.counts, *found.totals)
    return rows


def _bleu_value(order: int) -> Any:
    def value(row: Floats) -> float:
        ours, theirs = int(row[0]), int(row[1])
        if ours == theirs == 0:
            return 1.0
        matched, total = row[2 : 2 + order], row[2 + _ORDER : 2 + _ORDER + order]
        if not matched.any():
            return 0.0
        score = _bleu(order).compute_bleu(
            correct=[int(n) for n in matched],
            total=[int(n) for n in total],
            sys_len=ours,
            ref_len=theirs,
            smooth_method="exp",
            effective_order=True,
            max_ngram_order=order,
        )
        # exp(log(100)) in the package is 100.00000000000004.
        return min(1.0, float(score.score) / 100.0)

    return value


def _rouge_rows(cases: Sequence[Case]) -> Floats:
    module = needs("rouge_score.rouge_scorer", feature="ROUGE-L", extra="validate", version=">=0.1.2")
    scorer = module.RougeScorer(["rougeL"], tokenizer=_Words())
    rows = np.ones((len(cases), 2))
    for row, case in zip(rows, cases, strict=True):
        candidate, reference = case.texts
        if _WORD.search(candidate) or _WORD.search(reference):
            row[0] = scorer.score(reference, candidate)["rougeL"].fmeasure
    return rows


class _Words:
    """The package's own tokenizer throws away every letter that is not ASCII; this one keeps them."""

    def tokenize(self, text: str) -> list[str]:
        return _WORD.findall(text.lower())


def mean(row: Floats) -> float:
    """(sum of values, cases) -> their mean; for metrics whose average is "sample"."""
    return float(row[0] / row[1])


_EMPTY_TEXT = "1 where both texts are empty, 0 where one is"
METRICS = (
    *(
        Metric(
            f"bleu_{order}.corpus",
            "1 (sacrebleu >= 2.4, 13a, lower case, exp, effective order)",
            f"BLEU of up to {order} words in a row",
            "higher",
            0.0,
            1.0,
            "corpus",
            _EMPTY_TEXT,
            _bleu_rows,
            _bleu_value(order),
            "Papineni et al., ACL 2002; Post, WMT 2018",
        )
        for order in (1, 2, 4)
    ),
    Metric(
        "rouge_l.sample",
        "1 (rouge-score >= 0.1.2, F1, words of letters and digits, no stemming)",
        "longest common subsequence of words",
        "higher",
        0.0,
        1.0,
        "sample",
        _EMPTY_TEXT,
        _rouge_rows,
        mean,
        "Lin, ACL workshop 2004",
    ),
)


@dataclass(frozen=True)
class PlugIn:
    """What a metric needs that Sagittal does not bring."""

    title: str
    package: str
    version: str
    weights: str
    source: str


PLUG_INS = {
    "bertscore": PlugIn(
        "BERTScore",
        "bert-score",
        "0.3.13",
        "an encoder such as distilroberta-base (what RadCliQ uses, rescaled with its baseline)",
        "Zhang et al., ICLR 2020",
    ),
    "chexbert": PlugIn(
        "CheXbert", "f1chexbert", "0.0.2", "chexbert.pth on bert-base-uncased", "Smit et al., EMNLP 2020"
    ),
    "semb": PlugIn(
        "CheXbert embedding similarity",
        "f1chexbert",
        "0.0.2",
        "chexbert.pth on bert-base-uncased",
        "Yu et al., Patterns 2023",
    ),
    "radgraph": PlugIn(
        "RadGraph F1",
        "radgraph",
        "0.1.18",
        "the RadGraph or RadGraph-XL checkpoint (PhysioNet terms)",
        "Jain et al., NeurIPS 2021; Delbrouck et al., EMNLP Findings 2022",
    ),
    "green": PlugIn(
        "GREEN",
        "green_score (github.com/Stanford-AIMI/GREEN)",
        "of 2024 or later",
        "StanfordAIMI/GREEN-radllama2-7b, 7 billion parameters, a GPU",
        "Ostmeier et al., EMNLP Findings 2024",
    ),
}
"""Metrics that a model computes. Versions: the newest of the package index in 2026; weights: recalled."""


def explain(name: str) -> MissingExtra | None:
    """Why a metric of `PLUG_INS` is not there and how it would be; None for any other name."""
    wanted = PLUG_INS.get(name.split(".")[0])
    if wanted is None:
        return None
    return MissingExtra(
        f"{wanted.title} ({name}) needs the package {wanted.package} {wanted.version} and its weights: "
        f"{wanted.weights}; no plug-in brings it",
        fix=f"install a package with the entry point sagittal.metrics, or register a Metric named {name!r} "
        "with sagittal.registry.register('metrics', ...)",
    )


RADCLIQ_PARTS = ("radgraph", "bertscore", "semb", "bleu_2.corpus")
_MEAN = np.array([0.53792, 0.61757, 0.76479, 0.44738])
_SCALE = np.array([0.30283, 0.22431, 0.25394, 0.29893])
_WEIGHT = np.array([-0.37708, -0.37030, -0.25262, 4.3e-12])


def radcliq_v1(radgraph: ArrayLike, bertscore: ArrayLike, semb: ArrayLike, bleu_2: ArrayLike) -> Floats:
    """RadCliQ-v1 of reports from their component scores, (n,); lower is better.

    A perfect report (1, 1, 1, 1) has -1.4407, not 0. The constants are those of the published model
    (Yu et al., Patterns 2023; github.com/rajpurkarlab/CXR-Report-Metric, radcliq-v1): its scaler's
    means and scales and its regression's coefficients, without an intercept.

    Args:
        radgraph: mean of RadGraph's entity and relation F1; bertscore: F1, rescaled with its baseline;
            semb: cosine of CheXbert's embeddings; bleu_2: BLEU-2 of the report. All (n,), about 0 to 1.

    Raises:
        BadInput: the four differ in length, or hold something that is no number.
    """
    columns = [np.atleast_1d(np.asarray(part, float)) for part in (radgraph, bertscore, semb, bleu_2)]
    if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
        raise BadInput("RadCliQ's components differ in length", "four lists, one number a report in each")
    table = np.stack(columns, axis=1)
    if not np.isfinite(table).all():
        raise BadInput("a component of RadCliQ is not a number")
    return np.asarray((table - _MEAN) / _SCALE @ _WEIGHT)


def radcliq(metrics: Mapping[str, Metric]) -> Metric:
    """RadCliQ-v1 out of the metrics that bring its components.

    Raises:
        MissingExtra: one of them is not there; says what it needs.
    """
    parts = []
    for part in RADCLIQ_PARTS:
        metric = next((m for n, m in metrics.items() if n == part or n.startswith(f"{part}.")), None)
        if metric is None:
            raise explain(part) or BadInput(f"RadCliQ needs the metric {part!r}")
        parts.append(metric)

    def rows(cases: Sequence[Case]) -> Floats:
        values = radcliq_v1(*(per_case(part, cases) for part in parts))
        return np.stack([values, np.ones(len(values))], axis=1)

    return Metric(
        "radcliq_v1.sample",
        f"1 ({'; '.join(f'{part.name} {part.version}' for part in parts)})",
        "errors a radiologist would count, estimated from four metrics",
        "lower",
        float(radcliq_v1(1, 1, 1, 1)[0]),
        float("inf"),
        "sample",
        "as its components",
        rows,
        mean,
        "Yu et al., Patterns 2023",
    )
