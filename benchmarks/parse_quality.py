"""How well English reports are read: four sets that others made, each with a part never looked at.

    python benchmarks/parse_quality.py [--negex FILE] [--radlabels DIR] [--ctrate DIR] [--indiana DIR]
        [--part test] [--show 0] [--out FILE]

- NegEx: the 2,376 sentences of github.com/chapmanbe/negex (`negex.python/Annotations-1-120.txt`), each
  with a phrase marked as negated or affirmed by a physician; here `presence` is asked. The original rules
  reach recall .9593, precision .9327, F .9458 (Chapman et al., J Biomed Inform 2001;34:301, on this file).
- CT-RATE: 18 labels a report, by hand (`ctrate_reports`). Beside ours, two baselines: a bag of words with
  logistic regression in 5 folds over all reports, and one plain regular expression a label, with a
  negation word anywhere in the sentence.
- radlabels (PyPI, 0.2.0, MIT: `pip download --no-deps radlabels==0.2.0`, then unzip): 1,000 synthetic
  chest radiograph reports with what RadGraph and lists of phrases made of them. Machine output, used to
  find disagreement: of 49 labels those with a counterpart here.
- Indiana (`openi_reports`): the MeSH terms that people gave each report, and the 14 labels a network gave
  it (machine output), per observation and label.

`parts` splits every set by the report's number: "development" may be looked at and tuned on, "test" is
only measured. The parser's cues were first written with all of CT-RATE in view, before there was a split.
Positive is what is present or possible; a report without the word is negative. F1 and Cohen's kappa.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from parts import PARTS, chosen

from sagittal.report.finding import Finding, Presence, Temporality
from sagittal.report.labels import NO_FINDING, labels, names, text_labels
from sagittal.report.parse import parse_document
from sagittal.report.presence import presence
from sagittal.report.vocabulary import observations

DATA = Path(__file__).resolve().parents[2] / "shared/data"


def scores(pairs: Iterable[tuple[bool, bool]]) -> dict[str, float]:
    """Counts, precision, recall, F1 and kappa of (wanted, found)."""
    counts = {(w, f): 0 for w in (True, False) for f in (True, False)}
    for wanted, found in pairs:
        counts[wanted, found] += 1
    right, missed = counts[True, True], counts[True, False]
    wrong, rest = counts[False, True], counts[False, False]
    total = right + missed + wrong + rest
    agreed = (right + rest) / total if total else 1.0
    chance = (
        ((right + missed) * (right + wrong) + (rest + missed) * (rest + wrong)) / total**2 if total else 1.0
    )
    return {
        "n": right + missed,
        "found": right + wrong,
        "precision": right / (right + wrong) if right + wrong else 1.0,
        "recall": right / (right + missed) if right + missed else 1.0,
        "f1": 2 * right / (2 * right + wrong + missed) if right + wrong + missed else 1.0,
        "kappa": (agreed - chance) / (1 - chance) if chance < 1 else 1.0,
    }


def pooled(table: Mapping[str, Sequence[tuple[bool, bool]]]) -> dict[str, Any]:
    """Scores a label, micro and macro F1, and the worst label."""
    each = {name: scores(pairs) for name, pairs in table.items()}
    worst = min(each, key=lambda name: each[name]["f1"])
    return {
        "micro_f1": scores(pair for pairs in table.values() for pair in pairs)["f1"],
        "macro_f1": sum(one["f1"] for one in each.values()) / len(each),
        "worst": [worst, each[worst]["f1"]],
        "labels": each,
    }


def interval(table: Mapping[str, Sequence[tuple[bool, bool]]], draws: int = 500) -> tuple[float, float]:
    """95 % bootstrap interval of micro F1, reports drawn with replacement."""
    rng, size = random.Random(7), len(next(iter(table.values())))
    found = []
    for _ in range(draws):
        rows = [rng.randrange(size) for _ in range(size)]
        found.append(scores(pairs[i] for pairs in table.values() for i in rows)["f1"])
    found.sort()
    return found[int(0.025 * draws)], found[int(0.975 * draws) - 1]


def _row(name: str, score: Mapping[str, float]) -> str:
    return (
        f"  {name:<40} n {score['n']:>5.0f}  found {score['found']:>5.0f}  P {score['precision']:.3f}"
        f"  R {score['recall']:.3f}  F1 {score['f1']:.3f}  kappa {score['kappa']:.3f}"
    )


# --- NegEx ------------------------------------------------------------------------------------------


def _marked(concept: str, sentence: str) -> tuple[int, int] | None:
    """Where the phrase stands: in capitals if it can, as the file marks it."""
    words = concept.split()
    for variant, flags in ((map(str.upper, words), 0), (iter(words), re.IGNORECASE)):
        if match := re.search(r"\s+".join(map(re.escape, variant)), sentence, flags):
            return match.span()
    return None


def negex(path: Path, part: str, show: int) -> dict[str, Any]:
    """Precision, recall and F of "negated"."""
    pairs, wrong, unmarked = [], [], 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        cells = [cell.strip().strip('"') for cell in line.split("\t")]
        if len(cells) < 4 or cells[3] not in ("Negated", "Affirmed") or not chosen(cells[0], part):
            continue
        span = _marked(cells[1], cells[2])
        unmarked += span is None
        found = span is not None and presence(cells[2], span, "en").word == "absent"
        wanted = cells[3] == "Negated"
        pairs.append((wanted, found))
        if wanted != found:
            wrong.append(f"{'missed' if wanted else 'wrongly negated'}: {cells[1]} | {cells[2][:300]}")
    result = scores(pairs) | {"sentences": len(pairs), "unmarked": unmarked}
    print(f"NegEx sentences, {part} part: {len(pairs)}, {unmarked} without their phrase (taken as affirmed)")
    print(_row("negated", result))
    print("  original NegEx, all sentences                          P 0.933  R 0.959  F1 0.946")
    _show(wrong, part, show)
    return result


def _show(lines: Sequence[str], part: str, show: int) -> None:
    """Errors, of the development part only."""
    for line in lines[:show] if part == "development" else ():
        print("   ", line)


# --- CT-RATE ----------------------------------------------------------------------------------------

PLAIN = {
    "Medical material": r"catheter|stent|pacemaker|prosthe\w+|clip|suture|tube|sternotomy|implant",
    "Arterial wall calcification": r"(?:calcif|athero)\w*.{0,60}aort|aort.{0,60}(?:calcif|athero)",
    "Cardiomegaly": r"cardiomegaly|heart.{0,30}(?:enlarged|increased)|enlarged heart",
    "Pericardial effusion": r"pericardial.{0,20}effusion",
    "Coronary artery wall calcification": r"coronary.{0,60}(?:calcif|ather)|(?:calcif|ather)\w*.{0,60}coronary",  # noqa: E501
    "Hiatal hernia": r"hiatal hernia|hiatus hernia",
    "Lymphadenopathy": r"lymphadenopath|lymph node",
    "Emphysema": r"emphysem",
    "Atelectasis": r"atelecta",
    "Lung nodule": r"nodul",
    "Lung opacity": r"ground.?glass|opacit|infiltra",
    "Pulmonary fibrotic sequela": r"sequela|fibro",
    "Pleural effusion": r"pleural.{0,20}effusion",
    "Mosaic attenuation pattern": r"mosaic",
    "Peribronchial thickening": r"peribronchial|bronchial wall thick",
    "Consolidation": r"consolidat",
    "Bronchiectasis": r"bronchiecta",
    "Interlobular septal thickening": r"interlobular sept",
}
"""One plain expression a label: the second baseline."""
_DENIAL = re.compile(r"\b(?:no|not|without|normal|natural)\b", re.IGNORECASE)


def plain(text: str) -> dict[str, int]:
    """The baseline: the word in a sentence without a denial."""
    open_sentences = [s for s in re.split(r"(?<=[.;])\s+", text) if not _DENIAL.search(s)]
    patterns = {name: re.compile(source, re.IGNORECASE) for name, source in PLAIN.items()}
    return {name: int(any(p.search(s) for s in open_sentences)) for name, p in patterns.items()}


def bag_of_words(texts: Sequence[str], truth: Mapping[str, Sequence[bool]]) -> dict[str, list[bool]]:
    """The baseline: logistic regression on which words occur, predicted out of fold (5 folds)."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(CountVectorizer(binary=True, min_df=2), LogisticRegression(max_iter=1000))
    folds = KFold(5, shuffle=True, random_state=0)
    return {
        name: [bool(v) for v in cross_val_predict(model, list(texts), list(wanted), cv=folds)]
        for name, wanted in truth.items()
    }


def ctrate(folder: Path, part: str, show: int) -> dict[str, Any]:
    """F1 of the 18 labels, ours and two baselines."""
    with (folder / "train.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    columns = names("ctrate18")
    truth = {name: [float(row[name]) == 1 for row in rows] for name in columns}
    inside = [i for i, row in enumerate(rows) if chosen(row["AccessionNo"], part)]
    found: dict[str, list[dict[str, Any]]] = {
        "sagittal": [text_labels(rows[i]["report_text"], "ctrate18") for i in inside],
        "18 regular expressions": [plain(rows[i]["report_text"]) for i in inside],
    }
    try:
        bags = bag_of_words([row["report_text"] for row in rows], truth)
        found["bag of words"] = [{name: bags[name][i] for name in columns} for i in inside]
    except ImportError:
        print("CT-RATE: no bag of words without scikit-learn")
    result: dict[str, Any] = {"reports": len(inside)}
    print(f"CT-RATE, {part} part: {len(inside)} reports, 18 labels")
    for who, each in found.items():
        table = {
            name: [(truth[name][i], bool(row[name])) for i, row in zip(inside, each, strict=True)]
            for name in columns
        }
        result[who] = pooled(table) | {"micro_f1_95": interval(table)}
        low, high = result[who]["micro_f1_95"]
        print(
            f"  {who:<24} micro F1 {result[who]['micro_f1']:.3f} ({low:.3f}-{high:.3f})"
            f"  macro {result[who]['macro_f1']:.3f}"
            f"  worst {result[who]['worst'][0]} {result[who]['worst'][1]:.3f}"
        )
    for name, score in sorted(result["sagittal"]["labels"].items(), key=lambda item: item[1]["f1"]):
        print(_row(name, score))
    wrong = [
        f"{name}: {'missed' if truth[name][i] else 'wrong'} in {rows[i]['AccessionNo']}"
        for i, row in zip(inside, found["sagittal"], strict=True)
        for name in columns
        if truth[name][i] != bool(row[name])
    ]
    _show(wrong, part, show)
    return result


# --- what a report asserts ----------------------------------------------------------------------------


def asserted(findings: Iterable[Finding]) -> set[str]:
    """Keys of what is said to be there now, or possibly."""
    there = (Presence.PRESENT, Presence.UNCERTAIN)
    return {
        f.observation.key for f in findings if f.presence in there and f.temporality is Temporality.CURRENT
    }


def agreement(
    title: str, table: Mapping[str, Sequence[tuple[bool, bool]]], least: int = 1
) -> dict[str, dict[str, float]]:
    """Scores a row, printed; rows with fewer than ``least`` positives are left out."""
    each = {name: scores(pairs) for name, pairs in table.items()}
    kept = {name: s for name, s in each.items() if s["n"] >= least}
    total = scores(pair for name in kept for pair in table[name])
    print(title)
    for name, score in sorted(kept.items(), key=lambda item: -item[1]["n"]):
        print(_row(name, score))
    print(_row("all together", total))
    return {"all together": total, **each}


# --- radlabels ----------------------------------------------------------------------------------------

COUNTERPARTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("acute_rib_fracture", "non_acute_rib_fracture"): ("rib_fracture",),
    ("fracture_generic",): (
        "fracture", "healed_fracture", "rib_fracture", "clavicle_fracture", "sternal_fracture",
        "vertebral_compression_fracture",
    ),
    ("air_space_opacity",): ("consolidation", "opacity", "ground_glass_opacity", "pneumonia"),
    ("atelectasis",): ("atelectasis", "lobar_collapse"),
    ("bronchial_wall_thickening", "peribronchial_cuffing"): ("peribronchial_thickening",),
    ("emphysema", "bullous_disease"): ("emphysema",),
    ("calcification_of_the_aorta",): ("arterial_wall_calcification",),
    ("cardiomegaly",): ("cardiomegaly",),
    ("central_venous_catheter",): ("central_line",),
    ("consolidation",): ("consolidation",),
    ("endotracheal_tube",): ("endotracheal_tube",),
    ("enlarged_cardiomediastinum",): ("widened_mediastinum",),
    ("enteric_tube",): ("feeding_tube", "gastrostomy_tube"),
    ("ground_glass_opacity",): ("ground_glass_opacity",),
    ("hiatus_hernia",): ("hiatal_hernia",),
    ("hilar_lymphadenopathy",): ("lymphadenopathy", "hilar_enlargement"),
    ("hyperinflation",): ("hyperinflation",),
    ("intercostal_drain",): ("chest_tube",),
    ("interstitial_thickening",): ("interstitial_pattern", "reticulation", "septal_thickening"),
    ("lung_nodule_or_mass",): ("nodule", "mass"),
    ("lung_opacity", "infiltration"): ("opacity",),
    ("pacemaker_electronic_cardiac_device_or_wires",): ("pacemaker",),
    ("pleural_effusion",): (
        "pleural_effusion", "loculated_effusion", "blunted_costophrenic_angle", "empyema",
    ),
    ("pleural_thickening",): ("pleural_thickening", "pleural_calcification"),
    ("pneumomediastinum",): ("pneumomediastinum",),
    ("pneumonia",): ("pneumonia",),
    ("pneumoperitoneum",): ("pneumoperitoneum",),
    ("pneumothorax",): ("pneumothorax",),
    ("pulmonary_artery_enlargement",): ("pulmonary_artery_enlargement",),
    ("pulmonary_edema", "pulmonary_congestion_pulmonary_venous_congestion"): ("pulmonary_oedema",),
    ("pulmonary_fibrosis",): ("fibrotic_sequela",),
    ("shoulder_dislocation",): ("dislocation",),
    ("subcutaneous_emphysema",): ("subcutaneous_emphysema",),
    ("tortuous_aorta",): ("tortuous_aorta",),
    ("tracheal_deviation",): ("tracheal_deviation", "mediastinal_shift"),
    ("tracheostomy_tube",): ("tracheostomy",),
}  # fmt: skip
"""radlabels' labels (any of) -> our observations (any of). The others have no counterpart of their own."""


def radlabels(folder: Path, part: str, show: int) -> dict[str, Any]:
    """Agreement with the labels of the 1,000 synthetic reports."""
    samples = next(p for p in (folder / "radlabels/samples", folder / "samples", folder) if p.is_dir())
    given = json.loads((samples / "synthetic_labels.json").read_text(encoding="utf-8"))
    table: dict[str, list[tuple[bool, bool]]] = {" + ".join(theirs): [] for theirs in COUNTERPARTS}
    wrong = []
    kept = [name for name in sorted(given) if chosen(name, part)]
    for name in kept:
        text = (samples / "synthetic_reports" / f"{name}.txt").read_text(encoding="utf-8")
        found = asserted(parse_document(text, "en").findings)
        for theirs, ours in COUNTERPARTS.items():
            wanted = any(given[name].get(label) in ("definitely present", "uncertain") for label in theirs)
            here = not found.isdisjoint(ours)
            table[" + ".join(theirs)].append((wanted, here))
            if wanted != here:
                wrong.append(f"{'missed' if wanted else 'more'}: {' + '.join(theirs)} in {name}")
    result = agreement(f"radlabels, {part} part: {len(kept)} synthetic reports", table)
    _show(wrong, part, show)
    return {"reports": len(kept), "labels": result}


# --- Indiana ------------------------------------------------------------------------------------------

AUTOMATIC = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture",
    "Lung Lesion", "Lung Opacity", NO_FINDING, "Pleural Effusion", "Pleural Other", "Pneumonia",
    "Pneumothorax", "Support Devices",
)  # fmt: skip
"""The order of the 14 automatic labels: alphabetical."""


def _has(terms: Sequence[list[str]], wanted: str) -> bool:
    """Whether a MeSH string has the heading and every qualifier of ``wanted``."""
    head, *rest = wanted.split("/")
    return any(term[0] == head and set(rest) <= set(term[1:]) for term in terms)


def _text(findings: str, impression: str) -> str:
    return f"FINDINGS: {findings}\nIMPRESSION: {impression}"


def indiana(folder: Path, part: str, show: int) -> dict[str, Any]:
    """Agreement with MeSH terms and with the automatic 14 labels."""
    coded = [entry for entry in observations() if entry.mesh]
    table: dict[str, list[tuple[bool, bool]]] = {entry.key: [] for entry in coded}
    wrong, reports = [], 0
    with (folder / "indiana_reports.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if not chosen(row["uid"], part) or row["MeSH"] == "No Indexing":
                continue
            reports += 1
            terms = [term.strip().split("/") for term in row["MeSH"].split(";")]
            found = asserted(parse_document(_text(row["findings"], row["impression"]), "en").findings)
            for entry in coded:
                wanted = any(_has(terms, term) for term in entry.mesh)
                table[entry.key].append((wanted, entry.key in found))
                if wanted != (entry.key in found):
                    wrong.append(f"{'missed' if wanted else 'more'}: {entry.key} in {row['uid']}")
    result: dict[str, Any] = {"reports": reports}
    result["mesh"] = agreement(f"Indiana, MeSH terms, {part} part: {reports} reports", table, least=5)
    _show(wrong, part, show)
    given = json.loads((folder / "chexpert_labels_auto/file2label.json").read_text(encoding="utf-8"))
    written = json.loads((folder / "chexpert_labels_auto/reports_ori.json").read_text(encoding="utf-8"))
    automatic: dict[str, list[tuple[bool, bool]]] = {name: [] for name in AUTOMATIC}
    kept = [name for name in sorted(given) if name in written and chosen(name, part)]
    for name in kept:
        report = written[name]["report"]
        text = _text(report.get("FINDINGS", ""), report.get("IMPRESSION", ""))
        ours = labels(parse_document(text, "en").findings, "chexpert14")
        for label, value in zip(AUTOMATIC, given[name], strict=True):
            automatic[label].append((value > 0, ours[label] == 1))
    title = f"Indiana, 14 automatic labels (machine output), {part} part: {len(kept)} reports"
    result["automatic"] = agreement(title, automatic)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--negex", type=Path, help="Annotations-1-120.txt")
    parser.add_argument("--radlabels", type=Path, help="the unzipped package")
    parser.add_argument("--ctrate", type=Path, default=DATA / "ctrate_reports")
    parser.add_argument("--indiana", type=Path, default=DATA / "openi_reports")
    parser.add_argument("--part", choices=PARTS, default="test")
    parser.add_argument("--show", type=int, default=0, help="errors shown of the development part")
    parser.add_argument("--out", type=Path, help="JSON of all figures")
    arguments = parser.parse_args()
    results: dict[str, Any] = {"part": arguments.part}
    sections: tuple[Callable[[Path, str, int], dict[str, Any]], ...] = (negex, ctrate, radlabels, indiana)
    for section in sections:
        path = getattr(arguments, section.__name__)
        if path is None or not path.exists():
            print(f"{section.__name__}: skipped, {path or 'no path given'} is not there")
        else:
            results[section.__name__] = section(path, arguments.part, arguments.show)
        print()
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
