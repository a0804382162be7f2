"""Fixtures shared by every room's tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# A slow machine is no failure: examples are limited in number, not in time. The default suite asks the
# same examples every time; `make test-all` looks for new ones.
settings.register_profile("sagittal", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("sagittal")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data kept beside the checkout; absent on a user's machine."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real test data (../shared/data) is not on this machine")
    return folder


@dataclass(frozen=True)
class Ran:
    """A finished command line."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def sagittal(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command line in this process: ``sagittal("inspect", path, "--json")``."""
    from sagittal.cli.app import run

    def call(*arguments: object) -> Ran:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return call
