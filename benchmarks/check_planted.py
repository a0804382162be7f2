"""Errors planted into real reports, and how many of them `sagittal.report.check` finds.

    python benchmarks/check_planted.py [--reports 1000] [--seed 7] [--part test] [--show 0] [--out FILE]

Reports: Indiana (films) and CT-RATE (chest CT), whose wording nobody here wrote, from the shared data.
`parts` splits them by the report's id into a development part, which may be looked at, and a test part,
which is only measured. Errors are planted by words and sentences (`planted_errors`), one a report, of the
five types of Gertz et al. An error counts as found when the draft raises an ``error`` that the clean
report does not; as placed when that problem touches the planted words (an omission: is one).

Evidence: the findings parsed from the clean report, said once each, as a reading holds them. That is a
favourable case: it holds whatever the parser can read. So the same is told without evidence, where the
text alone has to give the error away, and for the parts of type "other". False alarms are all problems
graded ``error`` of unchanged reports: against their own findings, without evidence, and (CT-RATE) against
the data set's 18 labels, which another reader and another program made. Typing errors that were in the
data before are counted as false alarms too, and told apart by a rule that does not ask the checker: its
correction stands in at least twenty times as many reports of the corpus as the word.

Baselines: the finding words of both texts with sentence negation and sides, compared as sets. The planters
choose by the same words and it has the whole clean text, which no reading holds, so for omissions and
insertions it is a ceiling, not a rival. For spelling, pyspellchecker's list alone, with its false alarms.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from parts import part_of
from planted_errors import FINDING, NEGATION, PLANTERS, Corpus, Planted, sentence_spans

from sagittal.measure.statistics import wilson
from sagittal.report.check import Grade, Problem, ProblemKind, check
from sagittal.report.check_difference import differences
from sagittal.report.finding import Finding, Presence
from sagittal.report.labels import names
from sagittal.report.parse import parse
from sagittal.report.spelling import known
from sagittal.report.vocabulary import observations, within

DATA = Path(__file__).parents[2] / "shared/data"
Reports = list[tuple[str, str, str]]
"""(data set, id, text)."""


def reports(part: str) -> Reports:
    """Reports of one part; Indiana's with its columns as headings, CT-RATE's text as it is."""
    found: Reports = []
    with (DATA / "openi_reports/indiana_reports.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            parts = ("indication", "comparison", "findings", "impression")
            text = "\n".join(f"{p.upper()}: {row[p]}" for p in parts if row[p])
            if part_of(row["uid"]) == part and (row["findings"] or row["impression"]):
                found.append(("indiana", row["uid"], text))
    with (DATA / "ctrate_reports/train.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if part_of(row["AccessionNo"]) == part:
                found.append(("ctrate", row["AccessionNo"], row["report_text"]))
    return found


def once(findings: Sequence[Finding]) -> list[Finding]:
    """The findings as a reading holds them: none that only says another one again with less."""
    kept: list[Finding] = []
    for finding in sorted(findings, key=_details, reverse=True):
        again = (
            f.observation == finding.observation
            and f.presence is finding.presence
            and f.temporality is finding.temporality
            and not differences(f, finding)
            and (finding.site is None or (f.site is not None and within(f.site.key, finding.site.key)))
            and (finding.laterality in (None, f.laterality))
            for f in kept
        )
        if not any(again):
            kept.append(finding)
    return kept


def _details(finding: Finding) -> int:
    facts = (finding.laterality, finding.site, finding.severity, finding.count, finding.change)
    return sum(fact is not None for fact in facts) + len(finding.measurements) + len(finding.attributes)


def labelled() -> dict[str, list[Finding]]:
    """CT-RATE's 18 labels as findings, by report; labels that several observations share are left
    out."""
    keys: dict[str, list[str]] = defaultdict(list)
    by_key = {o.key: o for o in observations()}
    for one in observations():
        if one.ct_rate:
            keys[one.ct_rate].append(one.key)
    found = {}
    with (DATA / "ctrate_reports/train.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            found[row["AccessionNo"]] = [
                Finding(
                    by_key[key].concept,
                    presence=Presence.PRESENT if row[name] == "1" else Presence.ABSENT,
                )
                for name in names("ctrate18")
                if len(keys[name]) == 1 and name in row
                for key in keys[name]
            ]
    return found


def errors(problems: Iterable[Problem]) -> list[Problem]:
    return [p for p in problems if p.severity is Grade.ERROR]


def new(before: Sequence[Problem], after: Sequence[Problem]) -> list[Problem]:
    """Errors of the draft that the clean report does not have."""
    had = Counter((p.kind, p.text, p.reason) for p in before)
    found = []
    for problem in errors(after):
        name = problem.kind, problem.text, problem.reason
        if had[name]:
            had[name] -= 1
        else:
            found.append(problem)
    return found


def placed(kind: str, planted: Planted, problem: Problem) -> bool:
    if kind == "omission":
        return problem.kind is ProblemKind.OMISSION
    return problem.span[0] < planted.end and planted.start < problem.span[1]


def keywords(text: str) -> set[tuple[str, bool, str]]:
    """Baseline: each finding word, whether its sentence denies, and the sentence's sides."""
    found = set()
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        side = ",".join(sorted(s for s in ("left", "right") if s in sentence.lower()))
        for match in FINDING.finditer(sentence):
            found.add((match[0].lower()[:7], bool(NEGATION.search(sentence)), side))
    return found


def unlisted(text: str) -> set[str]:
    """Baseline: words that pyspellchecker does not know."""
    from spellchecker import SpellChecker

    if not hasattr(unlisted, "checker"):
        unlisted.checker = SpellChecker()  # type: ignore[attr-defined]
    words = {w for w in "".join(c if c.isalpha() else " " for c in text.lower()).split() if len(w) > 4}
    found: set[str] = unlisted.checker.unknown(words)  # type: ignore[attr-defined]
    return found


def share(hits: int, n: int) -> dict[str, Any]:
    if n == 0:
        return {"n": 0}
    interval = wilson(hits, n)
    return {
        "share": round(hits / n, 4),
        "interval": [round(interval.low, 4), round(interval.high, 4)],
        "n": n,
    }


def measure(part: str, n: int, seed: int, show: int) -> dict[str, Any]:
    pool = reports(part)
    corpus = Corpus.of([text for _, _, text in pool])
    rng = random.Random(f"{seed}/{part}")
    rng.shuffle(pool)
    own: dict[str, list[Finding]] = {}
    clean: dict[tuple[str, bool], list[Problem]] = {}

    def evidence(uid: str, text: str) -> list[Finding]:
        if uid not in own:
            own[uid] = once(parse(text))
        return own[uid]

    def before(uid: str, text: str, with_evidence: bool) -> list[Problem]:
        key = uid, with_evidence
        if key not in clean:
            clean[key] = errors(check(text, evidence(uid, text) if with_evidence else None))
        return clean[key]

    result: dict[str, Any] = {"part": part, "reports in the part": len(pool)}
    result["false alarms"] = _alarms(pool[:n], corpus, before, labelled(), show)
    for kind, plant in PLANTERS.items():
        tally: Counter[str] = Counter()
        split: dict[str, Counter[str]] = defaultdict(Counter)
        for name, uid, text in pool:
            if tally["n"] == n:
                break
            planted = plant(random.Random(f"{seed}/{kind}/{uid}"), text, corpus)
            if planted is None:
                continue
            tally["n"] += 1
            group = split[planted.how if kind == "other" else name]
            group["n"] += 1
            for with_evidence, label in ((True, "with"), (False, "without")):
                held = evidence(uid, text) if with_evidence else None
                found = new(before(uid, text, with_evidence), check(planted.text, held))
                here = [p for p in found if placed(kind, planted, p)]
                tally[label] += bool(found)
                tally[f"{label} placed"] += bool(here)
                tally[f"{label} typed"] += any(p.error_type.startswith(kind) for p in here)
                group[label] += bool(found)
                if with_evidence and not found and tally["shown"] < show:
                    tally["shown"] += 1
                    around = planted.text[max(0, planted.start - 80) : planted.end + 80]
                    print(f"  missed {kind} ({planted.how}) {name} {uid}: {around!r}")
            base = unlisted(planted.text) - unlisted(text) if kind == "spelling" else None
            tally["baseline"] += bool(base if base is not None else keywords(planted.text) != keywords(text))
        count = tally["n"]
        result[kind] = {
            "with evidence": share(tally["with"], count),
            "placed": share(tally["with placed"], count),
            "of that type": share(tally["with typed"], count),
            "without evidence": share(tally["without"], count),
            "baseline": share(tally["baseline"], count),
            "parts": {
                name: {label: share(each[label], each["n"]) for label in ("with", "without")}
                for name, each in sorted(split.items())
            },
        }
    return result


def _alarms(pool: Reports, corpus: Corpus, before: Any, labels: dict[str, list[Finding]], show: int) -> Any:
    found: dict[str, Any] = {}
    for label, with_evidence in (("against its own findings", True), ("without evidence", False)):
        alarms = [(name, uid, p) for name, uid, text in pool for p in before(uid, text, with_evidence)]
        typed = [p for _, _, p in alarms if _typing_error(p, corpus)]
        each = Counter(name for name, _, _ in alarms)
        size = Counter(name for name, _, _ in pool)
        found[label] = {
            "a report": round(len(alarms) / len(pool), 4),
            "a report, without typing errors of the data": round((len(alarms) - len(typed)) / len(pool), 4),
            "reports with any": share(len({uid for _, uid, _ in alarms}), len(pool)),
            "by data set": {name: round(each[name] / size[name], 4) for name in sorted(size)},
            "by kind": dict(sorted(Counter(str(p.kind) for _, _, p in alarms).items())),
        }
        for name, uid, p in alarms[:show]:
            print(f"  alarm {label} {name} {uid}: {p.kind} {p.text[:80]!r} {p.reason}")
    theirs = [(uid, text) for name, uid, text in pool if name == "ctrate"]
    count = 0
    for uid, text in theirs:
        count += len(_only_against(check(text, labels[uid]), before(uid, text, False)))
    found["CT-RATE against its 18 labels, a report"] = round(count / max(len(theirs), 1), 4)
    found["baseline: words that pyspellchecker does not know, a report"] = round(
        sum(len(unlisted(text)) for _, _, text in pool) / len(pool), 2
    )
    return found


def _only_against(problems: Sequence[Problem], without: Sequence[Problem]) -> list[Problem]:
    """Errors that the labels cause; what they do not name (devices, other findings) is no error."""
    shared = Counter(o.ct_rate for o in observations())
    named = {o.key for o in observations() if o.ct_rate and shared[o.ct_rate] == 1}
    return [p for p in new(without, problems) if p.finding is None or p.finding.observation.key in named]


def _typing_error(problem: Problem, corpus: Corpus) -> bool:
    meant = (problem.suggestion or "").lower()
    return corpus.count[meant] >= 20 * max(corpus.count[problem.text.lower()], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--reports", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--part", choices=("development", "test", "both"), default="both")
    parser.add_argument("--show", type=int, default=0, help="development only: misses and alarms to print")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    parts = ("development", "test") if args.part == "both" else (args.part,)
    known("warm")
    results = []
    for part in parts:
        begun = time.perf_counter()
        show = args.show if part == "development" else 0
        results.append(measure(part, args.reports, args.seed, show))
        results[-1]["seconds"] = round(time.perf_counter() - begun, 1)
        print(json.dumps(results[-1], indent=1))
    if args.out:
        args.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
