"""How fast phantoms are made, writing included: films and CTs a second.

    python benchmarks/phantom_speed.py [--films 200] [--cts 16] [--mrs 6] [--workers 2] [--out FILE]

Prints wall-clock rates with ``--workers`` processes, and the processor seconds one study takes, which
a busy machine does not change: ``workers / seconds`` is the rate of an idle one.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from sagittal.phantom.cohort import SIZES, draw, write_cohort
from sagittal.phantom.truth import CaseKind


def measure(kind: CaseKind, n: int, workers: int) -> dict[str, float]:
    """Rates for ``n`` studies of ``kind``; imports and first-use tables are left out."""
    draw(kind, seed=1, index=0)
    with tempfile.TemporaryDirectory() as folder:
        few = max(2, n // 8)
        begun = time.process_time()
        write_cohort(kind, few, Path(folder) / "one", seed=2, workers=1)
        processor = (time.process_time() - begun) / few
        begun = time.perf_counter()
        write_cohort(kind, n, Path(folder) / "many", seed=3, workers=workers)
        wall = time.perf_counter() - begun
    return {
        "size": SIZES[kind][0],
        "studies": n,
        "workers": workers,
        "studies a second": round(n / wall, 2),
        "processor seconds a study": round(processor, 4),
        "studies a second on idle processors": round(workers / processor, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--cts", type=int, default=16)
    parser.add_argument("--mrs", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    counts: dict[CaseKind, int] = {"chest-xray": args.films, "chest-ct": args.cts, "brain-mr": args.mrs}
    result = {kind: measure(kind, n, args.workers) for kind, n in counts.items() if n}
    result["load average"] = os.getloadavg()[0]  # type: ignore[assignment]
    print(json.dumps(result, indent=1))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
