"""The fourteen labels of the CheXpert labeller, which CheXpert and MIMIC-CXR share.

A cell is 1 (stated), 0 (denied), -1 (uncertain) or empty (not mentioned). Source: Irvin et al., AAAI 2019.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sagittal.errors import BadInput

LABELS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)

As = Literal["unknown", "positive", "negative"]
"""How a label that is neither stated nor denied is counted."""
_VALUE = {"unknown": float("nan"), "positive": 1.0, "negative": 0.0}


def check_policy(**policies: str) -> None:
    """BadInput where a policy is none of the three."""
    for name, value in policies.items():
        if value not in _VALUE:
            raise BadInput(f"{name}={value!r}", f"one of {', '.join(_VALUE)}")


def target(cell: str, uncertain: As, unmentioned: As, path: Path, line: int) -> float:
    """1, 0 or NaN. BadInput names the line of anything else."""
    if not cell:
        return _VALUE[unmentioned]
    if cell in ("1", "1.0"):
        return 1.0
    if cell in ("0", "0.0"):
        return 0.0
    if cell in ("-1", "-1.0"):
        return _VALUE[uncertain]
    raise BadInput(f"{path} line {line}: {cell!r} is no label", "1, 0, -1 or empty")
