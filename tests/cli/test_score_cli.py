"""`sagittal score`: the table, one JSON document, the samples, judged sets, and the contract of verbs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

CANDIDATES = {
    "1": "Right pleural effusion.",
    "2": "The heart is enlarged. Rib fracture.",
    "3": "No pneumothorax or pleural effusion.",
}
REFERENCES = {
    "1": "Left pleural effusion.",
    "2": "The heart is enlarged.",
    "3": "Left pneumothorax.",
}


def score(sagittal: Any, *arguments: object) -> Any:
    """Run the verb with few draws; only that they are made matters here."""
    return sagittal("score", *arguments, "--repeats", "40")


def table(
    path: Path, rows: dict[str, str], *, column: str = "text", patients: dict[str, str] | None = None
) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "patient", column])
        writer.writerows([key, (patients or {}).get(key, ""), text] for key, text in rows.items())
    return path


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    return table(tmp_path / "c.csv", CANDIDATES), table(tmp_path / "r.csv", REFERENCES)


def test_the_numbers_as_one_json_document(sagittal: Any, both: tuple[Path, Path]) -> None:
    ran = score(sagittal, *both, "--json", "--language", "en")
    assert (ran.code, ran.err) == (0, "")
    assert (ran.json["cases"], ran.json["patients"]) == (3, 3)
    found = {row["name"]: row for row in ran.json["metrics"]}
    assert found["observation.precision.micro"]["value"] == pytest.approx(2 / 3)
    assert found["observation.recall.micro"]["value"] == pytest.approx(2 / 3)
    assert found["laterality.f1.micro"]["value"] == 0.0
    assert found["critical_miss.micro"]["value"] == 1.0
    assert found["hallucination.micro"]["value"] == pytest.approx(1 / 3)
    assert found["wrong_side.micro"]["value"] == 1.0
    one = found["observation.f1.micro"]
    assert one["low"] <= one["value"] <= one["high"]
    assert {"version", "better", "range", "empty", "average", "about", "level", "interval"} < set(one)
    assert found["errors.sample"]["range"] == [0.0, None]


def test_the_table_names_facets_averages_intervals_and_rates(sagittal: Any, both: tuple[Path, Path]) -> None:
    ran = score(sagittal, *both, "--language", "en")
    assert ran.code == 0
    assert "3 reports of 3 patients; statements: 3 in the references, 3 in the candidates" in ran.out
    lines = {line.split()[0]: line for line in ran.out.splitlines() if line.strip()}
    assert lines["observation"].split()[1] == "0.667"
    assert lines["laterality"].split()[1:5] == ["0.000", "(0.000", "to", "0.975)"]
    assert "of 1: present findings of category 1 or 2" in lines["critical_miss.micro"]
    assert ran.out.index("lower is better") < ran.out.index("critical_miss")
    assert "hallucination.micro" in lines and "errors.sample" in lines
    assert max(map(len, ran.out.splitlines())) <= 120


def test_samples_are_a_json_line_a_case_with_spans(
    sagittal: Any, both: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "s.jsonl"
    assert score(sagittal, *both, "--samples", out, "--language", "en").code == 0
    first, second, third = (json.loads(line) for line in out.read_text().splitlines())
    assert [first["id"], second["id"], third["id"]] == ["1", "2", "3"]
    (pair,) = first["pairs"]
    assert pair["differs"] == ["laterality"]
    start, end = pair["candidate"]["span"]
    assert CANDIDATES["1"][start:end] == pair["candidate"]["text"]
    assert [h["observation"] for h in second["hallucinations"]] == ["rib_fracture"]
    (miss,) = third["misses"]
    assert (miss["observation"], miss["critical"], miss["denied"]) == ("pneumothorax", True, True)
    assert first["metrics"]["observation.f1.micro"] == 1.0


def test_folders_and_json_lines_and_texts_can_be_mixed(
    sagittal: Any, both: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for key, text in CANDIDATES.items():
        (folder / f"{key}.txt").write_text(text)
    lines = tmp_path / "c.jsonl"
    lines.write_text("".join(json.dumps({"id": k, "text": t}) + "\n" for k, t in CANDIDATES.items()))
    documents = [score(sagittal, side, both[1], "--json").json for side in (folder, lines, both[0])]
    assert documents[0] == documents[1] == documents[2]


def test_columns_may_differ_and_patients_are_drawn_together(sagittal: Any, tmp_path: Path) -> None:
    owners = {"1": "p", "2": "p", "3": "q"}
    ours = table(tmp_path / "c.csv", CANDIDATES, column="said", patients=owners)
    theirs = table(tmp_path / "r.csv", REFERENCES, column="truth")
    ran = score(sagittal, ours, theirs, "--column", "said", "--reference-column", "truth", "--json")
    assert ran.json["patients"] == 2


def test_words_are_scored_where_asked_for(sagittal: Any, both: tuple[Path, Path]) -> None:
    pytest.importorskip("sacrebleu")
    pytest.importorskip("rouge_score")
    ran = score(sagittal, both[0], both[0], "--metrics", "bleu_4,rouge_l", "--json")
    assert {row["name"]: row["value"] for row in ran.json["metrics"]} == {
        "bleu_4.corpus": pytest.approx(1.0),
        "rouge_l.sample": 1.0,
    }


def test_the_same_seed_gives_the_same_document(sagittal: Any, both: tuple[Path, Path]) -> None:
    first, second = (score(sagittal, *both, "--json", "--seed", 3).out for _ in range(2))
    assert first == second


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Path, Path]:
    texts, errors = tmp_path / "texts.csv", tmp_path / "errors.csv"
    reference = "Cardiomegaly. Rib fracture. Left pneumothorax."
    with texts.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["study_id", "gt_report", "bleu", "s_emb"])
        writer.writerows([f"s{i}", reference, "Cardiomegaly.", reference] for i in range(4))
    with errors.open("w", newline="") as file:
        writer = csv.writer(file)
        names = "study_number candidate_type rater_index error_category clinically_significant num_errors"
        writer.writerow(names.split())
        for study in range(4):
            writer.writerows([study, kind, 0, 2, True, n] for kind, n in (("bleu", 2), ("s_emb", 0)))
    return texts, errors


def test_a_judged_set_prints_kendalls_tau(sagittal: Any, judged: tuple[Path, Path]) -> None:
    ran = score(sagittal, *judged, "--judged", "--json")
    assert (ran.json["reports"], ran.json["studies"]) == (8, 4)
    assert {r["name"]: r["significant"]["value"] for r in ran.json["kendall_tau_b"]} == pytest.approx(
        {"errors.sample": 1.0, "observation.f1.sample": 1.0, "presence.f1.sample": 1.0}
    )
    text = score(sagittal, *judged, "--judged", "--metrics", "size.f1.sample,errors").out
    assert "no order" in text and "1.000 (1.000 to 1.000)" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--metrics", "glow"], "unknown metric 'glow'"),
        (["--metrics", "radgraph"], "needs the package radgraph"),
        (["--metrics", "green"], "GREEN"),
        (["--column", "none"], "no column 'none'"),
        (["--samples", "none/s.jsonl"], "does not exist"),
        (["--language", "xx"], "language 'xx' is not available"),
        (["--judged"], "no column 'gt_report'"),
        (["--judged", "--column", "text"], "--column has no meaning with --judged"),
    ],
)
def test_bad_words_are_one_line_and_exit_2(
    sagittal: Any, both: tuple[Path, Path], options: list[str], said: str
) -> None:
    ran = score(sagittal, *both, *options, "--json")
    assert (ran.code, ran.out) == (2, ""), ran
    assert len(ran.err.splitlines()) == 1
    assert said in ran.err


def test_ids_that_differ_are_named_and_nothing_is_written(
    sagittal: Any, both: tuple[Path, Path], tmp_path: Path
) -> None:
    short = table(tmp_path / "short.csv", {"1": "Normal.", "9": "Normal."})
    out = tmp_path / "s.jsonl"
    ran = score(sagittal, short, both[1], "--samples", out)
    assert ran.code == 2
    assert "1 without a reference (9), 2 without a candidate (2, 3)" in ran.err
    assert not out.exists()


def test_a_report_of_two_patients_is_refused(sagittal: Any, tmp_path: Path) -> None:
    ours = table(tmp_path / "c.csv", CANDIDATES, patients={"1": "p"})
    theirs = table(tmp_path / "r.csv", REFERENCES, patients={"1": "q"})
    ran = score(sagittal, ours, theirs)
    assert ran.code == 2
    assert "report 1 is of patient p and of q" in ran.err


def test_one_report_has_no_interval_and_an_empty_one_is_refused(sagittal: Any, tmp_path: Path) -> None:
    path, empty = tmp_path / "one.txt", tmp_path / "empty.txt"
    path.write_text("Right pleural effusion.", "utf-8")
    empty.write_text("", "utf-8")
    ran = score(sagittal, path, path)
    assert ran.code == 0 and "1.000 (n/a)" in ran.out and " to " not in ran.out.split("pooled")[1]
    (row,) = [
        r
        for r in score(sagittal, path, path, "--json").json["metrics"]
        if r["name"] == "observation.f1.micro"
    ]
    assert (row["value"], row["low"], row["high"]) == (1.0, None, None)
    for pair in ((empty, path), (path, empty)):
        ran = score(sagittal, *pair)
        assert (ran.code, ran.out) == (2, "") and "is empty" in ran.err and ran.err.count("\n") == 1
