"""How long the bundled model takes to load: wall seconds in fresh processes, medians and ranges.

    python benchmarks/load.py [--model sagittal-small] [--processes 7] [--out FILE]

``torch`` is its import, ``import`` that of `sagittal.zoo.load` after it, ``load`` that of the model after
both, and ``all`` the whole process, from its start to its end. From the second process on files are in the
page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

INSIDE = """
from time import perf_counter
times = [perf_counter()]
import torch
times.append(perf_counter())
from sagittal.zoo.load import load
times.append(perf_counter())
load({model!r})
times.append(perf_counter())
print(*(after - before for before, after in zip(times, times[1:])))
"""


def once(model: str) -> dict[str, float]:
    """Seconds of one fresh process."""
    start = time.perf_counter()
    command = [sys.executable, "-c", INSIDE.format(model=model)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    spent = time.perf_counter() - start
    if ran.returncode:
        raise SystemExit(ran.stderr)
    return dict(zip(("torch", "import", "load"), map(float, ran.stdout.split()), strict=True)) | {
        "all": spent
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="sagittal-small")
    parser.add_argument("--processes", type=int, default=7)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    runs = [once(args.model) for _ in range(args.processes)]
    result = {name: [round(run[name], 4) for run in runs] for name in runs[0]}
    for name, seconds in result.items():
        print(
            f"{name:7} {statistics.median(seconds):6.2f} s   ({min(seconds):.2f} to {max(seconds):.2f}, "
            f"{len(seconds)} processes; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)"
        )
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
