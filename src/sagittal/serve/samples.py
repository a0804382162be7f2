"""Sample studies for the demo: phantoms drawn on the spot, and one real image if a dependency ships one."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sagittal.phantom.cohort import draw, draw_followup
from sagittal.phantom.files import write_case
from sagittal.phantom.truth import Case, CaseKind
from sagittal.serve.store import Store

TRIES = 8
"""So many patients are drawn at most until one has what the sample is to show."""


@dataclass(frozen=True)
class Sample:
    """A study to draw: the first held-out patient that has ``label``; with a prior or without."""

    kind: CaseKind
    label: str
    followup: bool = False


# Films first: they are read within a second, so that the list can be worked on at once.
SAMPLES = (
    Sample("chest-xray", "pleural_effusion", followup=True),
    Sample("chest-xray", "pneumothorax"),
    Sample("chest-ct", "nodule"),
    Sample("chest-xray", "consolidation"),
    Sample("chest-xray", "cardiomegaly"),
    Sample("brain-mr", "intra_axial_mass"),
    Sample("chest-ct", "consolidation", followup=True),
    Sample("brain-mr", "acute_infarct"),
    Sample("chest-ct", "pleural_effusion"),
    Sample("brain-mr", "white_matter_hyperintensity"),
)


def fill(store: Store, *, seed: int = 0, arrived: Callable[[], object] = lambda: None) -> int:
    """Put the samples on the worklist one by one; ``arrived`` is called after each. Returns how many."""
    number = 0
    used: set[tuple[CaseKind, int]] = set()
    for sample in SAMPLES:
        index = _choose(sample, seed, used)
        used.add((sample.kind, index))
        study, folder = store.new_folder()
        now = folder / "study"
        before: Path | None = None
        if sample.followup:
            old, case = draw_followup(sample.kind, seed=seed, index=index, split="heldout")
            before = write_case(old, folder / "prior")
        else:
            case = draw(sample.kind, seed=seed, index=index, split="heldout")
        write_case(case, now)
        store.add(study, now, before, label=f"phantom {sample.kind} {seed}/{index}")
        number += 1
        arrived()
    real = real_image()
    if real is not None:
        study, folder = store.new_folder()
        source = folder / "study"
        source.mkdir()
        shutil.copyfile(real, source / real.name)
        store.add(study, source, label=f"real image, pydicom's {real.name}")
        number += 1
        arrived()
    return number


def expected() -> int:
    """How many studies `fill` puts on the worklist."""
    return len(SAMPLES) + (real_image() is not None)


def _choose(sample: Sample, seed: int, used: set[tuple[CaseKind, int]]) -> int:
    """The first unused patient with the sample's label; without one, the first unused."""
    free = [n for n in range(TRIES + len(used)) if (sample.kind, n) not in used][:TRIES]
    for index in free:
        # Labels do not depend on the size, so the search draws small.
        case: Case = draw(sample.kind, seed=seed, index=index, split="heldout", size=64)
        if case.truth.labels[sample.label]:
            return index
    return free[0]


def real_image() -> Path | None:
    """A real CT slice that the installed pydicom ships among its test files; None where it does not."""
    spec = importlib.util.find_spec("pydicom")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "data" / "test_files" / "CT_small.dcm"
    return path if path.is_file() else None
