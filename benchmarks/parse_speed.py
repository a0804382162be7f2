"""How fast reports are parsed, and how the time grows with the length of one text.

    python benchmarks/parse_speed.py [--reports N] [--longest 10000000] [--budget 20] [--out FILE]

Part 1: reports a second by `sagittal parse` over a CSV of the Indiana reports (`../shared/data`, absent on a
user's machine: part 2 runs alone), with 1 and with 2 processes, starting Python included, beside a pass that
only finds the words of each report. Part 2: one text of 10 kB to ``--longest`` bytes, natural (Indiana and
drawn sentences) and hostile, in nanoseconds a character; ``growth`` is the last over the first: 1 is linear,
and ten times the length with the square would be 10. A shape stops when its next size would take longer than
``--budget`` seconds by the growth so far.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sagittal.report.parse import parse_document
from sagittal.report.text import from_text

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "openi_reports" / "indiana_reports.csv"
SENTENCES = (
    "FINDINGS: There is an 8 x 6 mm nodule in the right upper lobe (series 3, image 45), previously 6 mm. "
    "No pleural effusion or pneumothorax. The heart is not enlarged. Mild bibasilar atelectasis, unchanged "
    "since 12 March 2024. Possible small left effusion. Degenerative changes of the thoracic spine.\n"
)
SHAPES = {
    "natural sentences": SENTENCES,
    "one word": "a",
    "one long word with commas": "effusion,",
    "spaces": " ",
    "line feeds": "\n",
    "open parentheses": "(",
    "pairs of parentheses": "()",
    "parentheses with a size": "(8 mm) ",
    "open quotes": '"no ',
    "no no no": "no ",
    "no effusion or": "no effusion or ",
    "a list without an end": "effusion, ",
    "and and": "and nodule ",
    "1 x 1 x 1": "1 x 1 x ",
    "sizes": "8 x 6 x 4 mm ",
    "sizes without a space": "8x6x4mm",
    "digits": "1",
    "digits and points": "1.",
    "dates": "12 March 2024 ",
    "headings": "FINDINGS: ",
    "headings by line": "IMPRESSION:\n",
    "colons": "a: ",
    "semicolons": "no nodule; ",
    "possibly": "possible ",
    "possible nodule": "possible nodule likely mass ",
    "without a stop": "there is a nodule in the right upper lobe and ",
    "places": "right upper lobe ",
    "sides": "left right ",
    "changes": "increased nodule unchanged ",
    "hyphens": "right-",
    "slashes": "and/or/",
    "abbreviations": "vs. e.g. Dr. ",
    "numbered": "1. Nodule. 2. ",
    "question marks": "nodule? ",
    "full stops": ". ",
    "dots": ".",
    "accents": "é",
    "marks": "e\u0301",
    "Japanese": "胸水なし。結節あり。",
    "Turkish": "Sağ akciğerde nodül izlenmedi, plevral efüzyon yok. ",
    "German": "Kein Pleuraerguss, kein Rundherd im rechten Oberlappen. ",
    "blanks": "XXXX ",
    "HTML": "<p>No effusion.</p>",
    "unclosed tags": "<p",
}


def reports(most: int | None) -> list[str]:
    with DATA.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))[:most]
    return [f"FINDINGS: {row['findings']}\nIMPRESSION: {row['impression']}" for row in rows]


def batch(texts: list[str]) -> dict[str, float]:
    """Reports a second by the command line, and by a pass over the words alone."""
    found: dict[str, float] = {"reports": len(texts), "mean characters": sum(map(len, texts)) / len(texts)}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "reports.csv"
        with table.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([["text"], *([text] for text in texts)])
        for workers in (1, 2):
            out = Path(folder) / f"{workers}.jsonl"
            line = [sys.executable, "-c", "from sagittal.cli.app import main; main()", "parse", str(table)]
            line += ["--column", "text", "--out", str(out), "--workers", str(workers), "--quiet"]
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            begun = time.perf_counter()
            subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
            wall = time.perf_counter() - begun
            now = resource.getrusage(resource.RUSAGE_CHILDREN)
            processor = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
            found[f"reports a second, {workers} processes"] = len(texts) / wall
            found[f"reports a second of processor time, {workers} processes"] = len(texts) / processor
        if (Path(folder) / "1.jsonl").read_bytes() != (Path(folder) / "2.jsonl").read_bytes():
            raise SystemExit("1 and 2 processes gave different results")
    begun = time.process_time()
    for text in texts:
        re.findall(r"\w+", text)
    found["reports a second, words only"] = len(texts) / (time.process_time() - begun)
    return {name: round(value, 1) for name, value in found.items()}


def growth(unit: str, longest: int, budget: float) -> dict[str, float]:
    """Nanoseconds a character by length, of cleaning and parsing one text."""
    times: dict[int, float] = {}
    size = 10_000
    while size <= longest:
        text = (unit * (size // len(unit) + 1))[:size]
        begun = time.process_time()
        parse_document(from_text(text).text, None)
        spent = time.process_time() - begun
        times[size] = spent / size * 1e9
        steps = list(times.values())
        expected = spent * 4 * (max(1.0, steps[-1] / steps[-2]) if len(steps) > 1 else 4)
        if expected > budget:
            break
        size *= 4
    found = {f"{size:,}": round(value, 1) for size, value in times.items()}
    return found | {"growth": round(times[max(times)] / times[min(times)], 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int)
    parser.add_argument("--longest", type=int, default=10_300_000)
    parser.add_argument("--budget", type=float, default=20.0)
    parser.add_argument("--only", help="shapes whose name holds this")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    result: dict[str, object] = {}
    if DATA.is_file() and not args.only:
        result["batch"] = batch(reports(args.reports))
        print(json.dumps(result["batch"], indent=1), flush=True)
    shapes = dict(SHAPES)
    if DATA.is_file():
        shapes["Indiana reports"] = "\n".join(reports(args.reports))
    parse_document(SENTENCES)
    lengths = {}
    for name, unit in shapes.items():
        if not args.only or args.only in name:
            lengths[name] = growth(unit, args.longest, args.budget)
            print(f"{name:28s}", lengths[name], flush=True)
    worst = max(lengths, key=lambda name: lengths[name]["growth"])
    result |= {"nanoseconds a character": lengths, "worst growth": worst, "load": os.getloadavg()[0]}
    print(f"worst growth: {worst}, {lengths[worst]['growth']}")
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
