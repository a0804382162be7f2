"""How close are phantom radiographs to real ones? Spectrum, grey levels, a classifier, a contact sheet.

    python benchmarks/phantom_realism.py [--real ../shared/data/cxr_notes] [--n 177] [--sheet FILE.png]

Prints whether the median spectrum slope and the median grey-level quantiles of phantom films lie
inside the interquartile range of the real ones, and the AUC of a small classifier that tells them
apart (.5: it cannot; 1: always). Writes the numbers as JSON with --json FILE. On the sheet, real films
appear only where their licence lets them be shown again.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sagittal.phantom.chest import draw_chest
from sagittal.phantom.radiograph import radiograph

SIDE = 256
QUANTILES = (5, 25, 50, 75, 95)
OPEN = ("CC BY", "CC BY 3.0", "CC BY 4.0", "CC0", "Apache 2.0")
Array = NDArray[np.float32]


def square(image: Image.Image) -> Array:
    """Centre square of a film as (256, 256) in 0..1."""
    image = image.convert("L")
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    image = image.crop((left, top, left + edge, top + edge)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32) / 255


def slope(film: Array) -> float:
    """Slope of log power against log frequency between 4 and 80 cycles a film (Hann window)."""
    window = np.hanning(SIDE)[:, None] * np.hanning(SIDE)[None]
    power = np.abs(np.fft.fft2((film - film.mean()) * window)) ** 2
    f = np.fft.fftfreq(SIDE) * SIDE
    radius = np.round(np.hypot(f[:, None], f[None])).astype(int)
    mean = np.bincount(radius.ravel(), power.ravel()) / np.bincount(radius.ravel())
    k = np.arange(4, 81)
    return float(np.polyfit(np.log(k), np.log(mean[4:81]), 1)[0])


def bands(film: Array) -> list[float]:
    """Log power in octaves, for the classifier."""
    window = np.hanning(SIDE)[:, None] * np.hanning(SIDE)[None]
    power = np.abs(np.fft.fft2((film - film.mean()) * window)) ** 2
    f = np.fft.fftfreq(SIDE) * SIDE
    radius = np.hypot(f[:, None], f[None])
    edges = [2, 4, 8, 16, 32, 64, 128]
    return [
        float(np.log(power[(radius >= a) & (radius < b)].mean() + 1e-9)) for a, b in itertools.pairwise(edges)
    ]


def features(film: Array) -> Array:
    """Thumbnail, grey-level quantiles and octave powers."""
    thumb = film.reshape(8, 32, 8, 32).mean((1, 3)).ravel()
    return np.concatenate([thumb, np.percentile(film, QUANTILES), bands(film)]).astype(np.float32)


def phantoms(n: int, split: str) -> list[Array]:
    """Phantom films through the same 8-bit door as the real ones."""
    out = []
    for index in range(n):
        rng = np.random.default_rng((2611, index))
        film = radiograph(draw_chest(rng, split), rng, split=split)  # type: ignore[arg-type]
        out.append(square(Image.fromarray((film.pixels >> 4).astype(np.uint8))))
    return out


def separability(real: list[Array], fake: list[Array]) -> dict[str, float]:
    """Cross-validated AUC of a forest and a logistic regression that tell real from phantom."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = np.stack([features(f) for f in real + fake])
    y = np.array([0] * len(real) + [1] * len(fake))
    models = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=2000)),
        "forest": RandomForestClassifier(200, min_samples_leaf=3, random_state=0),
    }
    return {
        name: round(float(cross_val_score(m, x, y, cv=5, scoring="roc_auc").mean()), 3)
        for name, m in models.items()
    }


def open_films(folder: Path) -> list[Path]:
    """Real frontal films that may be shown again."""
    with (folder / "metadata.csv").open(encoding="latin-1", newline="") as file:
        rows = list(csv.DictReader(file))
    names = sorted(
        r[key]
        for r in rows
        for key in ("filename", "image")
        if r["license"] in OPEN and r["view"] in ("PA", "AP", "AP Supine")
    )
    return [folder / "images" / name for name in dict.fromkeys(names) if (folder / "images" / name).exists()]


def sheet(path: Path, fake: list[Array], real: list[Array]) -> None:
    """Rows of phantom films, then rows of real ones (none: phantoms only)."""
    tile, across = 256, 6
    rows = [fake[i : i + across] for i in range(0, 12, across)]
    rows += [real[i : i + across] for i in range(0, min(12, len(real)), across)]
    canvas = Image.new("L", (across * tile, len(rows) * (tile + 14)))
    pen = ImageDraw.Draw(canvas)
    for r, row in enumerate(rows):
        pen.text((4, r * (tile + 14) + 1), "phantom" if r < 2 else "real", fill=220)
        for c, film in enumerate(row):
            image = Image.fromarray((np.clip(film, 0, 1) * 255).astype(np.uint8))
            canvas.paste(image.resize((tile, tile)), (c * tile, r * (tile + 14) + 14))
    canvas.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=Path("../shared/data/cxr_notes"))
    parser.add_argument("--n", type=int, default=177)
    parser.add_argument("--split", default="train")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--phantoms-only", action="store_true", help="no real film on the sheet")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    fake = phantoms(args.n, args.split)
    real = [square(Image.open(p)) for p in sorted((args.real / "images").iterdir())]
    result: dict[str, object] = {"n_real": len(real), "n_phantom": len(fake), "split": args.split}
    inside = True
    for name, measure in {
        "slope": slope,
        **{f"q{q:02d}": (lambda f, q=q: float(np.percentile(f, q))) for q in QUANTILES},
    }.items():
        low, mid, high = np.percentile([measure(f) for f in real], (25, 50, 75))
        got = float(np.median([measure(f) for f in fake]))
        ok = bool(low <= got <= high)
        inside &= ok
        print(
            f"{name:6} phantom {got:7.3f}   real {mid:7.3f} [{low:.3f}, {high:.3f}]   {'in' if ok else 'OUT'}"
        )
        result[name] = {"phantom": got, "real_median": mid, "real_iqr": [low, high], "inside": ok}
    result["all_inside"] = inside
    result["auc_phantom_vs_real"] = separability(real, fake)
    print("AUC phantom vs real", result["auc_phantom_vs_real"])
    if args.sheet:
        shown = [] if args.phantoms_only else [square(Image.open(p)) for p in open_films(args.real)[::3]]
        sheet(args.sheet, fake, shown)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
