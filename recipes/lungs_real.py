"""Lungs on real films: what the bundled model draws, beside a constant mean box.

    python recipes/lungs_real.py [--data ../shared/data/cxr_notes]

The films are for testing only; nothing is fitted to them except the baseline's one mean box, which is
leave-one-patient-out. Prints box IoU of each lung, on how many films lungs were shown at all, and what
the gate said of the findings.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from sagittal.errors import SagittalError
from sagittal.measure.segmentation import box, box_iou
from sagittal.measure.statistics import mean_interval, wilson
from sagittal.study.open import open_study
from sagittal.tasks.read import read

SIDES = ("lung_right", "lung_left")


def main() -> None:
    """Read every frontal film and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/cxr_notes"))
    parser.add_argument("--model", default="sagittal-small")
    parser.add_argument("--most", type=int, default=10_000)
    args = parser.parse_args()
    with (args.data / "metadata.csv").open(encoding="latin-1") as file:
        rows = {row["filename"]: row for row in csv.DictReader(file)}
    coco = json.loads((args.data / "lung_boxes_coco.json").read_text())
    names = {c["id"]: "lung_" + c["name"].split()[0].lower() for c in coco["categories"]}
    films = []
    for image in coco["images"]:
        row = rows.get(image["file_name"])
        path = args.data / "images" / (row["image"] if row else "")
        if row is None or not path.is_file():
            continue
        boxes = {}
        for mark in coco["annotations"]:
            if mark["image_id"] == image["id"]:
                x, y, w, h = mark["bbox"]
                boxes[names[mark["category_id"]]] = (
                    y / image["height"],
                    x / image["width"],
                    (y + h) / image["height"],
                    (x + w) / image["width"],
                )
        if set(boxes) == set(SIDES):
            films.append((path, row, boxes))
    films = films[: args.most]
    ious, means, shown, refused, distances = [], [], 0, 0, []
    for path, row, boxes in films:
        others = [b for _, r, b in films if r["patientid"] != row["patientid"]]
        mean = {side: np.mean([b[side] for b in others], axis=0) for side in SIDES}
        means.append(float(np.mean([box_iou(mean[side], boxes[side]) for side in SIDES])))
        age = (row["age"] or "").split(".")[0]
        view = "PA" if row["view"] == "PA" else "AP"
        assume = f"modality=DX,body_part=CHEST,view={view},orientation=LF,age={age or '50'}Y"
        try:
            study = open_study(path, assume=assume)
            done = read(replace(study), model=args.model)
        except SagittalError as error:
            print(f"{path.name}: {error}")
            ious.append(0.0)
            continue
        for refusal in done.reading.refusals:
            if refusal.distance is not None:
                refused += 1
                distances.append(refusal.distance)
        if not set(SIDES) <= set(done.masks):
            ious.append(0.0)
            continue
        shown += 1
        found = []
        for side in SIDES:
            voxels = done.masks[side].voxels
            drawn = box(voxels)
            scaled = None
            if drawn is not None:
                h, w = voxels.shape
                scaled = (drawn[0] / h, drawn[1] / w, drawn[2] / h, drawn[3] / w)
            found.append(box_iou(scaled, boxes[side]))
        ious.append(float(np.mean(found)))
    for name, values in (("model", ious), ("constant mean box", means)):
        i = mean_interval(values)
        print(f"box IoU, {name}: {i.value:.3f} ({i.low:.3f}-{i.high:.3f}), n={len(values)} (no lungs: 0)")
    s, r = wilson(shown, len(films)), wilson(refused, len(films))
    print(f"lungs shown on {s.value:.2f} ({s.low:.2f}-{s.high:.2f}) of {len(films)} films")
    print(f"findings refused by the gate on {r.value:.2f} ({r.low:.2f}-{r.high:.2f})")
    if distances:
        print(
            f"distances of the refused, quartiles: {np.percentile(distances, (25, 50, 75)).round(2).tolist()}"
        )


if __name__ == "__main__":
    main()
