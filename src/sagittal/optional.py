"""Import a package that comes with an extra, or say which extra brings it."""

from __future__ import annotations

import importlib
from types import ModuleType

from sagittal.errors import MissingExtra


def needs(module: str, *, feature: str, extra: str, version: str = "") -> ModuleType:
    """Return the imported ``module``.

    Raises:
        MissingExtra: the package is absent; the message names feature, extra and version.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        wanted = f"{module} {version}".strip()
        raise MissingExtra(
            f"{feature} needs {wanted}, which is not installed",
            fix=f"run: pip install 'sagittal[{extra}]'",
        ) from error
