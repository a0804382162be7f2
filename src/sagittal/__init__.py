"""Sagittal: foundation models for radiology, from the pixels to a signed report.

    Study ──> encoders ──> fusion ──> decoders ──> Finding[] ──> Report ──> Reading

`open_study` reads a study from DICOM, NIfTI or a picture; `load` brings a model; `read` turns the
study into a `Reading`: scores, findings with their evidence, a drafted report, provenance.
`render` writes findings as text and `parse` reads text into findings. `prepare` builds exactly the
array an `InputSpec` asks for, or refuses.

Rooms, from the ground up: measure, report, study, phantom and datasets know patients and never
import torch; layers, encoders, fusion, decoders, model and training know tensors and never import
study; zoo is the bridge; pretrain, adapt, tasks, serve and cli stand on it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sagittal.version import __version__ as __version__

if TYPE_CHECKING:
    from sagittal.report.finding import Finding
    from sagittal.report.parse import parse
    from sagittal.report.reading import Reading
    from sagittal.report.render import render
    from sagittal.report.report import Report
    from sagittal.study.context import Context
    from sagittal.study.geometry import Geometry
    from sagittal.study.open import open_study
    from sagittal.study.prepare import prepare
    from sagittal.study.spec import InputSpec
    from sagittal.study.study import Series, Study
    from sagittal.study.volume import Volume
    from sagittal.tasks.read import read
    from sagittal.zoo.load import load

__all__ = [
    "Context",
    "Finding",
    "Geometry",
    "InputSpec",
    "Reading",
    "Report",
    "Series",
    "Study",
    "Volume",
    "load",
    "open_study",
    "parse",
    "prepare",
    "read",
    "render",
]

_HOME = {
    "Context": "study.context",
    "Finding": "report.finding",
    "Geometry": "study.geometry",
    "InputSpec": "study.spec",
    "Reading": "report.reading",
    "Report": "report.report",
    "Series": "study.study",
    "Study": "study.study",
    "Volume": "study.volume",
    "load": "zoo.load",
    "open_study": "study.open",
    "parse": "report.parse",
    "prepare": "study.prepare",
    "read": "tasks.read",
    "render": "report.render",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: `import sagittal` stays fast and does not pull in torch.
    if name in _HOME:
        return getattr(importlib.import_module(f"sagittal.{_HOME[name]}"), name)
    raise AttributeError(f"module 'sagittal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
