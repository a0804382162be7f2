"""The public surface is the design's list, imported lazily."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import sagittal

DESIGN = (  # noqa: SIM905
    "open_study, load, read, Study, Series, Volume, Geometry, Context, Finding, Report, Reading, "
    "InputSpec, prepare, render, parse"
).split(", ")


def test_public_surface_is_the_designs_list() -> None:
    assert sorted(sagittal.__all__) == sorted(DESIGN)
    assert len(sagittal.__all__) <= 15


def test_every_public_name_resolves_and_is_documented() -> None:
    for name in sagittal.__all__:
        assert getattr(sagittal, name).__doc__, f"{name} has no docstring"


def test_import_is_lazy() -> None:
    code = "import sagittal, sys; print('torch' in sys.modules, 'pydicom' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["False", "False"]


def test_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(sagittal, "segment_everything")


def test_no_room_is_deeper_than_two_folders_and_no_module_is_empty() -> None:
    root = Path(sagittal.__file__).parent
    for path in root.rglob("*.py"):
        assert len(path.relative_to(root).parts) <= 3, path
        assert path.read_text("utf-8").strip(), f"{path} is empty"
