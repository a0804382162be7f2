"""Findings to impression on Open-i reports: our grammar, beside published outputs and two trivial answers.

    python benchmarks/impressions.py [--data DIR] [--writer WRITER] [--limit N] [--out impressions.json]
    python benchmarks/impressions.py --carried      how often an impression repeats a finding (training part)

``--data`` is the folder with clin-summ's files (github.com/StanfordMIMI/clin-summ, data/opi). The rules of
`sagittal.report.summarise` were chosen on its training part; the test part (343 reports) is only measured.
The published outputs are those of its ``result.jsonl`` (237 reports: 118 of the test, 119 of the validation
part; written by a GPT model, says the folder's SOURCE.txt); everything is measured on those reports too.

ROUGE-L is the F-measure of the package rouge-score with its stemmer. Finding-level F1 compares what our
parser reads in both impressions: (observation, there or denied), current only; possible counts as there.
Micro: pooled over reports. Mean: a report's own F1, 1 where both impressions state none. Intervals:
percentile bootstrap over reports. A language model gets the parsed findings of the first N of the 237; what
it says is checked, so ``removed`` and ``restored`` are statements a report.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sagittal.measure.statistics import Interval, bootstrap
from sagittal.optional import needs
from sagittal.report.finding import Finding, Presence, Temporality
from sagittal.report.parse import parse
from sagittal.report.summarise import BY_THE_WAY, conclusion
from sagittal.tasks.report import summarise
from sagittal.zoo.writer import open_writer

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "openi_impressions"
Keys = frozenset[tuple[str, bool]]
REPEATS = 1000


def rows(path: Path) -> list[dict[str, Any]]:
    """The reports of one file: inputs (findings), target (impression), output (where published)."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def read(text: str) -> list[Finding]:
    return parse(text, language="en")


def keys(text: str) -> Keys:
    """What an impression states: (observation, there)."""
    current = (f for f in read(text) if f.temporality is Temporality.CURRENT)
    told = (f for f in current if f.presence is not Presence.NOT_ASSESSED)
    return frozenset((f.observation.key, f.presence is not Presence.ABSENT) for f in told)


def grammar(text: str) -> str:
    return " ".join(s.text for s in conclusion(read(text)))


def first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s", text.strip())[0]


def constant(_: str) -> str:
    return "No acute cardiopulmonary abnormality."


SYSTEMS: dict[str, Callable[[str], str]] = {
    "our grammar": grammar,
    "first sentence": first_sentence,
    "always nothing acute": constant,
}


@dataclass(frozen=True)
class Measured:
    """One system on one set of reports."""

    system: str
    n: int
    rouge_l: Interval
    micro_f1: Interval
    mean_f1: Interval


def f1(hit: float, said: float, wanted: float) -> float:
    return 1.0 if said + wanted == 0 else 2 * hit / (said + wanted)


def measured(system: str, outputs: Sequence[str], targets: Sequence[str]) -> Measured:
    """ROUGE-L and finding-level F1 with intervals."""
    scorer = needs("rouge_score.rouge_scorer", feature="ROUGE", extra="validate").RougeScorer(
        ["rougeL"], use_stemmer=True
    )
    pairs = list(zip(outputs, targets, strict=True))
    rouge = np.array([scorer.score(target, out)["rougeL"].fmeasure for out, target in pairs])
    said = [(keys(out), keys(target)) for out, target in pairs]
    counts = np.array([(len(a & b), len(a), len(b)) for a, b in said], float).reshape(-1, 3)
    each = np.array([f1(*row) for row in counts])

    def mean(values: np.ndarray) -> Interval:
        return bootstrap(lambda index: float(values[index].mean()), len(values), repeats=REPEATS)

    micro = bootstrap(lambda index: f1(*counts[index].sum(0)), len(counts), repeats=REPEATS)
    return Measured(system, len(pairs), mean(rouge), micro, mean(each))


def with_writer(where: str, texts: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Impressions worded by a language model, and what checking them cost."""
    writer = open_writer(where)
    began = time.perf_counter()
    outputs, counts, notes = [], Counter[str](), Counter[str]()
    for text in texts:
        own = conclusion(read(text))
        done = summarise(read(text), writer)
        closing = [s.text for s in own if not s.findings and s.text == constant("")]
        outputs.append(" ".join([*(s.text for s in done.sentences), *closing]))
        counts.update(removed=len(done.removed), restored=len(done.restored), sentences=len(done.sentences))
        notes.update(note.split(":")[0] for note in done.notes)
    seconds = (time.perf_counter() - began) / max(len(texts), 1)
    cost = {"writer": writer.name, "digest": writer.digest, "seconds_a_report": seconds, "notes": dict(notes)}
    return outputs, {**cost, **{k: v / max(len(texts), 1) for k, v in counts.items()}}


def table(measurements: Sequence[Measured]) -> str:
    lines = [f"{'system':28}{'n':>5}  {'ROUGE-L':26}{'F1 micro':26}{'F1 mean':26}"]
    for m in measurements:
        lines.append(f"{m.system:28}{m.n:5}  {m.rouge_l!s:26}{m.micro_f1!s:26}{m.mean_f1!s:26}")
    return "\n".join(lines)


def carried(folder: Path) -> None:
    """How often an impression of the training part repeats a finding that is there."""
    described, repeated = Counter[str](), Counter[str]()
    for row in rows(folder / "clinsumm_opi_train.jsonl"):
        there = {key for key, present in keys(row["inputs"]) if present}
        described.update(there)
        repeated.update(there & {key for key, present in keys(row["target"]) if present})
    for key, n in described.most_common():
        if n >= 10:
            print(f"{key:32}{n:5}{repeated[key] / n:6.2f}{'  by the way' if key in BY_THE_WAY else ''}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--writer", help="a .gguf, a transformers folder or a settings file")
    options.add_argument("--limit", type=int, help="only the first N reports, for a slow model")
    options.add_argument("--carried", action="store_true")
    options.add_argument("--out", type=Path, default=Path("impressions.json"))
    chosen = options.parse_args()
    if chosen.carried:
        carried(chosen.data)
        return
    sets = {
        "test part": rows(chosen.data / "clinsumm_opi_test.jsonl"),
        "with published outputs": rows(chosen.data / "clinsumm_opi_result.jsonl"),
    }
    document: dict[str, Any] = {}
    for name, reports in sets.items():
        reports = reports[: chosen.limit]
        texts, targets = [r["inputs"] for r in reports], [r["target"] for r in reports]
        found = [measured(s, [write(text) for text in texts], targets) for s, write in SYSTEMS.items()]
        if "output" in reports[0]:
            found.append(measured("published outputs", [r["output"] for r in reports], targets))
        cost = None
        if chosen.writer and "output" in reports[0]:
            outputs, cost = with_writer(chosen.writer, texts)
            found.append(measured("our grammar, reworded", outputs, targets))
        print(f"{name}\n{table(found)}\n")
        if cost:
            print(json.dumps(cost, indent=1), "\n")
        document[name] = {"systems": [_plain(m) for m in found], "writer": cost}
    chosen.out.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    print(chosen.out)


def _plain(m: Measured) -> dict[str, Any]:
    numbers = {"rouge_l": m.rouge_l, "micro_f1": m.micro_f1, "mean_f1": m.mean_f1}
    return {"system": m.system, "n": m.n} | {
        name: [round(v, 4) for v in (i.value, i.low, i.high)] for name, i in numbers.items()
    }


if __name__ == "__main__":
    main()
